"""Beyond the sample: a generalised Pareto tail fitted to the outermost values."""

from dataclasses import dataclass

import numpy as np

from buff.kernels import dot
from buff.protocols import Array, Numbers, Weights

__all__ = ["Tail"]

_FRACTION = 0.02
_FEWEST = 25


@dataclass(frozen=True)
class Tail:
    """P(X > x) = mass (1 + shape (x - start) / scale)^(-1 / shape) for x > start.

    The shape is 0 for an exponential, positive for a power law; with a negative one the tail ends at
    start - scale / shape. Fitted by probability-weighted moments to the values above a high threshold and
    continued from the outermost knot.

    References
    ----------
    J. R. M. Hosking and J. R. Wallis (1987), Technometrics 29, 339.
    """

    start: float
    mass: float
    scale: float
    shape: float

    @classmethod
    def fit(
        cls, values: Array, weights: Weights, start: float, mass: float, end: float, bound: float | None
    ) -> "Tail | None":
        """Upper tail of sorted ``values`` from ``start``, beyond which a share ``mass`` lies.

        The tail reaches at least ``end`` and stops exactly at ``bound``, if there is one. None if there are
        too few values.
        """
        k = max(_FEWEST, int(_FRACTION * len(values)))
        if len(values) < 2 * k or not start < end:
            return None
        threshold = values[-k - 1]
        scale, shape = _moments(values[-k:] - threshold, weights[-k:])
        scale = scale + shape * (start - threshold)
        if bound is not None:
            scale = min(max(scale, (end - start) * 1e-3), bound - start)
            return cls(start, mass, scale, -scale / (bound - start))
        return cls(start, mass, max(scale, -shape * (end - start), (end - start) * 1e-3), shape)

    def value(self, survival: Numbers) -> Array:
        """x with P(X > x) = ``survival``, for survivals up to ``mass``."""
        log = np.log(self.mass) - np.log(survival)
        return self.start + self.scale * (np.expm1(self.shape * log) / self.shape if self.shape else log)

    def survival(self, x: Numbers) -> Array:
        """P(X > ``x``) for x from ``start``."""
        excess = (x - self.start) / self.scale
        if not self.shape:
            return self.mass * np.exp(-excess)
        return self.mass * np.maximum(1 + self.shape * excess, 0) ** (-1 / self.shape)


def _moments(y: Numbers, weights: Weights) -> tuple[float, float]:
    """Scale and shape from b0 = E[y] and b1 = E[y (1 - F(y))]; the shape is kept within [-1, 0.5]."""
    w = weights / np.sum(weights)
    survival = 1 - (np.cumsum(w) - 0.5 * w)
    b0, b1 = dot(w, y), dot(w, y * survival)
    shape = float(np.clip(2 - b0 / (b0 - 2 * b1), -1, 0.5))
    return b0 * (1 - shape), shape
