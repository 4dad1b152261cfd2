import numpy as np
import pytest

from benchmarks.cases.unfolding import CASE, NAMES, TILT, Pairs, distances, separations, tilted
from benchmarks.records import FLOOR


def pairs(seed, shift=0.0, n=4000):
    rng = np.random.default_rng(seed)
    centre = np.array([20.0, 0.2, 25.0, -6.0, 0.3, 0.6])
    truth = centre * (1 + 0.2 * (rng.normal(size=(n, 6)) + shift))
    return Pairs(truth, truth * (1 + 0.05 * rng.normal(size=truth.shape)), np.ones(n))


def test_same_truth_is_near_and_shifted_truth_far():
    real, same, other = pairs(0), pairs(1), pairs(2, 0.5)
    near, far = (distances(real.truth, p.truth, p.weights) for p in (same, other))
    assert all(far[f"w1_{name}"] > 5 * near[f"w1_{name}"] for name in NAMES)
    near, far = (separations(real, p.truth, p.weights) for p in (same, other))
    assert all(far[f"td_{name}"] > 3 * near[f"td_{name}"] for name in NAMES)


def test_a_tilt_changes_the_spectra_of_its_observables_alone():
    events = pairs(3)
    leaning = tilted(events)
    assert leaning.truth is events.truth
    shifts = np.average(leaning.truth, axis=0, weights=leaning.weights) - events.truth.mean(axis=0)
    shifts /= events.truth.std(axis=0)
    for name, shift in zip(NAMES, shifts, strict=True):
        # in a normal distribution exp(slope z) moves the mean by slope widths
        assert shift == pytest.approx(TILT.get(name, 0.0), abs=0.15)


def test_targets_and_comparisons_are_about_what_is_measured():
    quantities = {quantity.name for quantity in CASE.quantities}
    methods = {comparison.name for comparison in CASE.comparisons} | {"one step"}
    assert {target.quantity for target in CASE.targets} <= quantities
    assert {target.method for target in CASE.targets} <= methods
    assert any(FLOOR in comparison.name for comparison in CASE.comparisons)
    thirds = [target for target in CASE.targets if target.at_most == pytest.approx(1 / 3)]
    assert len({target.quantity for target in thirds}) == len(NAMES)
