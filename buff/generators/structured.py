"""Generators of tables whose columns have to do with each other: relations, ids, atoms, conditions by name."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive
from buff.flows import FlowMatchingData, PatternedData, SampleRequest, Source
from buff.generators.base import EventGenerator
from buff.protocols import Array
from buff.tables import Columns
from buff.tables.reduction import TableReduction
from buff.tables.relations import Relations
from buff.transforms import TableTransformer
from buff.transforms.atoms import atoms_of
from buff.transforms.scores import score_bounds

__all__ = ["ATOMS", "StructuredGenerator", "rows_as_scores"]

#: Ways to draw which columns sit on a value of their own.
ATOMS = ("together", "apart")


class StructuredGenerator(EventGenerator):
    """An event generator that learns what its columns do not tell each other.

    Attributes
    ----------
    relations_ : Relations
        Exact relations between the columns, with the number of rows in which they were seen; prints as a table.
    """

    relations: Any
    atoms: str
    _reduction: TableReduction

    @property
    def relations_(self) -> Relations:
        """Exact relations between columns that generated rows keep."""
        check_is_fitted(self)
        return self._reduction.relations

    @relations_.setter
    def relations_(self, relations: Relations) -> None:
        self._reduction = self._reduction.with_relations(relations)

    @property
    def _schema_overrides(self) -> Any:
        return self._reduction.overrides(self.schema)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.atoms not in ATOMS:
            raise ValueError(f"atoms must be one of {', '.join(ATOMS)}, found {self.atoms!r}")

    def _read(self, X: Any, condition: Any, sample_weight: Any) -> tuple[Columns, Array | None, Any]:
        columns, features, weights = super()._read(X, condition, sample_weight)
        self._reduction = TableReduction.of(columns, self.schema, self.relations)
        return self._reduction.reduce(columns), features, weights

    def _draw(self, batch: SampleRequest) -> tuple[Array, ...]:
        return self._restored(super()._draw(batch), batch)

    def _restored(self, columns: tuple[Array, ...], batch: SampleRequest) -> tuple[Array, ...]:
        """All columns, from those that are learned."""
        return self._reduction.restore(columns, batch.n, seed=batch.seed, first_event=batch.first_event)

    def _restore(self, pieces: Iterable[tuple[Array, ...]]) -> Any:
        if self._reduction.template is None:
            return super()._restore(pieces)
        nothing = np.empty((0, self.space_.n_dims_), np.float32)
        parts = list(pieces) or [self._reduction.restore(self.space_.decode(nothing), 0, seed=0)]
        return self._reduction.template.restore(tuple(np.concatenate(v) for v in zip(*parts, strict=True)))

    def trajectory(self, n_samples: int = 1, *, condition: Any = None, random_state: Any = None) -> Iterator[Any]:
        """The events of :meth:`sample` on their way from noise to data: a table at the start and after every step."""
        check_is_fitted(self)
        request, _ = self._request(n_samples, condition, random_state)
        batch = request.batch(0, request.n)
        template = self._reduction.template or self.space_.template_
        for scores in self.model_.trajectory(request):
            yield template.restore(self._restored(self._decode(scores, batch), batch))

    def _set_schemas(self) -> None:
        super()._set_schemas()
        self.schema_ = self._reduction.schema or self.schema_

    def to_archive(self) -> Archive:
        archive = super().to_archive()
        if not self._reduction.trivial:
            archive.record["reduction"] = self._reduction.to_dict()
        return archive

    def _load(self, archive: Archive) -> None:
        self._reduction = TableReduction.from_dict(archive.record.get("reduction"))
        super()._load(archive)


def rows_as_scores(
    space: TableTransformer,
    columns: Columns,
    features: Array | None,
    sample_weight: Any,
    *,
    together: bool,
    source: Source,
) -> FlowMatchingData | PatternedData:
    """The rows of a table as scores, with the source they start from; with their patterns where there are atoms."""
    x1 = score_bounds(space, columns)
    if together:
        atoms = [own.intervals for own in atoms_of(space)]
        patterned = PatternedData.of(x1, atoms, features, sample_weight, source)
        if patterned is not None:
            return patterned
    return FlowMatchingData.of(x1, features, sample_weight, source)
