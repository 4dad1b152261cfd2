"""The record of all metrics of a generated table: it prints, and saves as JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np

from buff.errors import ArchiveError, MissingExtraError
from buff.metrics.associations import PairScore
from buff.metrics.classifier import ClassifierTest
from buff.metrics.estimate import Estimate
from buff.metrics.layout import as_html, as_latex, as_text
from buff.metrics.neighbours import Memorisation
from buff.metrics.scores import JUDGES, MEASURES, ColumnScore, TableScores

__all__ = ["Report", "SavedReport", "estimate_of"]


class SavedReport(ABC):
    """A dataclass of numbers that is kept as JSON."""

    _format: ClassVar[str]
    _what: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and names, None for what is not defined."""
        return {"format": self._format, **_without_nan(asdict(cast(Any, self)))}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The report that :meth:`to_dict` describes.

        Raises
        ------
        ArchiveError
            If the record is not a report, or one of another version.
        """
        if record.get("format") != cls._format:
            raise ArchiveError(f"a record of format {cls._format!r} expected, found {record.get('format')!r}")
        return cls._of(record)

    @classmethod
    @abstractmethod
    def _of(cls, record: Mapping[str, Any]) -> Self:
        """The report of a record of its format."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write the report as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a report written by :meth:`save`.

        Raises
        ------
        ArchiveError
            If the file is not a report, is cut short, or is of another version.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError(f"{path} is not {cls._what}, or is cut short: {error}") from error


@dataclass(frozen=True, repr=False)
class Report(SavedReport):
    """Quality of a generated table.

    Parameters
    ----------
    n_real, n_generated : int
        Rows compared.
    scores : TableScores
        Generated against real rows.
    floor : TableScores or None
        Real against real rows, for as many: what a perfect generator reaches.
    memorisation : Memorisation or None
        Generated rows beside the training rows, where these were given.
    left_out : mapping from str to str
        Columns that are not compared, such as ids, and why.
    """

    n_real: int
    n_generated: int
    scores: TableScores
    floor: TableScores | None = None
    memorisation: Memorisation | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    _format: ClassVar[str] = "buff report 1"
    _what: ClassVar[str] = "a buff report"

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}: {self.n_generated:,} generated against {self.n_real:,} real rows, print it for its tables>"

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def to_latex(self) -> str:
        """The tables that are printed, as two ``tabular`` environments."""
        return as_latex(self)

    def to_pandas(self) -> Any:
        """All numbers in a long data frame, with those of real rows against real rows beside them.

        Columns are ``level`` ("table", "column" or "pair"), ``name``, ``metric``, ``value``, ``error``, ``floor`` and
        ``floor_error``.

        Raises
        ------
        MissingExtraError
            Without pandas.
        """
        floors = {} if self.floor is None else dict(_numbered(self.floor))
        numbers = [(key, number, floors.get(key, Estimate(nan, nan))) for key, number in _numbered(self.scores)]
        rows = [(*key, number.value, number.error, low.value, low.error) for key, number, low in numbers]
        return data_frame(rows, ["level", "name", "metric", "value", "error", "floor", "floor_error"])

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Report:
        floor, copies = record["floor"], record["memorisation"]
        return cls(
            record["n_real"],
            record["n_generated"],
            _scores(record["scores"]),
            None if floor is None else _scores(floor),
            None if copies is None else _memorisation(copies),
            dict(record.get("left_out", {})),  # reports of 0.1.0 have none
        )


def data_frame(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> Any:
    """Rows as a data frame of pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("pandas") from error
    return pd.DataFrame(rows, columns=list(columns))


def _numbered(scores: TableScores) -> Iterator[tuple[tuple[str, str, str], Estimate]]:
    """Every number with its level, name and metric."""
    for metric in (*MEASURES, *JUDGES):
        value = getattr(scores, metric)
        if value is not None:
            yield ("table", "", metric), Estimate(value.value, value.error)
    for column in scores.columns:
        distance = "wasserstein" if not isnan(column.outside) else "variation"
        suffix = ", missing" if column.kind == "missing" else ""
        yield ("column", column.name + suffix, distance), column.distance
        if not isnan(column.separation.value):
            yield ("column", column.name, "separation"), column.separation
            yield ("column", column.name, "outside"), Estimate(column.outside, nan)
    for pair in scores.pairs:
        yield ("pair", f"{pair.first}, {pair.second}", "association"), pair.difference


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return None if isnan(value) else float(value)
    return value


def estimate_of(record: Mapping[str, float | None]) -> Estimate:
    """An estimate from its record; None is NaN."""
    return Estimate(_number(record["value"]), _number(record["error"]))


def _number(entry: float | None) -> float:
    return nan if entry is None else float(entry)


def _optional(record: Mapping[str, float | None] | None) -> Estimate | None:
    return None if record is None else estimate_of(record)


def _test(record: Mapping[str, Any] | None) -> ClassifierTest | None:
    if record is None:
        return None
    return ClassifierTest(
        _number(record["value"]),
        _number(record["error"]),
        _number(record["p_value"]),
        tuple(record["per_seed"]),
        record["classifier"],
    )


def _column(record: Mapping[str, Any]) -> ColumnScore:
    distances = estimate_of(record["distance"]), estimate_of(record["separation"])
    return ColumnScore(record["name"], record["kind"], *distances, _number(record["outside"]))


def _pair(record: Mapping[str, Any]) -> PairScore:
    numbers = (_number(record[key]) for key in ("real", "generated", "error"))
    return PairScore(record["first"], record["second"], *numbers)


def _scores(record: Mapping[str, Any]) -> TableScores:
    pairs = record.get("pairs", ())  # reports of 0.1.0 have none
    numbers: dict[str, Any] = {name: _optional(record.get(name)) for name in MEASURES}
    numbers |= {name: _test(record.get(name)) for name in JUDGES}
    return TableScores(tuple(map(_column, record["columns"])), **numbers, pairs=tuple(map(_pair, pairs)))


def _memorisation(record: Mapping[str, Any]) -> Memorisation:
    return Memorisation(
        estimate_of(record["share_closer"]),
        estimate_of(record["distance_ratio"]),
        record["copies"],
        record["expected_copies"],
        estimate_of(record.get("share_near", {"value": None, "error": None})),  # reports of 0.1.0 have none
        _number(record.get("expected_near")),
    )
