"""What unfolded events give at detector level, beside what was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from buff.metrics.chi2 import ChiSquared
from buff.protocols import Array, Numbers, Weights
from buff.transforms import TableTransformer
from buff.unfolding.features import frequent_values
from buff.weights import effective_size

__all__ = ["ColumnBins", "Refolded", "bins_for", "column_bins", "described", "refold", "refolded_sentences"]

#: Bins of a column at most, and events that they have at least.
_MOST_BINS, _EVENTS_A_BIN = 20, 25
#: Probability below which the worst column is no chance; pulls from which a frequent value may be, and is, none.
_LEAST_P, _SIGMAS, _SURELY = 0.01, 2.0, 3.0
#: Pull from which iterations go on for a frequent value, unless the last left more than this of the misfit.
_ONE, _CLOSER = 1.0, 0.9


@dataclass(frozen=True, eq=False)
class Refolded:
    """One column at detector level: frequent values, then bins with as many simulated events each.

    Attributes
    ----------
    name : str
    values : array of shape (v,)
        The frequent values.
    measured, refolded : array of shape (v + bins,)
        Measured signal, and simulated events with weights that give them the unfolded truth.
    variance : array of shape (v + bins,)
        Of the difference, from the statistics of both.
    """

    name: str
    values: Array
    measured: Array
    refolded: Array
    variance: Array

    @property
    def pulls(self) -> Array:
        """Measured less refolded in standard deviations; 0 where neither has events."""
        difference = self.measured - self.refolded
        return np.divide(difference, np.sqrt(self.variance), out=np.zeros_like(difference), where=self.variance > 0)

    @property
    def chi2(self) -> ChiSquared:
        """Sum of the squares of the pulls."""
        return ChiSquared(float(np.sum(self.pulls**2)), max(int(np.sum(self.variance > 0)), 1))


def refold(
    space: TableTransformer, simulated: Numbers, refolded: Weights, measured: Numbers, signal: Weights
) -> tuple[Refolded, ...]:
    """Every column at detector level.

    Parameters
    ----------
    space : TableTransformer
        Of reco.
    simulated, measured : arrays of shape (n, features) and (m, features)
        Features of both, see :mod:`buff.unfolding.features`.
    refolded, signal : array of shape (n,) and (m,)
        Weights, in units of measured events.
    """
    found, n_bins = [], bins_for(effective_size(signal) if signal.any() else 0.0)
    for column in column_bins(space, simulated, n_bins):
        one, other, size = column(measured), column(simulated), column.size
        counts, expected = (np.bincount(b, w, size) for b, w in ((one, signal), (other, refolded)))
        variance = np.bincount(one, signal**2, size) + np.bincount(other, refolded**2, size)
        found.append(Refolded(column.name, column.values, counts, expected, variance))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class ColumnBins:
    """Bins of one column: frequent values, then bins with as many simulated events each; gives those of features.

    Attributes
    ----------
    dimension : int
    name : str
    values : array of shape (v,)
        The frequent values.
    flags : tuple of int
        Features that tell who has them.
    edges : array of shape (bins - 1,)
        Between other values.
    """

    dimension: int
    name: str
    values: Array
    flags: tuple[int, ...]
    edges: Array

    @property
    def size(self) -> int:
        """All bins."""
        return len(self.flags) + len(self.edges) + 1

    def __call__(self, z: Numbers) -> Array:
        """Number of the bin of each row of features."""
        number = len(self.flags) + np.searchsorted(self.edges, z[:, self.dimension], side="right")
        for i, flag in enumerate(self.flags):
            number = np.where(z[:, flag] > 0, i, number)
        return np.asarray(number)


def bins_for(events: float) -> int:
    """Bins of a column for so many measured events."""
    return int(np.clip(events / _EVENTS_A_BIN, 2, _MOST_BINS))


def column_bins(space: TableTransformer, simulated: Numbers, n_bins: int) -> Iterator[ColumnBins]:
    """Frequent values of each column, and so many bins of all others with as many simulated events each."""
    names, frequent = space.get_feature_names_out(), frequent_values(space)
    for j, name in enumerate(names):
        flags = tuple(len(names) + i for i, (k, _) in enumerate(frequent) if k == j)
        rest = simulated[~simulated[:, flags].any(axis=1), j]
        edges = np.unique(np.quantile(rest, np.linspace(0, 1, n_bins + 1)[1:-1])) if len(rest) else np.empty(0)
        yield ColumnBins(j, str(name), np.array([value for k, value in frequent if k == j]), flags, edges)


def described(columns: tuple[Refolded, ...], before: tuple[Refolded, ...] = ()) -> bool:
    """Whether what is measured may be a fluctuation of what is refolded, or came no closer to it than ``before``.

    A column may be off by what chance does once in a hundred times. A frequent value may be off by one standard
    deviation, as it would be with the right truth: where few of the events seen there belong to it, two are a bias of
    half of them.
    """
    worst = min((column.chi2.p_value for column in columns), default=1.0)
    whole, last = (sum(c.chi2.value for c in of) for of in (columns, before))
    spikes, earlier = (np.array([pull**2 for c in of for pull in c.pulls[: len(c.values)]]) for of in (columns, before))
    off = spikes >= _ONE**2
    if before:
        off &= spikes <= _CLOSER * earlier
    return bool((worst * len(columns) >= _LEAST_P or (before and whole > _CLOSER * last)) and not off.any())


def refolded_sentences(columns: tuple[Refolded, ...], moving: Sequence[object] = ()) -> Iterator[str]:
    """What differs, or that nothing does, and what the last iteration moved all the same."""
    calm = True
    for c in columns:
        for value, measured, refolded, pull in zip(c.values, c.measured, c.refolded, c.pulls, strict=False):
            if abs(pull) >= _SIGMAS:
                calm = False
                yield (
                    f"{c.name}: refolded {refolded:,.0f} events at {value:g}, measured {measured:,.0f} "
                    f"({abs(pull):.1f} sigma): {_guess(pull)}."
                )
        if c.chi2.p_value * len(columns) < _LEAST_P:
            calm = False
            yield (
                f"{c.name}: refolded events differ from measured ones, {_chi2(c)} (p = {c.chi2.p_value:.1g}): the "
                f"prior is still there, or the detector is another."
            )
    if calm and columns:
        worst = min(columns, key=lambda c: c.chi2.p_value)
        agree = f"Refolded events agree with measured ones in every column, worst in {worst.name}: {_chi2(worst)}"
        yield f"{agree}; but {_still(moving)}" if moving else f"{agree}."
    elif moving:
        yield f"All the same {_still(moving)}"


def _still(moving: Sequence[object]) -> str:
    return f"the last iteration still moved {', '.join(map(str, moving))}: compare with a larger n_iterations."


def _guess(pull: float) -> str:
    if abs(pull) < _SURELY:
        return "chance, or the prior is still there, or there were too many iterations"
    return "the prior is still there, or the detector is another"


def _chi2(column: Refolded) -> str:
    return f"chi2/n {column.chi2.value:.1f}/{column.chi2.n}"
