"""Jets as clouds of particles: the JetNet data and files of the same layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff.datasets.hdf5 import read_hdf5
from buff.datasets.jets import CLASSES, class_names
from buff.datasets.table import Column, Table
from buff.errors import MissingExtraError

__all__ = ["JetClouds", "load_jetnet"]

COLUMNS: tuple[Column, ...] = (
    Column("jet_pt", "GeV", "continuous", "transverse momentum of the jet"),
    Column("jet_eta", "1", "continuous", "pseudorapidity of the jet"),
    Column("jet_mass", "GeV", "continuous", "mass of the jet"),
    Column("multiplicity", "1", "integer", "number of particles kept"),
    Column("jet_class", "1", "categorical", "g, q (light quark), t, w or z"),
)
EVENT = Column("event", "1", "integer", "number of the collision")
MAX_PARTICLES = 150


@dataclass(frozen=True, eq=False)
class JetClouds:
    """Particles of jets, and the jets.

    Attributes
    ----------
    particles : array of shape (n, particles, 4), float32
        eta_rel, phi_rel (radian), pt_rel (in units of the jet pT), mask; in falling pT, zero padded. The
        functions of :mod:`buff.datasets.observables` take it as it is.
    jets : Table
        jet_pt (GeV), jet_eta, jet_mass (GeV), multiplicity, jet_class; event where files number the
        collisions.
    """

    particles: NDArray[np.float32]
    jets: Table

    def __len__(self) -> int:
        return len(self.particles)


def load_jetnet(
    classes: str | Sequence[str] = CLASSES,
    data_dir: str | Path | None = None,
    particles: int = 30,
    n: int | None = None,
) -> JetClouds:
    """The JetNet jets, from a folder of HDF5 files or downloaded by the ``jetnet`` package.

    Parameters
    ----------
    classes : str or sequence of str
        Among ``"g"``, ``"q"``, ``"t"``, ``"w"``, ``"z"``.
    data_dir : path, optional
        Folder with ``t.hdf5``, ... (``t150.hdf5``, ... for more than 30 particles), or ``<anything>_t.hdf5``.
        Without it the files are downloaded into the folder ``jetnet`` of the working directory.
    particles : int
        The hardest particles to keep of each jet, at most 150.
    n : int, optional
        Jets of each class, the first of the file; all by default.

    Returns
    -------
    JetClouds

    Raises
    ------
    FileNotFoundError
        When the folder has no file of a class.
    ValueError
        For an unknown class, a file that is cut short, or arrays of another shape.
    MissingExtraError
        Without h5py (extra ``hep``), or without jetnet (extra ``jetnet``) where files are to be downloaded.

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535; doi:10.5281/zenodo.6975118 and 6975117.
    """
    names = class_names(classes)
    if not 1 <= particles <= MAX_PARTICLES:
        raise ValueError(f"particles lies between 1 and {MAX_PARTICLES}, got {particles!r}")
    if n is not None and n < 1:
        raise ValueError(f"n is at least 1, got {n!r}")
    folder = _download(names, particles) if data_dir is None else Path(data_dir)
    parts = [_read(_file(folder, name, particles), name, particles, n) for name in names]
    return JetClouds(
        np.concatenate([part.particles for part in parts]), _stack([part.jets for part in parts])
    )


def _download(names: Sequence[str], particles: int) -> Path:
    try:
        from jetnet.datasets import JetNet
    except ImportError as error:
        raise MissingExtraError("jetnet", "jetnet") from error
    folder = Path("jetnet")
    folder.mkdir(exist_ok=True)
    for name in names:
        JetNet.getData(jet_type=name, data_dir=str(folder), num_particles=particles)
    return folder


def _file(folder: Path, name: str, particles: int) -> Path:
    stem = name if particles <= 30 else f"{name}150"
    if (folder / f"{stem}.hdf5").is_file():
        return folder / f"{stem}.hdf5"
    found = sorted(folder.glob(f"*_{stem}.hdf5"))
    if not found:
        raise FileNotFoundError(
            f"{folder} has neither {stem}.hdf5 nor *_{stem}.hdf5; without data_dir the files are downloaded"
        )
    if len(found) > 1:
        raise ValueError(f"{folder} has several files of class {name!r}: {', '.join(f.name for f in found)}")
    return found[0]


def _read(path: Path, name: str, particles: int, n: int | None) -> JetClouds:
    content = read_hdf5(path, ("particle_features", "jet_features"), ("jet_extra",), slice(n))
    clouds, jets = content.arrays["particle_features"], content.arrays["jet_features"]
    if clouds.ndim != 3 or clouds.shape[1] < particles or clouds.shape[2] != 4:
        raise ValueError(f"particle_features of {path} is (N, >= {particles}, 4), got {clouds.shape}")
    if jets.shape != (len(clouds), 4):
        raise ValueError(f"jet_features of {path} is ({len(clouds)}, 4), got {jets.shape}")
    pt, eta, mass, multiplicity = jets.T
    columns = COLUMNS
    data = {
        "jet_pt": pt,
        "jet_eta": eta,
        "jet_mass": mass,
        "multiplicity": np.minimum(multiplicity, particles).astype(np.int32),
        "jet_class": np.full(len(jets), name),
    }
    if "jet_extra" in content.arrays:
        columns, data["event"] = (*COLUMNS, EVENT), content.arrays["jet_extra"][:, 1]
    return JetClouds(clouds[:, :particles].astype(np.float32), Table(columns, data))


def _stack(tables: Sequence[Table]) -> Table:
    """The tables below each other, their collisions numbered on."""
    columns = min((table.columns for table in tables), key=len)
    data: dict[str, NDArray[Any]] = {c.name: np.concatenate([t[c.name] for t in tables]) for c in columns}
    if EVENT in columns:
        used = np.cumsum([0, *(table["event"].max(initial=-1) + 1 for table in tables[:-1])])
        data["event"] = np.concatenate([t["event"] + first for t, first in zip(tables, used, strict=True)])
    return Table(columns, data)
