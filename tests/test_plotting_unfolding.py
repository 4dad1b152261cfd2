"""Pictures of unfolding: what is drawn are the numbers, and every axis says what it shows."""

import warnings

import numpy as np
import pytest

from buff.datasets import gaussian_2d
from buff.metrics import conditional_means, migration_matrix, posterior_places, tarp
from buff.plotting import bin_correlations, calibration, convergence, mean_truth, migration, unfolded_spectrum

matplotlib = pytest.importorskip("matplotlib")

EDGES = np.array([0.0, 1.0, 2.0, 4.0])
UNFOLDED, TRUTH, ERROR = np.array([90.0, 210.0, 80.0]), np.array([100.0, 200.0, 80.0]), np.array([5.0, 8.0, 6.0])


@pytest.fixture(autouse=True)
def no_global_state():
    before = dict(matplotlib.rcParams)
    yield
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def is_whole(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
        box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def points(axes):
    """Points with bars: x, y and the half lengths of the bars."""
    (container,) = axes.containers
    data, _, (bars,) = container.lines
    return *data.get_data(), [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]


def chi2_of(figure):
    (note,) = (text.get_text() for text in figure.axes[0].texts)
    return note.partition("= ")[2] or note


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_spectrum_shows_densities_errors_and_ratio():
    figure = unfolded_spectrum(EDGES, UNFOLDED, error=ERROR, truth=TRUTH, name="mass", unit="GeV")
    assert is_whole(figure)
    upper, lower = figure.axes
    x, y, bars = points(upper)
    np.testing.assert_allclose(x, [0.5, 1.5, 3.0])
    np.testing.assert_allclose(y, UNFOLDED / [1, 1, 2])
    np.testing.assert_allclose(bars, ERROR / [1, 1, 2])
    np.testing.assert_allclose(points(lower)[1], UNFOLDED / TRUTH)
    np.testing.assert_allclose(points(lower)[2], ERROR / TRUTH)
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("events / GeV", "mass [GeV]")
    assert lower.get_ylabel() == "ratio to\ntruth"
    assert upper.get_xlim() == lower.get_xlim() == (0, 4)


def test_chi_squared_uses_the_covariance_and_the_errors_of_truth():
    difference = UNFOLDED - TRUTH
    plain = difference @ (difference / (ERROR**2 + 3.0**2))
    settings = {"error": ERROR, "truth": TRUTH, "truth_error": np.full(3, 3.0)}
    assert chi2_of(unfolded_spectrum(EDGES, UNFOLDED, **settings)) == f"{plain:.1f}/3"
    matrix = np.diag(2 * ERROR**2) + 10.0
    full = difference @ np.linalg.solve(matrix + 9 * np.eye(3), difference)
    assert chi2_of(unfolded_spectrum(EDGES, UNFOLDED, covariance=matrix, **settings)) == f"{full:.1f}/3"


def test_chi_squared_of_few_replicas_counts_their_directions():
    replicas = UNFOLDED + np.outer([1.0, -1.0], [5.0, -3.0, 2.0])
    figure = unfolded_spectrum(EDGES, UNFOLDED, covariance=np.cov(replicas.T), truth=UNFOLDED - [5.0, -3.0, 2.0])
    assert chi2_of(figure) == "0.5/1"


def test_chi_squared_of_estimated_covariances_needs_replicas():
    given = {"covariance": np.eye(3), "truth": UNFOLDED - 1}
    assert chi2_of(unfolded_spectrum(EDGES, UNFOLDED, **given)) == "3.0/3"
    assert chi2_of(unfolded_spectrum(EDGES, UNFOLDED, n_replicas=11, **given)) == "1.8/3, 11 replicas"  # (11 - 5) / 10
    assert chi2_of(unfolded_spectrum(EDGES, UNFOLDED, n_replicas=5, **given)).endswith("needs 6 replicas")


def test_correlations_within_their_noise_are_grey():
    figure = bin_correlations([[1, 0.1, 0.9], [0.1, 1, 0], [0.9, 0, 1]], EDGES, n_replicas=50)
    colours = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert (colours["0.10"], colours["0.90"]) == ("0.6", "white")
    assert figure.axes[1].get_ylabel() == "correlation, 50 replicas"


def test_normalised_spectra_have_unit_area():
    figure = unfolded_spectrum(EDGES, UNFOLDED, truth=TRUTH, reco=3 * TRUTH, normalise=True, unit="GeV")
    assert points(figure.axes[0])[1] @ np.diff(EDGES) == pytest.approx(1)
    assert figure.axes[0].get_ylabel() == "density / GeV"
    curves = [patch.get_data().values for patch in figure.axes[0].patches if hasattr(patch, "get_data")]
    assert all(values @ np.diff(EDGES) == pytest.approx(1) for values in curves)


def test_spectrum_without_truth():
    figure = unfolded_spectrum(EDGES, UNFOLDED, labels={"unfolded": "data"})
    assert len(figure.axes) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data"]
    against_prior = unfolded_spectrum(EDGES, UNFOLDED, prior=TRUTH, covariance=np.diag(ERROR**2))
    assert against_prior.axes[1].get_ylabel() == "ratio to\nsimulated truth"
    assert legend_of(against_prior)[-2:] == ["total error", "unfolded"]
    assert not against_prior.axes[0].texts  # chi-squared to a prior means nothing


def test_errors_are_a_band_around_the_points_where_there_is_no_covariance():
    figure = unfolded_spectrum(EDGES, UNFOLDED, error=ERROR, prior=TRUTH)
    assert "statistical error" in legend_of(figure)
    for axes, below in zip(figure.axes, (np.diff(EDGES), TRUTH), strict=True):
        band = next(p.get_data() for p in axes.patches if p.get_alpha() == 0.25)
        np.testing.assert_allclose(band.values, (UNFOLDED + ERROR) / below)
        np.testing.assert_allclose(band.baseline, (UNFOLDED - ERROR) / below)
    assert "Poisson" in legend_of(unfolded_spectrum(EDGES, UNFOLDED, error=ERROR, labels={"band": "Poisson"}))


def test_negative_and_empty_bins_draw():
    for u, t in (([-5.0, 10.0, 0.0], [1.0, 0.0, 0.0]), ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])):
        figure = unfolded_spectrum(EDGES, u, error=np.ones(3), truth=t)
        assert is_whole(figure)
        assert figure.axes[0].get_ylim()[0] <= min(0, *u)


