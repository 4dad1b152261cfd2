"""A model of its own for each class of a condition of labels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from tqdm import tqdm

from buff.flows import CostEstimate, Nodes, SampleRequest
from buff.protocols import Array, Indices
from buff.tables import Columns, Schema
from buff.transforms import ConditionEncoder
from buff.transforms.conditions import read_any

__all__ = ["CLASSES", "Classes", "MixtureModel", "find_classes"]

#: Ways to treat a condition of labels.
CLASSES = ("auto", "apart", "together")
#: More classes than this, or classes of fewer rows, learn from each other: on jets that helps below 2,000 rows.
_MOST, _FEWEST = 20, 2000
_LABELS = ("categorical", "boolean", "constant")


@dataclass(frozen=True)
class Classes:
    """The classes that a condition sorts rows into.

    Attributes
    ----------
    features : float32 array of shape (k, c)
        What the encoder makes of the condition of each class.
    names : tuple of str
    """

    features: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def of(self, condition: Array) -> Indices:
        """Number of the class of each row of features (n, c).

        Raises
        ------
        ValueError
            A combination of labels that no row of the training had.
        """
        number = np.full(len(condition), -1)
        for k, own in enumerate(self.features):
            number[(condition == own).all(axis=1)] = k
        if (number < 0).any():
            raise ValueError(
                f"row {number.argmin()} of condition is a combination of labels that the training did not have; it had "
                f"{'; '.join(self.names)}: fit with classes='together' to learn what they share"
            )
        return number


def find_classes(
    choice: str, encoder: ConditionEncoder | None, condition: Any, features: Array | None, weights: Array | None
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


@dataclass(frozen=True)
class MixtureModel:
    """A fitted model for each class: ranks, base and trees that no other class bends.

    Attributes
    ----------
    classes : Classes
    models : tuple of BUFF
        Without condition, in the order of the classes.
    """

    classes: Classes
    models: tuple[Any, ...]

    @classmethod
    def fit(
        cls, whole: Any, classes: Classes, columns: Columns, features: Array, weights: Array | None, seed: int | None
    ) -> "MixtureModel":
        """One model a class, with the parameters of ``whole`` and the columns that it has found."""
        numbers, models = classes.of(features), []
        for k in tqdm(range(len(classes)), desc="classes", unit="class", disable=not whole.verbose):
            model, rows, own = _part(whole, columns, weights, numbers == k, seed)
            model._fit_rows(rows, None, own)
            models.append(model)
        return cls(classes, tuple(models))

    @staticmethod
    def plan(whole: Any, classes: Classes, columns: Columns, features: Array, weights: Array | None) -> CostEstimate:
        """What :meth:`fit` would cost."""
        numbers, plans = classes.of(features), []
        for k in range(len(classes)):
            model, rows, own = _part(whole, columns, weights, numbers == k, 0)
            plans.append(model._plan(model._data(rows, None, own)))
        return CostEstimate.combined(plans)

    @property
    def nodes(self) -> Nodes:
        """The records of all models, with their class."""
        named = zip(self.classes.names, self.models, strict=True)
        return Nodes(replace(node, label=name) for name, model in named for node in model.nodes_)

    def batches(self, request: SampleRequest) -> Iterator[tuple[Array, ...]]:
        """Columns of events, in order."""
        return self._numbered(request).map(self._draw)

    def trajectory(self, request: SampleRequest) -> Iterator[tuple[Array, ...]]:
        """Columns of all events at the start and after every step."""
        parts = self._parts(self._numbered(request).batch(0, request.n))
        walks = (map(m.space_.decode, m._flow.trajectory(part)) for m, part in parts)
        return (_in_order([part.chosen for _, part in parts], states) for states in zip(*walks, strict=True))

    def _draw(self, batch: SampleRequest) -> tuple[Array, ...]:
        parts = self._parts(batch)
        drawn = [m.space_.decode(m._flow.draw(part)) for m, part in parts]
        return _in_order([part.chosen for _, part in parts], drawn)

    def _numbered(self, request: SampleRequest) -> SampleRequest:
        return replace(request, condition=self.classes.of(request.condition)[:, None])

    def _parts(self, batch: SampleRequest) -> list[tuple[Any, SampleRequest]]:
        """The models that have events to draw, each with its part of the request."""
        numbers, bare = np.asarray(batch.condition)[:, 0], replace(batch, condition=None)
        rows = [np.flatnonzero(numbers == k) for k in range(len(self.models))]
        return [(m, bare.choose(chosen)) for m, chosen in zip(self.models, rows, strict=True) if len(chosen)]


def _part(
    whole: Any, columns: Columns, weights: Array | None, mine: Array, seed: int | None
) -> tuple[Any, Columns, Array | None]:
    """A model like ``whole`` for some of the rows, these rows and their weights."""
    model = clone(whole).set_params(classes="together", schema=_pinned(whole.space_.schema_), verbose=0)
    if seed is not None:
        model.set_params(random_state=seed)
    model._encoder, model.n_features_in_ = None, whole.n_features_in_
    return model, columns.take(mine), None if weights is None else np.asarray(weights)[mine]


def _pinned(schema: Schema) -> dict[str, dict[str, Any]]:
    """What all rows have shown of the columns, whatever those of one class look like."""
    keys = ("kind", "lower", "upper", "tails", "order")
    known = ({key: getattr(column, key) for key in keys} for column in schema)
    return {c.name: own for c, own in zip(schema, known, strict=True) if c.kind != "constant"}


def _in_order(rows: Any, parts: Any) -> tuple[Array, ...]:
    """Columns of all events from those of each class."""
    back = np.argsort(np.concatenate(rows))
    return tuple(np.concatenate(values)[back] for values in zip(*parts, strict=True))
