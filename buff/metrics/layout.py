"""How a report looks as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from math import isnan
from typing import TYPE_CHECKING

from buff.metrics.classifier import ClassifierTest
from buff.metrics.estimate import Estimate

if TYPE_CHECKING:
    from buff.metrics.record import Report

__all__ = ["as_html", "as_text"]

_Row = tuple[str, ...]


def as_text(report: Report) -> str:
    """Two aligned tables: the whole, and its columns."""
    tables = (_aligned(list(rows)) for rows in (_summary(report), _columns(report)))
    return "\n\n".join([_title(report), *tables])


def as_html(report: Report) -> str:
    """The same two tables as HTML."""
    tables = (_html(list(rows)) for rows in (_summary(report), _columns(report)))
    return "".join([f"<p>{escape(_title(report))}</p>", *tables])


def _title(report: Report) -> str:
    return f"{report.n_generated} generated against {report.n_real} real rows"


def _summary(report: Report) -> Iterator[_Row]:
    scores, floor, memorisation = report.scores, report.floor, report.memorisation
    yield ("whole table", "generated", "floor", "ratio")
    for name, attribute in (
        ("mean W1 of numbers", "wasserstein"),
        ("mean TV of categories", "variation"),
        ("sliced W1", "sliced"),
        ("largest correlation error", "correlation"),
    ):
        value = getattr(scores, attribute)
        if value is not None:
            lowest = getattr(floor, attribute, None)
            yield (name, str(value), _text(lowest), _ratio(value, lowest))
    for name, attribute in (("AUC, boosted trees", "trees"), ("AUC, MLP", "mlp")):
        test: ClassifierTest | None = getattr(scores, attribute)
        if test is not None:
            yield (name, str(test), _text(getattr(floor, attribute, None)), f"p {test.p_value:.2g}")
    if memorisation is not None:
        yield ("closer to training rows", str(memorisation.share_closer), "0.5", "")
        yield ("distance to training rows", str(memorisation.distance_ratio), "1", "")
        yield ("exact copies", str(memorisation.copies), f"{memorisation.expected_copies:g}", "")


def _columns(report: Report) -> Iterator[_Row]:
    yield ("column", "kind", "W1 or TV", "floor", "ratio", "separation", "outside")
    for column, lowest in zip_longest(report.scores.columns, report.floor.columns if report.floor else ()):
        distance = lowest.distance if lowest else None
        yield (
            column.name,
            column.kind,
            _text(column.distance),
            _text(distance),
            _ratio(column.distance, distance),
            _text(column.separation),
            "" if isnan(column.outside) else f"{100 * column.outside:.2g} %",
        )


def _text(estimate: Estimate | None) -> str:
    return "" if estimate is None or isnan(estimate.value) else str(estimate)


def _ratio(value: Estimate, floor: Estimate | None) -> str:
    if floor is None or isnan(value.value) or not floor.value > 0:
        return ""
    return f"{value.value / floor.value:.2f}"


def _aligned(rows: list[_Row]) -> str:
    """First column to the left, numbers to the right, a rule below the heads."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def _html(rows: list[_Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
