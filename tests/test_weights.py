"""Weights of both signs made positive: the density stays, the sum stays, and what cannot be is said."""

import numpy as np
import pyarrow as pa
import pytest

import buff
from buff.datasets import SignedWeights
from buff.weights import _share, effective_size, positive_weights

PROBLEM = SignedWeights()
BOTH = pytest.mark.parametrize("policy", ["smooth", "cancel"])


@pytest.fixture(scope="module")
def events():
    return PROBLEM.sample(9000, random_state=3)


def moments(x, w):
    mean = w @ x / w.sum()
    covariance = ((x - mean) * w[:, None]).T @ (x - mean) / w.sum()
    width = np.sqrt(np.diag(covariance))
    return np.array([*mean, *width, covariance[0, 1] / width.prod()])


def exact_moments():
    p = PROBLEM.target
    mean = p.weights @ p.means
    covariance = np.einsum("k,kij->ij", p.weights, p.covariances) + np.cov(p.means.T, aweights=p.weights, ddof=0)
    width = np.sqrt(np.diag(covariance))
    return np.array([*mean, *width, covariance[0, 1] / width.prod()])


def test_weights_without_negative_ones_stay_as_they_are():
    w = np.random.default_rng(0).uniform(size=50)
    x = np.arange(50.0)[:, None]
    for policy in ("error", "smooth", "cancel"):
        kept = positive_weights(x, w, policy=policy)
        assert (kept.values == w).all()
        assert kept.effective_before == kept.effective_after == pytest.approx(w.sum() ** 2 / (w**2).sum())


@BOTH
def test_positive_of_the_same_sum_and_the_report_is_true(events, policy):
    w = 1e-9 * events.weight
    result = positive_weights(events.x, w, policy=policy)
    assert result.values.min() >= 0
    assert result.values.sum() == pytest.approx(w.sum(), rel=1e-12)
    assert result.negative == np.mean(w < 0) == pytest.approx(1 / 3, abs=0.02)
    assert result.effective_before == pytest.approx(len(w) / 9, rel=0.1)
    assert result.effective_after == effective_size(result.values) > 2 * result.effective_before
    assert 0 <= result.cut < 0.02
    assert f"{result.effective_before:.0f}" in str(result)
    once_more = positive_weights(events.x, 7 * events.weight, policy=policy).values
    np.testing.assert_allclose(once_more, 7e9 * result.values, rtol=1e-4, atol=1e-6)


@BOTH
def test_density_is_that_of_the_signed_sample_and_not_that_of_shortcuts(events, policy):
    x, w = events.x, events.weight
    # errors of a sample of the effective size; the target is 0.4 to 0.7 of a width away from the shortcuts
    error = np.array([1.17, 0.72, 1.17, 0.72, 1.0]) / np.sqrt(len(w) / 9)
    smooth = positive_weights(x, w, policy=policy).values
    assert (np.abs(moments(x, smooth) - exact_moments()) < 4 * error).all()
    assert (np.abs(moments(x, smooth) - moments(x, w)) < 1.5 * error).all()
    for shortcut in (np.abs(w), np.maximum(w, 0)):
        assert (np.abs(moments(x, shortcut) - exact_moments()) > 5 * error).any()


def test_smooth_weights_are_the_local_mean(events):
    v = positive_weights(events.x, events.weight, policy="smooth").values
    exact = PROBLEM.mean_weight(events.x)
    v = v * exact.sum() / v.sum()
    assert np.sqrt(np.mean((v - exact) ** 2)) < 0.55 * exact.std()
    # nothing of a row's own sign is left: among rows of equal exact weight, both signs have the same mean
    residual = v - exact
    signs = residual[events.weight > 0].mean() - residual[events.weight < 0].mean()
    assert abs(signs) < 0.06


def test_cells_are_cancelled_where_they_are():
    centre = 10.0 * np.arange(40)
    x = np.sort(np.concatenate([centre, centre + 0.01]))[:, None]
    w = np.tile([-1.0, 3.0], 40)
    result = positive_weights(x, w, policy="cancel")
    np.testing.assert_allclose(result.values, np.tile([0.5, 1.5], 40))
    assert result.cut == 0.0


def test_signed_bins_are_followed(events):
    edges = np.linspace(-2.5, 2.5, 11)
    v = positive_weights(events.x, events.weight, policy="smooth").values
    for k in range(2):
        signed, variance = (
            np.histogram(events.x[:, k], edges, weights=u)[0] for u in (events.weight, events.weight**2)
        )
        positive = np.histogram(events.x[:, k], edges, weights=v)[0]
        assert np.mean((positive - signed) ** 2 / variance) < 1.3


