"""Columns that name rows: fresh, unique values of the same pattern, and nothing of those that were seen."""

import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
from scipy.special import ndtr

from buff.errors import ArchiveError
from buff.protocols import Array, Values
from buff.randomness import EventNoise
from buff.records import checked_list, checked_number, checked_record, require
from buff.tables.columns import is_missing

__all__ = ["IdPattern", "Shape", "looks_like_ids"]

#: Classes of characters: what stands at a place is drawn from the smallest that holds all that was seen there.
_ALPHABETS = (
    string.digits,
    string.hexdigits[:16],
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.ascii_letters,
    string.digits + string.ascii_letters,
)
#: A character that so many rows share at its place is part of the pattern, and so is a choice of few.
_FEWEST_ROWS, _FEW_CHARACTERS, _ROWS_OF_FEW = 5, 4, 100
#: A column of text with so many distinct values, and as a share of the rows, names rows.
_FEWEST_IDS, _ID_SHARE = 20, 0.5
#: Integers that rise in every row count them where they leave out no more than so many numbers for each that they have.
_SKIPPED = 1
#: Integers in any order name rows where none repeats, though so many pairs of independent ones would be equal: at least
#: n (n - 1) / 2 / span of them are expected, and none has a probability of the exponential of minus their number.
_COINCIDENCES = 20
#: Values of a shape for each row, at least, before places of few digits take any digit.
_ROOM = 10
#: Shapes of values, at most.
_MOST_SHAPES = 200
#: Stream of an event's random numbers that chooses the shape of its ids.
_STREAM = 2**31 + 3
#: Digits of a number that rises, at most, in a file.
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class Shape:
    """Values of one length: an alphabet for each place, of which a residue class that no row of the training is in.

    Attributes
    ----------
    alphabets : tuple of str
        Characters that may stand at each place, in order; one where it is fixed.
    modulus, residue : int
        Values are numbered by their places; those of the training have other remainders.
    """

    alphabets: tuple[str, ...]
    modulus: int
    residue: int

    @classmethod
    def of(cls, values: Sequence[str], whole: bool = False) -> "Shape":
        """The shape of values of equal length and classes of characters; ``whole`` numbers have no leading zero."""
        alphabets = tuple(_alphabet([v[i] for v in values]) for i in range(len(values[0])))
        if whole and len(alphabets) > 1:
            alphabets = (alphabets[0].replace("0", ""), *alphabets[1:])
        own = cls._beside(values, alphabets)
        # numbers keep their width where that has room for more than a few times the rows
        for i in reversed(range(len(alphabets))):
            if own.capacity >= _ROOM * len(values):
                break
            digits = string.digits[whole and i == 0 and len(alphabets) > 1 :]
            if set(alphabets[i]) < set(digits):
                alphabets = (*alphabets[:i], digits, *alphabets[i + 1 :])
                own = max(own, cls._beside(values, alphabets), cls._above(values, alphabets), key=lambda s: s.capacity)
        return own

    @classmethod
    def _above(cls, values: Sequence[str], alphabets: tuple[str, ...]) -> "Shape":
        """The shape of all that come after the last of the values."""
        shape = cls(alphabets, 1, 0)
        return cls(alphabets, 1, max(shape._number(v) for v in values) + 1)

    @classmethod
    def _beside(cls, values: Sequence[str], alphabets: tuple[str, ...]) -> "Shape":
        """The shape that has none of the values."""
        shape = cls(alphabets, 1, 0)
        numbers = [shape._number(v) for v in values]
        for modulus in _primes():
            absent = set(range(modulus)) - {number % modulus for number in numbers} if modulus < 10**7 else set()
            if absent:
                return cls(alphabets, modulus, min(absent))
        raise AssertionError("some remainder is free below twice the number of rows")

    @property
    def capacity(self) -> int:
        """Values that there are."""
        return max(0, (_product(self.alphabets) - self.residue - 1) // self.modulus + 1)

    def value(self, i: int) -> str:
        """The i-th of ``capacity`` values."""
        number = self.residue + self.modulus * _shuffled(i, self.capacity)
        places = []
        for alphabet in reversed(self.alphabets):
            number, k = divmod(number, len(alphabet))
            places.append(alphabet[k])
        return "".join(reversed(places))

    def _number(self, value: str) -> int:
        number = 0
        for alphabet, character in zip(self.alphabets, value, strict=True):
            number = number * len(alphabet) + alphabet.index(character)
        return number


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
        return _counter(own, texts, whole) or _shaped(own, texts, whole)

    def fresh(self, n: int, first_event: int = 0, *, seed: int) -> Array:
        """Ids of ``n`` events; that of event i depends on i and the seed alone."""
        u = EventNoise(seed, first_event, _STREAM).normal(n, 2)
        share, chosen = ndtr(u.astype(np.float64)).T
        texts = [self._text(first_event + i, chosen[i], seed) for i in range(n)]
        dtype = np.dtype(self.dtype)
        values = np.empty(n, dtype)
        values[:] = texts if dtype.kind == "O" else [int(text) for text in texts]
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
        if np.dtype(self.dtype).kind != "O":
            return str(10**longest + i)
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


def _shaped(own: IdPattern, texts: Sequence[str], whole: bool) -> IdPattern:
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(_outline(text), []).append(text)
    common = Counter({outline: len(members) for outline, members in groups.items()}).most_common(_MOST_SHAPES)
    shapes = [Shape.of(groups[outline], whole) for outline, _ in common]
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


def _alphabet(characters: Sequence[str]) -> str:
    seen = set(characters)
    if not all(c.isalnum() for c in seen):
        return "".join(sorted(seen))
    if len(seen) == 1 and len(characters) >= _FEWEST_ROWS:
        return characters[0]
    if len(seen) <= _FEW_CHARACTERS and len(characters) >= _ROWS_OF_FEW:
        return "".join(sorted(seen))
    for alphabet in _ALPHABETS:
        if seen <= set(alphabet):
            return alphabet
    return "".join(sorted(seen | set(string.ascii_letters)))


def _product(alphabets: Sequence[str]) -> int:
    product = 1
    for alphabet in alphabets:
        product *= len(alphabet)
    return product


def _primes() -> Iterator[int]:
    """Primes, each about a quarter above the last."""
    n = 2
    while True:
        if all(n % k for k in range(2, int(n**0.5) + 1)):
            yield n
            n = max(n + 1, n + n // 4)
        else:
            n += 1


def _shuffled(i: int, m: int) -> int:
    """A permutation of 0 ... m - 1 without rising runs: steps of the golden section."""
    # beyond 2^50, digits of the golden section as whole numbers: a product of doubles would not be exact
    step = max(1, int(m * 0.6180339887498949)) if m < 2**50 else m * 618033988749 // 10**12
    while gcd(step, m) != 1:
        step += 1
    return (i * step + step // 2) % m


def _lengthened(text: str, number: str) -> str:
    """``text`` with a number behind its last run of digits, or else before the first separator."""
    digits = list(re.finditer(r"\d+", text))
    separator = re.search(r"\W", text)
    at = digits[-1].end() if digits else separator.start() if separator else len(text)
    return f"{text[:at]}{number}{text[at:]}"
