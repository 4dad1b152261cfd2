"""Closure, stress and coverage: what is known comes back, what is not held by the errors shows."""

import numpy as np
import pandas as pd
import pytest

from buff.datasets import gaussian_1d
from buff.unfolding import ClosureBins, Unfolder, closure_test

from .toys import Detector

pytestmark = pytest.mark.filterwarnings("ignore:.*lie where no simulated event does")
EDGES = np.linspace(-2, 2, 5)


def bent(t):
    return np.exp(0.8 * np.asarray(t)[:, 0])


def test_numbers_of_bins_are_those_of_the_repetitions():
    unfolded, truth = np.array([[12.0, 5.0], [8.0, 5.0], [13.0, 5.0]]), np.array([[10.0, 5.0]] * 3)
    own = ClosureBins("x", np.array([0.0, 1.0, 2.0]), unfolded, truth, np.array([[2.5, 0.0]] * 3))
    np.testing.assert_allclose(own.bias, [1, 0])
    np.testing.assert_allclose(own.scatter, [np.std([2, -2, 3], ddof=1), 0])
    np.testing.assert_allclose(own.error, [2.5, 0])
    np.testing.assert_allclose(own.pulls[:, 0], [0.8, -0.8, 1.2])
    np.testing.assert_allclose(own.coverage, [2 / 3, 1])
    assert repr(own).splitlines()[2].split()[:5] == ["0", "to", "1", "10", "1"]


def test_a_sharp_detector_closes_and_covers():
    pairs = gaussian_1d().sample(4000, 0).truth
    reco = pairs + 0.05 * np.random.default_rng(1).normal(size=pairs.shape)
    test = closure_test(Unfolder("reweight", n_iterations=2), pairs, reco, {"x0": EDGES}, n_repeats=8, random_state=2)
    own = test["x0"]
    np.testing.assert_allclose(own.truth.sum(axis=1), 1000 * 0.954, rtol=0.03)
    assert (np.abs(own.bias) < 4 * own.scatter / np.sqrt(8) + 1).all()
    assert 0.4 < test.coverage <= 1
    again = closure_test(Unfolder("reweight", n_iterations=2), pairs, reco, {"x0": EDGES}, n_repeats=8, random_state=2)
    np.testing.assert_array_equal(again["x0"].unfolded, own.unfolded)


def test_a_prior_that_is_kept_shows_under_stress():
    pairs = gaussian_1d(resolution=1.0).sample(4000, 0)
    args = pairs.truth, pairs.reco, {"x0": EDGES}
    few, many = (
        closure_test(Unfolder("reweight", n_iterations=n), *args, n_repeats=3, stress=bent, random_state=0)["x0"]
        for n in (1, 5)
    )
    assert np.abs(few.bias).sum() > 1.5 * np.abs(many.bias).sum()
    given = closure_test(
        Unfolder("reweight", n_iterations=1), *args, n_repeats=3, stress=bent(pairs.truth), random_state=0
    )
    np.testing.assert_array_equal(given["x0"].unfolded, few.unfolded)


def test_selections_tables_and_another_simulation():
    simulated, other = Detector().events(3000, 0), Detector(0.4).events(3000, 1)
    names = ("truth", "reco", "pass_truth", "pass_reco")
    one, two = (dict(zip(names, events, strict=True)) for events in (simulated, other))
    for own in (one, two):
        own |= {level: pd.DataFrame(own[level], columns=["x"]) for level in ("truth", "reco")}
    test = closure_test(
        Unfolder("reweight"), **one, bins={"x": EDGES}, nature=two, n_repeats=3, n_measured=400, random_state=0
    )
    passing = other[3].mean() * len(other[0])
    expected = np.histogram(other[0][:, 0], EDGES)[0] * 400 / passing
    np.testing.assert_allclose(test["x"].truth.mean(axis=0), expected, rtol=0.15)
    assert (np.abs(test["x"].bias)[2:] < 0.2 * expected[2:]).all()  # below, hardly anything is seen
    pytest.importorskip("matplotlib")
    figure = test.plot(units={"x": "GeV"})
    assert figure.axes[1].get_xlabel() == "x [GeV]"
    np.testing.assert_allclose(figure.axes[1].lines[-1].get_ydata(), test["x"].coverage)


def test_pseudo_data_have_the_events_asked_for_and_few_replicas_are_told_once():
    pairs = gaussian_1d().sample(800, 0)
    few = Unfolder("reweight", n_iterations=1, n_replicas={"data": 2})
    with pytest.warns(UserWarning, match="2 replicas are few for 4 bins of x0") as told:
        test = closure_test(few, pairs.truth, pairs.reco, {"x0": EDGES}, n_repeats=3, n_measured=350, random_state=0)
    assert len([w for w in told if "are few" in str(w.message)]) == 1
    assert test.n_measured == (350,) * 3
    asked = closure_test(
        Unfolder("reweight", n_iterations=1), pairs.truth, pairs.reco, {"x0": EDGES}, n_repeats=2, n_measured=10**6
    )
    assert asked.n_measured == (400,) * 2
    np.testing.assert_allclose(asked["x0"].truth.sum(axis=1), 400 * 0.954, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_repeats": 1}, "n_repeats must be"),
        ({"bins": {}}, "bins names no column"),
        ({"stress": np.ones(3)}, "stress must give 200 weights, one an event, found shape"),
        ({"bins": {"y": 3}}, "no column 'y'"),
    ],
)
def test_what_cannot_be_tested_is_refused(options, message):
    pairs = gaussian_1d().sample(200, 0)
    with pytest.raises(ValueError, match=message):
        closure_test(Unfolder("reweight", n_iterations=1), pairs.truth, pairs.reco, **({"bins": {"x0": 2}} | options))
