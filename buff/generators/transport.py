"""BUFFTransport: from one table to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive
from buff.couplings import MinibatchTransport, stratify
from buff.errors import check_sample_size, check_whole
from buff.estimator import TransformerMixin
from buff.flows import CostEstimate, FlowMatchingData, RankIntervals, ReproducibleLinear, SampleRequest, Source
from buff.generators.deployment import DeployablePairs
from buff.generators.pairing import as_pair, check_noise, check_same_columns, paired_data, repeated
from buff.generators.parameters import FlowEstimator, FlowPart
from buff.generators.persistence import pack
from buff.generators.scoring import ScoredPairs
from buff.grids import TimeGrid
from buff.protocols import Array, ConditionLike, Numbers, RandomState, TableLike, WeightsLike
from buff.randomness import EventNoise, dequantization_noise, keys_of_rows
from buff.records import nested
from buff.tables import Columns, read, validate_data
from buff.transforms import ConditionEncoder, TableTransformer
from buff.transforms.conditions import read_any, single_column

__all__ = ["BUFFTransport"]


class BUFFTransport(DeployablePairs, ScoredPairs, TransformerMixin, FlowEstimator):
    r"""Rows of a source table to rows of a target table, by a flow of boosted trees.

    *Paired* tables, such as an event at the detector and its truth: draws from p(target | source). The flow starts at
    the linear prediction of the target's normal scores from the features of the source, plus noise,

    .. math:: x_0 = A\,c + b + \lambda\, s \odot \epsilon, \qquad \epsilon \sim N(0, 1),

    with s the standard deviation of what the prediction leaves in each column and :math:`\lambda` the parameter
    ``noise``, and ends at the scores x1 of the target; the features c of the source are a condition of the field. For
    jointly Gaussian scores no tree is needed. With ``noise=0`` the map is deterministic, one target a source row: then
    the source is no condition (the flow would end at the mean of the targets that it may have), the target's
    distribution is reproduced, and p(target | source) is not. It needs as many source columns as target columns, or
    more, that say something about them.

    *Unpaired* tables, such as fast and full simulation, of any two lengths: the flow starts at the scores of the source
    row and ends at those of a near row of the target, paired within batches by optimal transport.

    Parameters
    ----------
    coupling : {"paired", "transport"} or MinibatchTransport
        ``"paired"``: row i of the target belongs to row i of the source. Else the tables have the same columns, in the
        same order, and transport decides; among rows of the same labels or, where conditions are continuous, of similar
        ones.
    noise : "auto" or float
        Standard deviation of the noise that is added to the start: of paired tables in units of what the prediction
        leaves, otherwise of normal scores. ``"auto"`` is 1 for paired tables and 0 otherwise.
    negative_weights, n_steps, solver, grid, n_estimators, max_depth, learning_rate, reg_lambda, noise_budget,
    early_stopping, layout, tree_features, smooth_degree, categories, tails, bandwidth, tree_params, device, n_jobs,
    max_memory, cache_dir, random_state, verbose
        As in :class:`buff.BUFF`.
    smooth_rows : int
        Rows of the tables that a coefficient of the polynomial takes (see ``smooth_degree``); with less, its degree is
        lower. What is measured bends the posterior's narrow directions, which trees of single rows cannot follow.
    schema : mapping, optional
        Of the target, and of unpaired sources: see :func:`buff.tables.infer_schema`. The columns of a target
        without names are called y0, y1, ..., a single one y.

    Attributes
    ----------
    schema_ : Schema
        Kinds and bounds of the target's columns.
    source_schema_ : Schema
        Those of the source.
    condition_schema_, model_, nodes_, plan_
        As in :class:`buff.BUFF`.
    space_ : TableTransformer
        The map between the target and its normal scores.
    n_features_in_ : int
        Columns of the source.
    feature_names_in_ : array of str
        For sources with names.

    References
    ----------
    Diefenbacher, Liu, Mikuni, Nachman, Nie, "Improving generative model-based unfolding with Schroedinger bridges",
    2023, arXiv:2308.12351.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(1000, 1))
    >>> reco = truth + 0.5 * rng.normal(size=(1000, 1))
    >>> unfold = BUFFTransport(n_estimators=0, random_state=0).fit(reco, truth)
    >>> draws = unfold.sample([[1.0]], 1000)
    >>> bool(abs(draws.mean() - 0.8) < 0.1), bool(abs(draws.std() - 0.2**0.5) < 0.1)
    (True, True)
    """

    _source: ConditionEncoder | None
    _source_space: TableTransformer | None
    _prediction: ReproducibleLinear | None
    _couplings: ClassVar[tuple[str, ...]] = ("paired", "transport")

    def __init__(
        self,
        n_steps: int = 10,
        solver: str = "ifab2",
        *,
        coupling: str | MinibatchTransport = "paired",
        negative_weights: str = "error",
        noise: str | float = "auto",
        grid: str | TimeGrid | Sequence[float] = "dense1.5",
        n_estimators: int = 12,
        max_depth: int = 8,
        learning_rate: float = 0.7,
        reg_lambda: float = 30.0,
        noise_budget: int = 140_000,
        early_stopping: int | None = None,
        layout: str = "auto",
        tree_features: str = "auto",
        smooth_degree: int = 3,
        smooth_rows: int = 5,
        schema: Mapping[str, Any] | None = None,
        categories: str = "similar",
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

    def fit(
        self, X: TableLike, y: TableLike, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> BUFFTransport:
        """Learn the way from X to y.

        Parameters
        ----------
        X : table of shape (n, p)
            Source, in any container that :class:`buff.BUFF` reads.
        y : table of shape (m, q) or array of shape (m,)
            Target; m = n for paired tables, q = p for others.
        condition : table of shape (n, c) or array of shape (n,), optional
            What else the target depends on. For unpaired tables a pair, of the source and of the target.
        sample_weight : array of shape (n,), optional
            Event weights; see ``negative_weights`` for those of both signs. A paired row of weight 2 is the same as two
            copies of it. For unpaired tables a pair, either of which may be None.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter or column, what was found and what is valid.
        MemoryError
            The fit needs more than ``max_memory``.
        """
        fitted = copy(self)
        fitted._train(*fitted._prepare(X, y, condition, sample_weight))
        self.__dict__ = fitted.__dict__
        return self

    def plan(
        self, X: TableLike, y: TableLike, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> CostEstimate:
        """What :meth:`fit` would cost: see :meth:`buff.BUFF.plan`."""
        twin = copy(self)
        return twin._plan(*twin._prepare(X, y, condition, sample_weight))

    def fit_transform(
        self, X: TableLike, y: TableLike, *, condition: Any = None, sample_weight: WeightsLike = None
    ) -> Any:
        """:meth:`fit`, then :meth:`transform` of the source."""
        self.fit(X, y, condition=condition, sample_weight=sample_weight)
        return self.transform(X, condition=condition if self.coupling == "paired" else condition and condition[0])

    def transform(self, X: TableLike, *, condition: ConditionLike = None, random_state: RandomState = None) -> Any:
        """One target row a source row, the same wherever the row stands; copies of a row have targets of their own.

        Noise belongs to what a row holds, that of :meth:`sample` to its number; both draw from the same distribution.
        """
        request = self.request(X, condition=condition, random_state=random_state, first_row=None)
        return self._restored(self._drawn(request, noted=False))

    def sample(
        self,
        X: TableLike,
        n_samples: int = 1,
        *,
        condition: ConditionLike = None,
        random_state: RandomState = None,
        first_row: int = 0,
        batch_size: int | None = None,
    ) -> Any:
        """Draw targets for each source row.

        Draw j of row i is event ``(first_row + i) n_samples + j``: it depends on the random state, this number and the
        row alone, not on batches, threads or other rows.

        Parameters
        ----------
        X : table of shape (n, p)
            With the columns of the source that was fitted.
        n_samples, batch_size : int
            Draws a row, and at a time: the latter bounds memory, and changes nothing else.
        condition : table or array, optional
            One row for each of X, or one for all.
        random_state : None, int or NumPy generator
            None takes the estimator's: the same call gives the same draws; if that is None too, they are new.
        first_row : int
            Number of the first row of X, where a table comes in pieces.

        Returns
        -------
        table of shape (n * n_samples, q) or array of shape (n * n_samples,)
            Like the target that was fitted; the draws of a row follow each other.
        """
        options: dict[str, Any] = {"condition": condition, "random_state": random_state, "first_row": first_row}
        return self._restored(self._drawn(self.request(X, n_samples, batch_size=batch_size, **options)))

    def _restored(self, pieces: Iterator[tuple[Array, ...]]) -> Any:
        table = self._restore(pieces)
        return single_column(table) if self._one_column else table

    def request(
        self,
        X: TableLike,
        n_samples: int = 1,
        *,
        condition: ConditionLike = None,
        random_state: RandomState = None,
        first_row: int | None = 0,
        batch_size: int | None = None,
    ) -> SampleRequest:
        """What :meth:`sample` asks of the flow, or :meth:`transform` where ``first_row`` is None."""
        check_is_fitted(self)
        draws, first = check_whole("n_samples", n_samples, 0), check_whole("first_row", first_row or 0, 0)
        columns = read(X)
        check_sample_size(draws * len(columns), len(self.space_.template_.names))
        validate_data(self, X, skip_check_array=True, reset=False)
        features = self._condition_features(condition)
        if features is not None:
            features = repeated(features, len(columns), draws)
        seed, n = self._sampling_seed(random_state), len(columns) * draws
        own = () if features is None else features.T
        keys = keys_of_rows([*columns.arrays, *own]) if first_row is None else None
        events = EventNoise(seed, first * draws, chosen=keys)
        samples, features = self._source_samples(columns, draws, features, events)
        return SampleRequest(n, seed, first * draws, features, samples, batch_size, self.n_jobs, chosen=keys)

    def _source_samples(
        self, columns: Columns, draws: int, features: Numbers | None, events: EventNoise
    ) -> tuple[Array | None, Array | None]:
        """What the noise of the source is added to, and conditions of the field."""
        if self._source_space is not None:
            low, high = (ndtr(z).repeat(draws, axis=0) for z in self._source_space.bounds(columns))
            return RankIntervals(low, high).at(dequantization_noise(events, *low.shape)), features
        assert self._source is not None
        source = self._source.transform(columns).repeat(draws, axis=0)
        both = source if features is None else np.hstack([source, features])
        return (None, both) if self._prediction is None else (self._prediction(both), features)

    def _prepare(self, X: TableLike, y: TableLike, condition: ConditionLike, sample_weight: WeightsLike) -> FlowPart:
        """Validate everything, and bring both tables to scores."""
        self._check_parameters()
        coupling, noise = self.get_coupling(), check_noise(self.noise, self.coupling == "paired")
        if y is None:
            raise ValueError("BUFFTransport requires y to be passed, but the target y is None")
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        y = np.asarray(y) if isinstance(y, list) and np.ndim(y) == 1 else y
        target, self._one_column = read_any(y, "y", "y")
        self._source = self._source_space = self._prediction = None
        if coupling is None:
            data = self._paired(columns, target, condition, sample_weight, noise)
        else:
            data = self._unpaired(columns, target, condition, sample_weight, Source(noise, coupling=coupling))
        return self.space_, data

    def _paired(
        self, columns: Columns, target: Columns, condition: ConditionLike, sample_weight: WeightsLike, noise: float
    ) -> FlowMatchingData:
        if len(columns) != len(target):
            raise ValueError(
                f"X has {len(columns)} rows and y has {len(target)}: paired tables have a target row for every source "
                f"row; for tables without pairs there is coupling='transport'"
            )
        given = columns if condition is None else (columns, read_any(condition)[0])
        sample_weight = self._positive_weights(sample_weight, target, given)
        self.space_ = self._new_space(target, sample_weight)
        own = self._fit_encoder(condition, sample_weight, len(columns))
        encoder = ConditionEncoder().fit(columns, sample_weight)
        self._source, self.source_schema_ = encoder, encoder.schema
        features = encoder.transform(columns)
        data, self._prediction = paired_data(self.space_.bounds(target), features, own, sample_weight, noise)
        return data

    def _unpaired(
        self, columns: Columns, target: Columns, condition: ConditionLike, sample_weight: WeightsLike, source: Source
    ) -> FlowMatchingData:
        conditions, weights = as_pair(condition, "condition"), as_pair(sample_weight, "sample_weight")
        tables = zip(weights, (columns, target), conditions, strict=True)
        weights = tuple(self._positive_weights(w, table, given) for w, table, given in tables)
        self.space_, source_space = self._new_space(target, weights[1]), self._new_space(columns, weights[0])
        check_same_columns(columns, target, source_space, self.space_)
        self._source_space, self.source_schema_ = source_space, source_space.schema_
        own = self._fit_encoder(conditions[1], weights[1], len(target))
        others = None if self._encoder is None else self._encoder.transform(conditions[0])
        data = FlowMatchingData.of(self.space_.bounds(target), own, weights[1])
        sources = FlowMatchingData.of(source_space.bounds(columns), others, weights[0])
        if data.condition is not None:
            side = np.repeat([0, 1], [len(data), len(sources)])
            labels = stratify(np.concatenate([data.condition, sources.condition]), side)
            source = replace(source, labels=labels[side == 0], sample_labels=labels[side == 1])
        samples = sources.targets(np.random.default_rng(0))
        return replace(data, source=replace(source, samples=samples, weights=sources.weights))

    def to_archive(self) -> Archive:
        archive = super().to_archive()
        record, arrays = pack({"source": self._source, "source_space": self._source_space})
        if self._prediction is not None:
            arrays |= {f"_prediction/{key}": a for key, a in self._prediction.to_arrays().items()}
        record["facts"] = {"_one_column": self._one_column}
        return replace(archive, record=archive.record | record, arrays={**archive.arrays, **arrays})

    def _load(self, archive: Archive) -> None:
        super()._load(archive)
        record, arrays = archive.record, archive.arrays
        source, space = record["source"], record["source_space"]
        self._source = source and ConditionEncoder.from_arrays(source, nested(arrays, "source"))
        self._source_space = space and TableTransformer.from_arrays(space, nested(arrays, "source_space"))
        known = "_prediction/weights" in arrays
        self._prediction = ReproducibleLinear.from_arrays(arrays, "_prediction") if known else None
        self._one_column = record["facts"]["_one_column"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        tags.non_deterministic = self.noise != 0 and self.random_state is None
        return tags
