"""Z + jets at truth and detector level, the data of unfolding studies."""

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff.datasets.shapes import ShortRepr
from buff.datasets.table import Column, Table

__all__ = ["OMNIFOLD_OBSERVABLES", "PairedEvents", "load_omnifold", "load_zjets"]

#: The six observables of the OmniFold papers.
OMNIFOLD_OBSERVABLES = (
    Column("mass", "GeV", "continuous", "jet mass"),
    Column("width", "1", "continuous", "sum of pT dR over sum of pT, about the jet axis"),
    Column("mult", "1", "integer", "number of constituents"),
    Column("ln_rho", "1", "continuous", "ln(max(m, 0.1 GeV)^2 / pT^2), m the soft-drop mass"),
    Column("z_g", "1", "continuous", "soft-drop momentum fraction, z_cut = 0.1, beta = 0; 0 where none passes"),
    Column("tau21", "1", "continuous", "tau2 / width, beta = 1; 0 where the width is 0"),
)
SMALLEST_GROOMED_MASS = 0.1  # GeV: keeps ln rho finite where grooming leaves one massless particle
SPELLINGS = {"ln_rho": ("ln_rho", "lnrho"), "z_g": ("z_g", "zg"), "mult": ("mult", "multiplicity")}
ZJETS_SETTINGS = ("nominal", "alternative")
LEVELS = {"truth": "gen", "reco": "sim"}
FLAGS = {"truth": ("pass_truth", "pass_gen"), "reco": ("pass_reco", "pass_sim")}
WEIGHTS = ("weight", "weights")


@dataclass(frozen=True, eq=False, repr=False)
class PairedEvents(ShortRepr):
    """Events at truth and detector level, row by row.

    Attributes
    ----------
    truth, reco : Table
        mass (GeV), width, mult, ln_rho, z_g, tau21.
    pass_truth, pass_reco : array of bool of shape (n,)
        The event has a jet at this level: it passed its selection and all observables are finite.
    weight : array of shape (n,)
    """

    truth: Table
    reco: Table
    pass_truth: NDArray[np.bool_]
    pass_reco: NDArray[np.bool_]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weight)


