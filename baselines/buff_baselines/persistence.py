"""A fitted baseline to one file, and back: JSON, arrays and safetensors, no pickle."""

import os
from typing import Any

import numpy as np
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from buff.archive import Archive, nested, read_archive, write_archive
from buff.errors import ArchiveError
from buff.transforms import ConditionEncoder
from buff_baselines.checks import get_device
from buff_baselines.estimators import NeuralDiffusion, NeuralFlow
from buff_baselines.networks import parameter_count
from buff_baselines.spaces import SPACES

__all__ = ["load", "save"]

_KINDS = {"NeuralFlow": NeuralFlow, "NeuralDiffusion": NeuralDiffusion}
#: Parameters that mean something on one machine, or in training, only.
_LOCAL = ("checkpoint", "compile", "device", "verbose")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted model."""
    record: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for part, encoder in (("space", model.space_), ("condition", model._encoder)):
        record[part], parts = (None, {}) if encoder is None else encoder.to_arrays()
        arrays |= {f"{part}/{key}": a for key, a in parts.items()}
    parameters = {k: v for k, v in model.get_params().items() if k not in _LOCAL}
    state = parameters["random_state"]
    parameters["random_state"] = int(state) if isinstance(state, int | np.integer) else None
    record |= {"parameters": parameters, "entropy": str(model._entropy)}
    record["width"] = model.field_.parametrisation.width
    weights = save_tensors({k: v.cpu().contiguous() for k, v in model.network_.state_dict().items()})
    write_archive(path, Archive(type(model).__name__, record, arrays, {"network.safetensors": weights}))


def load(path: str | os.PathLike[str]) -> Any:
    """A baseline that ``save`` wrote, ready to sample.

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no baseline, is cut short, or has a format that this version does not read.
    """
    archive = read_archive(path)
    if archive.kind not in _KINDS:
        raise ArchiveError(f"{path} holds a model of kind {archive.kind!r}, this reads {sorted(_KINDS)}")
    record = archive.record
    parameters = dict(record["parameters"])
    parameters["hidden"] = parameters["hidden"] and tuple(parameters["hidden"])
    model = _KINDS[archive.kind](**parameters)
    model.space_ = SPACES[model.preprocessing].from_arrays(record["space"], nested(archive.arrays, "space"))
    given = record["condition"]
    model._encoder = given and ConditionEncoder.from_arrays(given, nested(archive.arrays, "condition"))
    model.n_features_in_ = model.space_.n_features_in_
    objective = model._objective(record["width"])
    model.network_ = model._network(objective)
    model.network_.load_state_dict(load_tensors(archive.blobs["network.safetensors"]))
    model.network_.requires_grad_(False).eval().to(get_device(model.device))
    model.field_ = objective.field(model.network_)
    model.n_parameters_, model.history_ = parameter_count(model.network_), ()
    model._entropy = int(record["entropy"])
    return model
