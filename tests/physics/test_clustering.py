import numpy as np
import pytest
from scipy.spatial.distance import cdist

from buff.physics import JetKinematics
from buff.physics.clustering import cluster
from tests.physics.clouds import clouds


def mergers(jet, exponent):
    """Splittings of one jet by the definition: at each step the closest pair of all."""
    parts = [(p[2], p[0], p[1]) for p in jet if p[2] > 0]
    found = []
    while len(parts) > 1:
        pt, r = np.array([p[0] for p in parts]), np.array([p[1:] for p in parts])
        d = cdist(r, r, "sqeuclidean") * np.minimum(pt[:, None] ** (2 * exponent), pt[None] ** (2 * exponent))
        np.fill_diagonal(d, np.inf)
        i, j = np.unravel_index(d.argmin(), d.shape)
        a, b = parts[i], parts[j]
        total = a[0] + b[0]
        joined = (total, *((a[0] * a[k] + b[0] * b[k]) / total for k in (1, 2)))
        parts = [p for k, p in enumerate(parts) if k not in (i, j)] + [joined]
        found.append((min(a[0], b[0]), max(a[0], b[0])))
    return found


@pytest.mark.parametrize("exponent", [1.0, 0.0, -1.0, 0.5])
def test_each_step_joins_the_closest_pair(exponent):
    cloud = clouds(n=25, k=8, least=2)
    history = cluster(*np.moveaxis(cloud, -1, 0), exponent)
    for i, jet in enumerate(cloud):
        joined = np.flatnonzero(history.hard[i] >= 0)
        own = [(history.pt[i, history.soft[i, v]], history.pt[i, history.hard[i, v]]) for v in joined]
        assert np.allclose(own, mergers(jet, exponent))


def test_roots_have_the_sums_of_their_particles():
    cloud = clouds(n=50, k=12)
    history, jets = cluster(*np.moveaxis(cloud, -1, 0)), JetKinematics.of(*np.moveaxis(cloud, -1, 0))
    at = np.arange(50), history.root
    for name in ("pt", "eta", "phi", "moment", "n"):
        assert np.allclose(getattr(history, name)[at], getattr(jets, name), atol=1e-12), name


def test_batches_change_nothing(monkeypatch):
    cloud = clouds(n=30)
    whole = cluster(*np.moveaxis(cloud, -1, 0))
    monkeypatch.setattr("buff.physics.clustering._BATCH", 7)
    parts = cluster(*np.moveaxis(cloud, -1, 0))
    assert all(np.array_equal(getattr(whole, name), getattr(parts, name)) for name in vars(whole))
