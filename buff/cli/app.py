"""The application that the verbs are added to, and what becomes of errors."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from buff.errors import Notice

__all__ = ["new_app", "notices_as_lines"]

_HELP = """Learn a table of events and generate new ones, with gradient-boosted flow matching.

Tables are parquet, CSV, TSV (also .gz), feather, HDF5, NPZ or ROOT files (file.root:tree).

\b
Examples:
  buff demo --report demo.html
  buff split jets.parquet -o train.parquet test.parquet
  buff fit train.parquet -o jets.buff
  buff sample jets.buff -n 1000000 -o generated.parquet
  buff evaluate test.parquet generated.parquet --report quality.html
  buff unfold --template > unfold.toml
"""


class _Verbs(TyperGroup):
    """Turns what a user can put right into one line and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with notices_as_lines():
                return super().invoke(ctx)
        except BrokenPipeError:  # what reads the output has had enough of it, as head has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt as error:
            typer.echo("buff: interrupted", err=True)
            raise typer.Exit(130) from error
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            if ctx.params.get("traceback"):
                raise
            typer.echo(f"buff: {_reason(error)}", err=True)
            raise typer.Exit(1) from error


def _reason(error: Exception) -> str:
    """One line that says what is wrong."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: no such file"
    words = " ".join(str(error).split()) or type(error).__name__
    return words.replace('negative_weights="smooth"', "--negative-weights smooth") if _takes(words) else words


def _takes(words: str) -> bool:
    """Whether the option stands on the command line, and not in a configuration."""
    return not words.startswith("[")


@contextmanager
def notices_as_lines() -> Iterator[None]:
    """What should be known, such as how tables were read: a line each on standard error, each said once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        show = warnings.showwarning

        def say(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if not issubclass(category, Notice):
                show(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                typer.echo(f"buff: {message}", err=True)

        warnings.showwarning = say
        yield


def new_app() -> typer.Typer:
    """The command without verbs."""
    app = typer.Typer(
        cls=_Verbs,
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    return app


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=lambda asked: _say_version(asked), is_eager=True, help="Print the version."),
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")] = False,
) -> None:
    pass


def _say_version(asked: bool) -> None:
    if not asked:
        return
    from buff.version import __version__

    typer.echo(f"buff {__version__}")
    raise typer.Exit
