"""Tables: learn observables of jets, generate as many, compare with the recipe of the paper."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from buff.datasets import INDEPENDENT_OBSERVABLES, Table, load_jets
from buff.demo.page import NO_PAGE, Echo, page_path, print_line
from buff.generators import BUFF, PublishedBUFF
from buff.metrics import Report, report
from buff.protocols import Array
from buff.report import Cost, html_report

__all__ = ["Contestant", "run_demo"]

#: Noise draws of the paper's recipe: half of the published 20, so that the demo stays within minutes.
_RECIPE_DRAWS = 10
#: Seconds of a core for each row, draw, column and tree of the recipe.
_RECIPE_SECONDS = 6e-8
#: Jets that are learned, half of those that come with buff; the other half judges.
_JETS = 6_000


@dataclass(frozen=True)
class Contestant:
    """A generator with what it made and what that took.

    Attributes
    ----------
    name : str
    events : array of shape (n, d)
    report : Report
    train_seconds, sample_seconds : float
        By the clock: for the training with all workers, and for one event.
    cores : int
        Cores that it might use.
    """

    name: str
    events: Array
    report: Report
    train_seconds: float
    sample_seconds: float
    cores: int


def run_demo(
    report: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    *,
    n_jets: int = _JETS,
    echo: Echo = print_line,
    recipe: dict[str, Any] | None = None,
) -> list[Contestant]:
    """Learn nine observables of top jets, generate as many as were held out, and compare.

    Parameters
    ----------
    report : path, optional
        Where to write the HTML page; by default ``buff_demo.html``, if matplotlib is installed.
    random_state : int
        Seed of everything.
    n_jobs : int, optional
        Processes; all cores by default.
    n_jets : int
        Jets to learn.
    echo : callable
        Takes the lines to print.
    recipe : dict, optional
        Other settings of the paper's recipe.

    Returns
    -------
    list of Contestant
        The recipe of the BUFF paper, a Gaussian copula, buff.

    Raises
    ------
    ValueError, FileNotFoundError
        If ``report`` is no name of an HTML file, or its folder does not exist.
    """
    page = page_path(report, "buff_demo.html")
    columns = list(INDEPENDENT_OBSERVABLES)
    train, held_out = (
        jets.select(columns).rows(slice(n_jets)) for jets in load_jets("t").split(0.5, random_state=random_state)
    )
    n_jobs = effective_n_jobs(n_jobs or -1)
    on = f"{n_jobs} cores" if n_jobs > 1 else "1 core"
    echo(f"learning {len(train):,} top jets, {len(columns)} observables, on {on}; {len(held_out):,} judge")
    settings = {"noise_draws": _RECIPE_DRAWS} | (recipe or {})
    models = {
        "buff": BUFF(random_state=random_state, n_jobs=n_jobs, verbose=1),
        "Gaussian copula": BUFF(n_estimators=0, random_state=random_state, n_jobs=1),
        "BUFF paper's recipe": PublishedBUFF(**settings, random_state=random_state, n_jobs=n_jobs),
    }
    field: list[Contestant] = []
    for name, model in models.items():
        if isinstance(model, PublishedBUFF):
            if page is not None:
                _write(page, field, held_out, models["buff"])
                echo(f"first page with plots: {page}")
            echo(f"{name}: no bar, some {_recipe_seconds(model, train):.0f} s of computing on {on}")
        field.append(_compete(name, model, train, held_out, random_state, field[0].report if field else None))
        echo(f"{name}: trained in {field[-1].train_seconds:.1f} s")
    echo("\n" + _table(field, on))
    if page is None:
        echo(NO_PAGE)
    else:
        _write(page, field, held_out, models["buff"])
        echo(f"page with plots: {page}")
    return field[::-1]


def _recipe_seconds(recipe: PublishedBUFF, train: Table) -> float:
    """How long the recipe takes all its cores, about."""
    rows = len(train) * recipe.noise_draws * len(train.names)
    return max(1.0, _RECIPE_SECONDS * rows * recipe.n_nodes * recipe.n_estimators / (recipe.n_jobs or 1))


def _compete(name: str, model: Any, train: Table, held_out: Table, seed: int, floor: Report | None) -> Contestant:
    table = train.to_arrow()
    start = time.perf_counter()
    model.fit(table)
    trained = time.perf_counter()
    sample = model.sample(len(held_out), random_state=seed + 1)
    sampled = time.perf_counter()
    events = np.asarray(sample)
    judged = report(
        held_out.data,
        dict(zip(train.names, events.T, strict=True)),
        train=train.data,
        seeds=1,
        n_bootstrap=20,
        floor=True if floor is None else floor,
        random_state=seed,
    )
    return Contestant(name, events, judged, trained - start, (sampled - trained) / len(held_out), model.n_jobs)


def _table(field: list[Contestant], on: str) -> str:
    """Floor first, then the contestants, best last."""
    head = f"{'':20} {'AUC trees':>9} {'AUC MLP':>8} {'W1 x1000':>9} {'corr.':>6} {'train s':>8} {'µs/event':>9}"
    lines = [head, _row("floor (real jets)", field[0].report.floor, None)]
    lines += [_row(c.name, c.report.scores, c) for c in reversed(field)]
    note = (
        "AUC: of a classifier that tells generated from real jets, 0.5 is perfect. W1: mean Wasserstein distance of\n"
        "the columns in standard deviations. corr.: largest error of a correlation. Times are by the clock,\n"
        f"on {on} at most."
    )
    return "\n".join([*lines, "", note])


def _row(name: str, scores: Any, contestant: Contestant | None) -> str:
    numbers = (
        f"{name:20} {scores.trees.value:9.3f} {scores.mlp.value:8.3f} "
        f"{1e3 * scores.wasserstein.value:9.1f} {scores.correlation.value:6.3f}"
    )
    if contestant is None:
        return numbers
    return f"{numbers} {contestant.train_seconds:8.1f} {1e6 * contestant.sample_seconds:9.1f}"


def _write(path: Path, field: list[Contestant], held_out: Table, model: Any) -> None:
    best, others = field[0], field[1:]
    html_report(
        best.report,
        held_out.to_numpy(),
        best.events,
        path,
        title="Top jets, real and generated",
        name="buff",
        columns=held_out.names,
        units=held_out.units,
        others={c.name: c.report for c in others},
        costs=[Cost(c.name, c.train_seconds, c.sample_seconds, c.cores) for c in field],
        schema=model.schema_,
    )