@BOTH
def test_weights_are_averaged_at_fixed_condition(policy):
    rng = np.random.default_rng(5)
    label = rng.choice(["born", "real"], 4000)
    w = np.where((label == "real") & (rng.random(4000) < 0.4), -1.0, 1.0)
    x = rng.normal(size=(4000, 2))
    v = positive_weights(x, w, policy=policy, condition=label).values
    assert v[label == "born"].mean() == pytest.approx(1.0, abs=0.05)
    assert v[label == "real"].mean() == pytest.approx(0.2, abs=0.06)


@BOTH
def test_tables_with_categories_and_missing_values(events, policy):
    rng = np.random.default_rng(1)
    n = 2000
    pt = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(30, n))
    table = pa.table({"pt": pt, "flavour": rng.choice(["b", "c"], n), "n": rng.poisson(4, n)})
    w = np.where(rng.random(n) < 0.25, -1.0, 1.0)
    result = positive_weights(table, w, policy=policy)
    assert result.values.min() >= 0
    assert result.values.sum() == pytest.approx(w.sum())


@BOTH
def test_a_region_of_negative_sum_is_told(policy):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 1))
    w = np.where(x[:, 0] > 1, -1.0, 1.0)
    with pytest.warns(UserWarning, match="local mean weight is negative in places"):
        result = positive_weights(x, w, policy=policy)
    assert result.cut > 0.1
    assert result.values[x[:, 0] > 1.4].max() < 0.3


def test_generated_events_have_the_exact_density(events):
    x, w = events.x, events.weight
    settings = {"n_steps": 6, "noise_budget": 40_000, "random_state": 0}
    error = np.array([1.17, 0.72, 1.17, 0.72, 1.0]) / np.sqrt(len(w) / 9)

    def off(weights):
        generated = buff.BUFF(**settings).fit(x, sample_weight=weights).sample(20_000)
        return np.abs(moments(generated, np.ones(len(generated))) - exact_moments()) / error

    assert (off(positive_weights(x, w, policy="smooth").values) < 4.5).all()
    assert off(np.abs(w)).max() > 7


@pytest.mark.parametrize(
    ("weights", "options", "error", "message"),
    [
        ([1.0] * 29 + [-1.0], {}, ValueError, r"1 negative values of 30, the first in row 29: choose .* 'smooth' or 'cancel'"),
        ([1.0] * 30, {"policy": "drop"}, ValueError, "must be one of error, smooth, cancel, found 'drop'"),
        ([1.0] * 29, {}, ValueError, r"shape \(30,\) expected, one weight a row; found \(29,\)"),
        ([-1.0] * 30, {"policy": "smooth"}, ValueError, "sum must be positive, found -30"),
        ([np.nan] + [1.0] * 29, {}, ValueError, "1 of 30 values are not finite"),
        (["a"] * 30, {}, TypeError, "numbers expected"),
    ],
)  # fmt: skip
def test_bad_weights(weights, options, error, message):
    with pytest.raises(error, match=message):
        positive_weights(np.arange(30.0)[:, None], weights, **options)


def test_bad_sizes():
    w = np.ones(10)
    w[0] = -1
    with pytest.raises(ValueError, match="20 rows are needed to average negative weights, found 10"):
        positive_weights(np.arange(10.0)[:, None], w, policy="smooth")
    w = np.append(np.ones(29), -1)
    with pytest.raises(ValueError, match="condition has 3 rows, X has 30"):
        positive_weights(np.arange(30.0)[:, None], w, policy="smooth", condition=[1.0, 2.0, 4.0])


@BOTH
def test_rows_that_are_all_alike_have_one_mean(policy):
    w = np.where(np.arange(60) % 3 == 0, -1.0, 1.0)
    assert np.allclose(positive_weights(np.ones((60, 2)), w, policy=policy).values, 1 / 3)


def test_effective_size_of_any_sequence():
    assert effective_size([2, 2, 2]) == 3
    assert effective_size(np.zeros(4)) == 0


@BOTH
def test_nothing_is_lost_where_all_rows_are_alike(policy):
    kept = positive_weights(np.ones((60, 2)), np.where(np.arange(60) % 3 == 0, -1.0, 1.0), policy=policy)
    assert kept.cut == 0


def test_a_cell_keeps_its_sum():
    v = np.array([-1.0, 0.5, 2.0, 4.0])
    assert _share(v, np.array([0, 1, 2, 3]))
    assert v.tolist() == pytest.approx([1.5 / 3.5, 0.75 / 3.5, 3 / 3.5, 4])
    assert not _share(np.array([-9.0, 1.0]), np.array([0, 1]))
