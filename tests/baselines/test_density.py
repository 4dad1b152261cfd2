import numpy as np
import pytest
from scipy.stats import multivariate_normal

pytest.importorskip("torch")


def test_density_of_a_gaussian_is_normalised():
    from buff_baselines import NeuralDensity

    covariance = [[1, 0.6], [0.6, 2]]
    rng = np.random.default_rng(0)
    X, held_out = (rng.multivariate_normal([1, -1], covariance, 2000) for _ in range(2))
    density = NeuralDensity(epochs=40).fit(X)
    truth = multivariate_normal([1, -1], covariance).logpdf(held_out).mean()
    assert density.score(held_out) == pytest.approx(truth, abs=0.1)
    x = np.linspace(-9, 9, 181)
    grid = np.stack(np.meshgrid(x + 1, x - 1, indexing="ij"), axis=-1).reshape(-1, 2)
    assert np.exp(density.score_samples(grid)).sum() * 0.01 == pytest.approx(1, abs=0.02)
