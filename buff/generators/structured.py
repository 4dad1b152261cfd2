"""Tables with a structure: relations between columns, ids, values of their own, classes of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive, nested
from buff.flows import Classes, FlowMatchingData, MixtureModel, PatternedData, SampleRequest, Source
from buff.generators.base import EventGenerator
from buff.generators.parameters import FlowEstimator
from buff.generators.persistence import pack
from buff.protocols import Array, ConditionLike, Indices, Numbers, RandomState, Scores, TableLike, WeightsLike
from buff.tables import Columns, Schema
from buff.tables.reduction import TableReduction
from buff.tables.relations import Relations
from buff.transforms import ConditionEncoder, TableTransformer
from buff.transforms.atoms import atoms_of
from buff.transforms.conditions import read_any

__all__ = [
    "ATOMS",
    "CLASSES",
    "ClassEstimator",
    "StructuredGenerator",
    "find_classes",
    "gather",
    "pinned_schema",
    "rows_as_scores",
]

#: Ways to draw which columns sit on a value of their own.
ATOMS = ("together", "apart")
#: Ways to treat a condition of labels.
CLASSES = ("auto", "apart", "together")
#: More classes than this, or classes of fewer rows, learn from each other: on jets that helps below 2,000 rows.
_MOST, _FEWEST = 20, 2000
_LABELS = ("categorical", "boolean", "constant")


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

    def _read(
        self, X: TableLike, condition: ConditionLike, sample_weight: WeightsLike
    ) -> tuple[Columns, Array | None, Any]:
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

    def trajectory(
        self, n_samples: int = 1, *, condition: ConditionLike = None, random_state: RandomState = None
    ) -> Iterator[Any]:
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
    features: Numbers | None,
    sample_weight: WeightsLike,
    *,
    together: bool,
    source: Source,
) -> FlowMatchingData | PatternedData:
    """The rows of a table as scores, with the source they start from; with their patterns where there are atoms."""
    x1 = space.bounds(columns)
    if together and space.has_atoms:
        atoms = [own.intervals for own in atoms_of(space)]
        patterned = PatternedData.of(x1, atoms, features, sample_weight, source)
        if patterned is not None:
            return patterned
    return FlowMatchingData.of(x1, features, sample_weight, source)


def find_classes(
    choice: str,
    encoder: ConditionEncoder | None,
    condition: ConditionLike,
    features: Numbers | None,
    weights: Array | None,
) -> Classes | None:
    """The classes that get models of their own; None where all rows share one.

    Raises
    ------
    ValueError
        Unknown choice, or classes that cannot be told apart: without condition, of numbers, of a single row.
    """
    if choice not in CLASSES:
        raise ValueError(f"classes must be one of {', '.join(CLASSES)}; found {choice!r}")
    if choice == "together" or (choice == "auto" and encoder is None):
        return None
    if encoder is None or features is None:
        raise ValueError("classes='apart' needs a condition of labels: pass condition= or leave classes at 'auto'")
    numbers = [column.name for column in encoder.schema if column.kind not in _LABELS]
    if numbers and choice == "auto":
        return None
    if numbers:
        raise ValueError(f"classes='apart' needs labels, and the condition has the numbers {numbers}: use 'auto'")
    levels, first, number = np.unique(features, axis=0, return_index=True, return_inverse=True)
    sizes = np.bincount(number.ravel(), None if weights is None else np.asarray(weights) > 0)
    if choice == "auto" and not (1 < len(levels) <= _MOST and sizes.min() >= _FEWEST):
        return None
    columns, _ = read_any(condition)
    names = tuple(", ".join(str(values[i]) for values in columns.arrays) for i in first)
    if sizes.min() < 2:
        rarest = names[int(sizes.argmin())]
        raise ValueError(f"classes='apart' needs two rows of each class, found {sizes.min():.0f} of {rarest}")
    return Classes(levels, names)


class ClassEstimator(FlowEstimator):
    """An estimator in which classes may have ranks of their own."""

    #: The map between table and normal scores of each class; none where all share one.
    _class_spaces: tuple[TableTransformer, ...] = ()

    def _decode(self, scores: Scores, batch: SampleRequest) -> tuple[Array, ...]:
        if not isinstance(self.model_, MixtureModel):
            return super()._decode(scores, batch)
        classes, parts = self.model_.classes.numbers(np.asarray(batch.condition)), []
        rows = [np.flatnonzero(classes == k) for k in np.unique(classes)]
        for k, own in zip(np.unique(classes), rows, strict=True):
            space = self._class_spaces[k]
            parts.append(space.decode(scores[own, : space.n_dims_]))
        return gather(rows, parts)

    def to_archive(self) -> Archive:
        archive = super().to_archive()
        spaces, arrays = pack({f"class_{k}/space": space for k, space in enumerate(self._class_spaces)})
        for model, space in zip(archive.record.get("models", []), spaces.values(), strict=True):
            model["space"] = space
        return replace(archive, arrays={**archive.arrays, **arrays})

    def _load(self, archive: Archive) -> None:
        super()._load(archive)
        self._class_spaces = tuple(
            TableTransformer.from_arrays(part["space"], nested(archive.arrays, f"class_{k}/space"))
            for k, part in enumerate(archive.record.get("models", []))
        )


def pinned_schema(schema: Schema) -> dict[str, dict[str, Any]]:
    """What all rows have shown of the columns, whatever those of one class look like."""
    keys = ("kind", "lower", "upper", "tails", "order")
    known = ({key: getattr(column, key) for key in keys} for column in schema)
    return {c.name: own for c, own in zip(schema, known, strict=True) if c.kind != "constant"}


def gather(rows: list[Indices], parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Columns of all events from those of each class, whose rows are given."""
    back = np.argsort(np.concatenate(rows))
    return tuple(np.concatenate(values)[back] for values in zip(*parts, strict=True))
