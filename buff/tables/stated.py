"""What a user states of the columns of a table: their kinds beside those with a distribution, and their relations."""

from collections.abc import Mapping, Sequence
from typing import Any

from buff.tables.relations.angle import Angle
from buff.tables.relations.base import Relation
from buff.tables.relations.coordinates import Coordinates
from buff.tables.relations.pair_mass import PairMass

__all__ = ["stated_angles", "stated_coordinates", "stated_kinds", "stated_relations", "with_azimuths"]


def stated_relations(relations: str | Sequence[Relation | str] | None) -> tuple[list[Relation], bool]:
    """What a user states by the parameter ``relations``, and whether others are looked for.

    Raises
    ------
    ValueError
        Another word, or no list.
    """
    if relations == "auto":
        return [], True
    if isinstance(relations, str) or not isinstance(relations, Sequence | None):
        raise ValueError(f"relations must be 'auto', a list of relations (or with 'auto') or None, found {relations!r}")
    stated = [own for own in relations or () if not isinstance(own, str)]
    words = [own for own in relations or () if isinstance(own, str)]
    if unknown := [word for word in words if word != "auto"]:
        raise ValueError(f"relations holds {unknown[0]!r}: relations and 'auto' are known")
    return stated, bool(words)


def with_azimuths(schema: Mapping[str, Any], stated: Sequence[Relation]) -> Mapping[str, Any]:
    """The schema in which azimuths of pairs are angles."""
    azimuths = [name for pair in stated if isinstance(pair, PairMass) for name in (pair.phi1, pair.phi2)]
    return dict.fromkeys(azimuths, "angle") | dict(schema)


def stated_kinds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Kinds that the user gives."""
    return {name: spec.get("kind") if isinstance(spec, Mapping) else spec for name, spec in schema.items()}


def stated_angles(schema: Mapping[str, Any], kinds: Mapping[str, Any], names: Sequence[str]) -> list[Relation]:
    """Angles, each of which may be counted from those before it."""
    found: list[str] = [name for name in names if kinds.get(name) == "angle"]
    specs = [schema[name] for name in found]
    periods = [spec.get("period") if isinstance(spec, Mapping) else None for spec in specs]
    same = [tuple(b for b, q in zip(found[:k], periods[:k], strict=True) if q == p) for k, p in enumerate(periods)]
    return [Angle(name, p, candidates=own) for name, p, own in zip(found, periods, same, strict=True)]


def stated_coordinates(schema: Mapping[str, Any], kinds: Mapping[str, Any], names: Sequence[str]) -> list[Relation]:
    """Second coordinates, each with the first that it stands beside."""
    pairs: list[Relation] = []
    for name in names:
        if kinds.get(name) == "coordinate":
            own = schema[name]
            first = own.get("beside") if isinstance(own, Mapping) else None
            if not isinstance(first, str) or first not in names or first == name:
                raise ValueError(
                    f"coordinate {name!r} must stand beside another column: say "
                    f'schema={{"{name}": {{"kind": "coordinate", "beside": NAME}}}}, found {first!r}'
                )
            pairs.append(Coordinates(first, name))
    return pairs
