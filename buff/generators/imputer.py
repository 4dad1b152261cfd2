"""BUFFImputer: missing cells drawn from their distribution given the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, write_archive
from buff.errors import check_growth, check_resources, check_whole
from buff.estimator import BaseEstimator, TransformerMixin
from buff.flows import SampleRequest
from buff.generators.chain_table import ChainTable, chain_settings
from buff.generators.given import GivenTable
from buff.generators.given_relations import complete
from buff.generators.imputed import center_of_draws, in_container, warn_of_broken_relations
from buff.generators.persistence import restored, to_json
from buff.generators.pooling import PooledEstimate, pool_estimates
from buff.protocols import Array, Indices, Numbers, RandomState, TableLike, Weights, WeightsLike
from buff.randomness import sampling_seed, seed_from
from buff.records import nested
from buff.tables import Columns, read, validate_data
from buff.tables.columns import is_missing
from buff.tables.empty_columns import with_kinds
from buff.tables.relations import Relations
from buff.tables.relations.gaps import relations_in_gaps
from buff.transforms import TableTransformer
from buff.transforms.transformer import checked_weights

__all__ = ["BUFFImputer"]

#: What cells are filled with.
FILLS = ("draw", "center")
#: Streams between two imputations, more than any has.
_APART = 64


class BUFFImputer(TransformerMixin, BaseEstimator):
    """Fill missing cells by draws from their joint distribution given the cells that are there.

    Learns each column given any others: a chain of boosted conditional distributions, whose columns take a random part
    of the others as known (see :class:`buff.TreeDensity`). The missing cells of a row are drawn one after the other,
    each given all that are known then, so that they go together. Tables with missing cells are learned in rounds: from
    the second on, the cells that are told (never those that are learned) are those drawn in the round before, as in
    stochastic expectation maximisation. Cells have to be missing at random given the others (Rubin, 1976).

    Parameters
    ----------
    n_imputations : int
        Tables that :meth:`impute` returns, and draws behind a center.
    fill : {"draw", "center"}
        What :meth:`transform` fills in: a draw, or the median (of categories, the most frequent) of ``n_imputations``
        draws.
    n_rounds : int
        Rounds of learning, if cells are missing when fitted; a round is two to four boosted fits for each column.
    n_estimators, max_depth, learning_rate, reg_lambda
        As in :class:`buff.TreeDensity`.
    schema : mapping, optional
        Kinds, bounds and orders of columns that are known better: see :func:`buff.tables.infer_schema`.
    categories : {"similar", "frequency", "lexical"}
        How categories are ordered.
    relations : "auto", list of relations or None
        Exact relations of columns (:mod:`buff.tables.relations`) that filled cells keep: ``"auto"`` finds them in
        complete rows, a list states some. Cells that the others tell are computed, those that only bound each other are
        drawn until they agree.
    n_jobs : int or None
        Threads of drawing; None is 1, -1 all cores. Never changes a cell.
    random_state : None, int or NumPy generator
        Of the training and of draws.

    Attributes
    ----------
    space_ : TableTransformer
    relations_ : Relations
    n_features_in_ : int
    feature_names_in_ : array of str
        For tables with names.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=1000)
    >>> X[::5, 1] = np.nan
    >>> imputer = BUFFImputer(random_state=0)
    >>> filled = imputer.fit_transform(X)
    >>> bool(np.isnan(filled).any()), bool(abs(np.corrcoef(filled.T)[0, 1] - 0.9) < 0.03)
    (False, True)
    """

    def __init__(
        self,
        n_imputations: int = 5,
        *,
        fill: str = "draw",
        n_rounds: int = 2,
        n_estimators: int = 60,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        reg_lambda: float = 200.0,
        schema: Mapping[str, Any] | None = None,
        categories: str = "similar",
        relations: Any = "auto",
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.n_imputations = n_imputations
        self.fill = fill
        self.n_rounds = n_rounds
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.reg_lambda = reg_lambda
        self.schema = schema
        self.categories = categories
        self.relations = relations
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: WeightsLike = None) -> Self:
        """Learn the columns given any others.

        Parameters
        ----------
        X : table of shape (n, p)
            NumPy array, or data frame of pandas, polars, pyarrow ...; missing cells are welcome.
        y : ignored
        sample_weight : array of shape (n,), optional
            Nonnegative.

        Raises
        ------
        ValueError, TypeError
            A column without any value; parameters that are off; a row that breaks a stated relation.
        """
        self._check_parameters()
        columns = read(X, min_rows=2)
        validate_data(self, X, skip_check_array=True)
        known = [~is_missing(values) for values in columns.arrays]
        for name, there in zip(columns.names, known, strict=True):
            if not there.any():
                raise ValueError(f"column {name!r} has no values: nothing can be filled in, drop it")
        weights = None if sample_weight is None else checked_weights(sample_weight, len(columns))
        space = TableTransformer(self.schema, categories=self.categories).fit(columns, sample_weight=weights)
        self.space_ = space.without_missing()
        bounded = [name for name, own in (self.schema or {}).items() if isinstance(own, Mapping)]
        self.relations_ = relations_in_gaps(columns, known, self.relations, bounded)
        self._seed = seed_from(self.random_state)
        self._table = self._learn(columns, known, weights)
        return self

    def transform(self, X: Any) -> Any:
        """The table with its missing cells filled, in its own container; other cells come back bit by bit.

        Parameters
        ----------
        X : table of shape (n, p)
            Of the training, or new rows.

        Returns
        -------
        table of shape (n, p)
            Lists come back as an array; frames of pandas keep their index.

        Raises
        ------
        ValueError, TypeError
            Other columns than those of the fit, categories that were not seen.

        Warns
        -----
        UserWarning
            Rows for which no draw kept the relations of the columns.
        """
        columns, known = self._read(X)
        if all(there.all() for there in known):
            return in_container(X, columns, columns.arrays)
        if self.fill == "draw":
            return in_container(X, columns, self._drawn(columns, known, None, 1)[0])
        draws = self._drawn(columns, known, None, int(self.n_imputations))
        middle = [
            center_of_draws(encoder, np.stack(values))
            for encoder, values in zip(self.space_.encoders_, zip(*draws, strict=True), strict=True)
        ]
        rows = GivenTable(columns.arrays, tuple(known))
        filled, _ = complete(rows, lambda *_: middle, self.relations_, columns.names, attempts=1)
        return in_container(X, columns, filled)

    def impute(self, X: TableLike, n_imputations: int | None = None, *, random_state: RandomState = None) -> list[Any]:
        """Several tables, each with missing cells drawn anew: their scatter is what is not known.

        Parameters
        ----------
        X : table of shape (n, p)
        n_imputations : int, optional
            By default as the parameter of the estimator.
        random_state : None, int or NumPy generator
            None takes the estimator's.

        Returns
        -------
        list of tables of shape (n, p)
        """
        columns, known = self._read(X)
        m = check_whole("n_imputations", self.n_imputations if n_imputations is None else n_imputations, 1)
        return [in_container(X, columns, filled) for filled in self._drawn(columns, known, random_state, m)]

    @staticmethod
    def pool(estimates: Numbers, variances: Numbers) -> PooledEstimate:
        """One estimate with its uncertainty from those of imputed tables: :func:`buff.generators.pool_estimates`."""
        return pool_estimates(estimates, variances)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the columns, as they went in."""
        check_is_fitted(self)
        return np.array(self.space_.template_.names, dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the imputer to one file that :func:`buff.load` reads: no pickle, no training rows."""
        check_is_fitted(self)
        write_archive(path, self.to_archive())

    def to_archive(self) -> Archive:
        """Everything that makes the fitted imputer, as JSON, arrays and trees."""
        space, arrays = self.space_.to_arrays()
        part = self._table.to_archive().under("chain")
        record = part.record | {"space": space, "parameters": to_json(self.get_params()), "entropy": str(self._seed)}
        record["relations"] = self.relations_.to_dict()
        own = {f"space/{key}": values for key, values in arrays.items()}
        return Archive(type(self).__name__, record, {**part.arrays, **own}, part.blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> Self:
        """Inverse of :meth:`to_archive`; what does not fit together raises an error."""
        model = restored(cls, archive.record["parameters"])
        model._check_parameters()
        model.space_ = TableTransformer.from_arrays(archive.record["space"], nested(archive.arrays, "space"))
        model.n_features_in_ = model.space_.n_features_in_
        if hasattr(model.space_, "feature_names_in_"):
            model.feature_names_in_ = model.space_.feature_names_in_
        model._seed = int(archive.record["entropy"])
        model.relations_ = Relations.from_dict(archive.record["relations"])
        model._table = ChainTable.from_archive(model.space_, archive.part("chain"))
        model._table.draw(SampleRequest(2, 0))
        return model

    def _check_parameters(self) -> None:
        check_whole("n_imputations", self.n_imputations, 1)
        check_whole("n_rounds", self.n_rounds, 1)
        check_growth(self)
        check_resources(self)
        if self.fill not in FILLS:
            raise ValueError(f"fill must be one of {', '.join(FILLS)}, found {self.fill!r}")
        if self.categories == "onehot":
            raise ValueError("categories='onehot' is not for imputation: choose 'similar', 'frequency' or 'lexical'")

    def _learn(self, columns: Columns, known: list[Array], weights: Weights | None) -> ChainTable:
        settings = chain_settings(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            reg_lambda=self.reg_lambda,
            any_given=True,
        )
        options: dict[str, Any] = {"open_ends": False, "weights": weights, "seed": self._seed % 2**31}
        table = ChainTable.fit(self.space_, columns.arrays, settings, known=known, **options)
        learned = np.column_stack(known)
        if learned.all():
            return table
        for i in range(1, int(self.n_rounds)):
            self._table = table
            told, _ = self._draw(columns, known, self._seed, -i)
            table = ChainTable.fit(self.space_, told, settings, learned=learned, **options)
        return table

    def _read(self, X: TableLike) -> tuple[Columns, list[Array]]:
        check_is_fitted(self)
        columns = read(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        columns = with_kinds(columns, self.space_.template_, [np.dtype(e.dtype) for e in self.space_.encoders_])
        return columns, [~is_missing(values) for values in columns.arrays]

    def _drawn(self, columns: Columns, known: list[Array], random_state: RandomState, m: int) -> list[list[Array]]:
        """Columns of m imputations; warns once of rows whose relations no draw kept."""
        seed = sampling_seed(random_state, self.random_state, self._seed)
        draws, broken = zip(*(self._draw(columns, known, seed, i) for i in range(m)), strict=True)
        warn_of_broken_relations(np.concatenate(broken), int((~np.logical_and.reduce(known)).sum()))
        return list(draws)

    def _draw(self, columns: Columns, known: list[Array], seed: int, number: int) -> tuple[list[Array], Indices]:
        """Columns with open cells drawn by imputation ``number``, below 0 in training; rows that break a relation."""
        open_rows = np.flatnonzero(~np.logical_and.reduce(known))
        if not len(open_rows):
            return list(columns.arrays), open_rows
        rows = GivenTable(columns.arrays, tuple(known)).take(open_rows)
        cells = self._table.cells(rows.arrays, rows.known)
        stream = (number + _APART) * _APART
        request = SampleRequest(len(columns), seed, stream=stream, n_jobs=self.n_jobs).choose(open_rows)
        numbers = np.zeros(len(columns), np.intp)
        numbers[open_rows] = np.arange(len(open_rows))

        def fill(batch: SampleRequest) -> tuple[list[Array], Array]:
            assert batch.chosen is not None
            own = numbers[batch.chosen]

            def draw(chosen: Indices | None, attempt: int) -> list[Array]:
                if chosen is None:
                    return self._table.draw(batch, cells.take(own))
                return self._table.draw(batch.choose(chosen), cells.take(own[chosen]), attempt=attempt)

            return complete(rows.take(own), draw, self.relations_, columns.names)

        pieces, broken = zip(*request.map(fill), strict=True)
        drawn = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        filled = [a.astype(np.result_type(a, new)) for a, new in zip(columns.arrays, drawn, strict=True)]
        for values, new in zip(filled, drawn, strict=True):
            values[open_rows] = new
        return filled, open_rows[np.concatenate(broken)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags
