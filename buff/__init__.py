"""Tables of physics events, and any other table, from gradient-boosted flow matching.

A path and a coupling make targets; boosters fit them node by node into a field; a solver carries noise along the
field over a grid. ``BUFF().fit(X).sample(n)`` does all of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buff.estimators import BUFF, BUFFTransport, PublishedBUFF, load
    from buff.preprocessing import RankSpace
    from buff.unfolding import Unfolder, UnfoldingResult

__all__ = [
    "BUFF",
    "BUFFTransport",
    "PublishedBUFF",
    "RankSpace",
    "Unfolder",
    "UnfoldingResult",
    "datasets",
    "load",
    "metrics",
    "plotting",
    "solvers",
]

_HOMES = dict.fromkeys(("BUFF", "BUFFTransport", "PublishedBUFF", "load"), "estimators")
_HOMES |= {"RankSpace": "preprocessing"}
_HOMES |= dict.fromkeys(("Unfolder", "UnfoldingResult"), "unfolding")
_MODULES = (
    *("datasets", "estimators", "fields", "grids", "io", "metrics", "paths", "plotting", "preprocessing", "report"),
    *("schedules", "solvers", "unfolding", "weights"),
)


def __getattr__(name: str) -> Any:
    """Names are imported when they are used: ``import buff`` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"buff.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"buff.{name}")
    raise AttributeError(f"module 'buff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
