"""The parts of a fitted flow as files keep them: a record, arrays and trees of nodes; and back, checked."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.fields import GaussianPart
from buff.flows.conditional import ConditionalStandardizer
from buff.flows.cost import NodeRecords
from buff.flows.nodes import NodeFrame, NodeModel, SmoothedTrees
from buff.grids import TimeGrid
from buff.kernels import PolynomialRidge, ReproducibleLinear, n_terms, to_numpy
from buff.protocols import Array
from buff.records import checked_array, checked_list, checked_number, checked_record, read_array, require
from buff.solvers import SOLVERS, Solver, get_solver
from buff.trees import Booster, FlatForest, restored_trees, stored_trees

if TYPE_CHECKING:
    from buff.flows.model import FlowModel

__all__ = ["load_trees", "restored_parts", "solver_name", "stored_parts", "trees_bytes"]

_MAGIC = b"{polynomial2}"
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


def trees_bytes(trees: SmoothedTrees | Booster | FlatForest) -> bytes:
    """Coefficients of the polynomial if there is one, then the trees as :func:`buff.trees.stored_trees` has them."""
    if not isinstance(trees, SmoothedTrees):
        return stored_trees(trees)
    file = io.BytesIO()
    file.write(_MAGIC)
    facts = np.array([trees.ridge.degree, trees.first, trees.ridge.triples], np.int64)
    for array in (facts, *trees.ridge.linear.to_arrays().values()):
        np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue() + stored_trees(trees.trees)


def load_trees(raw: bytes, n_outputs: int, device: str = "cpu", n_features: int | None = None) -> Any:
    """Trees with a polynomial or without, from :func:`trees_bytes`.

    Raises
    ------
    ArchiveError
        Trees that are refused, or not of these numbers of outputs and of features; a polynomial of other inputs.
    """
    if not raw.startswith(_MAGIC):
        return restored_trees(raw, n_outputs, device, n_features)
    file = io.BytesIO(raw)
    file.seek(len(_MAGIC))
    facts, weights, bias = (read_array(file, "a polynomial") for _ in range(3))
    facts = checked_array(facts, "facts of a polynomial", (3,), kinds="iu", low=0, high=1000)
    parts = {"polynomial/weights": weights, "polynomial/bias": bias}
    linear = ReproducibleLinear.from_arrays(parts, "polynomial", (None, n_outputs)).to_device(device)
    trees = restored_trees(raw[file.tell() :], n_outputs, device, n_features)
    degree, first, triples = int(facts[0]), int(facts[1]), bool(facts[2])
    fits = degree in (2, 3) and n_terms(trees.n_features - first, degree, triples) == len(weights)
    require(fits and first < trees.n_features, "a polynomial of other inputs than the trees have")
    return SmoothedTrees(trees, PolynomialRidge(degree, linear, triples), first)
