import numpy as np
import pytest


def random_jets(seed, n_jets=60, n_particles=12):
    """Jets of 0 to n_particles particles in falling pT, zero padded, with a mask column."""
    rng = np.random.default_rng(seed)
    particles = np.zeros((n_jets, n_particles, 4))
    for jet, count in zip(particles, rng.integers(0, n_particles + 1, n_jets), strict=True):
        pt = -np.sort(-rng.exponential(size=count))
        jet[:count] = np.column_stack([rng.normal(0, 0.15, (count, 2)), pt / (pt.sum() or 1), np.ones(count)])
    return particles


@pytest.fixture(scope="session")
def jets():
    return random_jets(seed=1)
