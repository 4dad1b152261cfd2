"""The last correction to what a flow has drawn: each column as wide as it was."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from buff.protocols import Array

__all__ = ["MarginalCalibration"]

#: Scores between which the map is bent. More of them, or farther out, would bend it after the drawn events' noise.
_LEVELS = np.linspace(-2.3, 2.3, 21, dtype=np.float32)


@dataclass(frozen=True)
class MarginalCalibration:
    """``z = G^-1(F_j(x_j))``: a rising map for each score that makes it standard normal, as those of the training are.

    Trees that are regularised stop short of the edges: what they carry from noise to data is narrower than the data, by
    a percent or two for ten thousand rows and by several for a thousand. F is read off events that the flow has drawn,
    at normal quantiles; beyond these the map is a shift. Scores of values that repeat stay as they are: where the
    levels of two such columns meet is what they have in common, such as charges that add up to zero.

    Attributes
    ----------
    quantiles : float32 array of shape (21, d)
        Of drawn scores, which become normal ones between -2.3 and 2.3.
    smooth : bool array of shape (d,)
        Dimensions of numbers that hardly ever repeat; the others stay as they are.

    Examples
    --------
    >>> narrow = 0.9 * np.random.default_rng(0).standard_normal((20_000, 1))
    >>> margins = MarginalCalibration.of(narrow, smooth=np.array([True]))
    >>> float(margins(narrow).std().round(2))
    1.0
    """

    quantiles: Array
    smooth: Array

    @property
    def levels(self) -> Array:
        """Scores that the quantiles become, float32 of shape (21,)."""
        return _LEVELS

    @classmethod
    def of(cls, drawn: Array, smooth: Array) -> "MarginalCalibration":
        """The map for events (n, d) of a flow."""
        return cls(np.quantile(drawn, ndtr(_LEVELS), axis=0).astype(np.float32), smooth)

    def __call__(self, x: Array) -> Array:
        """Scores of shape (n, d), corrected."""
        z = np.array(x, np.float32)
        for j in np.flatnonzero(self.smooth):
            knots, own = self.quantiles[:, j], x[:, j]
            shift = np.where(own < knots[0], _LEVELS[0] - knots[0], _LEVELS[-1] - knots[-1])
            inside = (own >= knots[0]) & (own <= knots[-1])
            z[:, j] = np.where(inside, np.interp(own, knots, _LEVELS), own + shift)
        return z
