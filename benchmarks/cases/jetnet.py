"""JetNet: jets as clouds of particles, buff beside published networks and flat tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.costs import Meter, in_fresh_process
from benchmarks.records import FLOOR, Measurement, Quantity, Target

NAME, FAST, GIVEN = "JetBUFF", "JetBUFF, max_odds=None", "JetBUFF, jets given"
OWN, TOGETHER, FLAT = "JetBUFF, own model", "JetBUFF, five classes", "BUFF, flat columns"
TOP, CLASSES = "t, 30 particles", "gqtwz"
#: Jets to learn from and jets to judge by.
TRAIN, TEST = 12_000, 8_000
#: The same for classes, particles and growth, and the effort of these models.
FEW, JUDGES, EFFORT = 3_000, 4_000, 0.3
CLASS_TABLE = f"{{}}, 30 particles, {FEW} jets, effort {EFFORT}"
#: Samples of which distances of masses and of particles are means: those of one scatter by a third.
DRAWS, AGAIN = 4, "training jets, drawn again"
#: Numbers of jets and of particles of which the cost is measured.
JETS, PARTICLES = (1_000, 10_000, 90_000), (10, 30, 60, 100, 150)
QUANTITIES = (
    Quantity("w1m", "W1M", "1e-3", 2),
    Quantity("w1p_eta", "W1P eta", "1e-3", 2),
    Quantity("w1p_phi", "W1P phi", "1e-3", 2),
    Quantity("w1p_pt", "W1P pT", "1e-3", 3),
    Quantity("w1p_mean", "W1P mean", "1e-3", 2),
    Quantity("w1efp", "W1EFP", "1e-5", 2),
    Quantity("auc", "AUC of observables", "", 3),
    Quantity("auc_sets", "AUC of sets", "", 3),
    Quantity("fpd", "FPD", "1e-4", 1),
    Quantity("fpnd", "FPND", "", 2),
    Quantity("coverage", "COV", "", 2),
    Quantity("mmd", "MMD", "1e-2", 2),
    Quantity("train_cpu", "train CPU", "s", 0),
    Quantity("sample_cpu", "sample CPU", "ms/jet", 3),
)


def _published_row(*values: float) -> dict[str, float]:
    """FPND, W1M and mean W1P x 1000, COV and MMD x 100, as far as they are given."""
    return dict(zip(("fpnd", "w1m", "w1p_mean", "coverage", "mmd"), values, strict=False))


#: Published with the JetNet sets (MadGraph, Pythia 8), 30 particles: mean W1P over eta, phi and pT, by their authors or
#: by the report of ArjunS07/s25-fermilab-research; MPGAN's FPD by iGAPT; BUFF: three columns of its table. Other jets
#: than those measured here. W, Z and 150 particles: in figures only.
PUBLISHED: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "t": {
        "Pythia, its floor": _published_row(0.01, 0.32, 0.40, 0.59, 7.13),
        "MPGAN, jets given": _published_row(0.36, 0.64, 2.17, 0.58, 7.11) | {"fpd": 28.0},
        "EPiC-GAN": _published_row(0.31, 0.50, 2.10),
        "PC-JeDi, DDIM 200, jets given": _published_row(0.28, 1.48, 1.01, 0.59, 7.13),
        "PC-JeDi, EM 200, jets given": _published_row(0.15, 1.36, 1.21, 0.59, 7.11),
        "FPCD, 512 steps": _published_row(0.17, 0.51, 0.41, 0.58, 5.0),
        "FPCD, 1 step": _published_row(0.56, 1.22, 0.46, 0.58, 5.0),
        "PET": _published_row(0.07, 0.44, 0.29, 0.58, 5.0),
        "OmniLearn": _published_row(0.04, 0.43, 0.30, 0.58, 5.0),
        "BUFF": {"w1m": 242.2, "w1p_eta": 166.4, "w1p_phi": 113.6, "w1p_pt": 9.1},
    },
    "g": {
        "Pythia, its floor": _published_row(0.01, 0.44, 0.41, 0.55, 3.67),
        "MPGAN, jets given": _published_row(0.12, 0.70, 0.90, 0.56, 3.70) | {"fpd": 4.1},
        "EPiC-GAN": _published_row(1.01, 0.30, 1.60),
        "PC-JeDi, DDIM 200, jets given": _published_row(0.12, 0.90, 0.66, 0.54, 3.64),
        "PC-JeDi, EM 200, jets given": _published_row(0.10, 0.57, 0.58, 0.54, 3.62),
        "FPCD, 512 steps": _published_row(0.07, 0.36, 0.34, 0.55, 3.0),
        "FPCD, 1 step": _published_row(0.11, 0.65, 0.34, 0.55, 3.0),
        "PET": _published_row(0.04, 0.42, 0.36, 0.55, 3.0),
        "OmniLearn": _published_row(0.02, 0.38, 0.33, 0.55, 3.0),
    },
    "q": {
        "MPGAN": _published_row(0.35, 0.60, 4.90, 0.50, 2.6) | {"fpd": 19.0},
        "EPiC-GAN": _published_row(0.43, 0.50, 4.00),
        "FPCD, 512 steps": _published_row(0.08, 0.52, 0.27, 0.49, 2.0),
        "FPCD, 1 step": _published_row(0.09, 0.59, 0.36, 0.49, 2.0),
        "PET": _published_row(0.03, 0.39, 0.35, 0.54, 2.0),
        "OmniLearn": _published_row(0.02, 0.24, 0.32, 0.54, 2.0),
    },
}


#: Particles and the features that are drawn beside them.
Jets = tuple[np.ndarray, dict[str, np.ndarray]]


def measure(bench: Bench) -> Iterator[Measurement]:
    """Top jets and "classes" with every seed; then "particles", "growth" and flat columns with the first."""
    for name in PUBLISHED:
        yield from _published(name, TOP if name == "t" else CLASS_TABLE.format(name))
    yield CHAIN
    first = bench.seeds[0]
    for seed in bench.seeds if bench.wants(TOP) else ():
        train, test = split(bench, "t", seed)
        yield Measurement(FLOOR, seed, judged(test, train[0][: len(test[0])], sets=seed == first), TOP)
        chosen = np.random.default_rng(seed).integers(len(train[0]), size=(DRAWS, len(test[0])))
        yield Measurement(AGAIN, seed, _distances(test[0], [train[0][i] for i in chosen]), TOP)
        rows = in_fresh_process(jet_buff, train, test, seed, bench.quick, seed == first)
        for method, values in rows.items():
            yield Measurement(method, seed, values, TOP)
    for seed in bench.seeds if bench.wants("classes") else ():
        yield from _five_classes(bench, seed)
    for part, rows in (("particles", _many_particles), ("growth", _growth)):
        if bench.wants(part):
            yield from rows(bench, first)
    if bench.wants(FLAT):
        yield Measurement(FLAT, first, in_fresh_process(flat, *split(bench, "t", first), bench.quick), TOP)


#: Trees that draw particle after particle in falling pT, measured once on other halves of these jets.
CHAIN = Measurement(
    "chain in falling pT", 0, {"w1m": 1.47, "w1p_eta": 2.51, "w1p_phi": 2.70, "w1p_pt": 0.26, "train_cpu": 442}, TOP
)


def _published(jet_class: str, table: str) -> Iterator[Measurement]:
    for method, values in PUBLISHED.get(jet_class, {}).items():
        yield Measurement(f"{method} (published)", 0, values, table)


def _few(part: Jets, n: int) -> Jets:
    return part[0][:n], {name: values[:n] for name, values in part[1].items()}


def _five_classes(bench: Bench, seed: int) -> Iterator[Measurement]:
    """One model of all classes beside a model of each."""
    parts = {}
    for name in CLASSES:
        train, test = split(bench, name, seed)
        parts[name] = _few(train, FEW), _few(test, JUDGES)
    together = in_fresh_process(five_classes, parts, seed, bench.quick)
    for name, (train, test) in parts.items():
        table = CLASS_TABLE.format(name)
        yield Measurement(FLOOR, seed, judged(test, train[0]), table)
        yield Measurement(TOGETHER, seed, together[name], table)
        yield Measurement(OWN, seed, in_fresh_process(own_model, train, test, seed, bench.quick), table)


def _many_particles(bench: Bench, seed: int) -> Iterator[Measurement]:
    """Toys: every particle of a top jet divided among five."""
    train, test = split(bench, "t", seed)
    for width in (30, 150):
        rng = np.random.default_rng(seed)
        own, judges = ((divided(part[0], width // 30, rng), part[1]) for part in (_few(train, FEW), _few(test, JUDGES)))
        table = f"toys of {width} particles, {FEW} jets, effort {EFFORT}"
        yield Measurement(FLOOR, seed, judged(judges, own[0]), table)
        yield Measurement(OWN, seed, in_fresh_process(own_model, own, judges, seed, bench.quick, False), table)


def divided(particles: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Each particle as so many that share its pT and scatter about it."""
    cloud = np.repeat(particles[..., :3].astype(np.float64), parts, axis=1)
    shape = (*particles.shape[:2], parts)
    share = rng.dirichlet(np.ones(parts), shape[:2]) if parts > 1 else np.ones(shape)
    cloud[..., 2] *= share.reshape(cloud.shape[:2])
    cloud[..., :2] += 0.01 * rng.standard_normal((*cloud.shape[:2], 2)) * (parts > 1)
    cloud[cloud[..., 2] <= 0] = 0.0
    return cloud


