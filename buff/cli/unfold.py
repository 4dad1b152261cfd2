"""``buff unfold``."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from buff.cli.options import Quiet, existing
from buff.cli.unfold_checks import check_config, check_options
from buff.cli.unfold_closure import tell_closure
from buff.cli.unfold_config import TEMPLATE, Config, read_config
from buff.cli.unfold_events import Events, check_events, read_events
from buff.cli.unfold_scan import tell_scan
from buff.cli.unfold_summary import Known, Summary, printed, summary_html
from buff.protocols import WeightsLike

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["unfold"]


@dataclass(frozen=True)
class _Figure:
    """A picture, by the name of its file."""

    name: str
    caption: str
    drawing: Any


def unfold(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="TOML file that says what to unfold.")] = None,
    template: Annotated[bool, typer.Option("--template", help="Print such a file, with comments, and stop.")] = False,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Unfolder of a run before, instead of a fit to [simulation].")
    ] = None,
    alternative: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="[NAME=]MODEL",
            help="Unfolder of a run with another simulation, a source of the errors; may be given several times.",
        ),
    ] = None,
    result: Annotated[
        Path | None, typer.Option(metavar="RESULT", help="Result of a run before: figures and tables, no unfolding.")
    ] = None,
    closure: Annotated[
        int | None,
        typer.Option(metavar="REPEATS", help="Test on pseudo-data from halves of [simulation] instead, so many times."),
    ] = None,
    stress: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help='With --closure: weights that bend pseudo-data, or "alternative" or "alternative.NAME": they are it.',
        ),
    ] = "",
    scan: Annotated[
        int | None,
        typer.Option(
            metavar="ITERATIONS",
            help="Print what each of so many iterations moves and costs instead; 20 replicas of the data unless told.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Unfold measured events to truth level.

    Files, columns, selections, weights, method and bins stand in a TOML file. What was learned is kept where its
    [output] names a model, and serves other data by --model; [simulation] and [unfolding] are then not looked at. What
    came out is kept where [output] names a result, and serves other bins and figures by --result.

    \b
    Examples:
      buff unfold --template > unfold.toml
      buff unfold unfold.toml
      buff unfold other_data.toml --model unfolded/unfolder.buff
      buff unfold unfold.toml --alternative other_generator/unfolder.buff
      buff unfold other_bins.toml --result unfolded/result.buff
      buff unfold unfold.toml --closure 10 --stress alternative
      buff unfold unfold.toml --scan 10
    """
    if template:
        typer.echo(TEMPLATE, nl=False)
        return
    if config is None:
        raise ValueError("CONFIG is missing: write one with `buff unfold --template > unfold.toml`")
    wanted = read_config(config)
    check_config(wanted)
    check_options(model, alternative, result, closure, stress, scan)
    if result is not None:
        with _warnings_in_a_line():
            _write(wanted, _kept(result, wanted), read_events(wanted, "data", True) if wanted.data.truth else None)
        return
    unfolder: Any = None if model is None else _loaded(model, wanted, quiet)
    named = _alternatives(alternative or [], wanted, quiet)
    simulation = None if unfolder else read_events(wanted, "simulation", True)
    others = {section: read_events(wanted, section, True) for section in wanted.alternatives}
    data = read_events(wanted, "data", wanted.data.truth)
    background = None if wanted.background is None else read_events(wanted, "background", False)
    check_events(wanted, {"simulation": simulation, **others}, {"data": data, "background": background})
    (wanted.home / wanted.output.folder).mkdir(parents=True, exist_ok=True)
    if not quiet:
        simulated = f"{simulation.reco.num_rows:,} simulated and " if simulation else ""
        typer.echo(f"{simulated}{data.reco.num_rows:,} measured events", err=True)
    if closure is not None:
        with _warnings_in_a_line():
            tell_closure(
                wanted, _settings(wanted, True), (simulation, others, data), closure, stress, 0 if quiet else 1
            )
        return
    if scan is not None:
        with _warnings_in_a_line():
            unfolder = _fitted(wanted, simulation, quiet, n_replicas=0) if simulation else unfolder
            tell_scan(wanted, unfolder, data, background, scan, 0 if quiet else 1)
        return
    with _warnings_in_a_line():
        unfolder = _fitted(wanted, simulation, quiet) if simulation else unfolder
        for section, other in others.items():
            if other.weights is None:  # the file says so: entries of [simulation] count unless told
                other = replace(other, weights=np.ones(other.reco.num_rows))
            named.setdefault(section.partition(".")[2] or section, []).append(
                _fitted(wanted, other, quiet, n_replicas=0)
            )
        uncertainty = 0.0 if wanted.background is None else wanted.background.uncertainty
        found = _result(unfolder, data, background, uncertainty, named, quiet)
        saved = list(_saved(wanted, {"model": unfolder, "result": found}))
        _write(wanted, found, data)
    for path in saved:
        typer.echo(str(path))


