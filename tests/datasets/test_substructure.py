"""Substructure by the compiled kernels is that by NumPy, whatever the instructions."""

import numpy as np
import pytest

from buff import kernels
from buff.datasets.clustering import momenta
from buff.datasets.substructure import correlations, grooming, kt_axes

INSTRUCTIONS = [name for name in kernels.BACKENDS if name != "xgboost"]


def clouds(n, m, seed):
    """Jets of every multiplicity, their particles in any slots."""
    rng = np.random.default_rng(seed)
    cloud = np.concatenate([rng.normal(0, 0.15, (n, m, 2)), rng.exponential(size=(n, m, 1)) ** 3], axis=2)
    cloud[rng.random((n, m)) < rng.random((n, 1))] = 0.0
    return momenta(cloud)


def found(p, n_axes=3):
    return [*kt_axes(p, n_axes), grooming(p, 0.1, 0.0, 0.4), grooming(p, 0.05, 1.5, 0.8), correlations(p)]


@pytest.fixture(params=INSTRUCTIONS)
def both(request, monkeypatch):
    """What kernels with these instructions find, and NumPy."""
    monkeypatch.setenv("BUFF_BACKEND", request.param)
    try:
        kernels.backend()
    except ValueError:
        pytest.skip(f"no {request.param} here")

    def compare(p, **more):
        monkeypatch.setenv("BUFF_BACKEND", request.param)
        own = found(p, **more)
        monkeypatch.setenv("BUFF_BACKEND", "xgboost")
        for compiled, plain in zip(own, found(p, **more), strict=True):
            np.testing.assert_allclose(compiled, plain, rtol=1e-11, atol=1e-13)

    return compare


@pytest.mark.parametrize(("n", "m"), [(300, 30), (40, 77), (200, 4), (50, 1)])
def test_kernels_and_numpy_agree(both, n, m):
    both(clouds(n, m, m))


def test_more_axes_than_particles(both):
    both(clouds(100, 5, 1), n_axes=7)


def test_no_jets(both):
    both(np.zeros((0, 3, 4)))


def test_particles_that_are_there_twice_and_beyond_the_turn(both):
    rng = np.random.default_rng(3)
    cloud = np.stack(
        [rng.normal(0, 0.1, (50, 12)), rng.uniform(-4, 4, (50, 12)), rng.exponential(size=(50, 12))], axis=2
    )
    cloud[:, 6:9] = cloud[:, 3:6]
    both(momenta(cloud))


def test_all_instructions_find_the_same_bits(monkeypatch):
    p, seen = clouds(100, 45, 5), []
    for name in INSTRUCTIONS:
        monkeypatch.setenv("BUFF_BACKEND", name)
        try:
            seen.append(np.concatenate([part.ravel() for part in found(p)]))
        except ValueError:
            continue
    assert all(np.array_equal(own, seen[0]) for own in seen)
