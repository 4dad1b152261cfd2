"""Steps chosen by the error they make, row by row; for fields that exist at every time."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.integrate import solve_ivp

from buff.protocols import Array
from buff.solvers.base import Solver
from buff.solvers.flow import Flow, check_finite
from buff.solvers.runge_kutta import combine, slopes
from buff.solvers.tableaus import DORMAND_PRINCE, Tableau

__all__ = ["Adaptive", "ScipyAdaptive"]


def _check_tolerances(rtol: float, atol: float) -> None:
    if not (1e-12 <= rtol < 1 and atol >= 0 and rtol + atol > 0):
        raise ValueError(
            f"tolerances need 1e-12 <= rtol < 1 and atol >= 0: found rtol = {rtol!r}, atol = {atol!r}"
        )


@dataclass
class _Budget:
    """Field calls left, shared by all parts of a step."""

    left: int


@dataclass(frozen=True)
class Adaptive(Solver):
    """An embedded Runge-Kutta pair that halves the grid's steps where, and for the rows for which, it must.

    A row accepts a step when ``rms(h sum_i (b_i - b^_i) k_i / (atol + rtol max(|x_t|, |x_s|))) <= 1``; the
    others take its two halves instead, and so on. A row's steps depend on that row alone, so its result
    never depends on what else is in the batch, and all rows at one place still share a field call. The last
    slope of a step is the first of the next (the pair's last stage is evaluated at the end).

    Parameters
    ----------
    tableau : Tableau
        With error weights: ``DORMAND_PRINCE`` or ``BOGACKI_SHAMPINE``.
    rtol, atol : float
        Relative and absolute tolerance. 1e-5 is usual, 1e-4 enough for trees.
    min_step : float
        Steps are not halved below this.
    max_nfe : int
        Most field calls spent on one interval of the grid.

    Raises
    ------
    ValueError
        A tolerance that the field cannot meet. A field that is constant by pieces, as trees are, has errors
        that stop falling at the size of its pieces.

    References
    ----------
    Dormand, Prince, 1980; Bogacki, Shampine, 1989; tolerances as in Song et al., 2020, arXiv:2011.13456.

    Examples
    --------
    >>> from buff.grids import TimeGrid
    >>> from buff.solvers import integrate
    >>> decay = lambda x, t, condition: -x
    >>> x = integrate(Adaptive(rtol=1e-8, atol=1e-8), decay, np.ones((3, 1)), TimeGrid.uniform(1))
    >>> bool(abs(x - np.exp(-1)).max() < 1e-8)
    True
    """

    tableau: Tableau = DORMAND_PRINCE
    rtol: float = 1e-5
    atol: float = 1e-5
    min_step: float = 1e-6
    max_nfe: int = 10_000

    adaptive = True

    def __post_init__(self) -> None:
        _check_tolerances(self.rtol, self.atol)
        if not self.tableau.error:
            raise ValueError(
                f"{self.tableau.name} has no embedded method: take Dormand-Prince or Bogacki-Shampine"
            )
        if not 0 < self.min_step < 1 or self.max_nfe < 1:
            found = f"min_step = {self.min_step!r}, max_nfe = {self.max_nfe!r}"
            raise ValueError(f"an adaptive solver needs 0 < min_step < 1 and max_nfe >= 1: found {found}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.tableau.order

    def advance(self, flow: Flow, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        budget = _Budget(self.max_nfe)
        first = flow.velocity(x, t) if memory is None else memory
        return self._cover(flow, x, first, t, s, budget)

    def _cover(
        self, flow: Flow, x: Array, first: Array, t: float, s: float, budget: _Budget
    ) -> tuple[Array, Array]:
        """States and slopes at s, in as many halvings as each row needs."""
        budget.left -= len(self.tableau.c)
        # too long a step may overflow; its error is then not finite, which counts as rejected
        with np.errstate(over="ignore", invalid="ignore"):
            k = slopes(self.tableau, flow.unchecked, x, t, s, first)
            y = x + (s - t) * combine(self.tableau.b, k)
            k.append(flow.unchecked(y, s))
            rejected = ~(self._error(x, y, (s - t) * combine(self.tableau.error, k)) <= 1)
        n_rejected, last = int(rejected.sum()), k[-1]
        if n_rejected:
            if (s - t) / 2 < self.min_step or budget.left <= 0:
                check_finite(last, f"at t = {s:.6g} the field returned")
                self._give_up(t, s, n_rejected / len(x), budget)
            last = 1.0 * last  # the array is the field's own
            middle, part = (t + s) / 2, flow.rows(rejected)
            half, slope = self._cover(part, x[rejected], first[rejected], t, middle, budget)
            y[rejected], last[rejected] = self._cover(part, half, slope, middle, s, budget)
        return y, last

    def _error(self, x: Array, y: Array, difference: Array) -> Array:
        """Size of the error of each row, in units of what is tolerated."""
        larger = (abs(x) + abs(y) + abs(abs(x) - abs(y))) / 2
        scaled = difference / (self.atol + self.rtol * larger)
        return ((scaled * scaled).sum(1) / x.shape[1]) ** 0.5

    def _give_up(self, t: float, s: float, fraction: float, budget: _Budget) -> None:
        spent, smallest = f"after {self.max_nfe} field calls", f"with the smallest step {self.min_step:g}"
        why = spent if budget.left <= 0 else smallest
        raise ValueError(
            f"rtol = {self.rtol:g}, atol = {self.atol:g} cannot be met in [{t:.6g}, {s:.6g}] {why}, for "
            f"{100 * fraction:.3g} % of the rows at hand; a field that is constant by pieces (trees) has an "
            "error estimate that stops falling: raise rtol and atol, or take fixed steps, such as heun"
        )


@dataclass(frozen=True)
class ScipyAdaptive(Solver):
    """``scipy.integrate.solve_ivp`` over the flattened batch: one step size and one error norm for all rows.

    NumPy only. Rows depend on their batch, within the tolerance; :class:`Adaptive` does not have that.

    Parameters
    ----------
    method : {"RK45", "RK23", "DOP853", "LSODA", "Radau", "BDF"}
        SciPy's integrator.
    rtol, atol : float
        Relative and absolute tolerance, 1e-5 in the paper.

    References
    ----------
    Song et al., 2020, arXiv:2011.13456.
    """

    method: Literal["RK45", "RK23", "DOP853", "LSODA", "Radau", "BDF"] = "RK45"
    rtol: float = 1e-5
    atol: float = 1e-5

    adaptive = True

    def __post_init__(self) -> None:
        _check_tolerances(self.rtol, self.atol)
        if self.method not in _SCIPY_ORDERS:
            raise ValueError(f"unknown method {self.method!r}: choose one of {', '.join(_SCIPY_ORDERS)}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return _SCIPY_ORDERS[self.method]

    def advance(self, flow: Flow, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        if not isinstance(x, np.ndarray):
            raise TypeError(
                f"SciPy integrates NumPy states only: found {type(x).__name__}; take dopri5_adaptive"
            )

        def slope(time: float, flat: Array) -> Array:
            return flow.velocity(flat.reshape(x.shape).astype(x.dtype), float(time)).ravel()

        solution = solve_ivp(slope, (t, s), x.ravel(), method=self.method, rtol=self.rtol, atol=self.atol)
        if not solution.success:
            raise ValueError(
                f"SciPy's {self.method} stopped between t = {t:.6g} and {s:.6g}: {solution.message}"
            )
        return solution.y[:, -1].reshape(x.shape).astype(x.dtype), None


_SCIPY_ORDERS = {"RK45": 5, "RK23": 3, "DOP853": 8, "LSODA": 5, "Radau": 5, "BDF": 5}
