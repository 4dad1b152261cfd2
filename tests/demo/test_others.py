"""Jets, showers and unfolding from end to end, with few trees: what is printed, returned and written."""

import numpy as np
import pytest

from buff.demo import run_jets, run_showers, run_unfolding


def test_jets(tmp_path):
    lines = []
    measured = run_jets(tmp_path / "jets.html", n_jobs=1, effort=0.01, echo=lines.append)
    assert measured.n_real == measured.n_generated > 900
    assert measured["W1M"].value.value < 0.02  # a jet of mass 0.1 has little to be wrong in
    text, page = "\n".join(lines), (tmp_path / "jets.html").read_text()
    assert str(measured) in text
    assert "Lund planes" in page
    assert page.count("data:image/png;base64,") >= 5


def test_showers(tmp_path):
    lines = []
    measured = run_showers(tmp_path / "showers.html", n_jobs=1, n_showers=600, n_estimators=2, echo=lines.append)
    assert (measured.n_real, measured.n_generated, measured.n_floor) == (150, 150, 150)
    assert measured.values["auc trees high"] < 0.75
    assert str(measured) in "\n".join(lines)
    assert "Average showers" in (tmp_path / "showers.html").read_text()


@pytest.mark.filterwarnings("ignore:.*measured events .* lie where no simulated")
def test_unfolding_comes_nearer_to_nature(tmp_path):
    lines = []
    result = run_unfolding(tmp_path / "unfold.html", n_jobs=1, n_events=1500, echo=lines.append)
    rows = [line.split() for line in lines if "±" in line]
    before, after = (np.array([float(row[i]) for row in rows]) for i in (1, 4))
    assert len(rows) == 6
    assert after[:3].sum() < before[:3].sum() / 2
    assert len(result.events) == len(result.weights) >= 1500
    assert "Distance to nature" in (tmp_path / "unfold.html").read_text()


@pytest.mark.parametrize("run", [run_jets, run_showers, run_unfolding])
def test_a_page_of_another_format_is_refused_at_once(run, tmp_path):
    with pytest.raises(ValueError, match=r"demo\.pdf: the page is HTML"):
        run(tmp_path / "demo.pdf", echo=pytest.fail)
