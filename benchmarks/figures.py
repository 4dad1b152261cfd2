"""``python -m benchmarks.figures RECORD``: figures of a record of ``solvers``, ``networks`` or ``fewsteps``."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.records import FLOOR, Record

__all__ = ["curves", "draw_costs", "draw_curves", "draw_few_steps", "draw_front", "draw_toys", "front", "lines"]

#: Curves that can still be told apart.
SHOWN = ("euler", "heun", "ab2", "rk4_nodes", "dpmpp_2m", "unipc2", "dpmpp_2m_sde")
LABELS = {
    "w1": r"mean $W_1$ [$10^{-3}\sigma$]",
    "sliced_w1": r"sliced $W_1$ [$10^{-3}\sigma$]",
    "auc_trees": "AUC of boosted trees",
    "auc_mlp": "AUC of a perceptron",
    "train_cpu": "training [CPU s]",
    "sample_cpu": "sampling [CPU µs/event]",
}
JUDGES = ("auc_trees", "auc_mlp")
#: AUC beyond which nobody would mistake generated rows for real ones.
WORTH_SEEING = (0.49, 0.72)
REAL = "real against real"
#: Lines of the case ``networks``: methods, and what sets one apart from the others of its line.
PRICES = {
    "trees": {"buff, smaller": "small", "buff": "default", "buff, larger": "large"},
    "flow network": {f"flow network, {n} min": f"{n} min" for n in (1, 5, 20)},
    "EDM network": {"EDM network, 5 min": "5 min"},
}
#: Of the case ``fewsteps``.
FAMILIES = (
    *("independent pairs", "transport pairs", "student by velocity", "student by reflow"),
    *("flow network", "network by progressive", "network by consistency"),
)


@dataclass(frozen=True)
class Point:
    """Means over the seeds with their standard deviations; zero for a single seed."""

    label: str
    x: float
    y: float
    x_error: float
    y_error: float


def curves(
    record: Record, source: str, quantity: str, samplers: tuple[str, ...] = (), *, complete: bool = True
) -> Iterator[Any]:
    """Quality of a source, on the uniform grid, by sampler and number of field evaluations.

    ``complete`` leaves out what was not measured with every seed: rows of another split are another contest.
    """
    from buff.plotting import Quality

    table = f"{source}, uniform grid"
    seeds = len({m.seed for m in record.measurements}) if complete else 1
    for method in dict.fromkeys(m.method for m in record.measurements if m.table == table):
        name = method.split(",")[0]
        values = list(record.values(table, method, quantity).values())
        counts = record.values(table, method, "nfe")
        if len(values) >= seeds and (not samplers or name in samplers):
            yield Quality(name, round(next(iter(counts.values()))), fmean(values), _spread(values))


def front(points: list[Any]) -> list[Any]:
    """The points that no other beats with as few field evaluations."""
    best: list[Any] = []
    for point in sorted(points, key=lambda p: (p.nfe, p.value)):
        if not best or point.value < best[-1].value:
            best.append(point)
    return best


def draw_curves(record: Record, source: str, quantity: str) -> Any:
    """Quality against field evaluations of the samplers in ``SHOWN``, with the floor."""
    from buff.plotting import quality_against_nfe

    floor = list(record.values("", FLOOR, quantity).values())
    points = curves(record, source, quantity, SHOWN)
    floors = fmean(floor), _spread(floor)
    return quality_against_nfe(points, metric=LABELS[quantity], floor=floors, log=quantity == "w1")


def draw_front(record: Record, quantity: str = "auc_trees") -> Any:
    """Every sampler of both sources as a point, and the best that each number of field evaluations buys.

    Faint points are means over the seeds that there are, lines are of those with all.
    """
    from buff.plotting.style import PALETTE, drawing, new_figure

    with drawing(None):
        figure = new_figure(6.4, 3.8)
        axes = figure.subplots()
        for colour, source, below in zip(PALETTE, ("trees", "network"), (-9, 4), strict=False):
            points = list(curves(record, source, quantity, complete=False))
            if not points:
                continue
            axes.scatter([p.nfe for p in points], [p.value for p in points], s=8, color=colour, alpha=0.35)
            best = front(list(curves(record, source, quantity)))
            axes.step([p.nfe for p in best], [p.value for p in best], where="post", color=colour, label=source)
            beside = {"fontsize": 6, "xytext": (2, below), "textcoords": "offset points", **_outlined()}
            for p in best:
                axes.annotate(p.name, (p.nfe, p.value), color=colour, clip_on=True, **beside)
        floor = fmean(record.values("", FLOOR, quantity).values())
        axes.axhline(floor, color="0.4", linestyle="--", linewidth=0.9, label=REAL)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        if quantity == "w1":
            axes.set_yscale("log")
        else:
            axes.set_ylim(WORTH_SEEING)
            axes.set_xlim(left=3)
        axes.set_xlabel("field evaluations an event")
        axes.set_ylabel(LABELS[quantity])
        axes.legend()
    return figure


def draw_costs(record: Record, table: str = "top jets") -> Any:
    """Quality of trees and networks against the price of training and of an event."""
    prices = ("train_cpu", "sample_cpu")
    with _panels(6.8, 5.4, len(JUDGES), len(prices)) as (figure, panels):
        for row, judge in zip(panels, JUDGES, strict=True):
            for axes, price in zip(row, prices, strict=True):
                for i, (name, methods) in enumerate(PRICES.items()):
                    found = [point(record, table, m, price, judge, label) for m, label in methods.items()]
                    _draw_line(axes, name, [p for p in found if p], i, line="-" if price == "train_cpu" else "")
                _draw_floor(axes, record, table, judge)
                axes.set_xscale("log")
                _plain(axes.xaxis)
                axes.set_xlabel(LABELS[price])
                axes.set_ylabel(LABELS[judge])
                axes.margins(x=0.25, y=0.12)
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def draw_few_steps(record: Record, table: str = "top jets") -> Any:
    """Both AUC of every family of methods of ``fewsteps`` against field evaluations."""
    return _against_nfe(record, [(table, judge) for judge in JUDGES])


def draw_toys(record: Record) -> Any:
    """Sliced Wasserstein distance of the two-dimensional toys against field evaluations."""
    toys = [table for table in record.tables if record.values(table, FLOOR, "sliced_w1")]
    return _against_nfe(record, [(table, "sliced_w1") for table in toys])


def lines(record: Record, table: str, quantity: str) -> dict[str, list[Point]]:
    """Families of the methods of ``fewsteps``, by field evaluations; the full model ends its family."""
    found: dict[str, list[Point]] = {family: [] for family in FAMILIES}
    for method in dict.fromkeys(m.method for m in record.measurements if m.table == table and m.method != FLOOR):
        family, _, nfe = method.rpartition(", ")
        y = list(record.values(table, method, quantity).values())
        if y:
            family = "independent pairs" if family == "buff" else family
            found[family].append(Point(nfe, float(nfe), fmean(y), 0.0, _spread(y)))
    return {family: sorted(points, key=lambda p: p.x) for family, points in found.items() if points}


def point(record: Record, table: str, method: str, x: str, y: str, label: str) -> Point | None:
    """A method by two of its quantities; None if it was not measured."""
    across, up = (list(record.values(table, method, quantity).values()) for quantity in (x, y))
    return Point(label, fmean(across), fmean(up), _spread(across), _spread(up)) if across and up else None


def _against_nfe(record: Record, shown: Sequence[tuple[str, str]]) -> Any:
    with _panels(3.4 * len(shown), 3.3, 1, len(shown)) as (figure, panels):
        for axes, (table, quantity) in zip(panels[0], shown, strict=True):
            for family, points in lines(record, table, quantity).items():
                _draw_line(axes, family, points, FAMILIES.index(family), annotate=False)
            _draw_floor(axes, record, table, quantity)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
            if quantity == "sliced_w1":
                axes.set_yscale("log")
                _plain(axes.yaxis)
            else:
                axes.set_ylim(WORTH_SEEING)
            axes.set_xlabel("field evaluations an event")
            axes.set_ylabel(LABELS[quantity])
            axes.set_title(table)
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


@contextmanager
def _panels(width: float, height: float, rows: int, columns: int) -> Iterator[tuple[Any, Any]]:
    from buff.plotting.style import drawing, new_figure

    with drawing(None):
        figure = new_figure(width, height)
        yield figure, figure.subplots(rows, columns, squeeze=False)


def _plain(axis: Any) -> None:
    """Numbers as they are on a logarithmic axis, at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _draw_line(axes: Any, name: str, points: list[Point], i: int, *, line: str = "-", annotate: bool = True) -> None:
    from buff.plotting.style import PALETTE

    if not points:
        return
    x, y = [p.x for p in points], [p.y for p in points]
    bars = {"xerr": [p.x_error for p in points], "yerr": [p.y_error for p in points], "capsize": 2}
    axes.errorbar(x, y, **bars, color=PALETTE[i], linestyle=line, marker="osD^vP*"[i], markersize=4, label=name)
    for j, p in enumerate(points if annotate else ()):
        beside = {"xytext": (4, -10 if j % 2 else 4), "textcoords": "offset points"} | _outlined()  # on either side
        axes.annotate(p.label, (p.x, p.y), color=PALETTE[i], fontsize=7, **beside)


