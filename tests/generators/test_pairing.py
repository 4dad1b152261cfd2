"""Paired rows: copies are weights, and flows start where a line predicts."""

import numpy as np
import pytest

from buff.generators.pairing import as_pair, check_noise, merge_duplicates, paired_data

RNG = np.random.default_rng(0)


def test_a_row_of_weight_two_is_two_copies():
    key = RNG.normal(size=(50, 2)).astype(np.float32)
    copies = RNG.integers(1, 4, 50)
    rows, weights = merge_duplicates(key, copies.astype(float))
    repeated = np.repeat(key, copies, axis=0)
    again, counts = merge_duplicates(repeated, None)
    assert np.array_equal(key[rows], repeated[again])
    assert np.array_equal(weights, counts)


def test_rows_that_differ_and_weigh_the_same_keep_their_order():
    key = RNG.normal(size=(50, 2)).astype(np.float32)
    for given in (None, np.full(50, 3.0)):
        rows, weights = merge_duplicates(key, given)
        assert np.array_equal(rows, np.arange(50))
        assert weights is None or (weights == 3).all()


def test_rows_without_weight_go():
    rows, weights = merge_duplicates(np.arange(4, dtype=np.float32)[:, None], np.array([1.0, 0.0, 1.0, 1.0]))
    assert rows.tolist() == [0, 2, 3]
    assert weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize("given", [None, RNG.normal(size=(2000, 1)).astype(np.float32)])
def test_without_noise_flows_start_at_the_prediction(given):
    c = RNG.normal(size=(2000, 2)).astype(np.float32)
    z = (c @ np.array([[0.8], [-0.3]]) + 0.2 * RNG.normal(size=(2000, 1))).astype(np.float32)
    data, prediction = paired_data((z, z), c, given, None, 0.0)
    inputs = c if given is None else np.hstack([c, given])
    assert np.array_equal(data.source.samples, prediction(inputs))
    assert np.allclose(prediction(inputs)[:, 0], c @ [0.8, -0.3], atol=0.05)
    assert (data.condition is None) == (given is None)
    noisy, nothing = paired_data((z, z), c, given, None, 0.5)
    assert nothing is None
    assert noisy.source.noise == 0.5
    assert np.array_equal(noisy.condition, inputs)


def test_arguments_are_named():
    assert as_pair(None, "condition") == (None, None)
    with pytest.raises(TypeError, match=r"condition of unpaired tables must be a pair \(of X, of y\), found list"):
        as_pair([1, 2], "condition")
    assert (check_noise("auto", True), check_noise("auto", False), check_noise(2, True)) == (1.0, 0.0, 2.0)
    with pytest.raises(ValueError, match="noise .or 'auto'. must lie in .0, inf., found -1"):
        check_noise(-1, True)
