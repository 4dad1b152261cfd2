"""What estimators write into files: encoders as records and arrays, parameters as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from buff.couplings import MinibatchTransport
from buff.protocols import Array

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
    return kept | {"device": "auto"}


def from_json(kept: dict[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`to_json`."""
    coupling = kept.get("coupling")
    return kept | {"coupling": MinibatchTransport(**coupling)} if isinstance(coupling, dict) else kept
