"""How a report looks as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from math import isnan, sqrt
from statistics import median
from typing import TYPE_CHECKING, Literal

from buff.metrics.classifier import ClassifierTest
from buff.metrics.estimate import Estimate
from buff.metrics.neighbours import Memorisation
from buff.metrics.scores import JUDGES, MEASURES

if TYPE_CHECKING:
    from buff.metrics.record import Report

__all__ = ["Verdict", "as_html", "as_latex", "as_text", "copies_verdict", "left_out", "numbers_in_floors"]

_Row = tuple[str, ...]
#: Shares of rows too near to training rows that are fair and poor, and of rows that may lean to one.
_NEAR, _MANY_NEAR, _CLOSER = 0.02, 0.05, 0.75
#: Share of held-out rows among those of the training above which copies would not show.
_MANY_COPIES = 0.01


@dataclass(frozen=True)
class Verdict:
    """What numbers say together, and how good that is."""

    words: str
    grade: Literal["good", "fair", "poor"]


def copies_verdict(found: Memorisation, n_generated: int = 0) -> Verdict:
    """Whether training rows came back, in words.

    Judged is what held-out rows do not show: exact copies beyond their number among these, by three standard errors and
    a tenth; and rows as near to training rows as the nearest percent of held-out ones, where there are too many by two
    standard errors: few copies, if any, up to two in a hundred (one is usual for models of a thousand rows), and
    a reason to look from there. That rows are nearer to training than to held-out rows is usual, as they were learned
    from the former, and a sign only where it surely holds for three in four. Nothing can be said where held-out rows
    equal training rows more than twice as often as generated ones do, and in one of a hundred or more, where their
    number is told: they were not held out.

    Examples
    --------
    >>> share, ratio, near = Estimate(0.56, 0.005), Estimate(0.98, 0.01), Estimate(0.013, 0.002)
    >>> print(copies_verdict(Memorisation(share, ratio, 0, 0.0, near, 0.01)).words)
    no sign of copies: as near to training rows as real rows come
    """
    noise = sqrt(found.copies + found.expected_copies)
    if found.copies - found.expected_copies > max(3 * noise, 0.1 * found.expected_copies):
        return Verdict("copies: training rows come back", "poor")
    if found.expected_copies > max(2 * found.copies + 2 * noise, _MANY_COPIES * n_generated):
        words = "held-out rows are among those of the training, or rows are of few kinds: copies would not show"
        return Verdict(words, "fair")
    surely = found.share_near.value - 2 * found.share_near.error - found.expected_near
    if surely > max(_NEAR, 0.1 * found.expected_near):
        words = f"look for copies: at least {surely:.1%} of the rows are nearer to training rows than real rows come"
        return Verdict(words, "poor" if surely > _MANY_NEAR else "fair")
    if found.share_closer.value - 2 * (0.0 if isnan(found.share_closer.error) else found.share_closer.error) > _CLOSER:
        return Verdict("look for copies: most rows lean to a training row", "fair")
    if surely > 0:
        excess = found.share_near.value - found.expected_near
        words = f"few copies, if any: {excess:.1%} of the rows are nearer to training rows than real rows come"
        return Verdict(words, "fair")
    return Verdict("no sign of copies: as near to training rows as real rows come", "good")


def as_text(report: Report) -> str:
    """Two aligned tables: the whole, and its columns."""
    whole, columns = (_aligned(list(rows)) for rows in (_summary(report), _columns(report)))
    parts = (whole, _copies(report), columns, left_out(report))
    return "\n\n".join([_title(report), *(part for part in parts if part)])


def as_html(report: Report) -> str:
    """Two tables, of the whole and of its columns, as HTML."""
    whole, columns = (_html(list(rows)) for rows in (_summary(report), _columns(report)))
    copies = f"<p>{escape(_copies(report))}</p>" if report.memorisation else ""
    rest = f"<p>{escape(left_out(report))}</p>" if report.left_out else ""
    return "".join([f"<p>{escape(_title(report))}</p>", whole, copies, columns, rest])


def as_latex(report: Report) -> str:
    """Two tables, of the whole and of its columns, as tabular environments."""
    return "\n\n".join(_latex(list(rows)) for rows in (_summary(report), _columns(report)))


def left_out(report: Report) -> str:
    """Columns that are not compared, and why."""
    words = "; ".join(f"{name!r} {why}" for name, why in report.left_out.items())
    return f"not compared: {words} (unless schema= gives another kind)" if words else ""


def _title(report: Report) -> str:
    return f"{report.n_generated} generated against {report.n_real} real rows"


def _copies(report: Report) -> str:
    """The verdict on copies, with what its share means."""
    if report.memorisation is None:
        return ""
    found = report.memorisation
    closer = f"{found.share_closer.value:.1%} are nearer to a training row than to any of as many held-out ones"
    near = f"{found.share_near.value:.1%} as near as the nearest {found.expected_near:.1%} of held-out rows"
    return f"{copies_verdict(found, report.n_generated).words}\n({near}; {closer})"


def _summary(report: Report) -> Iterator[_Row]:
    scores, floor, memorisation = report.scores, report.floor, report.memorisation
    yield ("whole table", "generated", "floor", "ratio")
    for attribute, measure in MEASURES.items():
        value = getattr(scores, attribute)
        if value is not None:
            lowest = getattr(floor, attribute, None)
            middle, ruling = numbers_in_floors(report) if attribute == "wasserstein" else (None, "")
            if middle is not None:
                yield ("W1 in floors, median of numbers", f"{middle:.2f}", "1", f"{middle:.2f}")
            yield (measure.words, str(value), _text(lowest), _ratio(value, lowest) + (ruling and f" ({ruling} rules)"))
    for attribute, words in JUDGES.items():
        test: ClassifierTest | None = getattr(scores, attribute)
        if test is not None:
            yield (words, str(test), _text(getattr(floor, attribute, None)), f"p {test.p_value:.2g}")
    if memorisation is not None:
        yield ("near to training rows", _text(memorisation.share_near), f"{memorisation.expected_near:.3g}", "")
        yield ("closer to training rows", str(memorisation.share_closer), "0.5", "")
        yield ("distance to training rows", str(memorisation.distance_ratio), "1", "")
        yield ("exact copies", str(memorisation.copies), f"{memorisation.expected_copies:g}", "")


def numbers_in_floors(report: Report) -> tuple[float | None, str]:
    """Median of the distances of numbers in units of their floors, and the column that makes most of a mean.

    A long tail decides a mean of distances, or of their floors, alone. None and "" where there are less than three.
    """
    pairs = zip(report.scores.columns, report.floor.columns if report.floor else (), strict=False)
    numbers = [(c, low) for c, low in pairs if not isnan(c.separation.value) and low.distance.value > 0]
    if len(numbers) < 3:
        return None, ""
    ruling = ""
    for k in (0, 1):
        largest = max(numbers, key=lambda pair: pair[k].distance.value)[k]
        if largest.distance.value > 0.5 * sum(pair[k].distance.value for pair in numbers):
            ruling = largest.name
    return median(c.distance.value / low.distance.value for c, low in numbers), ruling


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


def _latex(rows: list[_Row]) -> str:
    head, *body = (" & ".join(map(_tex, row)) + r" \\" for row in rows)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}", r"\hline", head, r"\hline", *body, r"\hline"]
    return "\n".join([*lines, r"\end{tabular}"])


def _tex(text: str) -> str:
    """Text with LaTeX's own characters taken literally."""
    own: dict[str, str | int | None] = {c: rf"\{c}" for c in "&%$#_{}"}
    own |= {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"}
    own |= {"±": r"$\pm$", "<": "$<$", ">": "$>$"}
    return text.translate(str.maketrans(own))
