"""Log-densities of rows under a network: the change of variables along its flow."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from buff.errors import check_whole
from buff.fields import AbstractField, Reversed
from buff.grids import TimeGrid, get_grid
from buff.paths import LINEAR, Path
from buff.protocols import Array
from buff.randomness import EventNoise, seed_from
from buff.solvers import SOLVERS, Solver, get_solver, integrate
from buff.tables import read, validate_data
from buff.transforms import TableTransformer
from buff.transforms.density import cell_columns
from buff_baselines.fields import TorchField
from buff_baselines.spaces import StandardSpace

__all__ = ["WithDensity"]

#: Rows at a time.
_BATCH = 4096
#: Columns up to which the divergence is exact unless told otherwise, and probes beyond.
_EXACT, _PROBES = 32, 8
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def _has_density(model: Any) -> bool:
    """Whether all columns of a fitted model have one.

    Raises
    ------
    AttributeError
        With the column that has none.
    """
    for encoder in getattr(getattr(model, "space_", None), "encoders_", ()):
        ranks = getattr(encoder, "ranks", None)
        if encoder.names and (ranks is None or len(ranks.atoms) or ranks.missing or ranks.lattice):
            raise AttributeError(
                f"column {encoder.name!r} has values that repeat or lie on a lattice: these have probabilities, no "
                "density; leave it out, fit with preprocessing='standard', which takes numbers as they are, or take "
                "buff.TreeDensity"
            )
    return True


class WithDensity:
    """Densities of rows, of models that follow an ODE."""

    @available_if(_has_density)  # type: ignore[untyped-decorator]
    def score_samples(
        self: Any,
        X: Any,
        y: object = None,
        *,
        condition: Any = None,
        solver: str | Solver = "rk4",
        grid: str | TimeGrid | Sequence[float] = "uniform",
        n_steps: int | None = 32,
        n_probes: int | None = None,
        random_state: Any = 0,
    ) -> Array:
        r"""Logarithm of the density of each row, in the units of the table.

        .. math:: \log p(x) = \log N(z_0) - \int_0^1 \nabla \cdot u(z_t, t) \, dt + \log |dz_1 / dx|

        along the flow back to its noise, in double precision: that of the model, up to the error of the steps.

        Parameters
        ----------
        X : table of shape (n, p)
            Columns of numbers. Rank space (``preprocessing="rank"``) ends next to the outermost values of the training:
            beyond, the density is 0. ``"standard"`` has no ends.
        y : ignored
        condition : table of shape (n, c), optional
            Conditions of the rows, where the model has them; one fitted with ``condition_dropout`` tells the density
            without them, too.
        solver, grid, n_steps
            Any solver without noise, with as many steps; a grid from 0 to 1.
        n_probes : int, optional
            Directions of Hutchinson's estimate of the divergence, unbiased and noisy; 0 is exact, at one derivative a
            column. By default 0 up to 32 columns, else 8.
        random_state : None, int or NumPy generator
            Of the probes.

        Returns
        -------
        array of shape (n,)
            In nats.

        Raises
        ------
        AttributeError
            Columns without density: categories, values that repeat, such as whole or rounded numbers.
        ValueError
            A solver with noise; a student of one step.
        """
        check_is_fitted(self)
        rule, times = get_solver(solver), get_grid(grid, n_steps if isinstance(grid, str) else None)
        if rule.stochastic or self.model_.solver == SOLVERS["consistency"]:
            raise ValueError(f"densities follow an ODE: found {rule if rule.stochastic else self.model_.solver}")
        validate_data(self, X, skip_check_array=True, reset=False)
        columns = read(X)
        free = condition is None and bool(self.condition_dropout)
        features = None if free else self._features_of(condition, len(columns))
        scores, slopes = _scores_with_slopes(self.space_, columns)
        probes = None if n_probes is None else check_whole("n_probes", n_probes, 0)
        how: dict[str, Any] = {"n_probes": probes, "seed": seed_from(random_state)}
        return slopes + _log_densities(self.model_.field, scores, features, rule, times, **how)


@dataclass(frozen=True)
class _DivergenceField(AbstractField):
    r"""States with a number each that grows by the divergence of the velocity, :math:`\nabla \cdot u`.

    Parameters
    ----------
    inner : TorchField
    n_conditions : int
        Leading features of the condition that the network takes; those that follow are ``n_probes`` directions of each
        row, along which Hutchinson's estimate :math:`E[\epsilon^T (\nabla u) \epsilon]` is taken.
    n_probes : int
        0 for the exact divergence, by a derivative for each column.

    References
    ----------
    Chen, Rubanova, Bettencourt, Duvenaud, 2018, arXiv:1806.07366; Grathwohl et al. (FFJORD), 2018, arXiv:1810.01367.
    """

    inner: TorchField
    n_conditions: int = 0
    n_probes: int = 0
    path: Path = LINEAR
    times: tuple[float, ...] | None = field(default=None, init=False, repr=False)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        first = next(self.inner.network.parameters())
        state = torch.as_tensor(np.ascontiguousarray(x[:, :-1])).to(first).requires_grad_(True)
        given = None if condition is None else torch.as_tensor(np.ascontiguousarray(condition)).to(first)
        told = given[:, : self.n_conditions] if given is not None and self.n_conditions else None
        times = torch.full((len(state), 1), float(t), dtype=first.dtype, device=first.device)
        with torch.enable_grad():
            u = self.inner.parametrisation.field(self.inner.network, state, times, told)
            divergence = self._divergence(u, state, given)
        return torch.cat([u.detach(), divergence[:, None]], dim=1).cpu().numpy().astype(x.dtype)

    def _divergence(self, u: Tensor, x: Tensor, given: Tensor | None) -> Tensor:
        if not self.n_probes:
            return torch.stack([_along(u[:, j].sum(), x)[:, j] for j in range(x.shape[1])]).sum(0)
        assert given is not None
        probes = given[:, self.n_conditions :].reshape(len(x), self.n_probes, -1).unbind(1)
        return torch.stack([(_along((u * probe).sum(), x) * probe).sum(1) for probe in probes]).mean(0)


def _along(value: Tensor, x: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
    return gradient


def _log_densities(
    field: TorchField,
    scores: Array,
    condition: Array | None,
    solver: Solver,
    grid: TimeGrid,
    n_probes: int | None = None,
    seed: int = 0,
) -> Array:
    """Logarithm of the density of scores (n, d) in their space, shape (n,), in double precision."""
    d = scores.shape[1]
    n_probes = (0 if d <= _EXACT else _PROBES) if n_probes is None else n_probes
    c = 0 if condition is None else condition.shape[1]
    double = TorchField(copy.deepcopy(field.network).double(), field.parametrisation, field.path)
    flow = Reversed(_DivergenceField(double, c, n_probes))
    densities = np.empty(len(scores))
    for start in range(0, len(scores), _BATCH):
        rows = slice(start, start + _BATCH)
        x = np.column_stack([scores[rows], np.zeros(len(scores[rows]))])
        given = [] if condition is None else [condition[rows]]
        if n_probes:
            given.append(np.sign(EventNoise(seed, start)(np.empty((len(x), n_probes * d), np.float32))))
        z = integrate(solver, flow, x, grid.backwards(), np.column_stack(given) if given else None)
        densities[rows] = z[:, -1] - (0.5 * z[:, :-1] ** 2 + _HALF_LOG_2PI).sum(axis=1)
    return densities


def _scores_with_slopes(space: Any, columns: Any) -> tuple[Array, Array]:
    """Scores (n, d) of rows and the logarithm of the determinant of their derivatives, (n,)."""
    if isinstance(space, StandardSpace):
        table = np.column_stack([np.asarray(values, np.float64) for values in columns.arrays])
        return (table - space.mean_) / space.scale_, np.full(len(table), -np.log(space.scale_).sum())
    assert isinstance(space, TableTransformer)
    scores, slopes, own = [], np.zeros(len(columns)), iter(cell_columns(space, open_ends=False))
    for encoder, values in zip(space.encoders_, columns.arrays, strict=True):
        if not encoder.names:
            continue
        cells = next(own).encode(values)
        scores.append(cells.low)
        slopes += cells.log_slope
    return np.column_stack(scores), slopes
