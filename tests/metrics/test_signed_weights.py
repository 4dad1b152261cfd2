"""Rows that come twice with opposite weights are not there: no metric may notice them."""

import numpy as np
import pytest

from buff.metrics import (
    conditional_means,
    correlation_distance,
    correlation_matrix,
    energy_distance,
    frechet_distance,
    migration_matrix,
    separation_power,
    sliced_wasserstein,
    total_variation,
    triangular_discriminator,
    wasserstein,
)

EDGES = np.linspace(-3, 4, 8)


@pytest.fixture
def samples():
    rng = np.random.default_rng(21)
    x, y = rng.normal(size=(200, 2)), rng.normal(0.3, 1.2, size=(200, 2))
    extra = rng.normal(3, 1, size=(150, 2))
    order = rng.permutation(500)
    return x, y, np.concatenate([y, extra, extra])[order], np.repeat([1.0, 1.0, -1.0], [200, 150, 150])[order]


@pytest.mark.parametrize(
    "metric",
    [
        wasserstein,
        sliced_wasserstein,
        energy_distance,
        correlation_distance,
        lambda *a, **k: correlation_distance(*a, method="spearman", **k),
        frechet_distance,
        lambda a, b, **k: separation_power(a[:, 0], b[:, 0], EDGES, **k),
        lambda a, b, **k: triangular_discriminator(a[:, 1], b[:, 1], EDGES, **k),
        lambda a, b, **k: total_variation(np.rint(a[:, 0]), np.rint(b[:, 0]), **k),
    ],
)
@pytest.mark.parametrize("side", ["real", "generated"])
def test_distances(samples, metric, side):
    x, y, signed, w = samples
    if side == "real":
        plain, found = metric(y, x, n_bootstrap=0), metric(signed, x, real_weights=w, n_bootstrap=0)
    else:
        plain, found = metric(x, y, n_bootstrap=0), metric(x, signed, generated_weights=w, n_bootstrap=0)
    assert found.value == pytest.approx(plain.value, rel=1e-9)


def test_matrices_and_means(samples):
    _, y, signed, w = samples
    np.testing.assert_allclose(correlation_matrix(signed, weights=w), correlation_matrix(y), atol=1e-12)
    plain, found = migration_matrix(*y.T, EDGES), migration_matrix(*signed.T, EDGES, weights=w)
    np.testing.assert_allclose(found.probability, plain.probability, atol=1e-12)
    np.testing.assert_allclose(found.purity, plain.purity, atol=1e-12)
    assert (found.error >= plain.error - 1e-12).all()
    means = conditional_means(*y.T, EDGES), conditional_means(*signed.T, EDGES, weights=w)
    np.testing.assert_allclose(means[1].value, means[0].value)


def test_bootstrap_knows_what_the_signs_cost(samples):
    x, y, signed, w = samples
    plain, found = wasserstein(x, y), wasserstein(x, signed, generated_weights=w)
    assert found.error > 1.5 * plain.error
