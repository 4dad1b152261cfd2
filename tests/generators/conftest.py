import numpy as np
import pyarrow as pa
import pytest

from buff import BUFF
from buff.physics.kinematics import invariant_mass
from tests.generators.jet_models import K, N, quick
from tests.physics.clouds import clouds


def small(**changes):
    """A BUFF that trains in a moment, with one flow for all of a column."""
    options = {"n_steps": 4, "n_estimators": 4, "max_depth": 4, "noise_budget": 3000, "atoms": "apart"}
    return BUFF(**options | {"random_state": 0, "device": "cpu"} | changes)


@pytest.fixture(name="small", scope="session")
def _small():
    return small


@pytest.fixture(scope="session")
def table():
    """Correlated columns with an atom and whole numbers, and a condition that shifts the first."""
    rng = np.random.default_rng(0)
    c = rng.integers(0, 3, 600)
    x = rng.normal(size=600) + c
    spiked = np.where(rng.random(600) < 0.3, 0.0, np.exp(x / 2))
    return np.column_stack([x, spiked, rng.poisson(2, 600)]), c


@pytest.fixture(scope="session")
def model(table):
    return small().fit(table[0])


@pytest.fixture(scope="session")
def conditional(table):
    return small().fit(table[0], condition=table[1])


@pytest.fixture(scope="session")
def particles():
    return clouds(N, K, seed=3)


@pytest.fixture(scope="session")
def jets(particles):
    """A classed sample: pT in GeV, mass and multiplicity that follow from particles, a label."""
    rng = np.random.default_rng(0)
    pt = rng.uniform(500, 600, N)
    mass = invariant_mass(particles) * pt
    label = np.where(np.arange(N) % 2, "q", "t")
    return pa.table({"jet_pt": pt, "mass": mass, "multiplicity": (particles[..., 2] > 0).sum(1), "kind": label})


@pytest.fixture(scope="session")
def plain(particles):
    return quick().fit(particles)


@pytest.fixture(scope="session")
def classed(particles, jets):
    return quick().fit(particles, jets, condition="kind")
