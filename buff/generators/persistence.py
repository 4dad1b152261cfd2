"""Generators as files: what was learned as records, arrays and trees, parameters as JSON."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from buff.couplings import MinibatchTransport
from buff.flows import MixtureModel, SampleRequest
from buff.flows.stored import solver_name
from buff.grids import TimeGrid, as_grid
from buff.protocols import Array
from buff.records import checked_list, checked_record, joined, known_part, require
from buff.solvers import Solver
from buff.tables.relations.collection import relation_from_dict

__all__ = ["check_record", "draw_two", "pack", "restored", "to_json"]

T = TypeVar("T")

#: Parameters that mean something on one machine, or in training, only: neither written nor taken from a file.
_LOCAL = ("cache_dir", "checkpoint", "compile", "device", "max_memory", "n_jobs")


def pack(encoders: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Records and arrays of encoders, each under its name; None where there is none."""
    parts = {name: (None, {}) if encoder is None else encoder.to_arrays() for name, encoder in encoders.items()}
    arrays = joined({name: part for name, (_, part) in parts.items()})
    return {name: record for name, (record, _) in parts.items()}, arrays


def to_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters that mean something on another machine, as JSON can hold them."""
    kept = {key: value for key, value in parameters.items() if key not in _LOCAL}
    state = kept["random_state"]
    kept["random_state"] = int(state) if isinstance(state, int | np.integer) else None
    if isinstance(kept.get("coupling"), MinibatchTransport):
        kept["coupling"] = asdict(kept["coupling"])
    if isinstance(solver := kept.get("solver"), Solver):
        kept["solver"] = solver_name(solver)
    if not isinstance(grid := kept.get("grid", ""), str):
        kept["grid"] = list(as_grid(grid).times)
    if isinstance(kept.get("relations"), list | tuple):
        kept["relations"] = [own if isinstance(own, str) else own.to_dict() for own in kept["relations"]]
    return kept


def restored(kind: type[T], parameters: Any) -> T:
    """An estimator with the parameters that :func:`to_json` gave, as they are of use on this machine."""
    name = f"the parameters of {kind.__name__}"
    elsewhere = {key: value for key, value in checked_record(parameters, name, ()).items() if key not in _LOCAL}
    kept = known_part(elsewhere, name, signature(kind).parameters)
    if isinstance(coupling := kept.get("coupling"), dict):
        kept["coupling"] = MinibatchTransport(**coupling)
    if isinstance(grid := kept.get("grid"), list):
        kept["grid"] = TimeGrid(tuple(grid))
    if isinstance(relations := kept.get("relations"), list):
        kept["relations"] = [own if isinstance(own, str) else relation_from_dict(own) for own in relations]
    return kind(**kept)


def check_record(record: Mapping[str, Any]) -> None:
    """Refuse a model's record that lacks what any has.

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


def draw_two(model: Any, space: Any, encoder: Any, decode: Callable[[Array, SampleRequest], tuple[Array, ...]]) -> None:
    """Draw two events, so that parts of a file that do not fit each other show before a model is used."""
    features = None
    if isinstance(model, MixtureModel):
        features = model.classes.completed(encoder.n_dims if encoder else 0)[[0, -1]]
    elif n := getattr(model, "n_conditions", encoder.n_dims if encoder else 0):
        features = np.zeros((2, n), np.float32)
    batch = SampleRequest(2, 0, condition=features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = decode(model.draw(batch), batch)
    names = space.template_.names
    require(len(columns) == len(names), f"{len(columns)} columns are drawn, of the table's {len(names)}")
