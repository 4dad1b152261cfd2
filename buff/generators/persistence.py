"""What estimators write into files: encoders as records and arrays, parameters as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from buff.couplings import MinibatchTransport
from buff.protocols import Array
from buff.tables.relations.collection import relation_from_dict

__all__ = ["from_json", "pack", "to_json"]

#: Parameters that mean something on one machine, or in training, only.
_LOCAL = ("cache_dir", "checkpoint", "compile", "max_memory", "n_jobs")


def pack(encoders: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Records and arrays of encoders, each under its name; None where there is none."""
    parts = {name: (None, {}) if encoder is None else encoder.to_arrays() for name, encoder in encoders.items()}
    arrays = {f"{name}/{key}": a for name, (_, part) in parts.items() for key, a in part.items()}
    return {name: record for name, (record, _) in parts.items()}, arrays


def to_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters that mean something on another machine, as JSON can hold them."""
    kept = {key: value for key, value in parameters.items() if key not in _LOCAL}
    state = kept["random_state"]
    kept["random_state"] = int(state) if isinstance(state, int | np.integer) else None
    if isinstance(kept.get("coupling"), MinibatchTransport):
        kept["coupling"] = asdict(kept["coupling"])
    if isinstance(kept.get("relations"), list | tuple):
        kept["relations"] = [relation.to_dict() for relation in kept["relations"]]
    return kept | {"device": "auto"}


def from_json(kept: dict[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`to_json`."""
    kept = dict(kept)
    if isinstance(coupling := kept.get("coupling"), dict):
        kept["coupling"] = MinibatchTransport(**coupling)
    if isinstance(relations := kept.get("relations"), list):
        kept["relations"] = [relation_from_dict(record) for record in relations]
    return kept
