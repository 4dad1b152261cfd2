"""Results as tables in the format of HEPData."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.errors import Notice
from buff.protocols import Array, Numbers
from buff.unfolding.binning import Binning
from buff.unfolding.settings import SPOKEN, origin_of

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["checked_columns", "write_tables"]

#: What errors are called where the name of their source says too little.
_LABELS = {"data": "data statistics", "simulation": "simulation statistics", **SPOKEN}


def checked_columns(known: Sequence[str], **given: Any) -> None:
    """Raise TypeError for what is no mapping from columns, or columns together, and ValueError for unknown ones."""
    for name, entries in given.items():
        if entries is not None and not isinstance(entries, Mapping):
            raise TypeError(f"{name} must be a mapping from column name to its {name}, found {entries!r}")
        for column in (column for key in entries or {} for column in _together(key)):
            if column not in known:
                raise ValueError(
                    f"{name} names the column {column!r}, which there is not; the columns are {', '.join(known)}"
                )


def _together(columns: Any) -> tuple[Any, ...]:
    return columns if isinstance(columns, tuple) else (columns,)


def write_tables(
    folder: Path,
    result: "UnfoldingResult",
    bins: Mapping[Any, Any],
    units: Mapping[str, str],
    keywords: Mapping[str, Sequence[Any]],
    normalise: bool,
) -> None:
    """``submission.yaml``, and a table, its covariances and the response for each column, or columns together.

    Each table says how many events lie beyond its bins. Columns without a unit have none on their axes.

    References
    ----------
    Maguire, Heinrich, Watt, "HEPData: a repository for high energy physics data", 2017, arXiv:1704.05473.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = (*str(result.diagnostics).splitlines(), result.errors)
    about = " ".join([f"Unfolded with buff, method {result.method}.", *told])
    documents: list[Any] = [{"comment": about}]
    for columns, edges in bins.items():
        names = _together(columns)
        for suffix, about, table in _tables(result, columns, edges, units, normalise):
            file = "".join(c if c.isalnum() else "_" for c in f"{'_'.join(names)}{suffix}")
            (folder / f"{file}.yaml").write_text(_yaml(table))
            documents.append(_document(file, about, names, keywords))
    if result.replicas and len(bins) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)  # said for each column
            table = _joint(result, bins, units)
        (folder / "covariance_total.yaml").write_text(_yaml(table))
        about = "Covariance of the bins of all distributions together: all sources."
        names = tuple(dict.fromkeys(name for part in bins for name in _together(part)))
        documents.append(_document("covariance_total", about, names, keywords))
    (folder / "submission.yaml").write_text("---\n".join(["", *(_yaml(document) for document in documents)]))


