"""Solvers and grids on fitted models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

from buff import BUFF
from buff.datasets import load_jets
from buff.errors import Notice
from buff.fields import Counted
from buff.flows import SampleRequest
from buff.generators import compare_samplers
from buff.generators.judging import halves_of, of_real
from buff.grids import TimeGrid
from buff.metrics import wasserstein
from buff.plotting import quality_against_nfe
from buff.solvers import Solver, get_solver, integrate

X = np.random.default_rng(0).multivariate_normal([0, 1], [[1, 0.8], [0.8, 1]], size=1600)


class Own(Solver):
    """Euler's rule by another name."""

    order = 1

    def advance(self, flow, x, t, s, memory):
        return x + (s - t) * flow.velocity(x, t), None


@pytest.fixture(scope="module")
def trees():
    return BUFF(n_steps=8, noise_budget=4000, random_state=0).fit(X[:800])


def test_more_evaluations_come_closer_and_euler_is_euler_by_any_name(trees):
    found = compare_samplers({"trees": trees}, X[800:], ["euler", Own(), "heun"], n_steps=(2, 8))
    by = {(record.name, record.nfe): record.value for record in found.records}
    assert set(by) == {("euler", 2), ("Own", 2), ("heun", 4), ("euler", 8), ("Own", 8), ("heun", 16)}
    assert by["euler", 2] == by["Own", 2] > by["euler", 8] > by["heun", 16]
    assert by["euler", 2] > 3 * found.floor.value
    lines = str(found).splitlines()
    assert lines[0] == "grid: dense1.5 (of trees)"
    assert lines[1].startswith("mean ± standard deviation over 5 draws of one fit; paired difference to the best of no")
    assert lines[1].endswith("more NFE: mean ± standard error of 5")
    assert lines[2].startswith("real against real")
    assert len(lines) == 9
    figure = quality_against_nfe(found.records, floor=found.floor)
    assert len(figure.axes[0].get_legend().get_texts()) == 4


def test_differences_are_those_of_pairs(trees):
    found = compare_samplers({"trees": trees}, X[800:], ["ifab2", "heun"], n_steps=(8,), seeds=6)
    (first, second), (one, other) = found.records, found.values
    better, worse = (one, other) if first.value < second.value else (other, one)
    (difference,) = [d for d in found.differences if d is not None and d.value > 0] or [found.differences[1]]
    assert difference.value == pytest.approx(abs(worse.mean() - better.mean()))
    student = stats.t.interval(2 * stats.norm.cdf(1) - 1, 5)[1]
    assert difference.error == pytest.approx(student * (worse - better).std(ddof=1) / 6**0.5)
    assert first.error == pytest.approx(one.std(ddof=1))
    named = compare_samplers({"trees": trees}, X[800:], ["ifab2", "heun"], n_steps=(4, 8), reference="heun")
    assert named.reference == "heun"
    assert named.differences[0] is None
    assert "paired difference to heun of no more NFE" in str(named)
    with pytest.raises(ValueError, match="reference 'trees, ab2' is no row: choose one of heun"):
        compare_samplers({"trees": trees}, X[800:], ["heun"], n_steps=(8,), reference="trees, ab2")


def test_several_fits_of_a_name_give_the_spread_over_fits(trees):
    more = [BUFF(n_steps=8, noise_budget=4000, random_state=seed).fit(X[:800]) for seed in (1, 2)]
    found = compare_samplers({"a": [trees, *more], "b": trees}, X[800:], ["ab2"], n_steps=(8,), seeds=2)
    a, b = found.values
    assert a.shape == (3, 2)
    assert b.shape == (1, 2)
    np.testing.assert_array_equal(a[0], b[0])
    assert found.records[0].error == pytest.approx(a.mean(axis=1).std(ddof=1))
    assert found.records[1].error == pytest.approx(b[0].std(ddof=1))
    (difference,) = [d for d in found.differences if d is not None]
    student = stats.t.interval(2 * stats.norm.cdf(1) - 1, 2)[1]
    assert difference.error == pytest.approx(student * (a - b).mean(axis=1).std(ddof=1) / 3**0.5)
    assert "standard deviation over 3 fits of 2 draws" in str(found)
    assert str(found).splitlines()[1].endswith("standard error of 3")
    with pytest.raises(ValueError, match="give each name as many fits, or one: found a 3, b 2"):
        compare_samplers({"a": [trees, *more], "b": more}, X[800:], ["ab2"], n_steps=(8,))


