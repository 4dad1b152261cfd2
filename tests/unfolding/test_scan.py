"""Iterations one by one: each is the unfolding with so many, and what they cost grows."""

import numpy as np
import pytest

from buff.unfolding import scan_iterations

from .toys import quick, shifted

EDGES = np.linspace(-1.5, 2.5, 9)


@pytest.fixture(scope="module", params=["reweight", "iterated"])
def problem(request):
    simulated, nature = shifted(3000, 1500, 0.5)
    unfolder = quick(request.param).fit(simulated.truth, simulated.reco)
    scan = scan_iterations(
        unfolder, nature.reco, {"x0": EDGES}, most=4, n_replicas=8, truth=nature.truth, random_state=0
    )
    return unfolder, nature, scan


def test_each_is_the_unfolding_with_so_many_iterations(problem):
    unfolder, nature, scan = problem
    for k in (1, 3):
        result = unfolder.unfold(nature.reco, n_iterations=k, n_replicas=0)
        np.testing.assert_array_equal(scan["x0"].counts[k - 1], result.histogram(0, EDGES).values())
        refolded = next(column.chi2 for column in result.diagnostics.refolded if column.name == "x0")
        assert scan["x0"].refolded[k - 1] == pytest.approx(refolded.value / refolded.n)


def test_iterations_move_less_and_less_and_cost_precision(problem):
    own, nature = problem[2]["x0"], problem[1]
    assert own.moved[0] > 10 * own.moved[3]
    np.testing.assert_allclose(own.moved[1], np.mean(((own.counts[1] - own.counts[0]) / own.errors[1]) ** 2))
    assert own.error[3] > own.error[0]
    assert own.truth[3] < own.truth[0]
    truth = np.histogram(nature.truth[:, 0], EDGES)[0]
    pulls = (own.counts[2] - truth) / np.sqrt(own.errors[2] ** 2 + truth)
    assert own.truth[2] == pytest.approx(np.mean(pulls**2))
    assert (np.abs(own.correlation) <= 1).all()


def test_prints_and_draws(problem):
    unfolder, nature, scan = problem
    lines = repr(scan).splitlines()
    assert lines[0] == "x0"
    assert lines[1].split() == ["iteration", "moved", "refolded", "error", "correlation", "truth"]
    assert lines[2].split()[0] == "1"
    assert "(8 replicas)" in repr(scan)
    pytest.importorskip("matplotlib")
    figure = scan.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == [r"$\chi^2/n$", "error [%]", "correlation"]
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), 100 * scan["x0"].error)
    other = scan_iterations(unfolder, nature.reco, {"x0": EDGES}, most=1, n_replicas=2, random_state=0)
    assert other["x0"].truth is None
    assert "truth:" not in repr(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most": 0}, "most must be at least 1"),
        ({"n_replicas": 1}, "n_replicas must be at least 2"),
        ({"truth": (1, 2, 3)}, r"truth must be a table or a pair \(table, weights\), found a tuple of 3"),
        ({"bins": {"mass": 3}}, "no column 'mass'"),
    ],
)
def test_what_cannot_be_scanned_is_refused(problem, options, message):
    unfolder, nature, _ = problem
    with pytest.raises(ValueError, match=message):
        scan_iterations(unfolder, nature.reco, **({"bins": {"x0": EDGES}, "most": 1, "n_replicas": 2} | options))
