"""Further unfoldings of the same events: with something shaken, or from another simulation."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from buff.protocols import Array
from buff.tables import Columns
from buff.unfolding.events import Simulation
from buff.unfolding.members import Measured, Member
from buff.unfolding.settings import ORIGINS, SOURCES, replica_counts

if TYPE_CHECKING:
    from buff.unfolding.unfolder import Unfolder

__all__ = [
    "Replica",
    "alternatives",
    "checked_alternatives",
    "checked_counts",
    "fitted_members",
    "pace",
    "shaken",
    "told_errors",
]


@dataclass(frozen=True, eq=False)
class Replica:
    """One more unfolding, with something shaken.

    Attributes
    ----------
    source : {"data", "simulation", "model", "alternative"}
        What was shaken; ``"model"`` are seeds, ``"alternative"`` is another simulation.
    weights : array of shape (n,)
    events : Columns or None
        None for those of the result itself.
    rows : array of shape (n,) or None
        The measured event that each belongs to; None for those of the result itself.
    """

    source: str
    weights: Array
    events: Columns | None = None
    rows: Array | None = None


def told_errors(replicas: Sequence[Replica], method: str, background: bool = False, further: bool = True) -> str:
    """What the errors of a result hold, and what not; replicas of the data shake a ``background`` that was given, too.

    ``further`` says whether further iterations were made.

    Examples
    --------
    >>> print(told_errors([Replica("data", np.ones(2))] * 20, "iterated"))  # doctest: +NORMALIZE_WHITESPACE
    Errors hold the statistics of the measured events (20 replicas), the difference of further iterations.
    They do not hold the statistics of the simulation, other seeds (see n_replicas),
    the dependence on the simulation (see alternative: none was given).
    >>> print(told_errors([], "iterated", background=True))  # doctest: +NORMALIZE_WHITESPACE
    Errors hold the Poisson fluctuation of the measured weights, the difference of further iterations. They do not
    hold what unfolding adds to these fluctuations, the statistics of the background, the statistics of the simulation,
    other seeds (see n_replicas), the dependence on the simulation (see alternative: none was given), the normalisation
    of the background (unfold with it scaled).
    """
    counts = Counter(replica.source for replica in replicas)
    own, shaken = "simulated" if method == "reweight" else "measured", any(counts[source] for source in SOURCES)
    known = counts if shaken or own == "simulated" else {**counts, "data": 1}
    held = [f"{ORIGINS[source]} ({_spoken(source, counts[source])})" for source in ORIGINS if counts[source]]
    if background and counts["data"]:
        held[0] = f"the statistics of the measured events and of the background ({_spoken('data', counts['data'])})"
    if not shaken:
        held.insert(0, f"the Poisson fluctuation of the {own} weights")
    if further:
        held.append(ORIGINS["regularisation"])
    lacking = [ORIGINS[source] for source in SOURCES if not known.get(source)]
    if background and not counts["data"]:
        lacking.insert(0, "the statistics of the background")
    if not shaken:
        lacking.insert(0, "what unfolding adds to these fluctuations")
    if lacking:
        lacking[-1] += " (see n_replicas)"
    if not counts["alternative"]:
        lacking.append("the dependence on the simulation (see alternative: none was given)")
    if not further:
        lacking.append("what another number of iterations changes")
    if background:
        lacking.append("the normalisation of the background (unfold with it scaled)")
    said = f"Errors hold {', '.join(held)}{' alone' * (len(held) == 1 and not shaken)}."
    return f"{said} They do not hold {', '.join(lacking)}." if lacking else said


def _spoken(source: str, n: int) -> str:
    return f"{n} alternative{'s' * (n > 1)}" if source == "alternative" else f"{n} replicas"


def checked_counts(asked: int | Mapping[str, int], members: Mapping[str, Sequence[Member]]) -> dict[str, int]:
    """Replicas of each source; ValueError for more than there are members."""
    counts = replica_counts(asked)
    for source in ("simulation", "model"):
        if counts[source] > len(members[source]):
            raise ValueError(
                f"n_replicas asks for {counts[source]} of {source}, the fit made {len(members[source])}: fit again, or "
                f"ask for fewer with n_replicas of unfold"
            )
    return counts


def fitted_members(
    jobs: Iterable[tuple[str, Simulation, int]], fit: Callable[[Simulation, int], Member], total: int, verbose: int
) -> dict[str, tuple[Member, ...]]:
    """Members by what they are of, each fitted to a simulation with a seed."""
    members: dict[str, tuple[Member, ...]] = {"nominal": (), "simulation": (), "model": ()}
    off = not verbose or total == 1
    for source, simulation, seed in tqdm(jobs, "fits", total, unit="fit", disable=off, mininterval=pace()):
        members[source] += (fit(simulation, seed),)
    return members


def pace() -> float:
    """Seconds between two states of a bar: a log that is no terminal gets a line for each."""
    return 0.1 if sys.stderr.isatty() else 30.0


def shaken(
    members: Mapping[str, Sequence[Member]],
    measured: Measured,
    iterations: int,
    counts: Mapping[str, int],
    drawn: Any,
    draw: Any,
    seeds: Sequence[int],
    verbose: int = 0,
) -> Iterator[Replica]:
    """Unfoldings of shaken events with the draws of the result, then by other members with draws of their own.

    ``draw`` gives those of a member; ``seeds`` begin those of the events.
    """
    total = sum(counts.values())
    off = not (verbose and total)
    bar = tqdm(total=total, desc="replicas", unit="replica", disable=off, mininterval=pace())
    with bar, warnings.catch_warnings():  # what the nominal unfolding warned of need not be said again
        warnings.simplefilter("ignore")
        for i in range(counts["data"]):
            again = measured.resampled(np.random.default_rng([*seeds, i]))
            yield Replica("data", members["nominal"][0].unfold(again, iterations, drawn).weights)
            bar.update()
        for source in ("simulation", "model"):
            for member in members[source][: counts[source]]:
                own = draw(member)
                unfolded = member.unfold(measured, iterations, own)
                yield Replica(source, unfolded.weights, None if own is None else unfolded.events)
                bar.update()


def checked_alternatives(given: Any, members: Mapping[str, Sequence[Member]]) -> tuple[Unfolder, ...]:
    """One Unfolder or several; TypeError or ValueError for other columns than the first or lost its weights."""
    nominal = members["nominal"][0].simulation
    others = tuple(given) if isinstance(given, list | tuple) else (given,)
    for other in others:
        own = getattr(other, "simulation_", None)
        if own is None:
            raise TypeError(f"alternative must be an Unfolder fitted to another simulation, found {other!r}")
        for level in ("truth", "reco"):
            names, wanted = (getattr(s, level).names for s in (own, nominal))
            if names != wanted:
                raise ValueError(f"alternative has the columns {list(names)} of {level}, the unfolder {list(wanted)}")
        if nominal.weighted and np.ptp(nominal.weights) > 0 and not own.weighted:
            raise ValueError(
                "alternative was fitted without sample_weight, the unfolder with weights that differ: fit it with its "
                "own, or say that there are none: sample_weight=np.ones(n), on the command line "
                '[alternative] weight = ""'
            )
    return others


def alternatives(others: Sequence[Unfolder], reco: Any, iterations: int, given: Mapping[str, Any]) -> Iterator[Replica]:
    """What other Unfolders make of the same events, with as many iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for other in others:
            result = other.unfold(reco, n_iterations=iterations, n_replicas=0, **given)
            yield Replica("alternative", result.weights, result.columns, result.measured_rows)
