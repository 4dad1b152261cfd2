"""A fitted Unfolder as an archive: its simulated events, and what was learned from them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.archive import Archive
from buff.generators import BUFF, BUFFTransport
from buff.generators.persistence import restored, to_json
from buff.protocols import Array
from buff.records import checked_array, checked_list, checked_number, checked_record, require
from buff.tables import Columns
from buff.tables.categories import factorize
from buff.transforms import TableTransformer
from buff.trees import Classifier, ClassifierSettings
from buff.unfolding.event_weights import EventWeights
from buff.unfolding.events import Simulation
from buff.unfolding.features import features
from buff.unfolding.members import Member
from buff.unfolding.parts import Parts, joined, part_of
from buff.unfolding.posteriors import Bridge, LocatedFlow
from buff.unfolding.ratios import Share
from buff.unfolding.settings import SOURCES
from buff.weights import POLICIES, PositiveWeights

if TYPE_CHECKING:
    from buff.unfolding.unfolder import Unfolder

__all__ = ["archive_of", "restored_unfolder", "simulation_and_members"]

_GENERATORS: Mapping[str, Any] = {"BUFF": BUFF, "BUFFTransport": BUFFTransport}
_POSTERIORS: Mapping[str, Any] = {"LocatedFlow": LocatedFlow, "Bridge": Bridge}
#: Simulated events that pass both selections, that at truth level alone, and that at detector level alone.
_KINDS = ("matched", "missed", "fake")
#: What the members of an Unfolder are of: the result, and replicas.
_MEMBERS = ("nominal", *SOURCES[1:])


def archive_of(unfolder: "Unfolder", entropy: int) -> Archive:
    """Parameters, simulated events and members."""
    s = unfolder.simulation_
    members = {
        source: joined(**{str(i): _member(member, s) for i, member in enumerate(unfolder.members_[source])})
        for source in _MEMBERS
    }
    parts = joined(
        truth=_columns(s.truth, s.truth_space),
        reco=_columns(s.reco, s.reco_space),
        weights=_weights(s),
        members=joined(**members),
    )
    settings = asdict(unfolder.members_["nominal"][0].settings)
    record = {"parameters": _parameters(unfolder), "entropy": str(entropy), "classifier": settings}
    return Archive("Unfolder", record | parts[0], *parts[1:])


def restored_unfolder(kind: type["Unfolder"], record: Mapping[str, Any]) -> "Unfolder":
    """An Unfolder with the parameters of a record."""
    keys = ("parameters", "entropy", "classifier", "truth", "reco", "weights", "members")
    given = dict(checked_record(checked_record(record, "the record", keys)["parameters"], "the parameters", ()))
    if given.get("generator") is not None:
        generator = checked_record(given["generator"], "the generator", ("kind", "parameters"))
        require(generator["kind"] in _GENERATORS, f"the generator is of kind {str(generator['kind'])[:40]!r}")
        given["generator"] = restored(_GENERATORS[generator["kind"]], generator["parameters"])
    return restored(kind, given)


def simulation_and_members(archive: Archive, policy: str) -> tuple[Simulation, dict[str, tuple[Member, ...]]]:
    """Simulated events, and what was learned from them.

    Raises
    ------
    ArchiveError
        Parts that are lost, of other types or shapes, or that do not belong together.
    """
    parts: Parts = (archive.record, dict(archive.arrays), dict(archive.blobs))
    (truth, truth_space), (reco, reco_space) = (_columns_of(part_of(parts, name), name) for name in ("truth", "reco"))
    scores = features(truth_space, truth), features(reco_space, reco)
    sizes = checked_record(archive.record["weights"], "the weights", _KINDS)
    n = checked_number(checked_record(sizes["matched"], "the weights", ("n",))["n"], "matched events", 1, len(truth))
    first, rest = slice(int(n)), slice(int(n), None)
    tables = ((truth.take(first), reco.take(first)), (truth.take(rest),), (reco.take(rest),))
    of_kind = _weights_of(part_of(parts, "weights"), tables, policy)
    simulation = Simulation(truth, reco, of_kind, truth_space, reco_space, *scores)
    settings = ClassifierSettings(**archive.record["classifier"])
    members = {}
    for source in _MEMBERS:
        own = part_of(part_of(parts, "members"), source)
        count = len(checked_record(own[0], f"members of {source}", ()))
        require(count == 1 if source == "nominal" else count >= 0, "there is no result but replicas, or several")
        members[source] = tuple(_member_of(part_of(own, str(i)), simulation, settings, policy) for i in range(count))
    return simulation, members


def _parameters(unfolder: "Unfolder") -> dict[str, Any]:
    own = unfolder.get_params(deep=False)
    generator, classifier = own["generator"], own["classifier"]
    if generator is not None:
        kept = to_json(generator.get_params(deep=False))
        own["generator"] = {"kind": type(generator).__name__, "parameters": kept}
    if isinstance(classifier, ClassifierSettings):
        own["classifier"] = asdict(classifier)
    return to_json(own)


def _columns(columns: Columns, space: TableTransformer) -> Parts:
    """A table with its map to normal scores; text is kept as numbers of its levels."""
    record, arrays = space.to_arrays()
    levels: list[Any] = [None] * len(columns.names)
    values = {}
    for j, column in enumerate(columns.arrays):
        if column.dtype.kind == "O":
            levels[j], codes = factorize(column)
            values[str(j)] = codes.astype(np.int32)
        else:
            values[str(j)] = column
    return joined(space=(record, arrays, {}), columns=({"levels": levels}, values, {}))


def _columns_of(parts: Parts, name: str) -> tuple[Columns, TableTransformer]:
    space = TableTransformer.from_arrays(*part_of(parts, "space")[:2])
    record, arrays, _ = part_of(parts, "columns")
    names = space.template_.names
    levels = checked_list(record["levels"], f"levels of {name}", length=len(names))
    checked_record(arrays, f"columns of {name}", map(str, range(len(names))))
    columns = []
    for j, known in enumerate(levels):
        values = checked_array(arrays[str(j)], f"column {names[j]!r}", (len(arrays["0"]),), kinds="biufmM")
        if known is not None:
            known = checked_list(known, f"levels of {names[j]!r}", (str, bool))
            checked_array(values, f"column {names[j]!r}", kinds="i", low=0, high=len(known) - 1)
            values = np.array(known, object)[values]
        columns.append(values)
    require(len(columns[0]), f"{name} has no events")
    return Columns(names, tuple(columns), space.template_), space


def _weights(simulation: Simulation) -> Parts:
    """Weights of the three kinds of events, as given and as used."""
    parts: dict[str, Parts] = {}
    for name, kind in zip(_KINDS, simulation.of_kind, strict=True):
        note = None if kind.note is None else {k: v for k, v in vars(kind.note).items() if k != "values"}
        arrays = {"given": kind.given} | ({} if kind.values is kind.given else {"values": kind.values})
        parts[name] = ({"n": len(kind.given), "note": note}, arrays, {})
    return joined(**parts)


def _weights_of(
    parts: Parts, tables: tuple[tuple[Columns, ...], ...], policy: str
) -> tuple[EventWeights, EventWeights, EventWeights]:
    require(policy in POLICIES, "an unknown policy for negative weights")
    kinds = []
    for name, of in zip(_KINDS, tables, strict=True):
        record, arrays, _ = part_of(parts, name)
        checked_record(arrays, f"weights of {name} events", ("given",))
        given = checked_array(arrays["given"], f"weights of {name} events", (len(of[0]),))
        used = checked_array(arrays.get("values", given), f"weights of {name} events", given.shape, low=0)
        note = checked_record(record, f"weights of {name} events", ("note",))["note"]
        kinds.append(EventWeights(given, used, of, policy, note and PositiveWeights(used, **note)))
    return kinds[0], kinds[1], kinds[2]


def _member(member: Member, simulation: Simulation) -> Parts:
    posterior: Any = member.posterior
    kind = None if posterior is None else type(posterior).__name__
    parts = {"efficiency": _share(member.efficiency), "purity": _share(member.purity)}
    if posterior is not None:
        parts["posterior"] = posterior.to_arrays()
    if member.simulation is not simulation:
        parts["weights"] = _weights(member.simulation)
    record, arrays, blobs = joined(**parts)
    return record | {"kind": kind, "seed": member.seed}, arrays, blobs


def _member_of(parts: Parts, simulation: Simulation, settings: ClassifierSettings, policy: str) -> Member:
    record = checked_record(parts[0], "a member", ("kind", "seed", "efficiency", "purity"))
    if "weights" in record:
        tables = tuple(kind.tables for kind in simulation.of_kind)
        simulation = replace(simulation, of_kind=_weights_of(part_of(parts, "weights"), tables, policy))
    kind, s, posterior = record["kind"], simulation, None
    if kind is not None:
        require(kind in _POSTERIORS, f"a posterior of kind {str(kind)[:40]!r}")
        posterior = _POSTERIORS[kind].from_arrays(part_of(parts, "posterior"), s.truth_space, s.reco_space)
    efficiency = _share_of(part_of(parts, "efficiency"), s.truth_scores)
    purity = _share_of(part_of(parts, "purity"), s.reco_scores)
    seed = int(checked_number(record["seed"], "the seed", 0))
    member = Member(simulation, posterior, efficiency, purity, settings, seed)
    _try(member)
    return member


def _try(member: Member) -> None:
    """Ask for two events, so that parts that do not fit each other show before a model is used."""
    s = member.simulation
    shares = (member.efficiency(s.truth_scores[:2]), member.purity(s.reco_scores[:2]))
    require(all(np.isfinite(share).all() for share in shares), "a share that is no number")
    if member.posterior is not None:
        drawn = member.posterior.draw(s.reco.take(slice(2)), 1, 0)
        require(len(drawn) == len(s.reco.take(slice(2))), "other events are drawn than asked for")


def _share(share: Share) -> Parts:
    arrays: dict[str, Array] = {"of_rows": share.of_rows}
    if share.classifier is None:
        return {"constant": share.constant, "n_models": 0}, arrays, {}
    own, blobs = share.classifier.to_arrays()
    arrays |= {f"classifier/{key}": a for key, a in own.items()}
    return (
        {"constant": share.constant, "n_models": len(blobs)},
        arrays,
        {f"classifier/{k}": b for k, b in blobs.items()},
    )


def _share_of(parts: Parts, features: Array) -> Share:
    record = checked_record(parts[0], "a share", ("constant", "n_models"))
    checked_record(parts[1], "a share", ("of_rows",))
    of_rows = checked_array(parts[1]["of_rows"], "shares", (len(features),), low=0, high=1)
    classifier = None
    if record["n_models"]:
        _, arrays, blobs = part_of(({**record, "classifier": {}}, *parts[1:]), "classifier")
        require(len(blobs) == record["n_models"], "a classifier has lost some of its trees")
        classifier = Classifier.from_arrays(arrays, blobs, features.shape[1])
    return Share(classifier, checked_number(record["constant"], "a share", 0, 1), of_rows)
