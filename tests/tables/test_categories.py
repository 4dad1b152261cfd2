import numpy as np
import pytest

from buff.tables.categories import codes_of, factorize, indicators, order_levels


def test_factorize_sorts_and_marks_missing():
    levels, codes = factorize(np.array(["b", None, "a", "b"], dtype=object))
    assert levels == ["a", "b"]
    assert codes.tolist() == [1, -1, 0, 1]
    levels, codes = factorize(np.array([2.5, np.nan, -1.0]))
    assert levels == [-1.0, 2.5]
    assert codes.tolist() == [1, -1, 0]
    assert factorize(np.array([True, False, True]))[0] == [False, True]


def test_codes_follow_the_given_order_and_refuse_the_rest():
    values = np.array(["b", None, "a"], dtype=object)
    assert codes_of(values, ["b", "c", "a"], "q").tolist() == [0, -1, 2]
    with pytest.raises(ValueError, match="column 'q' holds the unknown value 'b'; known values: 'a', 'c'"):
        codes_of(values, ["a", "c"], "q")
    assert codes_of(np.array([1.0, 2.0]), [2, 1], "q").tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"\(30 in all\)"):
        codes_of(np.array([99]), list(range(30)), "q")


def test_indicators():
    assert indicators(np.array([1, -1, 0]), 2).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_frequency_and_lexical_orders():
    codes = np.repeat([0, 1, 2], [2, 5, 3])
    nothing = np.empty((10, 0))
    assert order_levels("frequency", codes, 3, np.ones(10), nothing).tolist() == [1, 2, 0]
    assert order_levels("similar", codes, 3, np.ones(10), nothing).tolist() == [1, 2, 0]
    assert order_levels("lexical", codes, 3, np.ones(10), nothing).tolist() == [0, 1, 2]
    heavy = np.where(codes == 0, 9.0, 1.0)
    assert order_levels("frequency", codes, 3, heavy, nothing).tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_levels", [6, 3000])
def test_similar_order_recovers_a_hidden_scale(n_levels):
    rng = np.random.default_rng(0)
    n = 20 * n_levels + 5000
    place = rng.permutation(n_levels)
    codes = rng.integers(0, n_levels, n)
    hidden = 4 * place[codes] / n_levels
    features = np.column_stack([hidden + rng.normal(size=n), rng.normal(size=n), rng.normal(size=n) - hidden])
    order = order_levels("similar", codes, n_levels, np.ones(n), features)
    assert abs(np.corrcoef(place[order], np.arange(n_levels))[0, 1]) > 0.97


def test_similar_order_is_that_of_correspondence_analysis():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 5, 4000)
    b = np.clip(a * 2 % 5 + rng.integers(-1, 2, 4000), 0, 4)
    shares = np.bincount(b) / len(b)
    order = order_levels("similar", a, 5, np.ones(4000), indicators(b, 5) / np.sqrt(shares))
    P = np.histogram2d(a, b, bins=5)[0] / 4000
    r, c = P.sum(1), P.sum(0)
    scores = np.linalg.svd((P - np.outer(r, c)) / np.sqrt(np.outer(r, c)))[0][:, 0] / np.sqrt(r)
    expected = np.argsort(scores)
    assert order.tolist() in (expected.tolist(), expected[::-1].tolist())
