import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from buff import BUFF, BUFFTransport, kernels
from buff.errors import ExportError
from buff.export import EventSampler
from buff.flows import SampleRequest
from buff.flows.nodes import SmoothedTrees
from buff.flows.patterned import PatternedFlow
from tests.small_models import DEFAULTS, MODELS, SMALL, as_numbers, asked, numbers

BACKENDS = ["xgboost", *(dict(kernels.native().backends()) if kernels.native() else [])]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [*MODELS, *DEFAULTS])
def test_single_events_are_those_of_tables(fitted, name, backend, monkeypatch):
    model = fitted(name)
    monkeypatch.setenv("BUFF_BACKEND", backend)
    sampler = model.sampler()
    for condition, table in asked(name):
        with_table = {} if table is None else {"condition": table}
        if name == "conditional" and condition[0] == 100.0:
            with pytest.warns(UserWarning, match="condition"):
                expected = as_numbers(model.sample(9, **with_table), sampler)
        else:
            expected = as_numbers(model.sample(9, **with_table), sampler)
        drawn = np.array([sampler.draw(i, condition) for i in range(9)])
        same = {"rtol": 1e-12, "atol": 0.0} if name == "tails" else {"rtol": 0.0, "atol": 0.0}
        np.testing.assert_allclose(drawn, expected, **same)


def test_threads_and_pickles_share_it(fitted):
    sampler = fitted("plain").sampler(random_state=5)
    expected = [sampler.draw(i).tolist() for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert repr([row.tolist() for row in pool.map(sampler.draw, range(200))]) == repr(expected)
    other = pickle.loads(pickle.dumps(sampler))
    assert repr(other.draw(3).tolist()) == repr(expected[3])


def test_conditions_that_do_not_fit_are_refused(fitted):
    with pytest.raises(ValueError, match="takes no condition"):
        fitted("plain").sampler().draw(0, 1.0)
    sampler = fitted("labels").sampler()
    with pytest.raises(ValueError, match="needs a condition: condition"):
        sampler.draw(0)
    with pytest.raises(ValueError, match=r"no level 'w'.* g, q, t"):
        sampler.draw(0, "w")
    with pytest.raises(ValueError, match="has 1 values"):
        fitted("conditional").sampler().draw(0, 1.0)


def test_what_no_sampler_can_do_is_named():
    x = numbers()[:200, :2]
    with pytest.raises(ExportError, match="BUFFTransport has no sampler"):
        EventSampler(BUFFTransport(n_steps=2, n_estimators=2, noise_budget=2000, random_state=0).fit(x, x), 0)
    deep = BUFF(**{**SMALL, "max_depth": 10, "reg_lambda": 0.1}).fit(x)
    with pytest.raises(ExportError, match="stay with XGBoost"):
        deep.sampler()
    assert "xgboost (trees" in deep.backend_
    with pytest.raises(ExportError, match="float16"):
        BUFF(**SMALL).fit(x.astype(np.float16)).sampler()


def test_default_models_have_what_is_tested_here(fitted):
    flows = {name: fitted(name).model_ for name in ("default", "default_smooth", "default_scores")}
    assert isinstance(flows["default"], PatternedFlow)
    node = flows["default_smooth"].nodes[1]
    assert node.frame is not None
    assert isinstance(node.trees, SmoothedTrees)
    assert flows["default_scores"].flow.nodes[1].frame is None
    assert all(isinstance(model, PatternedFlow) for model in fitted("default_classes").model_.models)
    assert len(fitted("default_absent").relations_) == 2
    for name in flows:
        assert fitted(name).backend_ == kernels.backend() or kernels.native() is None


def test_swapped_orders_and_all_products_are_tested_here(fitted):
    swapped = fitted("default_swapped")
    assert all(relation.exchange for relation in swapped.relations_)
    events = np.asarray(swapped.sample(3000))
    assert (np.diff(events, axis=1) >= 0).all()
    learned = swapped.model_.sample(SampleRequest(3000, swapped._seed))
    apart = [e.decode(learned[:, [i]]) for i, e in enumerate(swapped.space_.encoders_)]
    assert (np.diff(np.stack(apart, axis=1), axis=1) < 0).any()  # some had to be swapped
    triples = {name: fitted(name).model_.nodes[1].trees.ridge.triples for name in ("default_smooth", "default_wide")}
    assert triples == {"default_smooth": True, "default_wide": False}
