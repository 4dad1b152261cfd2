"""``buff fit``, ``sample`` and ``evaluate`` with ``--showers``: showers in the files of the CaloChallenge."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from buff.cli.options import check_rows

__all__ = ["evaluate_showers", "fit_showers", "sample_showers"]


def fit_showers(
    events: Path,
    output: Path,
    geometry: str,
    max_rows: int | None,
    options: Mapping[str, Any],
    other: Mapping[str, Any],
) -> None:
    """Learn the showers of a file and save the model.

    Raises
    ------
    ValueError
        Options that are for tables.
    """
    from buff.datasets import load_calochallenge
    from buff.generators import ShowerBUFF

    if given := [name for name, value in other.items() if value is not None]:
        raise ValueError(f"{', '.join(given)}: for tables, not with --showers")
    data = load_calochallenge(events, max_rows, geometry=geometry)
    model = ShowerBUFF(geometry, **{name: value for name, value in options.items() if value is not None})
    model.fit(data.showers, data.incident_energies).save(output)
    typer.echo(f"{output}: {len(data):,} showers learned, {output.stat().st_size / 1e6:.1f} MB")


def sample_showers(
    model: Any, output: Path, energies: str, number: int | None, seed: int, first_event: int, chunk: int
) -> None:
    """Generate showers into a file: of the particles of a file, or ``number`` of each energy that is given.

    Raises
    ------
    ValueError
        A model of something else, energies that are no numbers, or a file that is not HDF5.
    """
    import numpy as np

    from buff.datasets import load_calochallenge, save_calochallenge
    from buff.generators import ShowerBUFF

    if not isinstance(model, ShowerBUFF):
        raise ValueError(f"--showers: the model is a {type(model).__name__}, fitted without --showers")
    if output.suffix not in (".hdf5", ".h5"):
        raise ValueError(f"{output}: showers are written as .hdf5 or .h5")
    if energies.endswith((".hdf5", ".h5")):
        last = None if number is None else first_event + number
        incident = load_calochallenge(energies, last, geometry=model.geometry_).incident_energies
        check_rows(energies, len(incident), number, first_event)
        incident = incident[first_event:]
    else:
        try:
            listed = [float(text) for text in energies.split(",")]
        except ValueError as error:
            raise ValueError(f"--showers {energies}: give an .hdf5 file, or energies in MeV like 256,512") from error
        incident = np.repeat(listed, 1000 if number is None else number)
    parts = [
        model.sample(incident[i : i + chunk], random_state=seed, first_event=first_event + i)
        for i in range(0, len(incident), chunk)
    ]
    save_calochallenge(output, np.concatenate(parts), incident)
    typer.echo(f"{output}: {len(incident):,} showers, seed {seed}")


def evaluate_showers(
    real: Path,
    generated: Path,
    train: Path | None,
    geometry: str,
    max_rows: int | None,
    report: Path | None,
    json: Path | None,
    title: str | None,
    seed: int,
    provenance: Mapping[str, str],
) -> None:
    """Print all metrics of showers; write them, and a page with plots. Showers of the training set the floor."""
    from buff.datasets import load_calochallenge
    from buff.metrics import shower_report

    first, second = (load_calochallenge(path, max_rows, geometry=geometry) for path in (real, generated))
    floor = None
    if train is not None:
        more = load_calochallenge(train, max_rows, geometry=geometry)
        floor = (more.showers, more.incident_energies)
    pairs = [(data.showers, data.incident_energies) for data in (first, second)]
    measured = shower_report(*pairs[0], *pairs[1], geometry, floor=floor, random_state=seed)
    typer.echo(str(measured))
    if json is not None:
        measured.save(json)
    if report is not None:
        from buff.report.showers import shower_html_report

        name = title or f"{generated.name} against {real.name}"
        shower_html_report(measured, pairs[0], pairs[1], report, geometry=geometry, title=name, provenance=provenance)
