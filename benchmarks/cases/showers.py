"""Photon showers: buff beside the floor and a flat recipe, with the published entries of the CaloChallenge.

14,400 showers of three files are learned, the 4,800 of a fourth judge; seeds change the training, the sampling and the
classifiers. Pions and dataset 2 are showers of a toy generator: their rows tell cost and structure. Published entries
were judged on the challenge's own showers, 120,000 a side: they stand here for orders of magnitude, not for a
comparison to the third digit.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.costs import Meter
from benchmarks.flat_showers import FlatShowers
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target
from benchmarks.shower_splits import BOOSTED, FLOWS, compare_splits
from buff import ShowerBUFF
from buff.datasets import load_calochallenge, make_showers
from buff.metrics import shower_inputs, shower_report

GEOMETRY = "ds1-photons"
TRAIN = ("calo_photons.hdf5", "calo_photons_2.hdf5", "calo_photons_3.hdf5")
JUDGE = "calo_photons_4.hdf5"
#: What the challenge's network is given.
NETWORK_INPUTS = ("low", "normalised", "high")
OURS, FLAT = "ShowerBUFF", "flat trees (all voxels at once)"
#: Showers of a toy generator to learn in the layouts of other detectors, and to ask for.
TOYS = {"ds1-pions": (2000, 1000), "ds2": (400, 1000)}
#: Classifier scores of published entries (C. Krause et al., 2024, arXiv:2410.21611, and the challenge's tables of
#: results): area of its network on voxels and on high-level features, milliseconds of CPU a shower at batches of
#: 10,000.
PUBLISHED = {
    "published: Geant4": (0.499, 0.500, np.nan),
    "published: CaloINN": (0.626, 0.638, 2.88),
    "published: CaloDiffusion": (0.635, 0.536, 4500.0),
    "published: CaloForest (trees)": (0.845, 0.924, 27.3),
    "published: BoloGAN": (0.927, 0.966, 0.55),
}
#: Incident energy, MeV, that is left out of the training and asked for.
LEFT_OUT = 4096.0

Pair = tuple[Any, Any]


def measure(bench: Bench) -> Iterator[Measurement]:
    """Figures of our method and the floor for each seed, then the energy left out, the flat recipe, published rows."""
    judge = _read(bench, (JUDGE,))
    judge = _few(judge, 50) if bench.quick else judge
    train = _read(bench, TRAIN)
    train = _few(train, 50) if bench.quick else train
    for seed in bench.seeds:
        generated, costs, model = _ours(train, judge, seed, bench)
        yield from _judged(judge, generated, _same_energies(train, judge, seed), seed, costs, bench)
        yield _left_out(train, judge, model, seed)
        yield from compare_splits(*train, GEOMETRY, seed, 1000 if bench.quick else 10_000)
    yield _flat(train, judge, bench.seeds[0], bench)
    for geometry in TOYS:
        yield _toy(geometry, bench)
    for name, (low, high, milliseconds) in PUBLISHED.items():
        yield Measurement(name, 0, {"auc_dnn_low": low, "auc_dnn_high": high, "sample_ms": milliseconds})


def _read(bench: Bench, names: tuple[str, ...]) -> Pair:
    parts = [load_calochallenge(bench.file(name)) for name in names]
    return np.concatenate([p.showers for p in parts]), np.concatenate([p.incident_energies for p in parts]).astype(
        float
    )


def _few(pair: Pair, n: int) -> Pair:
    """``n`` showers of each energy."""
    rows = np.concatenate([np.flatnonzero(pair[1] == e)[:n] for e in np.unique(pair[1])])
    return pair[0][rows], pair[1][rows]


def _same_energies(train: Pair, judge: Pair, seed: int) -> Pair:
    """As many training showers of each energy as the judging ones have."""
    rng = np.random.default_rng(seed)
    energies, counts = np.unique(judge[1], return_counts=True)
    rows = [rng.choice(np.flatnonzero(train[1] == e), n, replace=False) for e, n in zip(energies, counts, strict=True)]
    chosen = np.concatenate(rows)
    return train[0][chosen], train[1][chosen]


def _settings(seed: int, bench: Bench) -> dict[str, Any]:
    quick = {"rings": {"n_estimators": 2}, "angles": {"n_estimators": 2}} if bench.quick else {}
    return {"geometry": GEOMETRY, "random_state": seed, "n_jobs": None} | quick


def _ours(train: Pair, judge: Pair, seed: int, bench: Bench) -> tuple[Any, dict[str, float], ShowerBUFF]:
    model = ShowerBUFF(**_settings(seed, bench))
    with Meter() as meter:
        model.fit(*train)
    costs = {"train_cpu": meter.cost.cpu, "memory_mib": meter.cost.memory / 2**20}
    costs["file_mb"] = _megabytes(model)
    showers = model.sample(judge[1])
    return showers, costs | _speed(model, judge[1]), model


def _speed(model: ShowerBUFF, energies: Any, sizes: tuple[int, ...] = (1000, 4000)) -> dict[str, float]:
    """Milliseconds of CPU a shower by batch, with the compiled forests and with XGBoost's own predictions."""
    costs = {}
    model.sample(energies[:10])
    for size in sizes:
        costs[f"sample_ms_{size}"] = _milliseconds(model, energies, size)
    with _backend("xgboost"):
        costs["sample_ms_1000_xgboost"] = _milliseconds(model, energies, 1000)
    return costs | {"sample_ms": costs[f"sample_ms_{sizes[-1]}"]}


