"""How columns hang together, and where the generated ones do so differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from buff.metrics.associations import association_matrix
from buff.metrics.histograms import effective_sample_size
from buff.metrics.samples import as_weights
from buff.plotting.columns import Observable, Values, observables
from buff.plotting.style import drawing, label_text, new_figure, two_digits
from buff.protocols import TableLike
from buff.tables import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["associations", "correlation_difference"]


def associations(
    drawn: Sequence[Observable],
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
) -> tuple[Values, Values]:
    """Association of every pair of columns, in the real and in the generated sample.

    See :func:`buff.metrics.associations.association_matrix`.

    Parameters
    ----------
    drawn : sequence of Observable
        From :func:`observables`.
    real_weights, generated_weights : array of shape (n,), optional
        Event weights.

    Returns
    -------
    real, generated : array of shape (d, d)
        Symmetric, with ones on the diagonal.

    Examples
    --------
    >>> x = np.array([0.1, 1.0, 2.0, 3.0])
    >>> pair = observables(np.column_stack([x, -x]), np.column_stack([x, x**2]))
    >>> real, generated = associations(pair)
    >>> float(real[0, 1].round(3)), float(generated[0, 1].round(3))
    (-1.0, 0.964)
    """
    w = as_weights(real_weights, len(drawn[0].real), "real_weights")
    v = as_weights(generated_weights, len(drawn[0].generated), "generated_weights")
    grouped = [o.is_category for o in drawn]
    real = association_matrix([o.real for o in drawn], grouped, w)
    return real, association_matrix([o.generated for o in drawn], grouped, v)


def correlation_difference(
    real: TableLike,
    generated: TableLike,
    columns: Sequence[str] | None = None,
    *,
    schema: Schema | Mapping[str, Any] | None = None,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    labels: tuple[str, str] = ("real", "generated"),
    style: str | None = None,
) -> Any:
    """Associations of the real columns, and beside them generated minus real.

    Faint numbers are within two standard deviations of zero, with (1 - r^2) / sqrt(n) for each sample; the colours
    of differences reach to four standard deviations at least, so that noise is pale.

    Parameters
    ----------
    real, generated, columns, schema, real_weights, generated_weights, labels, style
        As in :func:`marginals`. What an association is for columns of each kind: :func:`associations`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> figure = correlation_difference(rng.normal(size=(500, 3)), rng.normal(size=(300, 3)), ["a", "b", "c"])
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['real', 'generated − real']
    """
    drawn = observables(real, generated, columns, schema=schema)
    if len(drawn) < 2:
        raise ValueError(f"at least two columns are needed, found {drawn[0].name}")
    before, after = associations(drawn, real_weights, generated_weights)
    n = effective_sample_size(as_weights(real_weights, len(drawn[0].real), "real_weights"))
    m = effective_sample_size(as_weights(generated_weights, len(drawn[0].generated), "generated_weights"))
    sigma = np.abs(1 - before**2) * np.sqrt(1 / n + 1 / m)
    change = after - before
    side = max(2.2, 0.42 * len(drawn))
    with drawing(style):
        figure = new_figure(2 * side + 1.6, side + 2.0)
        left, right = figure.subplots(1, 2)
        muted = np.abs(change) < 2 * sigma
        limit = max(0.05, np.abs(change).max(), 4 * sigma.max())
        kind = "association" if any(o.is_category for o in drawn) else "correlation"
        _draw(figure, left, drawn, before, 1.0, np.zeros_like(muted), kind, labels[0])
        _draw(figure, right, drawn, change, limit, muted, "difference", f"{labels[1]} − {labels[0]}")
        right.set_yticklabels([])
    return figure


def _draw(
    figure: Figure,
    axes: Any,
    drawn: Sequence[Observable],
    matrix: Values,
    limit: float,
    muted: npt.NDArray[np.bool_],
    label: str,
    title: str,
) -> None:
    """The lower triangle, with numbers in the cells."""
    n = len(drawn)
    shown = np.ma.masked_where(np.triu(np.ones((n, n), dtype=bool)), matrix)[1:, :-1]
    image = axes.imshow(shown, cmap="PuOr", vmin=-limit, vmax=limit)
    for i, j in zip(*np.tril_indices(n, -1), strict=True):
        look: dict[str, Any] = {"color": _ink(image, matrix[i, j]), "alpha": 0.6 if muted[i, j] else None}
        axes.text(j, i - 1, two_digits(matrix[i, j]), ha="center", va="center", fontsize="x-small", **look)
    names = [label_text(observable.name) for observable in drawn]
    axes.set_xticks(range(n - 1), names[:-1], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n - 1), names[1:])
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, label=label, location="bottom", shrink=0.7, aspect=30, pad=0.02)


def _ink(image: Any, value: float) -> str:
    """White on dark cells, black on light ones: by the luma of the colour (ITU-R BT.601)."""
    return "white" if np.dot(image.to_rgba(value)[:3], (0.299, 0.587, 0.114)) < 0.5 else "black"
