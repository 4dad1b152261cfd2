"""Closure, stress and coverage of an unfolding: pseudo-data whose truth is known, many times over."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn.base import clone
from tqdm import tqdm

from buff.errors import check_whole
from buff.protocols import Array, BinsLike, Indices, RandomState, TableLike
from buff.unfolding.binning import Binning
from buff.unfolding.event_weights import checked_weights
from buff.unfolding.events import checked_flags, passing_rows, read_named, row_count
from buff.unfolding.replicas import pace

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult
    from buff.unfolding.unfolder import Unfolder

__all__ = ["ClosureBins", "ClosureTest", "closure_test"]

#: Weights of the truth that pseudo-data have, or a function of truth that gives them.
Bend: TypeAlias = "Array | Callable[[Any], Any] | None"

_HEAD = ("bin", "truth", "bias", "+-", "scatter", "error", "pull", "coverage")


@dataclass(frozen=True, eq=False, repr=False)
class ClosureBins:
    """Bins of one column in all repetitions; prints as a table.

    Attributes
    ----------
    name : str
    edges : array of shape (b + 1,)
    unfolded, truth : array of shape (repetitions, b)
        Events, and those that were expected.
    errors : array of shape (repetitions, b)
        Of the difference: errors of the unfolding, and the statistics of the truth it is compared with.
    """

    name: str
    edges: Array
    unfolded: Array
    truth: Array
    errors: Array

    @property
    def bias(self) -> Array:
        """Mean difference between unfolded and expected events."""
        return np.asarray((self.unfolded - self.truth).mean(axis=0))

    @property
    def scatter(self) -> Array:
        """Standard deviation of that difference from one repetition to the next."""
        return np.asarray((self.unfolded - self.truth).std(axis=0, ddof=1))

    @property
    def error(self) -> Array:
        """Root of the mean square of what the unfolding quotes."""
        return np.asarray(np.sqrt(np.mean(self.errors**2, axis=0)))

    @property
    def pulls(self) -> Array:
        """Differences in units of their errors, of shape (repetitions, b); 0 where neither has events."""
        difference = self.unfolded - self.truth
        return np.divide(difference, self.errors, out=np.zeros_like(difference), where=self.errors > 0)

    @property
    def coverage(self) -> Array:
        """Share of the repetitions within one error: 0.68 where errors are right."""
        return np.asarray((np.abs(self.pulls) < 1).mean(axis=0))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Cells of the table, a bin a row."""
        of_bias = self.scatter / np.sqrt(len(self.truth))
        numbers = (self.truth.mean(axis=0), self.bias, of_bias, self.scatter, self.error)
        for i, coverage in enumerate(self.coverage):
            place = f"{self.edges[i]:g} to {self.edges[i + 1]:g}"
            yield place, *(f"{x[i]:.4g}" for x in numbers), f"{self.pulls[:, i].mean():.2f}", f"{coverage:.2f}"

    def __repr__(self) -> str:
        rows = [_HEAD, *self.rows()]
        first = max(len(row[0]) for row in rows)
        lines = [row[0].ljust(first) + "".join(cell.rjust(10) for cell in row[1:]) for row in rows]
        return "\n".join([self.name, *lines])


@dataclass(frozen=True, eq=False, repr=False)
class ClosureTest:
    """What an unfolding makes of pseudo-data whose truth is known; prints as a table for each column.

    Attributes
    ----------
    bins : mapping from column name to ClosureBins
    iterations : tuple of int
        Of each repetition.
    errors : str
        What the errors of an unfolding hold.
    n_measured : tuple of int
        Events of the pseudo-data at detector level, of each repetition.
    """

    bins: Mapping[str, ClosureBins]
    iterations: tuple[int, ...]
    errors: str
    n_measured: tuple[int, ...]

    def __getitem__(self, name: str) -> ClosureBins:
        return self.bins[name]

    @property
    def coverage(self) -> float:
        """Mean over all bins."""
        return float(np.mean(np.concatenate([own.coverage for own in self.bins.values()])))

    def __repr__(self) -> str:
        n, numbers = len(self.iterations), ", ".join(map(str, sorted(set(self.iterations))))
        head = (
            f"{n} repetitions, {min(self.n_measured):,} measured events or more each, iterations: {numbers}; "
            f"{self.coverage:.2f} of all bins lie within one error (.68 asked)"
        )
        return "\n\n".join([f"{head}\n{self.errors}", *map(repr, self.bins.values())])

    def plot(self, **style: Any) -> Any:
        """Bias with its error over the band of the quoted errors, and coverage below, for each column.

        Parameters
        ----------
        **style
            Such as ``units``, ``style`` or ``experiment`` of :func:`buff.plotting.closure`.
        """
        from buff.plotting import closure

        return closure(self.bins, **style)


