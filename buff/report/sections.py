"""What stands on the page: quality, cost, columns, plots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import hypot, isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.io.tables import to_table, units_of
from buff.metrics import ClassifierTest, Estimate, Report, Utility
from buff.metrics.layout import copies_verdict, left_out, numbers_in_floors
from buff.metrics.scores import JUDGES, MEASURES
from buff.protocols import TableLike
from buff.report.page import checked_page, figure_html, page_html, section_html, table_html, write_page
from buff.report.plots import plots, shown
from buff.report.relations import RELATIONS_NOTE, relations_table
from buff.tables import Schema
from buff.version import __version__

__all__ = ["Cost", "html_report"]

#: Words of the page for numbers of a report, where they are longer than those of its text.
_LONGER = {
    "trees": "AUC of boosted trees, real against generated",
    "mlp": "AUC of a neural network, real against generated",
    "wasserstein": "mean Wasserstein distance of numbers [σ]",
    "variation": "mean total variation of categories",
    "sliced": "sliced Wasserstein distance [σ]",
    "correlation": "largest error of a correlation of numbers",
    "association": "largest error of an association with a category",
}
_WORDS = JUDGES | {name: measure.words for name, measure in MEASURES.items()} | _LONGER
#: What stands in large letters.
_HEADLINE = ("trees", "mlp", "wasserstein", "correlation", "association")
#: A difference of associations is fair, or poor, beyond so many errors and so much.
_FAR = ((3, 0.02), (3, 0.1))
#: Pairs of columns that are listed.
_MOST_PAIRS = 12


_SUMMARY_NOTE = (
    "Real against real is the same number for two samples of real events of these sizes: what a perfect generator "
    "would get, the floor. Samples fluctuate, so it may also get less by chance. An AUC of 0.5 means that "
    "the classifier cannot tell generated from real. Distances of numbers are in standard deviations of the real "
    "column. Yellow: beyond 1.5 times real against real, or an AUC beyond 0.03 from 0.5, by more than two standard "
    "errors; red: beyond 3 times, or 0.1, likewise; blue: neither."
)
_COLUMN_NOTE = (
    "Distance is Wasserstein's, in standard deviations, for numbers, and the total variation for categories. "
    "Separation power is 0 for equal and 1 for disjoint histograms. Outside is the share of generated values "
    "beyond the bins that hold the central 99.8 % of the real ones: 0.2 % are expected."
)
_USE_NOTE = "Boosted trees that predict one column from the others, tested on real events that neither has seen."
_PAIR_NOTE = (
    f"At most {_MOST_PAIRS} pairs with a category, whose associations differ most: Cramér's V of two categories, the "
    "correlation ratio of a category and a number; 0 for none, 1 where one tells the other. Errors are those of equal "
    "samples of these sizes."
)
_COPIES_NOTE = (
    "Near to training events: the share of generated events that lie as near to a training event as the nearest "
    "percent of held-out events; copies, exact or with little noise, add their own share, and the verdict rests on "
    "this. Closer: the share whose nearest neighbour is a training event and not one of as many held-out events; 0.5 "
    "if training events are nothing special, 1 if every event is a copy. What is learned from few events leans to "
    "them without repeating any: 0.53 to 0.6 is usual for some thousand. Distance to training events, relative to that "
    "of held-out events: 1, and well below where many are copies."
)


@dataclass(frozen=True)
class Cost:
    """What a generator took.

    Parameters
    ----------
    name : str
        Its name.
    train_seconds : float
        Time of the training by the clock, in seconds.
    sample_seconds : float
        Time of generating one event by the clock, in seconds.
    cores : int, optional
        Cores that it might use.
    """

    name: str
    train_seconds: float
    sample_seconds: float
    cores: int | None = None


def html_report(
    report: Report,
    real: TableLike,
    generated: TableLike,
    path: str | os.PathLike[str],
    *,
    title: str = "Generated against real events",
    name: str = "generated",
    columns: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    others: Mapping[str, Report] | None = None,
    costs: Iterable[Cost] = (),
    schema: Any = None,
    figures: Mapping[str, Any] | None = None,
    use: tuple[str, Utility] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a page: numbers beside their floor, costs, columns, and plots.

    Parameters
    ----------
    report : Report
        From :func:`buff.metrics.report`.
    real, generated : array of shape (n, d), pandas, polars or pyarrow table, buff.datasets.Table
        The events that were compared.
    path : path
        File to write, with a name that ends in ``.html``; it appears when it is complete.
    title : str
        Heading of the page.
    name : str
        What to call the generator in tables.
    columns : sequence of str, optional
        Columns to draw; names of the columns, where both are arrays.
    units : mapping from name to unit, optional
        Units; tables that carry their own need none.
    real_weights, generated_weights : array of shape (n,), optional
        Event weights.
    others : mapping from name to Report, optional
        Other generators, measured on the same real events, to stand beside this one.
    costs : iterable of Cost
        Training and sampling times to list.
    schema : Schema or mapping, optional
        Kinds of the columns, such as ``schema_`` of a model: stands on the page, and says how columns are drawn. So
        does a mapping of what is known better.
        Anything else that prints as a table of the columns is shown only.
    figures : mapping from heading to matplotlib Figure, optional
        More plots.
    use : pair of str and Utility, optional
        A target and :func:`buff.metrics.utility` of it: models trained on generated rows beside those trained on real.
    provenance : mapping from word to text, optional
        Where the numbers come from, such as ``{"command": ..., "seed": ..., "real events": "test.parquet"}``; the
        version of buff and the date are added.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the tables have no column in common or are empty, or the name of the file is not one of HTML.
    MissingExtraError
        If the extra ``plot`` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np, pyarrow as pa
    >>> from buff.metrics import report
    >>> rng = np.random.default_rng(0)
    >>> real, generated = ({"pt": rng.exponential(size=300), "eta": rng.normal(size=300)} for _ in range(2))
    >>> measured = report(real, generated, classifiers=(), n_bootstrap=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder, "quality.html")
    ...     html_report(measured, pa.table(real), pa.table(generated), page, units={"pt": "GeV"})
    ...     print(page.read_text(encoding="utf-8")[:15])
    <!doctype html>
    """
    page = checked_page(path)
    measured = {name: report, **(others or {})}
    tables = [to_table(rows, columns if isinstance(rows, np.ndarray) else None) for rows in (real, generated)]
    samples = shown(tables[0], real_weights), shown(tables[1], generated_weights)
    known_units = {**units_of(samples[0].table), **(units or {})}
    known = schema if isinstance(schema, Schema | Mapping) else None
    both = (name for name in tables[0].column_names if name in tables[1].column_names)
    chosen = [name for name in columns or both if name not in report.left_out]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{report.n_generated:,} generated and {report.n_real:,} real events.</p>",
        _cards(report),
        section_html("Quality", _summary(measured), _SUMMARY_NOTE),
        section_html("Cost", _cost_table(list(costs)), "Time by the clock, on at most the cores that are given."),
        section_html("Columns", _column_table(report, known_units) + _left_out(report), _COLUMN_NOTE),
        section_html("Categories and other columns", _pair_table(report), _PAIR_NOTE),
        section_html("Use", _use_table(use), _USE_NOTE),
        section_html("Relations", relations_table(samples[0].table, samples[1].table, chosen), RELATIONS_NOTE),
        section_html("Copies of training events", _memorised(measured), _COPIES_NOTE),
        *plots(samples, known_units, chosen, name, report.scores.columns, known),
        *(section_html(heading, figure_html(figure, "")) for heading, figure in (figures or {}).items()),
        section_html("Schema", "" if schema is None else f"<pre>{escape(str(schema))}</pre>"),
        section_html("Provenance", _provenance(provenance or {})),
    ]
    write_page(page, page_html(title, parts))


