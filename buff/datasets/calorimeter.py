"""Calorimeter showers in the layout of the Fast Calorimeter Simulation Challenge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff import physics
from buff.datasets.hdf5 import read_hdf5, write_hdf5
from buff.datasets.shapes import ShortRepr
from buff.physics import Layer

__all__ = [
    "ELECTRONS_2",
    "ELECTRONS_3",
    "GEOMETRIES",
    "PHOTONS",
    "PIONS",
    "Layer",
    "Showers",
    "load_calochallenge",
    "load_showers",
    "save_calochallenge",
]


#: Dataset 1, photons: 368 voxels.
PHOTONS = physics.GEOMETRIES["ds1-photons"].layers
#: Dataset 1, charged pions: 533 voxels.
PIONS = physics.GEOMETRIES["ds1-pions"].layers
#: Dataset 2, electrons: 45 layers of 16 x 9 voxels.
ELECTRONS_2 = physics.GEOMETRIES["ds2"].layers
#: Dataset 3, electrons: 45 layers of 50 x 18 voxels.
ELECTRONS_3 = physics.GEOMETRIES["ds3"].layers
#: The geometries by their number of voxels.
GEOMETRIES = {g.n_voxels: g.layers for g in physics.GEOMETRIES.values()}
#: Simulated photon showers that come with buff, in random order.
_SHOWERS = Path(__file__).parent / "data" / "showers.npz"


@dataclass(frozen=True, eq=False, repr=False)
class Showers(ShortRepr):
    """Energies in the voxels of a calorimeter.

    Attributes
    ----------
    incident_energies : array of shape (n,), MeV
    showers : array of shape (n, voxels), MeV
    layer_bounds : array of shape (layers + 1,)
        Layer i has the voxels ``layer_bounds[i]:layer_bounds[i + 1]``.
    layers : tuple of Layer
        Their geometry; empty where it is not one of the challenge's.
    unit : str
    """

    incident_energies: NDArray[np.floating]
    showers: NDArray[np.floating]
    layer_bounds: NDArray[np.int64]
    layers: tuple[Layer, ...]
    unit: str = "MeV"

    def __len__(self) -> int:
        return len(self.showers)

    @property
    def layer_energies(self) -> NDArray[np.floating]:
        """Energy in each layer, shape (n, layers), MeV."""
        return np.add.reduceat(self.showers, self.layer_bounds[:-1], axis=1)


def load_calochallenge(path: str | Path, n: int | None = None, *, geometry: Any = None) -> Showers:
    """Showers of an HDF5 file of the challenge, or of the same layout.

    The layers are those of ``geometry`` where the file has its number of voxels, of the attribute ``layer_bounds`` of
    the file, or else follow from the number of voxels: 368 photons and 533 pions (dataset 1), 6480 and 40500 electrons
    (datasets 2 and 3).

    Parameters
    ----------
    path : path
        File with ``incident_energies`` (N, 1) and ``showers`` (N, voxels), in MeV.
    n : int, optional
        The first ``n`` showers only.
    geometry : str, path or buff.physics.Geometry, optional
        Detector of the showers, needed where it is not one of the challenge's.

    Returns
    -------
    Showers

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is cut short, lacks a dataset or holds another shape.
    MissingExtraError
        Without h5py (extra ``hep``).

    References
    ----------
    C. Krause et al. (2024), arXiv:2410.21611; doi:10.5281/zenodo.8099322, 6366271 and 6366324.
    """
    content = read_hdf5(path, ("incident_energies", "showers"), rows=slice(n))
    energies, showers = content.arrays["incident_energies"], content.arrays["showers"]
    if showers.ndim != 2:
        raise ValueError(f"showers of {path} has the shape (N, voxels), got {showers.shape}")
    if energies.shape not in ((len(showers),), (len(showers), 1)):
        raise ValueError(f"incident_energies of {path} has the shape ({len(showers)}, 1), got {energies.shape}")
    detector = None if geometry is None else physics.Geometry.of(geometry)
    if detector is not None and detector.n_voxels == showers.shape[1]:
        return Showers(energies.reshape(-1), showers, detector.bounds, detector.layers)
    bounds = _layer_bounds(content.attributes, showers.shape[1], path)
    layers = GEOMETRIES.get(showers.shape[1], ())
    known = np.array_equal(bounds, _bounds(layers))
    return Showers(energies.reshape(-1), showers, bounds, layers if known else ())


def load_showers(n: int | None = None) -> Showers:
    """Photon showers that come with buff: 3,200, 400 of each energy 2^8, 2^9, ..., 2^15 MeV, in random order.

    From Geant4 11.4 (G4EmStandardPhysics, production cut 0.7 mm): photons on the axis of a stack of lead and liquid
    argon, deposits divided by the sampling fraction of their layer, in the 368 voxels of the CaloChallenge's dataset 1
    (photons). They are no files of the challenge. Energies are rounded to 11 significant bits.

    Parameters
    ----------
    n : int, optional
        The first ``n`` showers only.

    Raises
    ------
    ValueError
        When ``n`` is below 1.

    References
    ----------
    S. Agostinelli et al. (2003), doi:10.1016/S0168-9002(03)01368-8 (Geant4); C. Krause et al. (2024), arXiv:2410.21611.

    Examples
    --------
    >>> photons = load_showers(1000)
    >>> photons.showers.shape, round(float(photons.showers.sum() / photons.incident_energies.sum()), 2)
    ((1000, 368), 1.0)
    """
    if n is not None and n < 1:
        raise ValueError(f"n is at least 1, got {n!r}")
    with np.load(_SHOWERS) as stored:
        return Showers(stored["incident_energies"][:n], stored["showers"][:n], _bounds(PHOTONS), PHOTONS)


def save_calochallenge(path: str | Path, showers: Any, incident_energies: Any) -> None:
    """Write ``showers`` (N, voxels) and ``incident_energies`` (N, 1) as the challenge's programs read them.

    Parameters
    ----------
    path : path
        File that appears when it is complete.
    showers : array of shape (n, voxels), MeV
    incident_energies : array of shape (n,) or (n, 1), MeV

    Raises
    ------
    ValueError
        When there are not as many energies as showers.
    FileNotFoundError
        When there is no such folder.
    MissingExtraError
        Without h5py (extra ``hep``).
    """
    x, energies = np.asarray(showers, np.float32), np.asarray(incident_energies, np.float32).reshape(-1, 1)
    if x.ndim != 2 or len(x) != len(energies):
        raise ValueError(
            f"showers of shape {x.shape} and {len(energies)} incident_energies: one energy a shower expected"
        )
    write_hdf5(path, {"incident_energies": energies, "showers": x})


def _bounds(layers: tuple[Layer, ...]) -> NDArray[np.int64]:
    return np.cumsum([0, *(layer.n_voxels for layer in layers)], dtype=np.int64)


def _layer_bounds(attributes: dict[str, Any], voxels: int, path: str | Path) -> NDArray[np.int64]:
    if "layer_bounds" not in attributes:
        if voxels not in GEOMETRIES:
            raise ValueError(
                f"showers of {path} have {voxels} voxels; without the attribute layer_bounds they have "
                f"{', '.join(map(str, GEOMETRIES))}"
            )
        return _bounds(GEOMETRIES[voxels])
    bounds = np.asarray(attributes["layer_bounds"], dtype=np.int64)
    if bounds.ndim != 1 or bounds[0] != 0 or bounds[-1] != voxels or (np.diff(bounds) <= 0).any():
        raise ValueError(f"layer_bounds of {path} rise from 0 to {voxels}, got {bounds.tolist()}")
    return bounds
