"""Records as text: aligned columns for a terminal, or Markdown."""

from collections.abc import Iterator, Sequence
from math import isnan

from benchmarks.records import Figure, Record

__all__ = ["Grid", "layout", "number", "summary", "value_of"]

Grid = Sequence[Sequence[str]]


def summary(record: Record, *, markdown: bool = False) -> str:
    """Every table of figures, then the targets with what was measured."""
    lines = list(_heading(record, markdown))
    if not record.measurements:
        return "\n".join([*lines, "", "nothing was measured"]) + "\n"
    for table in record.tables:
        figures = [figure for figure in record.figures() if figure.table == table]
        if figures:
            lines += ["", *([f"**{table}**" if markdown else table, ""] if table else [])]
            lines += layout(_figure_rows(figures, record), markdown)
    if record.verdicts():
        lines += ["", *layout(_verdict_rows(record), markdown)]
    return "\n".join(lines) + "\n"


def layout(rows: Grid, markdown: bool) -> Iterator[str]:
    """Lines of a table whose first row is the heading and whose first column is text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for line, row in enumerate(rows):
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells = [row[0].ljust(widths[0]), *padded[1:]]
        yield f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip()
        if line == 0:
            rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
            yield f"|{'|'.join(rule)}|" if markdown else "-" * (sum(widths) + 2 * len(widths) - 2)


def number(value: float, digits: int) -> str:
    """Fixed digits, or three significant ones where those would show nothing or too much."""
    if isnan(value):
        return "-"
    return f"{value:.{digits}f}" if 10**-digits <= abs(value) < 1e5 or value == 0 else f"{value:.3g}"


def value_of(figure: Figure, digits: int) -> str:
    """Mean ± spread, the spread to the digits of the mean."""
    mean, fixed = number(figure.mean, digits), f"{figure.mean:.{digits}f}"
    if isnan(figure.spread):
        return mean
    return f"{mean} ± {figure.spread:.{digits}f}" if mean == fixed else f"{mean} ± {figure.spread:.2g}"


def _heading(record: Record, markdown: bool) -> Iterator[str]:
    machine, seeds = record.machine, len({m.seed for m in record.measurements})
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield f"### {record.case}" if markdown else f"{record.case}: {record.started}"
    yield ""
    yield f"{seeds} seeds, mean ± standard deviation over them; {machine.cores} cores"
    yield f"Python {machine.python}, {versions}"


def _figure_rows(figures: Sequence[Figure], record: Record) -> list[list[str]]:
    shown = [q for q in record.quantities if any(f.quantity == q.name for f in figures)]
    cells = {(f.method, f.quantity): value_of(f, record.digits(f)) for f in figures}
    rows = [["", *(q.heading for q in shown)]]
    for method in dict.fromkeys(f.method for f in figures):
        rows.append([method, *(cells.get((method, q.name), "-") for q in shown)])
    return rows


def _verdict_rows(record: Record) -> list[list[str]]:
    labels = {q.name: q.label for q in record.quantities}
    rows = [["target", "table", "at most", "measured", "met"]]
    for verdict in record.verdicts():
        target = verdict.target
        name = f"{target.method}: {labels[target.quantity]}"
        cells = [f"{target.at_most:g}", f"{verdict.measured:.4g}", "yes" if verdict.met else "NO"]
        rows.append([name, verdict.table, *cells])
    return rows