def _milliseconds(model: ShowerBUFF, energies: Any, batch_size: int) -> float:
    start = time.process_time()
    model.sample(energies, batch_size=batch_size)
    return (time.process_time() - start) / len(energies) * 1e3


@contextmanager
def _backend(name: str) -> Iterator[None]:
    """Another backend of the forests for a while."""
    before = os.environ.get("BUFF_BACKEND")
    os.environ["BUFF_BACKEND"] = name
    try:
        yield
    finally:
        del os.environ["BUFF_BACKEND"]
        if before is not None:
            os.environ["BUFF_BACKEND"] = before


def _megabytes(model: ShowerBUFF) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.buff"
        model.save(path)
        return os.path.getsize(path) / 1e6


def _judged(
    judge: Pair, generated: Any, floor: Pair, seed: int, costs: dict[str, float], bench: Bench
) -> Iterator[Measurement]:
    """Ours and the floor; classifiers of the floor once, as they are near 0.5 whatever the seed."""
    report = shower_report(*judge, generated, judge[1], GEOMETRY, random_state=seed)
    classifiers = ("trees", "mlp") if seed == bench.seeds[0] else ()
    floors = shower_report(*judge, *floor, GEOMETRY, classifiers=classifiers, random_state=seed).values
    values = _names(report.values) | costs | _growth(judge, generated, seed) | _networks(judge, generated, seed)
    for name in ("response", "layer energies", "centres", "widths", "sparsity"):
        key = f"separation {name}"
        values[f"{key.replace(' ', '_')}_over_floor"] = report.values[key] / floors[key]
    yield Measurement(OURS, seed, values)
    yield Measurement(FLOOR, seed, _names(floors))


def _names(values: Any) -> dict[str, float]:
    return {name.replace(" ", "_"): value for name, value in values.items()}


def _networks(judge: Pair, showers: Any, seed: int, kinds: tuple[str, ...] = NETWORK_INPUTS) -> dict[str, float]:
    """Areas of the challenge's network; none where PyTorch is missing."""
    try:
        from buff_baselines.shower_classifier import challenge_auc
    except ImportError:
        return {}
    found = {}
    for kind in kinds:
        real, other = (shower_inputs(x, judge[1], GEOMETRY, kind) for x in (judge[0], showers))  # type: ignore[arg-type]
        found[f"auc_dnn_{kind}"] = challenge_auc(real, other, random_state=seed)
    return found


def _growth(judge: Pair, generated: Any, seed: int) -> dict[str, float]:
    """Areas of trees on strong inputs by the number of judging showers."""
    from buff.metrics import c2st

    found = {}
    for n in (1000, 2000):
        if n < len(judge[1]):
            rows = np.random.default_rng(seed).permutation(len(judge[1]))[:n]
            real, other = (shower_inputs(x[rows], judge[1][rows], GEOMETRY, "strong") for x in (judge[0], generated))
            found[f"auc_trees_strong_{n}"] = c2st(real, other, seeds=1, n_permutations=0, random_state=seed).value
    return found


def _left_out(train: Pair, judge: Pair, model: ShowerBUFF, seed: int) -> Measurement:
    """Showers of an energy that a model never saw, beside those of one that did."""
    kept, there = train[1] != LEFT_OUT, judge[1] == LEFT_OUT
    without = ShowerBUFF(**model.get_params()).fit(train[0][kept], train[1][kept])
    values: dict[str, float] = {}
    real = (judge[0][there], judge[1][there])
    for name, one in (("left_out", without), ("learned", model)):
        showers = one.sample(real[1])
        report = shower_report(*real, showers, real[1], GEOMETRY, inputs=("low", "high"), classifiers=("trees",))
        values |= {f"{name}_{key}": report.values[key.replace("_", " ")] for key in ("auc_trees_low", "auc_trees_high")}
        response = [(x.sum(axis=1) / LEFT_OUT) for x in (real[0], showers)]
        values[f"{name}_response_shift"] = float(response[1].mean() / response[0].mean() - 1)
        values[f"{name}_resolution_ratio"] = float(response[1].std() / response[0].std())
    return Measurement(f"{OURS}, {LEFT_OUT:g} MeV", seed, values)


def _flat(train: Pair, judge: Pair, seed: int, bench: Bench) -> Measurement:
    """Flow matching of all voxels at once with trees of shared leaves, in the manner of CaloForest."""
    flat = FlatShowers(n_nodes=2 if bench.quick else 10, random_state=seed)
    start = time.process_time()
    flat.fit(*train)
    values = {"train_cpu": time.process_time() - start}
    start = time.process_time()
    showers = flat.sample(judge[1], seed)
    values["sample_ms"] = (time.process_time() - start) / len(judge[1]) * 1e3
    report = shower_report(*judge, showers, judge[1], GEOMETRY, classifiers=("trees",), random_state=seed)
    return Measurement(FLAT, seed, _names(report.values) | values | _networks(judge, showers, seed))


