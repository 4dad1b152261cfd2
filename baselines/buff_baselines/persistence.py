"""Baselines back from their files."""

import os
from typing import Any

from buff.archive import read_archive
from buff.errors import ArchiveError
from buff_baselines.estimators import NeuralDiffusion, NeuralFlow
from buff_baselines.generator import NeuralGenerator

__all__ = ["load"]

_KINDS: dict[str, type[NeuralGenerator]] = {"NeuralFlow": NeuralFlow, "NeuralDiffusion": NeuralDiffusion}


def load(path: str | os.PathLike[str]) -> Any:
    """A baseline that ``save`` wrote, ready to sample.

    Raises
    ------
    FileNotFoundError
    ArchiveError
        The file is no baseline, is cut short, or has a format that this version does not read.
    """
    archive = read_archive(path)
    if archive.kind not in _KINDS:
        raise ArchiveError(f"{path} holds a model of kind {archive.kind!r}, this reads {sorted(_KINDS)}")
    return _KINDS[archive.kind].from_archive(archive)