def test_migration_in_percent():
    sample = gaussian_2d().sample(500, 0)
    matrix = migration_matrix(sample.truth[:, 0], sample.reco[:, 0], EDGES, [-1, 1, 3])
    figure = migration(matrix.probability, matrix.truth_edges, matrix.reco_edges, name="mass", unit="GeV")
    assert is_whole(figure)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true mass [GeV]", "measured mass [GeV]")
    written = {t.get_position(): t.get_text() for t in axes.texts}
    assert written[(0.5, 0.5)] == f"{100 * matrix.probability[0, 0]:.0f}"
    assert written[(2.5, 1.5)] == f"{100 * matrix.probability[2, 1]:.0f}"
    assert [t.get_text() for t in axes.get_yticklabels()] == ["-1", "1", "3"]
    assert not migration(np.full((20, 20), 0.05), np.arange(21.0)).axes[0].texts


def test_correlations_of_bins():
    figure = bin_correlations([[4, 1, 0], [1, 1, 0], [0, 0, 0]], EDGES)
    assert is_whole(figure)
    assert {t.get_position(): t.get_text() for t in figure.axes[0].texts} == {
        (0.5, 0.5): "1.00", (0.5, 1.5): "0.50", (1.5, 0.5): "0.50", (1.5, 1.5): "1.00",
    }  # fmt: skip


@pytest.mark.parametrize("draw", [migration, bin_correlations])
def test_the_bin_of_a_spike_is_a_cell_like_the_others(draw):
    edges = np.array([-1e-6, 1e-6, 10.0, 20.0, 40.0])
    figure = draw(np.full((4, 4), 0.25) + 0.5 * np.eye(4), edges)
    assert is_whole(figure)
    axes = figure.axes[0]
    assert len(axes.texts) == 16
    np.testing.assert_allclose(axes.collections[0].get_coordinates()[0, :, 0], np.arange(5))
    assert [t.get_text() for t in axes.get_xticklabels()] == ["-1e-06", "1e-06", "10", "20", "40"]
    many = draw(np.eye(40), np.arange(41.0))
    assert len(many.axes[0].get_xticks()) <= 13
    assert not many.axes[0].texts


