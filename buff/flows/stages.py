"""Stages: conditional flows that build an event step by step, with noise that belongs to its elements.

An event is made in stages. In each, a model draws the targets of many elements (splittings of jets, cells of showers)
at once, given a context that earlier stages decide. What element j of event i becomes must not depend on which other
elements are drawn with it: its noise is that of (event, stage, element).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff import kernels
from buff.flows.arrays import fit_flow
from buff.flows.fit import FlowSettings
from buff.flows.model import FlowModel
from buff.protocols import Array
from buff.randomness import EventNoise, stream_key

__all__ = ["Stage", "StageNoise"]

#: Standardised context beyond which there is nothing to tell.
_FARTHEST = 30.0
#: 64-bit words that one tick of the generator yields.
_WORDS = 4


@dataclass(frozen=True, eq=False)
class StageNoise:
    """Standard normal numbers of events, stages and elements.

    Parameters
    ----------
    seed : int
    events : int array of shape (n,), rising
        Numbers of the events of a batch.
    stream : int
        First stream of random numbers that the stages take, one each.

    Examples
    --------
    >>> noise = StageNoise(7, np.array([3, 4, 9])).draw(stage=1, n_elements=5, d=2)
    >>> noise.shape
    (3, 5, 2)
    >>> bool((StageNoise(7, np.array([9])).draw(stage=1, n_elements=5, d=2) == noise[2:]).all())
    True
    """

    seed: int
    events: Array
    stream: int = 0

    def draw(self, stage: int, n_elements: int, d: int) -> Array:
        """Float32 array of shape (n, n_elements, d)."""
        if not len(self.events):
            return np.empty((0, n_elements, d), np.float32)
        first = int(self.events[0])
        chosen = np.asarray(self.events) - first
        if (noise := self._compiled(stage, self.events, n_elements * d)) is None:
            whole = len(chosen) == chosen[-1] + 1
            noise = EventNoise(self.seed, first, self.stream + stage, None if whole else chosen).normal(
                len(chosen), n_elements * d
            )
        return noise.reshape(len(chosen), n_elements, d)

    def of(self, stage: int, rows: Array, elements: Array, n_elements: int, d: int) -> Array:
        """Those of some elements of the events ``rows`` of the batch, ``draw(...)[rows, elements]``: (len(rows), d)."""
        # an event's words fill whole ticks of the generator: an element's are in some of them, one after another
        ticks, first, n = -(-n_elements * d // _WORDS), elements * d, (d + 2 * (_WORDS - 1)) // _WORDS
        blocks = (self.events[rows] * ticks + first // _WORDS)[:, None] + np.arange(n)
        if (noise := self._compiled(stage, blocks.ravel(), _WORDS)) is not None:
            words = noise.reshape(len(rows), n * _WORDS)
            return np.take_along_axis(words, (first % _WORDS)[:, None] + np.arange(d), axis=1)
        some, place = np.unique(rows, return_inverse=True)
        return replace(self, events=self.events[some]).draw(stage, n_elements, d)[place, elements]

    def _compiled(self, stage: int, events: Array, d: int) -> Array | None:
        """Noise (n, d) by the kernels; None without them."""
        module = kernels.native()
        if module is None or not kernels.is_exact():
            return None
        out, chosen = np.empty((len(events), d), np.float32), np.ascontiguousarray(events, np.int64)
        if out.size:
            module.normal(kernels.number(), stream_key(self.seed, self.stream + stage), 0, chosen, d, out)
        return out


@dataclass(frozen=True, eq=False)
class Stage:
    """A flow of normal scores given a context.

    Attributes
    ----------
    model : FlowModel
    center, scale : float64 arrays of shape (c,)
        Of the context that it was fitted to.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> context = rng.normal(5.0, 2.0, (500, 1))
    >>> scores = ((context - 5.0) / 2.0 + 0.1 * rng.standard_normal((500, 1))).astype(np.float32)
    >>> stage = Stage.fit(scores, context, FlowSettings(n_steps=4, noise_budget=5_000), seed=0)
    >>> drawn = stage.draw(np.full((200, 1), 9.0), rng.standard_normal((200, 1)))
    >>> bool(abs(drawn.mean() - 2) < 0.2)
    True
    """

    model: FlowModel
    center: Array
    scale: Array

    @classmethod
    def fit(
        cls,
        scores: Array | tuple[Array, Array],
        context: Array,
        settings: FlowSettings,
        *,
        sample_weight: Array | None = None,
        seed: int | None = None,
    ) -> "Stage":
        """Learn scores (n, d), or pairs (low, high) of them, given context (n, c): see :func:`fit_flow`.

        Trees may single out rows of the context here: other than a measurement that names its event, a context is
        shared by many elements like it.
        """
        center, scale = context.mean(axis=0), np.maximum(context.std(axis=0), 1e-9)
        free = {"min_split_loss": 0.0, "max_bin": settings.trees.max_bin}
        trees = replace(settings.trees, tree_params=free | dict(settings.trees.tree_params))
        condition = _standardised(context, center, scale)
        model = fit_flow(
            scores, replace(settings, trees=trees), condition=condition, sample_weight=sample_weight, seed=seed
        )
        return cls(model, center, scale)

    def draw(self, context: Array, noise: Array) -> Array:
        """Scores of elements with context (n, c) from their noise (n, d)."""
        condition = _standardised(context, self.center, self.scale)
        return self.model.transport(np.ascontiguousarray(noise, np.float32), condition)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """A JSON-serialisable record, named arrays, and trees."""
        record, arrays, blobs = self.model.to_arrays()
        return record, {**arrays, "center": self.center, "spread": self.scale}, blobs

    @classmethod
    def from_arrays(
        cls, record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str = "cpu"
    ) -> "Stage":
        """Inverse of :meth:`to_arrays`."""
        return cls(FlowModel.from_arrays(record, arrays, blobs, device), arrays["center"], arrays["spread"])


def _standardised(context: Array, center: Array, scale: Array) -> Array:
    z = context - center
    z /= scale
    return np.clip(z, -_FARTHEST, _FARTHEST, out=z).astype(np.float32, order="C")
