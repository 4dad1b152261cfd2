import pickle
from dataclasses import replace

import numpy as np
import pytest

from buff import kernels
from buff.flows import FlowSettings, SampleRequest, fit_flow
from buff.flows.model import CompiledFlow
from buff.kernels.backends import warn_of_fallback
from buff.solvers import get_solver

HERE = list(dict(kernels.native().backends())) if kernels.native() else []
SETTINGS = FlowSettings(n_steps=4, noise_budget=3_000)


@pytest.fixture(scope="module")
def flows():
    rng = np.random.default_rng(0)
    c = rng.standard_normal((600, 2)).astype(np.float32)
    x1 = (np.exp(0.3 * rng.standard_normal((600, 3))) + c[:, :1]).astype(np.float32)
    plain = fit_flow(x1, SETTINGS, seed=0)
    given = fit_flow(x1, SETTINGS, condition=c, seed=0)
    wide = fit_flow(rng.standard_normal((600, 20)).astype(np.float32), SETTINGS, seed=0)
    return {"plain": plain, "given": given, "wide": wide, "condition": c}


def requests(flows):
    c = flows["condition"]
    chosen = np.array([0, 3, 4, 70, 200])
    source = np.random.default_rng(1).standard_normal((130, 3)).astype(np.float32)
    return [
        ("plain", SampleRequest(130, 7, 5)),
        ("plain", SampleRequest(1, 7, 2**40)),
        ("plain", SampleRequest(130, 7, source=source, stream=3)),
        ("plain", SampleRequest(130, 7, source=source[:1])),
        ("plain", SampleRequest(300, 7).choose(chosen)),
        ("given", SampleRequest(130, 7, condition=c[:130])),
        ("given", SampleRequest(130, 7, condition=c[:1])),
        ("wide", SampleRequest(70, 2**100)),
        ("wide", SampleRequest(0, 1)),
    ]


@pytest.mark.parametrize("backend", HERE)
def test_scores_are_those_of_the_solver_to_the_last_bit(flows, monkeypatch, backend):
    for name, request in requests(flows):
        monkeypatch.setenv("BUFF_BACKEND", "xgboost")
        expected = flows[name].sample(request)
        monkeypatch.setenv("BUFF_BACKEND", backend)
        assert flows[name].backend == backend
        assert np.array_equal(flows[name].sample(request), expected)
        split = replace(request, batch_size=7, n_jobs=2)
        assert np.array_equal(flows[name].sample(split), expected)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("solver", ["euler", "heun", "ab4", "dpmpp_2m", "ddpm", "unipc2", "lms3"])
def test_any_solver_with_fixed_steps_is_compiled(flows, monkeypatch, backend, solver):
    model = flows["plain"]
    if solver == "heun":
        nodes, times = (*model.nodes, model.nodes[-1]), (*model.times, 1.0)
        model = replace(model, nodes=nodes, times=times)
    model = replace(model, solver=get_solver(solver))
    monkeypatch.setenv("BUFF_BACKEND", "xgboost")
    expected = model.sample(SampleRequest(70, 3))
    monkeypatch.setenv("BUFF_BACKEND", backend)
    assert isinstance(model.compiled, CompiledFlow)
    assert np.array_equal(model.sample(SampleRequest(70, 3)), expected)


@pytest.mark.skipif(not HERE, reason="no compiled kernels")
def test_states_are_transported(flows, monkeypatch):
    x0 = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    fast = flows["given"].transport(x0, flows["condition"][:100])
    monkeypatch.setenv("BUFF_BACKEND", "xgboost")
    assert np.array_equal(flows["given"].transport(x0, flows["condition"][:100]), fast)


@pytest.mark.skipif(not HERE, reason="no compiled kernels")
def test_fields_that_are_not_finite_are_told_as_ever(flows):
    model = flows["plain"]
    linear = replace(model.nodes[1].linear, bias=np.full(3, np.inf, np.float32))
    broken = replace(model, nodes=(model.nodes[0], replace(model.nodes[1], linear=linear), *model.nodes[2:]))
    with pytest.raises(ValueError, match="non-finite values"):
        broken.sample(SampleRequest(10, 0))


def test_pickles_leave_the_compiled_flow_behind(flows):
    model = flows["plain"]
    expected = model.sample(SampleRequest(10, 0))
    again = pickle.loads(pickle.dumps(model))
    assert "compiled" not in vars(again)
    assert np.array_equal(again.sample(SampleRequest(10, 0)), expected)


@pytest.mark.skipif(not HERE, reason="no compiled kernels")
def test_kernels_that_draw_other_scores_are_left_out(flows, monkeypatch):
    draw = CompiledFlow.draw
    monkeypatch.setattr(CompiledFlow, "draw", lambda self, batch: draw(self, batch) + np.float32(1e-3))
    model = replace(flows["plain"], seed=5)
    warn_of_fallback.cache_clear()
    with pytest.warns(UserWarning, match="draw other scores .* events are the same and take longer. Build") as told:
        known = [model.compiled, replace(model).compiled]
    assert known == ["the kernels draw other scores than the solver"] * 2
    assert len(told) == 1
    assert "other scores" in model.backend
