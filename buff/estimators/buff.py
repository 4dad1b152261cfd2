"""BUFF: learn a table, draw new rows."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from buff.archive import write_archive
from buff.boosters import Booster, BoosterSettings
from buff.estimators.checks import booster_settings, check_parameters, check_sample_size, check_weights, fixed_nodes
from buff.estimators.generation import Flow, condition_normals
from buff.estimators.persistence import to_archive
from buff.grids import get_grid
from buff.preprocessing import ConditionEncoder, RankSpace
from buff.protocols import Array
from buff.randomness import entropy_of, training_seed
from buff.solvers import get_solver
from buff.training import (
    Frame,
    LinearBase,
    NodeCache,
    NodeModel,
    Nodes,
    Plan,
    TrainingSet,
    make_plan,
    suited_to_conditions,
    train_field,
)
from buff.training.cache import fingerprint

__all__ = ["BUFF"]


class BUFF(BaseEstimator):  # type: ignore[misc]
    """Boosted flow matching: gradient-boosted trees that turn noise into rows of a table.

    Columns go to normal scores (:class:`~buff.preprocessing.RankSpace`), where x1 is data and x0 standard normal
    noise. At each node t the velocity ``E[x1 - x0 | t x1 + (1 - t) x0 = x]`` is a linear base in closed form plus
    one XGBoost regressor of what it leaves. Sampling solves ``dx/dt = velocity`` from 0 to 1 on exactly these nodes.

    Parameters
    ----------
    n_steps : int
        Steps from noise to data.
    solver : str
        Name of a solver that stays on nodes: see :func:`buff.solvers.get_solver`.
    grid : str
        Where the steps lie in time: see :func:`buff.grids.get_grid`.
    n_estimators : int
        Boosting rounds a node, at most; 0 leaves a Gaussian copula.
    max_depth : int
        Of the trees.
    learning_rate : float
        Of the boosting.
    reg_lambda : float
        Rows by which leaves are drawn towards 0: near noise, where a leaf's mean is mostly noise, it calms them.
    noise_budget : int
        Rows a node is trained on: each row of the table is used with so many noise draws that this is reached.
    early_stopping : int or None
        Stop a node when its error on fresh noise has not fallen for so many rounds.
    layout : {"auto", "scalar", "vector", "sketch"}
        A tree for every column, trees for all columns, or these with splits found on projections of the gradient:
        see :class:`buff.boosters.BoosterSettings`.
    schema : mapping, optional
        Kinds, bounds, tails and orders of columns that are known better: see
        :func:`buff.preprocessing.infer_schema`.
    categories : {"similar", "frequency", "lexical", "onehot"}
        How categories are laid out.
    tails : {"clip", "extrapolate"}
        Whether values beyond the training range may come back.
    tree_params : mapping, optional
        More of XGBoost's parameters.
    device : {"auto", "cpu", "cuda"}
        Where trees are grown and evaluated; ``"auto"`` takes a GPU if XGBoost and CuPy can use one.
    n_jobs : int or None
        Nodes trained at a time, and threads of sampling; None is 1, -1 all cores. Never changes an event.
    max_memory : int or None
        Bytes that a fit may take.
    cache_dir : path or None
        Folder where finished nodes are kept, so that the same fit, if killed, resumes with the missing ones.
    random_state : None, int or NumPy generator
        Of the training, and of samples that are given none.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    schema_ : Schema
        Kinds and bounds of the columns; prints as a table.
    nodes_ : Nodes
        Time, rounds, variance explained and seconds of every node; prints as a table.
    plan_ : Plan
        What the fit was expected to cost.
    space_ : RankSpace
        The map between table and normal scores.
    n_features_in_ : int
    feature_names_in_ : array of str
        For tables with names.

    References
    ----------
    Jiang, Qian, Qu, "BUFF: boosted decision tree based ultra-fast flow matching", 2024, arXiv:2404.18219;
    Jolicoeur-Martineau, Fatras, Kachman, 2023, arXiv:2309.09968.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.multivariate_normal([0, 1], [[1, 0.8], [0.8, 1]], size=500)
    >>> gen = BUFF(noise_budget=5_000, random_state=0).fit(X)
    >>> events = gen.sample(1000)
    >>> bool(abs(np.corrcoef(events.T)[0, 1] - 0.8) < 0.1)
    True
    """

    def __init__(
        self,
        n_steps: int = 10,
        solver: str = "ab2",
        *,
        grid: str = "uniform",
        n_estimators: int = 12,
        max_depth: int = 8,
        learning_rate: float = 0.7,
        reg_lambda: float = 30.0,
        noise_budget: int = 150_000,
        early_stopping: int | None = None,
        layout: str = "auto",
        schema: Mapping[str, Any] | None = None,
        categories: str = "similar",
        tails: str = "clip",
        tree_params: Mapping[str, Any] | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        max_memory: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_steps = n_steps
        self.solver = solver
        self.grid = grid
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.reg_lambda = reg_lambda
        self.noise_budget = noise_budget
        self.early_stopping = early_stopping
        self.layout = layout
        self.schema = schema
        self.categories = categories
        self.tails = tails
        self.tree_params = tree_params
        self.device = device
        self.n_jobs = n_jobs
        self.max_memory = max_memory
        self.cache_dir = cache_dir
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, condition: Any = None, sample_weight: Any = None) -> "BUFF":
        """Learn the distribution of the rows of X, given their conditions.

        Parameters
        ----------
        X : table of shape (n, p)
            NumPy array, or data frame of pandas, polars, pyarrow ...; numbers, strings, categories, booleans, dates,
            with or without missing values.
        y : ignored
        condition : table of shape (n, c) or array of shape (n,), optional
            Numbers or labels that rows will be asked for.
        sample_weight : array of shape (n,), optional
            Event weights, not negative.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter or column, what was found and what is valid.
        MemoryError
            The fit needs more than ``max_memory``.
        """
        problem, plan, times = self._prepare(X, condition, sample_weight, trial=False)
        settings = suited_to_conditions(booster_settings(self), problem, plan.n_draws)
        cache, entropy = self._cache(problem, settings, plan, times)
        rng = np.random.default_rng(training_seed(entropy))
        problem = problem.framed(rng)
        base = LinearBase.fit(problem.scores(rng), problem.condition, problem.weights)
        fitted = train_field(
            problem, base, times, settings, plan, entropy=entropy, cache=cache, verbose=self.verbose
        )
        self.nodes_ = Nodes(record for _, record in fitted)
        self.plan_ = plan
        self._entropy = entropy
        self._set_flow(base, problem.frame, times, [booster for booster, _ in fitted], settings.device)
        return self

    def plan(self, X: Any, *, condition: Any = None, sample_weight: Any = None) -> Plan:
        """What :meth:`fit` would cost: rows, memory, disk, minutes. Takes a second or two, and trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = type(self)(**self.get_params())
        return twin._prepare(X, condition, sample_weight, trial=True)[1]

    def sample(
        self,
        n_samples: int = 1,
        *,
        condition: Any = None,
        random_state: Any = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
    ) -> Any:
        """Draw events.

        Event i depends on the random state and on i alone: not on batches, threads, or how many events are drawn.

        Parameters
        ----------
        n_samples : int
            Number of events, or of events for a single condition.
        condition : table or array, optional
            One event a row, or ``n_samples`` events if there is one row. A conditional model that is given none
            draws conditions like those of its training.
        random_state : None, int or NumPy generator
            None takes the estimator's, so that the same call gives the same events; if that is None too, events are
            new with each call.
        first_event : int
            Number of the first event: ``sample(10, first_event=90)`` are the last of ``sample(100)``.
        batch_size : int, optional
            Events at a time: bounds memory, changes nothing else.
        return_condition : bool
            Return ``(events, conditions)``.

        Returns
        -------
        table of shape (n, p)
            In the container, with the column names, dtypes and order that were fitted.
        """
        check_is_fitted(self)
        n = check_sample_size(n_samples, first_event, batch_size)
        entropy = self._sampling_entropy(random_state)
        drawn, features, n = self._conditions(n, condition, entropy, first_event)
        batches = self._flow.batches(n, entropy, first_event, features, batch_size, self.n_jobs)
        decoded = [self.space_.decode(batch) for batch in batches] or [self._nothing()]
        columns = tuple(np.concatenate(parts) for parts in zip(*decoded, strict=True))
        events = self.space_.template_.restore(columns)
        return (events, drawn) if return_condition else events

    def trajectory(self, n_samples: int = 1, *, condition: Any = None, random_state: Any = None) -> Iterator[Any]:
        """The events of :meth:`sample` on their way from noise to data: a table at the start and after every step."""
        check_is_fitted(self)
        n = check_sample_size(n_samples, 0, None)
        entropy = self._sampling_entropy(random_state)
        _, features, n = self._conditions(n, condition, entropy, 0)
        for state in self._flow.path(n, entropy, features):
            yield self.space_.inverse_transform(state)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, to_archive(self))

    def _prepare(
        self, X: Any, condition: Any, sample_weight: Any, *, trial: bool
    ) -> tuple[TrainingSet, Plan, tuple[float, ...]]:
        """Validate everything, learn the maps to unit space, and plan."""
        check_parameters(self)
        check_weights(sample_weight)
        times = fixed_nodes(self.solver, self.grid, self.n_steps)
        space = RankSpace(self.schema, categories=self.categories, tails=self.tails)
        self.space_ = space.fit(X, sample_weight=sample_weight)
        self._copy_feature_facts()
        self._encoder = None if condition is None else ConditionEncoder().fit(condition, sample_weight)
        features = None if self._encoder is None else self._encoder.transform(condition)
        problem = TrainingSet.of(space, X, features, sample_weight)
        plan = make_plan(
            problem,
            times,
            booster_settings(self),
            noise_budget=self.noise_budget,
            n_workers=effective_n_jobs(self.n_jobs),
            max_memory=self.max_memory,
            trial=trial,
        )
        return problem, plan, times

    def _cache(
        self, problem: TrainingSet, settings: BoosterSettings, plan: Plan, times: tuple[float, ...]
    ) -> tuple[NodeCache | None, int]:
        """Where finished nodes are kept, and the seed: a fit that is to be resumed must not draw a new one."""
        if self.cache_dir is None:
            return None, entropy_of(self.random_state)
        seed = "none" if self.random_state is None else entropy_of(self.random_state)
        key = fingerprint(problem, settings, plan.n_draws, times=times, seed=seed)
        entropy = int(key, 16) if self.random_state is None else int(seed)
        return NodeCache(Path(self.cache_dir) / key), entropy

    def _set_flow(
        self,
        base: LinearBase,
        frame: Frame | None,
        times: tuple[float, ...],
        boosters: list[Booster | None],
        device: str,
    ) -> None:
        models = tuple(NodeModel.of(base, t, booster, device) for t, booster in zip(times, boosters, strict=True))
        solver, grid = get_solver(self.solver), get_grid(self.grid, self.n_steps)
        self._flow = Flow(models, base, frame and frame.to_device(device), times, solver, grid, device)

    def _copy_feature_facts(self) -> None:
        self.schema_ = self.space_.schema_
        self.n_features_in_ = self.space_.n_features_in_
        if hasattr(self.space_, "feature_names_in_"):
            self.feature_names_in_ = self.space_.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _sampling_entropy(self, random_state: Any) -> int:
        if random_state is None and self.random_state is not None:
            return self._entropy
        return entropy_of(random_state)

    def _conditions(
        self, n: int, condition: Any, entropy: int, first_event: int
    ) -> tuple[Any, Array | None, int]:
        """Conditions in the user's container, as features, and the number of events they ask for."""
        if self._encoder is None:
            if condition is not None:
                raise ValueError("the model was fitted without condition: fit it with one, or sample without")
            return None, None, n
        if condition is None:
            condition = self._encoder.draw(condition_normals(entropy, first_event, n, self._encoder.n_normals))
            features = self._encoder.transform(condition) if n else np.empty((0, self._encoder.n_dims), np.float32)
            return condition, features, n
        features = self._encoder.transform(condition)
        if len(features) != 1 and n not in (1, len(features)):
            raise ValueError(
                f"condition has {len(features)} rows and n_samples is {n}: leave n_samples out for one event a row, "
                f"or give one row"
            )
        return condition, features, n if len(features) == 1 else len(features)

    def _nothing(self) -> tuple[Array, ...]:
        return self.space_.decode(np.empty((0, self.space_.n_dims_), np.float32))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

