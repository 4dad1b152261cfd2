"""Fits on scores: what goes in is checked, weights count, repeated values are spread."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from buff.couplings import MinibatchTransport
from buff.flows import FlowSettings, SampleRequest, Source, estimate_cost, fit_flow
from buff.flows.data import FlowMatchingData
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 2)).astype(np.float32)
SETTINGS = FlowSettings(n_steps=4, trees=TreeSettings(n_estimators=4, max_depth=4), noise_budget=6000)


def drawn(model, n=3000, **parts):
    return model.sample(SampleRequest(n, 1, **parts))


def test_a_seed_gives_the_same_model():
    one, two, other = (drawn(fit_flow(X, SETTINGS, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_scores_far_out_keep_their_digits():
    x = (X + 7).astype(np.float32)
    assert drawn(fit_flow(x, SETTINGS, seed=0)).mean() == pytest.approx(7, abs=0.1)


def test_rows_without_weight_are_left_out():
    weights = np.r_[np.ones(500), np.zeros(500)]
    weighted = drawn(fit_flow(X, SETTINGS, sample_weight=weights, condition=X[:, :1], seed=0), condition=X[:1, :1])
    alone = fit_flow(X[:500], SETTINGS, sample_weight=np.ones(500), condition=X[:500, :1], seed=0)
    assert np.array_equal(weighted, drawn(alone, condition=X[:1, :1]))


def test_pairs_of_scores_are_spread_between_their_ranks():
    low, high = (np.full((1000, 1), ndtri(u), np.float32) for u in (0.2, 0.7))
    x1 = FlowMatchingData.of((low, high)).targets(np.random.default_rng(0))
    assert x1.min() > ndtri(0.2) - 1e-5
    assert x1.max() < ndtri(0.7) + 1e-5
    assert x1.std() > 0.3


def test_couplings_go_with_the_source():
    model = fit_flow(X, SETTINGS, source=Source(coupling=MinibatchTransport(batch_size=50)), seed=0)
    x0 = model.source_samples(SampleRequest(2000, 1))
    assert np.mean((model.transport(x0) - x0) ** 2) < 0.3


def test_calibration_is_for_scores_that_are_named():
    model = fit_flow(X, SETTINGS, calibrated=np.array([True, False]), seed=0)
    assert model.calibration.smooth.tolist() == [True, False]
    assert fit_flow(X, SETTINGS, calibrated=np.zeros(2, bool), seed=0).calibration is None


def test_costs_are_known_before():
    cost = estimate_cost(FlowMatchingData.of(X), SETTINGS)
    assert (cost.n_rows, cost.n_dims, cost.n_draws) == (1000, 2, 6)
    with pytest.raises(MemoryError, match="max_memory allows"):
        fit_flow(X, replace(SETTINGS, max_memory=1000))


def test_finished_nodes_are_kept_and_decide_the_seed(tmp_path):
    settings = replace(SETTINGS, cache_dir=tmp_path)
    one, two = fit_flow(X, settings), fit_flow(X, settings)
    assert one.seed == two.seed
    assert np.array_equal(drawn(one), drawn(two))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"x1": X[0]}, r"x1 must have shape \(n, k\)"),
        ({"x1": np.where(X > 3, np.nan, X)}, "x1 has .* rows that are not finite, the first is row"),
        ({"condition": X[:5]}, "condition has 5 rows, x1 has 1000"),
        ({"sample_weight": -np.ones(1000)}, "none negative and one above 0"),
        ({"sample_weight": np.zeros(1000)}, "none negative and one above 0"),
        ({"sample_weight": np.ones(3)}, "sample_weight has 3 rows, x1 has 1000"),
        ({"settings": replace(SETTINGS, solver="dopri5_adaptive")}, "chooses its times as it goes"),
    ],
)
def test_bad_input_is_named(parts, message):
    given = {"x1": X, "settings": SETTINGS} | parts
    with pytest.raises(ValueError, match=message):
        fit_flow(given.pop("x1"), given.pop("settings"), **given)
