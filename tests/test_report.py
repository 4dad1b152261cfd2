"""The page: it holds the numbers it was given, and needs nothing outside itself."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from buff.metrics import ClassifierTest, Estimate, Report, report
from buff.metrics.layout import copies_verdict
from buff.metrics.scores import JUDGES, MEASURES
from buff.plotting import Quality, quality_against_nfe
from buff.report import Cost, html_report

pytest.importorskip("matplotlib")


def events(seed, shift=0.0, n=250):
    rng = np.random.default_rng(seed)
    return {
        "mass": rng.normal(shift, 1, n),
        "n": rng.poisson(20, n),
        "flavour": rng.choice(["t", "q<b>"], n),
    }


@pytest.fixture(scope="module")
def measured():
    settings = {"classifiers": ("trees",), "seeds": 1, "n_bootstrap": 5}
    good = report(events(0), events(1), train=events(2), **settings)
    poor = report(events(0), events(1, shift=2.0), floor=good, **settings)
    return good, poor


class Page(HTMLParser):
    """Tables as lists of rows of text, headings, pictures, and tags left open."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.headings, self.images, self.open, self.addresses = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "img"}:
            self.open.append(tag)
        self.addresses += [value for key, value in attributes if key in {"src", "href"}]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        elif tag in {"h1", "h2"}:
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] in {"h1", "h2"}:
            self.headings[-1] += data


@pytest.fixture(scope="module")
def page(measured, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "page.html"
    html_report(
        measured[0],
        pa.table(events(0)),
        pa.table(events(1)),
        path,
        title="Jets & <more>",
        name="buff",
        units={"mass": "GeV"},
        others={"shifted": measured[1]},
        costs=[Cost("buff", 12.345, 4e-6), Cost("shifted", 1234.5, 2e-3)],
        schema="name kind\nmass <number>",
        figures={"Steps": quality_against_nfe([Quality("heun", 4, 0.1), Quality("heun", 8, 0.05)])},
    )
    return path.read_text(encoding="utf-8")


def test_everything_is_on_the_page_in_order(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.headings == [
        *("Jets & <more>", "Quality", "Cost", "Columns", "Categories and other columns", "Copies of training events"),
        *("Distributions", "Correlations", "Pairs", "Steps", "Schema", "Provenance"),
    ]
    assert "mass &lt;number&gt;" in page


def test_categories_are_in_the_headline_and_in_a_table(tmp_path):
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], 400)
    real = {
        "sex": sex,
        "relationship": np.where(sex == "f", "wife", "husband"),
        "x": (sex == "f") + rng.normal(size=400),
    }
    made = real | {"relationship": rng.permutation(real["relationship"])}
    measured = report(real, made, classifiers=(), n_bootstrap=10)
    assert measured.scores.association.value > 0.8
    assert measured.scores.pairs[0].first == "sex"
    assert measured.scores.pairs[0].second == "relationship"
    assert Report.from_dict(measured.to_dict()).scores.pairs == measured.scores.pairs
    html_report(measured, pa.table(real), pa.table(made), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "largest error of an association with a category" in text
    assert "sex, relationship" in text
    assert "Relations" in Page(text).headings
    broken = next(row for table in Page(text).tables for row in table if row[0] == "sex determines relationship")
    assert 40 < float(broken[-1].rstrip("%")) < 60


def test_the_page_needs_nothing_else(page):
    parsed = Page(page)
    pictures = [address for address in parsed.addresses if address.startswith("data:image/png;base64,")]
    assert pictures == parsed.addresses
    assert len(pictures) == 4
    assert all(base64.b64decode(p.partition(",")[2])[:4] == b"\x89PNG" for p in pictures)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)


def test_numbers_stand_beside_their_floor(page, measured):
    quality = Page(page).tables[0]
    assert quality[0] == ["", "real against real", "buff", "shifted"]
    rows = {row[0]: row[1:] for row in quality[1:]}
    good, poor = measured
    key = "mean Wasserstein distance of numbers [σ]"
    assert rows[key][0] == str(good.floor.wasserstein)
    ratio = poor.scores.wasserstein.value / good.floor.wasserstein.value
    assert rows[key][2] == f"{poor.scores.wasserstein} {ratio:.2f} × floor"
    assert rows["AUC of boosted trees, real against generated"][1:] == [
        *(str(good.scores.trees), str(poor.scores.trees)),
    ]
    assert "AUC of a neural network, real against generated" not in rows


def test_every_number_of_a_report_has_a_row(tmp_path):
    scores = report(events(0), events(1), classifiers=tuple(JUDGES), seeds=1, n_bootstrap=2)
    html_report(scores, events(0), events(1), tmp_path / "page.html", figures={})
    whole = Page((tmp_path / "page.html").read_text()).tables[0]
    values = (getattr(scores.scores, name) for name in (*JUDGES, *MEASURES))
    assert len(whole) - 1 == sum(value is not None for value in values)


def test_costs_and_columns_have_units(page, measured):
    _, costs, columns, _, copies = Page(page).tables
    assert costs[0] == ["", "training [s]", "sampling [µs an event]"]
    assert costs[1:] == [["buff", "12.3", "4.0"], ["shifted", "1,234.5", "2,000.0"]]
    assert columns[0][2:6] == ["real against real", "distance", "real against real", "separation power"]
    assert columns[1][4] == str(measured[0].floor.columns[0].separation)
    assert copies[1][5] == copies_verdict(measured[0].memorisation).words
    assert [row[0] for row in columns[1:]] == ["mass [GeV]", "n", "flavour"]
    assert columns[1][2] == str(measured[0].floor.columns[0].distance)
    assert copies[1][0] == "buff"
    assert len(copies) == 2


