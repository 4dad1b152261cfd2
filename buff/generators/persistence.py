"""What estimators write into files: encoders as records and arrays, parameters as JSON."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from buff.couplings import MinibatchTransport
from buff.flows import MixtureModel, SampleRequest
from buff.grids import TimeGrid
from buff.protocols import Array
from buff.records import checked_list, checked_record, require
from buff.tables.relations.collection import relation_from_dict

__all__ = ["checked_parameters", "draw_two", "from_json", "pack", "to_json"]

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
    if isinstance(grid := kept.get("grid"), TimeGrid):
        kept["grid"] = list(grid.times)
    if isinstance(kept.get("relations"), list | tuple):
        kept["relations"] = [relation.to_dict() for relation in kept["relations"]]
    return kept | {"device": "auto"}


def from_json(kept: dict[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`to_json`."""
    kept = dict(kept)
    if isinstance(coupling := kept.get("coupling"), dict):
        kept["coupling"] = MinibatchTransport(**coupling)
    if isinstance(grid := kept.get("grid"), list):
        kept["grid"] = TimeGrid(tuple(grid))
    if isinstance(relations := kept.get("relations"), list):
        kept["relations"] = [relation_from_dict(record) for record in relations]
    return kept


def checked_parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a model's record, which has all that any has.

    Raises
    ------
    ArchiveError
        Parts that are lost, or of other types.
    """
    checked_record(record, "the record", ("parameters", "entropy", "features", "space", "condition"))
    n, names = checked_list(record["features"], "features", length=2)
    require(type(n) is int and n >= 0, "the number of features is no number")
    if names is not None:
        checked_list(names, "the names of features", str, n)
    return dict(checked_record(record["parameters"], "the parameters", ()))


def draw_two(
    model: Any, space: Any, encoder: Any, decode: Callable[[Array, SampleRequest], tuple[Array, ...]]
) -> None:
    """Draw two events, so that parts of a file that do not fit each other show before a model is used."""
    features = None
    if isinstance(model, MixtureModel):
        features = model.classes.features[[0, -1]]
    elif n := getattr(model, "n_conditions", encoder.n_dims if encoder else 0):
        features = np.zeros((2, n), np.float32)
    batch = SampleRequest(2, 0, condition=features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = decode(model.draw(batch), batch)
    names = space.template_.names
    require(len(columns) == len(names), f"{len(columns)} columns are drawn, of the table's {len(names)}")
