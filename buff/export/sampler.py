"""Events one by one, for loops that ask for a single event at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.export.packed import check_compilable, outputs_of, pack_sampler, spaces_of
from buff.flows import MixtureModel, SampleRequest
from buff.flows.patterned import PATTERN_STREAM
from buff.protocols import Array
from buff.randomness import stream_key, within_range

__all__ = ["EventSampler"]


class EventSampler:
    """Draws single events of a fitted model, without tables: small, constant, shared by any number of threads.

    Event i is row i of ``model.sample(n, condition=..., random_state=...)``; values in extrapolated tails agree to the
    last digits of the C library. Numbers are numbers; labels are codes, places in :attr:`levels`; NaN is missing.

    Parameters
    ----------
    model : BUFF
        Fitted.
    seed : int

    Attributes
    ----------
    names : tuple of str
        Columns of an event.
    levels : dict from str to tuple
        Labels of the columns that have any.
    condition_names : tuple of str
        Columns of the condition; empty without one.

    Raises
    ------
    ExportError
        The model has a column or a solver that no sampler can do.

    Examples
    --------
    >>> from buff import BUFF
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> gen = BUFF(noise_budget=2_000, random_state=0).fit(X)
    >>> sampler = gen.sampler()
    >>> bool((sampler.draw(7) == gen.sample(8)[7]).all())
    True
    """

    def __init__(self, model: Any, seed: int) -> None:
        check_compilable(model)
        if not hasattr(model, "class_spaces_"):
            raise ExportError(f"{type(model).__name__} has no sampler, it needs rows of a table: export it to C++")
        self._model, self._seed = model, seed
        outputs = outputs_of(model)
        self.names, self.levels = outputs.names, outputs.levels
        encoder = model.condition_encoder_
        self.condition_names: tuple[str, ...] = () if encoder is None else tuple(encoder.names)
        self._codes = [] if encoder is None else [_codes(column) for column in encoder.columns]
        self._raw = pack_sampler(model)
        n_draws = max(own.flow.program.n_draws for own in model.model_.models)
        self._keys = b"".join(stream_key(seed, k) for k in (*range(n_draws + 1), PATTERN_STREAM))
        self._native: Any = None

    def draw(self, event: int, condition: Any = None) -> Array:
        """Values of an event, float64 of shape (p,).

        Parameters
        ----------
        event : int
            Its number, from 0.
        condition : number, label, sequence or mapping, optional
            One value for each column of the condition.

        Raises
        ------
        ValueError
            A condition that is missing, of another length, or has an unknown label.
        """
        values = self._condition(condition)
        module, backend = kernels.chosen()
        if module is None or not kernels.is_exact():
            return self._by_tables(event, values)
        if self._native is None:
            self._native = module.sampler(self._raw)
        out = np.empty(len(self.names))
        module.draw(self._native, backend, self._keys, event, values, out)
        return out

    def _condition(self, condition: Any) -> Array | None:
        if condition is None or not self.condition_names:
            if (condition is None) == bool(self.condition_names):
                wanted = f"needs a condition: {', '.join(self.condition_names)}"
                raise ValueError(f"the model {wanted if self.condition_names else 'takes no condition'}")
            return None
        if isinstance(condition, Mapping):
            condition = [condition.get(name, np.nan) for name in self.condition_names]
        elif isinstance(condition, str | bytes) or np.ndim(condition) == 0:
            condition = (condition,)
        if len(condition) != len(self._codes):
            needed = ", ".join(self.condition_names)
            raise ValueError(f"condition has {len(condition)} values, the model needs {needed}")
        own = np.empty(len(self._codes))
        for j, (value, codes) in enumerate(zip(condition, self._codes, strict=True)):
            own[j] = value if codes is None else self._code(j, value, codes)
        return own

    def _code(self, j: int, value: Any, codes: Mapping[Any, int]) -> float:
        if value is None or value != value:
            return float("nan")
        if value not in codes:
            raise ValueError(
                f"condition {self.condition_names[j]} has no level {value!r}: it is one of {', '.join(map(str, codes))}"
            )
        return codes[value]

    def _by_tables(self, event: int, values: Array | None) -> Array:
        """One event, drawn by the tables of the model instead of the kernels."""
        model, k, features = self._model, 0, None
        if values is not None:
            features = _features(model.condition_encoder_, self._codes, values)
        if isinstance(model.model_, MixtureModel):
            classes = model.model_.classes
            k, features = int(classes.numbers(features)[0]), classes.rest(features)
        own, encoders = model.model_.models[k], spaces_of(model)[k]
        request = SampleRequest(1, self._seed, event, features).batch(0, 1)
        scores = own.draw(request)
        scores, _ = within_range(scores.astype(np.float32) if isinstance(model.model_, MixtureModel) else scores)
        arrays = model.relations_.restore(list(_decoded(encoders, scores)))
        coded = zip(arrays, self.names, strict=True)
        return np.array([_number(array, self.levels.get(name)) for array, name in coded])

    def __reduce__(self) -> Any:
        return EventSampler, (self._model, self._seed)


def _codes(column: Any) -> dict[Any, int] | None:
    """Codes of labels; None for numbers."""
    return None if column.is_number else {level: k for k, level in enumerate(column.levels)}


def _features(encoder: Any, codes: Any, values: Array) -> Array:
    parts = []
    for column, own, value in zip(encoder.columns, codes, values, strict=True):
        if own is None:
            parts.append(column.ranks.encode(np.array([value])))
            continue
        labels: Array = np.empty(1, object)
        labels[0] = None if np.isnan(value) else list(own)[int(value)]
        parts.append(column.encode(labels)[0])
    return np.concatenate(parts).astype(np.float32)[None]


def _decoded(encoders: Any, scores: Array) -> Any:
    stop = 0
    for encoder in encoders:
        start, stop = stop, stop + len(encoder.names)
        yield encoder.decode(scores[:, start:stop])


def _number(array: Array, levels: tuple[Any, ...] | None) -> float:
    """The only value of an array: the code of a label, NaN where missing."""
    value = array[0]
    if array.dtype.kind in "mM":
        return float("nan") if np.isnat(value) else float(value.view(np.int64))
    if value is None or value != value:
        return float("nan")
    return float(value if levels is None else levels.index(value))
