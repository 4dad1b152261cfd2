"""Inputs with which an exported graph draws given events."""

from typing import Any

import numpy as np

from buff.flows import MixtureModel, PatternedFlow, SampleRequest
from buff.flows.patterned import pattern_noise
from buff.protocols import ConditionLike, Scores
from buff.randomness import EventNoise

__all__ = ["graph_inputs"]


def graph_inputs(
    model: Any,
    n: int,
    random_state: int = 0,
    *,
    X: ConditionLike = None,
    condition: ConditionLike = None,
    n_draws: int = 0,
) -> dict[str, Scores]:
    """Inputs of the ONNX graph of a model for ``n`` events, or draws of each row of X, that ``sample`` would give.

    Parameters
    ----------
    model : BUFF, BUFFTransport or Unfolder
        Fitted.
    n : int
        Events; of models with an input table, draws a row.
    random_state : int
        As in ``sample``.
    X : table, optional
        Source rows, or measured events.
    condition : table, optional
        As in ``sample``.
    n_draws : int
        Draws of noise on the way of the solver: 0 unless it is stochastic.

    Returns
    -------
    dict from str to array
        By name of the input, float32. Draws of a row follow each other.

    Examples
    --------
    >>> from buff import BUFF
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> gen = BUFF(n_steps=4, n_estimators=3, noise_budget=2_000, random_state=0).fit(x)
    >>> {name: values.shape for name, values in graph_inputs(gen, 5).items()}
    {'noise': (5, 2)}
    """
    if hasattr(model, "members_"):
        return _measured(model, n, random_state, X)
    given = {"condition": condition, "random_state": random_state}
    asked = model.request(n, **given) if X is None else model.request(X, n, **given)
    rows, seed, features = asked.n, asked.seed, asked.condition
    inputs = {} if asked.source is None else {"source": asked.source}
    if features is not None:
        inputs["condition"] = np.ascontiguousarray(np.broadcast_to(features, (rows, features.shape[1])), np.float32)
    if isinstance(model.model_, MixtureModel):
        parts = model.model_.class_subset(SampleRequest(rows, seed, condition=inputs["condition"]))
        width = max(part.flow.n_dims for part in model.model_.models)
    else:
        parts = [(model.model_, np.arange(rows), SampleRequest(rows, seed))]
        width = model.model_.flow.n_dims
    for part, own, request in parts:
        for k in range(1 + n_draws):
            name = f"noise_{k}" if k else "noise"
            noise = EventNoise(seed, request.first_event, k, request.chosen).normal(request.n, part.flow.n_dims)
            inputs.setdefault(name, np.zeros((rows, width), np.float32))[own, : noise.shape[1]] = noise
        if isinstance(part, PatternedFlow):
            inputs.setdefault("pattern", np.zeros((rows, 1), np.float32))[own] = pattern_noise(request)
    return inputs


def _measured(model: Any, n: int, seed: int, X: ConditionLike) -> dict[str, Scores]:
    posterior = model.members_["nominal"][0].posterior
    columns = model.simulation_.measured(X, "reco")
    if hasattr(posterior, "location"):
        c = posterior.reco_space.transform(columns).repeat(n, axis=0)
    else:
        repeated = columns.take(np.repeat(np.arange(len(columns)), n))
        c = posterior.reco_space.encode(repeated, np.random.default_rng(seed))
    noise = EventNoise(seed).normal(len(c), posterior.flow.n_dims)
    return {"noise": noise, "condition": np.asarray(c, np.float32)}
