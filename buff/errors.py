"""Errors that buff raises on top of Python's own, and checks of parameters and arrays that raise Python's.

Bad values raise :class:`ValueError`, bad types :class:`TypeError`; the classes below name the situations a
caller may want to tell apart.
"""

import math
import os
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import currentframe, signature
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])

__all__ = [
    "ArchiveError",
    "ExportError",
    "MissingExtraError",
    "Notice",
    "OffGridError",
    "TableNotice",
    "check_finite",
    "check_growth",
    "check_jobs",
    "check_memory",
    "check_parameters",
    "check_range",
    "check_resources",
    "check_rows",
    "check_sample_size",
    "check_states",
    "check_steps",
    "check_whole",
    "checked_device",
    "checked_noise",
    "checked_step",
    "checked_velocity",
    "install_hint",
    "warn",
    "with_hints",
]

#: Bytes of a value: in the pieces that are drawn, and in the table that they are joined to.
_VALUE = 16


class OffGridError(ValueError):
    """A field known only at its nodes was asked for another time."""


class ArchiveError(ValueError):
    """A file is not a buff model, is cut short, or was written by another version."""


class ExportError(ValueError):
    """A model, or a part of it, that the wanted format cannot hold."""


class Notice(UserWarning):
    """What a user should know of what was done; the command line prints it as a line."""


class TableNotice(Notice):
    """How a file was read where it could be read in more than one way, or not as a whole."""


def warn(message: str, category: type[Warning] = Notice) -> None:
    """Warn, and name the line outside of buff, its baselines and scikit-learn that led here, however deep the call."""
    inside = ("buff", "buff_baselines", "sklearn")
    frame, level = currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] in inside:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


