"""How fast this machine is: one node on a few rows, in a second or two."""

import time
from dataclasses import replace

import numpy as np

from buff.flows.cost import CostEstimate
from buff.flows.data import FlowMatchingData
from buff.flows.nodes import LinearVelocity, fit_node
from buff.flows.regression import RegressionSource
from buff.randomness import training_seed
from buff.trees import TreeSettings

__all__ = ["narrowed", "trial_seconds"]

#: Size of the trial.
_TRIAL_ROWS, _TRIAL_ROUNDS, _TRIAL_DIMS = 20_000, 3, 32


def trial_seconds(data: RegressionSource, plan: CostEstimate, settings: TreeSettings) -> float:
    """CPU seconds of a fit, extrapolated from a short one of the node in the middle."""
    few = data.subset(max(2, _TRIAL_ROWS // plan.n_draws), np.random.default_rng(0))
    if isinstance(few, FlowMatchingData):
        few = narrowed(few, _TRIAL_DIMS)
    base = few.base(np.random.default_rng(0))
    both = settings.sees_both(data.n_dims, data.n_conditions)
    if both and isinstance(base, LinearVelocity) and few.has_closed_form(1.0):
        base = base.gaussian_part()
    layout = settings.layout_for(data.n_dims)
    short = replace(settings, n_estimators=_TRIAL_ROUNDS, early_stopping=None, device="cpu", layout=layout)
    start = time.process_time()
    fit_node(few, base, plan.times[len(plan.times) // 2], short, plan.n_draws, training_seed(0))
    spent = time.process_time() - start
    wider = _tree_cost(data, layout, both) / _tree_cost(few, layout, both)
    return spent * settings.n_estimators / _TRIAL_ROUNDS * len(data) / len(few) * len(plan.times) * wider


def narrowed(data: FlowMatchingData, n_dims: int) -> FlowMatchingData:
    """The first ``n_dims`` scores, if flows start from noise: enough to estimate the cost of all."""
    if n_dims >= data.n_dims or not data.source.independent:
        return data
    return replace(data, scores=data.scores.each(lambda part: part[:, :n_dims]), standardizer=None)


def _tree_cost(data: RegressionSource, layout: str, both: bool) -> int:
    """Features that a round of boosting looks at, times outputs that are looked at one by one."""
    features = (1 + both) * data.n_dims + data.n_conditions
    return features if layout == "sketch" else features * data.n_dims
