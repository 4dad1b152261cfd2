"""Field and grid of a fitted generator, sampling with other solvers, and the map between events and noise."""

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.fields import Reversed
from buff.flows import FlowModel, SampleRequest
from buff.generators.conditions import split_conditions
from buff.grids import TimeGrid, get_grid
from buff.protocols import Array, ConditionLike, Field, TableLike
from buff.randomness import within_range
from buff.solvers import Solver, get_solver, integrate
from buff.tables import read, validate_data
from buff.trees import to_numpy

__all__ = ["WithField", "WithLatents"]


class WithField:
    """The field of a fitted model."""

    model_: Any

    @property
    def field_(self) -> Field:
        """The velocity at the nodes of the solver, for :func:`buff.solvers.integrate` and views (:mod:`buff.fields`).

        It lives where ``space_.transform`` leads to and ``space_.inverse_transform`` leads back from, on the linear
        path: counted, scaled, run backwards, or followed by other solvers that stay on its nodes. Besides the nodes
        that are trained (``nodes_``) it knows t = 0 and t = 1, where the velocity has a closed form, unless the noise
        is coupled with the data. The calibration of marginals of small tables comes after it. Trees with a condition
        have coordinates of their own for each, and no field; that of a network is called with features of the
        condition, ``field_(x, t, condition_encoder_.transform(condition))``.

        Raises
        ------
        AttributeError
            Trees with a condition, or that draw atoms first; a model that is not fitted.

        Examples
        --------
        >>> from buff import BUFF
        >>> from buff.fields import Counted
        >>> from buff.solvers import integrate
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> gen = BUFF(n_steps=4, noise_budget=5_000, random_state=0).fit(X)
        >>> field, x0 = Counted(gen.field_), np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
        >>> events = gen.space_.inverse_transform(integrate("heun", field, x0, gen.grid_))
        >>> field.nfe, events.shape
        (8, (3, 2))
        """
        field: Field = self._model_of_field().field
        return field

    @property
    def grid_(self) -> TimeGrid:
        """The times where the solver stops; those of ``field_`` are its nodes."""
        grid: TimeGrid = self._model_of_field().grid
        return grid

    def _model_of_field(self) -> Any:
        if "model_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted: call fit first")
        if self.model_.no_field:
            raise AttributeError(self.model_.no_field)
        return self.model_

    def _solved_by(
        self, solver: str | Solver | None, grid: str | TimeGrid | Sequence[float] | None, n_steps: int | None = None
    ) -> Self:
        """This fit with events that another solver draws, or another grid."""
        check_is_fitted(self)
        asked = copy(self)
        asked.model_ = self.model_.solved_by(None if solver is None else get_solver(solver), self._grid(grid, n_steps))
        return asked

    def _grid(self, grid: str | TimeGrid | Sequence[float] | None, n_steps: int | None) -> TimeGrid | None:
        """The grid that is asked for; None for that of the fit."""
        fitted: TimeGrid = self.model_.models[0].flow.grid
        if grid is None:
            return None if n_steps is None else fitted.coarser(n_steps)
        return get_grid(grid, fitted.n_steps if isinstance(grid, str) and n_steps is None else n_steps)


class WithLatents(WithField):
    """The way from events to the noise that they come from, and back."""

    def encode(self: Any, X: TableLike, *, condition: ConditionLike = None) -> Array:
        """The latent states of rows: where the flow, run backwards from data to noise, takes their normal scores.

        Latents of rows like those of the training are close to standard normal. Heun's rule goes back through all
        times at which the field is known; :meth:`decode` returns to the rows up to the error of the steps and the jumps
        of the trees. Values that repeat are encoded at the middle of their ranks.

        Parameters
        ----------
        X : table of shape (n, p)
            Rows with the columns of the training.
        condition : table or names of columns of X, optional
            Of each row, for a conditional model.

        Returns
        -------
        float32 array of shape (n, d)
            d is the number of scores of the learned columns.

        Raises
        ------
        ValueError
            Models that draw atoms or classes before they follow a flow (``atoms="apart"``, ``classes="together"`` fit
            one that does not), and those whose noise is coupled with the data.

        Examples
        --------
        >>> from buff import BUFF
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> gen = BUFF(noise_budget=5_000, random_state=0).fit(X)
        >>> z = gen.encode(X)
        >>> z.shape, bool(abs(np.median(gen.decode(z) / X) - 1) < 0.1)
        ((500, 2), True)
        """
        model = self._model_of_latents()
        if condition is not None:
            X, condition = split_conditions(X, condition)
        validate_data(self, X, skip_check_array=True, reset=False)
        scores = self.space_.encode(self._reduction.reduce(read(X)), 0.5)
        features = self._features_of(condition, len(scores))
        encode = partial(_encoded, model) if isinstance(model, FlowModel) else model.encode
        encoded: Array = encode(scores, features)
        return encoded

    def decode(self: Any, z: Array, *, condition: ConditionLike = None) -> Any:
        """The rows that latent states become: inverse of :meth:`encode`, as :meth:`sample` makes rows of noise.

        Parameters
        ----------
        z : array of shape (n, d)
            States at t = 0: standard normal ones give new events.
        condition : table, optional
            Of each row, for a conditional model.

        Raises
        ------
        ValueError
            As for :meth:`encode`; a solver that draws noise; latents of another shape.
        """
        model, z = self._model_of_latents(), np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != model.n_dims:
            raise ValueError(f"z must have shape (n, {model.n_dims}), found {z.shape}")
        batch = SampleRequest(len(z), self._sampling_seed(None), condition=self._features_of(condition, len(z)))
        scores, _ = within_range(model.transport(z, batch.condition))
        return self._template.restore(self._completed(self._decode(scores, batch), batch))

    def _model_of_latents(self: Any) -> Any:
        check_is_fitted(self)
        if reason := getattr(self.model_, "no_latents", f"a {type(self).__name__} has no flow from noise"):
            raise ValueError(reason)
        return self.model_

    def _features_of(self: Any, condition: ConditionLike, n: int) -> Array | None:
        """Features of n conditions, for a model that has some."""
        features: Array | None = self._condition_features(condition)
        if self._encoder is not None and (features is None or len(features) != n):
            found = "none" if features is None else f"{len(features)}"
            raise ValueError(f"the model has a condition: give one for each of {n} rows, found {found}")
        return features


def _encoded(flow: FlowModel, x1: Array, condition: Array | None) -> Array:
    """States at t = 0 that a flow takes to scores x1 (n, d)."""
    x, condition = flow.on_device(flow.calibration.inverse(x1) if flow.calibration else x1, condition)
    x = x if flow.standardizer is None else flow.standardizer.transform(x, condition)
    grid = TimeGrid(flow.field.times, partial=True).backwards()
    return to_numpy(integrate("heun", Reversed(flow.field), x, grid, condition))
