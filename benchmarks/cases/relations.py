"""Structure across columns, with relations and joint atoms and without: contradictions in a row, and small classes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.case import Bench, Case
from benchmarks.data import adult
from benchmarks.methods import COSTS, Buff, run_trial
from benchmarks.records import FLOOR, Measurement, Quantity, Target

ABSENT = -25.0
#: Structure hardly depends on how long trees are trained.
BUDGET = {"noise_budget": 40_000}
WITH = Buff("buff", BUDGET)
#: Every column draws its atoms on its own, and nothing is kept in every row.
WITHOUT = Buff("buff, relations=None, atoms='apart'", {**BUDGET, "relations": None, "atoms": "apart"})
ROWS = 2000
#: Shares of the training rows that count as small classes.
SMALL = (0.002, 0.05)
#: A second code of another column.
LEFT_OUT = ("education",)

Rules = Callable[[pd.DataFrame], float]


@dataclass(frozen=True)
class Structured:
    """Rows to learn, others to judge by, and the share of rows that contradict themselves."""

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    broken: Rules


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        for table in tables(bench, seed):
            yield Measurement(FLOOR, seed, judged(table, table.train, seed), table.name)
            for method in (WITH, WITHOUT):
                trial = run_trial(method, table.train, len(table.test), seed, bench)
                yield Measurement(method.name, seed, judged(table, trial.generated, seed) | trial.costs(), table.name)


def tables(bench: Bench, seed: int) -> Iterator[Structured]:
    n = bench.rows(ROWS, 400) or ROWS
    yield Structured("H -> tau tau", higgs_table(n, seed), higgs_table(n, seed + 1000), contradicting)
    census = adult(bench, "train").drop_columns(list(LEFT_OUT)).to_pandas()
    rows = np.random.default_rng(seed).permutation(len(census))
    yield Structured("census", census.iloc[rows[:n]], census.iloc[rows[n : 2 * n]], wrong_relationship)


def judged(table: Structured, generated: pd.DataFrame, seed: int) -> dict[str, float]:
    """Area under the curve of trees, contradictions, and shares of small classes."""
    from buff.metrics import report

    quick: dict[str, Any] = {"classifiers": ("trees",), "seeds": 1, "floor": False, "n_bootstrap": 0}
    found = report(table.test, generated, random_state=seed, **quick)
    assert found.scores.trees is not None
    values = {"auc_trees": found.scores.trees.value, "contradictions": 100 * table.broken(generated)}
    return values | {"small_classes": small_classes(table.train, generated)}


def small_classes(train: pd.DataFrame, generated: pd.DataFrame) -> float:
    """Root mean square of differences of shares, in standard errors of the share of as many rows."""
    pulls = []
    for name in train.columns:
        shares = train[name].value_counts(normalize=True)
        if len(shares) > 60:
            continue
        for value, p in shares[shares.between(*SMALL)].items():
            q = float(np.mean(generated[name] == value))
            pulls.append((q - p) / np.sqrt(p * (1 - p) / len(generated)))
    return float(np.sqrt(np.mean(np.square(pulls))))


def higgs_table(n: int, seed: int) -> pd.DataFrame:
    """Leptons, taus, up to three jets by falling pT with -25 where there is none, sums of them, labels of labels."""
    rng = np.random.default_rng(seed)
    detail = rng.choice(["htautau", "ztautau", "ttbar", "diboson"], n, p=[0.3, 0.55, 0.13, 0.02])
    signal = detail == "htautau"
    mean = pd.Series({"htautau": 0.9, "ztautau": 0.4, "ttbar": 2.2, "diboson": 0.6})
    n_jets = rng.poisson(mean[detail].to_numpy())
    d: dict[str, Any] = {}
    for who, scale in (("lep", 25.0), ("had", 30.0)):
        d[f"{who}_pt"] = 20 + rng.exponential(scale, n)
        d[f"{who}_eta"] = rng.normal(0, 1.2, n).clip(-2.5, 2.5)
        d[f"{who}_phi"] = rng.uniform(-np.pi, np.pi, n)
    d["met"] = rng.gamma(2.0, 18.0, n) * np.where(signal, 1.3, 1.0)
    d["met_phi"] = rng.uniform(-np.pi, np.pi, n)
    d |= jets(n_jets, rng)
    d["n_jets"] = n_jets
    cos = np.cos(d["lep_phi"] - d["had_phi"])
    d["vis_mass"] = np.sqrt(2 * d["lep_pt"] * d["had_pt"] * (np.cosh(d["lep_eta"] - d["had_eta"]) - cos))
    d["transverse_mass"] = np.sqrt(2 * d["lep_pt"] * d["met"] * (1 - np.cos(d["lep_phi"] - d["met_phi"])))
    d["sum_pt"] = d["lep_pt"] + d["had_pt"] + d["jets_sum_pt"]
    d["pt_ratio"] = d["lep_pt"] / d["had_pt"]
    d["charge"] = rng.choice([-1, 1], n)
    d["tau_prongs"] = rng.choice([1, 3], n, p=[0.75, 0.25])
    return pd.DataFrame(d).round(3).assign(label=signal.astype(int), detail=detail)


def jets(n_jets: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Columns of the jets, and of pairs and sums of them."""
    n, d = len(n_jets), {}
    pt = -np.sort(-(30 + rng.exponential(40.0, (n, 3))), axis=1)
    eta, phi = rng.normal(0, 2, (n, 3)).clip(-4.5, 4.5), rng.uniform(-np.pi, np.pi, (n, 3))
    for k in range(3):
        for name, values in (("pt", pt), ("eta", eta), ("phi", phi)):
            d[f"jet{k + 1}_{name}"] = np.where(n_jets > k, values[:, k], ABSENT)
    deta, dphi = abs(eta[:, 0] - eta[:, 1]), phi[:, 0] - phi[:, 1]
    d["jets_deta"] = np.where(n_jets > 1, deta, ABSENT)
    mass = np.sqrt(2 * pt[:, 0] * pt[:, 1] * (np.cosh(deta) - np.cos(dphi)))
    d["jets_mass"] = np.where(n_jets > 1, mass, ABSENT)
    d["jets_sum_pt"] = np.where(np.arange(3) < np.minimum(n_jets, 3)[:, None], pt, 0).sum(axis=1)
    return d


