"""The last correction to what a flow has drawn: marginals as they should be."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array, Mask, Numbers, Weights
from buff.records import checked_array, checked_record

__all__ = ["MarginalCalibration"]

#: Scores between which drawn events are made normal. More of them, or farther out, would follow these events' noise.
_LEVELS = np.linspace(-2.3, 2.3, 21, dtype=np.float32)
#: Normal scores of the levels at which two samples are compared.
_COMPARED = np.linspace(-3.0, 3.0, 201)


@dataclass(frozen=True, eq=False)
class MarginalCalibration:
    """``z_j = G_j^-1(F_j(x_j))``: a rising map for each column that gives drawn events the marginals they should have.

    F is the distribution function of drawn events and G the one wanted, both known at the same levels: between
    quantiles the map is a line, beyond them a shift. Trees that are regularised stop short of the edges: what they
    carry from noise to data is narrower than the data, the more so the fewer the rows.

    Attributes
    ----------
    quantiles : array of shape (k, d)
        Of drawn events, at k levels.
    smooth : bool array of shape (d,)
        Columns that are corrected; the others stay as they are.
    wanted : array of shape (k, d), optional
        Quantiles of the distribution they should have at the same levels; the 21 ``levels`` of a standard normal one
        unless told otherwise.

    Examples
    --------
    >>> narrow = 0.9 * np.random.default_rng(0).standard_normal((20_000, 1))
    >>> calibration = MarginalCalibration.of(narrow, smooth=np.array([True]))
    >>> float(calibration(narrow).std().round(2))
    1.0
    """

    quantiles: Array
    smooth: Array
    wanted: Array | None = None

    @property
    def levels(self) -> Array:
        """Standard normal quantiles between -2.3 and 2.3, float32 of shape (21,)."""
        return _LEVELS

    @classmethod
    def of(cls, drawn: Numbers, smooth: Mask) -> "MarginalCalibration":
        """Standard normal marginals, as those of a training are, for columns of numbers that hardly ever repeat.

        Scores of values that repeat stay as they are: where the levels of two such columns meet is what they have in
        common, such as charges that add up to zero.
        """
        return cls(np.quantile(drawn, ndtr(_LEVELS), axis=0).astype(np.float32), smooth)

    @classmethod
    def between(cls, drawn: Numbers, wanted: Numbers, weights: Weights) -> "MarginalCalibration":
        """The marginals of ``wanted`` (n, d) with weights (n,), from ``drawn`` (m n, d), m draws of each event."""
        repeated = np.repeat(weights, len(drawn) // len(weights))
        everywhere = np.ones(drawn.shape[1], bool)
        return cls(_quantiles(drawn, repeated), everywhere, _quantiles(wanted, weights))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], name: str, d: int) -> "MarginalCalibration":
        """The map of d scores to normal ones that is kept in the arrays under a name.

        Raises
        ------
        ArchiveError
            Arrays that are lost or have other shapes, quantiles that fall or are not finite.
        """
        checked_record(arrays, "the calibration", (f"{name}/quantiles", f"{name}/smooth"))
        quantiles = checked_array(arrays[f"{name}/quantiles"], f"{name}/quantiles", (len(_LEVELS), d), rising=True)
        return cls(quantiles, checked_array(arrays[f"{name}/smooth"], f"{name}/smooth", (d,), kinds="b"))

    def __call__(self, x: Numbers) -> Array:
        """Events of shape (n, d), corrected, float32."""
        z = np.array(x, np.float32)
        for j in np.flatnonzero(self.smooth):
            drawn, column = self.quantiles[:, j], x[:, j]
            wanted = _LEVELS if self.wanted is None else self.wanted[:, j]
            shift = np.where(column < drawn[0], wanted[0] - drawn[0], wanted[-1] - drawn[-1])
            inside = (column >= drawn[0]) & (column <= drawn[-1])
            z[:, j] = np.where(inside, np.interp(column, drawn, wanted), column + shift)
        return z


def _quantiles(x: Numbers, weights: Weights) -> Array:
    """Weighted quantiles of each column, float64 of shape (k, d)."""
    levels, columns = ndtr(_COMPARED), []
    for column in x.T:
        order = np.argsort(column)
        below = np.cumsum(weights[order])
        columns.append(column[order][np.searchsorted(below, levels * below[-1])])
    return np.asarray(np.column_stack(columns), np.float64)
