"""All that the JetNet papers say about generated jets, beside the floor of real ones; it prints, and saves as JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from buff.errors import MissingExtraError
from buff.metrics.distances import wasserstein_columns
from buff.metrics.estimate import Estimate
from buff.metrics.jets import (
    OBSERVABLE_NAMES,
    as_particles,
    coverage_mmd,
    fpnd,
    jet_auc,
    jet_columns,
    jet_fpd,
    jet_kpd,
    w1_efp,
    w1_mass,
    w1_particles,
)
from buff.metrics.record import SavedReport, estimate_of
from buff.metrics.samples import Rows, Seed

__all__ = ["JetReport", "JetScore", "jet_report"]

#: Jets that the quadratic and the energy mover's distances see.
_MOST, _FEW = 20_000, 50
#: Jets below which FPD and KPD, of infinitely many by extrapolation and in batches of thousands, are mostly noise.
_ENOUGH = 5_000


@dataclass(frozen=True)
class JetScore:
    """One metric.

    Attributes
    ----------
    name : str
    value : Estimate
        Generated against real jets.
    floor : Estimate or None
        Real against real jets, for as many.
    factor : float
        What it is printed times.
    """

    name: str
    value: Estimate
    floor: Estimate | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class JetReport(SavedReport):
    """Quality of generated jets.

    Attributes
    ----------
    n_real, n_generated : int
    scores : tuple of JetScore
        W1M, W1P, W1EFP, FPD, KPD, coverage, MMD, AUC of observables, and FPND where it could be measured.
    observables : tuple of JetScore
        Wasserstein distance of each observable in units of its standard deviation.
    """

    n_real: int
    n_generated: int
    scores: tuple[JetScore, ...]
    observables: tuple[JetScore, ...]

    _format: ClassVar[str] = "buff jet report 1"
    _what: ClassVar[str] = "a report on jets"

    def __getitem__(self, name: str) -> JetScore:
        for score in (*self.scores, *self.observables):
            if score.name == name:
                return score
        raise KeyError(f"{name}; the scores are {', '.join(s.name for s in (*self.scores, *self.observables))}")

    def __str__(self) -> str:
        head = f"{self.n_generated:,} generated and {self.n_real:,} real jets"
        parts = [head, _lines(self.scores), "Wasserstein distance / standard deviation", _lines(self.observables)]
        return "\n\n".join([*parts, *self.notes])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_label(s)}</td><td>{s.value.scaled(s.factor)}</td>"
            f"<td>{'' if s.floor is None else s.floor.scaled(s.factor)}</td></tr>"
            for s in (*self.scores, *self.observables)
        )
        return f"<table><tr><th>metric</th><th>generated</th><th>floor</th></tr>{rows}</table>" + "".join(
            f"<p>{note}</p>" for note in self.notes
        )

    @property
    def notes(self) -> list[str]:
        """What to know of scores of few jets."""
        names, n = {score.name for score in self.scores}, min(self.n_real, self.n_generated)
        if n >= _ENOUGH or not names & {"FPD", "KPD"}:
            return []
        return [f"FPD and KPD need {_ENOUGH:,} jets or more: with {n:,} their errors say more than their values"]

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> "JetReport":
        scores, observables = (tuple(_score(s) for s in record[key]) for key in ("scores", "observables"))
        return cls(record["n_real"], record["n_generated"], scores, observables)


def jet_report(
    real: Any,
    generated: Any,
    *,
    more_real: Any = None,
    jet_class: str | None = None,
    floor: bool = True,
    slow: bool = True,
    random_state: Seed = 0,
) -> JetReport:
    """Compare generated with real jets.

    Parameters
    ----------
    real, generated : array (n, k, 3 or 4) or JetClouds
        Real jets must be no part of the training.
    more_real : likewise, optional
        Other real jets, such as those of the training: they make floors of full size.
    jet_class : {"g", "q", "t"}, optional
        Adds FPND where the package ``jetnet`` and PyTorch are installed: see :func:`fpnd`.
    floor : bool
        Whether to measure real against real jets too. Where there are not twice as many real jets, distances of halves
        are scaled by the law they follow.
    slow : bool
        Whether to measure FPD, KPD, coverage, MMD and FPND.
    random_state : int, Generator or None

    Returns
    -------
    JetReport

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.uniform(0.05, 0.2, (2, 120, 5, 3))
    >>> report = jet_report(real, generated, floor=False, slow=False)
    >>> report["W1M"].value.value < 0.05
    True
    """
    a, b = (
        as_particles(getattr(jets, "particles", jets), name)
        for jets, name in ((real, "real"), (generated, "generated"))
    )
    pool = (
        a
        if more_real is None
        else np.concatenate([a, as_particles(getattr(more_real, "particles", more_real), "more_real")])
    )
    rng = np.random.default_rng(random_state)
    measured = _measure(a, b, slow, rng)
    lowest: dict[str, Estimate] = {}
    if floor:
        n, m = (len(a), len(b)) if len(a) + len(b) <= len(pool) else (len(pool) // 2, len(pool) // 2)
        order = rng.permutation(len(pool))
        shrink = sqrt((1 / len(a) + 1 / len(b)) / (1 / n + 1 / m))
        found = _measure(pool[order[:n]], pool[order[n : n + m]], slow, rng)
        lowest = {name: value if name in _UNSCALED else value.scaled(shrink) for name, value in found.items()}
    scores = [
        JetScore(name, value, lowest.get(name), _FACTORS.get(name, 1.0))
        for name, value in measured.items()
        if name not in OBSERVABLE_NAMES
    ]
    if slow and jet_class is not None and b.shape[1] == 30:
        scores += _fpnd_scores(a, b, jet_class)
    columns = [JetScore(name, measured[name], lowest.get(name)) for name in OBSERVABLE_NAMES if name in measured]
    return JetReport(len(a), len(b), tuple(scores), tuple(columns))


#: Scores that do not shrink as samples grow, and what distances are printed times.
_UNSCALED = ("AUC of observables", "coverage", "MMD", "FPD", "KPD")
_FACTORS = {"W1M": 1e3, "W1P eta": 1e3, "W1P phi": 1e3, "W1P pt": 1e3, "W1EFP": 1e5, "FPD": 1e4, "KPD": 1e6, "MMD": 1e2}


def _measure(a: Rows, b: Rows, slow: bool, rng: np.random.Generator) -> dict[str, Estimate]:
    few_a, few_b = a[:_MOST], b[:_MOST]
    eta, phi, pt = w1_particles(a, b, n_bootstrap=10, random_state=rng)
    scores = {
        "W1M": w1_mass(a, b, random_state=rng),
        "W1P eta": eta,
        "W1P phi": phi,
        "W1P pt": pt,
        "W1EFP": w1_efp(a, b, random_state=rng),
        "AUC of observables": Estimate(*jet_auc(few_a, few_b, random_state=rng)),
    }
    if slow:
        scores |= {"FPD": jet_fpd(few_a, few_b, random_state=rng)}
        if min(len(few_a), len(few_b)) >= 20:
            scores |= {"KPD": jet_kpd(few_a, few_b, random_state=rng)}
        with_ot = _optional(lambda: coverage_mmd(a, b, n_jets=min(_FEW, len(a), len(b)), n_batches=5, random_state=rng))
        scores |= {} if with_ot is None else {"coverage": with_ot.coverage, "MMD": with_ot.mmd}
    x, y = (jet_columns(jets) for jets in (a, b))
    names = [name for name in OBSERVABLE_NAMES if np.ptp(x[name]) > 0]
    tables = [np.stack([table[name] for name in names], axis=1) for table in (x, y)]
    scores |= dict(zip(names, wasserstein_columns(*tables, n_bootstrap=20, random_state=rng), strict=True))
    return scores


def _fpnd_scores(a: Rows, b: Rows, jet_class: str) -> list[JetScore]:
    value = _optional(lambda: fpnd(b, jet_class))
    if value is None:
        return []
    nan = float("nan")
    return [JetScore("FPND", Estimate(value, nan), Estimate(fpnd(a, jet_class), nan))]


def _optional(measure: Callable[[], Any]) -> Any:
    """What it measures, or None without the package it needs."""
    try:
        return measure()
    except MissingExtraError:
        return None


def _label(score: JetScore) -> str:
    return score.name if score.factor == 1 else f"{score.name} x 1e{round(np.log10(score.factor))}"


def _lines(scores: tuple[JetScore, ...]) -> str:
    lines = [f"{'':28} {'generated':>18} {'floor':>18}"]
    for s in scores:
        lowest = "" if s.floor is None else str(s.floor.scaled(s.factor))
        lines.append(f"{_label(s):28} {s.value.scaled(s.factor)!s:>18} {lowest:>18}")
    return "\n".join(lines)


def _score(record: Mapping[str, Any]) -> JetScore:
    value, lowest = record["value"], record["floor"]
    return JetScore(
        record["name"], estimate_of(value), None if lowest is None else estimate_of(lowest), record["factor"]
    )
