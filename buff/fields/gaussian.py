"""The flow of a Gaussian in closed form, and coordinates in which it stands still."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

import numpy as np

from buff.paths import LINEAR, Path
from buff.protocols import Array

__all__ = ["GaussianFlow"]

#: Variances below are those of columns that determine each other, up to rounding.
_SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class GaussianFlow:
    r"""The flow from noise :math:`N(0, n^2)` to a Gaussian with mean mu and covariance :math:`U \mathrm{diag}(e) U^T`.

    At time t the states have mean :math:`\alpha \mu` and, along the eigenvectors U, the standard deviations
    :math:`a(t) = \sqrt{\alpha^2 e + \sigma^2 n^2}`. In the *frame*

    .. math:: y = U^T (x - \alpha \mu) / a(t)

    no state of this flow moves, so that of any flow :math:`dx/dt = u(x, t)` only what the Gaussian does not have is
    left to integrate: :math:`dy/dt = U^T (u - u_{Gauss}) / a(t)`.

    Parameters
    ----------
    mean : array of shape (d,)
    basis : array of shape (d, d)
        Orthonormal eigenvectors U, one a column.
    variances : array of shape (d,)
        Eigenvalues e; those below 1e-6 are taken for 1e-6.
    noise : float
        Standard deviation n of the noise.
    path : Path

    Raises
    ------
    ValueError
        Shapes that do not agree.

    References
    ----------
    Lawson, "Generalized Runge-Kutta processes for stable systems with large Lipschitz constants", 1967,
    doi:10.1137/0704033.

    Examples
    --------
    >>> gauss = GaussianFlow.of(np.zeros(2), np.array([[1.0, 0.9], [0.9, 1.0]]))
    >>> x = np.array([[0.3, -0.2]])
    >>> y = gauss.to_frame(x, 0.4)
    >>> bool(np.allclose(gauss.from_frame(y, 0.4), x))
    True
    >>> bool(np.allclose(gauss.velocity(gauss.from_frame(y, 1.0), 1.0), gauss.from_frame(y, 1.0)))
    True
    """

    mean: Array
    basis: Array
    variances: Array
    noise: float = 1.0
    path: Path = LINEAR

    def __post_init__(self) -> None:
        d = len(self.mean)
        if np.shape(self.mean) != (d,) or np.shape(self.basis) != (d, d) or np.shape(self.variances) != (d,):
            shapes = ", ".join(str(np.shape(part)) for part in (self.mean, self.basis, self.variances))
            raise ValueError(f"mean, basis and variances must have shapes (d,), (d, d) and (d,): found {shapes}")
        object.__setattr__(self, "variances", np.maximum(self.variances, _SMALLEST))

    @classmethod
    def of(cls, mean: Array, covariance: Array, noise: float = 1.0, path: Path = LINEAR) -> Self:
        """For a mean (d,) and a covariance (d, d)."""
        variances, basis = np.linalg.eigh(covariance)
        largest = np.argmax(abs(basis), axis=0) if len(mean) else np.empty(0, np.intp)
        basis = basis * np.sign(basis[largest, np.arange(len(mean))])  # one of the two directions, always the same
        return cls(np.asarray(mean, np.float64), basis, variances, noise, path)

    def scales(self, t: float) -> Array:
        """Standard deviations a(t) of the states along the eigenvectors, (d,)."""
        here = self.path.at(t)
        return np.sqrt(here.alpha**2 * self.variances + here.sigma**2 * self.noise**2)

    def rates(self, t: float) -> Array:
        """Logarithmic derivatives ``a'(t) / a(t)``, (d,)."""
        here = self.path.at(t)
        change = here.alpha * here.alpha_dot * self.variances + here.sigma * here.sigma_dot * self.noise**2
        return change / self.scales(t) ** 2

    def to_frame(self, x: Array, t: float) -> Array:
        """y of states x (n, d) at time t."""
        return self._centred(x, t) / _like(self.scales(t), x)

    def from_frame(self, y: Array, t: float) -> Array:
        """Inverse of :meth:`to_frame`."""
        return self._rotate_back(y * _like(self.scales(t), y)) + _like(self.path.at(t).alpha * self.mean, y)

    def velocity(self, x: Array, t: float) -> Array:
        """u of the Gaussian flow at states x (n, d) and time t."""
        u = self._rotate_back(self._centred(x, t) * _like(self.rates(t), x))
        return u + _like(self.path.at(t).alpha_dot * self.mean, x)

    def frame_velocity(self, x: Array, u: Array, t: float) -> Array:
        """dy/dt of states x that move with velocity u, (n, d)."""
        return self._rotate(u - self.velocity(x, t)) / _like(self.scales(t), x)

    def velocity_map(self, t: float) -> tuple[Array, Array]:
        """Weights (d, d) and bias (d,) of the velocity ``x @ weights + bias``."""
        here, weights = self.path.at(t), (self.basis * self.rates(t)) @ self.basis.T
        return weights, here.alpha_dot * self.mean - here.alpha * self.mean @ weights

    def _centred(self, x: Array, t: float) -> Array:
        """``U^T (x - alpha mu)``."""
        return self._rotate(x) - _like(self.path.at(t).alpha * (self.mean @ self.basis), x)

    def _rotate(self, x: Array) -> Array:
        return x @ _like(self.basis, x)

    def _rotate_back(self, y: Array) -> Array:
        return y @ _like(self.basis.T, y)


def _like(values: Array, x: Array) -> Any:
    """NumPy values in the library, precision and place of x."""
    if isinstance(x, np.ndarray):
        return values.astype(x.dtype if x.dtype.kind == "f" else np.float64)
    if hasattr(x, "new_tensor"):
        return x.new_tensor(values)
    return import_module(type(x).__module__.split(".")[0]).asarray(values, dtype=x.dtype)
