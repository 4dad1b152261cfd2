"""Further unfoldings of the same events with something shaken."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from tqdm import tqdm

from buff.protocols import Array
from buff.tables import Columns
from buff.unfolding.events import Simulation
from buff.unfolding.members import Measured, Member
from buff.unfolding.settings import ORIGINS, SOURCES, replica_counts

__all__ = [
    "Replica",
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
    source : {"data", "simulation", "model", "alternative", "background"} or str
        What was shaken; ``"model"`` are seeds, ``"alternative"`` is another simulation, or a name that it was given.
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


#: Replicas of a source below which a standard deviation is off by half.
_FEW = 5


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
    of the background (see background_uncertainty).
    """
    counts = Counter(replica.source for replica in replicas)
    own, shaken = "simulated" if method == "reweight" else "measured", any(counts[source] for source in SOURCES)
    known = counts if shaken or own == "simulated" else {**counts, "data": 1}
    named = [source for source in counts if source not in ORIGINS]
    if named:
        counts["alternative"] += len(named)
    held = [f"{ORIGINS[source]} ({_spoken(source, counts[source], named)})" for source in ORIGINS if counts[source]]
    if background and counts["data"]:
        held[0] = f"the statistics of the measured events and of the background ({_spoken('data', counts['data'], [])})"
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
    if background and not counts["background"]:
        lacking.append("the normalisation of the background (see background_uncertainty)")
    said = f"Errors hold {', '.join(held)}{' alone' * (len(held) == 1 and not shaken)}."
    return f"{said} They do not hold {', '.join(lacking)}." if lacking else said


def _spoken(source: str, n: int, named: Sequence[str]) -> str:
    if source == "background":
        return "up and down"
    if source == "alternative":
        return f"{n} alternative{'s' * (n > 1)}{': ' * bool(named)}{', '.join(named)}"
    return f"{n} replicas{', too few to tell' * (n < _FEW)}"


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
    simulation: Simulation,
    streams: Sequence[np.random.Generator],
    seeds: Sequence[int],
    fit: Callable[[Simulation, int], Member],
    verbose: int,
) -> dict[str, tuple[Member, ...]]:
    """Members by what they are of: the result has the first seed, and so has the simulation shaken by each stream."""
    jobs = chain(
        [("nominal", simulation, seeds[0])],
        (("simulation", simulation.resampled(rng), seeds[0]) for rng in streams),
        (("model", simulation, seed) for seed in seeds[1:]),
    )
    members: dict[str, tuple[Member, ...]] = {"nominal": (), "simulation": (), "model": ()}
    total = len(streams) + len(seeds)
    off = not verbose or total == 1
    for source, own, seed in tqdm(jobs, "fits", total, unit="fit", disable=off, mininterval=pace()):
        members[source] += (fit(own, seed),)
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