def test_what_leaves_the_nodes_is_told_and_left_out(trees):
    with pytest.warns(Notice, match=r"3 combinations are left out, the first: rk4, own grid, 8 steps: RungeKutta"):
        found = compare_samplers({"trees": trees}, X[800:], ["rk4", "ab2"], (None, "uniform"), (8,), metric=_w1)
    assert [record.name for record in found.records] == ["ab2, own grid"]
    single = compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(8,), metric=_w1, seeds=1)
    assert single.records[0].error == 0
    with pytest.raises(ValueError, match="dopri5_adaptive, 8 steps: .* chooses its times as it goes, and trees are kn"):
        compare_samplers({"trees": trees}, X[800:], ["dopri5_adaptive"], n_steps=(8,))
    with pytest.raises(ValueError, match="nothing to compare: ab2, 9 steps: the trees of a fit have fewer"):
        compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(9,))
    with pytest.warns(
        Notice, match="1 combinations are left out, the first: mine, 9 steps: the trees of a fit have fewer"
    ):
        compare_samplers({"trees": trees}, X[800:], {"mine": "ab2"}, n_steps=(8, 9), metric=_w1, seeds=1)
    with pytest.raises(TypeError, match="'f' is a NodeField, no model: buff.solvers.solver_errors takes fields"):
        compare_samplers({"f": trees.field_}, X[800:])
    with pytest.raises(NotFittedError):
        compare_samplers({"new": BUFF()}, X[800:])
    times = trees.grid_.times
    three = compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(3,), seeds=1)
    same = compare_samplers({"trees": trees}, X[800:], ["ab2"], [[times[i] for i in (0, 3, 5, 8)]], seeds=1)
    np.testing.assert_array_equal(three.values[0], same.values[0])


def test_grids_have_names_of_their_own(trees):
    times = trees.grid_.times
    found = compare_samplers({"trees": trees}, X[800:], ["ab2"], ["common", times, times[::2]], (8,), seeds=2)
    assert [record.name for record in found.records] == ["ab2, dense1.5 (of trees)", "ab2, grid 1", "ab2, grid 2"]
    np.testing.assert_array_equal(found.values[0], found.values[1])
    named = compare_samplers({"trees": trees}, X[800:], ["ab2"], {"all": times, "half": times[::2]}, seeds=2)
    assert [(record.name, record.nfe) for record in named.records] == [("ab2, all", 8), ("ab2, half", 4)]
    assert named.grids == ("all", "half")


def test_budgets_of_evaluations(trees):
    found = compare_samplers({"trees": trees}, X[800:], ["ifab2", "heun"], nfe=[2, 3, 8], seeds=2)
    rows = [(s.solver, s.n_steps, s.budget, r.nfe) for s, r in zip(found.samplers, found.records, strict=True)]
    # of three evaluations a rule of two a step makes no more than of two
    assert rows == [("ifab2", 2, 2, 2), ("heun", 1, 2, 2), ("ifab2", 3, 3, 3), ("ifab2", 8, 8, 8), ("heun", 4, 8, 8)]
    steps = compare_samplers({"trees": trees}, X[800:], ["heun"], n_steps=[4], seeds=2)
    np.testing.assert_array_equal(steps.values[0], found.values[4])
    with pytest.warns(Notice, match=r"1 combinations are left out, the first: rk4, 3 evaluations: any number of steps"):
        within = compare_samplers({"trees": trees}, X[800:], ["rk4", "heun", "ab2"], nfe=[3], seeds=2)
    assert [(r.name, r.nfe) for r in within.records] == [("heun", 2), ("ab2", 3)]
    assert "2 of 3" in str(within)
    assert (
        sum(difference is None for difference in within.differences) == 1
    )  # the best of the budget, whatever it takes
    alone = compare_samplers({"trees": trees}, X[800:], "heun", nfe=8, seeds=2)
    np.testing.assert_array_equal(alone.values[0], found.values[4])
    with pytest.raises(TypeError, match='models must be named, as in {"trees": model}: found BUFF'):
        compare_samplers(trees, X[800:], ["heun"])
    with pytest.raises(ValueError, match="give n_steps or nfe, not both"):
        compare_samplers({"trees": trees}, X[800:], ["heun"], n_steps=[4], nfe=[8])