def _provenance(given: Mapping[str, str]) -> str:
    """Who wrote the page, from what, when."""

    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"written": f"{written} by buff {__version__}", **given}
    return "".join(f"<p class='note'>{escape(word)}: {escape(text)}</p>" for word, text in facts.items())


def _cards(report: Report) -> str:
    """The most telling numbers, large."""
    scores, floor = report.scores, report.floor
    cards = []
    for key in _HEADLINE:
        value, lowest = getattr(scores, key), getattr(floor, key, None)
        if value is not None:
            below = f"floor {lowest}" if lowest is not None else ""
            middle, ruling = numbers_in_floors(report) if key == "wasserstein" else (None, "")
            if middle is not None:
                below += f"; median of columns {middle:.2f} floors" + (f", {ruling} rules the mean" if ruling else "")
            cards.append(
                f'<div class="card {_grade(value, lowest)}"><b>{value.value:.3g}</b>'
                f"<span>{escape(_WORDS[key])}</span><small>{escape(below)}</small></div>"
            )
    return f'<div class="cards">{"".join(cards)}</div>'


def _grade(value: Estimate, floor: Estimate | None) -> str:
    """How far from the floor, by more than two standard errors: the class of a cell."""
    if isinstance(value, ClassifierTest):
        beyond = (abs(value.value - 0.5) - 2 * _known(value.error) > limit for limit in (0.03, 0.1))
    elif floor is not None and floor.value > 0:
        beyond = (
            value.value - limit * floor.value > 2 * hypot(_known(value.error), limit * _known(floor.error))
            for limit in (1.5, 3.0)
        )
    else:
        return ""
    return ("good", "fair", "poor")[sum(beyond)]


