"""What is kept of an unfolding: records, arrays and trees, each part under its name."""

from typing import Any, TypeAlias

from buff import records

__all__ = ["Parts", "joined", "part_of"]

#: A JSON-serialisable record, named arrays, named trees.
Parts: TypeAlias = tuple[dict[str, Any], dict[str, Any], dict[str, bytes]]


def joined(**parts: Parts) -> Parts:
    """Records, arrays and trees of parts, each under its name."""
    arrays, blobs = (records.joined({name: part[i] for name, part in parts.items()}) for i in (1, 2))
    return {name: record for name, (record, _, _) in parts.items()}, arrays, blobs


def part_of(parts: Parts, name: str) -> Parts:
    """The part that :func:`joined` put under a name.

    Examples
    --------
    >>> part_of(joined(a=({"n": 1}, {}, {}), b=({}, {"x": 2}, {})), "b")
    ({}, {'x': 2}, {})
    """
    return parts[0][name], records.nested(parts[1], name), records.nested(parts[2], name)
