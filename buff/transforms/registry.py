"""The encoder of each kind of column, and encoders from files."""

from dataclasses import fields
from typing import Any

from buff.errors import ArchiveError
from buff.protocols import Array
from buff.records import checked_record, known_part
from buff.transforms.encoders import ColumnEncoder, ConstantEncoder, NumberEncoder
from buff.transforms.labels import IndicatorEncoder, LevelEncoder
from buff.transforms.quantile_map import QuantileMap

__all__ = ["ENCODERS", "unpack"]

#: The encoder of each kind in :data:`buff.tables.kinds.KINDS`, where the other facts of a kind stand.
ENCODERS: dict[str, type[ColumnEncoder]] = {
    "constant": ConstantEncoder,
    "continuous": NumberEncoder,
    "integer": NumberEncoder,
    "datetime": NumberEncoder,
    "categorical": LevelEncoder,
    "boolean": LevelEncoder,
}


def unpack(record: dict[str, Any], arrays: dict[str, Array]) -> ColumnEncoder:
    """Encoder from what :meth:`ColumnEncoder.pack` returned; ArchiveError for a type that is none of these."""
    known: list[type[ColumnEncoder]] = [*ENCODERS.values(), IndicatorEncoder]
    kinds: dict[str, Any] = {}
    for kind in known:
        if kinds.setdefault(kind.type, kind) is not kind:
            raise TypeError(f"{kind.__name__} and {kinds[kind.type].__name__} are both of type {kind.type!r} in files")
    found, what = checked_record(record, "an encoder", ("type",))["type"], f"column {str(record.get('name'))[:40]!r}"
    if not isinstance(found, str) or found not in kinds:
        raise ArchiveError(
            f"{what} has an encoder of type {str(found)[:40]!r}, of which this version knows only {sorted(kinds)}: "
            f"load the file with the version of buff that wrote it, or register its kind as it was for the fit"
        )
    kind, what = kinds[found], f"the encoder of {what}"
    names = [f.name for f in fields(kind)]
    own = known_part({key: value for key, value in record.items() if key != "type"}, what, names)
    checked_record(own, what, names)
    if "ranks" in own:
        own["ranks"] = QuantileMap.from_arrays(own["ranks"], arrays)
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in own.items()})  # type: ignore[no-any-return]
