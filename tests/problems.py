"""Problems with answers in closed form, the oracles of the solver tests.

Data are Gaussian mixtures with one width a component and independent columns given the component, so that
``x_t = alpha x1 + sigma eps`` is a mixture of the same kind at every time of every path.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from buff.fields import TimeField
from buff.paths import LINEAR, REDUCED, Marginal, Path
from buff.schedules import VarianceExploding
from buff.solvers import integrate

#: Reduced coordinates x / alpha, with sigma itself (up to 80) a linear function of t.
VE = REDUCED


@dataclass(frozen=True)
class Mixture:
    """``sum_k w_k N(mu_k, s_k^2)``, the same in every column."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    widths: tuple[float, ...]

    def split(self, x, alpha, sigma):
        """E[x1 | x] and E[eps | x]."""
        if sigma == 0 and not np.any(self.widths):
            return x / alpha, 0 * x
        variance = alpha**2 * np.square(self.widths) + sigma**2
        distance = x[..., None] - alpha * np.array(self.means)
        log_weight = np.log(self.weights) - 0.5 * (distance**2 / variance + np.log(variance)).sum(axis=-2)
        weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
        weight = (weight / weight.sum(axis=-1, keepdims=True))[..., None, :]
        denoised = (weight * (np.array(self.means) + alpha * np.square(self.widths) / variance * distance)).sum(-1)
        return denoised, (weight * sigma / variance * distance).sum(-1)

    def field(self, path: Path = LINEAR, predicts: str = "velocity") -> TimeField:
        """The exact field on a path, through any of the five predictions."""

        def exact(x, t, condition):
            here = path.at(t)
            D, e = self.split(x, here.alpha, here.sigma)
            return {
                "velocity": lambda: here.alpha_dot * D + here.sigma_dot * e,
                "denoised": lambda: D,
                "noise": lambda: e,
                "score": lambda: -e / here.sigma,
                "v": lambda: here.alpha * e - here.sigma * D,
            }[predicts]()

        return TimeField(exact, path, predicts)

    def carried(self, x: float, here: Marginal, there: Marginal) -> float:
        """Where the exact flow carries one number: quantiles are kept."""
        # the smaller tail keeps its digits
        upper = self._tail(x, here, 1) < 0.5
        tail = self._tail(x, here, 1 if upper else -1)
        centre, width = there.alpha * np.mean(self.means), 40 * (there.alpha + there.sigma)
        return brentq(
            lambda y: self._tail(y, there, 1 if upper else -1) - tail,
            centre - width,
            centre + width,
            xtol=1e-15,
        )

    def _tail(self, x, at, sign):
        deviation = np.sqrt(at.alpha**2 * np.square(self.widths) + at.sigma**2)
        return np.sum(self.weights * ndtr(-sign * (x - at.alpha * np.array(self.means)) / deviation))

    @property
    def mean(self):
        return np.dot(self.weights, self.means)

    @property
    def variance(self):
        return np.dot(self.weights, np.square(self.widths) + np.square(self.means)) - self.mean**2


#: One Gaussian, where every solver is affine in the state.
P1 = Mixture((1.0,), (1.3,), (0.5,))
#: Two peaks.
P2 = Mixture((0.4, 0.6), (-1.0, 0.8), (0.3, 0.2))
#: A point: D is constant.
P3 = Mixture((1.0,), (0.7,), (0.0,))
#: Two peaks in any number of dimensions (the diagonal holds their centres).
P4 = P2


def nonlinear(x, t, condition=None):
    """``dx/dt = -t x^3``, with ``x(t) = x_0 / sqrt(1 + x_0^2 t^2)``."""
    return -t * x**3


def nonlinear_solution(x0, t):
    return x0 / np.sqrt(1 + (x0 * t) ** 2)


def ratios_path(high: float) -> Path:
    """Reduced coordinates that start at a ratio of ``high``."""
    return Path(VarianceExploding(high))


def fitted_order(steps, errors):
    """Slope of the error against the number of steps."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


class Impulses:
    """Noise that is 1 in one draw of one row: row 2 + k sees draw k alone, rows 0 and 1 see none."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x):
        z = np.zeros_like(x)
        if 2 + self.calls < len(z):
            z[2 + self.calls] = 1
        self.calls += 1
        return z


def moments(solver, field, grid, mean, variance):
    """Exact mean and variance that a sampler makes of those at the start, on a field that is affine in x.

    The end is ``b + a x_0 + sum_k c_k z_k``: a batch with a row for b, one for a + b, one for each b + c_k.
    """
    counter = Impulses()
    integrate(solver, field, np.zeros((1, 1)), grid, noise=counter)
    x0 = np.zeros((2 + counter.calls, 1))
    x0[1] = 1
    b, a, *c = integrate(solver, field, x0, grid, noise=Impulses())[:, 0]
    return b + (a - b) * mean, (a - b) ** 2 * variance + sum((draw - b) ** 2 for draw in c)
