"""A small model and its data, made once."""

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from buff.cli import app
from buff.io import TableWriter

FAST = ["--steps", "3", "--rounds", "3", "--depth", "3", "--noise-budget", "2000", "--seed", "1", "-q"]


def events(n, seed):
    rng = np.random.default_rng(seed)
    top = rng.random(n) < 0.5
    mass = np.where(top, rng.normal(170, 10, n), rng.gamma(4, 20, n))
    table = pa.table(
        {
            "mass": mass.astype(np.float32),
            "n": rng.poisson(30, n),
            "flavour": np.where(top, "t", "q"),
            "weight": rng.uniform(0.5, 1.5, n),
        }
    )
    return table.cast(table.schema.set(0, pa.field("mass", pa.float32(), metadata={"unit": "GeV"})))


@pytest.fixture
def buff():
    """Run the command in this process; ``buff(*words) -> result`` with exit_code, stdout, stderr."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Tables train.parquet, test.parquet, and models plain.buff, conditional.buff."""
    path = tmp_path_factory.mktemp("cli")
    for name, seed in (("train", 0), ("test", 1)):
        with TableWriter(path / f"{name}.parquet") as out:
            out.write(events(600, seed))
    for name, text in (("labels", "flavour\nt\nq\nt\n"), ("no_flavour", "mass,n\n80.5,3\n"), ("empty", "flavour\n")):
        (path / f"{name}.csv").write_text(text)
    base = ["fit", f"{path}/train.parquet", *FAST]
    for words in (
        ["-o", f"{path}/plain.buff", "--columns", "mass,n"],
        ["-o", f"{path}/conditional.buff", "--condition", "flavour", "--weight-column", "weight"],
    ):
        assert CliRunner().invoke(app, [*base, *words]).exit_code == 0
    return path
