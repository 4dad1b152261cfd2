"""Makes the jets that ship with buff: ``python -m buff.datasets.make_jets`` (extra ``pythia``).

Proton-proton collisions at 13 TeV from Pythia 8, Monash 2013 tune with underlying event; hard process with
0.99 < pT < 1.01 TeV; anti-kT jets with R = 0.4 of the stable visible particles with abs(eta) < 5, kept where
0.8 < pT < 1.6 TeV and a parton or boson of the hard process lies within R. Of each jet the 30 hardest
particles above 0.2 GeV are kept, as in the JetNet data (Kansal et al. 2021, arXiv:2106.11535), and their
observables are computed.

Classes: gluon (gg, qqbar -> gg), light quark (qq -> qq, gg and qqbar -> qqbar with u, d, s), top (gg and
qqbar -> ttbar), W and Z (qqbar -> WW, ZZ), with W and Z decaying to quarks.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff.datasets.jets import CLASSES, JET_COLUMNS, JETS_FILE
from buff.datasets.observables import jet_observables
from buff.datasets.table import Table
from buff.errors import MissingExtraError

__all__ = ["Jets", "generate", "main", "observables_table"]

RADIUS, MAX_PARTICLES, MIN_PARTICLE_PT = 0.4, 30, 0.2
JET_PT = (800.0, 1600.0)
NEUTRINOS = (12, 14, 16)
SEEDS = {"g": 1101, "q": 1102, "t": 1103, "w": 1104, "z": 1105}
COMMON = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    "Tune:pp = 14",
    "PhaseSpace:pTHatMin = 990.",
    "PhaseSpace:pTHatMax = 1010.",
    "Random:setSeed = on",
)
W_TO_QUARKS = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
Z_TO_QUARKS = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")


@dataclass(frozen=True)
class Process:
    """Settings of Pythia and the absolute PDG numbers that a jet may be matched to."""

    settings: tuple[str, ...]
    partons: tuple[int, ...]


PROCESSES = {
    "g": Process(("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"), (21,)),
    "q": Process(
        ("HardQCD:qq2qq = on", "HardQCD:gg2qqbar = on", "HardQCD:qqbar2qqbarNew = on"),
        (1, 2, 3),
    ),
    "t": Process(("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *W_TO_QUARKS), (6,)),
    "w": Process(("WeakDoubleBoson:ffbar2WW = on", *W_TO_QUARKS), (24,)),
    "z": Process(("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2", *Z_TO_QUARKS), (23,)),
}


@dataclass(frozen=True)
class Jets:
    """Padded particles and what is known of their jets.

    Attributes
    ----------
    particles : array of shape (n, 30, 4), float32
        eta_rel, phi_rel (radian), pt_rel (jet pT), mask, in falling pT.
    jet_pt : array of shape (n,), GeV
    event : array of shape (n,)
        Number of the collision.
    """

    particles: NDArray[np.float32]
    jet_pt: NDArray[np.float32]
    event: NDArray[np.int32]


def generate(jet_class: str, n_jets: int, seed: int, batch: int = 250) -> Iterator[Jets]:
    """Batches of jets of one class, ``n_jets`` in all.

    Parameters
    ----------
    jet_class : {"g", "q", "t", "w", "z"}
    n_jets : int
    seed : int
        Seed of Pythia.
    batch : int
        Collisions a batch.
    """
    pythia, first_event = _pythia(jet_class, seed), 0
    while n_jets > 0:
        jets = _jets(pythia.nextBatch(batch).prt, PROCESSES[jet_class].partons)
        yield Jets(jets.particles[:n_jets], jets.jet_pt[:n_jets], jets.event[:n_jets] + first_event)
        n_jets -= len(jets.event)
        first_event += batch


def observables_table(jet_class: str, batches: Sequence[Jets], first_event: int = 0) -> Table:
    """Observables of the jets of one class, with the columns of :func:`buff.datasets.load_jets`."""
    observables = jet_observables(np.concatenate([jets.particles for jets in batches]))
    event = np.concatenate([jets.event for jets in batches])
    data = dict(observables.data) | {
        "jet_pt": np.concatenate([jets.jet_pt for jets in batches]),
        "jet_class": np.full(len(event), jet_class),
        "event": event + np.int32(first_event),
    }
    return Table(JET_COLUMNS, data)


def _pythia(jet_class: str, seed: int) -> Any:
    try:
        import pythia8mc
    except ImportError as error:
        raise MissingExtraError("pythia8mc", "pythia") from error
    pythia = pythia8mc.Pythia("", False)
    for line in (*COMMON, f"Random:seed = {seed}", *PROCESSES[jet_class].settings):
        if not pythia.readString(line):
            raise ValueError(f"Pythia does not know the setting {line!r}")
    if not pythia.init():
        raise RuntimeError(f"Pythia could not be initialised for jets of class {jet_class!r}")
    return pythia


def _jets(event: Any, partons: tuple[int, ...]) -> Jets:
    """Selected jets of a batch of collisions, whose record ``event`` is an awkward array of particles."""
    import awkward as ak
    import fastjet

    clusters = fastjet.ClusterSequence(_visible(event), fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    jets, constituents = clusters.inclusive_jets(min_pt=JET_PT[0]), clusters.constituents(min_pt=JET_PT[0])
    pt, eta, phi = _kinematics(jets)
    keep = (pt < JET_PT[1]) & _near_parton(event, partons, eta, phi)
    pt, eta, phi = pt[keep], eta[keep], phi[keep]
    number = ak.broadcast_arrays(np.arange(len(pt)), pt)[0]
    pt, eta, phi, number = (ak.flatten(x) for x in (pt, eta, phi, number))
    c_pt, c_eta, c_phi = _kinematics(ak.flatten(constituents[keep]))
    columns = (c_eta - eta, _wrap(c_phi - phi), c_pt / pt, ak.ones_like(c_pt))
    hardest = ak.argsort(c_pt, axis=1, ascending=False)
    above = (c_pt > MIN_PARTICLE_PT)[hardest]
    padded = [ak.to_numpy(ak.fill_none(ak.pad_none(x[hardest][above], MAX_PARTICLES, clip=True), 0.0)) for x in columns]
    return Jets(
        np.stack(padded, axis=-1).astype(np.float32),
        ak.to_numpy(pt).astype(np.float32),
        ak.to_numpy(number).astype(np.int32),
    )


def _visible(event: Any) -> Any:
    import awkward as ak

    stable = event[event.status > 0]
    for neutrino in NEUTRINOS:
        stable = stable[abs(stable.id) != neutrino]
    p = stable.p
    p = p[np.hypot(p.px, p.py) > 1e-6]
    p = p[abs(np.arcsinh(p.pz / np.hypot(p.px, p.py))) < 5.0]
    return ak.zip({"px": p.px, "py": p.py, "pz": p.pz, "E": p.e}, with_name="Momentum4D")


def _near_parton(event: Any, partons: tuple[int, ...], eta: Any, phi: Any) -> Any:
    import awkward as ak

    hard = event[(abs(event.status) == 22) | (abs(event.status) == 23)]
    matched = ak.zeros_like(hard.id, dtype=bool)
    for parton in partons:
        matched = matched | (abs(hard.id) == parton)
    _, hard_eta, hard_phi = _kinematics(hard[matched].p)
    d_eta = eta[:, :, None] - hard_eta[:, None, :]
    d_phi = _wrap(phi[:, :, None] - hard_phi[:, None, :])
    return ak.any(np.hypot(d_eta, d_phi) <= RADIUS, axis=2)


def _kinematics(p: Any) -> tuple[Any, Any, Any]:
    pt = np.hypot(p.px, p.py)
    return pt, np.arcsinh(p.pz / pt), np.arctan2(p.py, p.px)


def _wrap(phi: Any) -> Any:
    return (phi + np.pi) % (2 * np.pi) - np.pi


def _write(table: Table, path: Path) -> None:
    """Parquet in which floats are stored byte by byte of equal rank, which packs them best."""
    import pyarrow.parquet as pq

    encoding = {c.name: "BYTE_STREAM_SPLIT" for c in table.columns if c.kind == "continuous"}
    encoding |= {"multiplicity": "DELTA_BINARY_PACKED", "event": "DELTA_BINARY_PACKED"}
    pq.write_table(
        table.to_arrow(),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["jet_class"],
        column_encoding=encoding,
        write_statistics=False,
    )


def _provenance(seeds: dict[str, int], n_jets: int) -> dict[str, str]:
    from importlib.metadata import version

    return {
        "title": "Observables of the 30 hardest particles of gluon, light-quark, top, W and Z jets",
        "generator": f"pythia8mc {version('pythia8mc')}, Monash 2013, pp at 13 TeV, 0.99 < pTHat < 1.01 TeV",
        "jets": f"anti-kT R = 0.4 (fastjet {version('fastjet')}), 0.8 < pT < 1.6 TeV, {n_jets} of each class",
        "units": "pT is the transverse momentum of the jet; jet_pt is in GeV",
        "seeds": ", ".join(f"{jet_class} {seed}" for jet_class, seed in seeds.items()),
        "made_by": "python -m buff.datasets.make_jets",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate, compute, write; prints one line a class."""
    parser = argparse.ArgumentParser(prog="python -m buff.datasets.make_jets", description=__doc__.split("\n")[0])
    parser.add_argument("--jets", type=int, default=12000, help="jets of each class (default: %(default)s)")
    parser.add_argument("--classes", nargs="+", choices=CLASSES, default=CLASSES, metavar="CLASS", help="of g q t w z")
    parser.add_argument("--out", type=Path, default=JETS_FILE, help="parquet file (default: the shipped one)")
    options = parser.parse_args(arguments)
    tables: list[Table] = []
    for jet_class in options.classes:
        first_event = int(tables[-1]["event"][-1]) + 1 if tables else 0
        batches = list(generate(jet_class, options.jets, SEEDS[jet_class]))
        tables.append(observables_table(jet_class, batches, first_event))
        print(f"{jet_class}: {len(tables[-1])} jets, mean mass {tables[-1]['mass'].mean():.4f} pT", flush=True)
    merged = {name: np.concatenate([table[name] for table in tables]) for name in tables[0].names}
    seeds = {jet_class: SEEDS[jet_class] for jet_class in options.classes}
    _write(replace(tables[0], data=merged, metadata=_provenance(seeds, options.jets)), options.out)
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
