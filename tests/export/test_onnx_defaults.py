"""Graphs of models with default settings: frames, polynomials, joint atoms, relations, tables, posteriors."""

import json

import numpy as np
import pandas as pd
import pytest

from buff import BUFF, BUFFTransport, Unfolder
from buff.errors import ExportError
from buff.export import export_model
from buff.export.graph_inputs import graph_inputs
from buff.flows import PatternedFlow
from buff.flows.nodes import SmoothedTrees
from buff.tables.relations import Derived, Order
from tests.small_models import frame, ordered, related, stated, summed

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
N, SEED = 200, 11
QUICK = {"n_steps": 4, "n_estimators": 4, "max_depth": 4, "noise_budget": 4000, "random_state": 0, "device": "cpu"}


def numbers(n=1200, seed=0):
    """Correlated, skewed, with an atom that two columns share, and decimals."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)) @ np.array([[1, 0.8, 0, 0.3], [0, 0.4, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 0.2]])
    x[:, 2] = np.exp(x[:, 2])
    x[:, 3] = np.round(x[:, 3], 1)
    return x


def with_atoms():
    x = numbers()
    none = np.random.default_rng(1).random(len(x)) < 0.3
    x[none, 0], x[none, 1] = 0, -5
    return x


def rising(n=1500):
    rng = np.random.default_rng(0)
    return np.sort(rng.normal(size=(n, 3)), axis=1) * 0.3 + rng.normal(size=(n, 1)) + [0, 0.1, 0.2]


def paired():
    rng = np.random.default_rng(3)
    truth = np.column_stack([rng.normal(size=1200), rng.exponential(size=1200)])
    return truth + 0.4 * rng.normal(size=truth.shape), truth


def run(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    assert {i.name for i in session.get_inputs()} == set(inputs)
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    return session.run(["events"], inputs)[0], columns


def as_codes(table, columns):
    """A table as the graph gives it."""
    if not isinstance(table, pd.DataFrame):
        return np.asarray(table, float).reshape(len(table), -1)
    out = []
    for column in columns:
        values = table[column["name"]]
        if column["codes"]:
            own = {code: k for k, code in enumerate(column["codes"])}
            out.append([own.get(str(v), np.nan) for v in values])
        else:
            out.append(
                values.to_numpy().view(np.int64).astype(float) if values.dtype.kind == "M" else values.to_numpy(float)
            )
    return np.column_stack(out)


def same(events, expected, share=0.99):
    assert events.shape == expected.shape
    assert np.mean(np.isnan(events) == np.isnan(expected)) > share
    away = np.abs(np.nan_to_num(events - expected)) / (np.nanstd(expected, axis=0) + 1e-9)
    # the runtime adds trees in an order of its own: scores to single precision, and a score at the edge of an atom
    assert (away < 1e-4).mean() > share


X = numbers()
GENERATORS = {
    "defaults": lambda: (BUFF(**QUICK).fit(X), {}),
    "atoms": lambda: (BUFF(**QUICK).fit(with_atoms()), {}),
    "conditional": lambda: (BUFF(**QUICK).fit(X[:, 1:], condition=X[:, 0]), {"condition": X[:N, 0]}),
    "atoms of labels": lambda: (
        BUFF(**QUICK, classes="together").fit(with_atoms(), condition=np.where(X[:, 2] > 1, "t", "q")),
        {"condition": np.where(np.arange(N) % 3, "t", "q")},
    ),
    "classes": lambda: (
        BUFF(**QUICK, classes="apart").fit(with_atoms(), condition=np.where(X[:, 2] > 1, "t", "q")),
        {"condition": np.where(np.arange(N) % 3, "t", "q")},
    ),
    "mixed": lambda: (BUFF(**QUICK).fit(frame(n=1200)), {}),
    "relations": lambda: (BUFF(**QUICK, schema={"phi": "angle", "psi": "angle"}).fit(related()), {}),
    "stated": lambda: (
        BUFF(**QUICK, relations=stated()).fit(summed()),
        {},
    ),
    "swapped": lambda: (
        BUFF(**QUICK, relations=[Order(a, b, exchange=True) for a, b in (("x0", "x1"), ("x1", "x2"))]).fit(rising()),
        {},
    ),
    "orders": lambda: (BUFF(**QUICK).fit(ordered()), {}),
    "third order": lambda: (BUFF(**QUICK | {"solver": "ifab3"}).fit(X), {}),
    "principal axes without a polynomial": lambda: (BUFF(**QUICK, smooth_degree=0, tree_features="both").fit(X), {}),
    "tails": lambda: (BUFF(**QUICK, tails="extrapolate").fit(X[:, :3]), {}),
    "dpmpp_2m": lambda: (BUFF(**QUICK | {"solver": "dpmpp_2m"}).fit(X), {}),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_events_of_the_graph_are_those_of_sample(tmp_path, name):
    model, given = GENERATORS[name]()
    export_model(model, tmp_path, "onnx")
    events, columns = run(tmp_path, graph_inputs(model, N, SEED, **given))
    same(events, as_codes(model.sample(N, random_state=SEED, **given), columns))


def test_the_models_have_what_they_are_named_for():
    model, _ = GENERATORS["atoms"]()
    assert isinstance(model.model_, PatternedFlow)
    model, _ = GENERATORS["defaults"]()
    assert any(isinstance(node.trees, SmoothedTrees) and node.frame for node in model.model_.nodes)
    model, _ = GENERATORS["relations"]()
    assert {r.kind for r in model.relations_} == {"order", "scaled", "determines", "angle"}


@pytest.mark.parametrize(
    "how", [{}, {"noise": 0.0}, {"noise": 0.5}, {"coupling": "transport"}, {"coupling": "transport", "noise": 0.3}]
)
def test_transport_of_the_graph_is_that_of_sample(tmp_path, how):
    reco, truth = paired()
    model = BUFFTransport(**QUICK, **how).fit(reco, truth)
    export_model(model, tmp_path, "onnx")
    events, columns = run(tmp_path, graph_inputs(model, 3, SEED, X=reco[:70]))
    same(events, as_codes(model.sample(reco[:70], 3, random_state=SEED), columns))


@pytest.mark.parametrize("method", ["conditional", "bridge"])
def test_posteriors_of_the_graph_are_those_of_the_unfolder(tmp_path, method):
    reco, truth = paired()
    reco[:, 1] = np.round(np.abs(reco[:, 1]), 1)
    model = Unfolder(
        method, generator=BUFFTransport(**QUICK) if method == "bridge" else BUFF(**QUICK), random_state=0
    ).fit(truth, reco)
    export_model(model, tmp_path, "onnx")
    events, columns = run(tmp_path, graph_inputs(model, 3, SEED, X=reco[:70]))
    same(events, as_codes(model.sample(reco[:70], 3, random_state=SEED).reshape(210, 2), columns))


def test_what_cannot_be_exported_is_named(tmp_path):
    x = numbers(400)
    deep = BUFF(**QUICK | {"n_estimators": 2, "max_depth": 9, "reg_lambda": 0.0}).fit(x)
    with pytest.raises(ExportError, match="lower max_depth"):
        export_model(deep, tmp_path, "onnx")
    twice = pd.DataFrame({"a": x[:, 0], "b": np.sin(x[:, 0])})
    derived = BUFF(**QUICK, relations=[Derived("b", np.sin, "a")]).fit(twice)
    with pytest.raises(ExportError, match="relation b"):
        export_model(derived, tmp_path, "onnx")
    with pytest.raises(ExportError, match="not fitted"):
        export_model(BUFF(), tmp_path, "onnx")
    with pytest.raises(ExportError, match="str cannot"):
        export_model("jets", tmp_path, "onnx")
