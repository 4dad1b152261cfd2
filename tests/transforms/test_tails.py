import numpy as np
import pytest
from scipy import stats

from buff.transforms.tails import Tail


def fitted(x, bound=None):
    x = np.sort(x)
    n = len(x)
    return Tail.fit(x, np.ones(n), x[-5] + 1e-9, 4 / n, x[-1], bound)


@pytest.mark.parametrize("tail", [Tail(1.0, 0.01, 2.0, 0.3), Tail(1.0, 0.01, 2.0, 0.0), Tail(1.0, 0.01, 2.0, -0.5)])
def test_value_inverts_survival(tail):
    survival = np.geomspace(1e-12, 0.01, 20)
    np.testing.assert_allclose(tail.survival(tail.value(survival)), survival, rtol=1e-4)
    assert tail.value(np.array([0.01]))[0] == 1.0


@pytest.mark.parametrize(
    ("law", "shape"),
    [(stats.expon(), 0.0), (stats.pareto(4), 0.25), (stats.uniform(), -1.0), (stats.norm(), -0.1)],
)
def test_shape_of_known_laws(law, shape):
    rng = np.random.default_rng(0)
    tails = [fitted(law.rvs(100_000, random_state=rng)) for _ in range(20)]
    assert np.mean([tail.shape for tail in tails]) == pytest.approx(shape, abs=0.08)


def test_far_quantiles_of_an_exponential():
    rng = np.random.default_rng(1)
    far = [fitted(rng.exponential(size=100_000)).value(np.array([1e-7]))[0] for _ in range(20)]
    assert np.mean(far) == pytest.approx(-np.log(1e-7), rel=0.1)


def test_tail_ends_at_its_bound():
    tail = fitted(np.random.default_rng(0).exponential(size=10_000), bound=15.0)
    x = tail.value(np.geomspace(1e-300, tail.mass, 100))
    assert x.max() <= 15
    assert x.max() > 14.9


def test_too_few_values_have_no_tail():
    assert fitted(np.arange(30.0)) is None