def _growth(bench: Bench, seed: int) -> Iterator[Measurement]:
    """Cost with the numbers of jets, of all classes together, and of particles."""
    parts = [split(bench, name, seed) for name in CLASSES]
    cloud = np.concatenate([part[0][..., :3] for pair in parts for part in pair])
    cloud = cloud[np.random.default_rng(seed).permutation(len(cloud))]
    for n in JETS:
        values = in_fresh_process(cost, cloud[: 200 if bench.quick else n], seed, bench.quick)
        yield Measurement(NAME, seed, values, f"growth, {n} jets of 30, effort {EFFORT}")
    rng = np.random.default_rng(seed)
    for width in PARTICLES:
        few = cloud[: 200 if bench.quick else FEW]
        own = few[:, :width] if width <= 30 else divided(few, -(-width // 30), rng)[:, :width]
        values = in_fresh_process(cost, own, seed, bench.quick)
        yield Measurement(NAME, seed, values, f"growth, {FEW} jets of {width}, effort {EFFORT}")


def split(bench: Bench, jet_class: str, seed: int) -> tuple[Jets, Jets]:
    """Jets to learn from and to judge by; both jets of a collision are on one side."""
    from buff.datasets import load_jetnet

    clouds = load_jetnet(jet_class, data_dir=bench.data)
    n_train, n_test = (300, 200) if bench.quick else (TRAIN, TEST)
    event = clouds.jets["event"] if "event" in clouds.jets.names else np.arange(len(clouds))
    place = np.empty(event.max() + 1, np.intp)
    events = np.random.default_rng(seed).permutation(np.unique(event))
    place[events] = np.arange(len(events))
    order = np.argsort(place[event], kind="stable")
    learn = order[:n_train]
    judge = order[n_train:][~np.isin(event[order[n_train:]], event[learn])][-n_test:]
    names = ("jet_pt", "jet_eta", "jet_mass", "multiplicity")

    def part(rows: np.ndarray) -> Jets:
        return clouds.particles[rows], {name: clouds.jets[name][rows] for name in names}

    return part(learn), part(judge)


def judged(test: Jets, generated: np.ndarray, sets: bool = False) -> dict[str, float]:
    """All metrics of generated particles; with ``sets`` (top jets) those of networks on the particles too."""
    from buff.metrics import coverage_mmd, jet_auc, jet_fpd, w1_efp

    real = test[0]
    by_networks = {"auc_sets": _set_auc(real, generated), "fpnd": _fpnd(generated)} if sets else {}
    matched = coverage_mmd(real, generated, n_jets=50, n_batches=4)
    return {
        **_distances(real, [generated]),
        "w1efp": 1e5 * w1_efp(real, generated, n_bootstrap=0).value,
        "auc": jet_auc(real, generated).value,
        "fpd": 1e4 * jet_fpd(real, generated).value,
        "coverage": matched.coverage.value,
        "mmd": 1e2 * matched.mmd.value,
        **{name: value for name, value in by_networks.items() if value is not None},
    }


def _distances(real: np.ndarray, samples: list[np.ndarray]) -> dict[str, float]:
    """W1M and W1P, means over samples."""
    from buff.metrics import w1_mass, w1_particles

    w1m = np.mean([w1_mass(real, own, n_bootstrap=0).value for own in samples])
    w1p = np.mean([[part.value for part in w1_particles(real, own, n_bootstrap=0)] for own in samples], axis=0)
    values = (w1m, *w1p, w1p.mean())
    return dict(zip(("w1m", "w1p_eta", "w1p_phi", "w1p_pt", "w1p_mean"), (1e3 * float(v) for v in values), strict=True))


def _set_auc(real: np.ndarray, generated: np.ndarray) -> float | None:
    """Of a network on the particles; None without PyTorch."""
    try:
        from buff_baselines.set_classifier import set_auc
    except ImportError:
        return None
    return set_auc(real, generated).value


def _fpnd(generated: np.ndarray) -> float | None:
    """Of top jets; None without the package's weights and PyTorch."""
    from buff.metrics import fpnd

    try:
        return fpnd(generated, "t")
    except ImportError:
        return None


def _model(seed: int, quick: bool, **more: Any) -> Any:
    from buff import BUFF, JetBUFF

    tiny = {"effort": 0.02, "jet_model": BUFF(noise_budget=3_000, n_estimators=3)} if quick else {}
    return JetBUFF(random_state=seed, **tiny, **more)


def jet_buff(train: Jets, test: Jets, seed: int, quick: bool, sets: bool) -> dict[str, dict[str, float]]:
    """Unconditional, the same without rejection, and with the features of the test jets given."""
    import xgboost  # noqa: F401  (loading libraries is no part of training)

    with Meter() as training:
        model = _model(seed, quick).fit(*train)
    spent = {"train_cpu": training.cost.cpu}
    found = {NAME: _row(test, model, spent, sets, random_state=seed + 1)}
    found[GIVEN] = _row(test, model, spent, jets=test[1], random_state=seed + 2)
    model.rejection_ = None
    found[FAST] = _row(test, model, spent, random_state=seed + 1)
    return found


def _row(test: Jets, model: Any, spent: Mapping[str, float], sets: bool = False, **asked: Any) -> dict[str, float]:
    """Metrics of as many jets as there are to judge by, and their cost beside what training took."""
    particles, cost = _drawn(model, len(test[0]) * (1 if "jets" in asked else DRAWS), **asked)
    samples = np.split(particles, len(particles) // len(test[0]))
    return judged(test, samples[0], sets) | _distances(test[0], samples) | dict(spent) | cost


def _drawn(model: Any, n: int, **asked: Any) -> tuple[np.ndarray, dict[str, float]]:
    first = {"jets": {name: values[:1] for name, values in asked["jets"].items()}} if "jets" in asked else {}
    model.sample(**asked | first | ({} if first else {"n_samples": 1}))  # compiles what is compiled once
    with Meter() as sampling:
        drawn = model.sample(n, **asked)
    return drawn[0] if isinstance(drawn, tuple) else drawn, {"sample_cpu": sampling.cost.cpu / n * 1e3}


def own_model(train: Jets, test: Jets, seed: int, quick: bool, with_features: bool = True) -> dict[str, float]:
    """A model of one class, drawn from unconditionally."""
    import xgboost  # noqa: F401

    effort = {} if quick else {"effort": EFFORT}
    with Meter() as training:
        features = (train[1],) if with_features else ()
        model = _model(seed, quick, given_jets=False, **effort).fit(train[0], *features)
    return _row(test, model, {"train_cpu": training.cost.cpu}, random_state=seed + 1)


def cost(particles: np.ndarray, seed: int, quick: bool) -> dict[str, float]:
    """Of training and of 2000 jets."""
    import xgboost  # noqa: F401

    effort = {} if quick else {"effort": EFFORT}
    with Meter() as training:
        model = _model(seed, quick, **effort).fit(particles)
    return {"train_cpu": training.cost.cpu} | _drawn(model, 2_000, random_state=seed)[1]


def five_classes(parts: Mapping[str, tuple[Jets, Jets]], seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """One model of all classes, asked for each."""
    sizes = [len(train[0]) for train, _ in parts.values()]
    labels = np.repeat(list(parts), sizes)
    particles = np.concatenate([train[0] for train, _ in parts.values()])
    names = next(iter(parts.values()))[0][1]
    jets = {name: np.concatenate([train[1][name] for train, _ in parts.values()]) for name in names}
    effort = {} if quick else {"effort": EFFORT}
    with Meter() as training:
        model = _model(seed, quick, given_jets=False, **effort).fit(particles, jets, condition=labels)
    found, spent = {}, training.cost.cpu
    for name, (_, test) in parts.items():
        found[name] = _row(test, model, {"train_cpu": spent / len(parts)}, condition=name, random_state=seed + 1)
    return found


def flat(train: Jets, test: Jets, quick: bool) -> dict[str, float]:
    """The particles of a jet as 90 columns of a table, as in the BUFF paper, by today's BUFF."""
    from buff import BUFF

    cloud = train[0][..., :3]
    model = BUFF(random_state=0, **({"n_steps": 3, "n_estimators": 2, "noise_budget": 500} if quick else {}))
    with Meter() as training:
        model.fit(cloud.reshape(len(cloud), -1))
    n = len(test[0])
    with Meter() as sampling:
        drawn = model.sample(n, random_state=1).reshape(n, *cloud.shape[1:])
    drawn[..., 2] = np.maximum(drawn[..., 2], 0.0)
    cost = {"train_cpu": training.cost.cpu, "sample_cpu": sampling.cost.cpu / n * 1e3}
    return judged(test, drawn) | cost


CASE = Case(
    "jetnet",
    "clouds of particles: JetBUFF beside the floor, published networks and flat columns",
    QUANTITIES,
    measure,
    (),
    (
        Target(NAME, "w1m", 0.8, TOP),
        Target(NAME, "w1p_eta", 1.0, TOP),
        Target(NAME, "w1p_phi", 1.0, TOP),
        Target(NAME, "w1p_pt", 0.2, TOP),
        Target(NAME, "auc", 0.54, TOP),
        Target(NAME, "train_cpu", 300.0, TOP),
        Target(NAME, "sample_cpu", 0.15, TOP),
    ),
)
