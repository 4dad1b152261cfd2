"""What the panels of histograms show: columns, for each label if wished, as shares in common bins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.errors import MissingExtraError
from buff.metrics.samples import as_weights
from buff.plotting.columns import Observable, Values

__all__ = ["Panel", "Shares", "panels_of", "shares"]

#: Bins of columns that are not named, and values of a column that panels are made for, at most.
_BINS, _MOST_LEVELS = 30, 12


@dataclass(frozen=True, eq=False)
class Shares:
    """A histogram as shares of the sum of weights, first and last bin for what lies beyond the edges.

    Parameters
    ----------
    edges : array of shape (b + 1,)
        Edges, without those of the outer bins.
    value, error : array of shape (b + 2,)
        Shares and their statistical errors, from the sum of squared weights.
    """

    edges: Values
    value: Values
    error: Values


def shares(values: Values, edges: Values, weights: npt.ArrayLike | None = None) -> Shares:
    """Histogram of the finite values.

    Parameters
    ----------
    values : array of shape (n,)
        Sample; NaN is left out.
    edges : array of shape (b + 1,)
        Bin edges.
    weights : array of shape (n,), optional
        Event weights, of either sign.

    Examples
    --------
    >>> shares(np.array([0.5, 0.6, 1.5, 9.0]), np.array([0.0, 1.0, 2.0])).value
    array([0.  , 0.5 , 0.25, 0.25])
    """
    try:
        import hist
    except ImportError as error:
        raise MissingExtraError("hist", "plot") from error
    w = as_weights(weights, len(values), "weights")
    histogram = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
    known = np.isfinite(values)
    histogram.fill(values[known], weight=w[known])
    view: Any = histogram.view(flow=True)
    total = view["value"].sum() or 1.0
    if total < 0:
        raise ValueError(f"the weights of the values that are not missing sum to {total:g}: no shares can be drawn")
    return Shares(edges, view["value"] / total, np.sqrt(view["variance"]) / total)


@dataclass(frozen=True, eq=False)
class Panel:
    """Histograms of one column.

    Parameters
    ----------
    observable : Observable
    shares : list of Shares
        Of all samples, the real one first.
    title : str
    """

    observable: Observable
    shares: list[Shares]
    title: str = ""

    @property
    def beyond(self) -> npt.NDArray[np.bool_]:
        """Whether something lies below, above the edges."""
        return np.asarray(np.any([share.value[[0, -1]] != 0 for share in self.shares], axis=0))

    @property
    def outer(self) -> tuple[Values, slice]:
        """Edges with the outer bins that are not empty, and which bins that are."""
        edges, (below, above) = self.shares[0].edges, self.beyond
        span = 0.05 * (edges[-1] - edges[0])
        wide = [*([edges[0] - span] if below else []), *edges, *([edges[-1] + span] if above else [])]
        return np.array(wide), slice(0 if below else 1, None if above else -1)

    @property
    def widths(self) -> Values | float:
        """What shares are divided by: the widths of the bins, where these cut between values."""
        if self.observable.discrete or self.observable.calendar:
            return 1.0
        widths = np.diff(self.shares[0].edges)
        return np.concatenate([widths[:1], widths, widths[-1:]])[self.outer[1]]


def panels_of(
    drawn: Sequence[Observable],
    weights: Sequence[Any],
    bins: int | Mapping[str, Any],
    names: Mapping[str, str],
    by: str | None,
) -> tuple[list[Panel], int]:
    """The panels, and how many stand beside each other.

    Raises
    ------
    ValueError
        ``bins``, ``names`` or ``by`` name no column, edges do not rise, ``by`` has too many values.
    """
    known = [own.name for own in drawn]
    asked = {"bins": bins if isinstance(bins, Mapping) else {}, "names": names, "by": [by] if by else []}
    for word, given in asked.items():
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"{word} names the unknown column {unknown[0]!r}; the columns are {', '.join(known)}")
    shown = [own for own in drawn if own.name != by]
    parts = list(_parts(next(own for own in drawn if own.name == by))) if by else [("", None)]
    panels = [_panel(own, weights, bins, names, title, rows) for title, rows in parts for own in shown]
    beside = len(shown) if by and len(shown) <= 4 else min(4, ceil(sqrt(len(panels))))
    return panels, beside


def _parts(label: Observable) -> Iterator[tuple[str, list[Any]]]:
    """Each value of a column in words, and the rows of all samples that have it."""
    values = np.unique(np.concatenate([sample[np.isfinite(sample)] for sample in label.samples]))
    if not label.discrete or len(values) > _MOST_LEVELS:
        raise ValueError(f"by={label.name!r} has {len(values)} values: name a column of at most {_MOST_LEVELS} labels")
    for value in values:
        words = label.categories[int(value)] if label.is_category else f"{value:g}"
        yield f"{label.name} = {words}", [sample == value for sample in label.samples]


def _panel(
    own: Observable,
    weights: Sequence[Any],
    bins: int | Mapping[str, Any],
    names: Mapping[str, str],
    title: str,
    rows: Any,
) -> Panel:
    samples = own.samples
    weights = [w if w is None else np.asarray(w) for w in weights]
    if rows is not None:
        samples = tuple(values[chosen] for values, chosen in zip(samples, rows, strict=True))
        weights = [w if w is None else w[chosen] for w, chosen in zip(weights, rows, strict=True)]
    asked = bins.get(own.name, _BINS) if isinstance(bins, Mapping) else bins
    real, generated, *others = samples
    own = replace(own, real=real, generated=generated, others=tuple(others))
    edges = own.edges(asked) if np.ndim(asked) == 0 else _checked_edges(own.name, asked)
    found = [shares(values, edges, w) for values, w in zip(samples, weights, strict=True)]
    return Panel(replace(own, name=names.get(own.name, own.name)), found, title)


def _checked_edges(name: str, given: npt.ArrayLike) -> Values:
    edges = np.asarray(given, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins of {name!r} must be a number or rising edges, found {given!r}")
    return edges
