"""The plots of the page: which events and columns they show, and their captions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buff.metrics import ColumnScore
from buff.report.page import figure_html, section_html
from buff.tables import Schema

__all__ = ["ShownEvents", "plots", "shown"]

#: Events of each sample that the plots show, at most.
_SHOWN = 100_000
#: Columns that a corner plot shows, at most.
_CORNER = 6

_MARGINALS_NOTE = (
    "Each column, normalised to one, and generated over real. Bands and bars are one standard deviation of "
    "the statistical error; shaded bins hold what lies beyond the axis, triangles ratios outside the frame. "
    "χ²/n: squared differences of both histograms over their squared statistical errors, summed over the bins, and "
    "the number of bins less one; equal distributions give about n ± √(2n)."
)
_CORRELATIONS_NOTE = (
    "Correlations of the real columns and what is different in the generated ones. Faint differences are "
    "within two standard deviations of zero."
)
_CORNER_NOTE = "Contours of pairs of columns. The numbers are correlations, real above generated."


@dataclass(frozen=True, eq=False)
class ShownEvents:
    """Events with their weights, if they have any."""

    table: pa.Table
    weights: npt.NDArray[np.float64] | None


def shown(table: pa.Table, weights: npt.ArrayLike | None) -> ShownEvents:
    """Rows that the plots show, spread over the whole table."""
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    if table.num_rows <= _SHOWN:
        return ShownEvents(table, w)
    rows = np.linspace(0, table.num_rows - 1, _SHOWN).astype(np.intp)
    return ShownEvents(table.take(rows), None if w is None else w[rows])


def plots(
    samples: tuple[ShownEvents, ShownEvents],
    units: Mapping[str, str],
    chosen: list[str],
    name: str,
    scores: Sequence[ColumnScore],
    schema: Schema | Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Sections of the columns, their correlations and their pairs."""
    from buff.plotting import corner, correlation_difference, marginals

    real, generated = samples
    tables = real.table, generated.table
    look: dict[str, Any] = {"real_weights": real.weights, "generated_weights": generated.weights}
    look |= {"labels": ("real", name), "schema": schema}
    histograms = marginals(*tables, chosen, units=units, **look)
    yield section_html("Distributions", figure_html(histograms, _MARGINALS_NOTE))
    if len(chosen) > 1:
        changes = correlation_difference(*tables, chosen, **look)
        yield section_html("Correlations", figure_html(changes, _CORRELATIONS_NOTE))
        telling = _telling(samples, chosen, scores, schema)
        pairs = corner(*tables, telling, units=units, **look)
        yield section_html("Pairs", figure_html(pairs, _CORNER_NOTE + _omitted(chosen, telling)))


def _telling(
    samples: tuple[ShownEvents, ShownEvents],
    chosen: list[str],
    scores: Sequence[ColumnScore],
    schema: Schema | Mapping[str, Any] | None = None,
) -> list[str]:
    """The columns to draw in pairs: by turns the largest error of a correlation and the largest distance."""
    if len(chosen) <= _CORNER:
        return chosen
    from buff.plotting import associations, observables

    real, generated = samples
    drawn = observables(real.table, generated.table, chosen, schema=schema)
    before, after = associations(drawn, real.weights, generated.weights)
    chosen = [observable.name for observable in drawn]
    error = dict(zip(chosen, np.abs(after - before).max(axis=0), strict=True))
    distance = dict.fromkeys(chosen, 0.0)
    for score in scores:
        if score.name in distance and not isnan(score.distance.value):
            distance[score.name] = max(distance[score.name], score.distance.value)
    ranked = [sorted(chosen, key=by.__getitem__, reverse=True) for by in (error, distance)]
    first = list(dict.fromkeys(chain.from_iterable(zip_longest(*ranked))))[:_CORNER]
    return [name for name in chosen if name in first]


def _omitted(chosen: Sequence[str], drawn: Sequence[str]) -> str:
    rest = [name for name in chosen if name not in drawn]
    if not rest:
        return ""
    which = f" The {len(drawn)} of {len(chosen)} columns with the largest errors of correlation or distance"
    return f"{which}; left out: {', '.join(rest)}."
