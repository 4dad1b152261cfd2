"""A fitted flow as a value: states of the source in, data out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from buff import kernels
from buff.fields import GaussianPart, NodeField
from buff.flows.conditional import ConditionalStandardizer
from buff.flows.cost import CostEstimate, NodeRecords
from buff.flows.nodes import NodeModel
from buff.flows.stored import restored_parts, stored_parts
from buff.grids import TimeGrid
from buff.kernels.backends import warn_of_fallback
from buff.protocols import Array, Noise
from buff.randomness import SampleRequest, ScoreModel, stream_key
from buff.solvers import Solver, integrate, trajectory
from buff.solvers.loop import KINDS, Program, unroll
from buff.trees import Booster, device_arrays, to_numpy

if TYPE_CHECKING:
    from buff.flows.fit import MarginalCalibration

__all__ = ["CompiledFlow", "FlowModel"]

#: Events that kernels and solver both draw before kernels draw alone.
_CHECKED = 16
_NO_RECORDS = NodeRecords()


class CompiledFlow:
    """A flow as the kernels hold it; its scores are those of the model, bit by bit. ValueError if they cannot."""

    def __init__(self, model: "FlowModel") -> None:
        if model.unfit:
            raise ValueError(model.unfit)
        self.n_dims, self.n_draws = model.n_dims, 1 + model.program.n_draws
        self.raw = model.packed()
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
        self, n: int, keys: bytes, first: int, chosen: Array | None, *state_source_condition: Array | None
    ) -> Array | None:
        module = kernels.native()
        if self._flow is None:
            self._flow = module.flow(self.raw)
        out = np.empty((n, self.n_dims), np.float32)
        if not n:
            return out
        parts = [None if part is None else _rows(part) for part in state_source_condition]
        return out if module.sample(self._flow, kernels.number(), keys, first, chosen, *parts, out) else None


def _rows(part: Array) -> Array:
    """Rows in one piece; a row that all events share stays one."""
    shared = len(part) > 1 and part.strides[0] == 0
    return np.ascontiguousarray(part[:1] if shared else part, np.float32)


@dataclass(frozen=True, eq=False)
class FlowModel(ScoreModel):
    r"""``dx/dt = u(x, t, c)`` from a source at t = 0 to scores at t = 1, with its solver and grid.

    Arrays only: rows of d scores and c features of a condition. With a condition the field lives in the coordinates
    ``z = (x - E_lin[x | c]) / s`` of :class:`~buff.flows.ConditionalStandardizer`, in which the source is given too.

    Attributes
    ----------
    nodes : tuple of NodeModel
        Velocity at each time.
    times : tuple of float
    solver : Solver
    grid : TimeGrid
    standardizer : ConditionalStandardizer or None
    gaussian : GaussianPart or None
        Of flows from noise: coordinates for solvers, and for trees that see both frames.
    source_noise : float
        Standard deviation of the noise that the flow starts from.
    calibration : MarginalCalibration or None
        What becomes of the scores in the end.
    device : {"cpu", "cuda"}
    seed : int
        Of the training.
    records : NodeRecords
        Rounds, variance explained and seconds of every node.
    cost : CostEstimate or None
        What the fit was expected to cost; not kept in files.

    Examples
    --------
    >>> from buff.flows import FlowSettings, SampleRequest, fit_flow
    >>> x1 = np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32)
    >>> model = fit_flow(x1, FlowSettings(n_steps=4, noise_budget=5_000), seed=0)
    >>> model.sample(SampleRequest(3, seed=1)).shape
    (3, 2)
    >>> last = model.sample(SampleRequest(2, seed=1, first_event=1))
    >>> bool((last == model.sample(SampleRequest(3, seed=1))[1:]).all())
    True
    """

    nodes: tuple[NodeModel, ...]
    times: tuple[float, ...]
    solver: Solver
    grid: TimeGrid
    standardizer: ConditionalStandardizer | None = None
    gaussian: GaussianPart | None = None
    source_noise: float = 1.0
    calibration: "MarginalCalibration | None" = None
    device: str = "cpu"
    seed: int = 0
    records: NodeRecords = _NO_RECORDS
    cost: CostEstimate | None = None

    @cached_property
    def field(self) -> NodeField:
        """The velocity at the nodes, and at the ends 0 and 1 where it is known in closed form."""
        models = dict(zip(self.times, self.nodes, strict=True))
        if self.gaussian is not None:
            for t in (1.0,) if self.n_conditions else (0.0, 1.0):  # at 0 all that is known is in the condition
                models.setdefault(t, NodeModel.of(self.gaussian, t, None, self.device))
        times = tuple(sorted(models))
        return NodeField(times, [models[t] for t in times], gaussian=self.gaussian)

    @property
    def models(self) -> "tuple[FlowModel]":
        """The flows of all classes: this one."""
        return (self,)

    @property
    def flow(self) -> "FlowModel":
        """The flow of values, where no atoms come first: this one."""
        return self

    @property
    def no_field(self) -> str:
        """Why :attr:`field` is not a velocity of the scores; empty if it is."""
        return (
            "a model with a condition has coordinates of its own for each: fit one without" if self.standardizer else ""
        )

    @property
    def no_latents(self) -> str:
        """Why events cannot be mapped back to noise; empty if they can."""
        reason = "noise that is coupled with the data has no closed form at t = 1, hence events no latents"
        return reason if self.gaussian is None else ""

    def solved_by(self, solver: Solver | None, grid: TimeGrid | None) -> "FlowModel":
        """The same flow, followed by another solver or on another grid; None for those that it has."""
        return replace(self, solver=solver or self.solver, grid=grid or self.grid)

    @property
    def n_dims(self) -> int:
        """Number d of scores."""
        return len(self.nodes[0].linear.bias)

    @cached_property
    def program(self) -> Program:
        """The solver on the grid as a program; ValueError for one that no program describes."""
        return unroll(self.solver, self.grid, self.times, self.field.path, framed=self.gaussian is not None)

    @property
    def unfit(self) -> str:
        """Why the kernels cannot hold the flow; empty if they can."""
        if self.device != "cpu":
            return f"the model is on {self.device}"
        if not self.n_dims:
            return "all columns are constant"
        if self.unfit_trees or not all(type(node) is NodeModel for node in self.nodes):
            return "trees that bytes cannot hold stay with XGBoost"
        try:
            _ = self.program
        except ValueError as error:
            return str(error)
        return ""

    def packed(self) -> bytes:
        """The flow as the kernels and the C++ sampler read it."""
        program = self.program
        words, constants = program.table()
        turns = np.isin(words[:, 0], [KINDS.index(kind) for kind in ("to frame", "from frame")])
        words[turns, 3] += len(self.nodes)  # frames of the nodes come first
        integers, times = kernels.integers, (*self.times, *program.frame_times)
        parts = [integers(self.n_dims, self.n_conditions), np.float32(self.source_noise).tobytes()]
        parts.append(integers(0) if self.gaussian is None else self.gaussian.packed(times))
        parts += [integers(len(self.nodes)), *(node.packed() for node in self.nodes)]
        parts += [integers(program.registers, program.result, len(constants))]
        parts += [kernels.sized(words), kernels.sized(constants), integers(self.standardizer is not None)]
        if self.standardizer is not None:
            scale = np.asarray(self.standardizer.scale, np.float32)
            parts += [self.standardizer.shift.packed(), kernels.sized(scale)]
        return b"".join([*parts, integers(0) if self.calibration is None else self.calibration.packed()])

    @cached_property
    def compiled(self) -> CompiledFlow | str:
        """The flow for the kernels, or why they cannot hold it."""
        try:
            compiled = CompiledFlow(self)
        except ValueError as error:
            return str(error)
        if self._agrees(compiled):
            return compiled
        warn_of_fallback(reason := "the kernels draw other scores than the solver")
        return reason

    @property
    def backend(self) -> str:
        """What draws events: the instructions of the compiled kernels, or ``"xgboost"``."""
        if isinstance(self.compiled, CompiledFlow):
            fused = kernels.native() is None or kernels.is_exact()
            return kernels.backend() if fused else f"{kernels.backend()}, trees only"
        return f"xgboost ({self.compiled})"

    @property
    def unfit_trees(self) -> int:
        """Nodes whose trees bytes cannot hold: XGBoost predicts them, and files keep its own format."""
        return sum(isinstance(getattr(node.trees, "trees", node.trees), Booster) for node in self.nodes)

    @property
    def n_conditions(self) -> int:
        """Number of features of the condition."""
        return len(self.nodes[0].linear.weights) - self.n_dims

    def source_samples(self, request: SampleRequest, noise: Noise | None = None) -> Array:
        """x0 of a batch, (n, d): noise, added to ``request.source`` if there is one."""
        x0 = (noise or request.noise())(np.empty((request.n, self.n_dims), np.float32))
        if self.source_noise != 1:
            x0 *= np.float32(self.source_noise)
        if request.source is not None:
            x0 += request.source
        return x0

    def transport(self, x0: Array, condition: Array | None = None, noise: Noise | None = None) -> Array:
        """Scores x1 (n, d) where the flow takes states x0 (n, d) of the source, given conditions (n, c).

        Parameters
        ----------
        x0 : float32 array of shape (n, d)
        condition : float32 array of shape (n, c), optional
        noise : Noise, optional
            For stochastic solvers: standard normal numbers like its argument.

        Raises
        ------
        ValueError
            Noise missing, or shapes that do not fit the model.
        """
        if noise is None and not self.solver.stochastic and (compiled := self._ready(condition)):
            scores = compiled.transport(x0, condition)
            if scores is not None:
                return scores
        return self._integrate(x0, condition, noise)

    def _integrate(self, x0: Array, condition: Array | None, noise: Noise | None) -> Array:
        x, condition = self.on_device(x0, condition)
        return self._scores(integrate(self.solver, self.field, x, self.grid, condition, noise), condition, last=True)

    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events, at once."""
        if compiled := self._ready(batch.condition):
            scores = compiled.draw(batch)
            if scores is not None:
                return scores
        noise = batch.noise()
        return self._integrate(self.source_samples(batch, noise), batch.condition, noise)

    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at once, at the start and after every step; the last are those of :meth:`sample`."""
        condition = request.batch(0, request.n).condition
        for left, state in enumerate(self._states(request), start=1 - len(self.grid.times)):
            yield self._scores(state, self.on_device(state, condition)[1], last=not left)

    def field_trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """States of :meth:`trajectory` in the coordinates that the field lives in, before calibration."""
        return map(to_numpy, self._states(request))

    def _states(self, request: SampleRequest) -> Iterator[Array]:
        batch = request.batch(0, request.n)
        noise = batch.noise()
        x, condition = self.on_device(self.source_samples(batch, noise), batch.condition)
        return trajectory(self.solver, self.field, x, self.grid, condition, noise)

    def _ready(self, condition: Array | None) -> CompiledFlow | None:
        """The compiled flow, if it may be used: kernels that agree with SciPy, a condition as the model needs it."""
        width = 0 if condition is None else condition.shape[1]
        if kernels.native() is None or not kernels.is_exact() or width != self.n_conditions:
            return None
        return self.compiled if isinstance(self.compiled, CompiledFlow) else None

    def _agrees(self, compiled: CompiledFlow) -> bool:
        """Whether a few events are the same both ways; nothing can be said without kernels."""
        if kernels.native() is None or not kernels.is_exact():
            return True
        condition = None
        if self.n_conditions or self.standardizer is not None:
            condition = np.random.default_rng(0).standard_normal((_CHECKED, self.n_conditions), np.float32)
        batch = SampleRequest(_CHECKED, 0, condition=condition)
        noise, drawn = batch.noise(), compiled.draw(batch)
        if drawn is None:  # let the solver say what is wrong
            return True
        return np.array_equal(drawn, self._integrate(self.source_samples(batch, noise), condition, noise))

    def __getstate__(self) -> dict[str, Any]:
        skipped = ("compiled", "program", "field")
        return {name: value for name, value in vars(self).items() if name not in skipped}

    def on_device(self, x: Array, condition: Array | None) -> tuple[Array, Array | None]:
        """States and conditions where the arithmetic is done."""
        xp, _ = device_arrays(self.device)
        return xp.asarray(x), None if condition is None else xp.asarray(condition)

    def _scores(self, x: Array, condition: Array | None, *, last: bool) -> Array:
        scores = to_numpy(x if self.standardizer is None else self.standardizer.inverse(x, condition))
        return self.calibration(scores) if last and self.calibration else scores

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, named arrays, and trees: see :func:`buff.trees.stored_trees`.

        Raises
        ------
        ValueError
            The solver has no name in ``SOLVERS``.
        """
        return stored_parts(self)

    @classmethod
    def from_arrays(
        cls, record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str = "cpu"
    ) -> "FlowModel":
        """Inverse of :meth:`to_arrays`, for a device.

        Raises
        ------
        ArchiveError
            Parts that are lost, of other types or shapes, out of range, or do not belong together.
        """
        return cls(**restored_parts(record, arrays, blobs, device))
