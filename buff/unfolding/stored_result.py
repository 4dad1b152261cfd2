"""The result of an unfolding as an archive: figures, covariances and tables without another fit."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.archive import Archive
from buff.errors import ArchiveError
from buff.protocols import Array
from buff.records import checked_array, checked_list, checked_number, checked_record, require
from buff.tables import Columns
from buff.unfolding.diagnostics import Diagnostics
from buff.unfolding.events import Simulation
from buff.unfolding.features import features
from buff.unfolding.iterations import History, Iteration
from buff.unfolding.members import Measured
from buff.unfolding.moving import Moving
from buff.unfolding.parts import Parts, joined, part_of
from buff.unfolding.refolding import Refolded
from buff.unfolding.replicas import Replica
from buff.unfolding.settings import METHODS
from buff.unfolding.stored import (
    restored_simulation,
    restored_table,
    restored_weights,
    stored_simulation,
    stored_table,
    stored_weights,
)

if TYPE_CHECKING:
    from buff.unfolding.result import UnfoldingResult

__all__ = ["archive_of_result", "parts_of_result"]

_COUNTS = ("measured", "outside")
_NUMBERS = (*_COUNTS, "signal", "unseen", "effective", "poorly_seen", "least_efficiency")
_REFOLDED = ("values", "measured", "refolded", "variance")


def archive_of_result(result: "UnfoldingResult") -> Archive:
    """Unfolded events, replicas, diagnostics, and the events that they were made from."""
    s, m = result.simulation, result.measured
    arrays = {"weights": result.weights, "measured_rows": result.measured_rows, "outside": result.outside}
    further = {"refolded": result.refolded, "further": result.further}
    arrays |= {"signal": result.signal} | {name: own for name, own in further.items() if own is not None}
    facts = {
        "method": result.method,
        "negative_weights": m.of_data.policy,
        "history": [[None if v != v else v for v in asdict(i).values()] for i in result.history],
    }
    parts = joined(
        result=(facts, arrays, {}),
        events=_events(result.columns, s),
        simulation=stored_simulation(s),
        measured=joined(
            reco=stored_table(m.reco), data=stored_weights(m.of_data), background=stored_weights(m.of_background)
        ),
        diagnostics=_diagnostics(result.diagnostics),
        replicas=joined(**{str(i): _replica(replica, s) for i, replica in enumerate(result.replicas)}),
    )
    return Archive("UnfoldingResult", *parts)


def parts_of_result(archive: Archive) -> dict[str, Any]:
    """What an UnfoldingResult is made of, by the names of its attributes.

    Raises
    ------
    ArchiveError
        Parts that are lost, of other types or shapes, or that do not belong together.
    """
    names = ("result", "events", "simulation", "measured", "diagnostics", "replicas")
    checked_record(archive.record, "the record", names)
    parts: Parts = (archive.record, dict(archive.arrays), dict(archive.blobs))
    facts, arrays, _ = part_of(parts, "result")
    checked_record(facts, "the result", ("method", "negative_weights", "history"))
    checked_record(arrays, "the result", ("weights", "measured_rows", "outside", "signal"))
    require(facts["method"] in METHODS, f"a result of the method {str(facts['method'])[:40]!r}")
    simulation = restored_simulation(part_of(parts, "simulation"), facts["negative_weights"])
    measured = _measured_of(part_of(parts, "measured"), simulation, facts["negative_weights"])
    columns, n = _events_of(part_of(parts, "events"), simulation), len(measured.reco)
    if columns is None:
        raise ArchiveError("a result without events of its own")
    weights, rows = _weights_and_rows(arrays, len(columns), n)
    refolded = arrays.get("refolded")
    if refolded is not None:
        refolded = checked_array(refolded, "refolded weights", (simulation.n_matched,), low=0)
    further = arrays.get("further")
    if further is not None:
        further = checked_array(further, "weights after further iterations", (len(columns),), low=0)
    found = part_of(parts, "replicas")
    of = [_replica_of(part_of(found, str(i)), simulation, len(columns), n) for i in range(len(found[0]))]
    return {
        "method": facts["method"],
        "columns": columns,
        "weights": weights,
        "measured_rows": rows,
        "replicas": tuple(of),
        "history": History(_iteration(entry) for entry in checked_list(facts["history"], "iterations")),
        "diagnostics": _diagnostics_of(part_of(parts, "diagnostics")),
        "outside": checked_array(arrays["outside"], "events outside", (n,), kinds="b"),
        "simulation": simulation,
        "measured": measured,
        "signal": checked_array(arrays["signal"], "the signal", (n,), low=0),
        "refolded": refolded,
        "further": further,
    }


def _events(columns: Columns | None, simulation: Simulation) -> Parts:
    """A table; only the word for simulated events, which are kept once, and for those of the result."""
    if columns is None or columns is simulation.truth:
        return {"of": "result" if columns is None else "simulation"}, {}, {}
    record, arrays, blobs = stored_table(columns)
    return record | {"of": "own"}, arrays, blobs


def _events_of(parts: Parts, simulation: Simulation) -> Columns | None:
    whose = checked_record(parts[0], "unfolded events", ("of",))["of"]
    require(whose in ("own", "simulation", "result"), f"unfolded events of {str(whose)[:40]!r}")
    if whose != "own":
        return simulation.truth if whose == "simulation" else None
    return restored_table(parts, simulation.truth_space, "unfolded events")


def _replica(replica: Replica, simulation: Simulation) -> Parts:
    arrays = {"weights": replica.weights} | ({} if replica.rows is None else {"measured_rows": replica.rows})
    return joined(events=_events(replica.events, simulation), replica=({"source": replica.source}, arrays, {}))


def _replica_of(parts: Parts, simulation: Simulation, n: int, n_measured: int) -> Replica:
    events = _events_of(part_of(parts, "events"), simulation)
    record, arrays, _ = part_of(parts, "replica")
    source = checked_record(record, "a replica", ("source",))["source"]
    require(isinstance(source, str) and len(source) > 0, f"a replica of {str(source)[:40]!r}")
    weights, rows = _weights_and_rows(arrays, n if events is None else len(events), n_measured)
    return Replica(source, weights, events, rows)


def _weights_and_rows(arrays: Any, n: int, n_measured: int) -> tuple[Array, Any]:
    checked_record(arrays, "unfolded events", ("weights",))
    weights, rows = checked_array(arrays["weights"], "weights", (n,), low=0), arrays.get("measured_rows")
    if rows is not None:
        rows = checked_array(rows, "measured rows", (n,), kinds="i", low=-1, high=n_measured - 1)
    return weights, rows


def _measured_of(parts: Parts, simulation: Simulation, policy: str) -> Measured:
    space = simulation.reco_space
    reco = restored_table(part_of(parts, "reco"), space, "measured events")
    scores = features(space, reco)
    data = restored_weights(part_of(parts, "data"), (reco,), len(reco), policy, "measured")
    background = part_of(parts, "background")
    n = int(checked_number(checked_record(background[0], "the background", ("n",))["n"], "background events", 0))
    # what the background looks like is not needed any more
    return Measured(reco, scores, scores[:0], data, restored_weights(background, (), n, policy, "background"))


def _diagnostics(diagnostics: Diagnostics) -> Parts:
    facts = {name: getattr(diagnostics, name) for name in _NUMBERS}
    columns: dict[str, Parts] = {
        str(i): ({"name": c.name}, {key: getattr(c, key) for key in _REFOLDED}, {})
        for i, c in enumerate(diagnostics.refolded)
    }
    moving = {"moving": [list(asdict(value).values()) for value in diagnostics.moving]}
    return joined(facts=(facts | moving, {}, {}), refolded=joined(**columns))


def _diagnostics_of(parts: Parts) -> Diagnostics:
    facts = checked_record(part_of(parts, "facts")[0], "the diagnostics", (*_NUMBERS, "moving"))
    moving = [_moving_of(entry) for entry in checked_list(facts["moving"], "what moves")]
    found = part_of(parts, "refolded")
    columns: list[Refolded] = []
    for i in range(len(found[0])):
        record, arrays, _ = part_of(found, str(i))
        name = checked_record(record, "a refolded column", ("name",))["name"]
        checked_record(arrays, "a refolded column", _REFOLDED)
        n = checked_array(arrays["measured"], "refolded events", (None,)).shape
        values = checked_array(arrays["values"], "frequent values", (None,))
        require(len(values) <= n[0], "more frequent values than bins")
        columns.append(Refolded(name, values, *(checked_array(arrays[key], key, n, low=0) for key in _REFOLDED[1:])))
    numbers: dict[str, Any] = {name: checked_number(facts[name], name, 0) for name in _NUMBERS}
    numbers |= {name: int(numbers[name]) for name in _COUNTS}
    return Diagnostics(**numbers, refolded=tuple(columns), moving=tuple(moving))


def _moving_of(entry: Any) -> Moving:
    name, place, *numbers = checked_list(entry, "what moves", length=5)
    require(isinstance(name, str) and isinstance(place, str), "a place that moves without a name")
    return Moving(name, place, *(checked_number(x, "what moves", 0) for x in numbers))


def _iteration(entry: Any) -> Iteration:
    number, change, effective, clipped = checked_list(entry, "an iteration", length=len(fields(Iteration)))
    shares = (checked_number(v, "an iteration", 0) for v in (effective, clipped))
    known = np.nan if change is None else checked_number(change, "an iteration", 0)
    return Iteration(int(checked_number(number, "an iteration", 1)), known, *shares)