def _known(error: float) -> float:
    return 0.0 if isnan(error) else error


def _summary(measured: Mapping[str, Report]) -> str:
    floor = next((report.floor for report in measured.values() if report.floor is not None), None)
    rows = []
    for key, label in _WORDS.items():
        values = [getattr(report.scores, key) for report in measured.values()]
        if any(value is not None for value in values):
            lowest = getattr(floor, key, None)
            rows.append([label, _text(lowest), *(_against(value, lowest) for value in values)])
    return table_html(["", "real against real", *measured], rows)


def _against(value: Estimate | None, floor: Estimate | None) -> str:
    """A value, and how many times the floor it is."""
    if value is None or isnan(value.value):
        return ""
    ratio = ""
    if floor is not None and floor.value > 0 and not isinstance(value, ClassifierTest):
        ratio = f" <small>{value.value / floor.value:.2f} × floor</small>"
    return f'<span class="{_grade(value, floor)}">{_text(value)}{ratio}</span>'


def _cost_table(costs: Sequence[Cost]) -> str:
    rows = [[escape(c.name), f"{c.train_seconds:,.1f}", f"{1e6 * c.sample_seconds:,.1f}"] for c in costs]
    head = ["", "training [s]", "sampling [µs an event]"]
    if any(c.cores is not None for c in costs):
        head.append("cores")
        rows = [[*row, "" if c.cores is None else str(c.cores)] for row, c in zip(rows, costs, strict=True)]
    return table_html(head, rows)


def _column_table(report: Report, units: Mapping[str, str]) -> str:
    floors = {(c.name, c.kind): c for c in report.floor.columns} if report.floor else {}
    rows = []
    for column in report.scores.columns:
        floor = floors.get((column.name, column.kind))
        outside = "" if isnan(column.outside) else f"{column.outside:.2%}"
        name = f"{column.name} [{units[column.name]}]" if units.get(column.name, "1") != "1" else column.name
        distance = _beside(column.distance, floor.distance if floor else None)
        separation = _beside(column.separation, floor.separation if floor else None)
        rows.append([escape(name), escape(column.kind), *distance, *separation, outside])
    head = ["", "kind", *("real against real", "distance"), *("real against real", "separation power"), "outside"]
    return table_html(head, rows)


def _left_out(report: Report) -> str:
    words = left_out(report)
    return f"<p>{escape(words)}</p>" if words else ""


def _use_table(use: tuple[str, Utility] | None) -> str:
    if use is None:
        return ""
    target, scores = use
    names = {"auc": "area under the ROC curve", "f1": "F1 score", "r2": "coefficient of determination"}
    rows = [
        [f"{escape(target)}, {words}", _text(getattr(scores.real, key)), _text(getattr(scores.synthetic, key))]
        for key, words in names.items()
        if getattr(scores.synthetic, key) is not None
    ]
    return table_html(["", "trained on real events", "trained on generated events"], rows)


def _pair_table(report: Report) -> str:
    rows = []
    for pair in report.scores.pairs[:_MOST_PAIRS]:
        difference = pair.difference
        grade = ("good", "fair", "poor")[sum(abs(difference.value) > k * pair.error + least for k, least in _FAR)]
        cells = [f"{pair.real:.3f}", f"{pair.generated:.3f}", f'<span class="{grade}">{_text(difference)}</span>']
        rows.append([f"{escape(pair.first)}, {escape(pair.second)}", *cells])
    return table_html(["", "real", "generated", "difference"], rows)


def _beside(value: Estimate, floor: Estimate | None) -> tuple[str, str]:
    """Floor and value, as two cells."""
    return _text(floor), _against(value, floor)


def _memorised(measured: Mapping[str, Report]) -> str:
    rows = []
    for name, report in measured.items():
        found = report.memorisation
        if found is not None:
            copies = f"{found.copies:,} <small>({found.expected_copies:g} expected)</small>"
            verdict = copies_verdict(found, report.n_generated)
            near = f"{_text(found.share_near)} <small>({found.expected_near:.3g} expected)</small>"
            numbers = [near, _text(found.share_closer), _text(found.distance_ratio), copies]
            rows.append([escape(name), *numbers, f'<span class="words {verdict.grade}">{escape(verdict.words)}</span>'])
    head = ["", "near to training events", "closer to them", "distance to them", "exact copies", "verdict"]
    return table_html(head, rows)


def _text(estimate: Estimate | None) -> str:
    return "" if estimate is None or isnan(estimate.value) else escape(str(estimate))
