"""A fitted JetBUFF to the parts of an archive, and back."""

from typing import Any

from buff.archive import Archive
from buff.generators.buff import BUFF
from buff.generators.jet_clouds import CloudTemplate
from buff.generators.jet_features import JetFeatures
from buff.generators.jet_rejection import JetRejection
from buff.generators.jet_stages import SplittingFlows
from buff.generators.jet_table import MarginMap
from buff.generators.jet_tables import JetTables
from buff.generators.parameters import resolve_device
from buff.generators.persistence import restored, to_json
from buff.records import nested
from buff.transforms import ConditionEncoder

__all__ = ["jets_from_archive", "jets_to_archive"]


def jets_to_archive(model: Any) -> Archive:
    """Everything that makes the fitted model."""
    parameters = model.get_params(deep=False)
    del parameters["jet_model"]  # kept as a model
    record: dict[str, Any] = {
        "parameters": to_json(parameters),
        "seed": str(model.seed_),
        "template": model.template_.to_dict(),
        "radius": model.radius_,
        "max_particles": model.max_particles_,
        "stage_seconds": model.stage_seconds_,
        "mirrors": list(model.tables_.mirrors),
    }
    arrays: dict[str, Any] = {}
    blobs: dict[str, bytes] = {}

    def add(name: str, part: tuple[Any, ...]) -> None:
        record[name] = part[0]
        arrays.update({f"{name}/{key}": a for key, a in part[1].items()})
        blobs.update({f"{name}/{key}": b for key, b in (part[2] if len(part) > 2 else {}).items()})

    add("features", model.features_.to_arrays())
    add("flows", model.flows_.to_arrays())
    tables = model.tables_
    if model.rejection_ is not None:
        add("rejection", model.rejection_.to_arrays())
    if tables.encoder is not None:
        add("encoder", tables.encoder.to_arrays())
    for name, margins in (("margins", tables.margins), ("given_margins", tables.given_margins)):
        if margins is not None:
            add(name, margins.to_arrays())
    for name, table in (("jet_model", tables.model), ("given_model", tables.given)):
        if table is not None:
            own = table.to_archive()
            add(name, (own.record, own.arrays, own.blobs))
    return Archive(type(model).__name__, record, arrays, blobs)


def jets_from_archive(kind: type, archive: Archive) -> Any:
    """A model of this kind with what was learned."""
    record = archive.record

    def part(name: str) -> Archive:
        return Archive("", record[name], nested(archive.arrays, name), nested(archive.blobs, name))

    model: Any = restored(kind, record["parameters"])
    model.seed_ = int(record["seed"])
    model.template_ = CloudTemplate.from_dict(record["template"])
    model.radius_, model.max_particles_ = float(record["radius"]), int(record["max_particles"])
    model.stage_seconds_ = dict(record["stage_seconds"])
    model.features_ = JetFeatures.from_arrays(record["features"], part("features").arrays)
    model.derived_ = tuple(entry.name for entry in model.features_.derived)
    flows = part("flows")
    model.flows_ = SplittingFlows.from_arrays(flows.record, flows.arrays, flows.blobs, resolve_device(model.device))
    rejection = part("rejection") if "rejection" in record else None
    model.rejection_ = None if rejection is None else JetRejection.from_arrays(rejection.record, rejection.arrays)
    margins, given_margins = (
        MarginMap.from_arrays(record[name], part(name).arrays) if name in record else None
        for name in ("margins", "given_margins")
    )
    encoder = ConditionEncoder.from_arrays(record["encoder"], part("encoder").arrays) if "encoder" in record else None
    given = BUFF.from_archive(part("given_model")) if "given_model" in record else None
    model.tables_ = JetTables(
        BUFF.from_archive(part("jet_model")), encoder, given, margins, given_margins, tuple(record["mirrors"])
    )
    return model
