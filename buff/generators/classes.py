"""Classes of rows that get flows of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.archive import Archive
from buff.errors import warn
from buff.flows import Classes, CostEstimate, FlowModel, PatternedFlow, SampleRequest
from buff.generators.contracts import TrainingTable
from buff.generators.persistence import pack
from buff.protocols import Array, ConditionLike, Indices, Numbers, Scores
from buff.records import nested
from buff.tables.kinds import KINDS
from buff.transforms import ConditionEncoder, TableTransformer
from buff.transforms.conditions import read_any

__all__ = [
    "CLASSES",
    "class_tables",
    "decode_classes",
    "find_classes",
    "gather",
    "stored_spaces",
    "total_cost",
    "with_spaces",
]

#: Ways to treat a condition of labels.
CLASSES = ("auto", "apart", "together")
#: More classes than this, or classes of fewer rows, learn from each other: on jets that helps below 2,000 rows.
_MOST, _FEWEST = 20, 2000
#: Below this share of the largest, and from so many rows on, a small class learns more from itself alone.
_UNEVEN, _LEAST = 0.25, 50


def find_classes(
    choice: str | Sequence[str],
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

    Warns
    -----
    Notice
        A small class shares a model with others that are much larger.
    """
    named = _checked_choice(choice)
    if choice == "together" or (choice == "auto" and encoder is None):
        return None
    if encoder is None or features is None:
        raise ValueError(f"classes={choice!r} needs a condition of labels: pass condition= or leave classes at 'auto'")
    unknown = [name for name in named if name not in encoder.names]
    if unknown:
        raise ValueError(f"classes names {unknown[0]!r}, no column of the condition; these are {list(encoder.names)}")
    numbers = [column.name for column in encoder.schema if KINDS[column.kind].is_number]
    mixed = choice == "auto" and bool(numbers)
    groups = None if mixed else _grouped(encoder, condition, features, weights, named or encoder.names)
    if groups is None or (choice == "auto" and not groups.stand_apart):
        _warn_of_shared_trees(_grouped(encoder, condition, features, weights, _telling(encoder)))
        return None
    if odd := [name for name in groups.columns if name in numbers]:
        labels = [name for name in encoder.names if name not in numbers]
        raise ValueError(f"classes='apart' needs labels, and {odd} are numbers: name columns of labels, of {labels}")
    if groups.sizes.min() < 2:
        rarest = groups.names[int(groups.sizes.argmin())]
        raise ValueError(f"classes={choice!r} needs two rows of each class, found {groups.sizes.min():.0f} of {rarest}")
    return groups.classes


def _checked_choice(choice: Any) -> list[str]:
    """The columns that are named, if there are any."""
    if isinstance(choice, list | tuple) and choice and all(isinstance(name, str) for name in choice):
        return list(choice)
    if choice not in CLASSES:
        raise ValueError(f"classes must be one of {', '.join(CLASSES)} or columns of the condition; found {choice!r}")
    return []


@dataclass(frozen=True, eq=False)
class _Groups:
    """Rows by the labels of some columns of the condition."""

    classes: Classes
    columns: tuple[str, ...]
    #: Those of each class, by the columns.
    labels: tuple[tuple[str, ...], ...]
    #: Rows of each that have a weight.
    sizes: Array

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes.names

    @property
    def uneven(self) -> bool:
        """Whether a class is so small that trees fitted to all rows would hardly learn it."""
        return bool(self.sizes.min() < min(_FEWEST, _UNEVEN * self.sizes.max()))

    @property
    def stand_apart(self) -> bool:
        """Whether each class gets trees of its own: with rows enough, or fewer where classes are uneven."""
        smallest = self.sizes.min()
        return 1 < len(self.sizes) <= _MOST and bool(smallest >= _FEWEST or (self.uneven and smallest >= _LEAST))


