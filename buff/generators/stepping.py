"""Where the solvers of a comparison step: grids by name, shared or a model's own, of so many steps or evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

from buff.errors import check_whole
from buff.grids import TimeGrid, as_grid, get_grid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers import Solver
from buff.solvers.base import BoundField

__all__ = [
    "COMMON",
    "Grid",
    "Metered",
    "Stepping",
    "calls",
    "held_to",
    "own_solver",
    "places_of",
    "plans",
    "stepped",
    "told",
    "within",
]

Grid: TypeAlias = str | TimeGrid | Sequence[float] | None

#: Name of the grid that all models share.
COMMON = "common"


@dataclass(frozen=True)
class Stepping:
    """Where solvers step: ``rule(model, n)`` gives the grid of n steps; None where there is none."""

    rule: Callable[[Any, int], TimeGrid | None]
    n_steps: int | None = None


def places_of(grids: Sequence[Grid] | Mapping[str, Grid], fits: Mapping[str, list[Any]]) -> dict[str, Stepping]:
    """Grids by the names they are shown with."""
    if isinstance(grids, Mapping):
        return {name: _place(grid, fits)[1] for name, grid in grids.items()}
    if grids is None or isinstance(grids, str | TimeGrid):
        grids = [grids]
    places: dict[str, Stepping] = {}
    for grid in grids:
        name, place = _place(grid, fits)
        places[name or f"grid {sum(known.startswith('grid ') for known in places) + 1}"] = place
    return places


def _place(grid: Grid, fits: Mapping[str, list[Any]]) -> tuple[str, Stepping]:
    if grid is None:
        return "own grid", Stepping(_own_grid)
    if isinstance(grid, str) and grid != COMMON:
        return grid, Stepping(lambda model, n: get_grid(grid, n))
    if not isinstance(grid, str):
        times = as_grid(grid)
        return "", Stepping(lambda model, n: times, times.n_steps)
    name = next((name for name, own in fits.items() if _has_nodes(own[0])), next(iter(fits)))
    model = fits[name][0]
    shown = f"{model.grid} (of {name})" if isinstance(model.grid, str) else f"that of {name}"

    def common(other: Any, n: int) -> TimeGrid | None:
        found = _own_grid(model, n)
        if found is None and isinstance(model.grid, str) and not _has_nodes(other):
            return get_grid(model.grid, n)  # networks know more times than the trees have
        return found

    return shown, Stepping(common)


def told(places: Mapping[str, Stepping], fits: Mapping[str, list[Any]]) -> tuple[str, ...]:
    """Names of grids, of each model's own with what they are."""
    grids = {name: own[0].grid if isinstance(own[0].grid, str) else "times" for name, own in fits.items()}
    own = ", ".join(f"{name}: {grid}" for name, grid in grids.items())
    return tuple(f"{where} ({own})" if place.rule is _own_grid else where for where, place in places.items())


def plans(
    places: Mapping[str, Stepping], sizes: Sequence[int], budgets: bool, *names: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, Stepping], int, str, str]]:
    """Every grid with every number of steps, or of evaluations, every model and every solver."""
    for size in sizes:
        check_whole("nfe" if budgets else "n_steps", size, 1)
    for where, place in places.items():
        own = sizes if place.n_steps is None or budgets else [place.n_steps]
        for size, label, name in product(own, *names):
            yield (where, place), size, label, name


def stepped(place: Stepping, fits: list[Any], n: int) -> list[TimeGrid]:
    """The grid of n steps of each fit, or nothing where one has none."""
    grids = [place.rule(model, n) for model in fits]
    return [] if None in grids else [grid for grid in grids if grid is not None]


def within(place: Stepping, fits: list[Any], solver: Solver, nfe: int) -> list[TimeGrid]:
    """The grids of the most steps that take no more evaluations than ``nfe``; of an adaptive solver, those of one."""
    if solver.adaptive:
        return stepped(place, fits, place.n_steps or 1)
    refused: ValueError | None = None
    # rules that span intervals of a grid call the field down to once in three of them
    for n in range(3 * nfe, 0, -1) if place.n_steps is None else [place.n_steps]:
        try:
            if (grids := stepped(place, fits, n)) and calls(solver, grids, fits) <= nfe:
                return grids
        except ValueError as error:
            refused = error
    raise refused or ValueError("any number of steps takes more")