class MissingExtraError(ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str, optional
        The extra of buff that installs it; None for a package that any version will do of.

    Examples
    --------
    >>> error = MissingExtraError("matplotlib", "plot")
    >>> str(error).startswith("matplotlib is not installed: pip install "), error.extra
    (True, 'plot')
    """

    def __init__(self, package: str, extra: str | None = None) -> None:
        hint = f"pip install {package}" if extra is None else install_hint(extra)
        super().__init__(f"{package} is not installed: {hint}")
        self.package = package
        self.extra = extra


def install_hint(extra: str) -> str:
    """The command that installs an extra: from the checkout that runs, or else package by package."""
    root = Path(__file__).resolve().parents[1]
    source = root if (root / "pyproject.toml").is_file() and (root / "buff").is_dir() else None
    if source:
        return f'pip install -e "{source}[{extra}]"'
    from importlib import metadata

    try:
        stated = metadata.requires("buff-flow") or []
    except metadata.PackageNotFoundError:
        stated = []
    own = [f'"{line.split(";")[0].strip()}"' for line in stated if f'extra == "{extra}"' in line]
    return f"pip install {' '.join(own)}" if own else f"what the extra [{extra}] of buff-flow names"


def check_whole(name: str, value: object, least: int) -> int:
    """A parameter that counts something, as a plain integer.

    Raises
    ------
    TypeError
        It is no integer.
    ValueError
        It is below ``least``.

    Examples
    --------
    >>> check_whole("n_steps", 0, 1)
    Traceback (most recent call last):
    ValueError: n_steps must be at least 1, found 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, found {value!r}")
    if int(value) < least:
        raise ValueError(f"{name} must be at least {least}, found {value!r}")
    return int(value)


def check_jobs(n_jobs: Any) -> None:
    """Raise TypeError for a number of jobs that is no integer, ValueError for 0; None is welcome."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be an integer or None, found {n_jobs!r}")
    if int(n_jobs) == 0:
        raise ValueError("n_jobs must be a number of cores, or -1 for all; found 0")


def check_range(name: str, value: object, low: float, high: float, ends: str = "[]") -> float:
    """A parameter of an interval, as a plain number; ``ends`` says which ends belong to it.

    Raises
    ------
    TypeError
        It is no number.
    ValueError
        It lies outside, or is NaN.

    Examples
    --------
    >>> check_range("learning_rate", 0, 0, 2, "(]")
    Traceback (most recent call last):
    ValueError: learning_rate must lie in (0, 2], found 0
    """
    interval = f"{ends[0]}{low:g}, {high:g}{ends[1]}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number in {interval}, found {value!r}")
    x = float(value)
    if not low <= x <= high or (x == low and ends[0] == "(") or (x == high and ends[1] == ")"):
        raise ValueError(f"{name} must lie in {interval}, found {value!r}")
    return x


def check_growth(model: Any, where: str = "", least_estimators: int = 0) -> None:
    """Refuse numbers of a model by which no trees can be grown; ``where`` begins the message."""
    check_whole(f"{where}n_estimators", model.n_estimators, least_estimators)
    check_whole(f"{where}max_depth", model.max_depth, 1)
    check_range(f"{where}learning_rate", model.learning_rate, 0, 2, "(]")
    check_range(f"{where}reg_lambda", model.reg_lambda, 0, math.inf, "[)")


def check_resources(model: Any) -> None:
    """Refuse ``n_jobs``, and ``max_memory`` and ``verbose`` of a model that has them, that cannot be."""
    check_jobs(model.n_jobs)
    if getattr(model, "max_memory", None) is not None:
        check_whole("max_memory", model.max_memory, 1)
    verbose = getattr(model, "verbose", 0)
    if not isinstance(verbose, bool | Integral) or verbose < 0:
        raise ValueError(f"verbose must be 0 or 1, found {verbose!r}")


def check_rows(found: int, n: int) -> None:
    """Refuse a condition of another number of rows than its table."""
    if found != n:
        raise ValueError(f"condition has {found} rows, X has {n}: they must agree")


def check_memory(needed: int, max_memory: int | None, advice: str) -> None:
    """Raise MemoryError for a fit that needs more bytes than are allowed; ``advice`` says what to change."""
    if max_memory is not None and needed > max_memory:
        raise MemoryError(
            f"the fit needs {needed / 2**20:,.0f} MiB and max_memory allows {max_memory / 2**20:,.0f} MiB: {advice}"
        )


def _machine_memory() -> int | None:
    """Bytes of main memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None


def check_sample_size(n_samples: object, n_values: int) -> int:
    """The number of events of a sample whose events have ``n_values`` values each.

    Raises
    ------
    TypeError, ValueError
        It is no number of events.
    MemoryError
        The events need more than the main memory of the machine.

    Examples
    --------
    >>> check_sample_size(1000, 5)
    1000
    """
    n, limit = check_whole("n_samples", n_samples, 0), _machine_memory()
    needed = _VALUE * n * n_values
    if limit is not None and needed > limit:
        raise MemoryError(
            f"n_samples={n:,} events of {n_values} values need {_size(needed)} and this machine has {_size(limit)}: "
            f"draw some at a time, such as sample(100_000, first_event=0), or into a file with `buff sample`"
        )
    return n


def _size(n_bytes: float) -> str:
    unit, factor = ("TB", 1e12) if n_bytes >= 1e12 else ("GB", 1e9)
    return f"{n_bytes / factor:,.3g} {unit}" if n_bytes < 1e3 * factor else f"{n_bytes / factor:,.0f} {unit}"


def check_parameters(name: str, rule: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
    """Refuse a parameter that a rule does not have; its first is where or how often, and not for callers."""
    known = list(signature(rule).parameters)[1:]
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(f"{name} has no parameter {parameter!r}: choose from {', '.join(known) or 'none'}")


def check_steps(n_steps: Any) -> int:
    """A number of steps as a plain integer; whole floats will do."""
    if not isinstance(n_steps, Real) or not float(n_steps) >= 1 or float(n_steps) % 1:
        raise ValueError(f"n_steps must be a positive integer: found {n_steps!r}")
    return int(float(n_steps))


def check_finite(x: Any, what: str) -> None:
    """Raise with the fraction of bad rows; ``what`` begins the message."""
    finite = abs(x) < math.inf
    if not bool(finite.all()):
        rows = (~finite).reshape(len(x) if x.ndim else 1, -1).any(1)
        bad = int(rows.sum())
        raise ValueError(f"{what} non-finite values in {100 * bad / len(rows):.3g} % of {len(rows)} rows")


def check_states(x: Any, field: Any) -> None:
    """Raise where states to start from are not finite, or not as wide as the field, if it knows its width."""
    if not hasattr(x, "ndim"):
        raise TypeError(f"the states to start from must be an array of shape (n, d), found {type(x).__name__}")
    width = getattr(field, "n_dims", None)
    if width is not None and (x.ndim != 2 or x.shape[1] != width):
        raise ValueError(f"the field has {width} dimensions, the states to start from have shape {tuple(x.shape)}")
    check_finite(x, "the states to start from have")


def checked_velocity(u: Any, x: Any, t: float) -> Any:
    """What a field returned, of the shape of the states."""
    if not hasattr(u, "shape"):
        raise TypeError(f"at t = {t:.6g} the field returned {type(u).__name__}: an array like the states is needed")
    if u.shape != x.shape:
        found, wanted = tuple(u.shape), tuple(x.shape)
        raise ValueError(f"at t = {t:.6g} the field returned shape {found} for states of shape {wanted}")
    return u


def checked_device(x: Any) -> str:
    """Where states are that trees take: arrays of NumPy, or of CuPy."""
    library = type(x).__module__.split(".")[0]
    if library not in ("numpy", "cupy"):
        found = f"{library}.{type(x).__name__}"
        raise TypeError(f"trees take states as arrays of NumPy, or of CuPy on a GPU: found {found}")
    return "cpu" if library == "numpy" else "cuda"


def checked_noise(noise: Callable[[Any], Any], x: Any) -> Any:
    """Standard normal numbers like states x, of a function of one's own."""
    try:
        z = noise(x)
    except TypeError as error:
        asked = "noise is called as noise(x), such as lambda x: rng.standard_normal(x.shape)"
        raise TypeError(f"{asked}: {error}") from error
    if z.shape != x.shape:
        raise ValueError(f"noise returned shape {tuple(z.shape)} for states of shape {tuple(x.shape)}")
    return z


def checked_step(solver: Any, found: Any, x: Any) -> tuple[Any, Any]:
    """What ``advance`` returned of states x: states, and what it wants to remember."""
    name = type(solver).__name__
    if not isinstance(found, tuple) or len(found) != 2:
        shown = f"a tuple of {len(found)}" if isinstance(found, tuple) else type(found).__name__
        raise TypeError(f"{name}.advance must return (x, memory), memory None if there is none: it returned {shown}")
    if getattr(found[0], "shape", None) != x.shape:
        shown = f"shape {tuple(found[0].shape)}" if hasattr(found[0], "shape") else type(found[0]).__name__
        raise ValueError(f"{name}.advance must return states like x, of shape {tuple(x.shape)}: it returned {shown}")
    return found


def with_hints(**hints: str) -> Callable[[Method], Method]:
    """A method that says what does the work of parameters which others of its kind have.

    Examples
    --------
    >>> class Trees:
    ...     @with_hints(layers="trees have max_depth=...")
    ...     def __init__(self, max_depth=3):
    ...         self.max_depth = max_depth
    >>> Trees(layers=2)
    Traceback (most recent call last):
    TypeError: Trees has no parameter 'layers': trees have max_depth=...
    """

    def hinted(method: Method) -> Method:
        @wraps(method)
        def wrapped(self: Any, *args: Any, **parameters: Any) -> Any:
            for name in hints.keys() & parameters.keys():
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {hints[name]}")
            return method(self, *args, **parameters)

        return cast(Method, wrapped)

    return hinted
