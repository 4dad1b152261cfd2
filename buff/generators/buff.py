"""BUFF: learn a table, draw new rows."""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from buff.flows import CostEstimate, FlowMatchingData, SampleRequest, Source, stratify
from buff.flows.request import condition_normals
from buff.generators.base import FlowEstimator
from buff.generators.checks import (
    check_jobs,
    check_parameters,
    check_sample_size,
    get_coupling,
    resolve_negative_weights,
)
from buff.generators.classes import Classes, MixtureModel, find_classes
from buff.generators.distillation import Teacher
from buff.protocols import Array
from buff.randomness import seed_from
from buff.tables import Columns, read

if TYPE_CHECKING:
    from buff.export import EventSampler

__all__ = ["BUFF"]


class BUFF(Teacher, FlowEstimator):
    """Boosted flow matching: gradient-boosted trees that turn noise into rows of a table.

    Columns go to normal scores (:class:`~buff.transforms.TableTransformer`), where x1 is data and x0 standard normal
    noise. At each node t the velocity ``E[x1 - x0 | t x1 + (1 - t) x0 = x]`` is a linear base in closed form plus
    one XGBoost regressor of what it leaves. Sampling solves ``dx/dt = velocity`` from 0 to 1 on exactly these nodes. In
    the end continuous columns of tables of less than 5,000 rows get their own distribution back
    (:class:`buff.flows.MarginalCalibration`), unless there is a condition.

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
    coupling : {"independent", "transport"} or MinibatchTransport
        Which noise the rows are paired with: any, or the nearest in batches of 128 (:mod:`buff.couplings`), among rows
        of the same labels or, where conditions are continuous, of similar ones.
    classes : {"auto", "apart", "together"}
        Whether each class of a condition of labels gets ranks and trees of its own, which no other class bends, at the
        cost of a fit each; ``"auto"``: up to 20 classes of 2,000 rows or more.
    negative_weights : {"error", "smooth", "cancel"}
        What becomes of event weights below 0: refused, replaced by the local mean weight, or cancelled with those
        nearby: see :func:`buff.weights.positive_weights`.
    early_stopping : int or None
        Stop a node when its error on fresh noise has not fallen for so many rounds.
    layout : {"auto", "scalar", "vector", "sketch"}
        A tree for every column, trees for all columns, or these with splits found on projections of the gradient:
        see :class:`buff.trees.TreeSettings`.
    schema : mapping, optional
        Kinds, bounds, tails and orders of columns that are known better: see
        :func:`buff.tables.infer_schema`.
    categories : {"similar", "frequency", "lexical", "onehot"}
        How categories are laid out.
    tails : {"clip", "extrapolate"}
        Whether values beyond the training range may come back.
    tree_params : mapping, optional
        More of XGBoost's parameters.
    device : {"auto", "cpu", "cuda"}
        Where trees are grown and evaluated; ``"auto"`` takes a GPU if XGBoost and CuPy can use one.
    n_jobs : int or None
        Nodes trained at a time, and threads of sampling; None is 1, -1 all cores. Never changes an event. Inside
        ``joblib.parallel_config("dask")`` the workers of a Dask cluster train them (extra ``dask``).
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
    condition_schema_ : Schema or None
        Likewise of the condition.
    nodes_ : Nodes
        Time, rounds, variance explained and seconds of every node; prints as a table.
    plan_ : CostEstimate
        What the fit was expected to cost.
    space_ : TableTransformer
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

    _calibrated: ClassVar[bool] = True
    _class_models: MixtureModel | None = None

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
        coupling: Any = "independent",
        classes: str = "auto",
        negative_weights: str = "error",
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
        super().__init__(
            n_steps=n_steps,
            solver=solver,
            grid=grid,
            n_estimators=n_estimators,
            max_depth=max_depth,
            learning_rate=learning_rate,
            reg_lambda=reg_lambda,
            noise_budget=noise_budget,
            coupling=coupling,
            classes=classes,
            negative_weights=negative_weights,
            early_stopping=early_stopping,
            layout=layout,
            schema=schema,
            categories=categories,
            tails=tails,
            tree_params=tree_params,
            device=device,
            n_jobs=n_jobs,
            max_memory=max_memory,
            cache_dir=cache_dir,
            random_state=random_state,
            verbose=verbose,
        )

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
            Event weights; see ``negative_weights`` for those of both signs.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter or column, what was found and what is valid.
        MemoryError
            The fit needs more than ``max_memory``.
        """
        columns, features, weights = self._read(X, condition, sample_weight)
        classes = find_classes(self.classes, self._encoder, condition, features, weights)
        if classes is None or features is None:
            self._fit_rows(columns, features, weights)
        else:
            self._fit_classes(classes, columns, features, weights)
        return self

    def plan(self, X: Any, *, condition: Any = None, sample_weight: Any = None) -> CostEstimate:
        """What :meth:`fit` would cost: rows, memory, disk, minutes. Takes a second or two, and trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = type(self)(**self.get_params())
        columns, features, weights = twin._read(X, condition, sample_weight)
        classes = find_classes(self.classes, twin._encoder, condition, features, weights)
        if classes is None or features is None:
            return twin._plan(twin._data(columns, features, weights))
        twin._fit_space(columns, weights)
        return MixtureModel.plan(twin, classes, columns, features, weights)

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
        condition : table, array or mapping, optional
            One event a row, or ``n_samples`` events if there is one row: ``{"label": "t", "energy": 50.0}``. A
            conditional model that is given none draws conditions like those of its training.
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
        check_jobs(self.n_jobs)
        seed = self._sampling_seed(random_state)
        drawn, features, n = self._conditions(n, condition, seed, first_event)
        request = SampleRequest(n, seed, first_event, features, None, batch_size, self.n_jobs)
        models = self._class_models
        parts = models.batches(request) if models else self._decoded(self._flow.batches(request))
        events = self._restore(parts)
        return (events, drawn) if return_condition else events

    def sampler(self, random_state: Any = None) -> "EventSampler":
        """A small, thread-safe object that draws single events, for event loops.

        ``sampler.draw(i, condition)`` is event i of :meth:`sample` with the same random state, without tables.

        Parameters
        ----------
        random_state : None, int or NumPy generator
            As in :meth:`sample`.

        Raises
        ------
        ExportError
            The model has a column or a solver that no sampler can do.
        """
        from buff.export import EventSampler

        check_is_fitted(self)
        return EventSampler(self, self._sampling_seed(random_state))

    @property
    def backend_(self) -> str:
        """What draws events: instructions of the compiled kernels, or ``"xgboost"`` and why."""
        check_is_fitted(self)
        models = self._class_models.models if self._class_models else [self]
        return ", ".join(sorted({model._flow.backend for model in models}))

    def trajectory(self, n_samples: int = 1, *, condition: Any = None, random_state: Any = None) -> Iterator[Any]:
        """The events of :meth:`sample` on their way from noise to data: a table at the start and after every step."""
        check_is_fitted(self)
        n = check_sample_size(n_samples, 0, None)
        seed = self._sampling_seed(random_state)
        _, features, n = self._conditions(n, condition, seed, 0)
        request, models = SampleRequest(n, seed, condition=features), self._class_models
        states = models.trajectory(request) if models else self._decoded(self._flow.trajectory(request))
        for columns in states:
            yield self.space_.template_.restore(columns)

    def _read(self, X: Any, condition: Any, sample_weight: Any) -> tuple[Columns, Array | None, Any]:
        """Validate everything: columns, features of the conditions, weights of which none is negative."""
        check_parameters(self)
        sample_weight = resolve_negative_weights(sample_weight, self, X, condition)
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        features = self._fit_encoder(condition, sample_weight)
        if features is not None and len(features) != len(columns):
            raise ValueError(f"condition has {len(features)} rows, X has {len(columns)}: they must agree")
        return columns, features, sample_weight

    def _data(self, columns: Columns, features: Array | None, sample_weight: Any) -> FlowMatchingData:
        """The rows as scores."""
        space = self._fit_space(columns, sample_weight)
        data = FlowMatchingData.of(self._intervals(space, columns), features, sample_weight)
        coupling = get_coupling(self)
        labels = None if coupling is None or data.condition is None else stratify(data.condition)
        return replace(data, source=Source(coupling=coupling, labels=labels))

    def _fit_rows(self, columns: Columns, features: Array | None, sample_weight: Any) -> None:
        """One model for all rows."""
        self._class_models = None
        self._train(self._data(columns, features, sample_weight))

    def _fit_classes(self, classes: Classes, columns: Columns, features: Array, sample_weight: Any) -> None:
        """A model for each class."""
        self._fit_space(columns, sample_weight)
        self._seed = seed_from(self.random_state)
        seed = None if self.random_state is None else self._seed
        models = MixtureModel.fit(self, classes, columns, features, sample_weight, seed)
        self.plan_ = CostEstimate.combined([model.plan_ for model in models.models])
        self._set_classes(models)

    def _set_classes(self, models: MixtureModel) -> None:
        """The models with what is known of them."""
        self._class_models, self._flow, self.nodes_ = models, None, models.nodes
        self._set_schemas()

    def _conditions(
        self, n: int, condition: Any, seed: int, first_event: int
    ) -> tuple[Any, Array | None, int]:
        """Conditions in the user's container, as features, and the number of events they ask for."""
        if self._encoder is None:
            return None, self._condition_features(condition), n
        if condition is None:
            condition = self._encoder.draw(condition_normals(seed, first_event, n, self._encoder.n_normals))
            features = self._encoder.transform(condition) if n else np.empty((0, self._encoder.n_dims), np.float32)
            return condition, features, n
        columns = self._encoder.aligned(condition)
        features = self._encoder.transform(columns)
        for words in self._encoder.unknown_ranges(columns):
            warnings.warn(f"condition: {words}, where it was trained: events are those of the end", stacklevel=4)
        if len(features) != 1 and n not in (1, len(features)):
            raise ValueError(
                f"condition has {len(features)} rows and n_samples is {n}: leave n_samples out for one event a row, "
                f"or give one row"
            )
        return condition, features, n if len(features) == 1 else len(features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags
