import numpy as np
import pyarrow as pa
import pytest

import buff as package
from buff.io import TableWriter, read_table

QUICK = ("--noise-budget", 500, "--rounds", 1, "--steps", 2, "-q")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    kind, x = rng.choice(["a", "b"], 120), rng.normal(size=120)
    columns = {"kind": pa.array(kind, mask=np.arange(120) < 5), "x": x.round(2), "n": rng.poisson(30, 120)}
    with TableWriter(tmp_path / "t.csv") as out:
        out.write(pa.table(columns))
    return tmp_path / "t.csv"


def test_cells_that_are_given_stay(buff, table, tmp_path):
    result = buff("fit", table, "-o", tmp_path / "any.buff", "--given", "any", *QUICK)
    assert result.exit_code == 0, result.stderr
    words = ("sample", tmp_path / "any.buff", "-o", tmp_path / "out.csv", "-q", "--seed", 1)
    result = buff(*words, "-n", 4, "--given", "kind=a,n=30")
    assert result.exit_code == 0, result.stderr
    made = read_table(tmp_path / "out.csv")
    assert made["kind"].to_pylist() == ["a"] * 4
    assert made["n"].to_pylist() == [30] * 4
    (tmp_path / "part.csv").write_text("other,n,kind\n1,30,\n2,,b\n3,28,a\n")
    result = buff(*words, "--condition", tmp_path / "part.csv", "--chunk", 2)
    assert result.exit_code == 0, result.stderr
    made = read_table(tmp_path / "out.csv")
    assert made["kind"].to_pylist()[1:] == ["b", "a"]
    assert made["n"].to_pylist()[::2] == [30, 28]
    for given, message in (("sort=a", "no column 'sort'"), ("n=many", "given 'n' is a whole number, found 'many'")):
        result = buff(*words, "--given", given)
        assert message in result.stderr
        assert result.exit_code == 1


def test_missing_cells_are_filled(buff, table, tmp_path):
    words = ("impute", table, "--seed", 1)
    result = buff(*words, "-o", tmp_path / "f.csv", "--copies", 2, "--save", tmp_path / "m.buff")
    assert result.exit_code == 0, result.stderr
    assert "120 rows, 5 cells filled" in result.stdout
    first, second = (read_table(tmp_path / f"f-{k}.csv") for k in (1, 2))
    for filled in (first, second):
        assert filled["kind"].null_count == 0
        assert filled.slice(5).equals(read_table(table).slice(5))
    result = buff(*words, "-o", tmp_path / "g.csv", "--model", tmp_path / "m.buff")
    assert result.exit_code == 0, result.stderr
    assert read_table(tmp_path / "g.csv").equals(first)
    assert isinstance(package.load(tmp_path / "m.buff"), package.BUFFImputer)
