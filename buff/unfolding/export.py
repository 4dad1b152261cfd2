"""Results as files of events."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buff.protocols import Array

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["write_weights"]


def write_weights(path: Path, result: "UnfoldingResult") -> None:
    """Events, weights and those of replicas as one parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shared: dict[str, Array] = {}
    own = []
    for number, replica in _numbered(result.replicas):
        if replica.events is None:
            shared[f"weight_{number}"] = replica.weights
        else:
            rows = result.measured_rows if replica.rows is None else replica.rows
            own.append((number, replica.events, replica.weights, rows))
    parts = []
    for member, columns, weights, rows in [("nominal", result.columns, result.weights, result.measured_rows), *own]:
        arrays = dict(zip(columns.names, map(pa.array, columns.arrays), strict=True))
        arrays |= {"weight": pa.array(weights), "measured_row": pa.array(rows)}
        arrays |= {"member": pa.array([member] * len(weights)).dictionary_encode()}
        for key, values in shared.items():
            arrays[key] = pa.array(values) if member == "nominal" else pa.nulls(len(weights), pa.float64())
        parts.append(pa.table(arrays))
    table = pa.concat_tables(parts).unify_dictionaries()
    pq.write_table(table.replace_schema_metadata({"method": result.method, "history": repr(result.history)}), path)


def _numbered(replicas: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    count: dict[str, int] = {}
    for replica in replicas:
        i = count[replica.source] = count.get(replica.source, -1) + 1
        yield f"{replica.source}_{i}", replica