def _outlined() -> dict[str, Any]:
    """Of words that stay readable on points."""
    from matplotlib.patheffects import withStroke

    return {"path_effects": [withStroke(linewidth=2, foreground="white")], "zorder": 5}


def _draw_floor(axes: Any, record: Record, table: str, quantity: str) -> None:
    values = list(record.values(table, FLOOR, quantity).values())
    mean, spread = fmean(values), _spread(values)
    axes.axhspan(mean - spread, mean + spread, color="0.88", linewidth=0, zorder=0)
    axes.axhline(mean, color="0.4", linestyle="--", linewidth=0.9, label=REAL, zorder=0)


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _of_solvers(record: Record) -> Iterator[tuple[str, Any]]:
    for quantity in ("w1", "auc_trees"):
        yield f"front_{quantity}", draw_front(record, quantity)
        for source in ("trees", "network"):
            yield f"{source}_{quantity}", draw_curves(record, source, quantity)


def _of_few_steps(record: Record) -> Iterator[tuple[str, Any]]:
    yield "fewsteps", draw_few_steps(record)
    if len(record.tables) > 1:
        yield "fewsteps_toys", draw_toys(record)


DRAWN: dict[str, Callable[[Record], Iterator[tuple[str, Any]]]] = {
    "solvers": _of_solvers,
    "networks": lambda record: iter([("networks", draw_costs(record))]),
    "fewsteps": _of_few_steps,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    record = Record.load(options.record)
    if record.case not in DRAWN:
        parser.error(f"nothing to draw for the case {record.case!r}; there are figures for {', '.join(DRAWN)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in DRAWN[record.case](record):
        figure.savefig(options.out / f"{name}.png", dpi=150)


if __name__ == "__main__":
    main()
