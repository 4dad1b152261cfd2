"""A fitted flow: values in arrays, the same events by every way, back from its parts."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from buff.flows import FlowModel, FlowSettings, SampleRequest, Source, fit_flow
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)
N = 1500
C = RNG.standard_normal((N, 1)).astype(np.float32)
X = (np.hstack([0.8 * C, -C]) + RNG.standard_normal((N, 2)) * [0.6, 0.2]).astype(np.float32)
SETTINGS = FlowSettings(n_steps=4, trees=TreeSettings(n_estimators=4, max_depth=4), noise_budget=6000)


@pytest.fixture(scope="module")
def model():
    return fit_flow(X, SETTINGS, condition=C, seed=0)


@pytest.fixture(scope="module")
def stochastic():
    return fit_flow(X, replace(SETTINGS, solver="ddpm"), seed=0)


def test_draws_follow_the_condition(model):
    x = model.sample(SampleRequest(4000, 1, condition=np.full((1, 1), 1.0, np.float32)))
    assert np.allclose(x.mean(axis=0), [0.8, -1], atol=0.05)
    assert np.allclose(x.std(axis=0), [0.6, 0.2], rtol=0.1)


def test_transport_carries_given_states(model):
    request = SampleRequest(50, 3, condition=C[:50])
    x0 = model.source_samples(request)
    assert np.array_equal(model.transport(x0, C[:50]), model.sample(request))
    twice = model.transport(np.repeat(x0, 2, axis=0), np.repeat(C[:50], 2, axis=0))
    assert np.array_equal(twice[::2], twice[1::2])


@pytest.mark.parametrize("kind", ["model", "stochastic"])
@pytest.mark.parametrize("more", [{"batch_size": 7}, {"n_jobs": 2, "batch_size": 20}])
def test_events_do_not_depend_on_batches_or_threads(kind, more, request):
    model = request.getfixturevalue(kind)
    asked = SampleRequest(60, 3, 11, condition=C[:60] if model.standardizer else None)
    assert np.array_equal(model.sample(replace(asked, **more)), model.sample(asked))
    some = np.array([2, 3, 50])
    assert np.array_equal(model.sample(asked.choose(some)), model.sample(asked)[some])


@pytest.mark.parametrize("kind", ["model", "stochastic"])
def test_trajectories_end_at_the_events(kind, request):
    model = request.getfixturevalue(kind)
    asked = SampleRequest(20, 3, condition=C[:1] if model.standardizer else None)
    first, *_, last = states = list(model.trajectory(asked))
    assert len(states) == 5
    assert np.array_equal(last, model.sample(asked))
    inner = list(model.field_trajectory(asked))
    assert np.array_equal(inner[0], model.source_samples(asked.batch(0, 20)))
    assert np.array_equal(first, inner[0]) == (model.standardizer is None)


def test_models_come_back_from_their_parts(model, stochastic):
    for each, condition in ((model, C[:9]), (stochastic, None)):
        back = FlowModel.from_arrays(*each.to_arrays())
        asked = SampleRequest(9, 3, condition=condition)
        assert np.array_equal(back.sample(asked), each.sample(asked))
        assert (back.times, back.grid, back.seed, back.source_noise) == (each.times, each.grid, each.seed, 1.0)
        assert str(back.records) == str(each.records)


def test_a_model_is_a_value(model):
    assert (model.n_dims, model.n_conditions) == (2, 1)
    assert len(model.records) == len(model.times) == 4
    assert model.cost.n_rows == N
    with pytest.raises(FrozenInstanceError):
        model.seed = 1


def test_no_events_are_no_rows(model):
    assert model.sample(SampleRequest(0, 3)).shape == (0, 2)


def test_sources_are_added_to(model):
    flow = fit_flow(X, SETTINGS, source=Source(0.5), seed=0)
    shift = np.ones((1, 2), np.float32)
    plain, shifted = (flow.source_samples(SampleRequest(500, 1, source=s).batch(0, 500)) for s in (None, shift))
    assert plain.std() == pytest.approx(0.5, rel=0.1)
    assert np.allclose(shifted - plain, 1)


def test_trees_are_plain_arrays_in_files_and_ubjson_is_still_read(model):
    record, arrays, blobs = model.to_arrays()
    assert sorted(blobs) == [f"{i}.trees" for i in range(4)]
    assert all(blob.startswith(b"{forest1}") for blob in blobs.values())
    older = {f"{i}.ubj": node.trees.to_bytes() for i, node in enumerate(model.nodes) if node.trees}
    asked = SampleRequest(70, 3, condition=C[:70])
    for trees in (blobs, older):
        again = FlowModel.from_arrays(record, arrays, trees)
        assert again.unfit_trees == 0
        assert np.array_equal(again.sample(asked), model.sample(asked))


def test_trees_that_bytes_cannot_hold_are_counted():
    trees = replace(SETTINGS.trees, max_depth=9, reg_lambda=0.0)
    deep = fit_flow(X, replace(SETTINGS, trees=trees), seed=0)
    assert deep.unfit_trees == 3
    again = FlowModel.from_arrays(*deep.to_arrays())
    assert again.unfit_trees == 3
    assert np.array_equal(again.sample(SampleRequest(70, 3)), deep.sample(SampleRequest(70, 3)))
