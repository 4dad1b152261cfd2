"""Jets as clouds of particles: the JetNet data and files of the same layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff.datasets.hdf5 import read_hdf5
from buff.datasets.jets import CLASSES, class_names
from buff.datasets.shapes import ShortRepr
from buff.datasets.table import Column, Table
from buff.errors import MissingExtraError

__all__ = ["JetClouds", "load_jet_clouds", "load_jetnet", "read_jetnet", "write_jetnet"]

COLUMNS: tuple[Column, ...] = (
    Column("jet_pt", "GeV", "continuous", "transverse momentum of the jet"),
    Column("jet_eta", "1", "continuous", "pseudorapidity of the jet"),
    Column("jet_mass", "GeV", "continuous", "mass of the jet"),
    Column("multiplicity", "1", "integer", "number of particles kept"),
    Column("jet_class", "1", "categorical", "g, q (light quark), t, w or z"),
)
#: Two thousand top and as many light-quark jets, from the same simulation as the table of :func:`load_jets`.
_CLOUDS = Path(__file__).parent / "data" / "jet_clouds.npz"
EVENT = Column("event", "1", "integer", "number of the collision")
MAX_PARTICLES = 150


@dataclass(frozen=True, eq=False, repr=False)
class JetClouds(ShortRepr):
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

    def __getitem__(self, rows: slice | NDArray[Any]) -> "JetClouds":
        """Some of the jets: a slice, row numbers, or a mask of booleans."""
        if not isinstance(rows, slice) and np.ndim(rows) != 1:
            raise TypeError(f"jets are chosen by a slice, row numbers or a mask, found {rows!r}; the tables are .jets")
        return JetClouds(self.particles[rows], self.jets.rows(rows if isinstance(rows, slice) else np.asarray(rows)))


def load_jet_clouds(classes: str | Sequence[str] = ("t", "q")) -> JetClouds:
    """Particles of simulated top and light-quark jets that come with buff: 2,000 of each class, 30 particles each.

    The simulation is that of :func:`load_jets` (Pythia 8, proton collisions at 13 TeV, anti-kT jets of radius 0.4 and
    about 1 TeV), the layout that of JetNet. Two jets can come from one collision: split by ``jets["event"]``.

    Parameters
    ----------
    classes : str or sequence of str
        ``"t"``, ``"q"`` or both.

    Raises
    ------
    ValueError
        For another class.

    Examples
    --------
    >>> top = load_jet_clouds("t")
    >>> top.particles.shape, bool(top.jets["jet_mass"].mean() > 100)
    ((2000, 30, 4), True)
    """
    names = class_names(classes)
    with np.load(_CLOUDS) as stored:
        arrays = dict(stored)
    if missing := sorted(set(names) - set(arrays["jet_class"])):
        raise ValueError(f"classes {missing} do not come with buff, only t and q: see load_jetnet for the others")
    rows = np.flatnonzero(np.isin(arrays["jet_class"], names))
    particles = arrays.pop("particles")[rows]
    clouds = np.concatenate([particles, particles[:, :, 2:] > 0], axis=2, dtype=np.float32)
    return JetClouds(clouds, Table((*COLUMNS, EVENT), {name: values[rows] for name, values in arrays.items()}))


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
    return JetClouds(np.concatenate([part.particles for part in parts]), _stack([part.jets for part in parts]))


def read_jetnet(path: str | Path, n: int | None = None) -> JetClouds:
    """Jets of one file in the layout of JetNet, all particles that it has.

    Parameters
    ----------
    path : path
        HDF5 with ``particle_features`` (N, k, 4) and ``jet_features`` (N, 4): pT, eta, mass, number of particles; and,
        optionally, ``jet_class`` (N,), as :func:`write_jetnet` adds it.
    n : int, optional
        Only the first jets.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, one that is cut short, or arrays of another shape.
    MissingExtraError
        Without h5py (extra ``hep``).
    """
    content = read_hdf5(path, ("particle_features", "jet_features"), ("jet_class",), slice(n))
    clouds = content.arrays["particle_features"]
    if clouds.ndim != 3 or clouds.shape[2] != 4:
        raise ValueError(f"particle_features of {path} is (N, k, 4), got {clouds.shape}")
    jets = _read(Path(path), "", clouds.shape[1], n).jets
    if "jet_class" not in content.arrays:
        return JetClouds(clouds.astype(np.float32), jets.select(name for name in jets.names if name != "jet_class"))
    classes = np.array([c.decode() if isinstance(c, bytes) else str(c) for c in content.arrays["jet_class"]])
    return JetClouds(clouds.astype(np.float32), Table(jets.columns, {**jets.data, "jet_class": classes}))


def write_jetnet(path: str | Path, clouds: JetClouds) -> None:
    """Write jets in the layout of JetNet, which :func:`read_jetnet`, :func:`load_jetnet` and ``jetnet`` read.

    Raises
    ------
    ValueError
        Jets without jet_pt, jet_eta, jet_mass or multiplicity.
    MissingExtraError
        Without h5py (extra ``hep``).
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hep") from error
    names = ("jet_pt", "jet_eta", "jet_mass", "multiplicity")
    if absent := [name for name in names if name not in clouds.jets.names]:
        raise ValueError(f"jets lack {', '.join(absent)}, which files of JetNet have; they have {clouds.jets.names}")
    with h5py.File(path, "w") as file:
        file["particle_features"] = np.asarray(clouds.particles, np.float32)
        file["jet_features"] = np.stack([clouds.jets[name] for name in names], axis=1).astype(np.float32)
        if "jet_class" in clouds.jets.names:
            file["jet_class"] = clouds.jets["jet_class"].astype("S")


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
