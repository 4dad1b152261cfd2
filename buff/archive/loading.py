"""Models of every kind back from their files."""

import os
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar, overload

from buff.archive.container import read_archive
from buff.errors import ArchiveError

__all__ = ["KINDS", "load"]

M = TypeVar("M")

#: The kinds of models that files hold, and where each is at home; nothing else is ever imported on a file's word.
#: A class of such a name has ``to_archive()`` and a class method ``from_archive(archive)``.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "BUFF": "buff.generators",
        "BUFFImputer": "buff.generators",
        "BUFFTransport": "buff.generators",
        "JetBUFF": "buff.generators",
        "ShowerBUFF": "buff.generators",
        "TreeDensity": "buff.generators",
        "Unfolder": "buff.unfolding",
        "UnfoldingResult": "buff.unfolding",
        "NeuralFlow": "buff_baselines",
        "NeuralDiffusion": "buff_baselines",
    }
)


@overload
def load(path: str | os.PathLike[str]) -> Any: ...
@overload
def load(path: str | os.PathLike[str], kind: type[M]) -> M: ...
def load(path: str | os.PathLike[str], kind: Any = None) -> Any:
    """A model that ``save`` wrote, ready to sample or unfold on this machine, with or without a GPU.

    Loading runs no code from the file: it holds JSON, arrays and trees, and no pickle. Everything in it is checked
    before use: names, sizes and digests of its members, types, shapes and ranges of what they hold, every tree.

    Parameters
    ----------
    path : path
    kind : class, optional
        What the model has to be, such as ``buff.BUFF``: type checkers then know the model.

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no model, or one of another kind, is cut short or damaged, holds what no model does, or has a
        format that this version does not read.
    ImportError
        The model is a neural baseline, and these are not installed.
    """
    archive = read_archive(path)
    if archive.kind not in KINDS:
        raise ArchiveError(f"{path} holds a model of kind {archive.kind[:40]!r}, this version knows {sorted(KINDS)}")
    own = getattr(import_module(KINDS[archive.kind]), archive.kind)
    if kind is not None and not issubclass(own, kind):
        raise ArchiveError(f"{path} holds a {archive.kind}, not a {kind.__name__}")
    try:
        return own.from_archive(archive)
    except ImportError:
        raise
    except Exception as error:  # whatever a record of the wrong shape makes the code stumble over
        reason = (str(error).splitlines() or [""])[0][:300]
        what = reason if isinstance(error, ArchiveError) else f"{type(error).__name__}: {reason}"
        raise ArchiveError(f"{path} does not hold what a {archive.kind} of this version needs: {what}") from error
