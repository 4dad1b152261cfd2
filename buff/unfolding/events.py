"""Simulated and measured events, checked at the door and put on axes that trees and flows can use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from buff.protocols import Array, FlagsLike, Integers, Mask, TableLike, WeightsLike
from buff.tables import Columns, read
from buff.tables.columns import is_missing
from buff.tables.opening import recognised
from buff.transforms import TableTransformer
from buff.unfolding.event_weights import EventWeights, checked_weights
from buff.unfolding.features import features
from buff.unfolding.support import Neighbours, refuse_unknown

__all__ = ["Simulation", "checked_flags", "passing_rows", "read_named", "row_count"]

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
    of_kind : tuple of three EventWeights
        Of matched events, missed ones and fakes.
    truth_space, reco_space : TableTransformer
        Normal scores of both tables.
    truth_scores, reco_scores : float32 arrays
        Features of the rows of ``truth`` and ``reco``, see :mod:`buff.unfolding.features`.
    weighted : bool
        Whether weights were given.
    """

    truth: Columns
    reco: Columns
    of_kind: tuple[EventWeights, EventWeights, EventWeights]
    truth_space: TableTransformer
    reco_space: TableTransformer
    truth_scores: Array
    reco_scores: Array
    weighted: bool = True

    @cached_property
    def neighbours(self) -> Neighbours:
        """Of the rows of ``reco``."""
        return Neighbours.of(self.reco)

    @property
    def n_matched(self) -> int:
        """Events that pass both selections."""
        return len(self.matched_weights)

    @property
    def weights(self) -> Array:
        """Weights of the rows of ``truth``, none negative."""
        return np.concatenate([kind.values for kind in self.of_kind[:2]])

    @property
    def matched_weights(self) -> Array:
        """Weights of the events that pass both selections."""
        return self.of_kind[0].values

    @property
    def fake_weights(self) -> Array:
        """Weights of the events that pass at detector level only."""
        return self.of_kind[2].values

    @classmethod
    def of(
        cls,
        truth: TableLike,
        reco: TableLike,
        pass_truth: FlagsLike | None = None,
        pass_reco: FlagsLike | None = None,
        sample_weight: WeightsLike = None,
        negative_weights: str = "error",
    ) -> "Simulation":
        """Events of two tables whose rows of one number are one event.

        What stands in a row that fails the selection of its table is never looked at.

        Raises
        ------
        ValueError, TypeError
            Tables of unequal length, no event that passes both selections, values missing in rows that pass, no column
            with two values, weights that sum to zero, or negative ones without a policy for them.
        """
        n = _paired_rows(truth, reco)
        in_truth = checked_flags(pass_truth, n, "pass_truth")
        in_reco = checked_flags(pass_reco, n, "pass_reco")
        w = checked_weights(sample_weight, n, "sample_weight", negative_weights)
        both = in_truth & in_reco
        _require_events(both, in_truth, in_reco)
        kinds = [np.flatnonzero(rows) for rows in (both, in_truth & ~both, in_reco & ~both)]
        matched, missed, fake = kinds
        what = "sample_weight of the events that pass both selections"
        checked_weights(w[matched], len(matched), what, negative_weights)
        seen = _passing(truth, np.concatenate([matched, missed]), "truth")
        found = _passing(reco, np.concatenate([matched, fake]), "reco")
        first, rest = slice(len(matched)), slice(len(matched), None)
        tables = ((seen.take(first), found.take(first)), (seen.take(rest),), (found.take(rest),))
        a, b, c = (EventWeights.of(w[rows], of, negative_weights) for rows, of in zip(kinds, tables, strict=True))
        truth_space = TableTransformer(bandwidth=0).fit(seen, sample_weight=np.concatenate([a.values, b.values]))
        reco_space = TableTransformer(bandwidth=0).fit(found, sample_weight=np.concatenate([a.values, c.values]))
        scores = features(truth_space, seen), features(reco_space, found)
        for name, z in zip(("truth", "reco"), scores, strict=True):
            if not z.shape[1]:
                raise ValueError(f"{name}: no column has two values in the events that pass, nothing can be learned")
        return cls(seen, found, (a, b, c), truth_space, reco_space, *scores, sample_weight is not None)

    def resampled(self, rng: np.random.Generator) -> "Simulation":
        """A copy with weights times Poisson numbers of mean 1: another simulation of the same size."""
        a, b, c = (kind.resampled(rng) for kind in self.of_kind)
        return replace(self, of_kind=(a, b, c))

    def measured(self, reco: TableLike, name: str) -> Columns:
        """A table of measured events with the columns of the simulated ones, none missing."""
        columns = _complete(_like(read_named(reco, name), self.reco_space, name, "reco"), name)
        refuse_unknown(self.reco, columns, name)
        return columns

    def pairs(
        self, truth: Any, reco: Any, pass_truth: Any, pass_reco: Any, sample_weight: Any, policy: str
    ) -> tuple[Columns, Columns, Array]:
        """Truth, reco and weights of other events that pass both selections, with the columns of the simulated ones."""
        n = _paired_rows(truth, reco)
        rows = np.flatnonzero(checked_flags(pass_truth, n, "pass_truth") & checked_flags(pass_reco, n, "pass_reco"))
        weights = checked_weights(sample_weight, n, "sample_weight", policy)[rows]
        known, measured = (
            _complete(_like(read_named(passing_rows(table, rows), name), space, name, name), name, rows)
            for table, space, name in ((truth, self.truth_space, "truth"), (reco, self.reco_space, "reco"))
        )
        return known, measured, checked_weights(weights, len(rows), "sample_weight of the events that pass", policy)