def test_far_and_near_look_different(page):
    assert re.search(r'class="poor">0\.9', page)  # the AUC of the shifted sample
    assert re.search(r'class="card (good|fair)"', page)


def test_what_is_not_known_is_left_out(tmp_path):
    plain = report(events(0), events(1), classifiers=(), floor=False, n_bootstrap=5)
    html_report(plain, pa.table(events(0)), pa.table(events(1)), tmp_path / "page.html", columns=["mass"])
    parsed = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert parsed.headings == [
        *("Generated against real events", "Quality", "Columns", "Categories and other columns"),
        *("Distributions", "Provenance"),
    ]


def test_long_tables_are_thinned_with_their_weights(monkeypatch, tmp_path):
    import buff.plotting

    seen = {}
    monkeypatch.setattr("buff.report.plots._SHOWN", 100)
    monkeypatch.setattr(buff.plotting, "marginals", lambda x, y, *_, **options: seen.update(x=x, y=y, **options))
    monkeypatch.setattr("buff.report.plots.figure_html", lambda *_: "")
    plain = report(events(0), events(1), classifiers=(), floor=False, n_bootstrap=5)
    weights = np.arange(1.0, 251)
    table = pa.table({"mass": weights})
    html_report(plain, table, table.slice(0, 50), tmp_path / "page.html", real_weights=weights)
    assert (seen["x"].num_rows, seen["y"].num_rows) == (100, 50)
    np.testing.assert_array_equal(seen["x"]["mass"], seen["real_weights"])
    assert seen["real_weights"][-1] == 250


def test_a_page_is_whole_or_not_there(tmp_path, measured):
    with pytest.raises(ValueError, match="no common column"):
        html_report(measured[0], pa.table({"a": [1.0]}), pa.table({"b": [1.0]}), tmp_path / "page.html")
    with pytest.raises(FileNotFoundError, match="no such folder for the report"):
        html_report(measured[0], events(0), events(1), tmp_path / "no" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_cores_stand_beside_their_times():
    from buff.report.sections import _cost_table

    (table,) = Page(_cost_table([Cost("buff", 1.0, 1e-6, cores=2), Cost("other", 1.0, 1e-6)])).tables
    assert [row[-1] for row in table] == ["cores", "2", ""]


@pytest.mark.parametrize(
    ("value", "error", "grade"),
    [(1.4, 0.0, "good"), (2.0, 0.05, "fair"), (2.0, 0.3, "good"), (4.0, 0.1, "poor"), (4.0, 0.6, "fair")],
)
def test_colours_allow_for_errors(value, error, grade):
    from buff.report.sections import _grade

    assert _grade(Estimate(value, error), Estimate(1.0, float("nan"))) == grade
    # the floor has an error too
    assert _grade(Estimate(value, error), Estimate(1.0, 2.0)) == "good"
    auc = ClassifierTest(0.5 + (value - 1) / 25, error / 25, 0.1, (0.5,), "trees")
    expected = {1.4: "good", 2.0: "good" if error > 0.2 else "fair", 4.0: "fair" if error > 0.2 else "poor"}
    assert _grade(auc, None) == expected[value]


def test_pairs_show_the_columns_that_are_off(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"c{k}" for k in range(8)]
    real, generated = ({name: rng.normal(size=400) for name in names} for _ in range(2))
    generated["c2"] = generated["c2"] + 3  # a distance
    generated["c7"] = generated["c5"] + 0.1 * generated["c7"]  # a correlation
    measured = report(real, generated, classifiers=(), floor=False, n_bootstrap=5)
    from buff.report.plots import _omitted, _telling, shown

    samples = shown(pa.table(real), None), shown(pa.table(generated), None)
    drawn = _telling(samples, names, measured.scores.columns)
    assert len(drawn) == 6
    assert {"c2", "c5", "c7"} < set(drawn)
    assert drawn == sorted(drawn)
    rest = sorted(set(names) - set(drawn))
    assert _omitted(names, drawn).endswith(f"left out: {', '.join(rest)}.")
    assert _telling(samples, names[:6], ()) == names[:6]


def test_a_page_is_html(tmp_path, measured):
    with pytest.raises(ValueError, match=r"r\.pdf: the page is HTML, give a name that ends in \.html"):
        html_report(measured[0], pa.table(events(0)), pa.table(events(1)), tmp_path / "r.pdf")


def test_undefined_numbers_are_blank():
    from buff.report.sections import _against

    assert _against(Estimate(float("nan"), 0.1), None) == ""
    assert _against(None, None) == ""


def test_the_page_says_where_its_numbers_come_from(tmp_path):
    plain = report(events(0), events(1), classifiers=(), floor=False, n_bootstrap=5)
    given = {"command": "buff evaluate a b", "seed": "3"}
    html_report(plain, pa.table(events(0)), pa.table(events(1)), tmp_path / "page.html", provenance=given)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "command: buff evaluate a b" in text
    assert re.search(r"written: 20\d\d-\d\d-\d\d \d\d:\d\d UTC by buff \d", text)


def test_names_that_are_half_a_formula_are_drawn_as_they_are(tmp_path):
    tables = [pa.table({r"$\frac{1}{2$": events(k)["mass"], "net $": events(k)["mass"] ** 2}) for k in range(2)]
    measured = report(*(t.to_pandas() for t in tables), classifiers=(), floor=False, n_bootstrap=5)
    html_report(measured, *tables, tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()