def _grouped(
    encoder: ConditionEncoder, condition: ConditionLike, features: Numbers, weights: Array | None, names: Sequence[str]
) -> _Groups:
    columns, _ = read_any(condition)
    places = [j for j, name in enumerate(encoder.names) if name in names]
    ends = np.cumsum([0, *(len(column.names) for column in encoder.columns)])
    telling = [int(i) for j in places for i in range(ends[j], ends[j + 1])]
    levels, first, number = np.unique(features[:, telling], axis=0, return_index=True, return_inverse=True)
    sizes = np.bincount(number.ravel(), None if weights is None else np.asarray(weights) > 0, minlength=len(levels))
    labels = tuple(tuple(str(columns.arrays[j][i]) for j in places) for i in first)
    whole = len(telling) == features.shape[1]
    names = tuple(encoder.names[j] for j in places)
    classes = Classes(levels, tuple(map(", ".join, labels)), () if whole else tuple(telling))
    return _Groups(classes, names, labels, sizes)


def _telling(encoder: ConditionEncoder) -> list[str]:
    """Columns of labels that together make few classes, those of fewest labels first."""
    pairs = zip(encoder.columns, encoder.schema, strict=True)
    levels = {
        column_encoder.name: len(getattr(column_encoder, "levels", ()))
        for column_encoder, column in pairs
        if not KINDS[column.kind].is_number
    }
    chosen, product = [], 1
    for name in sorted(levels, key=levels.__getitem__):
        product *= max(levels[name], 2)
        if product <= _MOST:
            chosen.append(name)
    return chosen


def _warn_of_shared_trees(groups: _Groups) -> None:
    """Say that a small class shares its trees."""
    if len(groups.sizes) < 2 or not groups.uneven:
        return
    k = int(groups.sizes.argmin())
    words = ", ".join(f"{name}={label}" for name, label in zip(groups.columns, groups.labels[k], strict=True))
    whole = not groups.classes.columns
    remedy = (
        "classes='apart' (--classes apart)"
        if whole
        else f"classes={list(groups.columns)} (--classes {','.join(groups.columns)})"
    )
    warn(
        f"condition {words} has {groups.sizes[k]:.0f} rows and shares its trees with larger classes: narrow shapes of "
        f"those can leak into it; {remedy} gives it its own"
    )


def class_tables(classes: Classes, table: TrainingTable) -> Iterator[TrainingTable]:
    """The rows of each class, with the features of their condition that do not define the class."""
    assert table.features is not None
    numbers, rest = classes.numbers(table.features), classes.rest(table.features)
    for k in range(len(classes)):
        rows = numbers == k
        weights = None if table.weights is None else np.asarray(table.weights)[rows]
        yield TrainingTable(table.columns.take(rows), None if rest is None else rest[rows], None, weights)


def decode_classes(
    classes: Classes, spaces: Sequence[TableTransformer], scores: Scores, batch: SampleRequest
) -> tuple[Array, ...]:
    """Columns of scores, those of each class by its own space."""
    numbers, parts = classes.numbers(np.asarray(batch.condition)), []
    rows = [np.flatnonzero(numbers == k) for k in np.unique(numbers)]
    for k, chosen in zip(np.unique(numbers), rows, strict=True):
        parts.append(spaces[k].decode(scores[chosen, : spaces[k].n_dims_]))
    return gather(rows, parts)


def with_spaces(archive: Archive, spaces: Sequence[TableTransformer]) -> Archive:
    """An archive with the spaces of classes, each in the record of its model."""
    records, arrays = pack({f"class_{k}/space": space for k, space in enumerate(spaces)})
    for model, record in zip(archive.record.get("models", []), records.values(), strict=True):
        model["space"] = record
    return replace(archive, arrays={**archive.arrays, **arrays})


def stored_spaces(archive: Archive) -> tuple[TableTransformer, ...]:
    """Inverse of :func:`with_spaces`."""
    return tuple(
        TableTransformer.from_arrays(part["space"], nested(archive.arrays, f"class_{k}/space"))
        for k, part in enumerate(archive.record.get("models", []))
    )


def gather(rows: list[Indices], parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Columns of all events from those of each class, whose rows are given."""
    back = np.argsort(np.concatenate(rows))
    return tuple(np.concatenate(values)[back] for values in zip(*parts, strict=True))


def total_cost(flows: Sequence[FlowModel | PatternedFlow]) -> CostEstimate:
    """What all flows cost together."""
    return CostEstimate.combined([flow.cost for flow in flows if flow.cost is not None])
