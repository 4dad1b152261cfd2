"""From noise to scores in one compiled loop: blocks of events go through all nodes while they are in the cache."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from buff import kernels
from buff.flows.nodes import NodeModel
from buff.flows.request import SampleRequest
from buff.flows.smooth import SmoothedTrees
from buff.protocols import Array
from buff.solvers.unroll import KINDS, Program, unroll
from buff.trees import FlatForest

if TYPE_CHECKING:
    from buff.flows.linear import ReproducibleLinear
    from buff.flows.model import FlowModel

__all__ = ["CompiledFlow", "pack_flow", "pack_linear", "program_of", "stream_key", "unfit"]


class CompiledFlow:
    """A flow as the kernels hold it; its scores are those of the model, bit by bit.

    Parameters
    ----------
    model : FlowModel

    Raises
    ------
    ValueError
        The kernels cannot hold the model, and why.
    """

    def __init__(self, model: "FlowModel") -> None:
        reason = unfit(model)
        if reason:
            raise ValueError(reason)
        program = program_of(model)
        self.n_dims, self.n_draws = model.n_dims, 1 + program.n_draws
        self.raw = pack_flow(model, program)
        self._flow: Any = None

    def draw(self, batch: SampleRequest) -> Array | None:
        """Scores of one batch of events (n, d); None where the field is not finite."""
        chosen = None if batch.chosen is None else np.ascontiguousarray(batch.chosen, np.int64)
        keys = [stream_key(batch.seed, batch.stream + k) for k in range(self.n_draws)]
        return self._sample(batch.n, b"".join(keys), batch.first_event, chosen, None, batch.source, batch.condition)

    def transport(self, x0: Array, condition: Array | None) -> Array | None:
        """Scores where the flow takes x0 (n, d), without noise on the way."""
        return self._sample(len(x0), bytes(16 * self.n_draws), 0, None, x0, None, condition)

    def _sample(
        self,
        n: int,
        keys: bytes,
        first: int,
        chosen: Array | None,
        state: Array | None,
        source: Array | None,
        condition: Array | None,
    ) -> Array | None:
        module = kernels.native()
        if self._flow is None:
            self._flow = module.flow(self.raw)
        out = np.empty((n, self.n_dims), np.float32)
        if not n:
            return out
        parts = [None if part is None else _rows(part) for part in (state, source, condition)]
        return out if module.sample(self._flow, kernels.number(), keys, first, chosen, *parts, out) else None


def unfit(model: "FlowModel") -> str:
    """Why a flow cannot be compiled; empty if it can."""
    if model.device != "cpu":
        return f"the model is on {model.device}"
    if not model.n_dims:
        return "all columns are constant"
    for node in model.nodes:
        trees = node.trees.trees if isinstance(node.trees, SmoothedTrees) else node.trees
        if type(node) is not NodeModel or not isinstance(trees, FlatForest | None):
            return "trees that bytes cannot hold stay with XGBoost"
    try:
        program_of(model)
    except ValueError as error:
        return str(error)
    return ""


def program_of(model: "FlowModel") -> Program:
    """The solver on the model's grid as a program; see :func:`buff.solvers.unroll.unroll`."""
    framed = model.gaussian is not None
    return unroll(model.solver, model.grid, model.times, model.field.path, framed=framed)


def pack_flow(model: "FlowModel", program: Program) -> bytes:
    """The flow as the kernels and the C++ sampler read it."""
    parts = [_integers(model.n_dims, model.n_conditions), np.float32(model.source_noise).tobytes()]
    parts += [_frames(model, program), _integers(len(model.nodes)), *map(_node, model.nodes)]
    words, constants = program.table()
    turns = np.isin(words[:, 0], [KINDS.index(kind) for kind in ("to frame", "from frame")])
    words[turns, 3] += len(model.nodes)  # frames of the nodes come first
    parts += [_integers(program.registers, program.result, len(constants))]
    parts += [kernels.sized(words), kernels.sized(constants)]
    parts.append(_integers(model.standardizer is not None))
    if model.standardizer is not None:
        scale = np.asarray(model.standardizer.scale, np.float32)
        parts += [pack_linear(model.standardizer.shift), kernels.sized(scale)]
    calibration = model.calibration
    parts.append(_integers(0 if calibration is None else len(calibration.levels)))
    if calibration is not None:
        arrays = (calibration.quantiles.T.astype(np.float32), calibration.levels, calibration.smooth.astype(np.uint8))
        parts += map(kernels.sized, arrays)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def stream_key(seed: int, stream: int) -> bytes:
    """Key of a stream of random numbers, as :class:`buff.randomness.EventNoise` takes it."""
    return np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(2, np.uint64).tobytes()


def _frames(model: "FlowModel", program: Program) -> bytes:
    """The frame of the Gaussian part at the nodes, then at other times of the program."""
    gaussian = model.gaussian
    if gaussian is None:
        return _integers(0)
    times = (*model.times, *program.frame_times)
    parts = [_integers(len(times)), *map(pack_linear, gaussian.turns)]
    for t in times:
        here = gaussian.path.at(t)
        turned, centre = here.alpha * (gaussian.mean @ gaussian.basis), here.alpha * gaussian.mean
        drift = here.alpha_dot * gaussian.mean
        own = (gaussian.scales(t), turned, centre, gaussian.rates(t), drift)
        parts += [kernels.sized(np.asarray(part, np.float32)) for part in own]
    return b"".join(parts)


def _node(node: NodeModel) -> bytes:
    parts, trees = [pack_linear(node.linear), _integers(node.frame is not None)], node.trees
    if node.frame is not None:
        parts += [kernels.sized(scale) for scale in (node.frame.target_scale, node.frame.frame_scale)]
        ridge = trees.ridge if isinstance(trees, SmoothedTrees) else None
        parts += [_integers(ridge.degree, ridge.triples), pack_linear(ridge.linear)] if ridge else [_integers(0)]
    trees = trees.trees if isinstance(trees, SmoothedTrees) else trees
    parts.append(_integers(trees is not None))
    return b"".join([*parts, trees.packed() if isinstance(trees, FlatForest) else b""])


def pack_linear(linear: "ReproducibleLinear") -> bytes:
    """A linear map as the kernels read it."""
    weights = np.asarray(linear.weights, np.float64)
    return _integers(*weights.shape) + kernels.sized(weights) + kernels.sized(np.asarray(linear.bias, np.float32))


def _integers(*values: Any) -> bytes:
    return np.array(values, np.int32).tobytes()


def _rows(part: Array) -> Array:
    """Rows in one piece; a row that all events share stays one."""
    shared = len(part) > 1 and part.strides[0] == 0
    return np.ascontiguousarray(part[:1] if shared else part, np.float32)