def test_convergence_counts_iterations():
    figure = convergence({"a": [np.nan, 0.1, 0.01], "b": [0.3, 0.2]}, errors={"b": [0.1, 0.1]}, floor=0.005, first=0)
    assert is_whole(figure)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 1, 2])
    assert axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b", "floor"]
    with pytest.raises(ValueError, match="lines is empty"):
        convergence({})


def test_coverage_is_that_of_the_metric():
    problem = gaussian_2d()
    sample = problem.sample(800, 1)
    draws = problem.posterior(sample.reco).sample(30, 2)
    narrow = sample.truth[:, None] + 0.5 * (draws - sample.truth[:, None])
    u = posterior_places(sample.truth, narrow)
    figure = calibration(u, ["mass", "width"], tarp=tarp(sample.truth, narrow))
    assert is_whole(figure)
    assert len(figure.axes) == 3
    left, ranks, right = figure.axes
    lines = {line.get_label(): line.get_data() for line in left.lines}
    off = lines["mass"][1]
    at_68 = np.mean(np.abs(u[:, 0] - 0.5) < 0.34)
    assert off[68] == pytest.approx(100 * at_68 - 68, abs=1e-9)
    assert off[0] == pytest.approx(0)
    assert off[100] == pytest.approx(0)
    steps = [patch.get_data().values for patch in ranks.patches]
    assert all(values.mean() == pytest.approx(1) for values in steps)
    assert "TARP" in right.get_xlabel()


def test_weights_of_places_cancel():
    rng = np.random.default_rng(3)
    u, extra = rng.random((300, 1)), rng.random((100, 1)) ** 3
    plain = calibration(u)
    signed = calibration(np.concatenate([u, extra, extra]), weights=np.repeat([1.0, 1.0, -1.0], [300, 100, 100]))
    for one, other in zip(plain.axes[0].lines[1:], signed.axes[0].lines[1:], strict=True):
        np.testing.assert_allclose(one.get_ydata(), other.get_ydata(), atol=1e-9)


def test_mean_truth_and_difference():
    x, y = np.random.default_rng(4).normal(size=(2, 400))
    truth, drawn = conditional_means(x, x + y, EDGES - 2), conditional_means(x, x - y, EDGES - 2)
    figure = mean_truth(truth, drawn, name="mass", unit="GeV")
    assert is_whole(figure)
    np.testing.assert_allclose(points(figure.axes[0])[1], drawn.value)
    np.testing.assert_allclose(points(figure.axes[1])[1], drawn.value - truth.value)
    assert figure.axes[1].get_xlabel() == "measured mass [GeV]"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: unfolded_spectrum(EDGES, [1, 2]),
            r"unfolded: 3 values expected, one a bin of the edges; found \(2,\)",
        ),
        (lambda: unfolded_spectrum(EDGES, UNFOLDED, covariance=np.eye(2)), r"shape \(3, 3\) expected"),
        (lambda: unfolded_spectrum([1, 0], [1]), "rising edges"),
        (lambda: migration(np.eye(2), EDGES), r"probability: shape \(3, 3\) expected"),
        (lambda: calibration([0.5, 1.5]), "between 0 and 1, found 0.5 to 1.5"),
        (lambda: calibration([0.5, 0.6], ["a", "b"]), "names: 1 expected"),
        (lambda: mean_truth(conditional_means([0.5], [1], [0, 1]), conditional_means([0.5], [1], [0, 2])), "same bins"),
    ],
)
def test_bad_input(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(
    ("edges", "own"), [([-1e-4, 1e-4, 1, 2, 4], 0), ([-1, -1e-4, 1e-4, 1, 2], 1), ([0, 1, 2, 4, 4.001], 3)]
)
def test_a_bin_around_a_spike_is_a_bar_with_its_content(edges, own):
    contents = np.array([80.0, 90, 30, 20])
    figure = unfolded_spectrum(edges, contents, error=np.sqrt(contents), truth=contents, experiment="ABC Simulation")
    axes = figure.axes[0]
    bars = next(patch.get_data() for patch in axes.patches if patch.get_fill())
    width = np.diff(edges)
    np.testing.assert_allclose(bars.values, contents / np.where(np.arange(4) == own, np.median(width), width))
    assert np.diff(bars.edges)[own] == pytest.approx(0.04 * (edges[-1] - edges[0]), rel=0.02)
    assert f"{contents[own]:.0f} in this bin" in [text.get_text() for text in axes.texts]
    assert axes.get_title(loc="left") == "ABC"
