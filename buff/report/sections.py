"""What stands on the page: quality, cost, columns, plots."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buff.io.tables import to_table, units_of
from buff.metrics import ClassifierTest, Estimate, Report, TableScores
from buff.report.page import figure_html, page_html, section_html, table_html, write_page

__all__ = ["Cost", "html_report"]

#: Events of each sample that the plots show, at most.
_SHOWN = 100_000
#: Columns that a corner plot shows, at most.
_CORNER = 12

_WHOLE = (
    ("trees", "AUC of boosted trees, real against generated"),
    ("mlp", "AUC of a neural network, real against generated"),
    ("wasserstein", "mean Wasserstein distance of numbers [σ]"),
    ("variation", "mean total variation of categories"),
    ("sliced", "sliced Wasserstein distance [σ]"),
    ("correlation", "largest error of a correlation"),
)


_SUMMARY_NOTE = (
    "Real against real is the same number for two samples of real events of these sizes: no generator goes "
    "below; × is the ratio to it. An AUC of 0.5 means that the classifier cannot tell generated from real. "
    "Distances of numbers are in standard deviations of the real column. Blue: at most 1.5 times real "
    "against real, or an AUC within 0.03 of 0.5; red: more than 3 times, or 0.1; yellow between."
)
_COLUMN_NOTE = (
    "Distance is Wasserstein's, in standard deviations, for numbers, and the total variation for categories. "
    "Separation power is 0 for equal and 1 for disjoint histograms. Outside is the share of generated values "
    "beyond the bins that hold the central 99.8 % of the real ones."
)
_COPIES_NOTE = (
    "Closer to training events: 0.5 if none was learned by heart, 1 for copies. Distance to them, relative "
    "to held-out events: 1, and below for copies with noise."
)
_MARGINALS_NOTE = (
    "Each column, normalised to one, and generated over real. Bands and bars are one standard deviation of "
    "the statistical error; shaded bins hold what lies beyond the axis, triangles ratios outside the frame."
)
_CORRELATIONS_NOTE = (
    "Correlations of the real columns and what is different in the generated ones. Differences in grey are "
    "within two standard deviations of zero."
)
_CORNER_NOTE = "Contours of pairs of columns. The numbers are correlations, real above generated."


@dataclass(frozen=True)
class Cost:
    """What a generator took.

    Parameters
    ----------
    name : str
        Its name.
    train_seconds : float
        CPU time of the training, in seconds.
    sample_seconds : float
        CPU time of generating one event, in seconds.
    """

    name: str
    train_seconds: float
    sample_seconds: float


def html_report(
    report: Report,
    real: Any,
    generated: Any,
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
) -> None:
    """Write a page: numbers beside their floor, costs, columns, and plots.

    Parameters
    ----------
    report : Report
        From :func:`buff.metrics.report`.
    real, generated : array of shape (n, d), pandas, polars or pyarrow table, buff.datasets.Table
        The events that were compared.
    path : path
        File to write; it appears when it is complete.
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
    schema : object, optional
        Anything that prints as a table of the columns, such as ``BUFF.schema_``.
    figures : mapping from heading to matplotlib Figure, optional
        More plots.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the tables have no column in common or are empty.
    MissingExtraError
        If the extra ``plot`` is not installed.

    Examples
    --------
    >>> import tempfile
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
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"{Path(path).parent}: no such folder for the report")
    measured = {name: report, **(others or {})}
    samples = _shown(real, columns, real_weights), _shown(generated, columns, generated_weights)
    known_units = {**units_of(samples[0].table), **(units or {})}
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{report.n_generated:,} generated and {report.n_real:,} real events.</p>",
        _cards(report),
        section_html("Quality", _summary(measured), _SUMMARY_NOTE),
        section_html("Cost", _cost_table(list(costs)), "CPU time of one core."),
        section_html("Columns", _column_table(report, known_units), _COLUMN_NOTE),
        section_html("Copies of training events", _memorised(measured), _COPIES_NOTE),
        *_plots(samples, known_units, columns, name),
        *(section_html(heading, figure_html(figure, "")) for heading, figure in (figures or {}).items()),
        section_html("Schema", "" if schema is None else f"<pre>{escape(str(schema))}</pre>"),
    ]
    write_page(Path(path), page_html(title, parts))


@dataclass(frozen=True, eq=False)
class _Sample:
    table: pa.Table
    weights: npt.NDArray[np.float64] | None


