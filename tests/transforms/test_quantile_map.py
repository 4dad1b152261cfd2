import json

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import kstest, wasserstein_distance

from buff.transforms import QuantileMap

N = 20_000


def zero_inflated(rng, n=N):
    return np.where(rng.random(n) < 0.3, 0.0, rng.exponential(size=n))


def spiky(rng, n=N):
    return np.where(rng.random(n) < 0.2, rng.choice([-0.25, 0.1, 1 / 3], n), rng.normal(size=n))


def with_missing(rng, n=N):
    return np.where(rng.random(n) < 0.1, np.nan, zero_inflated(rng, n))


COLUMNS = {
    "normal": lambda rng: rng.normal(size=N),
    "lognormal": lambda rng: rng.lognormal(0, 1.5, N),
    "single precision": lambda rng: rng.normal(size=N).astype(np.float32).astype(float),
    "counts": lambda rng: rng.poisson(3, N).astype(float),
    "wide integers": lambda rng: rng.integers(-(10**5), 10**6, N).astype(float),
    "quarter GeV": lambda rng: np.round(rng.exponential(30, N) * 4) / 4,
    "zero inflated": zero_inflated,
    "spikes": spiky,
    "missing": with_missing,
    "irregular levels": lambda rng: np.sqrt(rng.integers(2, 2000, N)),
}


@pytest.fixture(params=COLUMNS)
def column(request):
    return COLUMNS[request.param](np.random.default_rng(5))


def distance(x, y):
    """W1 in standard deviations, and the shares of missing values agree."""
    assert np.isnan(x).mean() == pytest.approx(np.isnan(y).mean(), abs=0.01)
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    return wasserstein_distance(x, y) / x.std()


@pytest.mark.parametrize("extrapolate", [False, True])
def test_round_trip_is_exact_to_a_thousandth(column, extrapolate):
    ranks = QuantileMap.fit(column, extrapolate=extrapolate)
    back = ranks.decode(ranks.encode(column, np.random.default_rng(1)))
    assert distance(column, back) < 1e-3
    np.testing.assert_array_equal(np.isnan(back), np.isnan(column))
    assert len(ranks.line.u) <= 2_000 + 2 * len(ranks.atoms)


def test_scores_are_normal(column):
    z = QuantileMap.fit(column).encode(column, np.random.default_rng(2))
    assert z.dtype == np.float32
    assert kstest(z, "norm").pvalue > 0.05
    assert np.abs(z).max() <= np.float32(-ndtri(0.5 / N))


def test_draws_follow_the_column_and_stay_in_bounds(column):
    rng = np.random.default_rng(3)
    ranks = QuantileMap.fit(column)
    draws = ranks.decode(rng.standard_normal(N))
    assert distance(column, draws) < 3 / np.sqrt(N)
    assert np.nanmin(draws) >= np.nanmin(column)
    assert np.nanmax(draws) <= np.nanmax(column)
    for atom, mass in zip(ranks.atoms, ranks.masses, strict=True):
        assert abs(np.sum(draws == atom) - N * mass) < 5 * np.sqrt(N * mass) + 5
    extreme = ranks.decode(np.array([-40.0, -9.0, 9.0, 40.0]))
    assert np.all(np.isfinite(extreme[2:]))
    if ranks.missing:
        assert np.all(np.isnan(extreme[:2]))


def test_monotone(column):
    ranks = QuantileMap.fit(column)
    values = np.sort(column[~np.isnan(column)])
    assert np.all(np.diff(ranks.encode(values)) >= 0)
    decoded = ranks.decode(np.linspace(-6, 6, 5000))
    assert np.all(np.diff(decoded[~np.isnan(decoded)]) >= 0)
    assert np.all(np.isnan(decoded) == (np.cumsum(np.isnan(decoded)[::-1])[::-1] > 0))  # missing is the lower end


