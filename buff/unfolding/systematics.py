"""Further unfoldings of the same events whose difference is a source of errors: other simulations, more background."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.unfolding.members import Measured, Member
from buff.unfolding.replicas import Replica
from buff.unfolding.settings import ORIGINS

if TYPE_CHECKING:
    from buff.unfolding.unfolder import Unfolder

__all__ = ["alternatives", "checked_alternatives", "checked_names", "checked_uncertainty", "other_backgrounds"]

#: Names of sources and tables that an alternative may not take.
_TAKEN = (*(source for source in ORIGINS if source != "alternative"), "statistics", "total", "nominal")


def checked_alternatives(given: Any, members: Mapping[str, Sequence[Member]]) -> tuple[tuple[str, Unfolder], ...]:
    """Unfolders by the names of their sources, each name once or several times.

    Raises
    ------
    TypeError, ValueError
        What is not fitted, or to other columns than the first; weights that were lost, names that are taken.
    """
    nominal = members["nominal"][0].simulation
    named = given if isinstance(given, Mapping) else {"alternative": given}
    pairs = [(name, o) for name, own in named.items() for o in (own if isinstance(own, list | tuple) else (own,))]
    checked_names(named)
    for _, other in pairs:
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
    return tuple(pairs)


def checked_names(names: Iterable[Any]) -> None:
    """Raise ValueError for what is no name of an alternative, or a name that something else has."""
    for name in names:
        if not isinstance(name, str) or not name or name in _TAKEN:
            raise ValueError(f"alternative has the name {name!r}: give it one beside {', '.join(_TAKEN)}")


def checked_uncertainty(uncertainty: Any, background: Any, name: str = "background_uncertainty") -> float:
    """A relative uncertainty; ValueError for what is no number from 0 to 1, or without a background."""
    number = isinstance(uncertainty, int | float | np.number) and not isinstance(uncertainty, bool)
    if not number or not 0 <= uncertainty <= 1:
        raise ValueError(f"{name} must be from 0 to 1, a share of the background, found {uncertainty!r}")
    if uncertainty and background is None:
        raise ValueError(f"{name} is {uncertainty:g}, but there is no background")
    return float(uncertainty)


def alternatives(
    others: Sequence[tuple[str, Unfolder]], reco: Any, iterations: int, given: Mapping[str, Any]
) -> Iterator[Replica]:
    """What other Unfolders make of the same events, with as many iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, other in others:
            result = other.unfold(reco, n_iterations=iterations, n_replicas=0, **given)
            yield Replica(name, result.weights, result.columns, result.measured_rows)


def other_backgrounds(
    member: Member, measured: Measured, iterations: int, drawn: Any, uncertainty: float
) -> Iterator[Replica]:
    """The same draws, or simulated events, with the background up and down by its relative uncertainty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for factor in (1 + uncertainty, 1 - uncertainty) if uncertainty else ():
            again = member.unfold(measured.with_background(factor), iterations, drawn)
            yield Replica("background", again.weights)
