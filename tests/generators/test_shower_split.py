"""Splits that trees cannot learn from: hardly ever, or never, is there energy on one side."""

import numpy as np
import pytest

from buff.generators.shower_cascade import CascadeSettings
from buff.generators.shower_split import EnergySplit, SplitRows

SETTINGS = CascadeSettings().of("rings/1")


def split(z, seed=0):
    """Learned from shares of energies from 10 MeV to 10 GeV."""
    p = np.random.default_rng(seed).uniform(1, 4, len(z)).astype(np.float32)
    features = np.column_stack([p, p, p * 0]).astype(np.float32)
    rows = SplitRows(features, z, p, np.zeros(len(z), int), np.array([1]), False)
    return EnergySplit.fit(rows, SETTINGS)


def drawn(model, p, n=20_000):
    u = np.random.default_rng(1).random(n)
    p = np.full(n, p, np.float32)
    return model.sample(np.column_stack([p, p, p * 0]), p, 0, u)


@pytest.mark.parametrize("p", [1.5, 3.9, 4.5])  # the last beyond all that was learned
def test_a_part_that_was_always_empty_stays_empty(p):
    assert (drawn(split(np.ones(1600)), p) == 1).mean() > 0.9999
    assert (drawn(split(np.zeros(1600)), p) == 0).mean() > 0.9999


@pytest.mark.parametrize("n_filled", [1, 20, 49, 80])
def test_a_part_that_is_hardly_ever_filled_gets_the_little_that_it_had(n_filled):
    z = np.ones(1600)
    z[:n_filled] = np.random.default_rng(2).uniform(0.98, 0.99, n_filled)
    for p in (1.5, 2.5, 3.5, 4.5):
        last = 1 - drawn(split(z), p)
        assert (last > 0).mean() < 5 * n_filled / 1600
        assert last[last > 1e-3].mean() == pytest.approx(0.015, abs=0.005)


def test_a_model_without_trees_comes_back_from_its_file():
    z = np.ones(1600)
    z[:20] = 0.9
    model = split(z)
    assert model.inside is None
    np.testing.assert_array_equal(drawn(EnergySplit.from_archive(model.to_archive()), 2.0), drawn(model, 2.0))
