"""What a column of text holds: numbers as people write them, dates, booleans, or words."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from buff.io.tables import TableError
from buff.tables.written import MARKERS

__all__ = ["ColumnReading", "Reading"]

#: Those that are no words.
_BLANK_MARKERS = ("?", "n/a", "N/A", "NaN")
_SIGN = r"[+-]?\s*"
_THOUSANDS = _SIGN + r"(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?"
_DECIMAL_COMMA = _SIGN + r"(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?"
_BEFORE = r"^([+-]?)\s*(?:[$€£¥]|USD|EUR|GBP|CHF)\s*"
_AFTER = r"\s*([$€£¥%]|USD|EUR|GBP|CHF)$"


@dataclass(frozen=True)
class Reading:
    """A type that a column may have, and how its cells are read; None: as Arrow reads them."""

    kind: pa.DataType
    convert: Callable[[pa.Array], pa.Array] | None = None
    note: str = ""

    def read(self, column: pa.Array) -> pa.Array:
        """A column that was read as text, or already of the type."""
        return self.convert(column) if self.convert is not None else column.cast(self.kind)

    def fits(self, column: pa.Array) -> bool:
        """Whether every cell can be read so."""
        try:
            if self.convert is not None:
                self.convert(column)
                return True
            # the parser trims numbers, the cast does not; a cast that fails words a complaint for every row
            if pa.types.is_integer(self.kind) or pa.types.is_floating(self.kind):
                column = pc.utf8_trim_whitespace(column)
            column.slice(0, 50).cast(self.kind)
            column.cast(self.kind)
        except pa.ArrowInvalid:
            return False
        return True


def _number(column: pa.Array, kind: pa.DataType, decimal: str, thousands: str) -> pa.Array:
    """Numbers with currency, percent sign and separators of thousands; markers are missing."""
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(text, pa.array(MARKERS)), pa.scalar(None, text.type), text)
    text = pc.replace_substring_regex(pc.replace_substring_regex(text, _BEFORE, r"\1"), _AFTER, "")
    pattern = _DECIMAL_COMMA if decimal == "," else _THOUSANDS
    if thousands not in ("", ",", "."):
        text = pc.replace_substring(text, thousands, "")
    if not pc.all(pc.match_substring_regex(text, f"^({pattern})$"), skip_nulls=True, min_count=0).as_py():
        raise pa.ArrowInvalid("not a number")
    text = pc.replace_substring(text, "." if decimal == "," else ",", "")
    text = pc.replace_substring(text, ",", ".") if decimal == "," else text
    return pc.replace_substring_regex(text, r"^\+", "").cast(kind)


def _date(column: pa.Array, order: str) -> pa.Array:
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(text, pa.array(MARKERS)), pa.scalar(None, text.type), text)
    parts = pc.extract_regex(text, r"^(?P<a>\d{1,2})[/.](?P<b>\d{1,2})[/.](?P<y>\d{4})$")
    if parts.null_count != text.null_count:
        raise pa.ArrowInvalid("not a date")
    a, b, y = (pc.utf8_lpad(pc.struct_field(parts, name), 2, "0") for name in ("a", "b", "y"))
    month, day = (b, a) if order == "day first" else (a, b)
    return pc.binary_join_element_wise(y, month, day, "-").cast(pa.date32())


_PLAIN = (
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    *(pa.timestamp(unit, zone) for zone in (None, "UTC") for unit in ("s", "ns")),
)
_DATES = (
    Reading(pa.date32(), partial(_date, order="day first"), "read as dates, day before month"),
    Reading(pa.date32(), partial(_date, order="month first"), "read as dates, month before day"),
)


@dataclass
class ColumnReading:
    """The readings that every cell of a column so far allows.

    Parameters
    ----------
    name : str
    decimal, thousands : str
        As the user says, "" where nothing was said.
    """

    name: str
    decimal: str = ""
    thousands: str = ""
    possible: list[Reading] = field(default_factory=list)
    _commas: bool = False
    _zeros: bool = False
    _cells: int = 0
    _example: str = ""
    _values: bool = False
    _marks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        decimals = [self.decimal] if self.decimal else [","] if self.thousands == "." else ["."]
        if not self.decimal and not self.thousands:
            decimals.append(",")
        kinds = (pa.int64(), pa.float64())
        self._dressed = [
            Reading(kind, partial(_number, kind=kind, decimal=decimal, thousands=self.thousands), _NOTES[decimal])
            for decimal in decimals
            for kind in kinds
        ]
        plain = [Reading(kind) for kind in _PLAIN]
        if self.decimal == "," or self.thousands == ".":
            plain = [reading for reading in plain if reading.kind not in kinds]
        self.possible = [*plain, *self._dressed, *_DATES]

    def look(self, column: pa.Array) -> None:
        """Take another part of the column into account."""
        if column.null_count == len(column) or not self.possible:
            return
        self._cells += len(column) - column.null_count
        self._marks.update(column.filter(pc.is_in(column, pa.array(_BLANK_MARKERS))).to_pylist())
        is_float = Reading(pa.float64()).fits(column) and not (self.decimal == "," or self.thousands == ".")
        self._values |= is_float
        if is_float and Reading(pa.int64()).fits(column):
            self._zeros |= bool(pc.any(pc.match_substring_regex(column, r"^\s*[+-]?0\d+\s*$")).as_py())
        if not is_float:
            marks = pc.is_in(pc.utf8_trim_whitespace(column), pa.array([*MARKERS, None]))
            self._values |= not pc.all(marks, min_count=0).as_py()
            commas = pc.match_substring(column, ",")
            self._commas |= bool(pc.any(commas).as_py())
            self._example = self._example or next((cell for cell in column.filter(commas).to_pylist() if cell), "")
        self.possible = [r for r in self.possible if self._allows(r, column, is_float)]

    def _allows(self, reading: Reading, column: pa.Array, is_float: bool) -> bool:
        if is_float and reading in self._dressed:  # the plain numbers of a column of dressed ones
            return reading.kind == pa.float64() or Reading(pa.int64()).fits(column)
        return reading.fits(column)

    def decide(self) -> Reading:
        """The first reading that is left; words otherwise.

        Raises
        ------
        TableError
            Where a comma may stand for thousands or for the decimal point.
        """
        if not self._cells:
            return Reading(pa.float64())
        if self._zeros and self.possible and pa.types.is_integer(self.possible[0].kind):
            return Reading(pa.string(), note="has leading zeros: kept as text")
        first = self.possible[0] if self.possible else Reading(pa.string(), note=self._marked())
        notes = {reading.note for reading in self.possible if reading in self._dressed}
        if not self._values:  # nothing but marks
            return Reading(pa.string())
        if self._commas and first in self._dressed and len(notes) > 1:
            raise TableError(
                f"column {self.name!r} holds {self._example!r}, which may be a fraction or thousands: say "
                f"--decimal , or --thousands ,"
            )
        return first

    def _marked(self) -> str:
        """Words for a mark in place of a word."""
        if not self._marks or sum(self._marks.values()) == self._cells:
            return ""
        mark, n = self._marks.most_common(1)[0]
        return f"holds {mark!r} in {n / self._cells:.2%} of its rows: where that is missing, say --na-values {mark!r}"


_NOTES = {
    ".": "read as numbers, without signs of currency, percent and thousands; marks such as - and ? are missing",
    ",": "read as numbers with a decimal comma; marks such as - and ? are missing",
}
