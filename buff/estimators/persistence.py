"""A fitted BUFF to the parts of an archive, and back."""

from typing import Any

import numpy as np

from buff.archive import Archive, nested
from buff.boosters import Booster
from buff.estimators.checks import resolve_device
from buff.preprocessing import ConditionEncoder, RankSpace
from buff.training import ExactLinear, Frame, LinearBase, Nodes

__all__ = ["restore", "to_archive"]

#: Parameters that mean something on one machine only.
_LOCAL = ("cache_dir", "max_memory", "n_jobs")


def to_archive(model: Any) -> Archive:
    """Everything that makes the fitted model."""
    flow = model._flow
    record, arrays = {}, {"base/mean": flow.base.mean, "base/covariance": flow.base.covariance}
    for part, encoder in (("space", model.space_), ("condition", model._encoder)):
        record[part], part_arrays = (None, {}) if encoder is None else encoder.to_arrays()
        arrays |= {f"{part}/{key}": a for key, a in part_arrays.items()}
    if flow.frame:
        shift = flow.frame.shift
        arrays |= {"frame/weights": shift.weights, "frame/bias": shift.bias, "frame/scale": flow.frame.scale}
    record |= {
        "parameters": _portable(model.get_params()),
        "nodes": model.nodes_.to_list(),
        "times": list(flow.times),
        "entropy": str(model._entropy),
    }
    blobs = {f"{i}.ubj": m.booster.to_bytes() for i, m in enumerate(flow.models) if m.booster}
    return Archive("BUFF", record, arrays, blobs)


def restore(model: Any, archive: Archive) -> Any:
    """Fill a new ``model``, made with the parameters of the archive, with what was learned."""
    record, arrays = archive.record, archive.arrays
    model.space_ = RankSpace.from_arrays(record["space"], nested(arrays, "space"))
    conditional = record["condition"] is not None
    model._encoder = (
        ConditionEncoder.from_arrays(record["condition"], nested(arrays, "condition")) if conditional else None
    )
    model._copy_feature_facts()
    model.nodes_ = Nodes.from_list(record["nodes"])
    model._entropy = int(record["entropy"])
    base = LinearBase(arrays["base/mean"], arrays["base/covariance"], model.space_.n_dims_)
    device = resolve_device(model.device)
    blobs = [archive.blobs.get(f"{i}.ubj") for i in range(len(record["times"]))]
    boosters = [None if blob is None else Booster.from_bytes(blob, base.n_dims, device) for blob in blobs]
    frame = _frame(nested(arrays, "frame"), device) if conditional else None
    model._set_flow(base, frame, tuple(record["times"]), boosters, device)
    return model


def _frame(arrays: dict[str, Any], device: str) -> Frame:
    shift = ExactLinear(arrays["weights"], arrays["bias"])
    return Frame(shift, arrays["scale"]).to_device(device)


def _portable(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters that mean something on another machine, as JSON can hold them."""
    kept = {key: value for key, value in parameters.items() if key not in _LOCAL}
    state = kept["random_state"]
    kept["random_state"] = int(state) if isinstance(state, int | np.integer) else None
    return kept | {"device": "auto"}