@pytest.mark.parametrize("seed", range(20))
def test_properties_hold_for_random_mixtures(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 500))
    parts = [rng.normal(size=n), rng.integers(0, 4, n), np.round(rng.normal(size=n), 1), np.full(n, np.nan)]
    shares = rng.dirichlet([0.5] * 4)
    x = np.choose(rng.choice(4, n, p=shares), parts) * 10.0 ** rng.integers(-3, 4)
    if np.isnan(x).all():
        return
    ranks = QuantileMap.fit(x, extrapolate=bool(seed % 2), lower=np.nanmin(x))
    z = ranks.encode(x, rng)
    assert np.isfinite(z).all()
    back = ranks.decode(z)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(x))
    atoms = np.isin(x, ranks.atoms)
    np.testing.assert_array_equal(back[atoms], x[atoms])
    draws = ranks.decode(rng.standard_normal(2000))
    known = draws[~np.isnan(draws)]
    assert np.all(known >= np.nanmin(x))
    assert seed % 2 or np.all(known <= np.nanmax(x))
    np.testing.assert_allclose(ranks.line.u[-1], 1)
    np.testing.assert_allclose(ranks.missing, np.isnan(x).mean())


def test_integers_and_lattices_are_never_left(column):
    ranks = QuantileMap.fit(column)
    if ranks.lattice is None:
        return
    draws = ranks.decode(np.random.default_rng(0).standard_normal(5000)) / ranks.lattice.spacing
    np.testing.assert_array_equal(draws, np.rint(draws))


def test_zero_inflation_keeps_its_weight():
    x = zero_inflated(np.random.default_rng(0))
    draws = QuantileMap.fit(x).decode(np.random.default_rng(1).standard_normal(N))
    p = np.mean(x == 0)
    assert abs(np.mean(draws == 0) - p) < 3 * np.sqrt(p * (1 - p) / N)


def test_centre_and_edges_of_an_atom():
    ranks = QuantileMap.fit(np.repeat([0.0, 1.0, 2.0], [50, 30, 20]))
    zero, one = (ranks.encode(np.array([v, v, v])[:1]) for v in (0.0, 1.0))
    np.testing.assert_allclose(zero, ndtri(0.25), rtol=1e-6)
    np.testing.assert_allclose(one, ndtri(0.65), rtol=1e-6)
    np.testing.assert_allclose(ranks.encode(np.array([1.0]), 0.0), ndtri(0.5), atol=1e-7)
    np.testing.assert_allclose(ranks.encode(np.array([1.0]), 1.0), ndtri(0.8), rtol=1e-6)
    np.testing.assert_allclose(ranks.encode(np.array([0.0]), 0.0), ndtri(0.005), rtol=1e-6)


def test_whole_weights_are_repeated_rows():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=400), rng.integers(1, 4, 400)
    weighted, repeated = QuantileMap.fit(x, w.astype(float)), QuantileMap.fit(np.repeat(x, w))
    np.testing.assert_allclose(weighted.line.x, repeated.line.x)
    np.testing.assert_allclose(weighted.line.u, repeated.line.u)
    assert weighted.margin == repeated.margin


def test_weights_move_the_quantiles():
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 50_000)
    ranks = QuantileMap.fit(x, np.exp(-0.5 * x**2))
    draws = ranks.decode(rng.standard_normal(20_000))
    assert kstest(draws, lambda x: (np.vectorize(phi)(x) - phi(-3)) / (phi(3) - phi(-3))).pvalue > 0.01


def phi(x):
    from math import erf, sqrt

    return 0.5 * (1 + erf(x / sqrt(2)))


def test_a_heavy_row_is_no_atom():
    x = np.random.default_rng(0).normal(size=300)
    assert not len(QuantileMap.fit(x, np.full(300, 5.0)).atoms)


def test_tails_reach_beyond_the_sample_and_stop_at_bounds():
    x = np.random.default_rng(0).exponential(size=5000)
    z = np.linspace(3.5, 8, 100)
    clipped, free = QuantileMap.fit(x), QuantileMap.fit(x, extrapolate=True, lower=0.0)
    bounded = QuantileMap.fit(x, extrapolate=True, lower=0.0, upper=12.0)
    assert clipped.decode(z).max() <= x.max()
    assert free.decode(z).max() > 1.5 * x.max()
    assert 11.5 < bounded.decode(z).max() <= 12
    assert free.decode(-z).min() >= 0
    assert np.all(np.diff(free.decode(z)) > 0)
    far = np.array([x.max() * 1.01])
    np.testing.assert_allclose(free.decode(free.encode(far)), free.decode(free.encode(far)))


def test_tails_of_the_column_meet_its_body_without_a_step():
    x = np.random.default_rng(0).normal(size=5000)
    ranks = QuantileMap.fit(x, extrapolate=True)
    z = np.linspace(-6, 6, 20_001)
    y = ranks.decode(z)
    assert np.all(np.diff(y) > 0)
    assert np.diff(y).max() < 0.01