def _saved(config: Config, kept: Mapping[str, Any]) -> Iterator[Path]:
    """What [output] names files for."""
    for name, model in kept.items():
        if file := getattr(config.output, name):
            path = config.home / config.output.folder / file
            model.save(path)
            yield path


def _write(config: Config, result: "UnfoldingResult", data: Events | None) -> None:
    """Sentences on the terminal, and what is asked for on the disk."""
    truth, weights = data.passing("truth") if data else (None, None)
    bins = {name: config.observables[name].bins for name in config.truth} if config.output.binned else {}
    edges = {name: result.histogram(name, own).axes[0].edges for name, own in bins.items()}
    known = {} if truth is None else {name: _counts(truth[name].to_numpy(), e, weights) for name, e in edges.items()}
    summary = Summary.of(edges, known, result, config.output.normalise)
    for line in printed(summary, result):
        typer.echo(line)
    for path in _written(config, result, summary, edges, known):
        typer.echo(str(path))


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Warnings on standard error without the place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", UserWarning)
        warnings.showwarning = lambda message, *_, **__: typer.echo(f"buff: {message}", err=True)
        yield


def _loaded(path: Path, config: Config, quiet: bool) -> Any:
    """The Unfolder of a file, for the observables that are asked for."""
    from buff.archive import load
    from buff.unfolding import Unfolder

    unfolder = load(existing(path))
    if not isinstance(unfolder, Unfolder):
        raise ValueError(
            f"{path} holds a {type(unfolder).__name__}: --model and --alternative take what [output] model has kept"
        )
    _check_names(path, config, unfolder.simulation_)
    return unfolder.set_params(verbose=0 if quiet else 1)


def _alternatives(paths: list[Path], config: Config, quiet: bool) -> dict[str, list[Any]]:
    """The Unfolders of files, by the names that stand before them."""
    from buff.unfolding.systematics import checked_names

    named: dict[str, list[Any]] = {}
    for path in paths:
        name, _, file = ("", "", str(path)) if path.exists() else str(path).rpartition("=")
        named.setdefault(name or "alternative", []).append(_loaded(Path(file), config, quiet))
    checked_names(named)
    return named


def _kept(path: Path, config: Config) -> "UnfoldingResult":
    """The result of a file, for the observables that are asked for."""
    from buff.archive import load
    from buff.unfolding import UnfoldingResult

    result = load(existing(path))
    if not isinstance(result, UnfoldingResult):
        raise ValueError(f"{path} holds a {type(result).__name__}: --result takes what [output] result has kept")
    _check_names(path, config, result.simulation)
    return result


def _check_names(path: Path, config: Config, simulation: Any) -> None:
    for level, wanted in (("truth", config.truth), ("reco", config.reco)):
        known = getattr(simulation, level).names
        if set(wanted) != set(known):
            raise ValueError(f"{path} unfolds the {level} observables {sorted(known)}, found {sorted(wanted)}")


def _settings(config: Config, quiet: bool, n_replicas: Any = None) -> Any:
    from buff.unfolding import Unfolder

    s = config.settings
    return Unfolder(
        s.method,
        n_iterations=s.iterations or None,
        n_samples=s.samples or None,
        n_replicas=s.replicas if n_replicas is None else n_replicas,
        negative_weights=s.negative_weights,
        n_jobs=s.jobs,
        random_state=s.seed,
        verbose=0 if quiet else 1,
    )


def _fitted(config: Config, simulation: Events, quiet: bool, n_replicas: Any = None) -> Any:
    return _settings(config, quiet, n_replicas).fit(
        simulation.truth,
        simulation.reco,
        pass_truth=simulation.pass_truth,
        pass_reco=simulation.pass_reco,
        sample_weight=simulation.weights,
    )


