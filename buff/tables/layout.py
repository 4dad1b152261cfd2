"""How a schema looks as text."""

from collections.abc import Sequence
from typing import Any

from buff.tables.kinds import KINDS

__all__ = ["as_text"]


def as_text(columns: Sequence[Any]) -> str:
    """A line a column, aligned."""
    head = ("name", "kind", "dtype", "missing", "values", "bounds", "tails", "order")
    rows = [head, *(_cells(column) for column in columns)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _cells(column: Any) -> tuple[str, ...]:
    bounded = column.lower is not None or column.upper is not None
    number = column.kind in KINDS and KINDS[column.kind].is_number
    order = " < ".join(map(str, column.order)) if isinstance(column.order, tuple) else column.order or ""
    return (
        column.name,
        column.kind,
        column.dtype,
        f"{column.missing:.3g}",
        _shortened(column.summary),
        f"[{column.lower}, {column.upper}]" if bounded else "",
        column.tails if number else "",
        _shortened(order),
    )


def _shortened(cell: str) -> str:
    return cell if len(cell) <= 40 else f"{cell[:36]} ..."
