import json

import numpy as np
import pytest

from buff.errors import MissingExtraError
from buff.export import export_model
from buff.flows import MixtureModel
from buff.randomness import EventNoise
from tests.small_models import MODELS, as_numbers, asked

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
N, SEED = 40, 11


def run(path, inputs, names=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return session.run(names, inputs), session


@pytest.mark.parametrize("name", MODELS)
def test_events_of_the_graph_are_those_of_python(fitted, tmp_path, name):
    model = fitted(name)
    export_model(model, tmp_path, "onnx")
    d = model.model_.n_dims
    for condition, table in list(asked(name))[:2]:
        sampler = model.sampler(SEED)
        kwargs = {} if table is None else {"condition": table}
        expected = as_numbers(model.sample(N, random_state=SEED, **kwargs), sampler)
        inputs = {"noise": EventNoise(SEED).normal(N, d)}
        session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
        for k, extra in enumerate([i.name for i in session.get_inputs() if i.name.startswith("noise_")]):
            inputs[extra] = EventNoise(SEED, stream=k + 1).normal(N, d)
        if condition is not None:
            inputs["condition"] = np.repeat(model._encoder.transform(table), N, axis=0)
        (events, *scores), session = run(tmp_path, inputs)
        scale = np.nanstd(expected, axis=0) + 1e-9
        assert (np.isnan(events) == np.isnan(expected)).all()
        # the runtime adds trees in an order of its own: scores to single precision, and a score at the edge of an atom
        away = np.abs(np.nan_to_num(events - expected)) / scale
        assert (away < 1e-4).mean() > 0.99
        assert (scores == []) == isinstance(model.model_, MixtureModel)
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    assert [c["name"] for c in columns] == list(sampler.names)


def test_scores_are_the_same(fitted, tmp_path):
    from buff.flows import SampleRequest

    model = fitted("plain")
    export_model(model, tmp_path, "onnx")
    (_, scores), _ = run(tmp_path, {"noise": EventNoise(SEED).normal(N, 4)})
    np.testing.assert_allclose(scores, model.model_.sample(SampleRequest(N, SEED)), rtol=1e-5, atol=1e-6)


def test_the_extra_is_named(fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="onnx"):
        export_model(fitted("plain"), tmp_path, "onnx")
