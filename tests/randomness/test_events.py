from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kstest

from buff.randomness import EventNoise, is_scattered, keys_of_rows, seed_from, training_seed


def test_normals_are_standard_and_independent():
    z = EventNoise(3).normal(20_000, 5)
    assert z.dtype == np.float32
    assert kstest(z.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(z.T) - np.eye(5)).max() < 5 / np.sqrt(len(z))
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 5 / np.sqrt(len(z))
    assert np.isfinite(z).all()


@pytest.mark.parametrize("d", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("first", [0, 1, 17, 10**12])
def test_events_do_not_depend_on_who_draws_them(d, first):
    noise = EventNoise(2**100 + 1, first).normal(30, d)
    alone = [EventNoise(2**100 + 1, first + i).normal(1, d)[0] for i in range(30)]
    assert np.array_equal(noise, alone)


def test_each_call_is_a_new_stream_of_the_same_events():
    whole, part, x = EventNoise(5), EventNoise(5, first_event=4), np.zeros((10, 3))
    for _ in range(3):
        assert np.array_equal(whole(x)[4:], part(x[4:]))
    first, second = (EventNoise(5, stream=k).normal(1000, 1)[:, 0] for k in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2


def test_noise_has_the_precision_of_the_state():
    assert EventNoise(0)(np.zeros((2, 2), np.float32)).dtype == np.float32
    assert EventNoise(0)(np.zeros((2, 2))).dtype == np.float64


@pytest.mark.parametrize("entropy", [0, 7, 2**32, 2**64 + 5, 2**127])
def test_training_and_sampling_never_share_a_seed(entropy):
    events = [np.random.SeedSequence(entropy, spawn_key=(k,)) for k in (0, 1, 2, 3, 2**31)]
    nodes = [training_seed(entropy), *(training_seed(entropy, i) for i in range(4))]
    children = [child for node in nodes for child in node.spawn(4)]
    states = [seed.generate_state(4).tolist() for seed in events + nodes + children]
    assert all(a != b for a, b in combinations(states, 2))


def test_seeds():
    assert seed_from(np.int64(5)) == seed_from(5) == 5
    assert seed_from(None) != seed_from(None)
    assert seed_from(np.random.SeedSequence(1)) == seed_from(np.random.SeedSequence(1))
    assert seed_from(np.random.RandomState(1)) == seed_from(np.random.RandomState(1))
    rng = np.random.default_rng(0)
    assert seed_from(rng) != seed_from(rng)


@pytest.mark.parametrize("bad", [-1, 1.5, "seed", [1]])
def test_other_seeds_are_refused(bad):
    with pytest.raises(ValueError, match="random_state must be None, a nonnegative integer"):
        seed_from(bad)


@pytest.mark.parametrize("d", [1, 4, 7])
def test_scattered_events_are_those_of_their_numbers(d):
    whole = EventNoise(11, first_event=3, stream=2).uniform(5000, d)
    rows = np.array([4999, 17, 0, 2000])
    assert is_scattered(rows)
    assert np.array_equal(EventNoise(11, first_event=3, stream=2, chosen=rows).uniform(4, d), whole[rows])
    far = np.array([2**47, 5])
    assert np.array_equal(EventNoise(1, chosen=far).uniform(2, d)[0], EventNoise(1, first_event=2**47).uniform(1, d)[0])


def test_rows_have_the_numbers_of_what_they_hold():
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 3, 500), rng.choice(["a", "b"], 500).astype(object), rng.normal(size=500).round(1)]
    columns.append((rng.integers(0, 2, 500)).astype("M8[D]"))
    keys = keys_of_rows(columns)
    assert len(set(keys.tolist())) == 500
    assert 0 <= keys.min() < keys.max() < 2**48
    order = rng.permutation(500)
    again = keys_of_rows([column[order] for column in columns])
    assert set(again.tolist()) == set(keys.tolist())
    distinct = np.unique([str(row) for row in zip(*columns, strict=True)], return_index=True)[1]
    assert set(keys_of_rows([column[distinct] for column in columns]).tolist()) <= set(keys.tolist())


def test_zeros_are_one_and_missing_is_a_value():
    assert np.array_equal(keys_of_rows([np.array([0.0])]), keys_of_rows([np.array([-0.0])]))
    assert np.array_equal(keys_of_rows([np.array([1])]), keys_of_rows([np.array([1.0])]))
    two = keys_of_rows([np.array([np.nan, np.nan])])
    assert two[0] != two[1]
    assert not len(keys_of_rows([np.empty(0)]))
