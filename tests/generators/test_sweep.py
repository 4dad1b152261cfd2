"""Solvers and grids on fitted models."""

import numpy as np
import pandas as pd
import pytest

from buff import BUFF
from buff.errors import Notice
from buff.generators import compare_samplers
from buff.grids import TimeGrid
from buff.metrics import wasserstein
from buff.plotting import quality_against_nfe
from buff.solvers import Solver

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
    assert str(found).splitlines()[0].startswith("real against real")
    figure = quality_against_nfe(found.records, floor=found.floor)
    assert len(figure.axes[0].get_legend().get_texts()) == 4


def test_what_leaves_the_nodes_is_told_and_left_out(trees):
    with pytest.warns(Notice, match=r"3 combinations are left out, the first: rk4, own grid, 8 steps: RungeKutta"):
        found = compare_samplers({"trees": trees}, X[800:], ["rk4", "ab2"], (None, "uniform"), (8,), metric=_w1)
    assert [record.name for record in found.records] == ["ab2, own grid"]
    assert found.records[0].error == 0
    with pytest.raises(ValueError, match="nothing to compare: dopri5_adaptive, 8 steps: .* chooses its times"):
        compare_samplers({"trees": trees}, X[800:], ["dopri5_adaptive"], n_steps=(8,))
    with pytest.raises(ValueError, match="nothing to compare: no model has such a grid"):
        compare_samplers({"trees": trees}, X[800:], ["ab2"], n_steps=(3,))


def test_several_models_data_frames_and_atoms():
    table = pd.DataFrame(X, columns=["a", "b"]).assign(b=lambda t: t["b"].where(t["b"] > 0.5, 0.0))
    short = {"n_steps": 4, "noise_budget": 2000, "random_state": 0}
    models = {"ten": BUFF(**short).fit(table[:800]), "two": BUFF(**short, n_estimators=2).fit(table[:800])}
    grid = TimeGrid(models["ten"].model_.flow.grid.times)
    found = compare_samplers(models, table[800:], {"mine": Own()}, (None, grid), n_steps=(2, 4))
    assert {record.name for record in found.records} == {"ten, mine, own grid", "two, mine, own grid"}
    assert len(found.records) == 6


def _w1(real, generated):
    return float(wasserstein(real, generated, n_bootstrap=0).value)
