"""The tables of the cases, read from the data folder and split in halves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Bench

__all__ = [
    *("ADULT_COLUMNS", "Halves", "abalone", "adult", "halves", "higgs", "jets", "wide_table", "wine", "zmumu"),
]

ADULT_COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
)


@dataclass(frozen=True)
class Halves:
    """Rows to learn from and rows to be told apart from."""

    train: Any
    test: Any


def halves(table: np.ndarray, seed: int, limit: int | None = None, groups: np.ndarray | None = None) -> Halves:
    """A random half and the other; rows of one group stay together, a side has at most ``limit``."""
    groups = np.arange(len(table)) if groups is None else groups
    labels = np.random.default_rng(seed).permutation(np.unique(groups))
    first = np.isin(groups, labels[: len(labels) // 2])
    return Halves(table[first][:limit], table[~first][:limit])


def jets(bench: Bench, jet_class: str, seed: int, limit: int | None = None) -> Halves:
    """The nine independent observables of one class; both jets of a collision are on one side."""
    from buff.datasets import INDEPENDENT_OBSERVABLES, jet_observables, load_jetnet

    clouds = load_jetnet(jet_class, data_dir=bench.data, n=None if limit is None else 4 * limit)
    table = jet_observables(clouds.particles).to_numpy(INDEPENDENT_OBSERVABLES)
    return halves(table, seed, limit, clouds.jets["event"])


def zmumu(bench: Bench) -> np.ndarray:
    """Z -> mu mu collisions without run and event number, shape (10583, 12); columns 3 and 9 are charges."""
    return _numbers(bench.file("real/zmumu_run2011a.csv.gz"), skip=1)[:, 2:]


def wine(bench: Bench) -> np.ndarray:
    """Physics and chemistry of white wine, shape (4898, 12); column 11 is a mark in whole numbers."""
    return _numbers(bench.file("real/wine_white.csv.gz"))


def adult(bench: Bench, part: str) -> Any:
    """A census table, part "train" or "test": strings, integers, spikes at zero, missing entries; pyarrow."""
    import pyarrow.compute as pc
    from pyarrow import csv

    table = csv.read_csv(
        bench.file(f"real/adult_{part}.csv.gz"),
        read_options=csv.ReadOptions(column_names=ADULT_COLUMNS),
        convert_options=csv.ConvertOptions(null_values=["?", " ?"], strings_can_be_null=True),
    )
    for number, column in enumerate(table.columns):
        if column.type == "string":
            trimmed = pc.utf8_rtrim(pc.utf8_trim_whitespace(column), characters=".")
            table = table.set_column(number, ADULT_COLUMNS[number], trimmed)
    return table


def wide_table(n_rows: int, n_columns: int, seed: int) -> np.ndarray:
    """A made table for timing: correlated columns of falling width, every third one skewed, float32."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_columns, n_columns)) / np.arange(1, n_columns + 1)
    table = (rng.standard_normal((n_rows, n_columns)) @ mixing).astype(np.float32)
    table[:, ::3] = np.exp(table[:, ::3] / 2)
    return table


def _numbers(path: Path, skip: int = 0) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", skiprows=skip)


def higgs(bench: Bench) -> np.ndarray:
    """The 28 features of simulated Higgs and background events without the label, of which the first 12."""
    return np.loadtxt(bench.file("real/higgs_7k_train.tsv.gz"))[:, 1:13]


def abalone(bench: Bench) -> np.ndarray:
    """Sizes and weights of shells, shape (4177, 8); column 7 counts rings. The sex is left out."""
    return np.loadtxt(bench.file("real/abalone.csv.gz"), delimiter=",", usecols=range(1, 9))
