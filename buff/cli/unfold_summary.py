"""What an unfolding says of itself, on the terminal and on a page."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.cli.unfold_config import Config

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["printed", "summary_html"]

_HEAD = ("iteration", "change", "effective", "clipped")


def printed(config: Config, result: "UnfoldingResult") -> Iterator[str]:
    """Lines of text."""
    yield from _sentences(config, result)
    yield ""
    for row in [_HEAD, *_rows(result.history)]:
        yield "".join(cell.rjust(11) for cell in row)
    yield from (f"  {line}" for line in _legend(result))


def summary_html(config: Config, result: "UnfoldingResult") -> Iterator[str]:
    """Summary, iterations and diagnostics as parts of a page."""
    from buff.report.page import section_html, table_html

    yield "".join(f"<p>{escape(sentence)}</p>" for sentence in _sentences(config, result))
    yield section_html("iterations", table_html(_HEAD, _rows(result.history)), "<br>".join(_legend(result)))


def _sentences(config: Config, result: "UnfoldingResult") -> Iterator[str]:
    yield from str(result.diagnostics).splitlines()
    yield result.errors
    total = result.weights.sum()
    for name in config.truth if config.output.binned else ():
        beyond = result.beyond(name, config.observables[name].bins)
        yield f"{_amount(beyond, total)} of {_amount(total, total)} unfolded events lie beyond the bins of {name}."


def _amount(weight: float, total: float) -> str:
    """Events, whole ones unless they are few because the weights are small."""
    return f"{weight:,.0f}" if total >= 100 else f"{weight:.3g}"


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
