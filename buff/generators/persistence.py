"""A fitted model to the parts of an archive, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from buff.archive import Archive, nested
from buff.couplings import MinibatchTransport
from buff.flows import FlowModel, ReproducibleLinear
from buff.generators.classes import Classes, MixtureModel

__all__ = ["restore", "to_archive"]

#: Parameters that mean something on one machine only.
_LOCAL = ("cache_dir", "max_memory", "n_jobs")


def to_archive(model: Any) -> Archive:
    """Everything that makes the fitted model."""
    record: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for part, (attribute, _) in model._parts.items():
        encoder = getattr(model, attribute)
        record[part], part_arrays = (None, {}) if encoder is None else encoder.to_arrays()
        arrays |= {f"{part}/{key}": a for key, a in part_arrays.items()}
    names = getattr(model, "feature_names_in_", None)
    record |= {
        "parameters": _portable(model.get_params()),
        "entropy": str(model._seed),
        "features": [model.n_features_in_, None if names is None else list(names)],
        "facts": {name: getattr(model, name) for name in model._facts},
    }
    for name in model._linears:
        if (linear := getattr(model, name)) is not None:
            arrays |= {f"{name}/{key}": a for key, a in linear.to_arrays().items()}
    core = Archive("flow", *model._flow.to_arrays()) if model._flow else _of_classes(model._class_models)
    return Archive(type(model).__name__, record | core.record, {**arrays, **core.arrays}, core.blobs)


def _of_classes(models: MixtureModel) -> Archive:
    """The models of all classes, each under its number."""
    parts = {f"class_{k}": to_archive(model) for k, model in enumerate(models.models)}
    record = {"classes": models.classes.names, "models": [part.record for part in parts.values()]}
    arrays = {f"{k}/{key}": a for k, part in parts.items() for key, a in part.arrays.items()}
    blobs = {f"{k}/{key}": b for k, part in parts.items() for key, b in part.blobs.items()}
    return Archive("classes", record, arrays | {"classes": models.classes.features}, blobs)


def restore(kind: type, archive: Archive) -> Any:
    """A model of this kind with what was learned."""
    record, arrays = archive.record, archive.arrays
    model = kind(**_parameters(record["parameters"]))
    for part, (attribute, encoder) in model._parts.items():
        there = record[part] is not None
        setattr(model, attribute, encoder.from_arrays(record[part], nested(arrays, part)) if there else None)
    for name in model._linears:
        setattr(model, name, _linear(arrays, name) if f"{name}/weights" in arrays else None)
    for name in model._facts:
        setattr(model, name, record["facts"][name])
    model.n_features_in_, names = record["features"]
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    model._seed = int(record["entropy"])
    if "classes" in record:
        model._set_classes(_classes(kind, archive))
    else:
        _restore_flow(model, archive)
    return model


def _restore_flow(model: Any, archive: Archive) -> None:
    settings = model._settings
    # files of 0.1.0 leave these to the parameters
    known = {"solver": model.solver, "grid": settings.time_grid.times, "seed": archive.record["entropy"]}
    record = known | archive.record
    model._set_flow(FlowModel.from_arrays(record, archive.arrays, archive.blobs, settings.trees.device))


def _classes(kind: type, archive: Archive) -> MixtureModel:
    """Inverse of :func:`_of_classes`."""
    parts = enumerate(archive.record["models"])
    own = [
        restore(kind, Archive("", part, *(nested(x, f"class_{k}") for x in (archive.arrays, archive.blobs))))
        for k, part in parts
    ]
    return MixtureModel(Classes(archive.arrays["classes"], tuple(archive.record["classes"])), tuple(own))


def _linear(arrays: Mapping[str, Any], name: str) -> ReproducibleLinear:
    return ReproducibleLinear(arrays[f"{name}/weights"], arrays[f"{name}/bias"])


def _portable(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters that mean something on another machine, as JSON can hold them."""
    kept = {key: value for key, value in parameters.items() if key not in _LOCAL}
    state = kept["random_state"]
    kept["random_state"] = int(state) if isinstance(state, int | np.integer) else None
    if isinstance(kept["coupling"], MinibatchTransport):
        kept["coupling"] = asdict(kept["coupling"])
    return kept | {"device": "auto"}


def _parameters(kept: dict[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`_portable`."""
    coupling = kept.get("coupling")
    return kept | {"coupling": MinibatchTransport(**coupling)} if isinstance(coupling, dict) else kept
