"""TreeDensity: a table's density, column after column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive
from buff.chains import ScoreCells
from buff.errors import check_growth, check_resources, check_rows, check_whole
from buff.flows import SampleRequest
from buff.generators.base import EventGenerator
from buff.generators.chain_table import ChainTable, chain_settings
from buff.generators.contracts import TrainingTable
from buff.generators.given import check_values, read_given
from buff.generators.persistence import restored
from buff.generators.prefix import column_numbers, count_prefix, require_integrable, require_prefix
from buff.protocols import Array, ConditionLike, RandomState, TableLike, WeightsLike
from buff.randomness import EventNoise, seed_from
from buff.tables import read, validate_data
from buff.tables.columns import is_missing
from buff.transforms import TableTransformer
from buff.transforms.transformer import checked_weights

__all__ = ["TreeDensity"]

#: Stream of the places of repeated values inside the ranks that they own.
_PLACES = 2**31 + 8


class TreeDensity(EventGenerator):
    r"""Density of the rows of a table, by a chain of boosted conditional distributions.

    .. math:: \log p(x) = \sum_j \log p(x_j | x_1, ..., x_{j-1})

    Each column takes one of its atoms (categories, spikes, missing values) with a boosted probability, or else a value,
    whose normal score has a location and a scale that are smooth functions of the columns before it (ridge regression
    on polynomials and cosines), or a Gaussian mixture given these where rows that were not learned from are likelier
    so, and a distribution of ranks of what is left by boosted trees
    (:class:`buff.trees.conditional.ConditionalDistribution`). The product is normalised by construction: log-densities
    are exact for the model, in the units of the table. It is an autoregressive model as in Uria et al., 2016,
    arXiv:1605.02226, with trees in place of networks.

    Values count by density; atoms, and whole numbers and dates, by probability; rounded numbers by the probability of
    their cell over its width. Values may lie beyond the training: exponentials continue from the outermost values,
    up to bounds of the schema, and never across 0 where no value had the other sign.

    Parameters
    ----------
    order : list of names or column numbers, optional
        Columns that come first, in this order: those that are to be conditioned on, or integrated out last. The others
        follow as they stand in the table. None puts columns of categories and of few values first.
    n_estimators : int
        Boosting rounds of each column; 0 leaves the smooth base.
    max_depth : int
        Of the trees.
    learning_rate : float
        Of the boosting.
    reg_lambda : float
        Rows by which leaves are drawn towards the base.
    schema : mapping, optional
        Kinds, bounds and orders of columns that are known better: see :func:`buff.tables.infer_schema`.
    categories : {"similar", "frequency", "lexical"}
        How categories are ordered.
    negative_weights : {"error", "smooth", "cancel"}
        What becomes of event weights below 0: see :func:`buff.weights.positive_weights`.
    n_jobs : int or None
        Threads of sampling; None is 1, -1 all cores. Never changes an event.
    random_state : None, int or NumPy generator
        Of the training, and of samples that are given none.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    model_ : Chain
    space_ : TableTransformer
        Ranks of the columns.
    schema_ : Schema
    order_ : tuple of str
        Columns in the order of the chain; constant ones are left out.
    n_features_in_ : int
    feature_names_in_ : array of str
        For tables with names.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=2000)
    >>> density = TreeDensity(random_state=0).fit(X)
    >>> inside, outside = density.score_samples([[1.0, 1.0], [1.0, -1.0]])
    >>> bool(inside > outside + 2)
    True
    """

    def __init__(
        self,
        order: Sequence[Any] | None = None,
        *,
        n_estimators: int = 60,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        reg_lambda: float = 200.0,
        schema: Mapping[str, Any] | None = None,
        categories: str = "similar",
        negative_weights: str = "error",
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.order = order
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.reg_lambda = reg_lambda
        self.schema = schema
        self.categories = categories
        self.negative_weights = negative_weights
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    space_: TableTransformer

    @property
    def order_(self) -> tuple[str, ...]:
        """Columns in the order of the chain."""
        check_is_fitted(self)
        return self._table.names

    def score_samples(
        self, X: TableLike, y: object = None, *, condition: ConditionLike = None, given: Sequence[Any] = ()
    ) -> Array:
        """Logarithm of the density of each row.

        A missing cell of a column that had missing values when fitted is one of its values, with a probability. In
        other columns it is not known, and integrated out: the density is that of the other cells. That is exact, and
        needs all columns after it in :attr:`order_` to be unknown too.

        Parameters
        ----------
        X : table of shape (n, p)
        y : ignored
        condition : table of shape (n, c), optional
            Conditions of the rows, where the model has them.
        given : list of names or column numbers, optional
            The first columns of :attr:`order_`, to get the density of the others given these.

        Returns
        -------
        array of shape (n,)
            In nats; -inf for values that a column cannot have.

        Raises
        ------
        ValueError
            Unknown categories; a cell that is not known before one that is; other columns than the first as ``given``.
        """
        check_is_fitted(self)
        cells = self._cells(X)
        chain = self.model_
        require_integrable(cells.known[:, chain.order], self.order_)
        first = [self.space_.template_.names[j] for j in self._numbers(given, "given")]
        n_given = count_prefix(first, self.order_)
        density: Array = chain.log_density(cells, self._features(condition, len(cells)), n_given)
        return density

    def score(
        self, X: TableLike, y: object = None, *, condition: ConditionLike = None, sample_weight: WeightsLike = None
    ) -> float:
        """Mean logarithm of the density of rows, in nats: larger is better.

        Parameters
        ----------
        X, y, condition
            As in :meth:`score_samples`.
        sample_weight : array of shape (n,), optional
            Event weights.
        """
        density = self.score_samples(X, condition=condition)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(density))
        return float(np.average(density, weights=weights))

    def pit(self, X: TableLike, *, condition: ConditionLike = None, random_state: RandomState = 0) -> Array:
        """Distribution function of each cell given those before it: uniform and independent where the model is right.

        The probability integral transform (Rosenblatt, 1952, doi:10.1214/aoms/1177729394); values that repeat are
        placed at random inside their probability, atoms below values.

        Parameters
        ----------
        X : table of shape (n, p)
        condition : table of shape (n, c), optional
        random_state : None, int or NumPy generator

        Returns
        -------
        array of shape (n, d)
            Columns in the order of the table, without constant ones.
        """
        check_is_fitted(self)
        cells = self._cells(X)
        if not cells.known.all():
            raise ValueError("X has missing values in columns that had none when fitted: fill them, or drop the rows")
        place = EventNoise(seed_from(random_state), 0, _PLACES).uniform(*cells.z.shape)
        ranks: Array = self.model_.pit(cells, place, self._features(condition, len(cells)))
        return ranks

    def sample(
        self,
        n_samples: int = 1,
        *,
        given: Any = None,
        condition: Any = None,
        random_state: Any = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
    ) -> Any:
        """Draw events, as :meth:`buff.BUFF.sample` does.

        Parameters
        ----------
        n_samples : int
            Number of events.
        given : table or mapping, optional
            Values of the first columns of :attr:`order_`, one row or one an event, which come back bit by bit; the
            others are drawn given these.
        condition, random_state, first_event, batch_size, return_condition
            As in :meth:`buff.BUFF.sample`.

        Returns
        -------
        table of shape (n, p)
        """
        check_is_fitted(self)
        if given is None:
            options: dict[str, Any] = {"first_event": first_event, "batch_size": batch_size}
            return super().sample(
                n_samples, condition=condition, random_state=random_state, return_condition=return_condition, **options
            )
        n_samples = check_whole("n_samples", n_samples, 0)
        template = self.space_.template_
        rows = read_given(given, template, n_samples, self._dtypes)
        check_values(rows, self.space_, {j: j for j in range(len(template.names))})
        cells = self._table.cells(rows.arrays, rows.known)
        require_prefix(cells.known[:, self.model_.order], self.order_)
        request, drawn = self._request(len(rows), condition, random_state, first_event, batch_size)

        def draw(batch: SampleRequest) -> tuple[Array, ...]:
            part = slice(batch.first_event - first_event, batch.first_event - first_event + batch.n)
            return rows.take(part).over(tuple(self._table.draw(batch, cells.take(part))))

        events = self._restore(request.map(draw))
        return (events, drawn) if return_condition else events

    def _learn(self, table: TrainingTable) -> None:
        self._seed = seed_from(self.random_state)
        space = TableTransformer(self.schema, categories=self.categories)
        self.space_ = space.fit(table.columns, sample_weight=table.weights)
        settings = chain_settings(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            reg_lambda=self.reg_lambda,
        )
        weights = None if table.weights is None else checked_weights(table.weights, len(table.columns))
        first = None if self.order is None else column_numbers(self.order, self.space_.template_.names, "order")
        options: dict[str, Any] = {"open_ends": True, "order": first, "context": table.features, "weights": weights}
        self._set_table(ChainTable.fit(self.space_, table.columns.arrays, settings, seed=self._seed % 2**31, **options))

    def _set_table(self, table: ChainTable) -> None:
        self._table, self.model_ = table, table.chain
        self._dtypes = {encoder.name: np.dtype(encoder.dtype) for encoder in self.space_.encoders_}
        self._set_schemas()

    def _check_parameters(self) -> None:
        check_growth(self)
        check_resources(self)
        if self.categories == "onehot":
            raise ValueError("categories='onehot' has no density: choose 'similar', 'frequency' or 'lexical'")

    def _numbers(self, columns: Sequence[Any], what: str) -> list[int]:
        return column_numbers(columns, self.space_.template_.names, what)

    def _cells(self, X: TableLike) -> ScoreCells:
        columns = read(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        known = []
        for encoder, values in zip(self.space_.encoders_, columns.arrays, strict=True):
            ranks = getattr(encoder, "ranks", None)
            has_missing = ranks is not None and ranks.missing > 0
            known.append(np.ones(len(values), bool) if has_missing else ~is_missing(values))
        return self._table.cells(columns.arrays, known)

    def _features(self, condition: ConditionLike, n: int) -> Array | None:
        features = self._condition_features(condition)
        if features is not None:
            check_rows(len(features), n)
        return features

    def _draw(self, batch: SampleRequest) -> tuple[tuple[Array, ...], int]:
        return tuple(self._table.draw(batch)), 0

    def trajectory(self, *args: Any, **kwargs: Any) -> Any:
        """Not there: columns are drawn one after the other."""
        raise AttributeError("TreeDensity draws column after column, and has no trajectory")

    def to_archive(self) -> Archive:
        """Everything that makes the fitted model, as JSON, arrays and trees."""
        own = super().to_archive()
        order = self.order
        own.record["parameters"]["order"] = None if order is None else [_plain(column) for column in order]
        part = self._table.to_archive().under("chain")
        return Archive(own.kind, own.record | part.record, {**own.arrays, **part.arrays}, part.blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> TreeDensity:
        """Inverse of :meth:`to_archive`; what does not fit together raises an error."""
        model = restored(cls, archive.record["parameters"])
        model._load(archive)
        model._check_parameters()
        return model

    def _load(self, archive: Archive) -> None:
        super()._load(archive)
        self._set_table(ChainTable.from_archive(self.space_, archive.part("chain")))
        features = None if self._encoder is None else np.zeros((2, self._encoder.n_dims), np.float32)
        self._draw(SampleRequest(2, 0, condition=features))


def _plain(column: Any) -> Any:
    return column if isinstance(column, str) else int(column)
