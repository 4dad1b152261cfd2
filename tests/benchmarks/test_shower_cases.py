"""The flat recipe that showers are compared with, and the score that splits are compared by."""

import numpy as np
import pytest

from benchmarks.flat_showers import FlatShowers
from benchmarks.shower_splits import _crps, compare_splits
from buff.datasets import make_showers
from buff.trees import TreeSettings


def test_flat_showers_have_the_ranges_and_means_of_each_energy():
    rng = np.random.default_rng(0)
    energies = np.repeat([100.0, 1000.0], 300)
    showers = (energies[:, None] * rng.dirichlet([2, 2, 4], 600)).astype(np.float32)
    showers[:, 0] *= rng.random(600) < 0.7
    trees = TreeSettings(n_estimators=8, max_depth=4, reg_lambda=1.0, layout="vector")
    model = FlatShowers(n_nodes=6, noise_draws=4, trees=trees).fit(showers, energies)
    drawn = model.sample(energies, random_state=1)
    np.testing.assert_array_equal(drawn, model.sample(energies, random_state=1))
    for e in (100.0, 1000.0):
        mine, truth = drawn[energies == e], showers[energies == e]
        np.testing.assert_allclose(mine.mean(axis=0), truth.mean(axis=0), rtol=0.15)
        assert (mine <= truth.max(axis=0) * (1 + 1e-5)).all()
    assert (drawn[drawn > 0] >= showers[showers > 0].min()).all()


def test_the_score_is_lowest_for_the_true_distribution():
    rng = np.random.default_rng(0)
    u = rng.random(20_000)
    right, narrow, shifted = rng.random((8, 20_000)), 0.5 + 0.1 * rng.random((8, 20_000)), 0.5 * rng.random((8, 20_000))
    assert _crps(right, u) == pytest.approx(1 / 6, abs=0.003)  # E|X - y| = 1/3, halved
    assert _crps(right, u) < min(_crps(narrow, u), _crps(shifted, u))


def test_splits_are_scored_by_both():
    data = make_showers(400, "ds1-photons", random_state=0)
    found = list(compare_splits(data.showers, data.incident_energies.astype(float), "ds1-photons", 0, 300))
    assert len(found) == 2
    assert all(0.1 < m.values["split_crps"] < 0.3 for m in found)
