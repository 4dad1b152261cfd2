"""Rows of which any cells are given: a chain of columns beside the flow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive
from buff.chains import ChainCost
from buff.errors import check_whole, warn
from buff.flows import SampleRequest
from buff.generators.base import EventGenerator
from buff.generators.chain_table import ChainTable, chain_settings
from buff.generators.contracts import TrainingTable
from buff.generators.given import GivenTable, check_values, read_given
from buff.generators.given_relations import complete, require_inputs
from buff.protocols import Array, Indices, RandomState
from buff.records import nested
from buff.tables import Columns
from buff.tables.frames import with_index
from buff.tables.kinds import ASIDE
from buff.transforms import TableTransformer
from buff.transforms.condition_values import value_of_text
from buff.transforms.encoders import ColumnEncoder
from buff.transforms.transformer import checked_weights

__all__ = ["AnyGiven"]


class AnyGiven(EventGenerator):
    """A generator that also draws rows of which any cells are given."""

    categories: str
    tails: str
    bandwidth: float
    _chain: ChainTable | None = None

    def _sample_given(
        self,
        given: object,
        n_samples: int,
        *,
        condition: Any,
        random_state: RandomState,
        first_event: int,
        batch_size: int | None,
        return_condition: bool,
    ) -> Any:
        """Rows of which some cells are known: see :meth:`buff.BUFF.sample`."""
        check_is_fitted(self)
        if self._chain is None:
            raise ValueError("given needs a model that learned any columns as given: BUFF(given='any').fit(X)")
        rows = self._given_rows(given, check_whole("n_samples", n_samples, 0))
        request, drawn = self._request(len(rows), condition, random_state, first_event, batch_size)
        broken: list[int] = []

        def draw(batch: SampleRequest) -> tuple[Array, ...]:
            start = batch.first_event - first_event
            columns, off = self._complete(batch, rows.take(slice(start, start + batch.n)))
            broken.append(int(np.count_nonzero(off)))
            return columns

        events = with_index(self._restore(request.map(draw)), given)
        if sum(broken):
            warn(
                f"in {sum(broken)} of {len(rows)} rows no draw kept the relations of the columns given what is given: "
                f"see relations_, and whether the given cells contradict them"
            )
        return (events, drawn) if return_condition else events

    @property
    def given_encoders(self) -> dict[str, ColumnEncoder]:
        """Encoders of the columns that rows may give, by name; none without ``given="any"``."""
        check_is_fitted(self)
        return {} if self._chain is None else {encoder.name: encoder for encoder in self._chain.space.encoders_}

    def parse_given(self, texts: Mapping[str, str]) -> dict[str, Array]:
        """Given cells of one row, from text, by the kinds of the columns of the training.

        Raises
        ------
        ValueError
            Unknown columns, and text that is no value of its column.
        """
        encoders = self.given_encoders
        for name in texts:
            if name not in encoders:
                raise ValueError(f"the model has no column {name!r}; its columns are {list(encoders)}")
        return {name: value_of_text(name, encoders[name], text, "given") for name, text in texts.items()}

    def _fit_chain(self, table: TrainingTable) -> ChainTable:
        """The chain of conditional distributions of all columns that have one."""
        columns, space, weights = self._chain_rows(table)
        options: dict[str, Any] = {"context": table.features, "weights": weights, "seed": self._seed % 2**31}
        return ChainTable.fit(space, columns.arrays, chain_settings(any_given=True), open_ends=False, **options)

    def _chain_cost(self, table: TrainingTable) -> ChainCost:
        """What :meth:`_fit_chain` would cost."""
        columns, space, _ = self._chain_rows(table)
        return ChainTable.cost(space, columns.arrays, chain_settings(any_given=True), table.features)

    def _chain_rows(self, table: TrainingTable) -> tuple[Columns, TableTransformer, Array | None]:
        """Columns of the chain, their scores, and weights."""
        columns = self._chain_columns(table.columns)
        weights = None if table.weights is None else checked_weights(table.weights, len(columns))
        categories = "similar" if self.categories == "onehot" else self.categories
        space = TableTransformer(self._chain_schema(columns), categories=categories, tails=self.tails)
        space.set_params(bandwidth=self.bandwidth).fit(columns, sample_weight=weights)
        return columns, space, weights

    def _chain_columns(self, columns: Columns) -> Columns:
        """All columns that have a distribution."""
        if pair := next((r for r in self._reduction.relations if r.replaced), None):
            raise ValueError(f"given='any' knows no {pair}: leave one of them out")
        if self._reduction.trivial:
            return columns
        in_chain = [name in self._reduction.names and name not in self._reduction.ids for name in columns.names]
        return columns.select([j for j, chained in enumerate(in_chain) if chained])

    def _chain_schema(self, columns: Columns) -> Mapping[str, Any] | None:
        if not isinstance(self.schema, Mapping):
            return self.schema
        specs = {}
        for name, spec in self.schema.items():
            kind = spec.get("kind") if isinstance(spec, Mapping) else spec
            if name in columns.names and kind not in ASIDE:
                specs[name] = spec
        return specs

    def _given_rows(self, given: object, n_samples: int) -> GivenTable:
        assert self._chain is not None
        space, template = self._chain.space, self._template
        dtypes = {encoder.name: np.dtype(encoder.dtype) for encoder in space.encoders_}
        dtypes |= dict.fromkeys(self._reduction.ids, np.dtype(object))
        rows = read_given(given, template, n_samples, dtypes)
        check_values(rows, space, dict(enumerate(self._chain_numbers)))
        if len(self._reduction.relations):
            require_inputs(self._reduction.relations, dict(zip(template.names, rows.known, strict=True)))
        return rows

    @property
    def _chain_numbers(self) -> list[int]:
        """Numbers of the columns of the chain in the table that comes back."""
        assert self._chain is not None
        names = self._template.names
        return [names.index(name) for name in self._chain.space.template_.names]

    def _complete(self, batch: SampleRequest, rows: GivenTable) -> tuple[tuple[Array, ...], Array]:
        """All columns of one batch, and which rows break a relation."""
        assert self._chain is not None
        numbers = self._chain_numbers
        cells_given = GivenTable(*(tuple(part[i] for i in numbers) for part in (rows.arrays, rows.known)))
        cells = self._chain.cells(cells_given.arrays, cells_given.known)

        def draw(chosen: Indices | None, attempt: int) -> list[Array]:
            assert self._chain is not None
            if chosen is None:
                return self._chain.draw(batch, cells)
            return self._chain.draw(batch.choose(chosen), cells.take(chosen), attempt=attempt)

        names = self._chain.space.template_.names
        columns, broken = complete(cells_given, draw, self._reduction.relations, names)
        if self._reduction.trivial:
            return tuple(columns), broken
        found = dict(zip(names, columns, strict=True))
        for name, ids in self._reduction.ids.items():
            found[name] = ids.fresh(batch.n, batch.first_event, seed=batch.seed, column=name)
        return rows.over(tuple(found[name] for name in self._reduction.names)), broken

    def to_archive(self) -> Archive:
        """Everything that makes the fitted model, as JSON, arrays and trees."""
        archive = super().to_archive()
        if self._chain is None:
            return archive
        part = self._chain.to_archive().under("given")
        space, arrays = self._chain.space.to_arrays()
        arrays = {f"given_space/{key}": values for key, values in arrays.items()}
        record = archive.record | part.record | {"given_space": space}
        return Archive(
            archive.kind, record, {**archive.arrays, **part.arrays, **arrays}, {**archive.blobs, **part.blobs}
        )

    def _load(self, archive: Archive) -> None:
        blobs = {k: v for k, v in archive.blobs.items() if not k.startswith("given/")}
        super()._load(Archive(archive.kind, archive.record, archive.arrays, blobs))
        self._chain = None
        if "given" in archive.record:
            space = TableTransformer.from_arrays(archive.record["given_space"], nested(archive.arrays, "given_space"))
            self._chain = ChainTable.from_archive(space, archive.part("given"))
            check = GivenTable(*(tuple(np.zeros(2, bool) for _ in space.encoders_) for _ in range(2)))
            features = None if self._encoder is None else np.zeros((2, self._encoder.n_dims), np.float32)
            self._chain.draw(SampleRequest(2, 0, condition=features), self._chain.cells(check.arrays, check.known))
