import sys

import numpy as np
import pytest

from buff.couplings import MinibatchTransport, independent
from buff.errors import MissingExtraError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def cost(x0, x1, pairs):
    return np.square(x0[pairs[0]] - x1[pairs[1]]).sum()


@pytest.mark.parametrize(("m", "n"), [(10, 10), (30, 10), (7, 10), (25, 10)])
def test_independent_keeps_both_marginals(rng, m, n):
    i, j = independent(np.zeros((m, 1)), np.zeros((n, 1)), rng)
    assert i.tolist() == list(range(m))
    counts = np.bincount(j, minlength=n)
    assert counts.max() - counts.min() <= 1
    assert counts.sum() == m


def test_independent_pairs_are_uncorrelated(rng):
    x0, x1 = rng.standard_normal((20000, 1)), rng.standard_normal((20000, 1))
    i, j = independent(x0, x1, rng)
    assert abs(np.corrcoef(x0[i, 0], x1[j, 0])[0, 1]) < 0.03


def test_empty_sides_are_refused(rng):
    with pytest.raises(ValueError, match="found 3 of noise and 0 of data"):
        independent(np.zeros((3, 1)), np.zeros((0, 1)), rng)


def test_exact_transport_is_a_permutation_of_least_cost(rng):
    x0, x1 = rng.standard_normal((60, 3)), rng.standard_normal((60, 3)) + 1
    i, j = MinibatchTransport(60)(x0, x1, rng)
    assert sorted(i) == sorted(j) == list(range(60))
    ot = pytest.importorskip("ot")
    least = ot.emd2([], [], ot.dist(x0, x1)) * 60
    assert cost(x0, x1, (i, j)) == pytest.approx(least)


def test_in_one_dimension_transport_sorts(rng):
    x0, x1 = rng.standard_normal((50, 1)), rng.exponential(size=(50, 1))
    i, j = MinibatchTransport(64)(x0, x1, rng)
    assert (np.argsort(x0[i, 0]) == np.argsort(x1[j, 0])).all()


def test_larger_batches_cost_less_and_both_marginals_are_kept(rng):
    x0, x1 = rng.standard_normal((600, 2)), rng.standard_normal((200, 2)) + 2
    costs = []
    for size in (2, 10, 100):
        i, j = MinibatchTransport(size)(x0, x1, np.random.default_rng(1))
        assert sorted(i) == list(range(600))
        assert (np.bincount(j, minlength=200) == 3).all()
        costs.append(cost(x0, x1, (i, j)))
    assert costs[0] > costs[1] > costs[2]


def test_pairs_are_exchanged_within_labels_only(rng):
    """The noise of a label stays standard normal: without labels it would tell the label."""
    n = 4000
    labels = rng.integers(2, size=n)
    x1 = 4.0 * labels[:, None] + 0.1 * rng.standard_normal((n, 1))
    x0 = rng.standard_normal((n, 1))
    shifts = []
    for known in (labels, None):
        i, j = MinibatchTransport(100, labels=known)(x0, x1, rng)
        shifts.append(x0[i][labels[j] == 1].mean() - x0[i][labels[j] == 0].mean())
    assert abs(shifts[0]) < 0.15
    assert shifts[1] > 1


def test_strings_are_labels_too(rng):
    labels = np.array(["g", "q", "g", "t"] * 25)
    _, j = MinibatchTransport(8, labels=labels)(rng.standard_normal((100, 2)), rng.standard_normal((100, 2)), rng)
    assert sorted(j) == list(range(100))


def test_entropic_plan_runs_from_exact_to_independent(rng):
    pytest.importorskip("ot")
    x0, x1 = rng.standard_normal((80, 1)), rng.standard_normal((80, 1))
    exact = cost(x0, x1, MinibatchTransport(200)(x0, x1, rng))
    sharp, loose = (
        cost(x0, x1, MinibatchTransport(200, method="sinkhorn", regularization=r)(x0, x1, rng)) for r in (0.1, 100.0)
    )
    assert exact < sharp < exact + 0.15 * 80
    assert loose == pytest.approx(cost(x0, x1, independent(x0, x1, rng)), rel=0.5)


def test_missing_pot_is_named(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match=r"POT is not installed: pip install .*\[ot\]"):
        MinibatchTransport(method="sinkhorn")(np.zeros((4, 1)), np.ones((4, 1)), rng)


def test_same_generator_state_same_pairs():
    x0, x1 = np.random.default_rng(1).standard_normal((2, 50, 2))
    one, same = (MinibatchTransport(10)(x0, x1, np.random.default_rng(3)) for _ in range(2))
    assert (one[1] == same[1]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 1}, "batch_size must be an integer of at least 2: found 1"),
        ({"method": "greedy"}, "unknown method 'greedy': choose exact or sinkhorn"),
        ({"regularization": 0.0}, "regularization must be positive"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        MinibatchTransport(**parameters)


def test_labels_must_fit(rng):
    with pytest.raises(ValueError, match=r"one entry a row of x1: found \(3,\) for 4 rows"):
        MinibatchTransport(labels=np.zeros(3))(np.zeros((4, 1)), np.zeros((4, 1)), rng)


def test_noise_and_data_have_the_same_columns():
    x0, x1 = np.zeros((4, 2)), np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"same columns: found shapes \(4, 2\) and \(4, 3\)"):
        MinibatchTransport()(x0, x1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"regularization": "a"}, "regularization must be positive"),
    ],
)
def test_transport_takes_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        MinibatchTransport(**options)
