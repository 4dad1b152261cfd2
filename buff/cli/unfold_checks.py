"""What ``buff unfold`` refuses before anything is trained."""

from importlib.util import find_spec
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from buff.cli.unfold_config import Config, ObservableSection, Output, Settings
from buff.errors import MissingExtraError
from buff.protocols import BinsLike

__all__ = ["check_config", "check_observables", "check_options", "check_sample"]

#: Columns that the file of unfolded events has besides the observables.
_OWN_COLUMNS = ("weight", "measured_row", "member")


def check_config(config: Config) -> None:
    """Check all that needs no event.

    Raises
    ------
    ValueError
        A value that cannot be used, by the name it has in the file.
    MissingExtraError
        A package that the output needs is not installed.
    """
    from buff.unfolding.systematics import checked_names, checked_uncertainty

    for name, observable in config.observables.items():
        _check_observable(name, observable, config.output)
    for section, sample in config.samples.items():
        if sample.rows < 0:
            raise ValueError(f"[{section}] rows must be at least 1, or 0 for all, found {sample.rows}")
        if sample.uncertainty and section != "background":
            raise ValueError(f"[{section}] uncertainty is that of the normalisation of a [background] alone")
        checked_uncertainty(sample.uncertainty, sample.file, f"[{section}] uncertainty")
    checked_names(section.partition(".")[2] or section for section in config.alternatives)
    _check_settings(config.settings)
    _check_output(config.output, config.home / config.output.folder)
    _check_together(config)


def check_options(
    model: Path | None,
    alternative: list[Path] | None,
    result: Path | None,
    closure: int | None,
    stress: str,
    scan: int | None,
) -> None:
    """Raise ValueError for options of the command that do not go together."""
    if scan is not None and (alternative or result or closure is not None):
        raise ValueError(
            "--scan unfolds iteration by iteration: it goes with neither --alternative, --result nor --closure"
        )
    if scan is not None and scan < 1:
        raise ValueError(f"--scan must be at least 1, found {scan}")
    if closure is not None and (model or alternative or result):
        raise ValueError("--closure fits anew: it goes with neither --model, --alternative nor --result")
    if stress and closure is None:
        raise ValueError("--stress bends the pseudo-data of --closure: give both")
    if result is not None and (model or alternative):
        raise ValueError("--result has been unfolded: it goes with neither --model nor --alternative")


def check_observables(config: Config, truth: Any) -> None:
    """Raise ValueError for a column of truth that holds no numbers, if it is to be put in bins."""
    from pyarrow import types

    for field in truth.schema if config.output.binned else ():
        if not any(kind(field.type) for kind in (types.is_integer, types.is_floating, types.is_boolean)):
            raise ValueError(
                f"[observables.{field.name}] truth holds {field.type}, which cannot be put in bins: "
                f'leave it out, or set tables = "", figures = "" and page = "" in [output]'
            )


def check_sample(section: str, reco: Any, weights: Any, policy: str) -> None:
    """Raise ValueError where a table of events that pass is empty, lacks values or has weights that cannot be used."""
    import pyarrow.compute as pc

    from buff.unfolding.event_weights import checked_weights

    if not reco.num_rows:
        raise ValueError(f"[{section}] has no event that passes the selection")
    for name in reco.column_names:
        missing = pc.sum(pc.is_null(reco[name], nan_is_null=True)).as_py()
        if missing:
            raise ValueError(f"[{section}] {missing:,} of {reco.num_rows:,} events that pass lack {name!r}: drop them")
    checked_weights(weights, reco.num_rows, f"[{section}] weight", policy)


def _check_observable(name: str, observable: ObservableSection, output: Output) -> None:
    if not observable.truth and not observable.reco:
        raise ValueError(f"[observables.{name}] names no column: give truth, reco or both")
    if output.events and observable.truth and name in _OWN_COLUMNS:
        raise ValueError(f"[observables.{name}] has a name that [output] events needs itself: choose another")
    _check_bins(f"[observables.{name}] bins", observable.bins)


def _check_bins(where: str, bins: BinsLike) -> None:
    if not isinstance(bins, list):
        if type(bins) is not int or bins < 1:
            raise ValueError(f"{where} must be a whole number of at least 1, or a list of rising edges, found {bins!r}")
        return
    if len(bins) < 2 or not all(type(edge) in (int, float) and isfinite(edge) for edge in bins):
        raise ValueError(f"{where} must be at least two rising edges, all of them numbers, found {bins!r}")
    for low, high in pairwise(bins):
        if high <= low:
            raise ValueError(f"{where} must be rising edges, found {high!r} after {low!r} in {bins!r}")


def _check_settings(settings: Settings) -> None:
    from buff.unfolding.settings import METHODS, replica_counts
    from buff.weights import POLICIES

    for name, known in (("method", METHODS), ("negative_weights", POLICIES)):
        if getattr(settings, name) not in known:
            raise ValueError(f"[unfolding] {name} must be one of {', '.join(known)}; found {getattr(settings, name)!r}")
    for name, meaning in (("iterations", ", or 0 to be chosen"), ("samples", ", or 0 to be chosen"), ("seed", "")):
        if getattr(settings, name) < 0:
            raise ValueError(f"[unfolding] {name} must not be negative{meaning}, found {getattr(settings, name)}")
    if settings.jobs == 0:
        raise ValueError("[unfolding] jobs must be at least 1, or -1 for all cores, found 0")
    replica_counts(settings.replicas, "[unfolding] replicas")


def _check_together(config: Config) -> None:
    groups = config.output.together
    lists = isinstance(groups, list | tuple) and all(isinstance(group, list) for group in groups)
    if not lists or any(len(group) < 2 or len(set(map(str, group))) < len(group) for group in groups):
        raise ValueError(
            f'[output] together must be lists of observables, such as [["mass", "mult"]], found {groups!r}'
        )
    for name in (name for group in groups for name in group):
        if name not in config.truth:
            raise ValueError(
                f"[output] together names {name!r}: the observables of truth are {', '.join(config.truth)}"
            )


def _check_output(output: Output, folder: Path) -> None:
    kinds = {"events": (".parquet",), "page": (".html", ".htm"), "model": (".buff",), "result": (".buff",)}
    for name, endings in kinds.items():
        file = getattr(output, name)
        if file and (not file.endswith(endings) or Path(file).name != file):
            raise ValueError(f"[output] {name} must be a file name that ends in {endings[0]}, found {file!r}")
    words = {} if output.keywords is None else output.keywords
    if not isinstance(words, dict) or not all(isinstance(values, list) for values in words.values()):
        raise ValueError(f"[output] keywords must be lists by their names, found {words!r}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"[output] folder must be a folder, found the file {folder}")
    if output.tables and (folder / output.tables).is_file():
        raise ValueError(f"[output] tables must be a folder, found the file {folder / output.tables}")
    for package in ("hist", *(("matplotlib",) if output.figures or output.page else ())):
        if output.binned and find_spec(package) is None:
            raise MissingExtraError(package, "plot")
