"""Errors that buff raises on top of Python's own.

Bad values raise :class:`ValueError`, bad types :class:`TypeError`; the classes below name the situations a
caller may want to tell apart.
"""

__all__ = ["ArchiveError", "ExportError", "MissingExtraError", "OffGridError"]


class OffGridError(ValueError):
    """A field known only at its nodes was asked for another time."""


class ArchiveError(ValueError):
    """A file is not a buff model, is cut short, or was written by another version."""


class ExportError(ValueError):
    """A model, or a part of it, that the wanted format cannot hold."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str
        The extra of ``buff-flow`` that installs it.

    Examples
    --------
    >>> raise MissingExtraError("matplotlib", "plot")
    Traceback (most recent call last):
    buff.errors.MissingExtraError: matplotlib is not installed: pip install "buff-flow[plot]"
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed: pip install "buff-flow[{extra}]"')
        self.package = package
        self.extra = extra