def _own_grid(model: Any, n: int) -> TimeGrid | None:
    """The grid of a fit in n steps; of trees n + 1 of their times, as evenly among them as can be."""
    if _has_nodes(model):
        grid: TimeGrid = _flow(model).grid
        return grid.coarser(n) if n <= grid.n_steps else None
    return get_grid(model.grid, model.n_steps if not isinstance(model.grid, str) else n)


def _has_nodes(model: Any) -> bool:
    return hasattr(_flow(model), "nodes")


def own_solver(model: Any) -> Solver:
    """What :meth:`sample` of a fit takes by default."""
    solver: Solver = _flow(model).solver
    return solver


def _flow(model: Any) -> Any:
    return getattr(model.model_, "flow", model.model_)


def calls(solver: Solver, grids: Sequence[TimeGrid], fits: Sequence[Any]) -> int:
    """Evaluations of a solver on the grids of fits."""
    return solver.nfe(grids[0], _flow(fits[0]).field.path)


def held_to(solver: Solver, grids: Sequence[TimeGrid], fits: Sequence[Any]) -> Solver:
    """A solver of one's own, held in its runs to the evaluations that it says it takes on the grids."""
    if type(solver).__module__.startswith("buff."):
        return solver
    held = _Held(solver)
    for grid, model in zip(grids, fits, strict=True):
        held.calls(grid, _flow(model).field.path)
    held.all_known = True
    return held


class _Held(Solver):
    """A solver whose steps may call the field as often as they did until ``all_known``."""

    def __init__(self, solver: Solver) -> None:
        self.solver, self.stochastic = solver, solver.stochastic
        self.known: dict[tuple[float, float], set[int]] = {}
        self.all_known = False

    def __repr__(self) -> str:
        return repr(self.solver)

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return self.solver.steps(grid, path)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        field = _Tallied(flow.field)
        found = self.solver.advance(replace(flow, field=field), x, t, s, memory)
        known = self.known.setdefault((t, s), set())
        if self.all_known and field.n_calls not in known:
            known_as = " or ".join(map(str, sorted(known))) or "no"
            raise ValueError(
                f"{self} took {field.n_calls} evaluations from t = {t:.6g} to {s:.6g}, not {known_as}, "
                "as the state told it to: say adaptive = True in its class"
            )
        known.add(field.n_calls)
        return found


class Metered(Solver):
    """An adaptive solver of which the evaluations are counted as it runs, for fields that are known at every time."""

    adaptive = True

    def __init__(self, solver: Solver, fits: Sequence[Any]) -> None:
        if any(map(_has_nodes, fits)):
            raise ValueError(f"{solver} chooses its times as it goes, and trees are known at their nodes alone")
        self.solver, self.stochastic = solver, solver.stochastic
        self.rtol = getattr(solver, "rtol", 1.0)
        self.rows: dict[float, int] = {}
        self.evaluations = 0

    def __repr__(self) -> str:
        return repr(self.solver)

    @property
    def nfe_an_event(self) -> int:
        """Evaluations over events, rounded up: rows that need a smaller step are evaluated without the others."""
        return -(-self.evaluations // max(self.rows.values()))

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        return self.solver.steps(grid, path)

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        field = _Tallied(flow.field)
        found = self.solver.advance(replace(flow, field=field), x, t, s, memory)
        self.evaluations += field.n_rows
        self.rows[t] = self.rows.get(t, 0) + len(x)
        return found


class _Tallied:
    """A field, of a fit or of symbols, that counts its calls, and the rows they are for."""

    def __init__(self, field: Any) -> None:
        self.field, self.n_calls, self.n_rows = field, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["field"], name)

    def __call__(self, x: Any, t: float, condition: Any = None) -> Any:
        self.n_calls, self.n_rows = self.n_calls + 1, self.n_rows + x.shape[0]
        return self.field(x, t, condition)

    def frame_velocity(self, x: Any, y: Any, t: float, condition: Any = None) -> Any:
        self.n_calls, self.n_rows = self.n_calls + 1, self.n_rows + x.shape[0]
        return self.field.frame_velocity(x, y, t, condition)
