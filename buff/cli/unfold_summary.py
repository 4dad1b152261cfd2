"""What an unfolding says of itself, on the terminal and on a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["Known", "Summary", "printed", "summary_html"]

#: Counts of known truth in the bins of some columns, and their errors: ``truth`` and ``truth_error``.
Known: TypeAlias = Mapping[str, Mapping[str, Any]]

#: Head and rows.
_Table: TypeAlias = tuple[tuple[str, ...], list[tuple[str, ...]]]

_HEAD = ("iteration", "change", "effective", "clipped")


@dataclass(frozen=True)
class Summary:
    """What the terminal and the page both tell: sentences, and head and rows of each spectrum."""

    said: Sequence[str]
    spectra: Mapping[str, _Table]

    @classmethod
    def of(cls, edges: Mapping[str, Any], known: Known, result: "UnfoldingResult", normalise: bool) -> "Summary":
        """Diagnostics, errors, how far events are from known truth, and those of each bin of the columns."""
        spectra = {name: _spectrum(result, name, bins) for name, bins in edges.items()}
        return cls(list(_sentences(edges, known, result, normalise)), spectra)


def printed(summary: Summary, result: "UnfoldingResult") -> Iterator[str]:
    """Sentences, spectra with their errors, and iterations as lines of text."""
    yield from summary.said
    for spectrum in summary.spectra.values():
        yield ""
        yield from _lines(*spectrum)
    yield ""
    yield from _lines(_HEAD, _rows(result.history))
    yield from (f"  {line}" for line in _legend(result))


def summary_html(summary: Summary, result: "UnfoldingResult", edges: Mapping[str, Any]) -> Iterator[str]:
    """Sentences, iterations and what the detector does to the bins as parts of a page."""
    from buff.report.page import section_html, table_html

    yield "".join(f"<p>{escape(sentence)}</p>" for sentence in summary.said)
    yield section_html("iterations", table_html(_HEAD, _rows(result.history)), "<br>".join(_legend(result)))
    for name, spectrum in summary.spectra.items():
        about = "Events in each bin at truth level, their error, and its sources."
        yield section_html(f"{name} events", table_html(*spectrum), about)
    for response in _responses(edges, result):
        head, *rows = response.rows()
        about = "Shares of simulated events: seen of the true ones, fakes of those seen, in their own bin of both."
        yield section_html(f"{response.name} response", table_html(head, rows), about)


def _sentences(edges: Mapping[str, Any], known: Known, result: "UnfoldingResult", normalise: bool) -> Iterator[str]:
    """Diagnostics, errors, what lies beyond the bins, and how far the unfolded events are from known truth."""
    from buff.unfolding.settings import SOURCES

    yield from str(result.diagnostics).splitlines()
    yield result.errors
    if edges and not any(replica.source in SOURCES for replica in result.replicas):
        n = max(len(own) - 1 for own in edges.values())
        yield (
            f"Errors without replicas can be several times too small where bins migrate. For covariances and errors of "
            f"{n} bins, write replicas = {{ data = {10 * n}, simulation = 10 }} into [unfolding]: {10 * n} times the "
            f"classifiers and 10 fits more."
        )
    total = result.weights.sum()
    for name, bins in edges.items():
        beyond = _amount(result.beyond(name, bins), total)
        yield f"{beyond} of {_amount(total, total)} unfolded events lie beyond the bins of {name}."
    yield from (f"{response.summary}." for response in _responses(edges, result))
    for name, own in known.items():
        what = "shape of the " if normalise else ""
        distance = _distance(result, name, edges[name], normalise, **own)
        yield f"{name}: unfolded beside the {what}truth of the data, {distance}."


def _responses(edges: Mapping[str, Any], result: "UnfoldingResult") -> Iterator[Any]:
    yield from (result.response(name, own) for name, own in edges.items() if name in result.simulation.reco.names)


def _distance(result: "UnfoldingResult", name: str, edges: Any, normalise: bool, truth: Any, truth_error: Any) -> str:
    """Chi-squared as the figure has it."""
    from buff.unfolding.settings import SOURCES

    try:
        if normalise:
            found = result.normalised(name, edges).chi2(truth, truth_error)
        else:
            found = result.chi2(name, edges, truth, truth_error)
    except ValueError as error:
        return f"no chi2: {error}"
    if not any(replica.source in SOURCES for replica in result.replicas):
        return f"chi2/n {found.value:.1f}/{found.n} (errors of both; no p-value without replicas)"
    return f"chi2/n {found.value:.1f}/{found.n} (p at most {found.p_value:.2g}, errors of both: they share events)"


def _amount(weight: float, total: float) -> str:
    """Events, whole ones unless they are few because the weights are small."""
    return f"{weight:,.0f}" if total >= 100 else f"{weight:.3g}"


def _spectrum(result: "UnfoldingResult", name: str, edges: Any) -> _Table:
    """Events of each bin and their errors, the total and by source: head and rows."""
    hist, sources = result.histogram(name, edges), result.sigmas(name, edges)
    bins = [f"{low:g} to {high:g}" for low, high in pairwise(hist.axes[0].edges.tolist())]
    numbers = np.column_stack([hist.values(), np.sqrt(hist.variances()), *sources.values()])
    rows = [(own, *(f"{number:.4g}" for number in row)) for own, row in zip(bins, numbers, strict=True)]
    return (name, "events", "error", *sources), rows


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(9, *map(len, cells)) + 2 for cells in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _rows(history: Sequence[Any]) -> list[tuple[str, ...]]:
    return [
        (str(i.number), "-" if np.isnan(i.change) else f"{i.change:.4f}", f"{i.effective:.1%}", f"{i.clipped:.2%}")
        for i in history
    ]


def _legend(result: "UnfoldingResult") -> Iterator[str]:
    from buff.unfolding.iterations import LARGEST_FACTOR

    drawn = np.isnan(result.history[0].change)
    start = "the first draws truth and has none before" if drawn else "the first moves that of the simulation"
    yield f"change: share of the unfolded density that moved since the iteration before ({start})"
    yield "effective: unfolded events of equal weight that would be as precise, as a share of the unfolded events"
    yield f"clipped: share of the events whose weight wanted to change by more than a factor {LARGEST_FACTOR:g}"
