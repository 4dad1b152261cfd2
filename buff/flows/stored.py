"""The parts of a fitted flow as files keep them: a record, arrays and trees; and back, checked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.fields import GaussianPart
from buff.flows.cost import NodeRecords
from buff.flows.nodes import NodeFrame, NodeModel
from buff.flows.standardizer import ConditionalStandardizer
from buff.flows.stored_trees import load_trees, trees_bytes
from buff.grids import TimeGrid
from buff.kernels import ReproducibleLinear
from buff.protocols import Array
from buff.records import checked_array, checked_list, checked_number, checked_record, require
from buff.solvers import SOLVERS, Solver, get_solver
from buff.trees import to_numpy

if TYPE_CHECKING:
    from buff.flows.model import FlowModel

__all__ = ["restored_parts", "solver_name", "stored_parts"]

#: Arrays that a Gaussian part is made of.
_GAUSSIAN = ("mean", "basis", "variances")


def stored_parts(model: "FlowModel") -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
    """See :meth:`buff.flows.FlowModel.to_arrays`."""
    linears = {f"linear/{i}": node.linear for i, node in enumerate(model.nodes)}
    arrays: dict[str, Array] = {}
    if model.standardizer:
        arrays["frame/scale"] = to_numpy(model.standardizer.scale)
        linears["frame"] = model.standardizer.shift
    if model.gaussian:
        arrays |= {f"gaussian/{name}": getattr(model.gaussian, name) for name in _GAUSSIAN}
    if model.calibration:
        arrays |= {"margins/quantiles": model.calibration.quantiles, "margins/smooth": model.calibration.smooth}
    for name, linear in linears.items():
        arrays |= {f"{name}/{key}": a for key, a in linear.to_arrays().items()}
    record = {
        "nodes": model.records.to_list(),
        "times": list(model.times),
        "noise": model.source_noise,
        "solver": solver_name(model.solver),
        "grid": list(model.grid.times),
        "seed": str(model.seed),
        "tree_features": "both" if any(node.frame for node in model.nodes) else "scores",
    }
    return record, arrays, {f"{i}.trees": trees_bytes(node.trees) for i, node in enumerate(model.nodes) if node.trees}


def restored_parts(
    record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str
) -> dict[str, Any]:
    """What makes the flow again: see :meth:`buff.flows.FlowModel.from_arrays`."""
    record = checked_record(record, "a flow", ("times", "solver", "grid", "noise", "seed", "nodes"))
    times = checked_list(record["times"], "times", (int, float))
    rising = times == sorted(set(times)) and all(0 <= t <= 1 for t in times)
    require(times and rising, "times do not rise in [0, 1]")
    records = NodeRecords.from_list(checked_list(record["nodes"], "nodes", dict, len(times)))
    shape = np.shape(arrays.get("linear/0/weights", 0))
    require(len(shape) == 2 and 0 < shape[1] <= shape[0], f"the first linear part has the shape {shape}")
    features, d = shape

    def node(i: int) -> NodeModel:
        base = ReproducibleLinear.from_arrays(arrays, f"linear/{i}", shape)
        blob = blobs.get(f"{i}.trees", blobs.get(f"{i}.ubj"))  # UBJSON alone until 0.2
        require((records[i].rounds > 0) == (blob is not None), f"node {i} has lost its trees, or others' instead")
        framed = gaussian if record.get("tree_features") == "both" else None
        trees = None if blob is None else load_trees(blob, d, device, features + d * (framed is not None))
        return NodeModel(base.to_device(device), trees, NodeFrame.of(framed, times[i], device) if framed else None)

    standardizer = calibration = gaussian = None
    there = {key.split("/")[0] for key in arrays}
    if "gaussian" in there:
        checked_record(arrays, "the Gaussian part", (f"gaussian/{name}" for name in _GAUSSIAN))
        weights = arrays["linear/0/weights"]
        parts = {name: arrays[f"gaussian/{name}"] for name in _GAUSSIAN}
        n_conditions = len(weights) - weights.shape[1]
        gaussian = GaussianPart(**parts, noise=record["noise"], n_conditions=n_conditions).to_device(device)
    if "frame" in there:
        checked_record(arrays, "the frame of a condition", ("frame/scale",))
        shift = ReproducibleLinear.from_arrays(arrays, "frame", (features - d, d))
        scale = checked_array(arrays["frame/scale"], "frame/scale", (d,), low=1e-30)
        standardizer = ConditionalStandardizer(shift, scale).to_device(device)
    if "margins" in there:
        from buff.flows.calibration import restored_calibration  # which makes what a fit makes

        calibration = restored_calibration(arrays, "margins", d)
    solver, grid = record["solver"], checked_list(record["grid"], "grid", (int, float))
    require(isinstance(solver, str), "the solver has no name")
    return {
        "nodes": tuple(node(i) for i in range(len(times))),
        "times": tuple(map(float, times)),
        "solver": get_solver(solver),
        "grid": TimeGrid(tuple(map(float, grid))),
        "standardizer": standardizer,
        "gaussian": gaussian,
        "source_noise": checked_number(record["noise"], "noise", 0),
        "calibration": calibration,
        "device": device,
        "seed": int(record["seed"]),
        "records": records,
    }


def solver_name(solver: Solver) -> str:
    """The name that files keep of a solver; ValueError where it has none."""
    for name, known in SOLVERS.items():
        if known is solver or known == solver:
            return name
    raise ValueError(
        f"files keep the names of solvers, and {solver} has none: give it one by "
        f'buff.solvers.SOLVERS["my_solver"] = ... before saving and before loading, or take another solver for the file'
    )