def contradicting(t: pd.DataFrame) -> float:
    """Share of rows that break one of the rules that :func:`higgs_table` keeps."""
    absent = {k: t[f"jet{k}_pt"] == ABSENT for k in (1, 2, 3)}
    broken = (t["label"] == 1) != (t["detail"] == "htautau")
    broken |= (t["n_jets"] < 2) != (t["jets_mass"] == ABSENT)
    for k in (1, 2, 3):
        broken |= ((t["n_jets"] < k) != absent[k]) | (absent[k] != (t[f"jet{k}_eta"] == ABSENT))
    for k in (1, 2):
        broken |= ~absent[k + 1] & (t[f"jet{k + 1}_pt"] > t[f"jet{k}_pt"])
    total = sum(t[f"jet{k}_pt"].where(~absent[k], 0) for k in (1, 2, 3))
    broken |= (t["jets_sum_pt"] - total).abs() > 0.002
    return float(broken.mean())


def wrong_relationship(t: pd.DataFrame) -> float:
    """Share of rows with a husband who is no man or is not married, or a wife who is no woman."""
    husband, wife = t["relationship"] == "Husband", t["relationship"] == "Wife"
    married = t["marital_status"].str.startswith("Married")
    wrong = (husband & (t["sex"] != "Male")) | (wife & (t["sex"] != "Female"))
    return float((wrong | ((husband | wife) & ~married)).mean())


CASE = Case(
    "relations",
    "rows that contradict themselves and shares of small classes, with relations and joint atoms and without",
    (
        Quantity("contradictions", "rows that contradict themselves [%]", digits=2),
        Quantity("auc_trees", "AUC trees"),
        Quantity("small_classes", "small classes [standard errors]", digits=2),
        *COSTS,
    ),
    measure,
    targets=(Target(WITH.name, "contradictions", 0.5, "H -> tau tau"),),
)
