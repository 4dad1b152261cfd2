"""Coordinates relative to the condition: exact for Gaussians, inverse of themselves, the same in any batch."""

import numpy as np
import pytest

from buff.flows import ConditionalStandardizer, FixedScores, FlowMatchingData, LinearVelocity, RankIntervals

N = 4000


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    c = rng.standard_normal((N, 2)).astype(np.float32)
    x1 = c @ np.array([[0.9, 0.0, -0.3], [0.1, 0.0, 0.5]]) + rng.standard_normal((N, 3)) * [0.05, 1.0, 0.4]
    return x1.astype(np.float32), c


def test_residuals_have_unit_width_and_know_nothing_linear_of_the_condition(pairs):
    x1, c = pairs
    standardizer = ConditionalStandardizer.of(LinearVelocity.from_noise(x1, c))
    z = standardizer.transform(x1, c)
    assert np.allclose(standardizer.scale, [0.05, 1.0, 0.4], rtol=0.05)
    assert np.allclose(z.std(axis=0), 1, atol=1e-3)
    assert np.allclose(z.T @ c / N, 0, atol=1e-3)


def test_leaving_undoes_entering_and_no_row_knows_its_batch(pairs):
    x1, c = pairs
    standardizer = ConditionalStandardizer.of(LinearVelocity.from_noise(x1, c))
    z = standardizer.transform(x1, c)
    assert np.allclose(standardizer.inverse(z, c), x1, atol=1e-5)
    assert np.array_equal(standardizer.inverse(z[7:9], c[7:9]), standardizer.inverse(z, c)[7:9])


def test_weights_choose_the_population(pairs):
    x1, c = pairs
    first = np.arange(N) < N // 2
    shifted = np.where(first[:, None], x1, x1 + 3)
    weighted = ConditionalStandardizer.of(LinearVelocity.from_noise(shifted, c, first.astype(np.float32)))
    alone = ConditionalStandardizer.of(LinearVelocity.from_noise(x1[first], c[first]))
    assert np.allclose(weighted.shift.bias, alone.shift.bias, atol=1e-5)
    assert np.allclose(weighted.scale, alone.scale, rtol=1e-4)


def test_columns_that_the_condition_fixes_stay_finite(pairs):
    _, c = pairs
    standardizer = ConditionalStandardizer.of(LinearVelocity.from_noise(c[:, :1], c))
    assert np.isfinite(standardizer.transform(c[:, :1], c)).all()
    assert np.allclose(standardizer.inverse(np.zeros((N, 1), np.float32), c), c[:, :1], atol=1e-3)


def test_a_training_set_is_standardized_only_with_a_condition(pairs):
    x1, c = pairs
    rng = np.random.default_rng(1)
    levels = np.clip(np.argsort(np.argsort(x1, axis=0), axis=0) / N + 0.5 / N, 0, 1).astype(np.float32)
    assert FlowMatchingData(RankIntervals(levels, levels)).standardized(rng).standardizer is None
    standardized = FlowMatchingData(RankIntervals(levels, levels), c).standardized(rng)
    z = standardized.targets(rng)
    assert np.allclose(z.std(axis=0), 1, atol=0.01)
    assert np.allclose(z.T @ c / N, 0, atol=0.01)


@pytest.mark.parametrize(("levels", "share"), [(4, 4 / N), (N, 1.0)])
def test_how_far_conditions_name_rows(levels, share):
    x = np.zeros((N, 1), np.float32)
    c = (np.arange(N) % levels).astype(np.float32)[:, None]
    assert FlowMatchingData(FixedScores(x), c).condition_uniqueness == pytest.approx(share)
    assert FlowMatchingData(FixedScores(x)).condition_uniqueness == 0
