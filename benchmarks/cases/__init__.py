"""One module a case, each with a ``CASE``; a new file here is a new name on the command line."""

from importlib import import_module
from pkgutil import iter_modules

from benchmarks.case import Case

__all__ = ["case_names", "load_case"]


def case_names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def load_case(name: str) -> Case:
    """The case of that name; ValueError lists the names there are."""
    if name not in case_names():
        raise ValueError(f"no case {name!r}; the cases are {', '.join(case_names())}")
    return import_module(f"{__name__}.{name}").CASE
