"""Neural flows and diffusions on tables, sharing buff's paths, grids, samplers, preprocessing and metrics.

A comparison with :class:`buff.BUFF` then differs in the field only. PyTorch lives here and nowhere else.
"""

from buff.archive import load
from buff.errors import MissingExtraError

try:
    import safetensors as _safetensors  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtraError(error.name or "torch", "torch") from error

from buff_baselines.density import NeuralDensity
from buff_baselines.distillation import distill
from buff_baselines.estimators import NeuralDiffusion, NeuralFlow
from buff_baselines.fields import BridgeSolver, TorchField
from buff_baselines.networks import make_network, parameter_count

__all__ = [
    "BridgeSolver",
    "NeuralDensity",
    "NeuralDiffusion",
    "NeuralFlow",
    "TorchField",
    "distill",
    "load",
    "make_network",
    "parameter_count",
]
