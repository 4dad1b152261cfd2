"""Classes of rows that get flows of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from buff.archive import Archive
from buff.flows import (
    Classes,
    CostEstimate,
    FlowMatchingData,
    FlowModel,
    MixtureModel,
    PatternedData,
    PatternedFlow,
    SampleRequest,
)
from buff.generators.parameters import FlowEstimator, train_rows
from buff.generators.persistence import pack
from buff.protocols import Array, ConditionLike, Indices, Numbers, Scores, WeightsLike
from buff.randomness import seed_from
from buff.records import nested
from buff.tables import Columns
from buff.transforms import ConditionEncoder, TableTransformer
from buff.transforms.conditions import read_any

__all__ = ["CLASSES", "ClassEstimator", "find_classes", "gather", "total_cost"]

#: Ways to treat a condition of labels.
CLASSES = ("auto", "apart", "together")
#: More classes than this, or classes of fewer rows, learn from each other: on jets that helps below 2,000 rows.
_MOST, _FEWEST = 20, 2000
_LABELS = ("categorical", "boolean", "constant")


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

    def _rows(
        self, space: TableTransformer, columns: Columns, features: Numbers | None, sample_weight: WeightsLike
    ) -> FlowMatchingData | PatternedData:
        """Rows of a table as scores, with the source they start from."""
        raise NotImplementedError

    def _class_subsets(
        self, classes: Classes, columns: Columns, features: Numbers, sample_weight: WeightsLike
    ) -> Iterator[tuple[TableTransformer, FlowMatchingData | PatternedData]]:
        """Ranks and scores of the rows of each class, whose columns have the kinds that all rows show."""
        numbers, schema = classes.numbers(features), self.space_.schema_
        for k in range(len(classes)):
            rows = numbers == k
            weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
            part = columns.take(rows)
            space = self._new_space(part, weights, schema)
            yield space, self._rows(space, part, None, weights)

    def _learn_classes(self, classes: Classes, columns: Columns, features: Numbers, sample_weight: WeightsLike) -> None:
        """A flow for each class."""
        self._seed = seed_from(self.random_state)
        seed = None if self.random_state is None else self._seed
        settings, spaces, flows = replace(self.flow_settings, verbose=0), [], []
        parts = self._class_subsets(classes, columns, features, sample_weight)
        for space, data in tqdm(parts, "classes", len(classes), unit="class", disable=not self.verbose):
            spaces.append(space)
            flows.append(train_rows(data, settings, **self._margins(space, data), seed=seed))
        self._class_spaces = tuple(spaces)
        self._set_model(MixtureModel(classes, tuple(flows)), total_cost(flows))

    def _decode_classes(self, scores: Scores, batch: SampleRequest) -> tuple[Array, ...]:
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


def gather(rows: list[Indices], parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Columns of all events from those of each class, whose rows are given."""
    back = np.argsort(np.concatenate(rows))
    return tuple(np.concatenate(values)[back] for values in zip(*parts, strict=True))


def total_cost(flows: Sequence[FlowModel | PatternedFlow]) -> CostEstimate:
    """What all flows cost together."""
    return CostEstimate.combined([flow.cost for flow in flows if flow.cost is not None])
