"""What all estimators of flows share: parameters, training, files, randomness."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from buff.archive import write_archive
from buff.flows import (
    CostEstimate,
    FlowMatchingData,
    Frame,
    MarginalCalibration,
    NodeCache,
    NodeModel,
    Nodes,
    Rows,
    limit_memorisation,
    make_plan,
    train_field,
)
from buff.flows.cache import fingerprint
from buff.flows.data import Base
from buff.generators.checks import booster_settings, check_parameters, fixed_nodes
from buff.generators.generation import Flow
from buff.generators.persistence import to_archive
from buff.grids import get_grid
from buff.protocols import Array
from buff.randomness import seed_from, training_seed
from buff.solvers import get_solver
from buff.tables import Columns
from buff.transforms import ConditionEncoder, TableTransformer
from buff.trees import TreeSettings

__all__ = ["FlowEstimator"]


#: Events from which margins are read, and rows from which on they are left as they are: within 2 percent of the width
#: they are right, and bending them costs as much as it gains (AUC of Z -> mu mu, 5,000 rows: 0.60 for 0.59).
_DRAWN, _ENOUGH_ROWS = 15_000, 5_000


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
    #: Whether margins are those of the training, whatever is asked for.
    _free_margins: ClassVar[bool] = False
    #: Names that ``coupling`` may have.
    _couplings: ClassVar[tuple[str, ...]] = ("independent", "transport")

    def __init__(self, **parameters: Any) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, to_archive(self))

    def _times(self) -> tuple[float, ...]:
        """Check the parameters; the nodes of the solver."""
        check_parameters(self)
        return fixed_nodes(self.solver, self.grid, self.n_steps)

    def _fit_space(self, columns: Columns, sample_weight: Any) -> TableTransformer:
        """The map of the generated table to unit space and back."""
        space = TableTransformer(self.schema, categories=self.categories, tails=self.tails)
        self.space_ = space.fit(columns, sample_weight=sample_weight)
        return space

    def _fit_encoder(self, condition: Any, sample_weight: Any) -> Array | None:
        """Features of the conditions."""
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        return None if self._encoder is None else self._encoder.transform(condition)

    def _plan(self, problem: Rows, *, trial: bool) -> CostEstimate:
        return make_plan(
            problem,
            self._times(),
            booster_settings(self),
            noise_budget=self.noise_budget,
            n_workers=effective_n_jobs(self.n_jobs),
            max_memory=self.max_memory,
            trial=trial,
        )

    def _train(self, problem: FlowMatchingData) -> None:
        """Fit the field: all that is left to do once the rows are in unit space."""
        plan = self._plan(problem, trial=False)
        cache, entropy = self._cache(problem, plan)
        rng = np.random.default_rng(training_seed(entropy))
        problem = problem.framed(rng)
        base = problem.base(rng)
        settings = limit_memorisation(booster_settings(self), problem, base, plan.n_draws)
        models = self._grow(problem, base, settings, plan, entropy, cache)
        self._set_flow(models, problem.frame, problem.starts.noise, settings.device)
        if self._free_margins and problem.condition is None and len(problem) < _ENOUGH_ROWS:
            self._set_margins(entropy)

    def _set_margins(self, entropy: int) -> None:
        """Draw events, and correct what they show."""
        if not self.space_.smooth.any() or all(model.booster is None for model in self._flow.models):
            return
        elsewhere = seed_from(training_seed(entropy))
        drawn = list(self._flow.batches(_DRAWN, elsewhere, 0, None, None, self.n_jobs))
        self._flow = replace(self._flow, margins=MarginalCalibration.of(np.concatenate(drawn), self.space_.smooth))

    def _grow(
        self,
        problem: Rows,
        base: Base,
        settings: TreeSettings,
        plan: CostEstimate,
        entropy: int,
        cache: NodeCache | None = None,
    ) -> tuple[NodeModel, ...]:
        """The models of all nodes; their records become attributes."""
        times = self._times()
        fitted = train_field(
            problem, base, times, settings, plan, entropy=entropy, cache=cache, verbose=self.verbose
        )
        self.nodes_ = Nodes(record for _, record in fitted)
        self.plan_ = plan
        self._entropy = entropy
        return tuple(NodeModel.of(base, node.t, booster, settings.device) for booster, node in fitted)

    def _cache(self, problem: FlowMatchingData, plan: CostEstimate) -> tuple[NodeCache | None, int]:
        """Where finished nodes are kept, and the seed: a fit that is to be resumed must not draw a new one."""
        if self.cache_dir is None:
            return None, seed_from(self.random_state)
        seed = "none" if self.random_state is None else seed_from(self.random_state)
        key = fingerprint(problem, booster_settings(self), plan.n_draws, times=self._times(), seed=seed)
        entropy = int(key, 16) if self.random_state is None else int(seed)
        return NodeCache(Path(self.cache_dir) / key), entropy

    def _set_flow(
        self, models: tuple[NodeModel, ...], frame: Frame | None, noise: float, device: str
    ) -> None:
        """The field with its solver, and what is known of it."""
        solver, grid = get_solver(self.solver), get_grid(self.grid, self.n_steps)
        self._flow = Flow(models, frame and frame.to_device(device), self._times(), solver, grid, noise, device)
        self._set_schemas()

    def _set_schemas(self) -> None:
        """What was found out about the columns."""
        self.schema_ = self.space_.schema_
        self.condition_schema_ = None if self._encoder is None else self._encoder.schema

    def _sampling_entropy(self, random_state: Any) -> int:
        if random_state is None and self.random_state is not None:
            return self._entropy
        return seed_from(random_state)

    def _condition_features(self, condition: Any) -> Array | None:
        """Features of conditions that are asked for."""
        if self._encoder is not None:
            return self._encoder.transform(condition)
        if condition is not None:
            raise ValueError("the model was fitted without condition: fit it with one, or leave condition out")
        return None

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
