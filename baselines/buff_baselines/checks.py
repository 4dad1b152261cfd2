"""What is checked at the door of a baseline."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from buff.errors import check_whole
from buff.grids import get_grid
from buff.protocols import Array
from buff.tables import weights as weights_of_rows
from buff.weights import POLICIES
from buff_baselines.fields import get_solver
from buff_baselines.spaces import SPACES

__all__ = ["check_number", "check_parameters", "check_weights", "get_device"]


def check_number(name: str, value: Any) -> float:
    """A real number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, found {value!r}")
    return float(value)


def get_device(name: str) -> torch.device:
    """Where a network is trained and evaluated; ``"auto"`` takes a GPU if there is one."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', found {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' needs a GPU that PyTorch can use, and finds none: choose 'auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def check_parameters(model: Any) -> None:
    """Raise ValueError or TypeError naming the first parameter that is off, what it is and what it may be."""
    for name in ("n_steps", "n_iterations", "batch_size"):
        check_whole(name, getattr(model, name), 1)
    if model.early_stopping is not None:
        check_whole("early_stopping", model.early_stopping, 1)
    if model.hidden is not None and (isinstance(model.hidden, str) or not isinstance(model.hidden, Sequence)):
        raise TypeError(f"hidden must be a tuple of widths or None, found {model.hidden!r}")
    for name in ("weight_decay", "learning_rate", "ema", "held_out", "condition_dropout"):
        check_number(name, getattr(model, name))
    if model.max_seconds is not None:
        check_number("max_seconds", model.max_seconds)
    if model.negative_weights not in POLICIES:
        raise ValueError(f"negative_weights must be one of {', '.join(POLICIES)}, found {model.negative_weights!r}")
    for width in model.hidden or ():
        check_whole("every width in hidden", width, 1)
    if model.max_seconds is not None and not model.max_seconds > 0:
        raise ValueError(f"max_seconds must be positive or None, found {model.max_seconds!r}")
    if model.checkpoint is not None and model.random_state is None:
        raise ValueError("checkpoint needs a random_state: with none, a fit that goes on would draw another seed")
    if not model.weight_decay >= 0:
        raise ValueError(f"weight_decay must not be negative, found {model.weight_decay!r}")
    if not 0 < model.learning_rate < 1:
        raise ValueError(f"learning_rate must lie in (0, 1), found {model.learning_rate!r}")
    if not 0 <= model.ema < 1:
        raise ValueError(f"ema must lie in [0, 1), found {model.ema!r}")
    if not 0 < model.held_out < 1:
        raise ValueError(f"held_out must lie in (0, 1), found {model.held_out!r}")
    if not check_number("max_frequency", model.max_frequency) > 1:
        raise ValueError(f"max_frequency must be above 1, found {model.max_frequency!r}")
    if not 0 <= model.condition_dropout < 1:
        raise ValueError(f"condition_dropout must lie in [0, 1), found {model.condition_dropout!r}")
    if model.preprocessing not in SPACES:
        raise ValueError(f"unknown preprocessing {model.preprocessing!r}: choose one of {', '.join(SPACES)}")
    if not isinstance(model.solver, str):
        raise TypeError(f"solver must be a name, found {model.solver!r}: sample() takes solvers of your own")
    get_solver(model.solver)
    get_grid(model.grid, int(model.n_steps))
    get_device(model.device)


def check_weights(weights: Array, n: int) -> None:
    """Refuse weights of another shape, negative ones, and none that count."""
    if np.count_nonzero(weights_of_rows.check_weights(weights, n, signed=False)) < 2:
        raise ValueError("sample_weight must be positive for at least 2 rows")
