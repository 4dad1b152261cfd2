"""What is kept of an unfolding: records, arrays and trees, each part under its name."""

from typing import Any, TypeAlias

__all__ = ["Parts", "joined", "part_of"]

#: A JSON-serialisable record, named arrays, named trees.
Parts: TypeAlias = tuple[dict[str, Any], dict[str, Any], dict[str, bytes]]


def joined(**parts: Parts) -> Parts:
    """Records, arrays and trees of parts, each under its name."""
    records = {name: record for name, (record, _, _) in parts.items()}
    arrays = {f"{name}/{key}": a for name, (_, own, _) in parts.items() for key, a in own.items()}
    return records, arrays, {f"{name}/{key}": b for name, (_, _, own) in parts.items() for key, b in own.items()}


def part_of(parts: Parts, name: str) -> Parts:
    """What :func:`joined` put under a name.

    Examples
    --------
    >>> part_of(joined(a=({"n": 1}, {}, {}), b=({}, {"x": 2}, {})), "b")
    ({}, {'x': 2}, {})
    """
    record, prefix = parts[0], f"{name}/"
    arrays, blobs = ({k.removeprefix(prefix): x for k, x in e.items() if k.startswith(prefix)} for e in parts[1:])
    return record[name], arrays, blobs