def test_training_rows_are_judged_as_if_generated(trees):
    same = compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(8,), train=X[:300], seeds=3)
    assert same.training.value == pytest.approx(same.floor.value, rel=0.5)
    off = compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(8,), train=X[:300] + 1, seeds=3)
    assert off.training.value > 5 * off.floor.value
    assert str(off).splitlines()[3].split()[:2] == ["training", "rows"]


def test_the_floor_is_of_as_many_rows_as_a_draw(trees):
    sizes = []

    def metric(real, generated):
        sizes.append((len(real), len(generated)))
        return ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()

    real = X[800:1201]
    found = compare_samplers({"trees": trees}, real, ["ab2"], n_steps=(8,), metric=metric, seeds=2)
    assert set(sizes) == {(200, 200)}  # of 401
    assert found.floor == of_real(halves_of(real, 10, 0), metric)
    # E |difference of means|^2 = 2 trace(C) / n, of halves as of independent samples
    assert of_real(halves_of(real, 2000, 0), metric).value == pytest.approx(2 * np.trace(np.cov(real.T)) / 200, rel=0.1)
    few = compare_samplers({"trees": trees}, real, ["ab2"], n_steps=(8,), metric=metric, seeds=2, train=X[:150])
    assert [line.split("  ")[-1] for line in str(few).splitlines()[2:4]] == [f"{n} rows beside 200" for n in (200, 150)]
    assert (200, 150) in sizes


def test_comparisons_are_data_frames(trees):
    models, table = {"trees": trees, "again": trees}, ["ab2", "heun"]
    found = compare_samplers(models, X[800:], table, nfe=[8], train=X[:800], seeds=2)
    frame = found.to_pandas()
    assert list(frame["model"]) == ["trees", "trees", "again", "again"]
    assert list(frame["solver"]) == [*table, *table]
    assert set(frame["grid"]) == {"dense1.5 (of trees)"}
    assert list(frame["value"]) == [record.value for record in found.records]
    assert list(frame["nfe"]) == list(frame["budget"]) == [8] * 4
    assert frame["difference"].isna().sum() == sum(difference is None for difference in found.differences)
    assert set(frame["floor"]) == {found.floor.value}
    assert set(frame["training_sd"]) == {found.training.error}


def test_tables_of_the_package_are_judged_and_models_with_solvers_of_their_own():
    jets = load_jets("t", n=600).select(["mass", "tau1", "tau2"])
    train, test = jets.split(0.5, random_state=0)
    trees = BUFF(n_steps=4, noise_budget=2000, random_state=0).fit(train)
    found = compare_samplers({"trees": trees}, test, nfe=[4], train=train, seeds=2)
    assert [(record.name, record.nfe) for record in found.records] == [("ifab2", 4)]
    assert found.grids == ("own grid (trees: dense1.5)",)
    given = compare_samplers({"trees": trees}, test, ["ifab2"], nfe=[4], seeds=2)
    np.testing.assert_array_equal(found.values[0], given.values[0])


class Restless(Solver):
    """Refines where the velocity is large, without saying that it is adaptive."""

    def advance(self, flow, x, t, s, memory):
        u = flow.velocity(x, t)
        if np.abs(u).max() > 1.5:
            u = flow.velocity(x + 0.5 * (s - t) * u, t)
        return x + (s - t) * u, None


def test_evaluations_that_depend_on_the_state_are_no_number(trees):
    with pytest.raises(ValueError, match="calls the field as the state tells it to: say adaptive = True in its class"):
        Restless().nfe(TimeGrid.uniform(4))
    with pytest.raises(ValueError, match="nothing to compare: Restless, 4 evaluations: .*say adaptive = True"):
        compare_samplers({"trees": trees}, X[800:], [Restless()], nfe=[4], seeds=2)


class Sneaky(Restless):
    """Looks at more than its number of events tells a walk with one of them."""

    def advance(self, flow, x, t, s, memory):
        return super().advance(flow, x, t, s, memory) if len(x) > 1 else Own().advance(flow, x, t, s, memory)