def _toy(geometry: str, bench: Bench) -> Measurement:
    """Cost, and structure beside other showers of the toy generator."""
    n_train, n_judge = (120, 60) if bench.quick else TOYS[geometry]
    train, judge = (make_showers(n, geometry, random_state=k) for k, n in enumerate((n_train, n_judge)))
    model = ShowerBUFF(**_settings(0, bench) | {"geometry": geometry})
    with Meter() as meter:
        model.fit(train.showers, train.incident_energies)
    energies = np.clip(judge.incident_energies, *model.energy_range_)
    costs = {"train_cpu": meter.cost.cpu, "memory_mib": meter.cost.memory / 2**20, "file_mb": _megabytes(model)}
    showers = model.sample(energies)
    options: dict[str, Any] = {"classifiers": ("trees",), "inputs": ("high",)}
    report = shower_report(judge.showers, energies, showers, energies, geometry, **options)
    hit = [(x > 0).mean() for x in (judge.showers, showers)]
    costs["hits_ratio"] = float(hit[1] / hit[0])
    costs["response_ratio"] = float(showers.sum() / judge.showers.sum())
    costs |= _speed(model, energies, (100, 1000))
    return Measurement(f"{OURS}, toy showers of {geometry}", 0, _names(report.values) | costs)


def _quantity(name: str, label: str, unit: str = "", digits: int = 3) -> Quantity:
    return Quantity(name, label, unit, digits)


QUANTITIES = (
    *(
        _quantity(f"auc_{who}_{kind}", f"AUC {who} {kind}")
        for who in ("trees", "mlp", "dnn")
        for kind in ("low", "normalised", "high", "strong")
        if kind != "strong" or who == "trees"
    ),
    *(_quantity(f"auc_trees_strong_{n}", f"AUC trees strong, {n} to judge") for n in (1000, 2000)),
    *(_quantity(name, name, digits=5) for name in ("fpd", "kpd")),
    *(_quantity(name, name) for name in ("precision", "recall", "density", "coverage")),
    *(
        _quantity(f"separation_{kind}", f"separation {kind.replace('_', ' ')}", digits=4)
        for kind in ("response", "layer_energies", "centres", "widths", "radial_centres", "radial_widths", "sparsity")
    ),
    *(
        _quantity(f"separation_{kind}_over_floor", f"separation {kind.replace('_', ' ')} / floor", digits=2)
        for kind in ("response", "layer_energies", "centres", "widths", "sparsity")
    ),
    *(
        _quantity(f"{name}_{what}", f"{what.replace('_', ' ')}, {name.replace('_', ' ')}")
        for name in ("left_out", "learned")
        for what in ("auc_trees_low", "auc_trees_high", "response_shift", "resolution_ratio")
    ),
    _quantity("split_crps", "CRPS of a split", digits=5),
    _quantity("split_ks", "KS of a split"),
    _quantity("split_fit_cpu", "fit of a split, CPU", "s", 2),
    _quantity("split_draw_us", "a draw of a split, CPU", "us", 2),
    _quantity("train_cpu", "train CPU", "s", 1),
    _quantity("sample_ms", "a shower, CPU", "ms"),
    _quantity("sample_ms_1000", "a shower in batches of 1,000", "ms"),
    _quantity("sample_ms_1000_xgboost", "the same without compiled forests", "ms"),
    _quantity("sample_ms_100", "a shower in batches of 100", "ms"),
    _quantity("hits_ratio", "voxels hit / real"),
    _quantity("response_ratio", "energy / real"),
    _quantity("memory_mib", "peak memory", "MiB", 0),
    _quantity("file_mb", "file", "MB", 1),
)
CASE = Case(
    "showers",
    "photon showers of 368 voxels: quality and cost beside a flat recipe and the CaloChallenge's published entries",
    QUANTITIES,
    measure,
    (
        *(
            Comparison(FLAT, OURS, q)
            for q in ("auc_trees_low", "auc_trees_high", "auc_dnn_low", "auc_dnn_high", "train_cpu", "sample_ms")
        ),
        *(Comparison(FLOWS, BOOSTED, q) for q in ("split_crps", "split_fit_cpu", "split_draw_us")),
    ),
    (
        *(
            Target(OURS, f"auc_{who}_{kind}", 0.56)
            for who in ("trees", "mlp")
            for kind in ("low", "normalised", "high")
        ),
        *(Target(OURS, f"auc_dnn_{kind}", 0.56) for kind in NETWORK_INPUTS),
        Target(OURS, "auc_trees_strong", 0.58),
        *(Target(OURS, f"separation_{k}_over_floor", 1.5) for k in ("response", "layer_energies", "centres", "widths")),
        Target(OURS, "train_cpu", 300.0),
        Target(OURS, "sample_ms_1000", 0.5),
        Target(OURS, "sample_ms_1000_xgboost", 1.0),
        Target(OURS, "file_mb", 10.0),
    ),
)
