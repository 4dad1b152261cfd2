"""A fitted flow as a value: states of the source in, data out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from buff import kernels
from buff.fields import NodeField, Reversed
from buff.flows.compiled import CompiledFlow
from buff.flows.cost import CostEstimate, NodeRecords
from buff.flows.linear import ConditionalStandardizer, GaussianPart, ReproducibleLinear
from buff.flows.nodes import NodeModel
from buff.flows.request import SampleRequest
from buff.flows.smooth import MarginalCalibration, load_trees
from buff.grids import TimeGrid, as_grid
from buff.protocols import Array, Noise
from buff.records import checked_array, checked_list, checked_number, checked_record, require
from buff.solvers import SOLVERS, Solver, get_solver, integrate, trajectory
from buff.trees import Booster, device_arrays, to_numpy

__all__ = ["FlowModel"]

#: Events that kernels and solver both draw before kernels draw alone.
_CHECKED = 16
_NO_RECORDS = NodeRecords()
#: Arrays that a Gaussian part is made of.
_GAUSSIAN = ("mean", "basis", "variances")


@dataclass(frozen=True, eq=False)
class FlowModel:
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
    calibration: MarginalCalibration | None = None
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
    def n_dims(self) -> int:
        """Number d of scores."""
        return len(self.nodes[0].linear.bias)

    @cached_property
    def compiled(self) -> CompiledFlow | str:
        """The flow for the kernels, or why they cannot hold it."""
        try:
            compiled = CompiledFlow(self)
        except ValueError as error:
            return str(error)
        return compiled if self._agrees(compiled) else "the kernels draw other scores than the solver"

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

    def encode(self, x1: Array, condition: Array | None = None) -> Array:
        """States of the source that :meth:`transport` takes to scores x1 (n, d), up to the error of the steps.

        Raises
        ------
        ValueError
            The flow does not start from independent noise alone.
        """
        if self.gaussian is None:
            raise ValueError("only flows from independent noise can be run backwards")
        scores = self.calibration.inverse(x1) if self.calibration else np.asarray(x1, np.float32)
        x, condition = self._on_device(scores, condition)
        x = x if self.standardizer is None else self.standardizer.transform(x, condition)
        grid = TimeGrid(self.field.times, partial=True).backwards()
        return to_numpy(integrate("heun", Reversed(self.field), x, grid, condition))

    def solved_by(
        self,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | Sequence[float] | None = None,
        n_steps: int | None = None,
    ) -> "FlowModel":
        """The same field with another solver or grid, which must stay on its nodes."""
        times = self.grid if grid is None else as_grid(grid, n_steps or self.grid.n_steps)
        return replace(self, solver=self.solver if solver is None else get_solver(solver), grid=times)

    def _integrate(self, x0: Array, condition: Array | None, noise: Noise | None) -> Array:
        x, condition = self._on_device(x0, condition)
        x = integrate(self.solver, self.field, x, self.grid, condition, noise)
        return self._scores(x, condition, last=True)

    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events, at once."""
        if compiled := self._ready(batch.condition):
            scores = compiled.draw(batch)
            if scores is not None:
                return scores
        noise = batch.noise()
        return self._integrate(self.source_samples(batch, noise), batch.condition, noise)

    def batches(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of events, float32, batch by batch in order."""
        return request.map(self.draw)

    def sample(self, request: SampleRequest) -> Array:
        """Scores of events, float32 of shape (n, d)."""
        return np.concatenate([np.empty((0, self.n_dims), np.float32), *self.batches(request)])

    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at once, at the start and after every step; the last are those of :meth:`sample`."""
        condition = request.batch(0, request.n).condition
        for left, state in enumerate(self._states(request), start=1 - len(self.grid.times)):
            yield self._scores(state, self._on_device(state, condition)[1], last=not left)

    def field_trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """The same in the coordinates that the field lives in, before calibration."""
        return map(to_numpy, self._states(request))

    def _states(self, request: SampleRequest) -> Iterator[Array]:
        batch = request.batch(0, request.n)
        noise = batch.noise()
        x, condition = self._on_device(self.source_samples(batch, noise), batch.condition)
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
        noise, own = batch.noise(), compiled.draw(batch)
        if own is None:  # let the solver say what is wrong
            return True
        return np.array_equal(own, self._integrate(self.source_samples(batch, noise), condition, noise))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("compiled", "field")}

    def _on_device(self, x: Array, condition: Array | None) -> tuple[Array, Array | None]:
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
        linears = {f"linear/{i}": node.linear for i, node in enumerate(self.nodes)}
        arrays: dict[str, Array] = {}
        if self.standardizer:
            arrays["frame/scale"] = to_numpy(self.standardizer.scale)
            linears["frame"] = self.standardizer.shift
        if self.gaussian:
            arrays |= {f"gaussian/{name}": getattr(self.gaussian, name) for name in _GAUSSIAN}
        if self.calibration:
            arrays |= {"margins/quantiles": self.calibration.quantiles, "margins/smooth": self.calibration.smooth}
        for name, linear in linears.items():
            arrays |= {f"{name}/{key}": a for key, a in linear.to_arrays().items()}
        record = {
            "nodes": self.records.to_list(),
            "times": list(self.times),
            "noise": self.source_noise,
            "solver": _name_of(self.solver),
            "grid": list(self.grid.times),
            "seed": str(self.seed),
            "tree_features": "both" if any(node.frame for node in self.nodes) else "scores",
        }
        return record, arrays, {f"{i}.trees": node.trees_bytes() for i, node in enumerate(self.nodes) if node.trees}

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
            return NodeModel(base.to_device(device), trees, framed.frame(times[i], device) if framed else None)

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
            calibration = MarginalCalibration.from_arrays(arrays, "margins", d)
        solver, grid = record["solver"], checked_list(record["grid"], "grid", (int, float))
        require(isinstance(solver, str), "the solver has no name")
        return cls(
            nodes=tuple(node(i) for i in range(len(times))),
            times=tuple(map(float, times)),
            solver=get_solver(solver),
            grid=TimeGrid(tuple(map(float, grid))),
            standardizer=standardizer,
            gaussian=gaussian,
            source_noise=checked_number(record["noise"], "noise", 0),
            calibration=calibration,
            device=device,
            seed=int(record["seed"]),
            records=records,
        )


def _name_of(solver: Solver) -> str:
    for name, known in SOLVERS.items():
        if known is solver or known == solver:
            return name
    raise ValueError(f"{solver} has no name: files keep solvers of {', '.join(SOLVERS)}")
