"""The engine as a whole: reproducibility, nodes, resuming."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

import buff.flows.fit as run
import buff.flows.workers as workers
from buff import BUFF
from buff.fields import NodeField
from buff.randomness import training_seed
from buff.solvers import SOLVERS

#: One of them asks for 250 steps.
STOCHASTIC = {name for name, solver in SOLVERS.items() if solver.stochastic} - {"pc_0165_em250"}


def trees(model):
    return [m.trees and m.trees.to_bytes() for m in model.model_.nodes]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000, None])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_events_do_not_depend_on_batches_and_threads(model, batch_size, n_jobs):
    whole = model.sample(130, random_state=5)
    twin = pickle.loads(pickle.dumps(model)).set_params(n_jobs=n_jobs)
    assert np.array_equal(twin.sample(130, random_state=5, batch_size=batch_size), whole)


@pytest.mark.parametrize("cut", [1, 50, 129])
def test_a_sample_can_be_continued(model, cut):
    whole = model.sample(130, random_state=5)
    rest = model.sample(130 - cut, random_state=5, first_event=cut)
    assert np.array_equal(np.vstack([model.sample(cut, random_state=5), rest]), whole)


def test_conditions_and_events_are_continued_alike(conditional):
    events, conditions = conditional.sample(40, random_state=5, return_condition=True)
    rest, rest_conditions = conditional.sample(25, random_state=5, first_event=15, batch_size=1, return_condition=True)
    assert np.array_equal(rest, events[15:])
    assert np.array_equal(rest_conditions, conditions[15:])
    assert np.array_equal(conditional.sample(40, condition=conditions, random_state=5), events)


@pytest.mark.parametrize("solver", sorted(STOCHASTIC))
def test_stochastic_solvers_are_as_reproducible(small, table, solver):
    model = small(solver=solver, n_steps=12, n_estimators=1, grid="power").fit(table[0][:60])
    whole = model.sample(30, random_state=5)
    assert np.array_equal(model.sample(30, random_state=5, batch_size=11), whole)
    assert not np.array_equal(model.sample(30, random_state=6), whole)


def test_seeds(small, table):
    model = small(random_state=None).fit(table[0])
    assert not np.array_equal(model.sample(20), model.sample(20))
    assert np.array_equal(model.sample(20, random_state=1), model.sample(20, random_state=1))
    assert not np.array_equal(model.sample(20, random_state=1), model.sample(20, random_state=2))
    one, two, other = (small(random_state=seed).fit(table[0]) for seed in (0, 0, 1))
    assert trees(one) == trees(two) != trees(other)
    assert np.array_equal(one.sample(20), two.sample(20))
    assert np.array_equal(one.sample(20), one.sample(20))


def test_workers_change_nothing_and_use_one_thread_each(small, table, monkeypatch):
    alone, seen = small().fit(table[0]), {}
    parallel = workers.Parallel

    def noted(n_workers, **options):
        seen["workers"] = n_workers
        return parallel(n_workers, **options)

    monkeypatch.setattr(workers, "Parallel", noted)
    shared = small(n_jobs=2).fit(table[0])
    assert seen == {"workers": 2}
    assert shared.plan_.n_workers == 2
    assert trees(shared) == trees(alone)
    assert np.array_equal(shared.sample(50), alone.sample(50))


def test_every_node_has_noise_of_its_own(small, table, monkeypatch):
    fit_node, seeds = run.fit_node, []
    monkeypatch.setattr(run, "fit_node", lambda *task: seeds.append(task[-1]) or fit_node(*task))
    small(random_state=7).fit(table[0])
    states = [seed.generate_state(4).tolist() for seed in seeds]
    assert states == [training_seed(7, i).generate_state(4).tolist() for i in range(4)]
    assert len({tuple(state) for state in states}) == 4


def test_workers_hide_the_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert workers._apart(os.getpid(), os.environ.get, "CUDA_VISIBLE_DEVICES") == "0"
    assert workers._apart(os.getpid() + 1, os.environ.get, "CUDA_VISIBLE_DEVICES") == ""


def queried(model, monkeypatch):
    times, call, in_frame = [], NodeField.__call__, NodeField.frame_velocity

    def noted(self, x, t, condition=None):
        times.append(t)
        return call(self, x, t, condition)

    def noted_in_frame(self, x, y, t, condition=None):
        before = len(times)
        found = in_frame(self, x, y, t, condition)
        times[before:] = [t]  # a field without trees in the frame asks itself
        return found

    monkeypatch.setenv("BUFF_BACKEND", "xgboost")  # compiled loops do not call the field
    monkeypatch.setattr(NodeField, "__call__", noted)
    monkeypatch.setattr(NodeField, "frame_velocity", noted_in_frame)
    model.sample(3)
    return times


@pytest.mark.parametrize("solver", ["default", "euler", "heun", "ab3", "rk4", "midpoint", "rk4_nodes", "dpmpp_2m"])
def test_every_trained_node_is_used_and_no_other(small, table, monkeypatch, solver):
    changes = {} if solver == "default" else {"solver": solver}
    model = small(**changes, n_estimators=1).fit(table[0][:60])
    calls = queried(model, monkeypatch)
    assert {round(t, 9) for t in calls} == {round(node.t, 9) for node in model.nodes_}
    if solver == "default":
        assert len(calls) == len(model.nodes_) == model.n_steps


def test_ends_are_analytic(small, table):
    plain, conditional = small(solver="heun").fit(table[0]), small(solver="heun").fit(table[0], condition=table[1])
    assert [node.rounds for node in plain.nodes_] == [0, 4, 4, 4, 0]
    assert [node.rounds for node in conditional.nodes_] == [4, 4, 4, 4, 0]


def test_no_estimators_leave_a_gaussian_copula(small, table):
    model = small(n_estimators=0).fit(table[0])
    assert all(m.trees is None for m in model.model_.nodes)
    assert model.sample(5).shape == (5, 3)


def test_trajectory_ends_at_the_sample(model, conditional):
    states = list(model.trajectory(20, random_state=3))
    assert len(states) == model.n_steps + 1
    assert np.array_equal(states[-1], model.sample(20, random_state=3))
    states = list(conditional.trajectory(20, condition=1, random_state=3))
    assert np.array_equal(states[-1], conditional.sample(20, condition=1, random_state=3))


def test_parameters_stay_as_they_were(small, table):
    own, schema = {"max_bin": 64}, {"x2": "integer"}
    model = small(tree_params=own, schema=schema)
    before = model.get_params()
    model.fit(*table[:1])
    assert model.get_params() == before
    assert model.tree_params is own
    assert own == {"max_bin": 64}
    assert schema == {"x2": "integer"}


def test_refit_forgets(small, table):
    model = small().fit(table[0], condition=table[1])
    again = model.fit(table[0][:, :2])
    assert again is model
    assert model.n_features_in_ == 2
    assert np.array_equal(model.sample(10), small().fit(table[0][:, :2]).sample(10))


def test_plan_trains_nothing(small, table):
    model = small(n_jobs=2)
    plan = model.plan(table[0], condition=table[1])
    assert not [name for name in vars(model) if name.endswith("_")]
    assert (plan.n_rows, plan.n_dims, plan.n_draws, len(plan.times)) == (600, 3, 5, 4)
    assert plan.cpu_seconds > 0
    fitted = small().fit(table[0], condition=table[1]).plan_
    assert replace(plan, cpu_seconds=None, n_workers=1, memory=fitted.memory) == fitted
    assert plan.memory > fitted.memory
    with pytest.raises(MemoryError, match="lower noise_budget"):
        small(max_memory=10**6).plan(table[0])
    with pytest.raises(MemoryError, match="lower noise_budget"):
        small(max_memory=10**6).fit(table[0])


class Killed(Exception):
    pass


@pytest.mark.parametrize("seed", [0, None])
def test_a_killed_fit_resumes_with_the_missing_nodes(small, table, tmp_path, monkeypatch, seed):
    fit_node, fitted = run.fit_node, []

    def counted(data, base, t, *rest):
        if killed and len(fitted) == 3:
            raise Killed
        fitted.append(t)
        return fit_node(data, base, t, *rest)

    monkeypatch.setattr(run, "fit_node", counted)
    killed = True
    model = small(n_steps=6, random_state=seed, cache_dir=tmp_path)
    with pytest.raises(Killed):
        model.fit(table[0])
    first, killed = fitted[1:], False  # the start is exact, and kept nowhere
    fitted.clear()
    model.fit(table[0])
    assert len(first) == 2
    assert sorted(fitted[1:] + first) == [node.t for node in model.nodes_][1:]
    assert not set(fitted[1:]) & set(first)

    fresh = small(n_steps=6, random_state=seed, cache_dir=tmp_path / "other").fit(table[0])
    assert trees(fresh) == trees(model)
    assert np.array_equal(fresh.sample(20, random_state=1), model.sample(20, random_state=1))
    if seed is not None:
        assert trees(small(n_steps=6, random_state=seed).fit(table[0])) == trees(model)


@pytest.mark.parametrize("missing", [(0,), (1, 3)])
def test_lost_nodes_are_trained_again(small, table, tmp_path, monkeypatch, missing):
    small(solver="euler", n_steps=5, cache_dir=tmp_path).fit(table[0], condition=table[1])
    for i in missing:
        (path,) = tmp_path.glob(f"*/node_{i:04d}.json")
        path.unlink()
    fit_node, fitted = run.fit_node, []
    monkeypatch.setattr(run, "fit_node", lambda *task: fitted.append(task[2]) or fit_node(*task))
    model = small(solver="euler", n_steps=5, cache_dir=tmp_path).fit(table[0], condition=table[1])
    assert fitted == [model.nodes_[i].t for i in missing]
    fresh = small(solver="euler", n_steps=5).fit(table[0], condition=table[1])
    assert trees(fresh) == trees(model)


def test_other_data_or_settings_never_reuse_trees(small, table, tmp_path):
    X, c = table
    small(cache_dir=tmp_path).fit(X)
    moved = X.copy()
    moved[0, 0] += 5
    fits = [
        ({}, {"X": moved}),
        ({}, {"X": X, "condition": c}),
        ({}, {"X": X, "sample_weight": np.linspace(1, 2, len(X))}),
        ({"max_depth": 3}, {"X": X}),
        ({"grid": "cosine"}, {"X": X}),
        ({"random_state": 1}, {"X": X}),
        ({"noise_budget": 6000}, {"X": X}),
    ]
    for k, (changes, data) in enumerate(fits):
        cached, fresh = small(cache_dir=tmp_path, **changes).fit(**data), small(**changes).fit(**data)
        assert trees(cached) == trees(fresh)
        assert len(list(tmp_path.iterdir())) == k + 2


def test_progress_is_shown_only_when_asked_for(small, table, capsys):
    small().fit(table[0])
    assert capsys.readouterr().err == ""
    small(verbose=1).fit(table[0])
    assert "4/4" in capsys.readouterr().err


def test_early_stopping_counts_in_the_records(small, table):
    model = small(n_estimators=40, early_stopping=2, max_depth=8).fit(table[0])
    rounds = [node.rounds for node in model.nodes_][1:]
    assert all(1 <= n < 40 for n in rounds)
    assert rounds == [m.trees.rounds for m in model.model_.nodes[1:]]
    assert "rounds" in repr(model.nodes_)


def test_defaults_are_stored_as_they_come():
    assert BUFF().get_params()["tree_params"] is None
    assert BUFF(n_steps="nonsense").n_steps == "nonsense"
