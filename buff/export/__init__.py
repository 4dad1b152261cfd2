"""Models outside of Python tables: single events, C++, ONNX."""

import os
from typing import Any

from buff.export.cpp import export_cpp
from buff.export.graph_inputs import graph_inputs
from buff.export.onnx import export_onnx
from buff.export.packed import pack_sampler
from buff.export.sampler import EventSampler

__all__ = [
    "FORMATS",
    "EventSampler",
    "export_cpp",
    "export_model",
    "export_onnx",
    "graph_inputs",
    "pack_sampler",
]

#: Formats of :func:`export_model`.
FORMATS = ("cpp", "onnx")


def export_model(model: Any, directory: str | os.PathLike[str], format: str = "cpp") -> None:
    """Write a fitted model for use without Python.

    Parameters
    ----------
    model : BUFF, BUFFTransport or Unfolder
        Fitted; unpaired transports, and unfolders of other methods than ``"conditional"``, as ONNX only.
    directory : path
        Made if it is not there.
    format : {"cpp", "onnx"}
        ``"cpp"``: a header-only C++17 sampler with a model file; ``"onnx"``: one graph, ``model.onnx``, from noise and
        condition to scores and values.

    Raises
    ------
    ExportError
        What cannot be exported, by name.
    MissingExtraError
        ONNX without the package onnx (extra ``onnx``).
    ValueError
        Unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}: found {format!r}")
    (export_cpp if format == "cpp" else export_onnx)(model, directory)
