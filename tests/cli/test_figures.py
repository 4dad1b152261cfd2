"""``buff evaluate``: figures, derived columns, classes, and the quick way."""

import numpy as np
import pyarrow as pa
import pytest

from buff.io import TableWriter
from buff.physics.kinematics import invariant_mass


@pytest.fixture(scope="module")
def muons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("muons")
    rng = np.random.default_rng(0)
    for name, n in (("test", 400), ("made", 500), ("train", 300)):
        columns = {f"{what}{k}": rng.normal(size=n) for k in (1, 2) for what in ("eta", "phi")}
        columns |= {f"pt{k}": 20 + rng.exponential(10, n) for k in (1, 2)}
        extra = {"charge": rng.choice(["same", "opposite"], n, p=[0.1, 0.9])}
        columns |= extra | ({} if name == "train" else {"chi2": rng.exponential(size=n)})
        with TableWriter(folder / f"{name}.parquet") as out:
            out.write(pa.table(columns))
    return folder


def test_a_mass_is_compared_and_classes_are(buff, muons):
    words = ("evaluate", muons / "test.parquet", muons / "made.parquet", "--train", muons / "train.parquet", "-q")
    result = buff(
        *words, "--quick", "--columns", "pt1,pt2", "--derive", "mass = invariant_mass(1, 2)", "--by", "charge"
    )
    assert result.exit_code == 0, result.stderr
    assert "\nmass  " in result.stdout
    assert "\neta1 " not in result.stdout
    assert "\nW1 in floors, median of numbers" in result.stdout
    assert "AUC, boosted trees" in result.stdout
    assert "MLP" not in result.stdout
    assert "\ncharge = opposite: 88.75% of real" in result.stdout
    assert "floors, at most" in result.stdout


def test_the_derived_mass_is_that_of_the_particles(muons):
    from buff.cli.figures import DerivedMass
    from buff.io import read_table

    table = read_table(muons / "test.parquet")
    own = DerivedMass("m=invariant_mass(2,1)", table.column_names)
    particles = [[table[f"{what}{k}"][0].as_py() for what in ("eta", "phi", "pt")] for k in (1, 2)]
    assert own.added(table)["m"][0].as_py() == pytest.approx(invariant_mass([particles])[0])
    assert set(own.columns) == {f"{what}{k}" for what in ("pt", "eta", "phi") for k in (1, 2)}


def test_figures_are_written(buff, muons, tmp_path):
    pytest.importorskip("matplotlib")
    words = ("evaluate", muons / "test.parquet", muons / "made.parquet", "-q", "--quick", "-c", "pt1,eta1")
    look = ("--style", "CMS", "--experiment", "CMS Open Data", "--bins", "pt1=20:60:8", "--axis", "pt1=$p_{T,1}$")
    result = buff(*words, "--figures", tmp_path / "plots", *look, "--by", "charge")
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {"all.pdf", "pt1.pdf", "eta1.pdf", "pt1_by_charge.pdf", "eta1_by_charge.pdf", "correlations.pdf"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--derive", "mass=inv(1,2)", "write it as"),
        ("--derive", "mass=invariant_mass(1,3)", "of '3'; particles are 1, 2"),
        ("--bins", "pt1=a", "write it as pt1=40"),
        ("--bins", "pt1=3:2:5", "write it as pt1=40"),
        ("--axis", "met=MET", "no column 'met' is compared"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(buff, muons, option, value, message):
    words = ("evaluate", muons / "test.parquet", muons / "made.parquet", "-q", "--quick", "-c", "pt1,eta1")
    result = buff(*words, option, value)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert message in result.stderr


def test_columns_that_training_events_lack_are_left_out(buff, muons):
    words = ("evaluate", muons / "test.parquet", muons / "made.parquet", "--train", muons / "train.parquet")
    result = buff(*words, "--quick", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "not in all files, left out: chi2\n"
