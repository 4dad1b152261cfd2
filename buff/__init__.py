"""Tables of physics events, and any other table, from gradient-boosted flow matching.

A path and a coupling make targets; boosters fit them node by node into a field; a solver carries noise along the
field over a grid. ``BUFF().fit(X).sample(n)`` does all of it.
"""

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buff import couplings as couplings
    from buff import datasets, metrics, plotting, solvers
    from buff import export as export
    from buff import fields as fields
    from buff import flows as flows
    from buff import generators as generators
    from buff import grids as grids
    from buff import io as io
    from buff import kernels as kernels
    from buff import paths as paths
    from buff import physics as physics
    from buff import report as report
    from buff import schedules as schedules
    from buff import tables as tables
    from buff import transforms as transforms
    from buff import trees as trees
    from buff import unfolding as unfolding
    from buff import weights as weights
    from buff.archive import load
    from buff.generators import BUFF, BUFFImputer, BUFFTransport, JetBUFF, PublishedBUFF, ShowerBUFF, TreeDensity
    from buff.transforms import TableTransformer
    from buff.unfolding import Unfolder, UnfoldingResult
    from buff.version import __version__ as __version__

__all__ = [
    "BUFF",
    "BUFFImputer",
    "BUFFTransport",
    "JetBUFF",
    "PublishedBUFF",
    "ShowerBUFF",
    "TableTransformer",
    "TreeDensity",
    "Unfolder",
    "UnfoldingResult",
    "cite",
    "datasets",
    "load",
    "metrics",
    "plotting",
    "solvers",
]

_GENERATORS = ("BUFF", "BUFFImputer", "BUFFTransport", "JetBUFF", "PublishedBUFF", "ShowerBUFF", "TreeDensity")
_HOMES = dict.fromkeys(_GENERATORS, "generators")
_HOMES |= {"TableTransformer": "transforms", "load": "archive", "__version__": "version"}
_HOMES |= dict.fromkeys(("Unfolder", "UnfoldingResult"), "unfolding")
_MODULES = (
    *("couplings", "datasets", "export", "fields", "flows", "generators", "grids", "io", "kernels", "metrics", "paths"),
    *("physics", "plotting", "report", "schedules", "solvers", "tables", "transforms", "trees", "unfolding", "weights"),
)


#: Public names of 0.1.0, each with what it is called now; they go with version 0.3.
_RENAMED = {
    "RankSpace": "TableTransformer",
    "estimators": "generators",
    "preprocessing": "transforms",
    "training": "flows",
    "boosters": "trees",
}


def _attribute(name: str) -> Any:
    """Names are imported when they are used: ``import buff`` costs nothing."""
    if name in _RENAMED:
        _warn_of(name, _RENAMED[name])
        name = _RENAMED[name]
    if name in _HOMES:
        return getattr(import_module(f"buff.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"buff.{name}")
    raise AttributeError(f"module 'buff' has no attribute {name!r}")


if not TYPE_CHECKING:  # type checkers know the names above, and no others
    __getattr__ = _attribute


def _warn_of(old: str, new: str) -> None:
    message = f"buff.{old} is called buff.{new} now; the old name goes with 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


class _OldModule(ModuleType):
    """A part by its name of 0.1.0: warns where something is taken from it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        old = self.__name__.removeprefix("buff.")
        _warn_of(old, _RENAMED[old])
        return getattr(import_module(f"buff.{_RENAMED[old]}"), name)


sys.modules |= {f"buff.{old}": _OldModule(f"buff.{old}") for old in _RENAMED if old.islower()}


def cite() -> str:
    """How to cite buff, as BibTeX.

    Examples
    --------
    >>> "2404.18219" in cite()
    True
    """
    return _CITATION


_CITATION = """@article{buff2024,
  title = {BUFF: Boosted Decision Tree based Ultra-Fast Flow matching},
  author = {Jiang, Cheng and Qian, Sitian and Qu, Huilin},
  year = {2024},
  eprint = {2404.18219},
  archivePrefix = {arXiv}
}
"""


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
