import numpy as np
import pytest

from buff import metrics

TWO_SAMPLE = [
    metrics.wasserstein,
    metrics.sliced_wasserstein,
    metrics.energy_distance,
    metrics.mmd,
    metrics.separation_power,
    metrics.correlation_distance,
    metrics.frechet_distance,
    metrics.fpd,
    metrics.kpd,
    metrics.c2st,
    metrics.precision_recall,
]
WEIGHTED = [metric for metric in TWO_SAMPLE if metric is not metrics.precision_recall]


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    return rng.normal(size=(200, 2)), rng.normal(0.3, 1.0, size=(150, 2))


def columns(metric, x):
    return x[:, 0] if metric is metrics.separation_power else x


@pytest.mark.parametrize("metric", TWO_SAMPLE)
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.array(["a", "b"]), TypeError, "numbers expected"),
        (np.empty((0, 2)), ValueError, "at least one row"),
        (np.zeros((2, 2, 2)), ValueError, r"shape \(n, d\)"),
        (np.full((200, 2), np.inf), ValueError, "column 0 holds 200"),
    ],
)
def test_bad_samples_are_named(metric, pair, bad, error, message):
    with pytest.raises(error, match=f"generated: .*{message}"):
        metric(columns(metric, pair[0]), bad)


@pytest.mark.parametrize("metric", [m for m in TWO_SAMPLE if m is not metrics.separation_power])
def test_column_counts_must_agree(metric, pair):
    with pytest.raises(ValueError, match=r"real has 2 column\(s\), generated 1"):
        metric(pair[0], pair[1][:, :1])


@pytest.mark.parametrize("metric", WEIGHTED)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"shape \(150,\) expected"),
        (np.full(150, np.nan), "150 of 150 values are not finite"),
        (np.full(150, -1.0), "must be positive"),
    ],
)
def test_bad_weights_are_named(metric, pair, weights, message):
    x, y = (columns(metric, sample) for sample in pair)
    with pytest.raises(ValueError, match=f"generated_weights: .*{message}"):
        metric(x, y, generated_weights=weights)


@pytest.mark.parametrize("metric", WEIGHTED)
def test_unit_weights_change_nothing_and_a_seed_repeats(metric, pair):
    x, y = (columns(metric, sample) for sample in pair)
    plain = metric(x, y, random_state=5)
    assert tuple(plain) == tuple(metric(x, y, random_state=5))
    weighted = metric(x, y, real_weights=np.ones(200), generated_weights=np.full(150, 3.0), random_state=5)
    assert tuple(weighted) == pytest.approx(tuple(plain), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("scale", [1e200, 1e308])
def test_columns_too_large_to_square_are_refused(scale):
    x = np.array([-scale, 0.0, scale])
    for metric in (metrics.wasserstein, metrics.separation_power, metrics.c2st):
        with pytest.raises(ValueError, match=r"real: column 0 holds .* too large to be squared"):
            metric(x, x)


def test_signed_weights_without_a_variance_are_refused():
    with pytest.raises(ValueError, match=r"column 0 has variance -[0-9.]+ and so no standard deviation"):
        metrics.wasserstein([-9.0, 0.0, 9.0], [0.0], real_weights=[-1, 3, -1])


def test_read_only_samples_and_integers_are_fine():
    x = np.arange(6)
    x.setflags(write=False)
    assert metrics.wasserstein(x, x + 2, standardise=False).value == pytest.approx(2.0)


METRICS_WITH_ERRORS = [
    (metrics.wasserstein, {}),
    (metrics.sliced_wasserstein, {"n_directions": 20}),
    (metrics.energy_distance, {}),
    (metrics.mmd, {"bandwidth": 1.0}),
    (metrics.separation_power, {"bins": np.linspace(-3, 3, 11)}),
    (metrics.correlation_distance, {}),
    (metrics.frechet_distance, {}),
]


def draw(metric, n, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, 2))
    y = y * 1.5 + 0.4
    y[:, 1] += 0.5 * y[:, 0]
    return columns(metric, x), columns(metric, y)


@pytest.mark.parametrize(("metric", "settings"), METRICS_WITH_ERRORS)
def test_quoted_error_is_the_spread_over_repeated_draws(metric, settings):
    results = np.array([tuple(metric(*draw(metric, 300, seed), **settings)) for seed in range(60)])
    spread = results[:, 0].std(ddof=1)
    assert results[:, 1].mean() == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(("metric", "settings"), METRICS_WITH_ERRORS)
def test_error_falls_as_the_root_of_the_sample_size(metric, settings):
    small = np.mean([metric(*draw(metric, 100, seed), **settings).error for seed in range(10)])
    large = np.mean([metric(*draw(metric, 1600, seed), **settings).error for seed in range(3)])
    assert small / large == pytest.approx(4.0, rel=0.3)
