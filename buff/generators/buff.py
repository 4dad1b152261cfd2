"""BUFF: learn a table, draw new rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from buff.errors import with_hints
from buff.flows import Classes, CostEstimate, FlowMatchingData, MixtureModel, PatternedData, SampleRequest, Source
from buff.generators.any_given import AnyGiven
from buff.generators.classes import class_tables, decode_classes, find_classes, total_cost
from buff.generators.contracts import TrainingTable
from buff.generators.deployment import Deployable
from buff.generators.parameters import FlowPart, margins_of, train_rows
from buff.grids import TimeGrid
from buff.protocols import Array, ConditionLike, Mask, RandomState, Scores, TableLike, WeightsLike
from buff.randomness import seed_from
from buff.solvers import Solver
from buff.tables import Columns
from buff.tables.relations import Relations
from buff.tables.schema import TableReduction
from buff.transforms import TableTransformer
from buff.transforms.atoms import atoms_of

__all__ = ["BUFF"]

#: Ways to draw which columns sit on a value of their own.
ATOMS = ("together", "apart")


class BUFF(Deployable, AnyGiven):
    """Boosted flow matching: gradient-boosted trees that turn noise into rows of a table.

    Columns go to normal scores (:class:`~buff.transforms.TableTransformer`), where x1 is data and x0 standard normal
    noise. At each node t the velocity ``E[x1 - x0 | t x1 + (1 - t) x0 = x]`` is a linear base in closed form plus
    one XGBoost regressor of what it leaves. Sampling solves ``dx/dt = velocity`` from 0 to 1 on exactly these nodes. In
    the end columns of numbers, none of them frequent, get their own distribution back in tables of less than 5,000 rows
    (:class:`buff.flows.MarginalCalibration`), unless there is a condition.

    Parameters
    ----------
    n_steps : int
        Steps from noise to data.
    solver : str or Solver
        Name of one, see :func:`buff.solvers.get_solver`, or one of your own, not kept in files; not an adaptive one.
    grid : str, TimeGrid or increasing times
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
        Which noise the rows are paired with: any, or the nearest in batches of 128 (:mod:`buff.couplings`), among
        rows of the same labels or similar conditions.
    classes : {"auto", "apart", "together"} or list of str
        Whether each class of a condition of labels gets a flow of its own; ``"auto"``: up to 20 classes of 2,000 rows
        or more, or very uneven ones. A list names the columns of the condition whose labels tell the classes.
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
        Degree of a polynomial along these axes that trees start from, less with under 20 rows a coefficient; 0: none.
    schema : mapping, optional
        Kinds, bounds, tails and orders of columns that are known better: see :func:`buff.tables.infer_schema`.
    categories : {"similar", "frequency", "lexical", "onehot"}
        How categories are laid out.
    relations : "auto", list of relations or None
        Exact relations of columns (:mod:`buff.tables.relations`) that generated rows keep: those that hold in every
        row, stated ones (``"auto"`` among them: both), or none.
    atoms : {"together", "apart"}
        Whether missing values, spikes and values of few are drawn first and jointly
        (:class:`buff.flows.AtomPatterns`), or column by column.
    given : {None, "any"}
        ``"any"`` also learns a chain of conditional distributions (as :class:`buff.TreeDensity`), from which
        :meth:`sample` completes rows ``given`` in part: two to four boosted fits a column beside those of the flow.
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
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.multivariate_normal([0, 1], [[1, 0.8], [0.8, 1]], size=500)
    >>> gen = BUFF(noise_budget=5_000, random_state=0).fit(X)
    >>> events = gen.sample(1000)
    >>> bool(abs(np.corrcoef(events.T)[0, 1] - 0.8) < 0.1)
    True
    """

    @with_hints(
        path="trees learn the linear path; buff.fields.Retimed(gen.field_, path) moves their field to another",
        network="buff_baselines.NeuralFlow(network=...) learns with networks",
    )
    def __init__(
        self,
        n_steps: int = 10,
        solver: str | Solver = "ifab2",
        *,
        grid: str | TimeGrid | Sequence[float] = "dense1.5",
        n_estimators: int = 12,
        max_depth: int = 8,
        learning_rate: float = 0.7,
        reg_lambda: float = 30.0,
        noise_budget: int = 120_000,
        coupling: Any = "independent",
        classes: str | Sequence[str] = "auto",
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
        self._store_parameters(locals())

    @with_hints(guidance="networks overstate conditions: NeuralFlow(condition_dropout=0.1), sample(guidance=2)")
    def sample(
        self,
        n_samples: int = 1,
        *,
        given: Any = None,
        condition: ConditionLike | Columns = None,
        random_state: RandomState = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | Sequence[float] | None = None,
        n_steps: int | None = None,
    ) -> Any:
        """Draw events.

        Event i depends on the random state and on i alone: not on batches, threads, or how many events are drawn.

        Parameters
        ----------
        n_samples : int
            Number of events, or of events for a single condition.
        given : table or mapping, optional
            With the parameter ``given="any"``: rows of which some cells are known, one an event, or one for all:
            ``{"pt": 500.0}``, or a table with any of the columns. Missing cells and absent columns are drawn given
            the others, from the chain of :class:`buff.TreeDensity`; given cells come back bit by bit.
        condition : table, array or mapping, optional
            One event a row, or ``n_samples`` events if there is one row: ``{"label": "t", "energy": 50.0}``. What is
            left out of it is drawn from what was learned given the rest; a conditional model that is given none draws
            conditions like those of its training.
        random_state : None, int or NumPy generator
            None takes the estimator's: the same call gives the same events; if that is None too, they are new.
        first_event : int
            Number of the first event: ``sample(10, first_event=90)`` are the last of ``sample(100)``.
        batch_size : int, optional
            Events at a time: bounds memory, changes nothing else.
        return_condition : bool
            Return ``(events, conditions)``, the latter in the container and dtypes of the training.
        solver, grid, n_steps : optional
            Others than those of the fit, on its nodes, t = 0 and t = 1: ``solver="heun", grid=gen.grid_.times[::2]``,
            or fewer steps, as evenly among its times as can be.

        Returns
        -------
        table of shape (n, p)
            In the container, with the column names, dtypes and order that were fitted.

        Raises
        ------
        ValueError, TypeError
            Given columns, categories or kinds that are unknown, values far outside of the training: by name and value.
        OffGridError
            A solver that leaves the nodes; with those that stay on them.

        Warns
        -----
        UserWarning
            Rows for which no draw kept the relations of the columns.
        """
        options: dict[str, Any] = {"condition": condition, "random_state": random_state, "first_event": first_event}
        options |= {"batch_size": batch_size, "return_condition": return_condition}
        if solver is not None or grid is not None or n_steps is not None:
            return self._solved_by(solver, grid, n_steps).sample(n_samples, given=given, **options)
        if given is None:
            return super().sample(n_samples, **options)
        return self._sample_given(given, n_samples, **options)

    @property
    def relations_(self) -> Relations:
        """Exact relations between the columns, with the number of rows in which they were seen; prints as a table."""
        check_is_fitted(self)
        return self._reduction.relations

    @relations_.setter
    def relations_(self, relations: Relations) -> None:
        self._reduction = self._reduction.with_relations(relations)

    def plan(self, X: TableLike, *, condition: ConditionLike = None, sample_weight: WeightsLike = None) -> CostEstimate:
        """What :meth:`fit` would cost: rows, memory, disk, minutes. Takes a second or two, and trains nothing.

        Raises
        ------
        MemoryError
            The fit would need more than ``max_memory``.
        """
        twin = copy(self)
        table = twin._read(X, condition, sample_weight)
        plan = CostEstimate.combined([twin._plan(*part) for part in twin._flow_parts(table)[1]])
        if self.given is None:
            return plan
        chain = twin._chain_cost(table)
        return plan.with_chain(chain.n_dims, chain.memory, chain.disk, chain.cpu_seconds)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.atoms not in ATOMS:
            raise ValueError(f"atoms must be one of {', '.join(ATOMS)}, found {self.atoms!r}")
        if self.given not in (None, "any"):
            raise ValueError(f"given must be 'any' or None, found {self.given!r}")

    def _learn(self, table: TrainingTable) -> None:
        classes, parts = self._flow_parts(table)
        if classes is None:
            self._class_spaces = ()
            self._train(*next(parts))
        else:
            self._learn_classes(classes, parts)
        self._chain = None if self.given is None else self._fit_chain(table)

    def _flow_parts(self, table: TrainingTable) -> tuple[Classes | None, Iterator[FlowPart]]:
        """The classes that get flows of their own, if any do, and what each flow is fitted to.

        Sets what all of them share: the columns that are left out, and ``space_``, whose kinds those of a class have.
        """
        self._reduction = TableReduction.of(table.columns, self.schema, self.relations)
        table = replace(table, columns=self._reduction.reduce(table.columns))
        self.space_, classes = self._new_space(table.columns, table.weights), None
        if table.features is not None or self.classes != "auto":
            classes = find_classes(self.classes, self._encoder, table.condition, table.features, table.weights)
        if classes is None:
            return None, iter([(self.space_, self._rows(self.space_, table))])
        tables, kinds = class_tables(classes, table), self.space_.schema_
        parts = ((self._new_space(part.columns, part.weights, kinds), part) for part in tables)
        return classes, ((space, self._rows(space, part)) for space, part in parts)

    def _learn_classes(self, classes: Classes, parts: Iterator[FlowPart]) -> None:
        self._seed = seed_from(self.random_state)
        seed = None if self.random_state is None else self._seed
        settings, spaces, flows = replace(self.flow_settings, verbose=0), [], []
        for space, data in tqdm(parts, "classes", len(classes), unit="class", disable=not self.verbose):
            spaces.append(space)
            flows.append(train_rows(data, settings, **self._margins(space, data), seed=seed))
        self._class_spaces = tuple(spaces)
        self._set_model(MixtureModel(classes, tuple(flows)), total_cost(flows))

    def _margins(self, space: TableTransformer, data: FlowMatchingData | PatternedData) -> dict[str, Mask]:
        return margins_of(space, data, fine=self.atoms == "together")  # apart as in 0.1.0

    def _rows(self, space: TableTransformer, table: TrainingTable) -> FlowMatchingData | PatternedData:
        """The rows as scores, with the source they start from."""
        x1, source = space.bounds(table.columns), Source(coupling=self.get_coupling())
        if self.atoms == "together" and space.has_atoms:
            levels, missing = zip(*((atom.intervals, atom.missing) for atom in atoms_of(space)), strict=True)
            if data := PatternedData.of(x1, levels, table.features, table.weights, source, missing):
                return data
        return FlowMatchingData.of(x1, table.features, table.weights, source)

    def _decode(self, scores: Scores, batch: SampleRequest) -> tuple[Array, ...]:
        if isinstance(self.model_, MixtureModel):
            return decode_classes(self.model_.classes, self._class_spaces, scores, batch)
        return super()._decode(scores, batch)
