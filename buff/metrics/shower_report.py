"""Everything that is measured of generated showers, each number beside that of real showers in their place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.metrics.classifier import c2st
from buff.metrics.frechet import fpd, kpd
from buff.metrics.histograms import Separation
from buff.metrics.neighbours import precision_recall
from buff.metrics.showers import SHOWER_INPUTS, shower_features, shower_inputs, shower_separations
from buff.physics import Geometry

__all__ = ["ShowerReport", "shower_report"]

#: Features of a kind, of which the mean separation power is told.
_KINDS: dict[str, str | tuple[str, ...]] = {
    "response": "response",
    "layer energies": "energy_",
    "centres": ("centre_eta", "centre_phi"),
    "widths": ("width_eta", "width_phi"),
    "radial centres": "centre_r",
    "radial widths": "width_r",
    "sparsity": "sparsity_",
}


@dataclass(frozen=True, repr=False)
class ShowerReport:
    """Numbers by name, and the floors of the same names.

    Attributes
    ----------
    values, floors : mapping from str to float
        ``auc CLASSIFIER INPUTS``, ``fpd``, ``kpd``, ``precision``, ``recall``, ``density``, ``coverage``,
        ``separation KIND`` (mean over features of a kind), ``outside KIND`` (largest share of showers out of range).
    errors : mapping from str to float
        Standard errors of ``values``, where there are.
    separations : mapping from str to Separation
        Of each feature.
    n_real, n_generated, n_floor : int
    """

    values: Mapping[str, float]
    floors: Mapping[str, float]
    errors: Mapping[str, float]
    separations: Mapping[str, Separation]
    n_real: int
    n_generated: int
    n_floor: int = 0
    geometry: str = field(default="")

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}: {self.n_generated:,} generated against {self.n_real:,} real showers, print it for its tables>"

    def __str__(self) -> str:
        width = max(len(name) for name in self.values)
        head = f"{self.n_generated:,} generated against {self.n_real:,} real showers of {self.geometry}"
        note = (
            f"floor: {self.n_floor:,} real showers in place of the generated ones"
            if self.floors
            else "no floor was asked for"
        )
        rows = [f"{'':{width}} {'value':>12} {'error':>9} {'floor':>12}"]
        for name, value in self.values.items():
            error, floor = self.errors.get(name), self.floors.get(name)
            told = ("" if x is None else f"{x:.3g}" for x in (error, floor))
            rows.append(f"{name:{width}} {value:>12.4g} {next(told):>9} {next(told):>12}")
        return "\n".join([head, *rows, note])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the numbers as JSON."""
        record: dict[str, Any] = {
            name: getattr(self, name) for name in ("geometry", "n_real", "n_generated", "n_floor")
        }
        record |= {name: dict(getattr(self, name)) for name in ("values", "errors", "floors")}
        record["separations"] = {
            name: {"value": s.value, "real_outside": s.real_overflow, "generated_outside": s.generated_overflow}
            for name, s in self.separations.items()
        }
        Path(path).write_text(json.dumps(record, indent=1))


def shower_report(
    real: npt.ArrayLike,
    real_energies: npt.ArrayLike,
    generated: npt.ArrayLike,
    generated_energies: npt.ArrayLike,
    geometry: object,
    *,
    floor: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    classifiers: Sequence[str] = ("trees", "mlp"),
    inputs: Sequence[str] = SHOWER_INPUTS,
    seeds: int = 1,
    random_state: int = 0,
) -> ShowerReport:
    """Measure generated showers against real ones.

    Parameters
    ----------
    real, generated : array-like of shape (n, voxels), MeV
        Showers that were not learned from, and those of a model.
    real_energies, generated_energies : array-like of shape (n,) or (n, 1), MeV
        Distributed alike, or classifiers tell the samples apart by them.
    geometry : str, path or buff.physics.Geometry
    floor : (showers, energies), optional
        More real showers: what they score in place of the generated ones is the floor of each number.
    classifiers : sequence of {"trees", "mlp"}
        Two-sample tests (:func:`buff.metrics.c2st`); strong inputs are given to trees alone.
    inputs : sequence of {"low", "normalised", "high", "strong"}
        What they are given (:func:`shower_inputs`).
    seeds : int
        Repetitions of the classifiers.
    random_state : int

    Returns
    -------
    ShowerReport

    Examples
    --------
    >>> from buff.datasets import make_showers
    >>> a, b = (make_showers(300, "ds1-photons", random_state=seed) for seed in (0, 1))
    >>> report = shower_report(
    ...     a.showers, a.incident_energies, b.showers, b.incident_energies, "ds1-photons",
    ...     classifiers=["trees"], inputs=["high"],
    ... )
    >>> report.values["auc trees high"] < 0.6
    True
    """
    detector = Geometry.of(geometry)  # type: ignore[arg-type]
    pair = _Sample(real, real_energies, detector), _Sample(generated, generated_energies, detector)
    options: dict[str, Any] = {
        "classifiers": classifiers,
        "inputs": inputs,
        "seeds": seeds,
        "random_state": random_state,
    }
    values, errors, separations = _score(*pair, **options)
    floors: Mapping[str, float] = {}
    n_floor = 0
    if floor is not None:
        other = _Sample(*floor, detector)
        floors, n_floor = _score(pair[0], other, **options)[0], len(other.energies)
    sizes = (len(pair[0].energies), len(pair[1].energies), n_floor)
    return ShowerReport(values, floors, errors, separations, *sizes, geometry=detector.name)


class _Sample:
    """Showers with their features."""

    def __init__(self, showers: npt.ArrayLike, energies: npt.ArrayLike, detector: Geometry) -> None:
        self.showers, self.energies, self.detector = (
            np.asarray(showers),
            np.asarray(energies, float).reshape(-1),
            detector,
        )
        self.features = shower_features(self.showers, self.energies, detector)

    def inputs(self, kind: Any) -> npt.NDArray[np.float64]:
        return shower_inputs(self.showers, self.energies, self.detector, kind)


def _score(
    real: _Sample, other: _Sample, *, classifiers: Sequence[str], inputs: Sequence[str], seeds: int, random_state: int
) -> tuple[dict[str, float], dict[str, float], dict[str, Separation]]:
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    for kind in inputs:
        x, y = real.inputs(kind).astype(np.float32), other.inputs(kind).astype(np.float32)
        for name in (c for c in classifiers if (c, kind) != ("mlp", "strong")):
            test = c2st(x, y, name, seeds=seeds, n_permutations=0, random_state=random_state)  # type: ignore[arg-type]
            values[f"auc {name} {kind}"], errors[f"auc {name} {kind}"] = test.value, test.error
    high, of_other = real.inputs("high"), other.inputs("high")
    # kernels ask for features of order 1: each over its largest real size
    largest = np.maximum(np.abs(high).max(axis=0), 1e-12)
    high, of_other = high / largest, of_other / largest
    for name, distance in (("fpd", fpd), ("kpd", kpd)):
        if min(len(high), len(of_other)) >= 40:
            values[name], errors[name] = distance(high, of_other, random_state=random_state)
    places = precision_recall(high, of_other, random_state=random_state)
    for name in ("precision", "recall", "density", "coverage"):
        values[name], errors[name] = getattr(places, name)
    separations = shower_separations(real.features, other.features, real.detector)
    for kind, start in _KINDS.items():
        of_kind = [s for name, s in separations.items() if name.startswith(start)]
        if of_kind:
            values[f"separation {kind}"] = float(np.mean([s.value for s in of_kind]))
            values[f"outside {kind}"] = float(max(s.generated_overflow for s in of_kind))
    return values, errors, separations
