"""Models back from their files."""

import os
from typing import Any

from buff.archive import read_archive
from buff.errors import ArchiveError
from buff.generators.buff import BUFF
from buff.generators.jet_archive import jets_from_archive
from buff.generators.jets import JetBUFF
from buff.generators.persistence import restore
from buff.generators.transport import BUFFTransport

__all__ = ["load"]

_KINDS = {"BUFF": BUFF, "BUFFTransport": BUFFTransport, "JetBUFF": JetBUFF}


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
        rebuild = jets_from_archive if archive.kind == "JetBUFF" else restore
        return rebuild(_KINDS[archive.kind], archive)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ArchiveError(f"{path} does not hold what a {archive.kind} of this version needs: {reason}") from error