def _tables(
    result: "UnfoldingResult", columns: Any, bins: Any, units: Mapping[str, str], normalise: bool
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """End of the file name, description and content of the tables of a column, or of columns together."""
    binning = Binning.of(result.columns, result.weights, columns, bins)
    name = " and ".join(binning.names)
    yield "", f"Unfolded distribution of {name}.", _distribution(result, binning, units)
    if result.replicas:
        covariance = result.covariance(list(binning.names), list(binning.edges))
        for source, matrix in [*covariance.of_source.items(), ("total", covariance.total)]:
            about = f"Covariance of the bins of the unfolded distribution of {name}: {origin_of(source)}."
            yield f"_covariance_{source}", about, _matrix(binning, units, {"covariance": matrix})
    if normalise:
        yield from _normalised(result, binning, units)
    if len(binning.names) == 1 and name in result.simulation.reco.names:
        yield from _response(result, binning, units)


def _document(file: str, about: str, names: Sequence[str], keywords: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    given = [{"name": key, "values": list(values)} for key, values in {**keywords, "observables": names}.items()]
    return {"name": file, "description": about, "keywords": given, "data_file": f"{file}.yaml"}


def _distribution(result: "UnfoldingResult", binning: Binning, units: Mapping[str, str]) -> dict[str, Any]:
    """Events in each bin and by its width, with errors by source."""
    columns, edges = list(binning.names), list(binning.edges)
    counts, widths = binning.counts(result.columns, result.weights), _widths(binning)
    sigmas = {_LABELS.get(source, source): own for source, own in result.sigmas(columns, edges).items()}
    about = [
        {"name": "unfolded events in all", "value": _digits(result.weights.sum())},
        {"name": "unfolded events beyond the bins", "value": _digits(result.beyond(columns, edges))},
    ]
    of_bin = "width of the bin" if len(columns) == 1 else "widths of the bin"
    events = {"header": {"name": "events a bin"}, "qualifiers": about}
    return {
        "independent_variables": _axes(binning, units),
        "dependent_variables": [
            events | {"values": _with_errors(counts, sigmas)},
            {"header": _header(f"events by {of_bin}", _per(binning, units))}
            | {"values": _with_errors(counts / widths, {k: own / widths for k, own in sigmas.items()})},
        ],
    }


def _normalised(
    result: "UnfoldingResult", binning: Binning, units: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Shares of the bins and the normalised cross section, with errors by source and covariances."""
    found, widths = result.normalised(list(binning.names), list(binning.edges)), _widths(binning)
    total = sum(found.share_covariances.values())
    shares = {_LABELS.get(k, k): np.sqrt(np.diag(m)) for k, m in found.share_covariances.items()}
    n, axes, name = len(binning.names), "".join(f"d({name})" for name in binning.names), " and ".join(binning.names)
    density = _header(f"1/sigma d{n if n > 1 else ''}sigma/{axes}", _per(binning, units))
    yield (
        "_normalised",
        f"Normalised differential cross section of {name}: shares of the events in all bins, by the width of each.",
        {
            "independent_variables": _axes(binning, units),
            "dependent_variables": [
                {"header": {"name": "share of the events in all bins"}, "values": _with_errors(found.shares, shares)},
                {"header": density}
                | {"values": _with_errors(found.shares / widths, {k: own / widths for k, own in shares.items()})},
            ],
        },
    )
    for source, matrix in [*found.share_covariances.items(), ("total", total)]:
        both = {"covariance of shares": matrix, f"covariance of {density['name']}": matrix / np.outer(widths, widths)}
        about = f"Covariance of the bins of the normalised cross section of {name}: {origin_of(source)}."
        yield f"_normalised_covariance_{source}", about, _matrix(binning, units, both)


def _matrix(binning: Binning, units: Mapping[str, str], matrices: Mapping[str, Array]) -> dict[str, Any]:
    """Numbers for each pair of bins, the first the slower."""
    n = len(next(iter(matrices.values())))
    axes = [
        {"header": header | {"name": f"{header['name']} ({which})"}, "values": [values[i] for i in rows]}
        for which, rows in zip(("first", "second"), (np.repeat(np.arange(n), n), np.tile(np.arange(n), n)), strict=True)
        for header, values in ((axis["header"], axis["values"]) for axis in _axes(binning, units))
    ]
    return {
        "independent_variables": axes,
        "dependent_variables": [
            {"header": {"name": name}, "values": _values(matrix)} for name, matrix in matrices.items()
        ],
    }


def _response(
    result: "UnfoldingResult", binning: Binning, units: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What the simulated detector does to the bins: shares, and the migration matrix."""
    (name,), (edges,) = binning.names, binning.edges
    response = result.response(name, edges)
    shares = ("efficiency", "fakes", "purity", "stability")
    yield (
        "_response",
        f"Response of the simulated detector in the bins of {name}: efficiency (share of the true events of a bin that "
        "pass at detector level), fakes (share of those seen in a bin that fail at truth level), purity and stability "
        "(share of the events seen in a bin, and of the true ones of it, that are in the same bin at the other level).",
        {
            "independent_variables": _axes(binning, units),
            "dependent_variables": [
                {"header": {"name": share}, "values": _values(getattr(response, share))} for share in shares
            ],
        },
    )
    unit, ranges = units.get(name, ""), _ranges(edges)
    axes = [
        {"header": _header(f"{level} {name}", unit), "values": [pair[i] for pair in product(ranges, ranges)]}
        for i, level in enumerate(("true", "measured"))
    ]
    found = {"header": {"name": "P(measured bin | true bin)"}, "values": _values(response.migration)}
    yield (
        "_migration",
        f"Migration of {name}: shares of the true events of a bin that pass at both levels, by the bin they are in.",
        {"independent_variables": axes, "dependent_variables": [found]},
    )


def _joint(result: "UnfoldingResult", bins: Mapping[Any, Any], units: Mapping[str, str]) -> dict[str, Any]:
    """All bins of all columns, by name and edges."""
    covariance = result.covariance(bins)
    labels = [
        ", ".join(
            f"{name} {_digits(low)} - {_digits(high)} {units.get(name, '')}".rstrip()
            for name, (low, high) in zip(part.names, place, strict=True)
        )
        for part in covariance.binning.parts
        for place in product(*(pairwise(edges) for edges in part.edges))
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


def _axes(binning: Binning, units: Mapping[str, str]) -> list[dict[str, Any]]:
    """The ranges of every column for each bin."""
    places = list(product(*(_ranges(edges) for edges in binning.edges)))
    return [
        {"header": _header(name, units.get(name, "")), "values": [place[i] for place in places]}
        for i, name in enumerate(binning.names)
    ]


def _widths(binning: Binning) -> Array:
    """What contents are divided by; NaN for the bins of a spike, which have no density, as in figures."""
    return np.where(binning.narrow, np.nan, binning.widths)


def _digits(value: float) -> Any:
    """Six of them: more are noise; HEPData's sign for what there is not."""
    return "-" if np.isnan(value) else float(f"{value:.6g}")


def _values(numbers: Array) -> list[dict[str, Any]]:
    return [{"value": _digits(value)} for value in numbers.ravel()]


def _with_errors(values: Array, sigmas: Mapping[str, Array]) -> list[dict[str, Any]]:
    return [
        {"value": _digits(value)}
        if np.isnan(value)
        else {
            "value": _digits(value),
            "errors": [{"label": label, "symerror": _digits(s[i])} for label, s in sigmas.items()],
        }
        for i, value in enumerate(values)
    ]


def _header(name: str, unit: str) -> dict[str, str]:
    return {"name": name, "units": unit} if unit else {"name": name}


def _per(binning: Binning, units: Mapping[str, str]) -> str:
    """Unit of a density."""
    wide = " ".join(unit for name in binning.names if (unit := units.get(name, "")))
    return f"1/({wide})" if " " in wide else f"1/{wide}" if wide else ""


def _ranges(edges: Numbers) -> list[dict[str, float]]:
    return [{"low": _digits(low), "high": _digits(high)} for low, high in pairwise(edges)]


def _yaml(content: Any, pad: str = "") -> str:
    """Block style, with mappings of plain values on one line, in braces."""
    if isinstance(content, list):
        return "".join(f"{pad}- {_yaml(entry, pad + '  ').removeprefix(pad + '  ')}" for entry in content)
    if not isinstance(content, dict):
        return f"{pad}{_plain(content)}\n"
    if not any(isinstance(value, list | dict) for value in content.values()):
        return f"{pad}{{{', '.join(f'{_plain(key)}: {_plain(value)}' for key, value in content.items())}}}\n"
    lines = []
    for key, value in content.items():
        nested = isinstance(value, list | dict) and value
        lines.append(f"{pad}{key}:\n{_yaml(value, pad + '  ')}" if nested else f"{pad}{key}: {_plain(value)}\n")
    return "".join(lines)


def _plain(value: Any) -> str:
    """As JSON, which is YAML but for numbers such as 1e-06: without a point they are text."""
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text
