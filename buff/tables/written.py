"""Text in which people write numbers and dates."""

import re
from collections.abc import Iterable, Iterator

from buff.errors import warn
from buff.protocols import Values

__all__ = ["MARKERS", "warn_of_written_numbers", "written_as_text"]

#: What stands for a missing number or date; in a column of words it is a word.
MARKERS = ("-", "--", "?", ".", "...", "*", "n/a", "N/A", "none", "None", "missing", "unknown", "NaN")
_UNIT = r"(?:[$€£¥%]|USD|EUR|GBP|CHF)"
_NUMBER = re.compile(
    rf"[+-]?\s*{_UNIT}?\s*[+-]?(?=[.,]?\d)(?:\d{{1,3}}(?:[,.' ]\d{{3}})+|\d*)(?:[.,]\d*)?(?:[eE][+-]?\d+)?\s*{_UNIT}?"
)
_PLAIN = re.compile(r"[+-]?(?=\.?\d)\d*\.?\d*(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")


def written_as_text(levels: Iterable[str]) -> tuple[str, str] | None:
    """What a column of text seems to hold, ``"numbers"`` or ``"dates"``, and a cell that shows why it is text.

    None for words, and for plain numerals: these may be labels.

    Examples
    --------
    >>> written_as_text(["$3.50", "$1,234.00", "-"]), written_as_text(["3", "?", "12"])
    (('numbers', '$3.50'), ('numbers', '?'))
    >>> written_as_text(["31/12/2020"]), written_as_text(["01234", "12"]), written_as_text(["a", "5%"])
    (('dates', '31/12/2020'), None, None)
    """
    marks, first, telling = "", "", ""
    pattern = None
    for level in levels:
        cell = level.strip()
        if cell in MARKERS:
            marks = marks or cell
            continue
        if pattern is None:
            pattern = _DATE if _DATE.fullmatch(cell) else _NUMBER
            first = cell
        if not pattern.fullmatch(cell):
            return None
        if not telling and not _PLAIN.fullmatch(cell):
            telling = cell
    if pattern is _DATE:
        return "dates", first
    found = telling or (marks if pattern else "")
    return ("numbers", found) if found else None


def _distinct(values: Values) -> Iterator[str]:
    """Texts of a column, each once, in their order; most columns of words are known by the first."""
    seen: set[str] = set()
    for value in values:
        if isinstance(value, str) and value not in seen:
            seen.add(value)
            yield value


def warn_of_written_numbers(name: str, values: Values) -> bool:
    """Whether a column is text that looks like numbers or dates; says so, and how to convert it."""
    if not all(isinstance(value, str | None) for value in values[:20]):
        return False
    found = written_as_text(_distinct(values))
    if found is None:
        return False
    what, example = found
    how = {
        "numbers": f'pandas.to_numeric(table["{name}"].str.replace("[^0-9.eE+-]", "", regex=True), errors="coerce")',
        "dates": f'pandas.to_datetime(table["{name}"], dayfirst=...)',
    }[what]
    warn(
        f"column {name!r} is text that looks like {what}, such as {example!r}, and is learned as text, or as an id: "
        f"convert it before the fit, {how}, or read its file by buff.io.read_table; "
        f'schema={{"{name}": "categorical"}} keeps the text'
    )
    return True
