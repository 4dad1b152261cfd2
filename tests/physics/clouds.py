"""Small jets whose properties are known."""

import numpy as np


def clouds(n=40, k=9, seed=0, least=1, spread=0.12):
    """Particles (n, k, 3), zero padded, in falling pT."""
    rng = np.random.default_rng(seed)
    cloud = np.empty((n, k, 3))
    cloud[..., :2] = spread * rng.standard_normal((n, k, 2))
    cloud[..., 2] = rng.exponential(size=(n, k))
    cloud[np.arange(k) >= rng.integers(least, k + 1, n)[:, None]] = 0
    order = np.argsort(-cloud[..., 2], axis=1, kind="stable")
    return np.take_along_axis(cloud, order[..., None], axis=1)
