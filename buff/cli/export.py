"""``buff export``."""

from pathlib import Path
from typing import Annotated

import typer

from buff.cli.options import existing

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that `buff fit` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write, made if missing.")],
    format: Annotated[str, typer.Option(metavar="FORMAT", help="cpp or onnx.")] = "cpp",
) -> None:
    """Write a model for use without Python.

    cpp: a header-only C++17 sampler with a model file, an example and its build. onnx: one graph from noise and
    condition to values (extra `onnx`).
    For models of tables, transports and unfolders; those of jets and showers, TreeDensity and BUFFImputer draw in
    Python only.

    \b
    Examples:
      buff export jets.buff -o sampler
      buff export jets.buff -o graph --format onnx
    """
    from buff.export import export_model
    from buff.generators import load

    export_model(load(existing(model)), output, format)
    typer.echo(f"wrote {', '.join(sorted(p.name for p in output.iterdir()))} to {output}")
