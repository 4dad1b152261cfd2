import numpy as np
import pytest

from buff.metrics import real_floor, wasserstein


def w1(a, b, **weights):
    return wasserstein(a, b, n_bootstrap=0, **weights)


@pytest.fixture
def x():
    return np.random.default_rng(37).normal(size=8000)


def test_floor_is_the_metric_of_independent_samples(x):
    floor = real_floor(w1, x, size=(500, 1000), n_repeats=20)
    rng = np.random.default_rng(0)
    independent = [w1(rng.normal(size=500), rng.normal(size=1000)).value for _ in range(100)]
    assert floor.value == pytest.approx(np.mean(independent), rel=0.3)
    assert floor.error == pytest.approx(np.std(independent), rel=0.6)


def test_parts_are_disjoint_and_of_the_size_asked(x):
    def overlap(a, b):
        assert (len(a), len(b)) == (300, 200)
        return float(len(np.intersect1d(a, b)))

    assert real_floor(overlap, x, size=(300, 200)).value == 0.0


def test_weights_travel_with_their_rows(x):
    def misplaced(a, b, real_weights, generated_weights):
        return float(np.abs(a - real_weights).sum() + np.abs(b - generated_weights).sum())

    shifted = np.abs(x) + 1
    assert real_floor(misplaced, shifted, weights=shifted).value == 0.0


def test_seed_and_refusals(x):
    assert real_floor(w1, x, 100, random_state=3) == real_floor(w1, x, 100, random_state=3)
    with pytest.raises(ValueError, match="two disjoint parts of 5000 and 5000 rows do not fit the 8000"):
        real_floor(w1, x, size=5000)
    with pytest.raises(ValueError, match="n_repeats must be at least 1"):
        real_floor(w1, x, n_repeats=0)
