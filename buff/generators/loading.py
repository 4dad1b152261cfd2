"""Models back from their files."""

import os
from typing import Any

from buff.archive import read_archive
from buff.errors import ArchiveError
from buff.generators.buff import BUFF
from buff.generators.jets import JetBUFF
from buff.generators.showers import ShowerBUFF
from buff.generators.transport import BUFFTransport

__all__ = ["load"]

_KINDS: dict[str, Any] = {"BUFF": BUFF, "BUFFTransport": BUFFTransport, "JetBUFF": JetBUFF, "ShowerBUFF": ShowerBUFF}


def load(path: str | os.PathLike[str]) -> Any:
    """A model that ``save`` wrote, ready to sample on this machine, with or without a GPU.

    Loading runs no code from the file: it holds JSON, arrays and trees, and no pickle.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no model, is cut short, or has a format that this version does not read.
    """
    archive = read_archive(path)
    if archive.kind not in _KINDS:
        raise ArchiveError(f"{path} holds a model of kind {archive.kind!r}, this version knows {sorted(_KINDS)}")
    try:
        return _KINDS[archive.kind].from_archive(archive)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ArchiveError(f"{path} does not hold what a {archive.kind} of this version needs: {reason}") from error
