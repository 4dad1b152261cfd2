"""What neural generators share: the surface of buff.BUFF, training, and sampling with any of buff's solvers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from tqdm import tqdm

from baselines.fields import TorchField
from baselines.networks import make_network, parameter_count
from baselines.objectives import Objective
from baselines.spaces import SPACES, Levels
from baselines.training import Rows, StepRecord, Trainer, TrainingSettings
from buff.couplings import MinibatchTransport
from buff.grids import get_grid
from buff.preprocessing import ConditionEncoder, read
from buff.protocols import Array
from buff.randomness import EventNoise, entropy_of
from buff.solvers import get_solver, integrate

__all__ = ["NeuralGenerator", "TrainingData"]

#: Streams of an event's random numbers, as in buff's own estimators.
_START, _CONDITION = 0, 2**31
_BATCH = 8192
#: Levels of a continuous condition within which transport may exchange pairs.
_STRATA = 10


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
        _check(self)
        data = self._prepare(X, condition, sample_weight)
        entropy = entropy_of(self.random_state)
        torch_seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed)
            objective = self._objective(data.width)
            network = self._network(objective)
        trainer = Trainer(network, data.loss(objective, self._coupling(data)), data.rows, self._settings(torch_seed))
        self.history_ = tuple(self._watched(trainer))
        self.network_ = trainer.averaged.eval()
        self.field_ = TorchField(self.network_, objective.parametrisation)
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
        solver: str | None = None,
        grid: str | None = None,
        n_steps: int | None = None,
    ) -> Any:
        """Draw events; parameters as for :meth:`buff.BUFF.sample`.

        A network knows every time, so ``solver``, ``grid`` and ``n_steps`` may differ from those of the estimator.
        Event i depends on the random state and on i alone, to single precision.
        """
        check_is_fitted(self, "network_")
        entropy = self._entropy if random_state is None and self.random_state is not None else entropy_of(random_state)
        drawn, features, n = self._conditions(int(n_samples), condition, entropy, first_event)
        rule = get_solver(solver or self.solver)
        times = get_grid(grid or self.grid, int(n_steps or self.n_steps))
        parts = [np.empty((0, self.space_.n_dims_), np.float32)]
        for start in range(0, n, batch_size or _BATCH):
            size = min(batch_size or _BATCH, n - start)
            noise = EventNoise(entropy, first_event + start, _START)
            x0 = noise(np.empty((size, self.space_.n_dims_), np.float32))
            given = features if features is None or len(features) == 1 else features[start : start + size]
            given = None if given is None else np.broadcast_to(given, (size, given.shape[1]))
            parts.append(integrate(rule, self.field_, x0, times, given, noise))
        events = self.space_.inverse_transform(np.concatenate(parts))
        return (events, drawn) if return_condition else events

    def draw_scores(self, n: int, seed: int) -> tuple[Array, Array | None]:
        """``n`` events in the space of the model, and the features of their conditions."""
        features = self._conditions(n, None, seed, 0)[1]
        noise = EventNoise(seed)
        x0 = noise(np.empty((n, self.space_.n_dims_), np.float32))
        times = get_grid(self.grid, int(self.n_steps))
        return integrate(get_solver(self.solver), self.field_, x0, times, features, noise), features

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`baselines.load` reads: no pickle, no training rows."""
        from baselines.persistence import save

        check_is_fitted(self, "network_")
        save(self, path)

    def _objective(self, width: float) -> Objective:
        raise NotImplementedError

    def _prepare(self, X: Any, condition: Any, sample_weight: Any) -> "TrainingData":
        self.space_ = SPACES[self.preprocessing]().fit(X, sample_weight=sample_weight)
        self.n_features_in_ = self.space_.n_features_in_
        if hasattr(self.space_, "feature_names_in_"):
            self.feature_names_in_ = self.space_.feature_names_in_
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        features = None if self._encoder is None else torch.from_numpy(self._encoder.transform(condition))
        columns = read(X)
        if features is not None and len(features) != len(columns):
            raise ValueError(f"condition has {len(features)} rows, X has {len(columns)}: they must agree")
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights is not None:
            _check_weights(weights, len(columns))
        held_out = self.held_out if self.early_stopping is not None else 0.0
        seed = entropy_of(self.random_state) % 2**32 if self.random_state is not None else 0
        rows = Rows.split(len(columns), held_out, seed, weights)
        return TrainingData(Levels.of(self.space_, columns), features, rows)

    def _network(self, objective: Objective) -> nn.Module:
        d, c = self.space_.n_dims_, 0 if self._encoder is None else self._encoder.n_dims
        return make_network(self.network, d, c, self.hidden, d * objective.n_outputs)

    def _coupling(self, data: "TrainingData") -> str | None:
        return None

    def _settings(self, seed: int) -> TrainingSettings:
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


@dataclass(frozen=True)
class TrainingData:
    """The rows in the space of the model, with their conditions."""

    levels: Levels
    condition: Tensor | None
    rows: Rows

    @property
    def width(self) -> float:
        """Standard deviation of the data, over all columns."""
        everything = torch.arange(len(self.levels.low))
        x1 = self.levels.batch(everything, torch.Generator().manual_seed(0))
        return float(x1.std()) if len(x1) > 1 and x1.numel() else 1.0

    def loss(self, objective: Objective, coupling: str | None) -> Any:
        """``loss(network, rows, rng)`` of an objective."""
        strata = None if self.condition is None or coupling is None else _strata(self.condition)

        def loss(network: nn.Module, rows: Tensor, rng: torch.Generator) -> Tensor:
            x1 = self.levels.batch(rows, rng)
            x0 = torch.randn(x1.shape, generator=rng)
            c = None if self.condition is None else self.condition[rows]
            if coupling is not None:
                labels = None if strata is None else strata[rows].numpy()
                pairs = np.random.default_rng(int(torch.randint(2**31, (1,), generator=rng)))
                i, j = MinibatchTransport(256, labels)(x0.numpy(), x1.numpy(), pairs)
                x0, x1, c = x0[i], x1[j], None if c is None else c[j]
            return objective.loss(network, x0, x1, c, rng)

        return loss


def _strata(condition: Tensor) -> Tensor:
    """Labels within which conditions are alike: the rows themselves if there are few, else tenths of each column."""
    distinct, labels = torch.unique(condition, dim=0, return_inverse=True)
    if len(distinct) <= max(_STRATA, len(condition) // 100):
        return labels
    tenths = (condition.argsort(0).argsort(0) * _STRATA).div(len(condition), rounding_mode="floor")
    return torch.unique(tenths, dim=0, return_inverse=True)[1]


def _check_weights(weights: Array, n: int) -> None:
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}, X has {n} rows: one weight a row")
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError("sample_weight must hold no negative and some positive weights")


def _check(model: Any) -> None:
    for name, least in (("n_steps", 1), ("n_iterations", 1), ("batch_size", 1)):
        value = getattr(model, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be an integer, found {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, found {value!r}")
    if not 0 < model.learning_rate < 1:
        raise ValueError(f"learning_rate must lie in (0, 1), found {model.learning_rate!r}")
    if not 0 <= model.ema < 1:
        raise ValueError(f"ema must lie in [0, 1), found {model.ema!r}")
    if not 0 < model.held_out < 1:
        raise ValueError(f"held_out must lie in (0, 1), found {model.held_out!r}")
    if model.preprocessing not in SPACES:
        raise ValueError(f"unknown preprocessing {model.preprocessing!r}: choose one of {', '.join(SPACES)}")
    get_solver(model.solver), get_grid(model.grid, int(model.n_steps))