def _shown(data: Any, columns: Sequence[str] | None, weights: npt.ArrayLike | None) -> _Sample:
    """Rows that the plots show, spread over the whole table."""
    table = to_table(data, columns if isinstance(data, np.ndarray) else None)
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    if table.num_rows <= _SHOWN:
        return _Sample(table, w)
    rows = np.linspace(0, table.num_rows - 1, _SHOWN).astype(np.intp)
    return _Sample(table.take(rows), None if w is None else w[rows])


def _cards(report: Report) -> str:
    """The most telling numbers, large."""
    scores, floor = report.scores, report.floor
    cards = []
    for key, label in _WHOLE:
        value, lowest = getattr(scores, key), getattr(floor, key, None)
        if value is not None and key in ("trees", "mlp", "wasserstein", "correlation"):
            below = f"floor {lowest}" if lowest is not None else ""
            cards.append(
                f'<div class="card {_grade(value, lowest)}"><b>{value.value:.3g}</b>'
                f"<span>{escape(label)}</span><small>{escape(below)}</small></div>"
            )
    return f'<div class="cards">{"".join(cards)}</div>'


def _grade(value: Estimate, floor: Estimate | None) -> str:
    """How far from the floor: the class of a cell."""
    if isinstance(value, ClassifierTest):
        excess, good, fair = abs(value.value - 0.5), 0.03, 0.1
    elif floor is not None and floor.value > 0:
        excess, good, fair = value.value / floor.value, 1.5, 3.0
    else:
        return ""
    return "good" if excess <= good else "fair" if excess <= fair else "poor"


def _summary(measured: Mapping[str, Report]) -> str:
    floor = next((report.floor for report in measured.values() if report.floor is not None), None)
    rows = []
    for key, label in _WHOLE:
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
        ratio = f" <small>{value.value / floor.value:.2f} ×</small>"
    return f'<span class="{_grade(value, floor)}">{_text(value)}{ratio}</span>'


def _cost_table(costs: Sequence[Cost]) -> str:
    rows = [[escape(c.name), f"{c.train_seconds:,.1f}", f"{1e6 * c.sample_seconds:,.1f}"] for c in costs]
    return table_html(["", "training [s]", "sampling [µs an event]"], rows)


def _column_table(report: Report, units: Mapping[str, str]) -> str:
    lowest = _column_floors(report.floor)
    rows = []
    for column in report.scores.columns:
        floor = lowest.get((column.name, column.kind))
        outside = "" if isnan(column.outside) else f"{column.outside:.2%}"
        name = f"{column.name} [{units[column.name]}]" if units.get(column.name, "1") != "1" else column.name
        numbers = [_text(floor), _against(column.distance, floor), _text(column.separation), outside]
        rows.append([escape(name), escape(column.kind), *numbers])
    return table_html(["", "kind", "real against real", "distance", "separation power", "outside"], rows)


def _column_floors(floor: TableScores | None) -> dict[tuple[str, str], Estimate]:
    return {(c.name, c.kind): c.distance for c in floor.columns} if floor else {}


def _memorised(measured: Mapping[str, Report]) -> str:
    rows = []
    for name, report in measured.items():
        found = report.memorisation
        if found is not None:
            copies = f"{found.copies:,} <small>({found.expected_copies:g} expected)</small>"
            rows.append([escape(name), _text(found.share_closer), _text(found.distance_ratio), copies])
    return table_html(["", "closer to training events", "distance to them", "exact copies"], rows)


def _plots(
    samples: tuple[_Sample, _Sample], units: Mapping[str, str], columns: Sequence[str] | None, name: str
) -> Iterator[str]:
    from buff.plotting import corner, correlation_difference, marginals

    real, generated = samples
    tables = real.table, generated.table
    chosen = list(columns or (name for name in tables[0].column_names if name in tables[1].column_names))
    look: dict[str, Any] = {"real_weights": real.weights, "generated_weights": generated.weights}
    look["labels"] = ("real", name)
    histograms = marginals(*tables, chosen, units=units, **look)
    yield section_html("Distributions", figure_html(histograms, _MARGINALS_NOTE))
    if len(chosen) > 1:
        changes = correlation_difference(*tables, chosen, **look)
        yield section_html("Correlations", figure_html(changes, _CORRELATIONS_NOTE))
        pairs = corner(*tables, chosen[:_CORNER], units=units, **look)
        omitted = f" The first {_CORNER} of {len(chosen)} columns." if len(chosen) > _CORNER else ""
        yield section_html("Pairs", figure_html(pairs, _CORNER_NOTE + omitted))


def _text(estimate: Estimate | None) -> str:
    return "" if estimate is None or isnan(estimate.value) else escape(str(estimate))
