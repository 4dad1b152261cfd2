"""What ``buff evaluate`` adds to tables and draws of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from buff.cli.options import cut_at_names

__all__ = ["DerivedMass", "bins_of", "pairs_of", "quality_by", "write_figures"]

#: Rows of a class from which on it is judged, and classes that are.
_FEWEST, _MOST_CLASSES = 30, 12


class DerivedMass:
    """A column computed from the momenta of particles: ``mass=invariant_mass(1,2)``.

    Parameters
    ----------
    entry : str
        NAME=invariant_mass(PARTICLE,PARTICLE...): a particle is what is left of the names of its columns pt, eta and
        phi, such as 1 of pt1, eta1, phi1, or lead of lead_pt, lead_eta, lead_phi.
    names : sequence of str
        Columns of the file.

    Raises
    ------
    ValueError
        Something else, or no such particle.
    """

    def __init__(self, entry: str, names: Sequence[str]) -> None:
        from buff.tables.advice import find_particles

        found = re.fullmatch(r"\s*(\w+)\s*=\s*invariant_mass\(([^()]+)\)\s*", entry)
        if not found:
            raise ValueError(f'--derive {entry}: write it as "NAME=invariant_mass(1,2)"')
        self.name, particles = found[1], find_particles(names)
        labels = [label.strip() for label in found[2].split(",")]
        if absent := [label for label in labels if label not in particles]:
            known = ", ".join(particles) or "none"
            raise ValueError(f"--derive {entry}: no columns pt, eta and phi of {absent[0]!r}; particles are {known}")
        self.particles = [particles[label] for label in labels]

    @property
    def columns(self) -> list[str]:
        """Columns that it is computed from."""
        return [name for particle in self.particles for name in particle]

    def added(self, table: Any) -> Any:
        """The table with the column, of massless particles."""
        import numpy as np

        from buff.physics.kinematics import invariant_mass

        parts = [[table[name].to_numpy() for name in (eta, phi, pt)] for pt, eta, phi in self.particles]
        mass = invariant_mass(np.moveaxis(np.array(parts, np.float64), (0, 1), (1, 2)))
        return table.append_column(self.name, [mass])


def pairs_of(option: str, entries: Sequence[str] | None, columns: Sequence[str], kind: str) -> dict[str, str]:
    """NAME=VALUE for columns, several by commas; a comma that no name follows belongs to the value.

    Examples
    --------
    >>> pairs_of("--axis", ["pt=$p_{T,1}$,eta=$\\\\eta$"], ["pt", "eta"], "TEXT")
    {'pt': '$p_{T,1}$', 'eta': '$\\\\eta$'}
    """
    found = {}
    for pair in (pair for entry in entries or () for pair in cut_at_names(entry, columns)):
        name, sign, value = pair.partition("=")
        if not (name and sign):
            raise ValueError(f"{option} {pair}: write it as NAME={kind}")
        if name.strip() not in columns:
            raise ValueError(f"{option} {pair}: no column {name!r} is compared; they are {' '.join(columns)}")
        found[name.strip()] = value
    return found


def bins_of(entries: Sequence[str] | None, columns: Sequence[str]) -> dict[str, Any]:
    """Bins of columns: a number, or LOW:HIGH:NUMBER.

    Examples
    --------
    >>> bins_of(["mass=60:120:3,pt=20"], ["mass", "pt"])
    {'mass': array([ 60.,  80., 100., 120.]), 'pt': 20}
    """
    import numpy as np

    found: dict[str, Any] = {}
    for name, words in pairs_of("--bins", entries, columns, "NUMBER or LOW:HIGH:NUMBER").items():
        try:
            low, high, number = [0.0, 1.0, *map(float, words.split(":"))][-3:]
            if words.count(":") not in (0, 2) or number < 1 or high <= low:
                raise ValueError
        except ValueError:
            raise ValueError(f"--bins {name}={words}: write it as {name}=40 or {name}=60:120:30") from None
        found[name] = np.linspace(low, high, int(number) + 1) if ":" in words else int(number)
    return found


def write_figures(
    folder: Path, real: Any, generated: Any, columns: Sequence[str], by: Sequence[str], **look: Any
) -> list[Path]:
    """PDF files of all columns together, of each alone, for each class where ``by`` names columns, of correlations.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    real, generated : pyarrow.Table
    columns, by : sequence of str
    **look
        Of :func:`buff.plotting.marginals`.
    """
    from buff.plotting import correlation_difference, marginals

    folder.mkdir(parents=True, exist_ok=True)
    shown = [name for name in columns if name not in by]
    bins, names = look.pop("bins"), look.pop("names")

    def own(chosen: Sequence[str]) -> dict[str, Any]:
        parts = ({key: part[key] for key in chosen if key in part} for part in (bins, names))
        return dict(zip(("bins", "names"), parts, strict=True)) | look

    figures: dict[str, Any] = {"all": marginals(real, generated, shown, **own(shown))}
    figures |= {name: marginals(real, generated, [name], **own([name])) for name in shown}
    if by:
        label = ", ".join(by)
        tables = [_labelled(table, by, label) for table in (real, generated)]
        for name in shown:
            figures[f"{name}_by_{'_'.join(by)}"] = marginals(tables[0], tables[1], [name], by=label, **own([name]))
    if len(shown) > 1:
        kept = {key: look[key] for key in ("schema", "labels", "real_weights") if key in look}
        figures["correlations"] = correlation_difference(real, generated, shown, **kept)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.pdf")
        figure.savefig(paths[-1])
    return paths


def quality_by(by: Sequence[str], tables: Mapping[str, Any], schema: Any, seed: int) -> Iterator[str]:
    """A line for each class of the real rows: its shares, and the column that is farthest off."""
    import numpy as np

    from buff.metrics import report

    label = ", ".join(by)
    real, generated = (_labelled(tables[name], by, label) for name in ("real", "generated"))
    found, made = (np.array(table[label].to_pylist()) for table in (real, generated))
    real, generated = (table.drop_columns(list({label, *by})) for table in (real, generated))
    kinds, counts = np.unique(found, return_counts=True)
    for k in np.argsort(-counts)[:_MOST_CLASSES]:
        parts = [table.filter(own == kinds[k]) for table, own in ((real, found), (generated, made))]
        shares = f"{counts[k] / real.num_rows:.2%} of real, {np.mean(made == kinds[k]):.2%} of generated rows"
        head = f"{label} = {kinds[k]}: {shares}"
        if min(part.num_rows for part in parts) < _FEWEST:
            yield f"{head}; too few to compare"
            continue
        measured = report(*parts, schema=schema, classifiers=(), n_bootstrap=2, random_state=seed)
        assert measured.floor is not None
        pairs = zip(measured.scores.columns, measured.floor.columns, strict=True)
        ratios = {c.name: c.distance.value / f.distance.value for c, f in pairs if f.distance.value > 0}
        worst = max(ratios, key=ratios.__getitem__, default="")
        far = f"; distances {np.median([*ratios.values()]):.2f} floors, at most {ratios[worst]:.2f} ({worst})"
        yield f"{head}{far if ratios else ''}"


def _labelled(table: Any, by: Sequence[str], label: str) -> Any:
    """The table with the values of some columns as one of labels."""
    rows = zip(*(table[name].to_pylist() for name in by), strict=True)
    if len(by) == 1:
        return table.set_column(table.column_names.index(label), label, [[str(value) for (value,) in rows]])
    return table.append_column(label, [[", ".join(map(str, row)) for row in rows]])
