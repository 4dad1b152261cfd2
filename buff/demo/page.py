"""Where demonstrations print and write."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from buff.errors import install_hint
from buff.report.page import checked_page

__all__ = ["NO_PAGE", "Echo", "page_path", "print_line"]

#: Takes one line to print.
Echo = Callable[[str], object]
NO_PAGE = f"no page with plots without matplotlib: {install_hint('plot')}"


def print_line(line: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def page_path(path: str | Path | None, usual: str) -> Path | None:
    """Where the page goes: under its usual name unless told, nowhere without matplotlib."""
    if path is not None:
        return checked_page(path)
    return None if find_spec("matplotlib") is None else Path(usual)
