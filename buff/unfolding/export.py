"""Results as files: tables in the format of HEPData, events in parquet."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.errors import Notice
from buff.metrics.histograms import narrow_bins
from buff.protocols import Array, BinsLike, Numbers
from buff.unfolding.settings import ORIGINS, SPOKEN

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["write_tables", "write_weights"]

#: What a covariance of each source is made of.
_ORIGINS = {**ORIGINS, "total": "all sources together"}
_LABELS = {"data": "data statistics", "simulation": "simulation statistics", **SPOKEN}


def write_tables(
    folder: Path,
    result: "UnfoldingResult",
    bins: Mapping[str, Any],
    units: Mapping[str, str],
    keywords: Mapping[str, Sequence[Any]],
) -> None:
    """``submission.yaml``, and a table and its covariances for each column.

    Each table says how many events lie beyond its bins. Columns without a unit have none on their axes.

    References
    ----------
    Maguire, Heinrich, Watt, "HEPData: a repository for high energy physics data", 2017, arXiv:1704.05473.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = (*str(result.diagnostics).splitlines(), result.errors)
    about = " ".join([f"Unfolded with buff, method {result.method}.", *told])
    documents: list[Any] = [{"comment": about}]
    for name, edges in bins.items():
        stem = "".join(c if c.isalnum() else "_" for c in name)
        for suffix, about, table in _tables(result, name, edges, units.get(name, "")):
            file = f"{stem}{suffix}"
            (folder / f"{file}.yaml").write_text(_yaml(table))
            documents.append(_document(file, about, [name], keywords))
    if result.replicas and len(bins) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)  # said for each column
            table = _joint(result, bins, units)
        (folder / "covariance_total.yaml").write_text(_yaml(table))
        about = "Covariance of the bins of all distributions together: all sources."
        documents.append(_document("covariance_total", about, [*bins], keywords))
    (folder / "submission.yaml").write_text("---\n".join(["", *(_yaml(document) for document in documents)]))


def _tables(
    result: "UnfoldingResult", name: str, bins: BinsLike, unit: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """End of the file name, description and content of the tables of a column."""
    yield "", f"Unfolded distribution of {name}.", _distribution(result, name, bins, unit)
    if result.replicas:
        for source, table in _covariances(result, name, bins, unit):
            about = f"Covariance of the bins of the unfolded distribution of {name}: {_ORIGINS[source]}."
            yield f"_covariance_{source}", about, table


def _document(file: str, about: str, names: list[str], keywords: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    given = [{"name": key, "values": list(values)} for key, values in {**keywords, "observables": names}.items()]
    return {"name": file, "description": about, "keywords": given, "data_file": f"{file}.yaml"}


def _joint(result: "UnfoldingResult", bins: Mapping[str, Any], units: Mapping[str, str]) -> dict[str, Any]:
    """All bins of all columns, by name and edges."""
    covariance = result.covariance(bins)
    labels = [
        f"{part.names[0]} {_digits(low)} - {_digits(high)} {units.get(part.names[0], '')}".rstrip()
        for part in covariance.binning.parts
        for low, high in pairwise(part.edges[0])
    ]
    n = len(labels)
    first, second = ([{"value": labels[k]} for k in index.ravel()] for index in np.indices((n, n)))
    return {
        "independent_variables": [
            {"header": {"name": f"bin ({which})"}, "values": values}
            for which, values in (("first", first), ("second", second))
        ],
        "dependent_variables": [{"header": {"name": "covariance"}, "values": _values(covariance.total)}],
    }


def _digits(value: float) -> float:
    """Six of them: more are noise."""
    return float(f"{value:.6g}")


def _values(matrix: Array) -> list[dict[str, float]]:
    return [{"value": _digits(value)} for value in matrix.ravel()]


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


def _distribution(result: "UnfoldingResult", name: str, bins: BinsLike, unit: str) -> dict[str, Any]:
    h = result.histogram(name, bins)
    edges = h.axes[0].edges
    sigmas = {_LABELS.get(source, source): own for source, own in result.sigmas(name, edges).items()}
    events = {"header": {"name": "events a bin"}, "qualifiers": _totals(result, name, edges)}
    density = {"header": {"name": "events by width of the bin", **({"units": f"1/{unit}"} if unit else {})}}
    return {
        "independent_variables": [{"header": _header(name, unit), "values": _ranges(edges)}],
        "dependent_variables": [
            about | {"values": _with_errors(h.values() / width, {k: own / width for k, own in sigmas.items()})}
            for about, width in ((events, np.ones(len(edges) - 1)), (density, _widths(edges)))
        ],
    }


def _widths(edges: Numbers) -> Array:
    """What contents are divided by; NaN for the bins of a spike, which have no density, as in figures."""
    width = np.diff(edges)
    width[narrow_bins(edges)] = np.nan
    return width


def _with_errors(values: Array, sigmas: Mapping[str, Array]) -> list[dict[str, Any]]:
    return [
        {"value": "-"}
        if np.isnan(value)
        else {
            "value": _digits(value),
            "errors": [{"label": label, "symerror": _digits(s[i])} for label, s in sigmas.items()],
        }
        for i, value in enumerate(values)
    ]


def _covariances(
    result: "UnfoldingResult", name: str, bins: BinsLike, unit: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    covariance = result.covariance(name, bins)
    ranges = _ranges(covariance.binning.edges[0])
    n = len(ranges)
    pairs = [(ranges[i], ranges[j]) for i in range(n) for j in range(n)]
    for source, matrix in [*covariance.of_source.items(), ("total", covariance.total)]:
        yield (
            source,
            {
                "independent_variables": [
                    {"header": _header(f"{name} ({which})", unit), "values": [pair[k] for pair in pairs]}
                    for k, which in enumerate(("first", "second"))
                ],
                "dependent_variables": [{"header": {"name": "covariance"}, "values": _values(matrix)}],
            },
        )


def _header(name: str, unit: str) -> dict[str, str]:
    return {"name": name, "units": unit} if unit else {"name": name}


def _totals(result: "UnfoldingResult", name: str, edges: Numbers) -> list[dict[str, Any]]:
    return [
        {"name": "unfolded events in all", "value": _digits(result.weights.sum())},
        {"name": "unfolded events beyond the bins", "value": _digits(result.beyond(name, edges))},
    ]


def _ranges(edges: Numbers) -> list[dict[str, float]]:
    return [{"low": _digits(low), "high": _digits(high)} for low, high in pairwise(edges)]


def _yaml(content: Any, pad: str = "") -> str:
    """Block style, with mappings of plain values on one line: as JSON, which is YAML."""
    if isinstance(content, list):
        return "".join(f"{pad}- {_yaml(entry, pad + '  ').removeprefix(pad + '  ')}" for entry in content)
    if not isinstance(content, dict) or not any(isinstance(value, list | dict) for value in content.values()):
        return f"{pad}{json.dumps(content)}\n"
    lines = []
    for key, value in content.items():
        nested = isinstance(value, list | dict) and value
        lines.append(f"{pad}{key}:\n{_yaml(value, pad + '  ')}" if nested else f"{pad}{key}: {json.dumps(value)}\n")
    return "".join(lines)
