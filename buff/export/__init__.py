"""Models outside of Python tables: single events, C++, ONNX."""

import os
from typing import Any

from buff.errors import ExportError
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
_PYTHON_ONLY = ("BUFFImputer", "JetBUFF", "ShowerBUFF", "TreeDensity", "NeuralFlow", "NeuralDiffusion")


def export_model(model: Any, directory: str | os.PathLike[str], format: str = "cpp") -> None:
    """Write a fitted model for use without Python.

    Parameters
    ----------
    model : BUFF, BUFFTransport or Unfolder
        Fitted; unpaired transports and ``"bridge"`` unfolders as ONNX only, ``"reweight"`` ones not at all.
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
    if (kind := type(model).__name__) in _PYTHON_ONLY:
        raise ExportError(
            f"{kind} is used from Python only and cannot be exported: BUFF, BUFFTransport and "
            "Unfolder(method='conditional') can"
        )
    (export_cpp if format == "cpp" else export_onnx)(model, directory)
