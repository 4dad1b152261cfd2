"""What a user is told of columns that look like more than numbers or labels: ids, momenta, angles, names of persons."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import Values
from buff.tables.ids import looks_like_ids
from buff.tables.relations.base import Relation
from buff.tables.relations.coordinates import LATITUDE, find_coordinates
from buff.tables.relations.pair_mass import PairMass, labels_that_tell
from buff.tables.written import warn_of_written_numbers

__all__ = ["find_ids", "find_particles", "warn_of_masses", "warn_of_particles"]

#: Labels of a single row are told of where there are more than so many, and as a share of the rows.
_FEWEST_SINGLE, _SINGLE_SHARE = 20, 0.05
#: Fewer rows show no habits; integers that span so many times their number are wide.
_FEW, _WIDE = 100, 1000
#: Names of azimuths.
_AZIMUTH = re.compile(r"(?i)(^|_|\.|[a-z](?=Phi))phi(\d|_|$)")


def find_ids(table: Mapping[str, Values], names: Sequence[str]) -> list[str]:
    """Which of these columns, of texts or of integers, are taken for ids; says so, and what else seems odd of them."""
    written = {name for name in names if table[name].dtype.kind == "O" and warn_of_written_numbers(name, table[name])}
    reasons = {name: looks_like_ids(table[name]) if table[name].dtype.kind in "iuO" else "" for name in names}
    for name in names:
        if name not in written:
            _warn_of_id(name, table[name], reasons[name])
            if not reasons[name]:
                _warn_of_rare_labels(name, table[name])
    return [name for name in names if reasons[name]]


def _warn_of_id(name: str, values: Values, why: str | None) -> None:
    """Say ``why`` a column is taken for an id, or that it may be one."""
    if not why and _may_number(values):
        warn(
            f"column {name!r} holds integers that never repeat, up to {values.max()}: numbers of events? These tell "
            f'nothing, and cost time: --exclude {name}, in Python schema={{"{name}": "drop"}} or "id"'
        )
    if why:
        text = values.dtype.kind == "O"
        drawn = "values of the same pattern" if text else "numbers"
        otherwise = '"categorical" to learn the texts' if text else '"integer" to learn the numbers'
        what = f"column {name!r} {why} and is taken for an id: new {drawn} are drawn"
        warn(f'{what}. Say schema={{"{name}": "id"}} or "drop", or {otherwise}')


def _may_number(values: Values) -> bool:
    """Whether integers are all different, in a wide range."""
    if values.dtype.kind not in "iu" or len(values) <= _FEW:
        return False
    wide = int(values.max()) - int(values.min()) > _WIDE * len(values)
    return wide and len(np.unique(values)) == len(values)


def _warn_of_rare_labels(name: str, values: Values) -> None:
    """Say that labels come back as they are, where many are of a single row."""
    if values.dtype.kind != "O" or not len(values) or not all(isinstance(v, str | None) for v in values[:20]):
        return
    counts = Counter(values.tolist())
    single = sum(n == 1 for label, n in counts.items() if isinstance(label, str))
    if single > max(_FEWEST_SINGLE, _SINGLE_SHARE * len(values)):
        warn(
            f"column {name!r} has {single} labels of a single row, and labels come back as they are: merge or mask "
            f'rare ones where they tell of persons, or say schema={{"{name}": "categorical"}}'
        )


def warn_of_particles(table: Mapping[str, Values], schema: Mapping[str, Any], relations: Any) -> None:
    """Say what would be blurred, or have a seam, where columns look like momenta of particles."""
    numbers = [name for name, values in table.items() if values.dtype.kind == "f" and name not in schema]
    particles = list(find_particles(numbers).values())
    if relations == "auto" and len(particles) > 1:
        names = ",".join(particles[0] + particles[1])
        warn(
            f"columns {names} look like momenta of particles: masses computed from these will be blurred. "
            f'--pair {names}, in Python relations=["auto", PairMass(...)], keeps them sharp: see '
            f"docs/start/fast_simulation.md, Resonances and derived quantities"
        )
    named = {name for relation in relations or () if isinstance(relation, Relation) for name in relation.columns}
    free = [name for name in numbers if name not in named]
    for first, second in find_coordinates(free) if any(map(LATITUDE.search, free)) else ():
        warn(
            f"columns {first},{second} look like coordinates, whose clusters, roads and coasts will be blurred: "
            f'schema={{"{second}": {{"kind": "coordinate", "beside": "{first}"}}}} keeps them sharp'
        )
    paired = {name for own in particles for name in own} if len(particles) > 1 or relations != "auto" else set()
    phi = [name for name in numbers if _AZIMUTH.search(name) and name not in paired and _is_turn(table[name])]
    if phi:
        words = ", ".join(f'"{name}": "angle"' for name in phi)
        warn(f"columns {', '.join(phi)} look like angles, and are learned with a seam: schema={{{words}}} takes it out")


def _is_turn(values: Values) -> bool:
    """Whether numbers fill a turn of radians."""
    known = values[np.isfinite(values)]
    return len(known) > _FEW and 6.0 < float(np.ptp(known)) <= 2 * np.pi + 1e-3


def find_particles(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Columns pt, eta and phi of particles, by what is left of their names: ``pt1`` of "1", ``lead_pt`` of "lead".

    Examples
    --------
    >>> find_particles(["pt1", "eta1", "phi1", "Muon_pt_2", "Muon_eta_2", "Muon_phi_2", "met_pt", "met_phi"])
    {'1': ('pt1', 'eta1', 'phi1'), 'Muon_2': ('Muon_pt_2', 'Muon_eta_2', 'Muon_phi_2')}
    """
    known, found = list(names), {}
    for name in known:
        for place in re.finditer("pt", name, re.IGNORECASE):
            before, word, after = name[: place.start()], place[0], name[place.end() :]
            others = [before + (own.upper() if word == "PT" else own) + after for own in ("eta", "phi")]
            if before[-1:].isalpha() or after[:1].islower() or not set(others) <= set(known):
                continue
            label = "_".join(part.strip("_.") for part in (before, after) if part.strip("_."))
            found[label or word] = (name, others[0], others[1])
    return found


def warn_of_masses(table: Mapping[str, Values], stated: Sequence[Relation]) -> None:
    """Say where rows of some labels have a pair mass of their own, which those of others would take over."""
    for pair in stated:
        if isinstance(pair, PairMass):
            others = {name: values for name, values in table.items() if name not in pair.columns}
            names = ",".join(labels_that_tell(pair.forward(dict(table))[pair.pt1], others))
            if names:
                warn(
                    f"the {pair} differs strongly between values of {names}, and rare ones would take over the peak of "
                    f"others: --condition {names}, in Python fit(X, condition=...), keeps them apart; buff evaluate "
                    f"--by {names} shows it"
                )
