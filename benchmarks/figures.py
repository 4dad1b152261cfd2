"""``python -m benchmarks.figures RECORD``: the figures of a record of the case ``solvers``."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.records import FLOOR, Record

__all__ = ["curves", "draw_curves", "draw_front", "front"]

#: Curves that can still be told apart.
SHOWN = ("euler", "heun", "ab2", "rk4_nodes", "dpmpp_2m", "unipc2", "dpmpp_2m_sde")
LABELS = {"w1": "mean $W_1$ [1000 standard deviations]", "auc_trees": "AUC of boosted trees"}


def curves(record: Record, source: str, quantity: str, samplers: tuple[str, ...] = ()) -> Iterator[Any]:
    """Quality of a source, on the uniform grid, by sampler and number of field evaluations."""
    from buff.plotting import Quality

    table = f"{source}, uniform grid"
    for method in dict.fromkeys(m.method for m in record.measurements if m.table == table):
        name = method.split(",")[0]
        values = list(record.values(table, method, quantity).values())
        counts = record.values(table, method, "nfe")
        if values and (not samplers or name in samplers):
            error = stdev(values) if len(values) > 1 else 0.0
            yield Quality(name, round(next(iter(counts.values()))), fmean(values), error)


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
    spread = stdev(floor) if len(floor) > 1 else 0.0
    points = curves(record, source, quantity, SHOWN)
    return quality_against_nfe(points, metric=LABELS[quantity], floor=(fmean(floor), spread))


def draw_front(record: Record, quantity: str = "auc_trees") -> Any:
    """Every sampler of both sources as a point, and the best that each number of field evaluations buys."""
    from buff.plotting.style import PALETTE, drawing, new_figure

    with drawing(None):
        figure = new_figure(6.4, 3.8)
        axes = figure.subplots()
        for colour, source in zip(PALETTE, ("trees", "network"), strict=False):
            points = list(curves(record, source, quantity))
            if not points:
                continue
            axes.scatter([p.nfe for p in points], [p.value for p in points], s=8, color=colour, alpha=0.35)
            best = front(points)
            axes.step([p.nfe for p in best], [p.value for p in best], where="post", color=colour, label=source)
            beside = {"fontsize": 6, "rotation": 30, "xytext": (2, 2), "textcoords": "offset points"}
            for p in best:
                axes.annotate(p.name, (p.nfe, p.value), color=colour, clip_on=True, **beside)
        floor = fmean(record.values("", FLOOR, quantity).values())
        axes.axhline(floor, color="0.4", linestyle="--", linewidth=0.9, label="real against real")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        if quantity == "w1":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0.49, 0.7)  # beyond, nobody would mistake them for real
        axes.set_xlabel("field evaluations an event")
        axes.set_ylabel(LABELS[quantity])
        axes.legend()
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    record = Record.load(options.record)
    options.out.mkdir(parents=True, exist_ok=True)
    for quantity in LABELS:
        draw_front(record, quantity).savefig(options.out / f"front_{quantity}.png", dpi=150)
        for source in ("trees", "network"):
            draw_curves(record, source, quantity).savefig(options.out / f"{source}_{quantity}.png", dpi=150)


if __name__ == "__main__":
    main()
