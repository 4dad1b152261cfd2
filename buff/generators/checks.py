"""What is checked at the door of an estimator."""

import os
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from buff.couplings import MinibatchTransport
from buff.flows import FlowSettings
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.transforms.transformer import finite_weights
from buff.trees import TreeSettings, cuda_is_available
from buff.trees.regressor import LAYOUTS
from buff.weights import POLICIES, positive_weights

__all__ = [
    "as_pair",
    "check_jobs",
    "check_noise",
    "check_parameters",
    "check_same_columns",
    "check_sample_size",
    "check_whole",
    "get_coupling",
    "resolve_device",
    "resolve_negative_weights",
    "tree_settings",
]

#: Names under which XGBoost takes what its trees are grown with; others it would pass over in silence.
_TREE_PARAMS = (
    *("alpha", "base_score", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "device", "eta", "gamma"),
    *("grow_policy", "interaction_constraints", "lambda", "learning_rate", "max_bin", "max_cached_hist_node"),
    *("max_delta_step", "max_depth", "max_leaves", "min_child_weight", "min_split_loss", "monotone_constraints"),
    *("multi_strategy", "nthread", "num_parallel_tree", "objective", "refresh_leaf", "reg_alpha", "reg_lambda"),
    *("sampling_method", "seed", "subsample", "tree_method", "verbosity"),
)
#: What the name "transport" stands for: beyond this batch, pairing costs as much as the trees.
_TRANSPORT = MinibatchTransport(batch_size=128)
_WHOLE = {"n_steps": 1, "n_estimators": 0, "max_depth": 1, "noise_budget": 1}


def check_parameters(model: Any) -> None:
    """Raise ValueError or TypeError naming the first parameter that is off, what it is and what it may be."""
    for name, least in _WHOLE.items():
        check_whole(name, getattr(model, name), least)
    for name in ("early_stopping", "max_memory"):
        if getattr(model, name) is not None:
            check_whole(name, getattr(model, name), 1)
    rate = model.learning_rate
    if not isinstance(rate, Real) or not 0 < float(rate) <= 2:
        raise ValueError(f"learning_rate must lie in (0, 2], found {rate!r}")
    calm = model.reg_lambda
    if not isinstance(calm, Real) or not 0 <= float(calm) < float("inf"):
        raise ValueError(f"reg_lambda must be finite and not negative, found {calm!r}")
    if model.layout not in ("auto", *LAYOUTS):
        raise ValueError(f"layout must be one of {['auto', *LAYOUTS]}, found {model.layout!r}")
    if model.negative_weights not in POLICIES:
        raise ValueError(f"negative_weights must be one of {', '.join(POLICIES)}, found {model.negative_weights!r}")
    if model.tree_params is not None and not isinstance(model.tree_params, Mapping):
        raise TypeError(f"tree_params must be a mapping of XGBoost's parameters or None, found {model.tree_params!r}")
    unknown = sorted(set(model.tree_params or {}) - set(_TREE_PARAMS), key=str)
    if unknown:
        raise ValueError(f"tree_params has the unknown names {unknown}, XGBoost knows {', '.join(_TREE_PARAMS)}")
    check_jobs(model.n_jobs)
    if not isinstance(model.cache_dir, str | os.PathLike | None):
        raise TypeError(f"cache_dir must be a folder or None, found {model.cache_dir!r}")
    if model.cache_dir is not None and Path(model.cache_dir).exists() and not Path(model.cache_dir).is_dir():
        raise ValueError(f"cache_dir must be a folder, found the file {os.fspath(model.cache_dir)!r}")
    get_coupling(model)
    FlowSettings(int(model.n_steps), model.solver, model.grid).times  # noqa: B018


