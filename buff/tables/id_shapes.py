"""What values of equal length look like, and others of the same look that none of the seen ones is."""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

__all__ = ["Shape"]

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
#: Values of a shape for each row, at least, before places of few digits take any digit.
_ROOM = 10


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
    def of(cls, values: Sequence[str], most: int = 0) -> "Shape":
        """The shape of values of equal length and classes of characters; of numbers up to ``most``, if it is not 0."""
        alphabets = tuple(_alphabet([v[i] for v in values]) for i in range(len(values[0])))
        if most and len(alphabets) > 1:
            alphabets = (alphabets[0].replace("0", ""), *alphabets[1:])
        alphabets = _up_to(most, alphabets)
        own = cls._beside(values, alphabets)
        # numbers keep their width where that has room for more than a few times the rows
        for i in reversed(range(len(alphabets))):
            if own.capacity >= _ROOM * len(values):
                break
            digits = string.digits[bool(most) and i == 0 and len(alphabets) > 1 :]
            if set(alphabets[i]) < set(digits):
                alphabets = _up_to(most, (*alphabets[:i], digits, *alphabets[i + 1 :]))
                own = max(own, cls._beside(values, alphabets), cls._above(values, alphabets), key=lambda s: s.capacity)
        return own

    @classmethod
    def _above(cls, values: Sequence[str], alphabets: tuple[str, ...]) -> "Shape":
        """The shape of all that come after the last of the values."""
        shape = cls(alphabets, 1, 0)
        return cls(alphabets, 1, max(shape._numbers(values), default=-1) + 1)

    @classmethod
    def _beside(cls, values: Sequence[str], alphabets: tuple[str, ...]) -> "Shape":
        """The shape that has none of the values."""
        shape = cls(alphabets, 1, 0)
        numbers = shape._numbers(values)
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

    def _numbers(self, values: Sequence[str]) -> list[int]:
        """Numbers of those values that have this shape."""
        numbers = []
        for value in values:
            places, number = list(zip(self.alphabets, value, strict=True)), 0
            if all(character in alphabet for alphabet, character in places):
                for alphabet, character in places:
                    number = number * len(alphabet) + alphabet.index(character)
                numbers.append(number)
        return numbers


def _up_to(most: int, alphabets: tuple[str, ...]) -> tuple[str, ...]:
    """Alphabets of digits without the highest ones that lead beyond ``most``; 0 for any."""
    chosen = list(alphabets)
    for i in range(len(chosen)):
        while most and len(chosen[i]) > 1 and int("".join(a[-1] for a in chosen).lstrip("-")) > most:
            chosen[i] = chosen[i][:-1]
    return tuple(chosen)


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