@dataclass(frozen=True, eq=False)
class _Simulated:
    """Simulated events that pass at one level at least, with weights of nature."""

    truth: Any
    reco: Any
    pass_truth: Array
    pass_reco: Array
    weights: Array
    bent: Array

    @classmethod
    def of(
        cls, truth: Any, reco: Any, pass_truth: Any, pass_reco: Any, sample_weight: Any, bend: Bend, policy: str
    ) -> _Simulated:
        n = row_count(truth, "truth")
        flags = checked_flags(pass_truth, n, "pass_truth"), checked_flags(pass_reco, n, "pass_reco")
        weights = checked_weights(sample_weight, n, "sample_weight", policy)
        factors = np.ones(n)
        if bend is not None:
            factors = np.asarray(bend(truth) if callable(bend) else bend, np.float64)
            if factors.shape != (n,):
                raise ValueError(f"stress must give {n} weights, one an event, found shape {factors.shape}")
            factors = np.where(flags[0], factors, 1.0)  # truth of fakes may be anything
            checked_weights(factors, n, "stress")
        return cls(truth, reco, *flags, weights, weights * factors)

    def learned(self, unfolder: Unfolder, rows: Indices) -> Unfolder:
        flags = {"pass_truth": self.pass_truth[rows], "pass_reco": self.pass_reco[rows]}
        tables = (passing_rows(table, rows) for table in (self.truth, self.reco))
        return unfolder.fit(*tables, **flags, sample_weight=self.weights[rows])

    def expected(self, rows: Indices, name: str, edges: Array) -> tuple[Array, Array]:
        """Events of nature in each bin, and their variances."""
        rows = rows[self.pass_truth[rows]]
        events, w = read_named(passing_rows(self.truth, rows), "truth"), self.bent[rows]
        binning = Binning((name,), (edges,))
        return binning.counts(events, w), binning.counts(events, w**2)


