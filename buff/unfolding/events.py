"""Simulated and measured events, checked at the door and put on axes that trees and flows can use."""

from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from buff.preprocessing import Columns, RankSpace, read
from buff.protocols import Array

__all__ = ["Simulation", "checked_flags", "event_weights", "passing_rows", "row_count"]

#: Fewer events than this teach nothing.
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Simulation:
    """Simulated events that pass a selection at truth level, at detector level, or both.

    Rows are ordered as matched (pass both), missed (truth only); fakes (detector only) stand apart.

    Attributes
    ----------
    truth : Columns
        Of matched, then missed events.
    reco : Columns
        Of matched events, then fakes.
    weights : array of shape (matched + missed,)
    fake_weights : array of shape (fakes,)
    truth_space, reco_space : RankSpace
        Normal scores of both tables.
    truth_scores, reco_scores : float32 arrays
        Features of the rows of ``truth`` and ``reco``.
    """

    truth: Columns
    reco: Columns
    weights: Array
    fake_weights: Array
    truth_space: RankSpace
    reco_space: RankSpace
    truth_scores: Array
    reco_scores: Array

    @property
    def n_matched(self) -> int:
        """Events that pass both selections."""
        return len(self.reco) - len(self.fake_weights)

    @property
    def matched_weights(self) -> Array:
        """Weights of the events that pass both selections."""
        return self.weights[: self.n_matched]

    @classmethod
    def of(
        cls, truth: Any, reco: Any, pass_truth: Any = None, pass_reco: Any = None, sample_weight: Any = None
    ) -> "Simulation":
        """Events of two tables whose rows of one number are one event.

        What stands in a row that fails the selection of its table is never looked at.

        Raises
        ------
        ValueError, TypeError
            Tables of unequal length, no event that passes both selections, values missing in rows that pass,
            weights that are negative or sum to zero.
        """
        n = row_count(truth, "truth")
        if row_count(reco, "reco") != n:
            raise ValueError(f"truth has {n} rows, reco {row_count(reco, 'reco')}: row i of both must be event i")
        in_truth = checked_flags(pass_truth, n, "pass_truth")
        in_reco = checked_flags(pass_reco, n, "pass_reco")
        w = event_weights(sample_weight, n, "sample_weight")
        both = in_truth & in_reco
        _require_events(both, in_truth, in_reco)
        matched, missed, fake = (np.flatnonzero(rows) for rows in (both, in_truth & ~both, in_reco & ~both))
        event_weights(w[matched], len(matched), "sample_weight of the events that pass both selections")
        of_truth, of_reco = np.concatenate([matched, missed]), np.concatenate([matched, fake])
        seen, truth_space = _opened(truth, of_truth, w, "truth")
        found, reco_space = _opened(reco, of_reco, w, "reco")
        scores = truth_space.transform(seen), reco_space.transform(found)
        return cls(seen, found, w[of_truth], w[fake], truth_space, reco_space, *scores)

    def resampled(self, rng: np.random.Generator) -> "Simulation":
        """The same events with weights times Poisson numbers of mean 1: another simulation of the same size."""
        weights, fakes = (w * rng.poisson(1.0, len(w)) for w in (self.weights, self.fake_weights))
        return replace(self, weights=weights, fake_weights=fakes)

    def measured(self, reco: Any, name: str) -> Columns:
        """A table of measured events with the columns of the simulated ones, none missing."""
        template = self.reco_space.template_
        columns = _complete(reco, name)
        named = columns.template.is_frame and template.is_frame
        if named and set(columns.names) == set(template.names):
            columns = columns.select([columns.names.index(column) for column in template.names])
        if len(columns.names) != len(template.names) or (named and columns.names != template.names):
            raise ValueError(
                f"{name} has the columns {list(columns.names)}, the simulated reco {list(template.names)}: "
                f"give the same columns"
            )
        return columns


def row_count(table: Any, name: str) -> int:
    """Rows of any container."""
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if not hasattr(frame, "__len__"):
        raise TypeError(f"{name} must be a table, found {type(table).__name__}")
    return len(frame)


def checked_flags(flags: Any, n: int, name: str) -> Array:
    """One boolean an event; None stands for all.

    Raises
    ------
    ValueError
        Another length, or values that are neither true nor false.
    """
    if flags is None:
        return np.ones(n, bool)
    values = np.asarray(flags)
    if values.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one flag an event, found {values.shape}")
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        odd = values[~np.isin(values, (0, 1))][0]
        raise ValueError(f"{name} must hold booleans, found {odd!r}: give one true or false an event")
    return values.astype(bool)


def event_weights(weights: Any, n: int, name: str) -> Array:
    """Weights of n events, float64; None stands for ones.

    Raises
    ------
    ValueError
        Another length, weights that are not finite or negative, a sum that is not positive.
    """
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, np.float64)
    if w.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one weight an event, found {w.shape}")
    if not np.isfinite(w).all():
        n_odd = np.count_nonzero(~np.isfinite(w))
        raise ValueError(f"{name} holds {n_odd} values that are not finite: drop those rows")
    if w.sum() <= 0:
        raise ValueError(f"{name} sums to {w.sum():g}: the sum of the weights must be positive")
    if (w < 0).any():
        raise ValueError(
            f"{name} has {np.count_nonzero(w < 0)} negative values, the first {w[w < 0][0]:g}: "
            f"buff.weights.positive_weights makes positive ones of these; events to be subtracted are background"
        )
    return w


def passing_rows(table: Any, rows: Array) -> Any:
    """Rows of any container, in the order asked for."""
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        taken = frame[rows.tolist()]
        return taken if frame is table else taken.to_native()
    if isinstance(table, list | tuple):
        return [table[i] for i in rows]
    return table[rows]


def _require_events(both: Array, in_truth: Array, in_reco: Array) -> None:
    if both.sum() < _FEWEST:
        raise ValueError(
            f"{both.sum()} of {len(both)} events pass both selections (pass_truth {in_truth.sum()}, pass_reco "
            f"{in_reco.sum()}): at least {_FEWEST} are needed; look at pass_truth and pass_reco"
        )


def _opened(table: Any, rows: Array, w: Array, name: str) -> tuple[Columns, RankSpace]:
    """Some of the rows, and the normal scores that belong to them."""
    columns = _complete(passing_rows(table, rows), name)
    return columns, RankSpace().fit(columns, sample_weight=w[rows])


def _complete(table: Any, name: str) -> Columns:
    """Columns without a missing value."""
    columns = read(table)
    for label, values in zip(columns.names, columns.arrays, strict=True):
        missing = _missing(values)
        if missing.any():
            raise ValueError(
                f"{name}: column {label!r} lacks {missing.sum()} values in events that pass the selection, the first "
                f"in event {np.flatnonzero(missing)[0]} of those: only events that fail it may have gaps"
            )
    return columns


def _missing(values: Array) -> Array:
    if values.dtype.kind in "fmM":
        return np.asarray(values != values)
    if values.dtype.kind == "O":
        return np.array([value is None or value != value for value in values])
    return np.zeros(len(values), bool)
