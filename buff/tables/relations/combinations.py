"""Columns whose values come back in combinations that were seen, and in no others."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from buff.protocols import Array, Values
from buff.tables.relations.base import Relation, Table, listed, unlisted
from buff.tables.relations.functions import joint_codes

__all__ = ["Combinations"]


@dataclass(frozen=True)
class Combinations(Relation):
    """No row has a combination of values of some columns that the training lacks; missing is a value.

    The combinations are learned as the labels of one column. Where one of the columns tells the others,
    :class:`Determines` says more, and is found.

    Parameters
    ----------
    *names : str
        Two columns or more of labels, or of numbers that repeat.

    Examples
    --------
    >>> table = {"size": np.array(["S", "S", "L"] * 9, object), "by": np.array(["air", "road", "road"] * 9, object)}
    >>> both = Combinations("size", "by").learn(table)
    >>> learned = both.forward(table)["size"]
    >>> sorted(set(learned)), both.backward({"size": learned[:2]})["by"].tolist()
    (['0', '1', '2'], ['air', 'road'])
    """

    kind: ClassVar[str] = "combinations"
    names: tuple[str, ...]
    rows: int = 0
    seen_values: tuple[Any, ...] = ()

    def __init__(self, *names: Any, **learned: Any) -> None:
        fields = {"names": learned.pop("names", names), "rows": 0, "seen_values": ()} | learned
        for key, value in fields.items():
            object.__setattr__(self, key, tuple(value) if isinstance(value, list) else value)
        if len(set(self.names)) < max(2, len(self.names)):
            raise ValueError(
                f"Combinations{self.names} needs two columns or more, each once: Combinations('size', 'by')"
            )

    @property
    def target(self) -> str:
        return self.names[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names[1:]

    @property
    def replaced(self) -> tuple[str, ...]:
        return self.names

    @property
    def dropped(self) -> tuple[str, ...]:
        return self.names[1:]

    def learn(self, table: Table) -> Self:
        self._require(table)
        codes = joint_codes(*(table[name] for name in self.names))
        first = np.unique(codes, return_index=True)[1]
        if len(first) > len(codes) / 2:
            raise ValueError(
                f"{self}: {len(first)} different ones in {len(codes)} rows, which would come back as rows of the "
                f"training; leave out columns that hardly repeat"
            )
        return self.seen(len(codes), seen_values=tuple(listed(table[name][first]) for name in self.names))

    def encode(self, table: Table) -> Array | None:
        return table[self.target]

    def decode(self, table: Table, rest: Values | None, n: int) -> Array:
        assert rest is not None
        return rest

    def forward(self, table: Table) -> dict[str, Array]:
        """The table with the number of the combination, as text, in the place of the first column."""
        seen = [unlisted(values) for values in self.seen_values]
        k = len(seen[0])
        both = (np.concatenate([own.astype(table[name].dtype), table[name]]) for name, own in self._pairs(seen))
        codes = joint_codes(*both)
        number = np.zeros(int(codes.max()) + 1, np.intp)
        number[codes[:k]] = np.arange(k)
        return {**table, self.target: number[codes[k:]].astype(str).astype(object)}

    def backward(self, table: Table) -> dict[str, Array]:
        """Inverse of :meth:`forward`."""
        number = table[self.target].astype(np.intp)
        return {**table, **{name: own[number] for name, own in self._pairs(map(unlisted, self.seen_values))}}

    def _pairs(self, values: Any) -> Any:
        return zip(self.names, values, strict=True)

    def __str__(self) -> str:
        return f"combinations of {', '.join(self.names)}"
