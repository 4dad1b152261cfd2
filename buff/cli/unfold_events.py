"""The tables that ``buff unfold`` reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.cli.unfold_checks import check_observables, check_sample
from buff.cli.unfold_config import Config

__all__ = ["Events", "check_events", "read_events"]


@dataclass(frozen=True)
class Events:
    """A table read for unfolding; None for what it does not have."""

    truth: Any
    reco: Any
    weights: Any
    pass_truth: Any
    pass_reco: Any

    def passing(self, level: str) -> tuple[Any, Any]:
        """Table and weights of the events that pass the selection at one level."""
        table, flags = (self.truth, self.pass_truth) if level == "truth" else (self.reco, self.pass_reco)
        if table is None or flags is None:
            return table, self.weights
        rows = np.flatnonzero(flags)
        return table.take(rows), None if self.weights is None else np.asarray(self.weights)[rows]


def check_events(config: Config, simulated: Mapping[str, Events | None], measured: Mapping[str, Events | None]) -> None:
    """Raise ValueError for what cannot be put in bins, for events that lack values and for weights."""
    from buff.unfolding.event_weights import checked_weights

    policy = config.settings.negative_weights
    for section, events in simulated.items():
        if events is not None:
            check_observables(config, events.truth)
            checked_weights(events.weights, events.reco.num_rows, f"[{section}] weight", policy)
    for section, events in measured.items():
        if events is not None:
            check_sample(section, *events.passing("reco"), policy)


def read_events(config: Config, section: str, with_truth: bool) -> Events:
    """Read the table of a section, with the columns of truth if asked for, under the names of the observables."""
    from buff.io import read_table
    from buff.unfolding.events import checked_flags

    sample = config.samples[section]
    columns = [*(config.truth.values() if with_truth else ()), *config.reco.values()]
    aside = [name for name in (sample.weight, sample.pass_truth, sample.pass_reco) if name]
    table = read_table(config.home / sample.file, [*columns, *aside], sample.rows or None)

    def named(names: Mapping[str, str]) -> Any:
        return table.select(list(names.values())).rename_columns(list(names))

    if not table.num_rows:
        raise ValueError(f"[{section}] {sample.file} has no events")

    def flags(level: str, name: str) -> Any:
        what = f"[{section}] {level}, column {name!r},"
        return checked_flags(table[name].to_numpy(), table.num_rows, what) if name else None

    passing = flags("pass_truth", sample.pass_truth), flags("pass_reco", sample.pass_reco)
    weights = table[sample.weight].to_numpy() if sample.weight else None
    return Events(named(config.truth) if with_truth else None, named(config.reco), weights, *passing)
