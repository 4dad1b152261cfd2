"""What is checked of showers before anything is learned from them or compared with them."""

from typing import Any

import numpy as np

from buff.physics import GEOMETRIES, Geometry
from buff.protocols import Array, TableLike, WeightsLike

__all__ = ["check_incident_energies", "check_shower_weights", "check_showers"]

#: Energy of a shower over that of its particle that is too much, and share of showers that may have it.
_TOO_MUCH, _RARE = 3.0, 0.01


def check_showers(showers: TableLike, incident_energies: Any, geometry: Geometry) -> tuple[Array, Array]:
    """Showers (n, voxels) and energies (n,), MeV, as they are learned from.

    Raises
    ------
    ValueError
        Where there are no showers, voxels are not those of the geometry, negative or not finite, numbers of showers and
        energies differ, no shower has energy, or more than 1 % of them have three times that of their particles.
    """
    x = np.asarray(showers)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"showers must be an array (n, voxels) with a row a shower, got the shape {x.shape}")
    if x.shape[1] != geometry.n_voxels:
        others = [f"{name} has {g.n_voxels}" for name, g in GEOMETRIES.items() if g.n_voxels == x.shape[1]]
        hint = f"; {others[0]}: give geometry={others[0].split()[0]!r}" if others else ""
        raise ValueError(f"showers have {x.shape[1]} voxels, geometry {geometry.name!r} has {geometry.n_voxels}{hint}")
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32)
    for what, wrong in (("not finite", ~np.isfinite(x)), ("negative", x < 0)):
        if wrong.any():
            row, voxel = (int(i[0]) for i in np.nonzero(wrong))
            raise ValueError(
                f"showers have {int(wrong.sum()):,} voxels that are {what}, the first {x[row, voxel]} in voxel {voxel} "
                f"of shower {row}: "
                "leave such showers out, or set these voxels to 0"
            )
    energies = check_incident_energies(incident_energies)
    if len(energies) != len(x):
        raise ValueError(f"there are {len(x)} showers and {len(energies)} incident_energies: give one energy a shower")
    total = x.sum(axis=1, dtype=float)
    if not total.any():
        raise ValueError(f"all {len(x)} showers are empty: there is nothing to learn")
    much = total > _TOO_MUCH * energies
    if much.mean() > _RARE:
        raise ValueError(
            f"{much.mean():.1%} of the showers have more than {_TOO_MUCH:g} times the energy of their particle "
            f"(median {np.median(total / energies):.3g} times): give both in MeV"
        )
    return x, energies


def check_incident_energies(incident_energies: Any) -> Array:
    """Energies (n,) of particles, MeV, from (n,) or (n, 1).

    Raises
    ------
    ValueError
        Other shapes, energies that are not finite and positive.
    """
    energies = np.asarray(incident_energies, dtype=float)
    if energies.ndim not in (1, 2) or energies.size != len(energies):
        raise ValueError(f"incident_energies must have the shape (n,) or (n, 1), got {energies.shape}")
    energies = energies.reshape(-1)
    wrong = np.flatnonzero(~(np.isfinite(energies) & (energies > 0)))
    if len(wrong):
        raise ValueError(
            f"incident_energies must be finite and positive, found {energies[wrong[0]]} in row {wrong[0]} "
            f"and {len(wrong) - 1:,} more"
        )
    return energies


def check_shower_weights(sample_weight: WeightsLike, n: int) -> Array | None:
    """Weights (n,) with mean 1, or None.

    Raises
    ------
    ValueError
        Another length, or weights that are negative, not finite, or all 0.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=float)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have the shape ({n},), got {weights.shape}")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong) or not weights.any():
        found = f"{weights[wrong[0]]} in row {wrong[0]}" if len(wrong) else "0 everywhere"
        raise ValueError(f"sample_weight must be finite, not negative, and not all 0; found {found}")
    return weights / weights.mean()
