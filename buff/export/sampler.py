"""Events one by one, for loops that ask for a single event at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from buff import kernels
from buff.export.orders import restore_orders, restored_orders
from buff.export.packed import check_compilable, coded_levels, flow_of, models_of, pack_sampler, spaces_of
from buff.flows import MixtureModel, SampleRequest
from buff.flows.compiled import program_of, stream_key
from buff.flows.patterned import PATTERN_STREAM
from buff.protocols import Array
from buff.transforms.encoders import ConstantEncoder, IndicatorEncoder, LevelEncoder, NumberEncoder

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
        self._model, self._seed = model, seed
        self.names = tuple(e.name for e in model.space_.encoders_)
        self.levels = {e.name: own for e in model.space_.encoders_ if (own := coded_levels(e))}
        encoder = model.condition_encoder_
        self.condition_names: tuple[str, ...] = () if encoder is None else tuple(encoder.names)
        self._codes = [] if encoder is None else [_codes(column) for column in encoder.columns]
        self._raw = pack_sampler(model)
        n_draws = max(program_of(flow_of(own)).n_draws for own in models_of(model))
        self._keys = b"".join(stream_key(seed, k) for k in (*range(n_draws + 1), PATTERN_STREAM))
        self._orders = restored_orders(model)
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
        module = kernels.native()
        if module is None or not kernels.is_exact():
            return self._by_tables(event, values)
        if self._native is None:
            self._native = module.sampler(self._raw)
        out = np.empty(len(self.names))
        module.draw(self._native, kernels.number(), self._keys, event, values, out)
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
        """The same without kernels."""
        model, k, features = self._model, 0, None
        if values is not None:
            features = _features(model.condition_encoder_, self._codes, values)
        if isinstance(model.model_, MixtureModel):
            k, features = int(model.model_.classes.numbers(features)[0]), None
        own, encoders = models_of(model)[k], spaces_of(model)[k]
        request = SampleRequest(1, self._seed, event, features).batch(0, 1)
        scores = own.draw(request)
        scores = request.within(scores.astype(np.float32) if isinstance(model.model_, MixtureModel) else scores)
        values = np.array(list(_values(encoders, self.levels, scores)), np.float64)
        restore_orders(self._orders, values)
        return values

    def __reduce__(self) -> Any:
        return EventSampler, (self._model, self._seed)


def _codes(column: Any) -> dict[Any, int] | None:
    """Codes of labels; None for numbers."""
    if isinstance(column, NumberEncoder):
        return None
    return {level: k for k, level in enumerate(coded_levels(column))}


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


def _values(encoders: Any, levels: Mapping[str, tuple[Any, ...]], scores: Array) -> Any:
    stop = 0
    for encoder in encoders:
        start, stop = stop, stop + len(encoder.names)
        own = scores[:, start:stop]
        if isinstance(encoder, LevelEncoder):
            code = encoder.ranks.decode(own[:, 0])[0]
            yield np.nan if np.isnan(code) else levels[encoder.name].index(encoder.levels[int(code)])
        elif isinstance(encoder, IndicatorEncoder):
            best = int(np.argmax(own[0]))
            yield levels[encoder.name].index(encoder.levels[best]) if best < len(encoder.levels) else np.nan
        elif isinstance(encoder, ConstantEncoder):
            known = encoder.value is not None
            labels = levels.get(encoder.name)
            yield (labels.index(encoder.value) if labels else float(encoder.value)) if known else np.nan
        else:
            value = encoder.decode(own)[0]
            absent = np.dtype(encoder.dtype).kind in "mM" and np.isnat(value)
            yield np.nan if absent else value.view(np.int64) if np.dtype(encoder.dtype).kind in "mM" else value
