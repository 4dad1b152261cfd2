"""``python -m benchmarks.compare A.json B.json``: two records of one case, figure by figure."""

import argparse
import sys
from math import nan
from pathlib import Path

from benchmarks.records import Record
from benchmarks.tables import layout, number, value_of


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    options = parser.parse_args(arguments)
    lines = compare(Record.load(options.first), Record.load(options.second), markdown=options.markdown)
    sys.stdout.write(lines + "\n")


def compare(first: Record, second: Record, *, markdown: bool = False) -> str:
    """Figures that both records have; ValueError if they are of different cases or share none."""
    if first.case != second.case:
        raise ValueError(f"records of the same case are compared, got {first.case!r} and {second.case!r}")
    headings = {q.name: q.heading for q in first.quantities}
    others = {(f.table, f.method, f.quantity): f for f in second.figures()}
    rows = [["figure", "A", "B", "B / A"]]
    for a in first.figures():
        if b := others.get((a.table, a.method, a.quantity)):
            name = ", ".join(filter(None, (a.table, a.method, headings[a.quantity])))
            values = [value_of(figure, first.digits(a)) for figure in (a, b)]
            rows.append([name, *values, number(b.mean / a.mean if a.mean else nan, 3)])
    if len(rows) == 1:
        raise ValueError("the two records have no figure in common")
    return "\n".join(layout(rows, markdown))


if __name__ == "__main__":
    main()