def load_omnifold(path: str | Path, generator: str | None = None, n: int | None = None) -> PairedEvents:
    """Z + jets events from the public npz files, or from a parquet file of pairs.

    Parameters
    ----------
    path : path
        An npz file of the Zenodo record (arrays ``gen_jets``, ``sim_jets``, ``gen_mults``, ...), a folder of
        them, or a parquet file with columns ``truth_mass``, ``reco_mass``, ... Flags ``pass_truth`` and
        ``pass_reco`` (or ``pass_gen``, ``pass_sim``) and ``weight`` are read where there are any, and are
        true and 1 otherwise.
    generator : str, optional
        In a folder, the files to read: ``"Pythia26"``, ``"Herwig"``, ...; needed where there are several.
    n : int, optional
        The first ``n`` events only.

    Returns
    -------
    PairedEvents

    Raises
    ------
    FileNotFoundError
        When there is no such file, or no npz file in the folder.
    ValueError
        When a file is cut short, lacks an array or holds arrays of unequal length.

    References
    ----------
    A. Andreassen et al. (2019), arXiv:1911.09107; doi:10.5281/zenodo.3548091.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if n is not None and (not isinstance(n, int | np.integer) or n < 1):
        raise ValueError(f"n is an integer of at least 1, got {n!r}")
    parts: list[dict[str, NDArray[Any]]] = []
    for file in _files(path, generator):
        parts.append(_read_parquet(file) if file.suffix == ".parquet" else _read_npz(file))
        if n is not None and sum(len(part["weight"]) for part in parts) >= n:
            break
    return _paired({key: np.concatenate([part[key] for part in parts])[:n] for key in parts[0]})


def load_zjets(setting: str = "nominal", n: int | None = None) -> PairedEvents:
    """Simulated Z + jets pairs that ship with buff: 12,000 leading jets of each of two settings, none failing.

    Both come from Pythia 8.317, pp at 14 TeV, pT(Z) > 200 GeV with Z to neutrinos, leading anti-kT jet of R = 0.4 with
    two constituents at least. ``"nominal"`` has the simple shower and the Monash 2013 tune, and stands for simulation;
    ``"alternative"`` has the A14 tune, dipole recoil, a final-state alpha_s of 0.120 and a string pT width of 0.40 GeV,
    and stands for nature: mean multiplicity 23.6 instead of 28.0, mean mass 20.5 instead of 22.7 GeV. The detector is
    one of tracks (efficiency 0.95, 1 percent), photons and other neutral particles in cells; the metadata of the files
    tell its numbers. These are not the public files of :func:`load_omnifold`, but have the same observables.

    Parameters
    ----------
    setting : {"nominal", "alternative"}
    n : int, optional
        The first ``n`` events only.

    Returns
    -------
    PairedEvents

    Raises
    ------
    ValueError
        For an unknown setting, or more events than there are.

    Examples
    --------
    >>> events = load_zjets("nominal", n=1000)
    >>> events.truth
    Table(1000 rows: mass [GeV], width, mult, ln_rho, z_g, tau21)
    """
    if setting not in ZJETS_SETTINGS:
        raise ValueError(f"setting is one of {', '.join(ZJETS_SETTINGS)}, got {setting!r}")
    events = load_omnifold(Path(__file__).parent / "data" / f"zjets_{setting}.parquet", n=n)
    if n is not None and len(events) < n:
        raise ValueError(f"n lies between 1 and {len(events)}, the events there are, got {n!r}")
    return events


def _files(path: Path, generator: str | None) -> list[Path]:
    if path.is_file():
        return [path]
    if not any(path.glob("*.npz")):
        raise FileNotFoundError(f"{path} has no npz file; a parquet file of pairs is read by its own name")
    files = sorted(path.glob("*.npz"), key=lambda file: [int(i) for i in re.findall(r"\d+", file.stem)])
    names = sorted({file.name.split("_")[0] for file in files})
    chosen = [generator] if generator else names
    if len(chosen) != 1 or chosen[0] not in names:
        asked = f"{generator!r} is none of them" if generator else "choose one by generator="
        raise ValueError(f"{path} has npz files of the generators {', '.join(names)}: {asked}")
    return [file for file in files if file.name.split("_")[0] == chosen[0]]


def _paired(data: Mapping[str, NDArray[Any]]) -> PairedEvents:
    tables, passed = {}, {}
    for level in LEVELS:
        values = {c.name: data[f"{level}_{c.name}"] for c in OMNIFOLD_OBSERVABLES}
        tables[level] = Table(OMNIFOLD_OBSERVABLES, values)
        passed[level] = data[f"pass_{level}"].astype(bool) & np.isfinite(list(values.values())).all(axis=0)
    weight = data["weight"].astype(np.float64)
    return PairedEvents(tables["truth"], tables["reco"], passed["truth"], passed["reco"], weight)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    keys = ("jets", "mults", "widths", "tau2s", "sdms", "zgs")
    needed = [f"{prefix}_{key}" for prefix in LEVELS.values() for key in keys]
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            wanted = (*needed, *FLAGS["truth"], *FLAGS["reco"], *WEIGHTS)
            arrays = {name: file[name] for name in wanted if name in file}
            there = list(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} is cut short or not an npz file") from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise ValueError(f"{path} has no array {', '.join(missing)}; it has {', '.join(there)}")
    data: dict[str, NDArray[Any]] = {}
    for level, prefix in LEVELS.items():
        observables = _observables({key: arrays[f"{prefix}_{key}"] for key in keys}, path)
        data |= {f"{level}_{name}": values for name, values in observables.items()}
    return _with_flags(data, arrays, path)


def _observables(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """The six observables, from arrays as they are in the record: jets are (pt, y, phi, m)."""
    jets = arrays["jets"]
    if jets.ndim != 2 or jets.shape[1] != 4:
        raise ValueError(f"jets of {path} have the shape (N, 4): pt, y, phi, m; got {jets.shape}")
    width = arrays["widths"]
    groomed = np.maximum(arrays["sdms"], SMALLEST_GROOMED_MASS)
    return {
        "mass": jets[:, 3],
        "width": width,
        "mult": arrays["mults"],
        "ln_rho": 2 * np.log(groomed / jets[:, 0]),
        "z_g": arrays["zgs"],
        "tau21": np.divide(arrays["tau2s"], width, out=np.zeros_like(width), where=width != 0),
    }


def _read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is cut short or not a parquet file: {error}") from error
    arrays = {name: table[name].to_numpy() for name in table.column_names}
    data = {}
    for level in LEVELS:
        for column in OMNIFOLD_OBSERVABLES:
            spellings = SPELLINGS.get(column.name, (column.name,))
            data[f"{level}_{column.name}"] = _first(arrays, [f"{level}_{name}" for name in spellings], path)
    return _with_flags(data, arrays, path)


def _first(arrays: Mapping[str, NDArray[Any]], names: Sequence[str], path: Path) -> NDArray[Any]:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise ValueError(f"{path} has no column {' or '.join(names)}; it has {', '.join(arrays)}")


def _with_flags(
    data: dict[str, NDArray[Any]], arrays: Mapping[str, NDArray[Any]], path: Path
) -> dict[str, NDArray[Any]]:
    ones = np.ones(len(data["truth_mass"]))
    for level, names in FLAGS.items():
        data[f"pass_{level}"] = next((arrays[name] for name in names if name in arrays), ones)
    data["weight"] = next((arrays[name] for name in WEIGHTS if name in arrays), ones)
    shapes = {name: values.shape for name, values in data.items() if values.shape != ones.shape}
    if shapes:
        raise ValueError(f"{path} holds {len(ones)} events by truth_mass, but {shapes}")
    return data
