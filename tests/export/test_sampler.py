import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from buff import BUFF, BUFFTransport, kernels
from buff.errors import ExportError
from buff.export import EventSampler
from buff.flows import FlowModel
from tests.small_models import MODELS, SMALL, as_numbers, asked, numbers

BACKENDS = ["xgboost", *(dict(kernels.native().backends()) if kernels.native() else [])]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MODELS)
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
    with pytest.raises(ExportError, match="BUFFTransport"):
        EventSampler(BUFFTransport(n_steps=2, n_estimators=2, noise_budget=2000, random_state=0).fit(x, x), 0)
    deep = BUFF(**{**SMALL, "max_depth": 10, "reg_lambda": 0.1}).fit(x)
    with pytest.raises(ExportError, match="stay with XGBoost"):
        deep.sampler()
    assert "xgboost (trees" in deep.backend_
    spiked = BUFF(**SMALL | {"atoms": "together"}).fit(numbers())
    if not isinstance(spiked.model_, FlowModel):
        with pytest.raises(ExportError, match="atoms='apart'"):
            spiked.sampler()
    soft = np.sort(np.random.default_rng(0).normal(size=(500, 2)), axis=1) * 0.3 + np.random.default_rng(1).normal(size=(500, 1)) + [0, 2]
    with pytest.raises(ExportError, match="relation x0 <= x1 is not part of an export: fit with relations=None"):
        BUFF(**SMALL | {"relations": "auto"}).fit(soft).sampler()
    with pytest.raises(ExportError, match="float16"):
        BUFF(**SMALL).fit(x.astype(np.float16)).sampler()
