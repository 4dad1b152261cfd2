"""The demonstration on a table, with few jets and few trees: what it prints, returns and writes."""

import pytest

from buff.datasets import INDEPENDENT_OBSERVABLES
from buff.demo import run_demo

TINY = {"n_nodes": 4, "n_steps": 4, "noise_draws": 1, "n_estimators": 2}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    page, lines = tmp_path_factory.mktemp("demo") / "page.html", []
    field = run_demo(page, n_jobs=1, n_jets=250, echo=lines.append, recipe=TINY)
    return field, page.read_text(), "\n".join(lines)


def test_compares_the_three_generators(demo):
    field, _, _ = demo
    assert [c.name for c in field] == ["BUFF paper's recipe", "Gaussian copula", "buff"]
    assert all(len(c.events) == 250 and c.train_seconds >= 0 and c.sample_seconds > 0 for c in field)


def test_trees_beat_the_copula(demo):
    field, _, _ = demo
    copula, buff = field[1].report.scores, field[2].report.scores
    assert buff.trees.value < copula.trees.value


def test_prints_the_floor_first(demo):
    _, _, text = demo
    rows = [line.split("  ")[0] for line in text.splitlines()]
    assert text.index("first page with plots: ") < text.index("BUFF paper's recipe: trained")
    assert rows.index("floor (real jets)") < rows.index("BUFF paper's recipe") < rows.index("buff")


def test_page_needs_nothing_else(demo):
    field, page, _ = demo
    assert "Top jets, real and generated" in page
    assert 'src="data:image/png;base64,' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert all(c.name.replace("'", "&#x27;") in page for c in field)


def test_columns_and_cores_are_named(demo):
    field, page, text = demo
    schema = page[page.index("<h2>Schema</h2>") :]
    assert all(name in schema for name in INDEPENDENT_OBSERVABLES)
    assert "x0" not in schema
    assert [c.cores for c in field] == [1, 1, 1]
    assert "by the clock" in page
    assert "by the clock,\non 1 core" in text
    assert "BUFF paper's recipe: no bar, some 1 s" in text


def test_a_page_of_another_format_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"demo\.pdf: the page is HTML"):
        run_demo(tmp_path / "demo.pdf", echo=pytest.fail)
