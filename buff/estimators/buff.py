"""BUFF: learn a table, draw new rows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from buff.estimators.base import FlowEstimator
from buff.estimators.checks import check_sample_size, get_coupling, positive
from buff.estimators.distillation import distilled
from buff.estimators.generation import condition_normals
from buff.preprocessing import read
from buff.protocols import Array
from buff.training import Plan, Starts, TrainingSet, strata

__all__ = ["BUFF"]


class BUFF(FlowEstimator):
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
    coupling : {"independent", "transport"} or MinibatchTransport
        Which noise the rows are paired with: any, or the nearest in batches of 128 (:mod:`buff.couplings`), among rows
        of the same labels or, where conditions are continuous, of similar ones.
    negative_weights : {"error", "smooth", "cancel"}
        What becomes of event weights below 0: refused, replaced by the local mean weight, or cancelled with those
        nearby: see :func:`buff.weights.positive_weights`.
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
    condition_schema_ : Schema or None
        Likewise of the condition.
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
        self._train(self._prepare(X, condition, sample_weight))
        return self

    def plan(self, X: Any, *, condition: Any = None, sample_weight: Any = None) -> Plan:
        """What :meth:`fit` would cost: rows, memory, disk, minutes. Takes a second or two, and trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = type(self)(**self.get_params())
        return twin._plan(twin._prepare(X, condition, sample_weight), trial=True)

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
        events = self._restore(batches)
        return (events, drawn) if return_condition else events

    def trajectory(self, n_samples: int = 1, *, condition: Any = None, random_state: Any = None) -> Iterator[Any]:
        """The events of :meth:`sample` on their way from noise to data: a table at the start and after every step."""
        check_is_fitted(self)
        n = check_sample_size(n_samples, 0, None)
        entropy = self._sampling_entropy(random_state)
        _, features, n = self._conditions(n, condition, entropy, 0)
        for state in self._flow.path(n, entropy, features):
            yield self.space_.inverse_transform(state)

    def distill(
        self,
        n_steps: int = 2,
        *,
        method: str = "velocity",
        n_samples: int = 300_000,
        random_state: Any = None,
        **parameters: Any,
    ) -> Any:
        r"""A student that draws like this model in ``n_steps`` field evaluations, trained on its trajectories.

        With x_t the state of the teacher at time t and h a step of the student, a node learns

        .. math:: v(x_t, t) = E[(x_{t+h} - x_t) / h \mid x_t],

        with which Euler's step is the teacher's map from t to t + h. ``"velocity"`` follows the teacher's curve: the
        student's steps are flow maps that compose (Salimans, Ho, 2022, arXiv:2202.00512, without their halving).
        ``"reflow"`` draws the curve straight, ``x_t = (1 - t) x_0 + t x_1`` with x_1 where the teacher takes x_0 (Liu,
        Gong, Liu, 2022, arXiv:2209.03003). In one step they are the same.

        The teacher's map is a function, so that targets carry no noise: students take large trees and learn from as
        many trajectories as wished. Fewer evaluations save time only where a tree is cheap beside an evaluation: the
        student's trees are larger and more. On nine observables of top jets, teacher with an AUC of 0.545, students of
        4, 2 and 1 steps come to FOUR, TWO and ONE.

        Parameters
        ----------
        n_steps : int
            Field evaluations of the student.
        method : {"velocity", "reflow"}
        n_samples : int
            Trajectories to learn from; conditional models draw conditions like those of their training.
        random_state : None, int or NumPy generator
            Of the trajectories and of the student; None takes that of the teacher.
        **parameters
            In which the student differs from its default: ``n_estimators=100``, ``max_depth=9``,
            ``learning_rate=0.3``, ``reg_lambda=1.0`` and what else the teacher has.

        Returns
        -------
        BUFF
            Fitted: same schema, conditions, ``sample`` and ``save``.

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
        return distilled(self, method, n_samples, random_state, {"n_steps": n_steps} | parameters)

    def _prepare(self, X: Any, condition: Any, sample_weight: Any) -> TrainingSet:
        """Validate everything, and bring the rows to unit space."""
        self._times()
        sample_weight = positive(sample_weight, self, X, condition)
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        space, features = self._fit_space(columns, sample_weight), self._fit_encoder(condition, sample_weight)
        problem = TrainingSet.of(space, columns, features, sample_weight)
        coupling = get_coupling(self)
        labels = None if coupling is None or problem.condition is None else strata(problem.condition)
        return replace(problem, starts=Starts(coupling=coupling, labels=labels))

    def _conditions(
        self, n: int, condition: Any, entropy: int, first_event: int
    ) -> tuple[Any, Array | None, int]:
        """Conditions in the user's container, as features, and the number of events they ask for."""
        if self._encoder is None:
            return None, self._condition_features(condition), n
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags
