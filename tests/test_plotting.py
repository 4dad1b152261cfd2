"""Pictures: what is drawn are the numbers, every axis says what it shows, and nothing is lost or cut off."""

import re
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest

from buff.datasets import Column, Table
from buff.errors import MissingExtraError
from buff.plotting import (
    Quality,
    associations,
    corner,
    correlation_difference,
    flow_trajectory,
    marginals,
    observables,
    quality_against_nfe,
)
from buff.plotting.pairs import Pair, level_of
from buff.plotting.panels import shares
from buff.plotting.style import unit_text

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def no_global_state():
    before = dict(matplotlib.rcParams)
    yield
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def jets(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    mass = rng.gamma(20, 7, n) + shift
    return pa.table(
        {
            "mass": mass,
            "pt": 400 + 2 * mass + rng.exponential(60, n),
            "n": rng.poisson(28, n),
            "flavour": rng.choice(["top", "gluon", "quark"], n, p=[0.2, 0.3, 0.5]),
            "tagged": rng.random(n) < 0.4,
            "when": pa.array(rng.integers(1_300_000_000, 1_350_000_000, n), pa.timestamp("s")),
            "width": np.where(rng.random(n) < 0.1, np.nan, rng.beta(2, 8, n)),
        }
    )


UNITS = {"mass": "GeV", "pt": "GeV"}


def is_whole(figure):
    """Draw the figure; whether all its text and frames lie on the sheet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
        box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def frames(figure):
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


def test_kinds_and_labels_of_columns():
    drawn = {o.name: o for o in observables(jets(500, 0), jets(300, 1), units=UNITS)}
    assert {name: o.kind for name, o in drawn.items()} == {
        "mass": "continuous", "pt": "continuous", "n": "integer", "width": "continuous",
        "flavour": "categorical", "tagged": "boolean", "when": "datetime",
    }  # fmt: skip
    assert drawn["mass"].label == "mass [GeV]"
    assert drawn["n"].label == "n"
    assert drawn["flavour"].categories == ("quark", "gluon", "top")
    assert np.bincount(drawn["flavour"].generated.astype(int)).sum() == 300


def test_units_come_with_tables_of_datasets():
    table = Table((Column("mass", "GeV"), Column("tau21")), {"mass": np.arange(5.0) + 0.5, "tau21": np.ones(5)})
    assert [o.label for o in observables(table, table)] == ["mass [GeV]", "tau21"]


def test_times_are_numbers_and_types_must_agree():
    spans = pa.table(
        {"gap": pa.array([1_500, None, 4_000], pa.duration("ms")), "at": pa.array([60, 0, 1], pa.time32("s"))}
    )
    gap, at = observables(spans, spans)
    assert (gap.label, gap.kind, at.label) == ("gap [s]", "datetime", "at [s]")
    np.testing.assert_allclose(gap.real, [1.5, np.nan, 4.0])
    np.testing.assert_allclose(at.real, [60, 0, 1])
    (day,) = observables(*[pa.table({"d": pa.array([19_000], pa.date32())})] * 2)
    assert (day.kind, day.calendar, day.real[0]) == ("constant", True, 19_000)
    with pytest.raises(ValueError, match="'a' is Int64 in real and String in generated"):
        observables(pa.table({"a": [1]}), pa.table({"a": ["1"]}))


def test_rare_and_missing_categories_are_shown():
    words = pa.table({"c": [f"c{k:02d}" for k in range(40) for _ in range(100 - k)] + [None] * 300})
    (drawn,) = observables(words, words)
    assert drawn.categories[0] == "missing"
    assert drawn.categories[-1] == "other"
    assert len(drawn.categories) == 12
    counts = shares(drawn.real, drawn.edges(30)).value
    assert counts[1] == pytest.approx(300 / words.num_rows)
    assert counts[0] == counts[-1] == 0


def test_bins_hold_whole_integers_and_nearly_everything():
    for o in observables(jets(5000, 0), jets(5000, 1)):
        edges = o.edges(30)
        known = o.real[np.isfinite(o.real)]
        assert np.mean((known < edges[0]) | (known > edges[-1])) <= 1.2e-3
        if o.discrete:
            assert np.all(np.diff(edges) == np.diff(edges)[0])
            assert np.all(edges % 1 == 0.5)
    (wide,) = observables(np.arange(0, 100_000, 7), np.arange(100))
    assert len(wide.edges(30)) <= 62
    assert np.all(np.diff(wide.edges(30)) == 1667)


def test_shares_know_weights_outliers_and_gaps():
    values = np.array([0.1, 0.2, 1.5, -3.0, 7.0, np.nan])
    edges = np.array([0.0, 1.0, 2.0])
    plain = shares(values, edges)
    np.testing.assert_allclose(plain.value, [0.2, 0.4, 0.2, 0.2])
    np.testing.assert_allclose(plain.error, np.sqrt([1, 2, 1, 1]) / 5)
    weighted = shares(values, edges, [1, -0.5, 2, 1, 1, 9])
    np.testing.assert_allclose(weighted.value, np.array([1, 0.5, 2, 1]) / 4.5)
    np.testing.assert_allclose(weighted.error, np.sqrt([1, 1.25, 4, 1]) / 4.5)
    with pytest.raises(ValueError, match=r"weights: shape \(6,\) expected"):
        shares(values, edges, [1.0])


def test_marginals_draw_the_shares_and_their_ratio():
    real = np.repeat([0.5, 1.5, 2, 3], [100, 300, 400, 200])[:, None]
    generated = np.repeat([0.5, 1.5, 2, 3], [120, 290, 380, 210])[:, None]
    upper, lower = marginals(real, generated, bins=4, log=False).axes
    drawn = [patch.get_data().values * 0.625 for patch in upper.patches if hasattr(patch, "get_data")]
    for counts in ([0.1, 0.3, 0.4, 0.2], [0.12, 0.29, 0.38, 0.21]):
        assert any(np.allclose(values, counts) for values in drawn)
    np.testing.assert_allclose(lower.containers[0].lines[0].get_ydata(), [1.2, 29 / 30, 0.95, 1.05])
    band = lower.patches[0].get_data()
    np.testing.assert_allclose(band.values - band.baseline, 2 / np.sqrt([100, 300, 400, 200]))


def test_marginals_say_everything():
    figure = marginals(jets(1500, 0), jets(1200, 1, shift=3), units=UNITS)
    upper, lower = frames(figure)[::2], frames(figure)[1::2]
    assert [axes.get_xlabel() for axes in lower] == [
        *("mass [GeV]", "pt [GeV]", "n", "flavour", "tagged", "when", "width"),
    ]
    assert all(axes.get_ylabel() == "ratio" for axes in lower)
    assert upper[0].get_ylabel() == "density [1/GeV]"
    assert upper[2].get_ylabel() == "share of events"
    notes = [axes.texts[0].get_text() for axes in upper]
    assert all(r"\chi^2/n" in note for note in notes)
    assert "missing" in notes[-1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["real", "generated", "statistical errors", "beyond the axis"]
    assert is_whole(figure)


def test_what_lies_beyond_the_axis_is_seen():
    real = np.random.default_rng(0).normal(size=(1000, 1))
    figure = marginals(real, np.vstack([real, np.full((100, 1), 50.0)]))
    edges = observables(real, real)[0].edges(30)
    assert frames(figure)[0].get_xlim()[1] > edges[-1]
    assert frames(figure)[0].get_xlim()[0] == edges[0]


def test_weights_are_repeated_events():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(400, 2)), rng.normal(size=(300, 2))
    repeats = rng.integers(1, 4, 400)
    repeated = np.repeat(real, repeats, axis=0)
    edges = observables(real, generated)[0].edges(30)
    weighted = shares(real[:, 0], edges, repeats)
    np.testing.assert_allclose(weighted.value, shares(repeated[:, 0], edges).value)
    correlation = associations(observables(real, generated), repeats)[0][0, 1]
    assert correlation == pytest.approx(np.corrcoef(repeated.T)[0, 1])
    bars = marginals(real, generated, real_weights=repeats).axes[0].patches[0].get_data().values
    assert np.sum(bars) * (edges[1] - edges[0]) == pytest.approx(1.0)


def test_odd_columns_are_drawn():
    n = 50
    odd = pa.table(
        {
            "constant": np.full(n, 3.5),
            "nothing": pa.array([None] * n, pa.float64()),
            "one": pa.array(["a"] * n),
            "huge": np.linspace(0, 1e300, n),
            "spike": np.r_[np.zeros(n - 1), 1e9],
            "infinite": np.r_[np.inf, np.arange(n - 1) / 7],
        }
    )
    assert is_whole(marginals(odd, odd))
    assert is_whole(marginals(odd.slice(0, 1), odd))
    assert corner(odd, odd) is not None
    assert correlation_difference(odd, odd) is not None


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (marginals, "a_long_name_"),
        (corner, "a_long_name_"),
        (corner, "x"),
        (correlation_difference, "a_long_name_"),
    ],
)
def test_twelve_columns_fit_on_the_sheet(draw, name):
    rng = np.random.default_rng(0)
    names = [f"{name}{k}" for k in range(12)]
    real, generated = rng.normal(size=(2, 300, 12)) * 1e4
    assert is_whole(draw(real, generated, names))


def test_contours_hold_the_share_they_say():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 100_000))
    edges = np.linspace(-5, 5, 101)
    density = Pair(x, y, np.ones(len(x)), edges, edges, True).counts()
    level = level_of(density, 0.5)
    # half of a standard normal pair lies within the radius sqrt(2 ln 2)
    radius = np.sqrt(np.sum(density >= level) * 0.01 / np.pi)
    assert radius == pytest.approx(np.sqrt(2 * np.log(2)), rel=0.03)


def test_corner_labels_its_rim_and_writes_correlations():
    real, generated = jets(800, 0), jets(800, 1)
    figure = corner(real, generated, ["mass", "pt", "flavour", "tagged"], units=UNITS)
    assert len(figure.axes) == 10
    assert [axes.get_xlabel() for axes in figure.axes[6:]] == ["mass [GeV]", "pt [GeV]", "flavour", "tagged"]
    assert [figure.axes[k].get_ylabel() for k in (1, 3, 6)] == ["pt [GeV]", "flavour", "tagged"]
    expected = np.corrcoef(real["mass"], real["pt"])[0, 1]
    assert float(figure.texts[0].get_text()) == pytest.approx(expected, abs=0.006)
    assert is_whole(figure)
    with pytest.raises(ValueError, match="two rising shares"):
        corner(real, generated, ["mass", "pt"], inside=(0.9, 0.5))


def test_associations_of_each_kind():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 20_000)
    table = pa.table(
        {
            "x": rng.normal(size=20_000) + 2 * group,  # between 1, within 1: ratio sqrt(1/2)
            "g": np.array(["a", "b"])[group],
            "same": np.array(["u", "v"])[group],
            "free": np.array(["u", "v", "w"])[rng.integers(0, 3, 20_000)],
        }
    )
    real, generated = associations(observables(table, table.slice(0, 10_000)))
    assert real[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert real[1, 2] == pytest.approx(1.0)
    assert real[1, 3] < 0.03
    np.testing.assert_array_equal(real, real.T)
    assert generated[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_a_changed_correlation_stands_out():
    rng = np.random.default_rng(0)
    real = rng.multivariate_normal([0, 0, 0], [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]], 5000)
    generated = rng.multivariate_normal([0, 0, 0], [[1, 0.1, 0], [0.1, 1, 0], [0, 0, 1]], 5000)
    figure = correlation_difference(real, generated, ["a", "b", "c"])
    right = figure.axes[1]
    numbers = {tuple(np.round(text.get_position(), 1)): text for text in right.texts}
    assert float(numbers[0, 0].get_text().replace("−", "-")) == pytest.approx(-0.4, abs=0.05)
    assert numbers[0, 0].get_color() in {"black", "white"}
    assert numbers[0, 0].get_alpha() is None
    assert numbers[0, 1].get_alpha() < 1  # nothing but noise
    # each panel's bar lies below it and says what it shows
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert [bar.get_xlabel() for bar in bars] == ["correlation", "difference"]
    for panel, bar in zip(figure.axes[:2], bars, strict=True):
        above, below = panel.get_position(), bar.get_position()
        assert below.y1 < above.y0
        assert above.x0 < (below.x0 + below.x1) / 2 < above.x1
    assert is_whole(figure)
    with pytest.raises(ValueError, match="at least two columns are needed, found a"):
        correlation_difference(real[:, :1], generated[:, :1], ["a"])


def test_numbers_can_be_read_on_their_cells():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    figure = correlation_difference(real, rng.normal(size=(500, 6)), list("abcdef"))
    seen = set()
    for panel in figure.axes[:2]:
        image = panel.images[0]
        for text in panel.texts:
            column, row = text.get_position()
            luma = np.dot(image.to_rgba(image.get_array()[int(row), int(column)])[:3], (0.299, 0.587, 0.114))
            assert text.get_color() == ("white" if luma < 0.5 else "black")
            seen.add(text.get_color())
    assert seen == {"white", "black"}


def test_units_are_set_as_symbols():
    table = pa.table({"mass": np.linspace(0.1, 0.3, 50), "ecf2": np.linspace(1e-4, 8e-4, 50)})
    units = {"mass": "pT", "ecf2": "pT^2"}
    labels = [axes.get_xlabel() for axes in frames(marginals(table, table, units=units))[1::2]]
    assert labels == ["mass [$p_T$]", "ecf2 [$p_T^{2}$]"]
    assert unit_text("US$") == "US$"


def test_corner_names_common_factors_and_years_in_labels():
    n = 200
    table = pa.table(
        {
            "ecf2": np.linspace(1e-4, 8e-4, n),
            "run": np.arange(n) // 2 + 350_000,
            "energy": np.linspace(0, 9e7, n),
            "when": pa.array(np.linspace(1_704_200_000, 1_720_000_000, n).astype(int), pa.timestamp("s")),
        }
    )
    figure = corner(table, table, units={"ecf2": "pT^2", "energy": "eV"})
    labels = [axes.get_xlabel() for axes in figure.axes[-4:]]
    assert labels == ["ecf2 [$10^{-4}$ $p_T^{2}$]", "run", "energy [$10^{7}$ eV]", "when, 2024"]
    assert is_whole(figure)
    for axes in figure.axes:
        assert not axes.xaxis.get_offset_text().get_visible()
        assert not (len(axes.get_yticks()) and axes.yaxis.get_offset_text().get_visible())
    ticks = [re.search(r"[0-9.]+", text.get_text())[0] for text in figure.axes[6].get_xticklabels()]
    assert all(1 <= float(tick) <= 8 for tick in ticks)  # times 10^-4


def test_few_whole_numbers_are_drawn_as_cells():
    rng = np.random.default_rng(0)
    n_jets, mass = rng.poisson(4, 4000), rng.normal(size=4000)
    table = pa.table({"mass": mass, "n_jets": n_jets})
    figure = corner(table, table)
    outlines = figure.axes[1].collections[-1]
    heights = np.concatenate([path.vertices[:, 1] for path in outlines.get_paths() if len(path.vertices)])
    assert len(heights) > 20
    # lines run along the sides of the cells, which are halfway between whole numbers
    assert np.abs(heights % 1 - 0.5).max() < 5e-3


def test_trajectory_draws_the_paths_given():
    noise = np.random.default_rng(0).normal(size=(50, 3))
    times = [0.0, 0.25, 1.0]
    states = [noise * (1 - t) + 5 * t for t in times]
    figure = flow_trajectory(iter(states), times, ["px", "py", "pz"], units={"px": "GeV"}, n_paths=20)
    plane, upper, lower = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    segments = np.array(plane.collections[0].get_segments())
    np.testing.assert_allclose(segments[0], [states[0][0, :2], states[1][0, :2]])
    assert len(segments) == 2 * 20
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("px [GeV]", "py")
    assert (upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()) == ("px [GeV]", "py", "time $t$")
    np.testing.assert_allclose(upper.lines[-1].get_ydata(), [np.median(s[:, 0]) for s in states])
    assert is_whole(figure)
    tables = [pa.table({"u": s[:, 0], "v": s[:, 2]}) for s in states]
    assert flow_trajectory(tables, columns=["v", "u"]).axes[0].get_xlabel() == "v"
    with pytest.raises(ValueError, match="3 states need as many times"):
        flow_trajectory(states, [0, 1])
    with pytest.raises(ValueError, match="at least two states are needed, not 1"):
        flow_trajectory(states[:1])


def test_quality_is_drawn_in_order_with_its_floor():
    records = [Quality(name, nfe, 1 / nfe, 0.1 / nfe) for name in ("heun", "euler") for nfe in (16, 4, 8)]
    figure = quality_against_nfe(records, metric="$W_1$ [GeV]", floor=(0.05, 0.01))
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [4, 8, 16])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1 / 4, 1 / 8, 1 / 16])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "heun",
        "euler",
        "real against real",
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("field evaluations an event", "$W_1$ [GeV]")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4", "8", "16"]
    assert is_whole(figure)
    with pytest.raises(ValueError, match="records is empty"):
        quality_against_nfe([])


def test_many_lines_look_different_and_are_named_beside_the_frame():
    records = [Quality(f"solver {k}", nfe, (1 + k / 10) / nfe) for k in range(20) for nfe in (4, 8)]
    figure = quality_against_nfe(records, floor=(0.05, 0.01))
    (axes,), lines = figure.axes, figure.axes[0].lines[:20]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 20
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 20
    assert axes.get_legend() is None
    (legend,) = figure.legends
    figure.draw_without_rendering()
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
    assert is_whole(figure)


def test_styles_of_mplhep(tmp_path):
    rng = np.random.default_rng(0)
    figure = marginals(rng.normal(size=(300, 1)), rng.normal(size=(300, 1)), ["x"], style="ATLAS")
    plain = marginals(rng.normal(size=(300, 1)), rng.normal(size=(300, 1)), ["x"])
    assert figure.get_figwidth() > plain.get_figwidth()
    with pytest.raises(ValueError, match=r"no style 'XYZ'; mplhep has .*CMS"):
        marginals(rng.normal(size=(30, 1)), rng.normal(size=(30, 1)), style="XYZ")


def test_wrong_tables_are_told():
    x = np.zeros((3, 2))
    for real, generated, columns, message in [
        (pa.table({"a": [1.0]}), pa.table({"b": [1.0]}), None, "no common column"),
        (pa.table({"a": [1.0]}), pa.table({"b": [1.0]}), ["a"], "generated has no column 'a'; it has b"),
        (x[:0], x, ["a", "b"], "real has no rows"),
        (x, x, ["a"], "columns: 2 different names expected for real"),
    ]:
        with pytest.raises(ValueError, match=message):
            marginals(real, generated, columns)


def test_a_missing_extra_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mplhep", None)
    with pytest.raises(MissingExtraError, match=r"mplhep is not installed: pip install .*\[plot\]"):
        marginals(np.zeros((3, 1)), np.zeros((3, 1)))


def test_several_models_stand_beside_the_truth_in_given_bins_and_names():
    real, one, two = (jets(400, seed, shift) for seed, shift in ((0, 0.0), (1, 0.0), (2, 15.0)))
    figure = marginals(
        real,
        one,
        ["mass", "n"],
        labels=("truth", "trees"),
        others={"copula": two},
        bins={"mass": [0, 100, 150, 300]},
        names={"mass": "$m_J$"},
        experiment="CMS Preliminary",
    )
    assert is_whole(figure)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:3] == ["truth", "trees", "copula"]
    upper, lower = figure.axes[:2]
    assert lower.get_xlabel() == "$m_J$"
    notes = [text.get_text() for text in upper.texts]
    assert sum("chi" in note for note in notes) == 2
    assert (upper.get_title("left"), notes.count("Preliminary")) == ("CMS", 1)
    heights = {axes.get_position().y1 for axes in (figure.axes[0], figure.axes[2])}
    assert np.ptp([*heights]) < 1e-9  # panels stay level
    mass = np.asarray(real["mass"])
    heights = [patch.get_data().values for patch in upper.patches if hasattr(patch, "get_data")]
    inside = np.histogram(mass, [0, 100, 150, 300])[0] / len(mass) / [100, 50, 150]
    assert any(np.allclose(values[: len(inside)], inside) for values in heights if len(values) >= 3)


def test_panels_for_each_label():
    real, generated = jets(400, 0), jets(400, 1)
    figure = marginals(real, generated, ["mass", "pt", "flavour"], by="flavour", real_weights=np.ones(400))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert sorted(set(titles)) == ["flavour = gluon", "flavour = quark", "flavour = top"]
    assert len(titles) == 6
    assert is_whole(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": {"masss": 3}}, "bins names the unknown column 'masss'; the columns are mass, pt"),
        ({"bins": {"mass": [3, 2]}}, "bins of 'mass' must be a number or rising edges"),
        ({"names": {"x": "y"}}, "names names the unknown column 'x'"),
        ({"by": "mass"}, "by='mass' has 400 values|by='mass' has 800 values"),
    ],
)
def test_bad_bins_names_and_labels(options, message):
    with pytest.raises(ValueError, match=message):
        marginals(jets(400, 0), jets(400, 1), ["mass", "pt"], **options)


def test_ids_are_not_drawn_and_angles_are():
    rng = np.random.default_rng(0)
    table = {"row": np.arange(200), "phi": rng.uniform(-3, 3, 200), "x": rng.normal(size=200)}
    assert [o.name for o in observables(table, table)] == ["phi", "x"]
    drawn = observables(table, table, schema={"row": "integer", "phi": "angle", "x": "drop"})
    assert [(o.name, o.kind) for o in drawn] == [("row", "integer"), ("phi", "angle")]
    assert marginals(table, table, schema={"phi": "angle"}).axes


@pytest.mark.parametrize("days", [2, 10, 45, 80, 500, 800, 1100, 2000, 8000])
def test_dates_of_any_span_have_ticks(days):
    rng = np.random.default_rng(0)
    table = {"when": np.datetime64("2021-01-05") + rng.integers(0, days, 300), "x": rng.normal(size=300)}
    for draw in (marginals, corner):
        figure = draw(table, table)
        figure.canvas.draw()
