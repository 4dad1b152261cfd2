"""A flow of its own for each class of events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from buff.flows.cost import NodeRecords
from buff.flows.model import FlowModel
from buff.flows.patterned import PatternedFlow
from buff.grids import TimeGrid
from buff.protocols import Array, Indices
from buff.randomness import SampleRequest, ScoreModel
from buff.records import checked_array, checked_list, checked_record, joined, nested, require
from buff.solvers import Solver

__all__ = ["Classes", "MixtureModel"]


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that a condition sorts events into.

    Attributes
    ----------
    features : float32 array of shape (k, c)
        Condition of each class.
    names : tuple of str
    columns : tuple of int
        Features of a condition that tell the class, c of them; the flows take the others as their condition. None:
        all tell it.

    Examples
    --------
    >>> classes = Classes(np.array([[0.0], [1.0]]), ("gluon", "top"))
    >>> classes.numbers(np.array([[1.0], [1.0], [0.0]])).tolist()
    [1, 1, 0]
    """

    features: Array
    names: tuple[str, ...]
    columns: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def numbers(self, condition: Array) -> Indices:
        """Number of the class of each row of features (n, c).

        Raises
        ------
        ValueError
            A combination of features that no class has.
        """
        condition = condition[:, list(self.columns)] if self.columns else condition
        number = np.full(len(condition), -1)
        for k, features in enumerate(self.features):
            number[(condition == features).all(axis=1)] = k
        if (number < 0).any():
            raise ValueError(
                f"row {number.argmin()} of condition is a combination of labels that the training did not have; it had "
                f"{'; '.join(self.names)}: fit with classes='together' to learn what they share"
            )
        return number

    def rest(self, condition: Array) -> Array | None:
        """Features that do not define the class; None if there are none."""
        return np.delete(condition, self.columns, axis=1) if self.columns else None

    def completed(self, n_features: int) -> Array:
        """A whole condition of each class, (k, n_features): 0 where it does not tell the class."""
        if not self.columns:
            return self.features
        require(0 <= min(self.columns) <= max(self.columns) < n_features, "classes name features that there are not")
        condition = np.zeros((len(self), n_features), np.float32)
        condition[:, list(self.columns)] = self.features
        return condition


@dataclass(frozen=True, eq=False)
class MixtureModel(ScoreModel):
    """``p(x | k)`` for each class k, by a flow that has seen no other class: the protocol of :class:`FlowModel`.

    Scores of class k are the first ``models[k].n_dims`` of a row; the others are 0.

    Attributes
    ----------
    classes : Classes
    models : tuple of FlowModel or PatternedFlow
        In the order of the classes, without condition, or with what of it does not tell the class.

    Examples
    --------
    >>> from buff.flows import FlowSettings, fit_flow
    >>> rng, settings = np.random.default_rng(0), FlowSettings(n_steps=4, noise_budget=5_000)
    >>> flows = [fit_flow(rng.standard_normal((500, 1)) + mean, settings, seed=0) for mean in (0, 5)]
    >>> mixture = MixtureModel(Classes(np.array([[0.0], [1.0]]), ("low", "high")), tuple(flows))
    >>> x = mixture.sample(SampleRequest(4, seed=0, condition=np.array([[0.0], [1.0], [1.0], [0.0]])))
    >>> (x[:, 0] > 2.5).tolist()
    [False, True, True, False]
    """

    classes: Classes
    models: tuple[FlowModel | PatternedFlow, ...]

    #: Why there is no velocity of the scores, and no map from events back to noise.
    no_field: ClassVar[str] = "a model with a condition has coordinates of its own for each: fit one without"
    no_latents: ClassVar[str] = "each class has a flow of its own: fit with classes='together' for latents"

    def solved_by(self, solver: Solver | None, grid: TimeGrid | None) -> "MixtureModel":
        """The same models, each with another solver or grid."""
        return replace(self, models=tuple(model.solved_by(solver, grid) for model in self.models))

    @property
    def n_dims(self) -> int:
        """Scores of the class that has most."""
        return max(model.n_dims for model in self.models)

    @property
    def seed(self) -> int:
        """Of the training of the first class."""
        return self.models[0].seed

    @property
    def records(self) -> NodeRecords:
        """Those of all models, labelled by their class."""
        named = zip(self.classes.names, self.models, strict=True)
        return NodeRecords(replace(record, label=name) for name, model in named for record in model.records)

    def class_subset(self, batch: SampleRequest) -> list[tuple[FlowModel | PatternedFlow, Indices, SampleRequest]]:
        """Models that have events in a request, each with the rows and the part of the request that are its own."""
        condition = np.asarray(batch.condition)
        numbers = self.classes.numbers(condition)
        present = np.unique(numbers)
        rows = [np.flatnonzero(numbers == k) for k in present]
        requests = replace(batch, condition=self.classes.rest(condition)).split(rows)
        return list(zip((self.models[k] for k in present), rows, requests, strict=True))

    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events, at once; its conditions are features of classes."""
        parts = self.class_subset(batch)
        return self._together(batch.n, parts, [model.draw(part) for model, _, part in parts])

    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at once, at the start and after every step."""
        parts = self.class_subset(request.batch(0, request.n))
        walks = (model.trajectory(part) for model, _, part in parts)
        return (self._together(request.n, parts, states) for states in zip(*walks, strict=True))

    def _together(self, n: int, parts: list[Any], scores: Any) -> Array:
        x = np.zeros((n, self.n_dims), np.float32)
        for (_, rows, _), drawn in zip(parts, scores, strict=True):
            x[rows, : drawn.shape[1]] = drawn
        return x

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, named arrays, and trees."""
        parts = {f"class_{k}": model.to_arrays() for k, model in enumerate(self.models)}
        record: dict[str, Any] = {"classes": self.classes.names, "models": [part[0] for part in parts.values()]}
        if self.classes.columns:
            record["class_columns"] = list(self.classes.columns)
        arrays, blobs = (joined({name: part[i] for name, part in parts.items()}) for i in (1, 2))
        return record, {**arrays, "classes": self.classes.features}, blobs

    @classmethod
    def from_arrays(
        cls, record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str = "cpu"
    ) -> "MixtureModel":
        """Inverse of :meth:`to_arrays`, for a device; what the record of a model lacks is that of the whole."""
        checked_record(record, "a mixture", ("classes", "models"))
        checked_record(arrays, "a mixture", ["classes"])
        names = checked_list(record["classes"], "classes", str)
        features = checked_array(arrays["classes"], "classes", (len(names), None))
        require(len(names) > 0, "a mixture has no classes")
        columns = checked_list(record.get("class_columns", []), "class_columns", int)
        require(not columns or len(columns) == features.shape[1], "classes and the features that tell them differ")
        classes = Classes(features, tuple(names), tuple(columns))
        records = checked_list(record["models"], "models", dict, len(names))
        parts = ((f"class_{k}", {**record, **own}) for k, own in enumerate(records))
        models = (
            PatternedFlow.from_arrays(own, nested(arrays, name), nested(blobs, name), device) for name, own in parts
        )
        return cls(classes, tuple(models))
