"""``buff evaluate``: the library's numbers, printed and written."""

import numpy as np
import pyarrow as pa
import pytest

from buff.io import TableWriter, read_table
from buff.metrics import Report, report


@pytest.fixture
def quick(monkeypatch):
    """Numbers without the classifiers, which take most of the time."""
    import buff.metrics

    monkeypatch.setattr(
        buff.metrics,
        "report",
        lambda *args, **options: report(*args, **options, classifiers=(), n_bootstrap=5),
    )


def test_numbers_are_printed_and_saved(buff, folder, tmp_path, quick):
    words = ("evaluate", folder / "test.parquet", folder / "train.parquet", "--json", tmp_path / "q.json")
    result = buff(*words, "--seed", 3, "--columns", "mass,flavour")
    assert result.exit_code == 0, result.stderr
    saved = Report.load(tmp_path / "q.json")
    assert result.stdout == f"{saved}\n"
    real, generated = (
        {name: read_table(folder / f"{file}.parquet")[name].to_numpy() for name in ("mass", "flavour")}
        for file in ("test", "train")
    )
    again = report(real, generated, random_state=3, classifiers=(), n_bootstrap=5)
    assert saved.scores.wasserstein == again.scores.wasserstein
    assert [column.kind for column in saved.scores.columns] == ["continuous", "categorical"]


def test_a_page_with_units_is_written(buff, folder, tmp_path, quick):
    pytest.importorskip("matplotlib")
    words = (
        "evaluate",
        folder / "test.parquet",
        folder / "train.parquet",
        "--train",
        folder / "train.parquet",
    )
    result = buff(*words, "--report", tmp_path / "q.html", "--title", "Tops", "--unit", "n=1", "--max-rows", 300)
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "<h1>Tops</h1><p>300 generated" in page.replace("\n", "")
    assert "mass [GeV]" in page  # the unit comes with the file
    assert "exact copies" in page


def test_columns_of_one_file_only_are_told(buff, folder, tmp_path, quick):
    with TableWriter(tmp_path / "g.csv") as out:
        out.write(read_table(folder / "test.parquet", ["mass", "n"]).append_column("new", pa.array(np.arange(600))))
    result = buff("evaluate", folder / "test.parquet", tmp_path / "g.csv", "--weight-column", "weight", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "in one file only, left out: flavour new\n"
    assert result.stdout.endswith("\n\nin one file only, left out: flavour new\n")
    result = buff("evaluate", folder / "test.parquet", folder / "labels.csv", "-c", "mass")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "labels.csv: no column 'mass'; it has flavour" in result.stderr


def test_a_unit_of_no_column_and_a_page_of_another_format_are_refused(buff, folder):
    words = ("evaluate", folder / "test.parquet", folder / "train.parquet", "-c", "mass,n")
    result = buff(*words, "--unit", "met=GeV")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "--unit met=GeV: no column 'met' is compared; they are mass n" in result.stderr
    result = buff(*words, "--report", folder / "r.pdf")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "r.pdf: the page is HTML, give a name that ends in .html" in result.stderr


def test_categories_with_gaps_stay_what_they_are():
    from buff.tables import read

    pieces = [pa.array(["a", None, "b"]).dictionary_encode(), pa.array(["c"]).dictionary_encode()]
    assert read(pa.table({"k": pa.chunked_array(pieces)})).arrays[0].tolist() == ["a", None, "b", "c"]


def test_bad_input_is_one_line_and_status_1(buff, folder, tmp_path):
    (tmp_path / "other.csv").write_text("x\n1\n")
    result = buff("evaluate", folder / "test.parquet", tmp_path / "other.csv")
    assert result.exit_code == 1
    assert "no common column" in result.stderr
    result = buff("evaluate", folder / "test.parquet", folder / "train.parquet", "--unit", "GeV", "--report", "x.html")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "write it as NAME=UNIT" in result.stderr
    result = buff("evaluate", folder / "test.parquet", folder / "train.parquet", "--json", tmp_path / "no" / "q")
    assert (result.exit_code, result.stderr) == (1, f"buff: {tmp_path}/no: no such folder for q\n")


def test_use_of_generated_events_is_measured(buff, folder, tmp_path, quick):
    pytest.importorskip("matplotlib")
    words = ("evaluate", folder / "test.parquet", folder / "train.parquet", "--target", "flavour", "-q")
    for more in ((), ("--train", folder / "train.parquet", "--report", tmp_path / "q.html")):
        result = buff(*words, *more)
        assert result.exit_code == 0, result.stderr
        assert "predicting flavour: trained on synthetic rows: AUC" in result.stdout
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "flavour, area under the ROC curve" in page
    result = buff(*words[:-2], "charm")
    assert result.exit_code == 1
    assert "--target charm: no such column is compared" in result.stderr


def test_ids_are_left_out_and_said_on_the_page(buff, tmp_path, quick):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)

    def table(first):
        x = rng.normal(size=(300, 2))
        # dates over three years, for which five ticks have no step
        day = np.datetime64("2021-01-01") + rng.integers(0, 1100, 300)
        return pa.table({"row": np.arange(first, first + 300), "x": x[:, 0], "phi": x[:, 1], "day": day})

    for name, first in (("train", 1), ("test", 301), ("made", 601)):
        with TableWriter(tmp_path / f"{name}.parquet") as out:
            out.write(table(first))
    (tmp_path / "schema.json").write_text('{"row": "integer", "phi": {"kind": "angle", "period": 9}}')
    words = ("evaluate", tmp_path / "test.parquet", tmp_path / "made.parquet", "--train", tmp_path / "train.parquet")
    result = buff(*words, "--report", tmp_path / "q.html", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "not compared: 'row' rises in every one of 300 rows and is taken for an id" in result.stdout
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "not compared: &#x27;row&#x27; rises" in page
    result = buff(*words, "--schema", tmp_path / "schema.json", "--report", tmp_path / "q.html", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "not compared" not in result.stdout
    assert "angle" in result.stdout


def test_the_schema_of_a_model_goes_in(buff, folder, quick):
    words = ("evaluate", folder / "test.parquet", folder / "train.parquet", "-c", "mass,n", "-q", "--schema")
    assert buff(*words, folder / "plain.buff").exit_code == 0
    result = buff(*words, folder / "labels.csv")
    assert result.exit_code == 1
    assert "labels.csv: not JSON" in result.stderr