@pytest.mark.parametrize("extrapolate", [False, True])
def test_huge_values(extrapolate):
    rng = np.random.default_rng(0)
    x = rng.choice([-1e308, 1e308], 500) * rng.random(500)
    ranks = QuantileMap.fit(x, extrapolate=extrapolate, lower=-1.5e308, upper=1.5e308)
    back = ranks.decode(ranks.encode(x))
    assert np.isfinite(back).all()
    assert np.median(np.abs(back / x - 1)) < 0.05


def test_all_missing():
    ranks = QuantileMap.fit(np.full(5, np.nan))
    assert ranks.missing == 1
    assert np.isnan(ranks.decode(np.zeros(3))).all()
    assert np.isfinite(ranks.encode(np.full(3, np.nan))).all()


def test_unseen_values_are_interpolated_and_clipped():
    ranks = QuantileMap.fit(np.random.default_rng(0).normal(size=5000))
    z = ranks.encode(np.array([-99.0, -1.0, 0.0, 1.0, 99.0]))
    np.testing.assert_allclose(z[1:4], [-1, 0, 1], atol=0.05)
    np.testing.assert_allclose(z[[0, 4]], [ndtri(0.0001), -ndtri(0.0001)], rtol=1e-5)


@pytest.mark.parametrize("extrapolate", [False, True])
@pytest.mark.parametrize("planted", [123.456789, 3.14159, -77.7])
def test_nothing_kept_is_a_value_of_one_row(planted, extrapolate):
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=3000), zero_inflated(rng, 3000), np.repeat(rng.normal(size=600), 5)):
        x = np.append(x, planted)
        record, arrays = QuantileMap.fit(x, extrapolate=extrapolate).to_arrays()
        numbers = np.concatenate([*arrays.values(), [v for part in record.values() for v in flat(part)]])
        assert np.min(np.abs(numbers - planted)) > 1e-7


def flat(part):
    if isinstance(part, dict):
        return [v for value in part.values() for v in flat(value)]
    return [] if part is None else [float(part)]


def test_arrays_round_trip(column):
    ranks = QuantileMap.fit(column, extrapolate=True)
    record, arrays = ranks.to_arrays()
    again = QuantileMap.from_arrays(json.loads(json.dumps(record)), arrays)
    z = np.random.default_rng(0).standard_normal(100)
    np.testing.assert_array_equal(again.decode(z), ranks.decode(z))
    np.testing.assert_array_equal(again.encode(column[:100]), ranks.encode(column[:100]))


def atoms_of(ranks):
    return list(zip(ranks.starts, ranks.masses, strict=True))


@pytest.mark.parametrize("extrapolate", [False, True])
def test_a_smoothed_map_keeps_atoms_missing_values_bounds_and_decimals(column, extrapolate):
    raw = QuantileMap.fit(column, extrapolate=extrapolate)
    smooth = QuantileMap.fit(column, extrapolate=extrapolate, bandwidth=0.05)
    z = np.concatenate([np.random.default_rng(3).standard_normal(N), np.linspace(-8, 8, 5000)])
    old, new = raw.decode(z), smooth.decode(z)
    np.testing.assert_array_equal(smooth.encode(column, 0.3), raw.encode(column, 0.3))
    np.testing.assert_array_equal(np.isnan(old), np.isnan(new))
    assert np.nanmin(new) >= np.nanmin(old)
    assert np.nanmax(new) <= np.nanmax(old)
    owned = np.any([(ndtr(z) > a + 1e-9) & (ndtr(z) < a + m - 1e-9) for a, m in atoms_of(raw)] or [z == 9], axis=0)
    np.testing.assert_array_equal(old[owned], new[owned])
    assert distance(old, new) < 0.01
    known = new[N:][~np.isnan(new[N:])]
    assert np.all(np.diff(known) >= 0)
    if raw.lattice:
        np.testing.assert_array_equal(new[~np.isnan(new)], raw.lattice.nearest(new[~np.isnan(new)]))


def test_a_smoothed_map_forgets_the_wiggles_of_its_sample():
    x = np.random.default_rng(0).normal(size=N)
    z = np.linspace(-3, 3, 3000)
    steps = [np.diff(QuantileMap.fit(x, bandwidth=h).decode(z)) / np.diff(z) - 1 for h in (0.0, 0.05)]
    assert steps[1].std() < 0.4 * steps[0].std()