def row_count(table: Any, name: str) -> int:
    """Rows of any container."""
    try:
        frame = recognised(table, allow_series=True)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not hasattr(frame, "__len__") or isinstance(table, str | bytes | Mapping):
        raise TypeError(f"{name} must be a table, found {type(table).__name__}")
    rows = len(table) if isinstance(table, list | tuple) else 0
    shape = (rows, *np.shape(table[0])) if rows else tuple(getattr(table, "shape", (len(frame), 0)))
    if len(shape) != 2:
        raise ValueError(f"{name} must be a table of shape (events, columns), found {shape}: (n, 1) is one column")
    return len(frame)


def read_named(table: TableLike, name: str) -> Columns:
    """Columns of a table; errors say which.

    Raises
    ------
    ValueError, TypeError
        No table, no event, or what :func:`buff.tables.read` refuses.
    """
    if not row_count(table, name):
        raise ValueError(f"{name} has no events: give one at least")
    try:
        return read(table)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


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
        odd = values[~np.isin(values, (0, 1))].tolist()[0]
        raise ValueError(f"{name} must hold booleans, found {odd!r}: give one true or false an event")
    return values.astype(bool)


def passing_rows(table: Any, rows: Array) -> Any:
    """Rows of any container, in the order asked for."""
    frame = recognised(table, allow_series=True)
    if isinstance(frame, nw.DataFrame):
        taken = frame[rows.tolist()]
        return taken if frame is table else taken.to_native()
    if isinstance(table, list | tuple):
        return [table[i] for i in rows]
    return table[rows]


def _paired_rows(truth: TableLike, reco: TableLike) -> int:
    n = row_count(truth, "truth")
    if row_count(reco, "reco") != n:
        raise ValueError(f"truth has {n} rows, reco {row_count(reco, 'reco')}: row i of both must be event i")
    return n


def _require_events(both: Mask, in_truth: Mask, in_reco: Mask) -> None:
    if both.sum() < _FEWEST:
        raise ValueError(
            f"{both.sum()} of {len(both)} events pass both selections (pass_truth {in_truth.sum()}, pass_reco "
            f"{in_reco.sum()}): at least {_FEWEST} are needed; look at pass_truth and pass_reco"
        )


def _passing(table: TableLike, rows: Integers, name: str) -> Columns:
    return _complete(read_named(passing_rows(table, rows), name), name, rows)


def _like(columns: Columns, space: TableTransformer, name: str, simulated: str) -> Columns:
    """The columns that a space was fitted to, in its order."""
    template = space.template_
    named = columns.template.is_frame and template.is_frame
    if named and set(columns.names) == set(template.names):
        columns = columns.select([columns.names.index(column) for column in template.names])
    if len(columns.names) != len(template.names) or (named and columns.names != template.names):
        raise ValueError(
            f"{name} has the columns {list(columns.names)}, the simulated {simulated} {list(template.names)}: "
            f"give the same columns"
        )
    return columns


def _complete(columns: Columns, name: str, rows: Integers | None = None) -> Columns:
    """Columns without a missing value; ``rows`` are their numbers in the table that was given."""
    for label, values in zip(columns.names, columns.arrays, strict=True):
        missing = np.flatnonzero(is_missing(values))
        if len(missing):
            first = missing[0] if rows is None else rows[missing].min()
            passing = "" if rows is None else " in events that pass the selection"
            raise ValueError(
                f"{name}: column {label!r} lacks {len(missing)} values{passing}, the first in event {first}: "
                f"only events that fail the selection may have gaps"
            )
    return columns