def _result(
    unfolder: Any, data: Events, background: Events | None, uncertainty: float, others: Mapping[str, Any], quiet: bool
) -> Any:
    events = None if background is None else background.passing("reco")
    reco, weights = data.passing("reco")
    more = {"background": events, "background_uncertainty": uncertainty, "alternative": others}
    result = unfolder.unfold(reco, sample_weight=weights, **more)
    if not quiet:
        for line in _notes(result):
            typer.echo(line, err=True)
    return result


def _notes(result: "UnfoldingResult") -> Iterator[str]:
    """What became of negative weights."""
    of_events = {
        **dict(zip(("matched", "missed", "fake"), result.simulation.of_kind, strict=True)),
        "measured": result.measured.of_data,
        "background": result.measured.of_background,
    }
    yield from (f"{name} events: {weights.note}" for name, weights in of_events.items() if weights.note)


def _written(
    config: Config, result: "UnfoldingResult", summary: Summary, edges: Mapping[str, Any], known: Known
) -> list[Path]:
    """Write what is asked for; the paths."""
    folder, output = config.home / config.output.folder, config.output
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if output.events:
        paths.append(folder / output.events)
        result.to_parquet(paths[-1])
    if output.tables:
        paths.append(folder / output.tables)
        observables = {name: config.observables[name] for name in config.truth}
        bins: dict[Any, Any] = {name: o.bins for name, o in observables.items()}
        bins |= {tuple(group): [bins[name] for name in group] for group in output.together}
        units = {name: o.unit for name, o in observables.items()}
        result.to_yaml(paths[-1], bins, units, output.keywords, output.normalise)
    if output.figures or output.page:
        paths += _drawn(config, result, summary, edges, known)
    return paths


def _drawn(
    config: Config, result: "UnfoldingResult", summary: Summary, edges: Mapping[str, Any], known: Known
) -> list[Path]:
    from buff.report.page import figure_html, page_html, section_html, write_page

    figures, folder = list(_figures(config, result, edges, known)), config.home / config.output.folder
    paths = []
    if config.output.figures:
        for figure in figures:
            stem = "".join(c if c.isalnum() else "_" for c in figure.name)
            paths.append(folder / f"{stem}.{config.output.figures}")
            figure.drawing.savefig(paths[-1])
    if config.output.page:
        pictures = [section_html(figure.name, figure_html(figure.drawing, figure.caption)) for figure in figures]
        parts = ["<h1>Unfolded events</h1>", *summary_html(summary, result, edges), *pictures]
        paths.append(folder / config.output.page)
        write_page(paths[-1], page_html("Unfolded events", parts))
    return paths


def _figures(config: Config, result: "UnfoldingResult", edges_of: Mapping[str, Any], known: Known) -> Iterator[_Figure]:
    """Spectrum, refolding, migration and correlations of each observable, then the convergence."""
    for name, edges in edges_of.items():
        unit = config.observables[name].unit
        below = "the truth of the data" if known else "the truth of the simulation"
        what = "Share of the events" if (shares := config.output.normalise) else "Events"
        about = f"{what} in each bin at truth level, with their errors; below, as ratios to {below}."
        style = {"unit": unit, "normalise": shares, **known.get(name, {})}
        yield _Figure(name, about, result.plot_unfolded(name, edges, **style))
        if name in config.reco:
            about = "What the unfolded events give at detector level beside the measured signal."
            if result.refolded is not None:
                yield _Figure(f"{name} refolded", about, result.plot_refolded(name, edges, unit=unit))
            about = "Where the simulated detector finds the events of each true bin: on the diagonal, if it is sharp."
            yield _Figure(f"{name} migration", about, result.plot_migration(name, edges, unit=unit))
        if result.replicas:
            about = "How unfolded bins fluctuate together from replica to replica."
            yield _Figure(f"{name} correlations", about, result.plot_correlation(name, edges, unit=unit))
    if np.isfinite([iteration.change for iteration in result.history]).any():
        about = "Share of the unfolded density that each iteration moved."
        yield _Figure("convergence", about, result.plot_convergence())


def _counts(values: Any, edges: Any, weights: WeightsLike) -> dict[str, Any]:
    w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    counts, variance = (np.histogram(values, edges, weights=u)[0] for u in (w, w**2))
    return {"truth": counts, "truth_error": np.sqrt(variance)}
