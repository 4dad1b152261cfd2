import numpy as np
import pytest

from buff.flows.nodes import SmoothedTrees
from buff.flows.stored import load_trees
from buff.kernels import PolynomialRidge, affordable_degree, monomials, n_terms
from buff.trees import Booster, TreeSettings

W = np.random.default_rng(0).standard_normal((4000, 3)).astype(np.float32)


def test_monomials():
    w = np.array([[2.0, -1.0], [9.0, 0.0]], np.float32)
    np.testing.assert_array_equal(monomials(w, 2)[0], [2, -1, 4, -2, 1])
    np.testing.assert_array_equal(monomials(w, 3)[0], [2, -1, 4, -2, 1, 8, -4, 2, -1])
    np.testing.assert_array_equal(monomials(w, 3, triples=False)[0], [2, -1, 4, -2, 1, 8, 2, -4, -1])
    np.testing.assert_array_equal(monomials(w, 2)[1], [3.5, 0, 12.25, 0, 0])


@pytest.mark.parametrize("degree", [2, 3])
def test_polynomials_are_found(degree):
    truth = np.column_stack([1 + W[:, 0] * W[:, 1], W[:, 2] ** 2 - W[:, 0]])
    if degree == 3:
        truth[:, 1] += W[:, 0] * W[:, 2] ** 2 + W[:, 0] * W[:, 1] * W[:, 2]
    ridge = PolynomialRidge.fit(W, truth.astype(np.float32), degree=degree)
    inside = (abs(W) < 3).all(axis=1)
    assert abs(ridge(W) - truth)[inside].max() < 0.2
    assert ridge(W[:0]).shape == (0, 2)


def test_weights_count_rows():
    targets = W[:, :1] * W[:, 1:2]
    twice = np.concatenate([W, W[:1000]]), np.concatenate([targets, targets[:1000]])
    weights = np.where(np.arange(len(W)) < 1000, 2, 1).astype(np.float32)
    weighted, repeated = PolynomialRidge.fit(W, targets, weights), PolynomialRidge.fit(*twice)
    np.testing.assert_allclose(weighted(W), repeated(W), atol=1e-4)


def test_a_row_has_one_result_in_any_batch():
    ridge = PolynomialRidge.fit(W, W**2)
    whole = ridge(W)
    np.testing.assert_array_equal(whole, np.concatenate([ridge(W[:1]), ridge(W[1:7]), ridge(W[7:])]))


def test_far_states_stay_finite():
    ridge = PolynomialRidge.fit(W, W**2)
    far = np.array([[1e30, -1e30, 0.0]], np.float32)
    assert np.isfinite(ridge(far)).all()
    assert abs(ridge(far)).max() < 100


def test_terms_follow_the_rows():
    assert affordable_degree(3, 9, 10_000) == (3, True)
    assert affordable_degree(3, 12, 5000) == (3, False)
    assert affordable_degree(3, 12, 2449) == (2, True)
    assert affordable_degree(2, 9, 10_000) == (2, True)
    assert affordable_degree(3, 18, 5000) == (2, True)
    assert affordable_degree(3, 18, 5000, rows_a_term=5) == (3, False)
    for none in ((3, 18, 2000), (0, 9, 10_000), (3, 90, 10**6)):
        assert affordable_degree(*none)[0] == 0


@pytest.mark.parametrize("triples", [False, True])
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("f", [1, 4])
def test_numbers_of_terms(f, degree, triples):
    w = np.random.default_rng(0).standard_normal((5, f)).astype(np.float32)
    terms = monomials(w, degree, triples)
    assert terms.shape == (5, n_terms(f, degree, triples))
    own = [w[:, i] for i in range(f)] + [w[:, i] * w[:, j] for i in range(f) for j in range(i, f)]
    if degree == 3:
        third = [(i, j, k) for i in range(f) for j in range(i, f) for k in range(j, f)]
        own += [w[:, i] * (w[:, j] * w[:, k]) for i, j, k in third if triples]
        own += [] if triples else [w[:, i] * w[:, j] ** 2 for i in range(f) for j in range(f)]
    np.testing.assert_array_equal(terms, np.column_stack(own))


@pytest.mark.parametrize("triples", [False, True])
def test_files(triples):
    features = np.hstack([W, W])
    ridge = PolynomialRidge.fit(W, W[:, :2] ** 2, triples=triples)
    booster = Booster.fit(features, W[:, :2], TreeSettings(n_estimators=2))
    trees = SmoothedTrees(booster, ridge, 3)
    again = load_trees(trees.to_bytes(), 2)
    np.testing.assert_array_equal(again(features), trees(features))
    assert (again.rounds, again.device, again.first) == (2, "cpu", 3)
    plain = load_trees(booster.to_bytes(), 2)
    np.testing.assert_array_equal(plain(features), booster(features))
