"""Steps chosen by the error they make, row by row; for fields that exist at every time."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.integrate import solve_ivp

from buff.errors import check_finite
from buff.grids import TimeGrid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.solvers.base import BoundField, Solver, combine
from buff.solvers.exponential import ExponentialSinglestep
from buff.solvers.runge_kutta import slopes
from buff.solvers.tableaus import DORMAND_PRINCE, Tableau

__all__ = ["Adaptive", "AdaptiveExponential", "ScipyAdaptive"]


def _check_tolerances(rtol: float, atol: float) -> None:
    if not (1e-12 <= rtol < 1 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"tolerances need 1e-12 <= rtol < 1 and atol >= 0: found rtol = {rtol!r}, atol = {atol!r}")


def _larger(a: Array, b: Array) -> Array:
    """The larger of two, number by number, in any library of arrays."""
    return (a + b + abs(a - b)) / 2


def _rms(x: Array) -> Array:
    return ((x * x).sum(1) / x.shape[1]) ** 0.5


@dataclass
class _Budget:
    """Field calls left, shared by all parts of a step."""

    left: int


def _give_up(solver: Any, t: float, s: float, fraction: float, budget: _Budget) -> None:
    spent, smallest = f"after {solver.max_nfe} field calls", f"with the smallest step {solver.min_step:g}"
    why = spent if budget.left <= 0 else smallest
    raise ValueError(
        f"rtol = {solver.rtol:g}, atol = {solver.atol:g} cannot be met in [{t:.6g}, {s:.6g}] {why}, for "
        f"{100 * fraction:.3g} % of the rows at hand; a field that is constant by pieces (trees) has an "
        "error estimate that stops falling: raise rtol and atol, or take fixed steps, such as heun"
    )


@dataclass(frozen=True)
class Adaptive(Solver):
    """An embedded Runge-Kutta pair that halves the grid's steps where, and for the rows for which, it must.

    Order 5 or 3; as many calls as the tolerance asks for, six or three a part and one; no noise; the field must exist
    at every time.

    A row accepts a step when ``rms(h sum_i (b_i - b^_i) k_i / (atol + rtol max(|x_t|, |x_s|))) <= 1``; the
    others take its two halves instead, and so on. A row's steps depend on that row alone, so its result
    never depends on what else is in the batch, and all rows at one place still share a field call. The last
    slope of a step is the first of the next (the pair's last stage is evaluated at the end).

    Parameters
    ----------
    tableau : Tableau
        With error weights: ``DORMAND_PRINCE`` or ``BOGACKI_SHAMPINE``.
    rtol, atol : float
        Relative and absolute tolerance. 1e-8 to 1e-3, 1e-5 is usual; 1e-4 or more on fields constant by pieces.
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
    >>> import numpy as np
    >>> from buff.grids import TimeGrid
    >>> from buff.solvers import Adaptive, integrate
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
            raise ValueError(f"{self.tableau.name} has no embedded method: take Dormand-Prince or Bogacki-Shampine")
        if not 0 < self.min_step < 1 or self.max_nfe < 1:
            found = f"min_step = {self.min_step!r}, max_nfe = {self.max_nfe!r}"
            raise ValueError(f"an adaptive solver needs 0 < min_step < 1 and max_nfe >= 1: found {found}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.tableau.order

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        budget = _Budget(self.max_nfe)
        first = flow.velocity(x, t) if memory is None else memory
        return self._cover(flow, x, first, t, s, budget)

    def _cover(
        self, flow: BoundField, x: Array, first: Array, t: float, s: float, budget: _Budget
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
                _give_up(self, t, s, n_rejected / len(x), budget)
            last = 1.0 * last  # the array is the field's own
            middle, part = (t + s) / 2, flow.rows(rejected)
            half, slope = self._cover(part, x[rejected], first[rejected], t, middle, budget)
            y[rejected], last[rejected] = self._cover(part, half, slope, middle, s, budget)
        return y, last

    def _error(self, x: Array, y: Array, difference: Array) -> Array:
        """Size of the error of each row, in units of what is tolerated."""
        return _rms(difference / (self.atol + self.rtol * _larger(abs(x), abs(y))))


@dataclass(frozen=True)
class AdaptiveExponential(Solver):
    """DPM-Solver-12 and -23: exponential steps of orders k - 1 and k from the same stages.

    Order k; as many calls as the tolerance asks for, k a part; no noise; the field must exist at every time.

    A row accepts the step of order k when the two differ by ``rms((x_k - x_(k-1)) / max(atol, rtol max(|x_t|,
    |x_(k-1)|))) <= 1``; the others take its two halves in lambda instead, and so on, row by row as in
    :class:`Adaptive`. Where lambda is infinite there is one step of first order, kept short.

    Parameters
    ----------
    inner : ExponentialSinglestep
        Of order 2 or 3.
    rtol, atol : float
        Relative and absolute tolerance; the published ones suit data within [-1, 1].
    high, low : float
        Noise-to-signal ratios at which the first-order steps from pure noise and to pure data end and begin.
    min_step : float
        Steps are not halved below this, in lambda.
    max_nfe : int
        Most field calls spent on one interval of the grid.

    Raises
    ------
    ValueError
        A tolerance that the field cannot meet.

    References
    ----------
    Lu et al., DPM-Solver, 2022, arXiv:2206.00927, appendix C; there the batch shares its steps.

    Examples
    --------
    >>> import numpy as np
    >>> from buff.fields import TimeField
    >>> from buff.grids import TimeGrid
    >>> from buff.solvers import AdaptiveExponential, integrate
    >>> point = TimeField(lambda x, t, condition: 0 * x + 3.0, predicts="denoised")
    >>> integrate(AdaptiveExponential(), point, np.ones((1, 1)), TimeGrid.uniform(1)).tolist()
    [[3.0]]
    """

    inner: ExponentialSinglestep = field(default_factory=lambda: ExponentialSinglestep((1 / 3, 2 / 3), "noise"))
    rtol: float = 0.05
    atol: float = 0.0078
    high: float = 1000.0
    low: float = 1e-4
    min_step: float = 1e-3
    max_nfe: int = 10_000

    adaptive = True

    def __post_init__(self) -> None:
        _check_tolerances(self.rtol, self.atol)
        if self.inner.order < 2:
            raise ValueError("error control needs steps of order 2 or 3: found order 1")
        if not 0 < self.low < self.high:
            raise ValueError(f"the ends need 0 < low < high: found low = {self.low!r}, high = {self.high!r}")
        if not self.min_step > 0 or self.max_nfe < 1:
            found = f"min_step = {self.min_step!r}, max_nfe = {self.max_nfe!r}"
            raise ValueError(f"an adaptive solver needs min_step > 0 and max_nfe >= 1: found {found}")

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.inner.order

    def steps(self, grid: TimeGrid, path: Path = LINEAR) -> tuple[tuple[float, float], ...]:
        """The intervals of the grid, those that touch a pure end parted at ``high`` and ``low``."""
        ends = ((self.high, grid.times[0]), (self.low, grid.times[-1]))
        parted = [path.time(ratio) for ratio, end in ends if path.at(end).pure]
        inside = [t for t in parted if grid.times[0] < t < grid.times[-1] and not grid.has(t)]
        return tuple(pairwise(sorted((*grid.times, *inside))))

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        return self._cover(flow, x, t, s, _Budget(self.max_nfe)), None

    def _cover(self, flow: BoundField, x: Array, t: float, s: float, budget: _Budget) -> Array:
        """States at s, in as many halvings as each row needs."""
        budget.left -= self.order
        lower, y = self.inner.pair(flow, x, t, s)
        tolerated = _larger(self.rtol * _larger(abs(x), abs(lower)), self.atol + 0 * x)
        rejected = ~(_rms((y - lower) / tolerated) <= 1)
        if n_rejected := int(rejected.sum()):
            here, there = flow.at(t), flow.at(s)
            if there.log_snr - here.log_snr < 2 * self.min_step or budget.left <= 0:
                _give_up(self, t, s, n_rejected / len(x), budget)
            middle, part = flow.at_ratio((here.ratio * there.ratio) ** 0.5).t, flow.rows(rejected)
            half = self._cover(part, x[rejected], t, middle, budget)
            y[rejected] = self._cover(part, half, middle, s, budget)
        return y


@dataclass(frozen=True)
class ScipyAdaptive(Solver):
    """``scipy.integrate.solve_ivp`` over the flattened batch: one step size and one error norm for all rows.

    Order 5 for RK45; as many calls as the tolerance asks for; no noise; the field must exist at every time.

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

    def advance(self, flow: BoundField, x: Array, t: float, s: float, memory: Any) -> tuple[Array, Any]:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"SciPy integrates NumPy states only: found {type(x).__name__}; take dopri5_adaptive")

        def slope(time: float, flat: Array) -> Array:
            return flow.velocity(flat.reshape(x.shape).astype(x.dtype), float(time)).ravel()

        solution = solve_ivp(slope, (t, s), x.ravel(), method=self.method, rtol=self.rtol, atol=self.atol)
        if not solution.success:
            raise ValueError(f"SciPy's {self.method} stopped between t = {t:.6g} and {s:.6g}: {solution.message}")
        return solution.y[:, -1].reshape(x.shape).astype(x.dtype), None


_SCIPY_ORDERS = {"RK45": 5, "RK23": 3, "DOP853": 8, "LSODA": 5, "Radau": 5, "BDF": 5}