def closure_test(
    unfolder: Unfolder,
    truth: TableLike,
    reco: TableLike,
    bins: Mapping[str, BinsLike],
    *,
    n_repeats: int = 10,
    stress: Bend = None,
    nature: Mapping[str, Any] | None = None,
    n_measured: int | None = None,
    pass_truth: Any = None,
    pass_reco: Any = None,
    sample_weight: Any = None,
    random_state: RandomState = None,
    verbose: int = 0,
) -> ClosureTest:
    """Learn from one half of a simulation, unfold pseudo-data of the other, and compare with their truth: many times.

    Each repetition draws other halves, so that the statistics of the simulation are part of the scatter: errors without
    ``n_replicas`` of ``"simulation"`` cover too little. Pseudo-data are a quarter of the simulation, or ``n_measured``
    events; expected is the truth of all other events, scaled, whose statistics count as error, too. Backgrounds are not
    part of it.

    Parameters
    ----------
    unfolder : Unfolder
        Settings: clones of it are fitted, with ``random_state`` of their own.
    truth, reco, pass_truth, pass_reco, sample_weight
        Simulation, as for :meth:`buff.Unfolder.fit`.
    bins : mapping from column name to bins
        As for :meth:`buff.unfolding.UnfoldingResult.histogram`.
    n_repeats : int
        At least 2: a fit, and an unfolding with its replicas, each.
    stress : array of shape (n,) or callable, optional
        Weights of the truth that pseudo-data have beside the simulation's, or a function of the table of truth.
        Without, this is a closure test; with, a stress test.
    nature : mapping, optional
        Another simulation, which pseudo-data come from: the arguments of :meth:`buff.Unfolder.fit` by name. ``stress``
        is then about its events.
    n_measured : int, optional
        Events of the pseudo-data at detector level, or as many as there are: those of the half of the simulation that
        is not learned from, or of half of ``nature``.
    random_state : None, int or NumPy generator
    verbose : int
        1 shows progress.

    Returns
    -------
    ClosureTest

    Raises
    ------
    ValueError
        Fewer than 2 repetitions, weights of another shape, no bins.

    Examples
    --------
    >>> from buff.datasets import gaussian_1d
    >>> from buff.unfolding import Unfolder
    >>> simulated = gaussian_1d().sample(1200, 0)
    >>> test = closure_test(Unfolder("reweight", n_iterations=2), simulated.truth, simulated.reco,
    ...                     {"x0": [-1.0, 0.0, 1.0]}, n_repeats=2, random_state=0)
    >>> test["x0"].bias.shape
    (2,)
    """
    check_whole("n_repeats", n_repeats, 2)
    if not bins:
        raise ValueError("bins names no column: give one at least, such as {'mass': 10}")
    policy, rng = unfolder.negative_weights, np.random.default_rng(random_state)
    simulation = _Simulated.of(truth, reco, pass_truth, pass_reco, sample_weight, None if nature else stress, policy)
    own = {"pass_truth": None, "pass_reco": None, "sample_weight": None, **(nature or {})}
    source = _Simulated.of(**own, bend=stress, policy=policy) if nature else simulation
    found: dict[str, list[tuple[Array, Array, Array]]] = {name: [] for name in bins}
    edges: dict[str, Array] = {}
    counts, said = [], ""
    for _ in tqdm(range(n_repeats), "closure", unit="test", disable=not verbose, mininterval=pace()):
        learned, pseudo, rest = _split(simulation, source, n_measured, rng)
        fitted = simulation.learned(clone(unfolder).set_params(random_state=int(rng.integers(2**31))), learned)
        seen = pseudo[source.pass_reco[pseudo]]
        result = fitted.unfold(passing_rows(source.reco, seen), sample_weight=source.bent[seen])
        counts.append((len(result.history), len(seen)))
        said = result.errors
        for name, wanted in bins.items():
            if name not in edges:
                edges[name] = result.histogram(name, wanted).axes[0].edges
            with warnings.catch_warnings():  # what these edges were warned of need not be said again
                warnings.filterwarnings("ignore", ".*replicas are few")
                found[name].append(_compared(result, source, name, edges[name], len(pseudo) / len(rest), rest))
    columns = {
        name: ClosureBins(name, edges[name], *(np.array(part) for part in zip(*own, strict=True)))
        for name, own in found.items()
    }
    iterations, n_seen = zip(*counts, strict=True)
    return ClosureTest(columns, iterations, said, n_seen)


def _split(
    simulation: _Simulated, source: _Simulated, n_measured: int | None, rng: np.random.Generator
) -> tuple[Indices, Indices, Indices]:
    """Events to learn from, those of the pseudo-data, and those of the truth that they are compared with."""
    order = rng.permutation(len(simulation.weights))
    half, own = len(order) // 2, source is simulation
    learned, left = order[:half], order[half:]
    if not own:
        left = rng.permutation(len(source.weights))
    n = len(left) // 2
    if n_measured is not None:
        check_whole("n_measured", n_measured, 1)
        enough = np.searchsorted(np.cumsum(source.pass_reco[left]), n_measured) + 1
        n = min(len(left) if own else n, int(enough))  # of another simulation, the rest is all that tells its truth
    rest = np.concatenate([left[n:], learned]) if own else left[n:]
    return learned, left[:n], rest


def _compared(
    result: UnfoldingResult, source: _Simulated, name: str, edges: Array, scale: float, rest: Indices
) -> tuple[Array, Array, Array]:
    """Unfolded events, expected ones, and the error of the difference."""
    h = result.histogram(name, edges)
    expected, variance = source.expected(rest, name, edges)
    return h.values(), scale * expected, np.sqrt(h.variances() + scale**2 * variance)
