"""What all estimators of flows share: parameters, training, files, randomness."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from buff.archive import write_archive
from buff.flows import CostEstimate, FlowMatchingData, FlowModel, FlowSettings, estimate_cost, train_flow
from buff.generators.checks import tree_settings
from buff.generators.persistence import to_archive
from buff.protocols import Array
from buff.randomness import seed_from
from buff.tables import Columns
from buff.transforms import ConditionEncoder, TableTransformer

__all__ = ["FlowEstimator"]


class FlowEstimator(BaseEstimator):  # type: ignore[misc]
    """Trees that carry rows along a flow; the parameters are described in :class:`buff.BUFF`."""

    # the parameters, of which every estimator has its own list with defaults, as scikit-learn asks
    n_steps: int
    solver: str
    grid: str
    n_estimators: int
    max_depth: int
    learning_rate: float
    reg_lambda: float
    noise_budget: int
    coupling: Any
    negative_weights: str
    early_stopping: int | None
    layout: str
    schema: Mapping[str, Any] | None
    categories: str
    tails: str
    tree_params: Mapping[str, Any] | None
    device: str
    n_jobs: int | None
    max_memory: int | None
    cache_dir: str | os.PathLike[str] | None
    random_state: Any
    verbose: int

    _flow: Any
    #: Encoders that belong to the model: attribute and class of each part of its file.
    _parts: ClassVar[dict[str, tuple[str, type]]] = {
        "space": ("space_", TableTransformer),
        "condition": ("_encoder", ConditionEncoder),
    }
    #: Linear maps that belong to it.
    _linears: ClassVar[tuple[str, ...]] = ()
    #: Other attributes that belong to it, as JSON can hold them.
    _facts: ClassVar[tuple[str, ...]] = ()
    #: Whether marginals are those of the training, whatever is asked for.
    _calibrated: ClassVar[bool] = False
    #: Names that ``coupling`` may have.
    _couplings: ClassVar[tuple[str, ...]] = ("independent", "transport")

    def __init__(self, **parameters: Any) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, to_archive(self))

    @property
    def _settings(self) -> FlowSettings:
        """The parameters that a flow is trained by."""
        return FlowSettings(
            n_steps=int(self.n_steps),
            solver=self.solver,
            grid=self.grid,
            trees=tree_settings(self),
            noise_budget=self.noise_budget,
            n_jobs=self.n_jobs,
            max_memory=self.max_memory,
            cache_dir=None if self.cache_dir is None else os.fspath(self.cache_dir),
            verbose=self.verbose,
        )

    def _fit_space(self, columns: Columns, sample_weight: Any) -> TableTransformer:
        """The map of the generated table to unit space and back."""
        space = TableTransformer(self.schema, categories=self.categories, tails=self.tails)
        self.space_ = space.fit(columns, sample_weight=sample_weight)
        return space

    def _fit_encoder(self, condition: Any, sample_weight: Any) -> Array | None:
        """Features of the conditions."""
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        return None if self._encoder is None else self._encoder.transform(condition)

    def _plan(self, data: FlowMatchingData) -> CostEstimate:
        """What :meth:`_train` would cost, after a trial."""
        return estimate_cost(data, self._settings, trial=True)

    def _train(self, data: FlowMatchingData) -> None:
        """Fit the flow: all that is left to do once the rows are scores."""
        calibrated = self.space_.smooth if self._calibrated else None
        seed = None if self.random_state is None else seed_from(self.random_state)
        model = train_flow(data, self._settings, calibrated=calibrated, seed=seed)
        self.plan_ = model.cost
        self._set_flow(model)

    def _set_flow(self, model: FlowModel) -> None:
        """The fitted flow with what is known of it."""
        self._flow, self._seed, self.nodes_ = model, model.seed, model.records
        self._set_schemas()

    def _set_schemas(self) -> None:
        """What was found out about the columns."""
        self.schema_ = self.space_.schema_
        self.condition_schema_ = None if self._encoder is None else self._encoder.schema

    def _sampling_seed(self, random_state: Any) -> int:
        if random_state is None and self.random_state is not None:
            return self._seed
        return seed_from(random_state)

    def _condition_features(self, condition: Any) -> Array | None:
        """Features of conditions that are asked for."""
        if self._encoder is not None:
            return self._encoder.transform(condition)
        if condition is not None:
            raise ValueError("the model was fitted without condition: fit it with one, or leave condition out")
        return None

    def _intervals(self, space: TableTransformer, columns: Columns) -> tuple[Array, Array]:
        """Scores of the ends of the ranks that the values of a table own."""
        return space.encode(columns, 0.0), space.encode(columns, 1.0)

    def _decoded(self, scores: Iterable[Array]) -> Iterator[tuple[Array, ...]]:
        """Columns of scores, piece by piece."""
        return map(self.space_.decode, scores)

    def _restore(self, pieces: Iterable[tuple[Array, ...]]) -> Any:
        """Columns in pieces to a table like the one that was fitted."""
        nothing = np.empty((0, self.space_.n_dims_), np.float32)
        parts = list(pieces) or [self.space_.decode(nothing)]
        return self.space_.template_.restore(tuple(np.concatenate(values) for values in zip(*parts, strict=True)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags
