"""Columns that name rows: fresh, unique values of the same pattern, and nothing of those that were seen."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.errors import ArchiveError
from buff.protocols import Array, Values
from buff.randomness import EventNoise
from buff.records import checked_list, checked_number, checked_record, require
from buff.tables.columns import is_missing
from buff.tables.id_shapes import Shape

__all__ = ["IdPattern", "looks_like_ids"]

#: A column of text with so many distinct values, and as a share of the rows, names rows.
_FEWEST_IDS, _ID_SHARE = 20, 0.5
#: Integers that rise in every row count them where they leave out no more than so many numbers for each that they have.
_SKIPPED = 1
#: Integers in any order name rows where none repeats, though so many pairs of independent ones would be equal: at least
#: n (n - 1) / 2 / span of them are expected, and none has a probability of the exponential of minus their number.
_COINCIDENCES = 20
#: Shapes of values, at most.
_MOST_SHAPES = 200
#: Stream of an event's random numbers that chooses the shape of its ids.
_STREAM = 2**31 + 3
#: Digits of a number that rises, at most, in a file.
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class IdPattern:
    """How ids look.

    Numbers that rise from row to row (1, 2, 3; ``INV-0001``, ``INV-0002``) go on beyond the last. Others, such as
    UUIDs or addresses, are new values of the shapes that were seen, with the characters that many rows share at their
    place; values of the training are excluded, without being kept.

    Attributes
    ----------
    dtype : str
        Natural dtype of the column.
    missing : float
        Share of rows without one.
    counter : (prefix, width, start, suffix) or None
    shapes : tuple of Shape
    cumulative : tuple of float
        Probabilities of the shapes.

    Examples
    --------
    >>> IdPattern.of(np.array(["run-007", "run-008", "run-015"], object)).fresh(3, seed=0).tolist()
    ['run-016', 'run-017', 'run-018']
    >>> IdPattern.of(np.array([1, 2, 3])).fresh(2, first_event=10, seed=0)
    array([14, 15])
    """

    dtype: str
    missing: float = 0.0
    counter: tuple[str, int, int, str] | None = None
    shapes: tuple[Shape, ...] = ()
    cumulative: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Values) -> "IdPattern":
        """The pattern of a column of integers or text, of which missing values may repeat.

        Raises
        ------
        TypeError
            Dates, booleans, numbers with fractions.
        """
        missing = is_missing(values)
        known = values[~missing]
        whole = known.dtype.kind in "iu" or (known.dtype.kind == "f" and bool((known == np.rint(known)).all()))
        if not whole and not (known.dtype.kind == "O" and all(isinstance(v, str) for v in known)):
            raise TypeError(f"ids must be integers or text, found {values.dtype} such as {known[:1].tolist()}")
        texts = [str(int(v)) for v in known] if whole else known.tolist()
        own = cls(values.dtype.str, float(missing.mean()) if len(values) else 0.0)
        if not texts:
            return own
        return _counter(own, texts, whole) or _shaped(own, texts)

    def fresh(self, n: int, first_event: int = 0, *, seed: int, column: str = "id") -> Array:
        """Ids of ``n`` events; that of event i depends on i and the seed alone.

        Raises
        ------
        ValueError
            Numbers beyond the dtype.
        """
        u = EventNoise(seed, first_event, _STREAM).normal(n, 2)
        share, chosen = ndtr(u.astype(np.float64)).T
        texts = [self._text(first_event + i, chosen[i], seed) for i in range(n)]
        dtype = np.dtype(self.dtype)
        values = np.empty(n, dtype)
        numbers = [] if dtype.kind == "O" else [int(text) for text in texts]
        if dtype.kind in "iu" and max((abs(number) for number in numbers), default=0) > _most(self.dtype):
            raise ValueError(
                f"column {column!r}: new ids go beyond {dtype}: make it int64 before the fit, or leave it out"
            )
        values[:] = numbers or texts
        if self.missing:
            values[share < self.missing] = None if dtype.kind == "O" else np.nan
        return values

    def _text(self, i: int, u: float, seed: int) -> str:
        if self.counter:
            prefix, width, start, suffix = self.counter
            return f"{prefix}{start + i:0{width}d}{suffix}"
        if not self.shapes:  # all ids of the training were missing
            return ""
        shape = self.shapes[int(np.searchsorted(self.cumulative[:-1], u, side="right"))]
        if i < shape.capacity:
            return shape.value((i + seed) % shape.capacity)
        longest = max(len(own.alphabets) for own in self.shapes)
        if np.dtype(self.dtype).kind != "O":  # event i has the i-th value of no other shape
            widest = max(self.shapes, key=lambda s: s.capacity)
            return widest.value((i + seed) % widest.capacity) if i < widest.capacity else str(10**longest + i)
        text = shape.value(0) if shape.capacity else "".join(alphabet[0] for alphabet in shape.alphabets)
        return _lengthened(text, f"{i:0{longest + 1 - len(text)}d}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "IdPattern":
        """Inverse of :meth:`to_dict`; ArchiveError for a pattern of which no ids can be drawn."""
        checked_record(record, "an id", ("dtype", "missing", "counter", "shapes", "cumulative"))
        shapes = tuple(Shape(tuple(s["alphabets"]), s["modulus"], s["residue"]) for s in record["shapes"])
        for shape in shapes:
            require(
                shape.alphabets and all(map(len, checked_list(shape.alphabets, "an id", str))), "an id has no letters"
            )
            require(all(type(k) is int for k in (shape.modulus, shape.residue)), "an id counts by no number")
            require(shape.modulus >= 1 and shape.residue >= 0, "an id counts by a number below 1")
        cumulative = checked_list(record["cumulative"], "shares of ids", float, len(shapes))
        counter = record["counter"] and tuple(checked_list(record["counter"], "the counter of an id", length=4))
        if counter:
            checked_number(counter[1], "digits of an id", 0, _MOST_DIGITS)
        own = cls(
            record["dtype"], checked_number(record["missing"], "missing ids", 0, 1), counter, shapes, tuple(cumulative)
        )
        try:
            own.fresh(2, seed=0)
        except (TypeError, ValueError, IndexError) as error:
            raise ArchiveError(f"an id cannot be drawn: {str(error)[:80]}") from None
        return own


def looks_like_ids(values: Values) -> str:
    """Why a column seems to name rows, in words; nothing where it does not.

    Texts of which more than half are different; integers that count the rows, rising in each and leaving out no more
    numbers than they have; integers in any order none of which repeats, though many pairs of independent ones would.

    Parameters
    ----------
    values : array of shape (n,)
        Of natural dtype, see :mod:`buff.tables.arrow`.

    Examples
    --------
    >>> looks_like_ids(np.arange(30))
    'rises in every one of 30 rows'
    >>> looks_like_ids(np.arange(30) // 2)
    ''
    """
    known = values[~is_missing(values)]
    if len(known) < _FEWEST_IDS:
        return ""
    if values.dtype.kind in "iu":
        n, span = len(values), int(values.max()) - int(values.min()) + 1
        if span <= (1 + _SKIPPED) * n and np.all(values[1:] > values[:-1]):
            return f"rises in every one of {n} rows"
        different = n * (n - 1) >= 2 * _COINCIDENCES * span and len(np.unique(values)) == n
        if not different:
            return ""
        return f"has another number in each of {n} rows, where those of a distribution would repeat,"
    if not isinstance(known[0], str):
        return ""
    levels = len(set(known.tolist()))
    return f"has {levels} different texts in {len(known)} rows" if levels > _ID_SHARE * len(known) else ""


def _most(dtype: str) -> int:
    """The largest number of a dtype; 0 for text."""
    kind = np.dtype(dtype).kind
    return 0 if kind == "O" else 2**53 if kind == "f" else int(np.iinfo(dtype).max)


def _counter(own: IdPattern, texts: Sequence[str], whole: bool) -> IdPattern | None:
    """Numbers between the same words, that rise from row to row."""
    parts = [re.fullmatch(r"(\D*)(\d+)(\D*)", text) for text in texts]
    if not all(parts) or len(texts) < 2:
        return None
    words = {(part[1], part[3]) for part in parts if part}
    numbers = [int(part[2]) for part in parts if part]
    if len(words) > 1 or any(b <= a for a, b in pairwise(numbers)) or numbers[-1] - numbers[0] > 100 * len(numbers):
        return None
    prefix, suffix = words.pop()
    if whole and prefix:  # numbers below zero
        return None
    padded = len({len(part[2]) for part in parts if part}) == 1
    width = len(parts[0][2]) if padded and not whole else 1  # type: ignore[index]
    return IdPattern(own.dtype, own.missing, (prefix, width, numbers[-1] + 1, suffix))


def _shaped(own: IdPattern, texts: Sequence[str]) -> IdPattern:
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(_outline(text), []).append(text)
    common = Counter({outline: len(members) for outline, members in groups.items()}).most_common(_MOST_SHAPES)
    shapes = [Shape.of(groups[outline], _most(own.dtype)) for outline, _ in common]
    counts = np.array([count for _, count in common], float)
    order = [k for k, shape in enumerate(shapes) if shape.capacity] or [0]
    cumulative = np.cumsum(counts[order]) / counts[order].sum()
    return IdPattern(own.dtype, own.missing, None, tuple(shapes[k] for k in order), tuple(cumulative.tolist()))


def _outline(text: str) -> str:
    """Letters and digits by their class, separators as they are."""
    hexadecimal = re.fullmatch(r"[0-9a-f\-]{16,}", text) is not None
    if hexadecimal:
        return re.sub(r"[0-9a-f]", "x", text)
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", text))))


def _lengthened(text: str, number: str) -> str:
    """``text`` with a number behind its last run of digits, or else before the first separator."""
    digits = list(re.finditer(r"\d+", text))
    separator = re.search(r"\W", text)
    at = digits[-1].end() if digits else separator.start() if separator else len(text)
    return f"{text[:at]}{number}{text[at:]}"