def test_a_smoothed_map_follows_the_outermost_rows():
    x = np.random.default_rng(0).lognormal(0, 1.5, 2000)
    raw, smooth = QuantileMap.fit(x), QuantileMap.fit(x, bandwidth=0.05)
    u = np.array([1e-9, 0.5, 1.5, 2.5, 3.4]) / 2000
    z = ndtri(np.concatenate([u, 1 - u]))
    np.testing.assert_allclose(smooth.decode(z), raw.decode(z), rtol=1e-9)


def test_nothing_is_smoothed_across_a_gap():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(N) < 0.4, rng.normal(-5, 0.5, N), rng.exponential(size=N) + 2)
    draws = QuantileMap.fit(x, bandwidth=0.05).decode(rng.standard_normal(N))
    low, high = x[x < 0].max(), x[x > 0].min()
    assert np.mean((draws > low + 0.1) & (draws < high - 0.1)) < 1e-3
    assert np.mean(draws < 0) == pytest.approx(0.4, abs=0.015)


def test_whole_weights_are_repeated_rows_where_smoothed():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=400), rng.integers(1, 4, 400)
    weighted = QuantileMap.fit(x, w.astype(float), bandwidth=0.05)
    repeated = QuantileMap.fit(np.repeat(x, w), bandwidth=0.05)
    z = rng.standard_normal(500)
    np.testing.assert_allclose(weighted.decode(z), repeated.decode(z))
    record, arrays = weighted.to_arrays()
    again = QuantileMap.from_arrays(json.loads(json.dumps(record)), arrays)
    np.testing.assert_array_equal(again.decode(z), weighted.decode(z))


@pytest.mark.parametrize("n", [2, 3, 10, 62, 63, 100])
def test_few_rows_are_smoothed_only_where_there_are_enough(n):
    x = np.random.default_rng(n).normal(size=n)
    z = np.linspace(-4, 4, 101)
    raw, smooth = QuantileMap.fit(x).decode(z), QuantileMap.fit(x, bandwidth=0.05).decode(z)
    assert np.all(np.diff(smooth) >= 0)
    if n < 63:
        np.testing.assert_array_equal(raw, smooth)


def test_peaks_keep_their_valleys():
    rng = np.random.default_rng(0)
    right = rng.random(2000) < 0.5
    x = np.where(right, 4.0, -4.0) + rng.normal(size=2000)
    ranks = QuantileMap.fit(x, bandwidth=0.05)
    assert ranks.decode(ranks.encode(x))[right].std() == pytest.approx(x[right].std(), rel=0.06)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_kernels_decode_to_the_same_bits(monkeypatch, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    columns = [
        x,
        np.where(x < 0, np.nan, x),
        rng.poisson(3, 3000).astype(float),
        np.round(x, 2),
        np.where(x < 0, 0.0, x),
        1e200 * x,
        np.round(x, 2).astype("f4").astype(float),
    ]
    z = np.concatenate([3 * rng.normal(size=2000), [-40.0, 40.0, 0.0]]).astype(kind)
    for values in columns:
        ranks = QuantileMap.fit(values, lower=-1.5, upper=2.0 if np.nanmax(values) < 100 else None)
        monkeypatch.delenv("BUFF_BACKEND", raising=False)
        fast = ranks.decode(z)
        monkeypatch.setenv("BUFF_BACKEND", "xgboost")
        np.testing.assert_array_equal(fast, ranks.decode(z))


def test_values_over_six_hundred_decades_stay_in_their_range():
    x = 10 ** np.random.default_rng(0).uniform(-300, 300, 1000)
    ranks = QuantileMap.fit(x, bandwidth=0.05)
    drawn = ranks.decode(np.random.default_rng(1).normal(size=5000).astype(np.float32))
    assert drawn.min() >= x.min()
    assert drawn.max() <= x.max()
    assert np.allclose(np.quantile(np.log10(drawn), [0.1, 0.5, 0.9]), [-240, 0, 240], atol=25)


def test_the_gap_below_outliers_is_not_filled():
    x = np.random.default_rng(0).normal(size=2000)
    x[:2] = 1e6, 1e9
    drawn = QuantileMap.fit(x, bandwidth=0.05).decode(np.random.default_rng(1).normal(size=50_000).astype(np.float32))
    assert not ((drawn > 10) & (drawn < 0.99e6)).any()
    assert 0.0005 < (drawn > 10).mean() < 0.003
