from fractions import Fraction

import numpy as np
import pytest

from buff.kernels import dot, products, residual, solve
from buff.transforms.quantiles import convolved

RNG = np.random.default_rng(0)


def exactly(a, b):
    """Products by whole numbers of any length, rounded once."""
    columns = [[[Fraction(float(v)) for v in column] for column in part.T] for part in (a, b)]
    return np.array([[float(sum(x * y for x, y in zip(p, q, strict=True))) for q in columns[1]] for p in columns[0]])


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e12])
def test_products_are_right_to_the_last_bit(scale):
    a, b = scale * RNG.normal(size=(300, 3)), RNG.exponential(size=(300, 2))
    assert np.all(np.abs(products(a, b) - exactly(a, b)) <= np.spacing(np.abs(exactly(a, b))))


def test_products_do_not_depend_on_the_order_of_rows():
    x = RNG.normal(size=(2000, 4)).astype(np.float32)
    order = RNG.permutation(2000)
    assert np.array_equal(products(x, x), products(x[order], x[order]))
    assert np.array_equal(products(np.zeros((5, 2)), np.ones((5, 2))), np.zeros((2, 2)))


def test_solutions_leave_no_residual():
    a = RNG.normal(size=(40, 40))
    a, x = a @ a.T + 1e-4 * np.eye(40), RNG.normal(size=(40, 2))
    b = exactly(a.T, x)
    assert np.abs(residual(a, b, np.linalg.solve(a, b))).max() > np.abs(residual(a, b, solve(a, b))).max()
    assert np.allclose(solve(a, b), x, rtol=1e-10)


@pytest.mark.parametrize(("n", "k"), [(50, 7), (9, 9), (5, 1)])
def test_convolution_is_that_of_numpy(n, k):
    x, kernel = RNG.normal(size=n), RNG.normal(size=k)
    assert np.allclose(convolved(x, kernel), np.convolve(x, kernel, "same"))


def test_dot():
    assert dot(np.arange(4), np.ones(4)) == 6.0
