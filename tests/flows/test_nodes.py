import json

import numpy as np
import pytest

from buff.flows import FlowMatchingData, LinearVelocity, NodeModel, NodeRecord, NodeRecords, RankIntervals, fit_node
from buff.flows.fit import run_nodes
from buff.randomness import training_seed
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)


def training_set(n=3000, conditions=False):
    """Two clusters in the first score; an atom, so a level interval, in the second."""
    low = RNG.uniform(0.01, 0.99, (n, 2)).astype(np.float32)
    high = low.copy()
    low[:, 0] = high[:, 0] = np.where(RNG.random(n) < 0.5, 0.1, 0.9) + RNG.uniform(-0.02, 0.02, n)
    low[: n // 2, 1], high[: n // 2, 1] = 0.0, 0.5
    condition = RNG.normal(size=(n, 1)).astype(np.float32) if conditions else None
    return FlowMatchingData(RankIntervals(low, high), condition)


def base_of(data):
    return data.base(np.random.default_rng(0))


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_problem_is_the_line_between_noise_and_data(t):
    data = training_set(conditions=True)
    features, targets, weights = data.problem(t, 3, np.random.default_rng(0))
    assert features.shape == (9000, 3)
    assert targets.shape == (9000, 2)
    assert features.dtype == targets.dtype == np.float32
    assert weights is None
    x1 = features[:, :2] + (1 - t) * targets  # x_t = t x1 + (1 - t) x0 and v = x1 - x0
    x0 = features[:, :2] - t * targets
    assert abs(x0.mean()) < 0.05
    assert abs(x0.std() - 1) < 0.05
    assert abs(np.corrcoef(x0[:, 0], x1[:, 0])[0, 1]) < 0.05
    assert np.abs(np.corrcoef(x0[:3000, 0], x0[3000:6000, 0])[0, 1]) < 0.1
    assert np.allclose(x1[:3000, 0], x1[3000:6000, 0], atol=1e-4)
    atoms = x1[:1500, 1]
    assert (atoms <= 1e-4).all()
    assert atoms.std() > 0.4
    assert np.array_equal(features[3000:6000, 2], data.condition[:, 0])


def test_subset_keeps_rows_whole():
    x = np.arange(10, dtype=np.float32)[:, None]
    data = FlowMatchingData(RankIntervals(x, x), x, np.arange(10, dtype=np.float32))
    part = data.subset(4, np.random.default_rng(0))
    assert len(part) == 4
    low, high = part.scores.arrays
    assert low[:, 0].tolist() == high[:, 0].tolist() == part.condition[:, 0].tolist() == part.weights.tolist()
    assert data.subset(10, np.random.default_rng(0)) is data


@pytest.mark.parametrize(
    ("t", "conditions", "exact"), [(0, False, True), (0, True, False), (1, True, True), (0.5, False, False)]
)
def test_nothing_is_trained_where_the_velocity_is_known(t, conditions, exact):
    data = training_set(500, conditions)
    trees, record = fit_node(data, base_of(data), t, TreeSettings(n_estimators=2), 1, training_seed(0, 0))
    assert data.has_closed_form(t) == exact == (trees is None)
    assert record.rounds == (0 if exact else 2)
    assert np.isnan(record.explained) == exact


def test_trees_explain_what_the_base_cannot():
    data = training_set()
    trees, record = fit_node(
        data, base_of(data), 0.6, TreeSettings(n_estimators=20, max_depth=4), 5, training_seed(0, 3)
    )
    features, targets, _ = data.problem(0.6, 5, np.random.default_rng(99))
    node = NodeModel.of(base_of(data), 0.6, trees)
    left = targets - NodeModel.of(base_of(data), 0.6, None)(features)
    explained = 1 - np.mean((targets - node(features)) ** 2) / np.mean(left**2)
    assert record.explained == pytest.approx(explained, abs=0.04)
    assert record.explained > 0.1
    assert record.seconds > 0


def test_the_start_uses_the_condition_only():
    data = training_set(conditions=True)
    trees, _ = fit_node(data, base_of(data), 0.0, TreeSettings(n_estimators=5), 2, training_seed(0, 0))
    x, c = RNG.normal(size=(2, 50, 2)).astype(np.float32), np.zeros((50, 1), np.float32)
    assert np.array_equal(trees(np.hstack([x[0], c])), trees(np.hstack([x[1], c])))


def test_noise_depends_on_the_seed_of_the_node_only():
    data = training_set(500)
    settings = TreeSettings(n_estimators=2)
    one, two, other = (
        fit_node(data, base_of(data), 0.5, settings, 2, training_seed(1, i))[0].to_bytes() for i in (4, 4, 5)
    )
    assert one == two != other


@pytest.mark.parametrize("d", [1, 3, 10, 40])
def test_linear_part_is_exact_in_any_batch(d):
    x1 = RNG.normal(size=(200, d)) @ RNG.normal(size=(d, d)) / np.sqrt(d)
    base = LinearVelocity.from_noise(x1)
    for t in (0.0, 0.5, 0.98):
        model, (weights, bias) = NodeModel.of(base, t, None), base.at(t)
        x = RNG.normal(size=(500, d)).astype(np.float32)
        whole = model(x)
        assert whole.dtype == np.float32
        assert np.allclose(whole, x.astype(np.float64) @ weights + bias, rtol=1e-5, atol=1e-5 * np.abs(weights).max())
        for first, size in ((0, 1), (17, 1), (3, 2), (11, 64), (100, 333)):
            assert np.array_equal(model(x[first : first + size]), whole[first : first + size])
        # sums in reverse order round differently unless they are exact
        terms = np.rint(x.astype(np.float64) * 2**22)
        backwards = (terms[:, ::-1] @ model.linear.weights[::-1]).astype(np.float32) + model.linear.bias
        assert np.array_equal(backwards, whole)


def test_records_survive_json():
    nodes = NodeRecords([NodeRecord(0.0, 0, np.nan, 0.0), NodeRecord(0.5, 12, 0.25, 1.5)])
    back = NodeRecords.from_list(json.loads(json.dumps(nodes.to_list(), allow_nan=False)))
    assert str(back) == str(nodes)
    assert back[1] == nodes[1]
    assert np.isnan(back[0].explained)
    assert "explained" in str(nodes).splitlines()[0]


@pytest.mark.parametrize(("workers", "jobs", "apart"), [(1, 3, False), (2, 1, False), (2, 3, True)])
def test_processes_are_started_for_several_workers_and_jobs(monkeypatch, workers, jobs, apart):
    started = []
    monkeypatch.setattr("buff.flows.workers.Parallel", lambda n, **how: started.append(n) or (lambda tasks: iter(())))
    monkeypatch.setattr("buff.flows.fit._fit_one", lambda *job: job)
    list(run_nodes([(i,) for i in range(jobs)], workers, "cpu"))
    assert started == [2] * apart