def test_evaluations_of_real_runs_are_those_that_are_listed():
    pytest.importorskip("torch")
    from buff_baselines import NeuralFlow

    net = NeuralFlow(hidden=(8,), n_iterations=3, batch_size=8, random_state=0).fit(X[:800])
    with pytest.raises(ValueError, match=r"Sneaky.* took 2 evaluations from t = 0 to 0.25, not 1, as the state told"):
        compare_samplers({"net": net}, X[800:], [Sneaky()], nfe=[4], seeds=2)
    assert compare_samplers({"net": net}, X[800:], [Own()], nfe=[4], seeds=2).records[0].nfe == 4


def test_evaluations_of_adaptive_solvers_are_counted():
    pytest.importorskip("torch")
    from buff_baselines import NeuralFlow

    net = NeuralFlow(hidden=(8,), n_iterations=3, batch_size=8, random_state=0).fit(X[:800])
    solvers = {
        "coarse": get_solver("dopri5_adaptive", rtol=1e-2, atol=1e-2),
        "fine": get_solver("dopri5_adaptive", rtol=1e-5, atol=1e-5),
        "scipy": get_solver("scipy_rk45"),
        "heun": get_solver("heun"),
    }
    found = compare_samplers({"net": net}, X[800:], solvers, nfe=[4, 8], seeds=2)
    nfe = {name: [r.nfe for r in found.records if r.name == name] for name in solvers}
    assert nfe["heun"] == [4, 8]
    assert all(len(counts) == 1 for name, counts in nfe.items() if name != "heun")
    assert 7 <= nfe["coarse"][0] < nfe["fine"][0]
    counted = Counted(net.field_)
    z = net.model_.trajectory(SampleRequest(400, 0)).__next__()
    integrate("scipy_rk45", counted, z, [0.0, 1.0])
    assert nfe["scipy"][0] == pytest.approx(counted.nfe, abs=12)
    assert {s.budget for s in found.samplers if s.solver == "fine"} == {nfe["fine"][0]}


def test_few_rows_and_metrics_of_many_numbers_are_told(trees):
    with pytest.warns(Notice, match="3 real rows tell samplers apart by chance only"):
        compare_samplers({"trees": trees}, X[800:803], ["ab2"], nfe=[4], seeds=2)
    with pytest.raises(TypeError, match=r"metric must return a number or an estimate: found an array of shape \(2,\)"):
        compare_samplers({"trees": trees}, X[800:], ["ab2"], nfe=[4], metric=lambda a, b: np.zeros(2))


def test_one_grid_serves_trees_and_networks(trees):
    torch = pytest.importorskip("torch")
    from buff_baselines import NeuralFlow

    with pytest.raises(TypeError, match=r"trees take states as arrays of NumPy, .* found torch.Tensor"):
        integrate("ab2", trees.field_, torch.zeros(3, 2), trees.grid_)

    net = NeuralFlow(hidden=(8,), n_iterations=3, batch_size=8, random_state=0).fit(X[:800])
    found = compare_samplers({"net": net, "trees": trees}, X[800:], ["ifab2"], n_steps=(8,), seeds=2)
    assert found.grids == ("dense1.5 (of trees)",)
    on_it = compare_samplers({"net": net}, X[800:], ["ifab2"], [trees.grid_], seeds=2)
    np.testing.assert_array_equal(on_it.values[0], found.values[0])
    assert compare_samplers({"net": net}, X[800:], ["ifab2"], n_steps=(8,), seeds=1).grids == ("uniform (of net)",)


def test_several_models_data_frames_and_atoms():
    table = pd.DataFrame(X, columns=["a", "b"]).assign(b=lambda t: t["b"].where(t["b"] > 0.5, 0.0))
    short = {"n_steps": 4, "noise_budget": 2000, "random_state": 0}
    models = {"ten": BUFF(**short).fit(table[:800]), "two": BUFF(**short, n_estimators=2).fit(table[:800])}
    grid = TimeGrid(models["ten"].model_.flow.grid.times)
    found = compare_samplers(models, table[800:], {"mine": Own()}, (None, grid), n_steps=(2, 4), seeds=2)
    names = {f"{model}, mine, {where}" for model in models for where in ("own grid", "grid 1")}
    assert {record.name for record in found.records} == names
    assert len(found.records) == 6


def _w1(real, generated):
    return float(wasserstein(real, generated, n_bootstrap=0).value)
