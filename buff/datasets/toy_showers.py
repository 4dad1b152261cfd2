"""Toy showers of any geometry: a gamma profile in depth, radii that fall off exponentially, Poisson particles."""

from typing import Any

import numpy as np

from buff.datasets.calorimeter import Showers
from buff.physics import Geometry

__all__ = ["make_showers"]

#: Critical energy, MeV, and radiation lengths of the whole detector: a sampling calorimeter with lead.
_CRITICAL, _DEPTH = 10.0, 25.0
#: Energy, MeV, of a particle of the toy shower.
_QUANTUM = 2.0
#: Share of showers of the toy that leave nothing behind.
_LOST = 0.01


def make_showers(
    n: int,
    geometry: Any = "ds1-photons",
    *,
    energies: tuple[float, float] = (256.0, 32768.0),
    random_state: Any = None,
) -> Showers:
    """Draw toy showers with the layout of a detector, for examples and tests.

    A shower of energy E has Poisson(E / 2 MeV) particles, of which each has an exponential energy, a depth from a gamma
    distribution with maximum at ln(E / 10 MeV) + 0.5 radiation lengths that fluctuates, a radius that grows with the
    depth, and any angle. One in a hundred is lost. (E. Longo, I. Sestili, 1975, doi:10.1016/0029-554X(75)90679-5.)

    Parameters
    ----------
    n : int
        Showers.
    geometry : str, path or buff.physics.Geometry
    energies : (float, float)
        Ends of the energies of particles, MeV, uniform in their logarithm.
    random_state : None, int or numpy.random.Generator

    Returns
    -------
    Showers
        float32, MeV.

    Examples
    --------
    >>> data = make_showers(10, "ds1-pions", random_state=0)
    >>> data.showers.shape, bool((data.showers >= 0).all())
    ((10, 533), True)
    """
    rng = np.random.default_rng(random_state)
    detector = Geometry.of(geometry)
    incident = np.exp(rng.uniform(np.log(energies[0]), np.log(energies[1]), n)).astype(np.float32)
    showers = np.zeros((n, detector.n_voxels), np.float32)
    for i in range(n):
        if rng.random() >= _LOST:
            showers[i] = _shower(float(incident[i]), detector, rng)
    return Showers(incident, showers, detector.bounds, detector.layers)


def _shower(energy: float, detector: Geometry, rng: np.random.Generator) -> Any:
    n = int(min(rng.poisson(energy / _QUANTUM), 4000))
    deposit = rng.exponential(_QUANTUM, n) * (energy / _QUANTUM / max(n, 1) if n == 4000 else 1.0)
    peak = max(np.log(energy / _CRITICAL) + 0.5 + 0.7 * rng.standard_normal(), 0.5)
    depth = rng.gamma(1 + 0.5 * peak, 2.0, n)
    layer = np.minimum((depth / _DEPTH * len(detector.layers)).astype(int), len(detector.layers) - 1)
    widest = np.array([x.r_edges[-1] for x in detector.layers])
    typical = np.array([x.r_edges[min(4, x.n_r)] for x in detector.layers])
    radius = rng.exponential(0.3 * typical[layer] * (1 + depth / _DEPTH))
    sector = rng.random(n)
    inside = radius < widest[layer]
    voxel = np.zeros(n, int)
    for i, x in enumerate(detector.layers):
        here = layer == i
        ring = np.searchsorted(x.r_edges, radius[here], side="right") - 1
        voxel[here] = detector.bounds[i] + (sector[here] * x.n_alpha).astype(int) * x.n_r + np.minimum(ring, x.n_r - 1)
    return np.bincount(voxel[inside], deposit[inside], minlength=detector.n_voxels)
