"""BUFF: learn a table, draw new rows."""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from buff.errors import check_whole
from buff.flows import (
    Classes,
    CostEstimate,
    FlowMatchingData,
    FlowModel,
    FlowSettings,
    MixtureModel,
    PatternedData,
    PatternedFlow,
    Source,
    distill,
    teaching_seed,
)
from buff.generators.any_given import AnyGiven
from buff.generators.deployment import Deployable
from buff.generators.parameters import smooth_of, train_rows
from buff.generators.structured import (
    ClassEstimator,
    find_classes,
    pinned_schema,
    rows_as_scores,
)
from buff.grids import TimeGrid
from buff.protocols import ConditionLike, Numbers, RandomState, TableLike, WeightsLike
from buff.randomness import seed_from
from buff.tables import Columns
from buff.transforms import TableTransformer

__all__ = ["BUFF"]
#: Parameters of a student unless told otherwise: its targets carry no noise that leaves would have to average.
_STUDENT: dict[str, Any] = {
    "solver": "euler",
    "coupling": "independent",
    "n_estimators": 100,
    "max_depth": 9,
    "learning_rate": 0.3,
    "reg_lambda": 1.0,
    "cache_dir": None,
}


class BUFF(Deployable, AnyGiven, ClassEstimator):
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
    grid : str or TimeGrid
        Where the steps lie in time: see :func:`buff.grids.get_grid`.
    n_estimators : int
        Boosting rounds a node, at most; 0 leaves a Gaussian copula.
    max_depth : int
        Of the trees.
    learning_rate : float
        Of the boosting.
    reg_lambda : float
        Rows by which leaves are drawn towards 0: near noise a leaf's mean is mostly noise.
    noise_budget : int
        Rows a node is trained on: each row of the table is used with so many noise draws that this is reached.
    coupling : {"independent", "transport"} or MinibatchTransport
        Which noise the rows are paired with: any, or the nearest in batches of 128 (:mod:`buff.couplings`), among rows
        of the same labels or, where conditions are continuous, of similar ones.
    classes : {"auto", "apart", "together"}
        Whether each class of a condition of labels gets a flow of its own, at the cost of a fit each;
        ``"auto"``: up to 20 classes of 2,000 rows or more.
    negative_weights : {"error", "smooth", "cancel"}
        What becomes of event weights below 0: refused, replaced by the local mean weight, or cancelled with those
        nearby: see :func:`buff.weights.positive_weights`.
    early_stopping : int or None
        Stop a node when its error on held-out noise has not fallen for so many rounds.
    layout : {"auto", "scalar", "vector", "sketch"}
        A tree for every column, trees for all columns, or these with splits found on projections of the gradient:
        see :class:`buff.trees.TreeSettings`.
    tree_features : {"auto", "both", "scores"}
        Whether trees see and predict along the principal axes of the table too, which resolves its narrow directions,
        or the scores alone; ``"auto"``: both, unless most columns repeat their values, or a single one depends on a
        condition.
    smooth_degree : {0, 2, 3}
        Degree of a polynomial along these axes that trees start from, or less where there are fewer than 20 rows a
        coefficient; 0 for none.
    schema : mapping, optional
        Kinds, bounds, tails and orders of columns that are known better: see
        :func:`buff.tables.infer_schema`.
    categories : {"similar", "frequency", "lexical", "onehot"}
        How categories are laid out.
    relations : "auto", list of relations or None
        Exact relations of columns (:mod:`buff.tables.relations`) that generated rows keep: those that hold in every
        row, stated ones, or none. Orders that rows hardly come close to breaking are kept by swaps of two values.
    atoms : {"together", "apart"}
        Whether missing values, spikes and values of few are drawn first and jointly
        (:class:`buff.flows.AtomPatterns`), or column by column.
    given : {None, "any"}
        ``"any"`` also learns a chain of conditional distributions (as :class:`buff.TreeDensity`, for any columns
        known), from which :meth:`sample` completes rows whose cells are ``given`` in part.
    tails : {"clip", "extrapolate"}
        Whether values beyond the training range may come back.
    bandwidth : float
        Events leave their scores through quantile functions that are smooth over so much of a normal score; 0 takes
        those of the sample, wiggles and all: see :class:`~buff.transforms.TableTransformer`.
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
    nodes_ : NodeRecords
        Time, rounds, variance explained and seconds of every node; prints as a table.
    plan_ : CostEstimate
        What the fit was expected to cost.
    model_ : FlowModel or MixtureModel
        The flow from noise to normal scores, arrays only (:mod:`buff.flows`); one for each class that is apart.
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
    _class_spaces: tuple[TableTransformer, ...] = ()

    def __init__(
        self,
        n_steps: int = 10,
        solver: str = "ifab2",
        *,
        grid: str | TimeGrid = "dense1.5",
        n_estimators: int = 12,
        max_depth: int = 8,
        learning_rate: float = 0.7,
        reg_lambda: float = 30.0,
        noise_budget: int = 120_000,
        coupling: Any = "independent",
        classes: str = "auto",
        negative_weights: str = "error",
        early_stopping: int | None = None,
        layout: str = "auto",
        tree_features: str = "auto",
        smooth_degree: int = 3,
        schema: Mapping[str, Any] | None = None,
        categories: str = "similar",
        relations: Any = "auto",
        atoms: str = "together",
        given: str | None = None,
        tails: str = "clip",
        bandwidth: float = 0.05,
        tree_params: Mapping[str, Any] | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        max_memory: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        parameters = dict(locals())
        super().__init__(**{name: parameters[name] for name in self._get_param_names()})

    def plan(
        self, X: TableLike, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> CostEstimate:
        """What :meth:`fit` would cost: rows, memory, disk, minutes. Takes a second or two, and trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = type(self)(**self.get_params())
        columns, features, weights = twin._read(X, condition, sample_weight)
        classes = twin._classes(condition, features, weights)
        twin.space_ = twin._new_space(columns, weights)
        if classes is None or features is None:
            return twin._plan(twin._data(columns, features, weights))
        parts = twin._class_subsets(classes, columns, features, weights)
        return CostEstimate.combined([twin._plan(data) for _, data in parts])

    def distill(
        self,
        n_steps: int = 2,
        *,
        method: str = "velocity",
        n_samples: int = 300_000,
        random_state: RandomState = None,
        **parameters: Any,
    ) -> "BUFF":
        """A student that draws like this model in ``n_steps`` field evaluations, trained on its trajectories.

        See :func:`buff.flows.distill` for what it learns. The teacher's map is a function, so that targets carry no
        noise: students take large trees and learn from as many trajectories as wished. They save evaluations, not
        always time: their trees are larger than those of the teacher. ``coupling="transport"`` with few steps is the
        other way to draw faster.

        Parameters
        ----------
        n_steps : int
            Field evaluations of the student.
        method : {"velocity", "reflow"}
        n_samples : int
            Trajectories to learn from, for each class that has a flow of its own; conditional models draw conditions
            like those of their training.
        random_state : None, int or NumPy generator
            Of the trajectories and of the student; None takes that of the teacher.
        **parameters
            In which the student differs from its default: ``n_estimators=100``, ``max_depth=9``,
            ``learning_rate=0.3``, ``reg_lambda=1.0`` and what else the teacher has.

        Returns
        -------
        BUFF
            Fitted: same schema, conditions, ``sample`` and ``save``. With the teacher's seed its event i is that of the
            teacher, as well as it has learned; it learns from other events.

        Raises
        ------
        ValueError, TypeError
            Unknown method or parameter, too few samples, a solver other than Euler's.

        Examples
        --------
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> teacher = BUFF(noise_budget=5_000, random_state=0).fit(X)
        >>> student = teacher.distill(1, n_samples=2_000, n_estimators=20)
        >>> len(student.nodes_), student.sample(3).shape
        (1, (3, 2))
        """
        check_is_fitted(self)
        n = check_whole("n_samples", n_samples, 10)
        student: BUFF = copy.copy(self).set_params(**_STUDENT | {"n_steps": n_steps} | parameters, noise_budget=n)
        if random_state is not None:
            student.set_params(random_state=random_state)
        settings, student._seed = student.flow_settings, self._sampling_seed(random_state)
        how: dict[str, Any] = {"method": method, "n_samples": n, "seed": student._seed}
        if isinstance(self.model_, MixtureModel):
            flows = tuple(_distilled(model, settings, **how) for model in self.model_.models)
            student._set_model(replace(self.model_, models=flows), _total_cost(flows))
        else:
            _, features, _ = self._conditions(n, None, teaching_seed(student._seed), 0)
            model = _distilled(self.model_, settings, condition=features, **how)
            student._set_model(model, model.cost)
        return student

    def _learn(
        self, columns: Columns, features: Numbers | None, sample_weight: WeightsLike, condition: ConditionLike
    ) -> None:
        classes = self._classes(condition, features, sample_weight)
        self.space_, self._class_spaces = self._new_space(columns, sample_weight), ()
        if classes is None or features is None:
            self._train(self._data(columns, features, sample_weight))
            return
        self._seed = seed_from(self.random_state)
        seed = None if self.random_state is None else self._seed
        settings, spaces, flows = replace(self.flow_settings, verbose=0), [], []
        parts = self._class_subsets(classes, columns, features, sample_weight)
        for space, data in tqdm(parts, "classes", len(classes), unit="class", disable=not self.verbose):
            spaces.append(space)
            flows.append(train_rows(data, settings, calibrated=smooth_of(space, data), seed=seed))
        self._class_spaces = tuple(spaces)
        self._set_model(MixtureModel(classes, tuple(flows)), _total_cost(flows))

    def _classes(
        self, condition: ConditionLike, features: Numbers | None, sample_weight: WeightsLike
    ) -> Classes | None:
        """The classes that get a flow of their own."""
        if features is None and self.classes == "auto":
            return None
        return find_classes(self.classes, self._encoder, condition, features, sample_weight)

    def _data(
        self, columns: Columns, features: Numbers | None, sample_weight: WeightsLike
    ) -> FlowMatchingData | PatternedData:
        """The rows as scores, with the source they start from."""
        return self._rows(self.space_, columns, features, sample_weight)

    def _rows(
        self, space: TableTransformer, columns: Columns, features: Numbers | None, sample_weight: WeightsLike
    ) -> FlowMatchingData | PatternedData:
        how: dict[str, Any] = {"together": self.atoms == "together", "source": Source(coupling=self.get_coupling())}
        return rows_as_scores(space, columns, features, sample_weight, **how)

    def _class_subsets(
        self, classes: Classes, columns: Columns, features: Numbers, sample_weight: WeightsLike
    ) -> Iterator[tuple[TableTransformer, FlowMatchingData | PatternedData]]:
        """Ranks and scores of the rows of each class, whose columns have the kinds that all rows show."""
        numbers, schema = classes.numbers(features), pinned_schema(self.space_.schema_)
        for k in range(len(classes)):
            rows = numbers == k
            weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
            part = columns.take(rows)
            space = self._new_space(part, weights, schema)
            yield space, self._rows(space, part, None, weights)


def _distilled(model: FlowModel | PatternedFlow, settings: FlowSettings, **how: Any) -> FlowModel | PatternedFlow:
    return model.distilled(settings, **how) if isinstance(model, PatternedFlow) else distill(model, settings, **how)


def _total_cost(flows: Sequence[FlowModel | PatternedFlow]) -> CostEstimate:
    return CostEstimate.combined([flow.cost for flow in flows if flow.cost is not None])