def check_jobs(n_jobs: Any) -> None:
    """Raise TypeError for what is no integer, ValueError for 0."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be an integer or None, found {n_jobs!r}")
    if int(n_jobs) == 0:
        raise ValueError("n_jobs must be a number of cores, or -1 for all; found 0")


def get_coupling(model: Any) -> MinibatchTransport | None:
    """How the two ends of a path are paired; None where no transport decides.

    Raises
    ------
    ValueError, TypeError
        Unknown name, something else than a transport, or one with labels of its own.
    """
    coupling, names = model.coupling, list(model._couplings)
    if isinstance(coupling, str) and coupling in names:
        return _TRANSPORT if coupling == "transport" else None
    if not isinstance(coupling, MinibatchTransport):
        error = ValueError if isinstance(coupling, str) else TypeError
        raise error(f"coupling must be one of {names} or a MinibatchTransport, found {coupling!r}")
    if coupling.labels is not None:
        raise ValueError("coupling has labels: leave them out, pairs are exchanged within conditions")
    return coupling


def tree_settings(model: Any) -> TreeSettings:
    """How the trees of a model with checked parameters are grown."""
    return TreeSettings(
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
    check_whole("n_samples", n_samples, 0)
    check_whole("first_event", first_event, 0)
    if batch_size is not None:
        check_whole("batch_size", batch_size, 1)
    return int(n_samples)


def resolve_negative_weights(sample_weight: Any, model: Any, X: Any, condition: Any = None) -> Any:
    """Weights of which none is negative, by the policy of the model; shape is checked where their rows are known.

    A verbose model tells what became of the effective sample size.

    Raises
    ------
    ValueError, TypeError
        For weights that are no finite numbers, and for negative ones if the policy is ``"error"``.
    """
    if sample_weight is None:
        return None
    weights = finite_weights(sample_weight)
    negative = weights < 0
    if not negative.any():
        return sample_weight
    if model.negative_weights == "error":
        raise ValueError(
            f"sample_weight has {negative.sum()} negative values, the first {weights[negative][0]}: "
            f'negative_weights="smooth" learns the local mean weight and uses that, see buff.weights'
        )
    given = {"policy": model.negative_weights, "condition": condition, "schema": model.schema}
    result = positive_weights(X, weights, **given)
    if model.verbose:
        print(f"weights: {result}", file=sys.stderr)
    return result.values


def check_noise(noise: Any, paired: bool) -> float:
    """The noise that a transport starts from.

    Raises
    ------
    ValueError
        Neither "auto" nor a finite number that is not negative.
    """
    if isinstance(noise, str) and noise == "auto":
        return 1.0 if paired else 0.0
    if isinstance(noise, bool) or not isinstance(noise, Real) or not 0 <= float(noise) < float("inf"):
        raise ValueError(f"noise must be 'auto' or a finite number that is not negative, found {noise!r}")
    return float(noise)


def as_pair(given: Any, name: str) -> tuple[Any, Any]:
    """The parts for the source and the target of unpaired tables.

    Raises
    ------
    TypeError
        No pair.
    """
    if given is None:
        return None, None
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(f"{name} of unpaired tables must be a pair (of X, of y), found {type(given).__name__}")
    return given


def check_same_columns(
    source: Columns, target: Columns, source_space: TableTransformer, space: TableTransformer
) -> None:
    """Raise ValueError where unpaired tables differ in columns, or in the dimensions these take."""
    if len(source.names) != len(target.names):
        raise ValueError(
            f"X has {len(source.names)} columns and y has {len(target.names)}: unpaired tables need the same columns"
        )
    for a, b, name, other in zip(source_space.encoders_, space.encoders_, source.names, target.names, strict=True):
        if name != other and source.template.is_frame and target.template.is_frame:
            raise ValueError(f"X has the column {name!r} where y has {other!r}: unpaired tables need the same columns")
        if len(a.names) != len(b.names):
            raise ValueError(
                f"column {name!r} takes {len(a.names)} dimensions in X and {len(b.names)} in y: drop it if it is "
                f"constant in one of them, or give its kind in schema"
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


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise TypeError for what is no integer, ValueError for one below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, found {value!r}")
    if int(value) < least:
        raise ValueError(f"{name} must be at least {least}, found {value!r}")
