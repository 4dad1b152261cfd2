"""A fitted Unfolder as an archive: its simulated events, and what was learned from them; parts that results share."""

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

__all__ = [
    "archive_of",
    "restored_simulation",
    "restored_table",
    "restored_unfolder",
    "restored_weights",
    "simulation_and_members",
    "stored_simulation",
    "stored_table",
    "stored_weights",
]

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
    parts = joined(**_simulation(s), members=joined(**members))
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
    simulation = restored_simulation(parts, policy)
    settings = ClassifierSettings(**archive.record["classifier"])
    members = {}
    for source in _MEMBERS:
        own = part_of(part_of(parts, "members"), source)
        count = len(checked_record(own[0], f"members of {source}", ()))
        require(count == 1 if source == "nominal" else count >= 0, "there is no result but replicas, or several")
        members[source] = tuple(_member_of(part_of(own, str(i)), simulation, settings, policy) for i in range(count))
    return simulation, members


def _simulation(s: Simulation) -> dict[str, Parts]:
    truth, reco = ((stored_table(x), space) for x, space in ((s.truth, s.truth_space), (s.reco, s.reco_space)))
    tables = {
        name: joined(space=(*space.to_arrays(), {}), columns=values)
        for name, (values, space) in (("truth", truth), ("reco", reco))
    }
    return tables | {"weights": _weights(s)}


def stored_simulation(simulation: Simulation) -> Parts:
    """Simulated events with their weights and their maps to normal scores."""
    return joined(**_simulation(simulation))


def restored_simulation(parts: Parts, policy: str) -> Simulation:
    """Inverse of :func:`stored_simulation`."""
    spaces, tables = {}, {}
    for name in ("truth", "reco"):
        own = part_of(parts, name)
        spaces[name] = TableTransformer.from_arrays(*part_of(own, "space")[:2])
        tables[name] = restored_table(part_of(own, "columns"), spaces[name], name)
    truth, reco = tables["truth"], tables["reco"]
    scores = features(spaces["truth"], truth), features(spaces["reco"], reco)
    sizes = checked_record(parts[0]["weights"], "the weights", _KINDS)
    n = checked_number(checked_record(sizes["matched"], "the weights", ("n",))["n"], "matched events", 1, len(truth))
    first, rest = slice(int(n)), slice(int(n), None)
    of = ((truth.take(first), reco.take(first)), (truth.take(rest),), (reco.take(rest),))
    of_kind = _weights_of(part_of(parts, "weights"), of, policy)
    weighted = bool(parts[0]["weights"].get("weighted", True))
    return Simulation(truth, reco, of_kind, spaces["truth"], spaces["reco"], *scores, weighted)


def _parameters(unfolder: "Unfolder") -> dict[str, Any]:
    own = unfolder.get_params(deep=False)
    generator, classifier = own["generator"], own["classifier"]
    if generator is not None:
        kept = to_json(generator.get_params(deep=False))
        own["generator"] = {"kind": type(generator).__name__, "parameters": kept}
    if isinstance(classifier, ClassifierSettings):
        own["classifier"] = asdict(classifier)
    return to_json(own)


def stored_table(columns: Columns) -> Parts:
    """Values of a table; text is kept as numbers of its levels."""
    levels: list[Any] = [None] * len(columns.names)
    values = {}
    for j, column in enumerate(columns.arrays):
        if column.dtype.kind == "O":
            levels[j], codes = factorize(column)
            values[str(j)] = codes.astype(np.int32)
        else:
            values[str(j)] = column
    return {"levels": levels}, values, {}


def restored_table(parts: Parts, space: TableTransformer, name: str) -> Columns:
    """Inverse of :func:`stored_table`, with the columns of a space."""
    record, arrays, _ = parts
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
    return Columns(names, tuple(columns), space.template_)


def _weights(simulation: Simulation) -> Parts:
    """Weights of the three kinds of events, and whether they were given."""
    kinds = {name: stored_weights(kind) for name, kind in zip(_KINDS, simulation.of_kind, strict=True)}
    record, arrays, blobs = joined(**kinds)
    return record | {"weighted": simulation.weighted}, arrays, blobs


def _weights_of(
    parts: Parts, tables: tuple[tuple[Columns, ...], ...], policy: str
) -> tuple[EventWeights, EventWeights, EventWeights]:
    pairs = zip(_KINDS, tables, strict=True)
    a, b, c = (restored_weights(part_of(parts, name), of, len(of[0]), policy, name) for name, of in pairs)
    return a, b, c


def stored_weights(weights: EventWeights) -> Parts:
    """Weights as given and as used."""
    note = None if weights.note is None else {k: v for k, v in vars(weights.note).items() if k != "values"}
    used = {} if weights.values is weights.given else {"values": weights.values}
    return {"n": len(weights.given), "note": note}, {"given": weights.given} | used, {}


def restored_weights(parts: Parts, tables: tuple[Columns, ...], n: int, policy: str, name: str) -> EventWeights:
    """Inverse of :func:`stored_weights`, for n events."""
    require(policy in POLICIES, "an unknown policy for negative weights")
    record, arrays, _ = parts
    checked_record(arrays, f"weights of {name} events", ("given",))
    given = checked_array(arrays["given"], f"weights of {name} events", (n,))
    used = checked_array(arrays.get("values", given), f"weights of {name} events", given.shape, low=0)
    note = checked_record(record, f"weights of {name} events", ("note",))["note"]
    return EventWeights(given, used, tables, policy, note and PositiveWeights(used, **note))


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
