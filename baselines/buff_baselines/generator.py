"""What neural generators share: the surface of buff.BUFF, training, and sampling with any of buff's solvers."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from tqdm import tqdm

from buff.grids import TimeGrid, get_grid
from buff.protocols import Array
from buff.randomness import EventNoise, seed_from
from buff.solvers import Solver, integrate
from buff.tables import read
from buff.transforms import ConditionEncoder
from buff_baselines.checks import check_parameters, check_weights, check_whole, get_device
from buff_baselines.data import TrainingData
from buff_baselines.fields import get_rule
from buff_baselines.networks import make_network, parameter_count
from buff_baselines.objectives import Objective
from buff_baselines.spaces import SPACES, Levels
from buff_baselines.training import Rows, StepRecord, Trainer, TrainingSettings

__all__ = ["NeuralGenerator"]

#: Streams of an event's random numbers, as in buff's own estimators.
_START, _CONDITION = 0, 2**31
_BATCH = 8192


class NeuralGenerator(BaseEstimator):  # type: ignore[misc]
    """What all neural baselines share: tables in and out, training, sampling with any of buff's solvers."""

    def fit(self, X: Any, y: Any = None, *, condition: Any = None, sample_weight: Any = None) -> Self:
        """Learn the distribution of the rows of X, given their conditions.

        Parameters
        ----------
        X : table of shape (n, p)
        y : ignored
        condition : table of shape (n, c) or array of shape (n,), optional
        sample_weight : array of shape (n,), optional
            Event weights, not negative: rows enter batches in proportion.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter or column, what was found and what is valid.
        """
        check_parameters(self)
        entropy = seed_from(self.random_state)
        seed, device = int(np.random.SeedSequence(entropy).generate_state(1)[0]), get_device(self.device)
        data = self._prepare(X, condition, sample_weight, seed)
        objective = self._objective(data.width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._network(objective).to(device)
        settings = self._settings(seed, data, objective)
        trainer = Trainer(network, data.to(device).loss(objective, self._coupling()), data.rows, settings)
        for _ in self._watched(trainer):
            pass
        self.history_ = tuple(trainer.history)
        self.network_ = trainer.averaged.eval()
        self.field_ = objective.field(self.network_)
        self.n_parameters_ = parameter_count(self.network_)
        self._entropy = entropy
        return self

    def sample(
        self,
        n_samples: int = 1,
        *,
        condition: Any = None,
        random_state: Any = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | None = None,
        n_steps: int | None = None,
    ) -> Any:
        """Draw events; parameters as for :meth:`buff.BUFF.sample`.

        A network knows every time, so ``solver``, ``grid`` and ``n_steps`` may differ from those of the estimator:
        names, or for parameters of their own what :func:`buff.solvers.get_solver` and :func:`buff.grids.get_grid` give.
        Event i depends on the random state and on i alone, to single precision (if the solver treats rows alone).
        """
        check_is_fitted(self, "network_")
        entropy = self._entropy if random_state is None and self.random_state is not None else seed_from(random_state)
        first_event = check_whole("first_event", first_event, 0)
        most = _BATCH if batch_size is None else check_whole("batch_size", batch_size, 1)
        n = check_whole("n_samples", n_samples, 0)
        drawn, features, n = self._conditions(n, condition, entropy, first_event)
        rule = get_rule(self.solver if solver is None else solver)
        times = self._grid(grid, n_steps)
        parts = [np.empty((0, self.space_.n_dims_), np.float32)]
        for start in range(0, n, most):
            size = min(most, n - start)
            noise = EventNoise(entropy, first_event + start, _START)
            x0 = noise(np.empty((size, self.space_.n_dims_), np.float32))
            given = features if features is None or len(features) == 1 else features[start : start + size]
            given = None if given is None else np.broadcast_to(given, (size, given.shape[1]))
            parts.append(integrate(rule, self.field_, x0, times, given, noise))
        events = self.space_.inverse_transform(np.concatenate(parts))
        return (events, drawn) if return_condition else events

    def _grid(self, grid: str | TimeGrid | None, n_steps: int | None) -> TimeGrid:
        if isinstance(grid, TimeGrid):
            if n_steps not in (None, grid.n_steps):
                raise ValueError(f"grid has {grid.n_steps} steps and n_steps is {n_steps!r}: leave n_steps out")
            return grid
        steps = check_whole("n_steps", self.n_steps if n_steps is None else n_steps, 1)
        return get_grid(self.grid if grid is None else grid, steps)

    def draw_scores(self, n: int, seed: int) -> tuple[Array, Array | None]:
        """``n`` events in the space of the model, and the features of their conditions."""
        features = self._conditions(n, None, seed, 0)[1]
        noise = EventNoise(seed)
        x0 = noise(np.empty((n, self.space_.n_dims_), np.float32))
        times = get_grid(self.grid, int(self.n_steps))
        return integrate(get_rule(self.solver), self.field_, x0, times, features, noise), features

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff_baselines.load` reads: no pickle, no training rows."""
        from buff_baselines.persistence import save

        check_is_fitted(self, "network_")
        save(self, path)

    def _objective(self, width: float) -> Objective:
        raise NotImplementedError

    def _prepare(self, X: Any, condition: Any, sample_weight: Any, seed: int) -> TrainingData:
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights is not None:
            check_weights(weights, len(columns))
        self.space_ = SPACES[self.preprocessing]().fit(X, sample_weight=sample_weight)
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        features = None if self._encoder is None else torch.from_numpy(self._encoder.transform(condition))
        if features is not None and len(features) != len(columns):
            raise ValueError(f"condition has {len(features)} rows, X has {len(columns)}: they must agree")
        held_out = self.held_out if self.early_stopping is not None else 0.0
        rows = Rows.split(len(columns), held_out, seed, weights)
        return TrainingData(Levels.of(self.space_, columns), features, rows)

    def _network(self, objective: Objective) -> nn.Module:
        d, c = self.space_.n_dims_, 0 if self._encoder is None else self._encoder.n_dims
        return make_network(self.network, d, c, self.hidden, d * objective.n_outputs)

    def _coupling(self) -> str | None:
        return None

    def _settings(self, seed: int, data: TrainingData, objective: Objective) -> TrainingSettings:
        problem = "" if self.checkpoint is None else data.fingerprint(objective, self._coupling())
        return TrainingSettings(
            n_iterations=int(self.n_iterations),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            ema=float(self.ema),
            early_stopping=self.early_stopping,
            max_seconds=self.max_seconds,
            bf16=bool(self.bf16),
            compile=bool(self.compile),
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            problem=problem,
            seed=seed,
        )

    def _watched(self, trainer: Trainer) -> Iterator[StepRecord]:
        with tqdm(total=trainer.settings.n_iterations, desc="iterations", disable=not self.verbose) as bar:
            for record in trainer.steps():
                bar.update(record.iteration - bar.n)
                bar.set_postfix(loss=f"{record.loss:.4f}")
                yield record

    def _conditions(
        self, n: int, condition: Any, entropy: int, first_event: int
    ) -> tuple[Any, Array | None, int]:
        if self._encoder is None:
            if condition is not None:
                raise ValueError("the model was fitted without condition: fit it with one, or sample without")
            return None, None, n
        if condition is None:
            if not n:
                return self._encoder.draw(np.empty((0, self._encoder.n_normals))), None, 0
            normals = EventNoise(entropy, first_event, _CONDITION).normal(n, self._encoder.n_normals)
            condition = self._encoder.draw(normals)
        features = self._encoder.transform(condition)
        if len(features) != 1 and n not in (1, len(features)):
            raise ValueError(
                f"condition has {len(features)} rows and n_samples is {n}: leave n_samples out for one event a row, "
                f"or give one row"
            )
        return condition, features, n if len(features) == 1 else len(features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        ranked = self.preprocessing == "rank"
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = ranked
        tags.non_deterministic = False
        return tags
