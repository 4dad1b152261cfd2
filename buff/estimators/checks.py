"""What is checked at the door of an estimator."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from buff.boosters import BoosterSettings, cuda_is_available
from buff.boosters.xgboost import LAYOUTS
from buff.grids import get_grid
from buff.solvers import SOLVERS, get_solver

__all__ = [
    "booster_settings",
    "check_parameters",
    "check_sample_size",
    "check_weights",
    "fixed_nodes",
    "resolve_device",
]

_WHOLE = {"n_steps": 1, "n_estimators": 0, "max_depth": 1, "noise_budget": 1}


def check_parameters(model: Any) -> None:
    """Raise ValueError or TypeError naming the first parameter that is off, what it is and what it may be."""
    for name, least in _WHOLE.items():
        _check_whole(name, getattr(model, name), least)
    for name in ("early_stopping", "max_memory"):
        if getattr(model, name) is not None:
            _check_whole(name, getattr(model, name), 1)
    rate = model.learning_rate
    if not isinstance(rate, Real) or not 0 < float(rate) <= 2:
        raise ValueError(f"learning_rate must lie in (0, 2], found {rate!r}")
    calm = model.reg_lambda
    if not isinstance(calm, Real) or not 0 <= float(calm) < float("inf"):
        raise ValueError(f"reg_lambda must be finite and not negative, found {calm!r}")
    if model.layout not in ("auto", *LAYOUTS):
        raise ValueError(f"layout must be one of {['auto', *LAYOUTS]}, found {model.layout!r}")
    if model.tree_params is not None and not isinstance(model.tree_params, Mapping):
        raise TypeError(f"tree_params must be a mapping of XGBoost's parameters or None, found {model.tree_params!r}")


def fixed_nodes(solver: Any, grid: str, n_steps: int) -> tuple[float, ...]:
    """The times at which a solver calls the field: where trees are needed.

    Raises
    ------
    ValueError
        The solver chooses its times as it goes.
    """
    rule = get_solver(solver)
    if rule.adaptive:
        fixed = [name for name, other in SOLVERS.items() if not other.adaptive]
        raise ValueError(
            f"solver={solver!r} chooses its times as it goes, and trees exist at the nodes of a grid only: "
            f"choose one of {', '.join(fixed)}"
        )
    return rule.nodes(get_grid(grid, int(n_steps)))


def booster_settings(model: Any) -> BoosterSettings:
    """How the trees of a model with checked parameters are grown."""
    return BoosterSettings(
        n_estimators=int(model.n_estimators),
        max_depth=int(model.max_depth),
        learning_rate=float(model.learning_rate),
        reg_lambda=float(model.reg_lambda),
        early_stopping=model.early_stopping,
        layout=model.layout,
        device=resolve_device(model.device),
        tree_params=dict(model.tree_params or {}),
    )


def check_sample_size(n_samples: Any, first_event: Any, batch_size: Any) -> int:
    """Number of events to draw."""
    _check_whole("n_samples", n_samples, 0)
    _check_whole("first_event", first_event, 0)
    if batch_size is not None:
        _check_whole("batch_size", batch_size, 1)
    return int(n_samples)


def check_weights(sample_weight: Any) -> None:
    """Refuse negative event weights; shape and finiteness are checked where their rows are known.

    Raises
    ------
    ValueError
        For negative weights.
    """
    if sample_weight is None:
        return
    weights = np.asarray(sample_weight)
    negative = weights < 0 if weights.dtype.kind in "if" else np.zeros(1, bool)
    if negative.any():
        raise ValueError(
            f"sample_weight has {negative.sum()} negative values, the first {weights[negative][0]}: the policy for "
            f'them is "error"; "smooth", which learns the local mean weight and uses that, is to come'
        )


def resolve_device(device: Any) -> str:
    """``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ValueError
        Unknown device, or no GPU where one is asked for.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', found {device!r}")
    if device == "cuda" and not cuda_is_available():
        raise ValueError(
            "device='cuda' needs an NVIDIA GPU, an XGBoost built for CUDA and CuPy (pip install \"buff-flow[gpu]\"): "
            "one of them is missing; use device='cpu' or 'auto'"
        )
    return device if device != "auto" else "cuda" if cuda_is_available() else "cpu"


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, found {value!r}")
    if int(value) < least:
        raise ValueError(f"{name} must be at least {least}, found {value!r}")
