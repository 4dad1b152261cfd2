import numpy as np
import pytest

from buff import BUFF


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
