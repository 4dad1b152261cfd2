"""Comparisons in bins, in which signed weights are exact: separation power, total variation, migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics.estimate import Estimate, bootstrap, replicate
from buff.metrics.samples import Rows, Seed, as_rows, as_weights
from buff.protocols import Indices

__all__ = [
    "CALO_BINS",
    "ZJETS_BINS",
    "Separation",
    "automatic_bins",
    "bin_numbers",
    "checked_edges",
    "effective_sample_size",
    "narrow_bins",
    "one_column",
    "separation_power",
    "total_variation",
    "triangular_discriminator",
    "variation_replicas",
]

#: A bin narrower than this share of the axis may be one of a spike.
_NARROW = 0.005


def _linear(start: float, stop: float, n_bins: int) -> Rows:
    edges = np.linspace(start, stop, n_bins + 1)
    edges.setflags(write=False)
    return edges


#: Bins of published unfolding results on Z + jets, 30 each (Andreassen et al. 2020, arXiv:1911.09107):
#: mass in GeV, width, constituents, ln of the groomed mass squared over pT squared, z_g, tau21.
ZJETS_BINS: Mapping[str, Rows] = MappingProxyType(
    {
        "mass": _linear(1.0, 60.0, 30),
        "width": _linear(0.0, 0.6, 30),
        "mult": _linear(4.0, 60.0, 30),
        "ln_rho": _linear(-14.0, -2.0, 30),
        "z_g": _linear(0.05, 0.55, 30),
        "tau21": _linear(0.1, 1.1, 30),
    }
)

#: Bins of the CaloChallenge, datasets 2 and 3 (Krause et al. 2024, arXiv:2410.21611): total over incident
#: energy, centre and width of a layer in mm, share of voxels below threshold.
CALO_BINS: Mapping[str, Rows] = MappingProxyType(
    {
        "energy_ratio": _linear(0.5, 1.5, 100),
        "centre": _linear(-30.0, 30.0, 100),
        "width": _linear(0.0, 30.0, 100),
        "sparsity": _linear(0.0, 1.0, 20),
    }
)


@dataclass(frozen=True)
class Separation(Estimate):
    """Separation power with what fell outside its bins; unpacks as ``value, error``.

    Parameters
    ----------
    value, error : float
        Separation power of the entries in range, and its standard error.
    real_overflow, generated_overflow : float
        Share of each sample's weight outside the bins: no part of the value, so look at it.
    edges : tuple of float
        The bin edges.
    """

    real_overflow: float
    generated_overflow: float
    edges: tuple[float, ...]


def separation_power(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    bins: npt.ArrayLike | int = 30,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Separation:
    r"""Separation power of one column, also called triangular discriminator.

    .. math:: S = \frac12 \sum_i \frac{(p_i - q_i)^2}{p_i + q_i}

    with p and q the shares of the entries in range: 0 for equal histograms, 1 for disjoint ones.

    Parameters
    ----------
    real, generated : array-like of shape (n,) and (m,)
        The samples.
    bins : array-like of shape (b + 1,) or int
        Bin edges, rising; a number asks for :func:`automatic_bins` of the real sample.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign; bins where p + q is not positive are left out.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of the replicas.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError
        If a sample has several columns, no weight in range, or the edges do not rise.

    References
    ----------
    Hoecker et al., TMVA (2007), arXiv:physics/0703039; Gras et al. (2017), arXiv:1704.03878.

    Examples
    --------
    >>> result = separation_power([0.5, 0.5, 1.5], [0.5, 1.5, 9.0], bins=[0, 1, 2], n_bootstrap=0)
    >>> round(result.value, 4), round(result.generated_overflow, 4)
    (0.0286, 0.3333)
    """
    x, y = one_column(real, "real"), one_column(generated, "generated")
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    edges = automatic_bins(x, bins, weights=w) if isinstance(bins, int) else checked_edges(bins)
    i, j = bin_numbers(x, edges), bin_numbers(y, edges)
    n_bins = len(edges) - 1
    for name, numbers, weights in (("real", i, w), ("generated", j, v)):
        if weights[numbers < n_bins].sum() <= 0:
            raise ValueError(f"{name}: no positive weight inside the bins {edges[0]:g} to {edges[-1]:g}")

    def statistic(w_b: Rows, v_b: Rows) -> Rows:
        return np.asarray(_separation(_shares(i, w_b, n_bins)[:-1], _shares(j, v_b, n_bins)[:-1]))

    value, error = Estimate.from_replicas(bootstrap(statistic, w, v, n_bootstrap, random_state))
    outside = (float(_shares(i, w, n_bins)[-1]), float(_shares(j, v, n_bins)[-1]))
    return Separation(value, error, *outside, tuple(edges.tolist()))


def triangular_discriminator(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    bins: npt.ArrayLike | int = 30,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Separation:
    """Separation power times 1000, as unfolding papers quote it; arguments of :func:`separation_power`.

    Examples
    --------
    >>> result = triangular_discriminator([0.5, 0.5, 1.5], [0.5, 1.5, 1.5], bins=[0, 1, 2], n_bootstrap=0)
    >>> round(result.value, 3)
    111.111
    """
    s = separation_power(
        real,
        generated,
        bins,
        real_weights=real_weights,
        generated_weights=generated_weights,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )
    return replace(s, value=1e3 * s.value, error=1e3 * s.error)


def total_variation(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    real_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    n_bootstrap: int = 50,
    random_state: Seed = 0,
) -> Estimate:
    r"""Total variation distance of two columns of categories.

    .. math:: \mathrm{TV} = \frac12 \sum_c |p_c - q_c|

    Parameters
    ----------
    real, generated : array-like of shape (n,) and (m,)
        Categories of any one sortable type.
    real_weights, generated_weights : array-like of shape (n,) and (m,), optional
        Event weights of either sign, with a positive sum.
    n_bootstrap : int
        Bootstrap replicas behind the error; 0 for none.
    random_state : int, numpy.random.Generator or None
        Source of the replicas.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> total_variation(["b", "b", "c", "c"], ["b", "c", "c", "c"], n_bootstrap=0).value
    0.25
    """
    x, y = (np.asarray(sample) for sample in (real, generated))
    # a table of one column is that column
    x, y = (column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column for column in (x, y))
    for name, column in (("real", x), ("generated", y)):
        if column.ndim != 1 or not len(column):
            raise ValueError(f"{name}: shape (n,) with n > 0 expected, found {column.shape}")
    w = as_weights(real_weights, len(x), "real_weights")
    v = as_weights(generated_weights, len(y), "generated_weights")
    rng = np.random.default_rng(random_state)
    w_b, v_b = replicate(w, n_bootstrap, rng), replicate(v, n_bootstrap, rng)
    return Estimate.from_replicas(variation_replicas(x, y, w_b, v_b))


def variation_replicas(x: npt.NDArray[Any], y: npt.NDArray[Any], w_b: Rows, v_b: Rows) -> Rows:
    """Total variation distance of two columns for every replica of their weights (replicas, rows)."""
    codes = np.unique(np.concatenate([x, y]), return_inverse=True)[1]
    i, j, last = codes[: len(x)], codes[len(x) :], int(codes.max())
    return np.array(
        [np.abs(_shares(i, w, last) - _shares(j, v, last)).sum() / 2 for w, v in zip(w_b, v_b, strict=True)]
    )


def automatic_bins(x: npt.ArrayLike, n_bins: int = 30, *, weights: npt.ArrayLike | None = None) -> Rows:
    """Equal bins over the central 99.8 percent of a sample.

    Parameters
    ----------
    x : array-like of shape (n,)
        The sample.
    n_bins : int
        Number of bins.
    weights : array-like of shape (n,), optional
        Event weights; their sizes count.

    Returns
    -------
    array of shape (n_bins + 1,)

    Examples
    --------
    >>> automatic_bins([0.0, 1.0, 4.0], 2)
    array([0., 2., 4.])
    """
    if n_bins < 1:
        raise ValueError(f"bins must be at least 1, found {n_bins}")
    column = one_column(x, "x")
    w = np.abs(as_weights(weights, len(column), "weights"))
    order = np.argsort(column)
    level = np.cumsum(w[order]) / w.sum()
    low, high = column[order][np.searchsorted(level, [0.001, 0.999])]
    if low == high:
        low, high = column.min(), column.max()
    if low == high:
        low, high = low - max(0.5, abs(low) * 1e-6), high + max(0.5, abs(high) * 1e-6)
    return np.linspace(low, high, n_bins + 1)


def effective_sample_size(weights: npt.ArrayLike) -> float:
    r"""Number of unweighted events with the statistical power of weighted ones.

    .. math:: n_\mathrm{eff} = \frac{(\sum_i w_i)^2}{\sum_i w_i^2}

    Parameters
    ----------
    weights : array-like of shape (n,)
        Event weights of either sign, with a positive sum.

    Returns
    -------
    float

    References
    ----------
    Kish (1965), Survey Sampling.

    Examples
    --------
    >>> effective_sample_size([1.0, 1.0, 1.0, -1.0])
    1.0
    """
    w = as_weights(weights, np.size(weights), "weights")
    return float(w.sum() ** 2 / (w @ w))


def one_column(x: npt.ArrayLike, name: str) -> Rows:
    """A sample of a single column as floats of shape (n,)."""
    rows = as_rows(x, name)
    if rows.shape[1] != 1:
        raise ValueError(f"{name}: one column expected, found {rows.shape[1]}; bin them one at a time")
    return rows[:, 0]


def narrow_bins(edges: npt.ArrayLike) -> Indices:
    """Numbers of the bins around a spike: below a 200th of the axis and a tenth of the median width.

    They have contents and no density: events divided by a width that was chosen as small as one likes say nothing.

    Examples
    --------
    >>> narrow_bins([-1e-6, 1e-6, 10, 20, 40]).tolist()
    [0]
    """
    e = np.asarray(edges, np.float64)
    width = np.diff(e)
    return np.flatnonzero((width < _NARROW * (e[-1] - e[0])) & (width < 0.1 * np.median(width)))


def checked_edges(bins: npt.ArrayLike) -> Rows:
    """Edges of bins, which must rise."""
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins: at least two rising edges expected, found {bins!r}")
    return edges


def bin_numbers(x: Rows, edges: Rows) -> Indices:
    """Bin of each value, the last one closed; the number of bins where it is outside."""
    numbers = np.searchsorted(edges, x, side="right") - 1
    numbers[x == edges[-1]] = len(edges) - 2
    numbers[numbers < 0] = len(edges) - 1
    return numbers


def _shares(numbers: Indices, weights: Rows, last: int) -> Rows:
    return np.asarray(np.bincount(numbers, weights, minlength=last + 1) / weights.sum())


def _separation(p: Rows, q: Rows) -> float:
    if min(p.sum(), q.sum()) <= 0:
        return nan
    p, q = p / p.sum(), q / q.sum()
    filled = p + q > 0
    p, q = p[filled], q[filled]
    return float(np.sum((p - q) ** 2 / (p + q)) / 2)
