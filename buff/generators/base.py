"""Base classes of generators of tables: input, conditions, weights, seeds, sampling in batches, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, write_archive
from buff.errors import check_rows, check_sample_size, check_whole, warn
from buff.estimator import BaseEstimator
from buff.generators.conditions import requested_conditions, split_conditions
from buff.generators.contracts import Space, TrainingTable
from buff.generators.latents import WithField, WithLatents
from buff.generators.persistence import check_record, draw_two, pack, restored, to_json
from buff.generators.scoring import ScoredEvents
from buff.generators.signed import resolve_negative_weights
from buff.grids import TimeGrid
from buff.protocols import Array, ConditionLike, RandomState, Scores, TableLike, WeightsLike
from buff.randomness import SampleRequest, sampling_seed, within_range
from buff.records import nested
from buff.solvers import Solver
from buff.tables import Columns, read, validate_data
from buff.tables.schema import TableReduction
from buff.transforms import ConditionEncoder, TableTransformer

__all__ = ["EventGenerator", "TableGenerator"]


class TableGenerator(WithField, BaseEstimator):
    """Tables to scores, a model of scores, and scores back to tables.

    Attributes
    ----------
    model_ : buff.flows.ScoreModel
        The fitted model, arrays only.
    space_ : Space
        The map between table and scores.
    schema_ : Schema
        Kinds and bounds of the columns; prints as a table.
    condition_schema_ : Schema or None
        Likewise of the condition.
    n_clipped_ : int
        Events of the last sample (by the solver of the fit) whose scores left [-8, 8] and were clipped.
    """

    random_state: Any
    negative_weights: str
    verbose: int
    schema: Mapping[str, Any] | None = None
    n_jobs: int | None = None

    space_: Space
    _encoder: ConditionEncoder | None
    _seed: int
    #: What of the table is learned: all of it, unless relations or ids are left out.
    _reduction: TableReduction = TableReduction(())

    @property
    def condition_encoder_(self) -> ConditionEncoder | None:
        """From conditions to features; None without a condition."""
        check_is_fitted(self)
        return self._encoder

    def _fit_encoder(self, condition: ConditionLike, sample_weight: WeightsLike, n_rows: int) -> Array | None:
        """Features of the conditions, (n_rows, c)."""
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        if self._encoder is None:
            return None
        features = self._encoder.transform(condition)
        check_rows(len(features), n_rows)
        return features

    def _positive_weights(self, sample_weight: WeightsLike, X: Any, condition: Any = None) -> Any:
        """Weights of which none is negative, by the policy ``negative_weights``."""
        if sample_weight is None:
            return None
        given: dict[str, Any] = {"condition": condition, "schema": self.schema, "verbose": self.verbose}
        return resolve_negative_weights(sample_weight, self.negative_weights, X, **given)

    def _check_parameters(self) -> None:
        """Raise ValueError or TypeError naming the first parameter that is off."""
        raise NotImplementedError

    def _set_schemas(self) -> None:
        """What was found out about the columns."""
        self.schema_ = self._reduction.schema or getattr(self.space_, "schema_", None)
        self.condition_schema_ = None if self._encoder is None else self._encoder.schema

    def _sampling_seed(self, random_state: RandomState) -> int:
        return sampling_seed(random_state, self.random_state, self._seed)

    @property
    def _schema_overrides(self) -> Any:
        """What the user knows of the columns that are learned."""
        return self._reduction.overrides(self.schema)

    def parse_condition(self, texts: Mapping[str, str]) -> Any:
        """One row of conditions, or of some of them, from text, by the kinds of the columns of the training.

        Raises
        ------
        ValueError
            No condition, unknown names, and text that is no value of its column.
        """
        if self._encoder is None:
            raise ValueError("the model was fitted without condition: fit it with one")
        return self._encoder.parse(texts)

    def _condition_features(self, condition: ConditionLike) -> Array | None:
        """Features of conditions that are asked for."""
        if self._encoder is not None:
            return self._encoder.transform(condition)
        if condition is not None:
            raise ValueError("the model was fitted without condition: fit it with one, or leave condition out")
        return None

    def _draw(self, batch: SampleRequest) -> tuple[tuple[Array, ...], int]:
        """Columns of one batch of events, and of how many the scores had to be clipped."""
        scores, n_clipped = within_range(self.model_.draw(batch))
        return self._completed(self._decode(scores, batch), batch), n_clipped

    def _completed(self, columns: tuple[Array, ...], batch: SampleRequest) -> tuple[Array, ...]:
        """All columns, from those that are learned."""
        return self._reduction.restore(columns, batch.n, seed=batch.seed, first_event=batch.first_event)

    def _drawn(self, request: SampleRequest, *, noted: bool = True) -> Iterator[tuple[Array, ...]]:
        """Columns of all batches; warns at the end if scores had to be clipped."""
        n_clipped = 0
        for columns, n in request.map(self._draw):
            n_clipped += n
            yield columns
        if n_clipped:
            warn(
                f"{n_clipped} of {request.n} events left the range of normal scores, [-8, 8]: they ran beyond all "
                "values of the training and got the outermost ones. Do not trust these; a few in a hundred thousand do "
                "no harm, for more take more n_steps, or conditions like those of the training"
            )
        if noted:
            self.n_clipped_ = n_clipped

    def _decode(self, scores: Scores, batch: SampleRequest) -> tuple[Array, ...]:
        """Columns of scores."""
        return self.space_.decode(scores)

    def _restore(self, pieces: Iterable[tuple[Array, ...]]) -> Any:
        """Columns in pieces to a table like the one that was fitted."""
        nothing = np.empty((0, self.space_.n_dims_), np.float32)
        parts = list(pieces) or [self._reduction.restore(self.space_.decode(nothing), 0, seed=0)]
        return self._template.restore(tuple(np.concatenate(values) for values in zip(*parts, strict=True)))

    @property
    def _template(self) -> Any:
        """What the tables that come back are like."""
        return self._reduction.template or self.space_.template_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, self.to_archive())

    def to_archive(self) -> Archive:
        """Everything that makes the fitted model, as JSON, arrays and trees."""
        record, arrays, blobs = self.model_.to_arrays()
        encoders, encoder_arrays = pack({"space": self.space_, "condition": self._encoder})
        names = getattr(self, "feature_names_in_", None)
        record |= encoders | {
            "parameters": to_json(self.get_params()),
            "entropy": str(self._seed),
            "features": [self.n_features_in_, None if names is None else list(names)],
        }
        if not self._reduction.trivial:
            record["reduction"] = self._reduction.to_dict()
        return Archive(type(self).__name__, record, arrays | encoder_arrays, blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> Self:
        """Inverse of :meth:`to_archive`, for this machine; what does not fit together raises an error."""
        check_record(archive.record)
        model = restored(cls, archive.record["parameters"])
        model._load(archive)
        model._check_parameters()
        draw_two(model.model_, model.space_, model._encoder, model._decode)
        return model

    def _load(self, archive: Archive) -> None:
        """Take what was learned from a file."""
        record, arrays = archive.record, archive.arrays
        self._reduction = TableReduction.from_dict(record.get("reduction"))
        self.space_ = self._load_space(record["space"], nested(arrays, "space"))
        condition = record["condition"]
        self._encoder = condition and ConditionEncoder.from_arrays(condition, nested(arrays, "condition"))
        self.n_features_in_, names = record["features"]
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self._seed = int(record["entropy"])
        self._set_schemas()

    def _load_space(self, record: dict[str, Any], arrays: Mapping[str, Array]) -> Space:
        return TableTransformer.from_arrays(record, arrays)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags


class EventGenerator(ScoredEvents, WithLatents, TableGenerator):
    """A generator that draws events from noise, given conditions or not."""

    def fit(
        self, X: TableLike, y: object = None, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> Self:
        """Learn the distribution of the rows of X, given their conditions.

        Parameters
        ----------
        X : table of shape (n, p)
            NumPy array, or data frame of pandas, polars, pyarrow ...; numbers, strings, categories, booleans, dates,
            with or without missing values.
        y : ignored
        condition : table of shape (n, c), array of shape (n,), name or list of names, optional
            Numbers or labels that rows will be asked for; names are those of columns of X, which it then has no more.
        sample_weight : array of shape (n,), optional
            Event weights; see ``negative_weights`` for those of both signs.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter or column, what was found and what is valid.
        MemoryError
            The fit needs more than ``max_memory``.
        """
        fitted = copy(self)
        fitted._learn(fitted._read(X, condition, sample_weight))
        self.__dict__ = fitted.__dict__  # at once: a fit that fails leaves an earlier one whole
        return self

    def sample(
        self,
        n_samples: int = 1,
        *,
        condition: ConditionLike | Columns = None,
        random_state: RandomState = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
    ) -> Any:
        """Draw events: see :meth:`buff.BUFF.sample`."""
        check_is_fitted(self)
        request, drawn = self._request(n_samples, condition, random_state, first_event, batch_size)
        events = self._restore(self._drawn(request))
        return (events, drawn) if return_condition else events

    def trajectory(
        self,
        n_samples: int = 1,
        *,
        condition: ConditionLike = None,
        random_state: RandomState = None,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | Sequence[float] | None = None,
        n_steps: int | None = None,
    ) -> Iterator[Any]:
        """The events of :meth:`sample` on their way from noise to data: a table at the start and after every step.

        Their times are ``grid_.times``, or those of the grid that is asked for; solvers that group intervals
        (``"midpoint_nodes"``) stop at fewer of them, ``solver.steps(grid)``.
        """
        check_is_fitted(self)
        as_fitted = solver is None and grid is None and n_steps is None
        model = self.model_ if as_fitted else self._solved_by(solver, grid, n_steps).model_
        request, _ = self._request(n_samples, condition, random_state)
        batch = request.batch(0, request.n)
        for scores in model.trajectory(request):
            yield self._template.restore(self._completed(self._decode(scores, batch), batch))

    def _learn(self, table: TrainingTable) -> None:
        """Fit ``space_`` and ``model_``."""
        raise NotImplementedError

    def _read(self, X: TableLike, condition: ConditionLike, sample_weight: WeightsLike) -> TrainingTable:
        """Check parameters and arguments of a fit, and learn the features of the condition."""
        if condition is not None:
            X, condition = split_conditions(X, condition)
        self._check_parameters()
        weights = self._positive_weights(sample_weight, X, condition)
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        return TrainingTable(columns, self._fit_encoder(condition, weights, len(columns)), condition, weights)

    def _request(
        self,
        n_samples: int,
        condition: ConditionLike | Columns,
        random_state: RandomState,
        first_event: int = 0,
        batch_size: int | None = None,
    ) -> tuple[SampleRequest, Any]:
        """The events that are asked for, and their conditions in the user's container."""
        n, first_event = check_sample_size(n_samples, self.n_features_in_), check_whole("first_event", first_event, 0)
        seed = self._sampling_seed(random_state)
        drawn, features, n = self._conditions(n, condition, seed, first_event)
        return SampleRequest(n, seed, first_event, features, None, batch_size, self.n_jobs), drawn

    def _conditions(self, n: int, condition: Any, seed: int, first_event: int) -> tuple[Any, Array | None, int]:
        """Conditions in the container of the training, as features, and the number of events they ask for."""
        if self._encoder is None:
            return None, self._condition_features(condition), n
        return requested_conditions(self._encoder, n, condition, seed, first_event)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags
