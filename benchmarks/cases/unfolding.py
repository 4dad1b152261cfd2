"""Z + jets from detector to truth: closure, calibration, another generator as nature, and what it costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.costs import Meter, in_fresh_process
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity, Target

NAMES = ("mass", "width", "mult", "ln_rho", "zg", "tau21")
CLOSURE, CALIBRATION, COST = "closure", "calibration", "cost"
#: Nature is the other setting; the same with few events; with a spectrum of its own; that spectrum alone, with the
#: detector and the radiation that were simulated.
CROSS, CROSS_FEW = "cross test", "cross test, 1,000 events"
CROSS_TILTED, PRIOR = "cross test, tilted spectrum", "tilted spectrum alone"
ONE, ITERATED, REWEIGHTED, BRIDGE = "one step", "iterated", "reweighted", "bridge"
#: Draws of a posterior beside others of the same events: what one that is right would leave.
TWO_DRAWS = ", two draws"
#: Networks by the seconds of one core that they are trained for.
NETWORKS = {"network, 60 s": 60.0, "network, 200 s": 200.0}
ROWS, QUICK_ROWS, CALIBRATED, DRAWS = 50_000, 1500, 5000, 50
#: Weights exp(sum of these times normal scores) of truth: less mass, harder splittings, about a quarter as many
#: events' worth. Both directions are ones that the detector blurs.
TILT = {"mass": -0.8, "zg": 0.8}
#: Normal scores beyond which weights grow no further.
_OUTERMOST = 2.5


@dataclass(frozen=True)
class Pairs:
    """Truth and reco of the six observables, and weights of the events."""

    truth: np.ndarray
    reco: np.ndarray
    weights: np.ndarray

    def rows(self, chosen: Any) -> "Pairs":
        return Pairs(self.truth[chosen], self.reco[chosen], self.weights[chosen])


def measure(bench: Bench) -> Iterator[Measurement]:
    for seed in bench.seeds:
        train, test = _halves(bench, "nominal", seed)
        nature, reference = _halves(bench, "alternative", seed)
        yield Measurement(FLOOR, seed, distances(test.truth, train.truth, train.weights), CLOSURE)
        for method, name in ((ONE, "conditional"), (BRIDGE, "bridge")):
            if bench.wants(method):
                yield from learned(method, seed, train, test, Trees(name, seed, bench.quick))
        half = len(test.truth) // 2
        natures = {
            CROSS: (nature, reference),
            CROSS_FEW: (nature.rows(slice(1000)), reference),
            CROSS_TILTED: (tilted(nature), tilted(reference)),
            PRIOR: (tilted(test.rows(slice(half))), tilted(test.rows(slice(half, None)))),
        }
        for table, (measured, truth) in natures.items():
            known = (measured.reco, measured.weights), (train.truth, train.weights), (measured.truth, measured.weights)
            for label, events in zip(("measured, not unfolded", "simulated truth", FLOOR), known, strict=True):
                yield Measurement(label, seed, separations(truth, *events), table)
        for method, runs in (("iterated", {ONE: 1, ITERATED: None}), ("reweight", {REWEIGHTED: None})):
            if not any(map(bench.wants, runs)):
                continue
            for table, label, values in in_fresh_process(cross, method, runs, train, natures, seed, bench.quick):
                yield Measurement(label, seed, values, table)
    for seed in bench.seeds:
        for method, seconds in ((name, own) for name, own in NETWORKS.items() if bench.wants(name)):
            posterior = Network(1.0 if bench.quick else seconds, seed)
            yield from learned(method, seed, *_halves(bench, "nominal", seed), posterior)


@dataclass(frozen=True)
class Trees:
    """A posterior of buff."""

    method: str
    seed: int
    quick: bool

    def fit(self, train: Pairs) -> Any:
        return _unfolder(self.method, self.seed, self.quick).fit(train.truth, train.reco)

    def draw(self, model: Any, reco: np.ndarray, n: int) -> np.ndarray:
        """Array of shape (events, n, observables)."""
        return np.asarray(model.sample(reco, n))


@dataclass(frozen=True)
class Network:
    """A conditional flow with a perceptron, trained for a time."""

    seconds: float
    seed: int

    def fit(self, train: Pairs) -> Any:
        import torch
        from buff_baselines import NeuralFlow

        torch.set_num_threads(1)
        options = {"solver": "heun", "n_steps": 10, "random_state": self.seed, "device": "cpu"}
        flow = NeuralFlow(n_iterations=1_000_000, max_seconds=self.seconds, **options)
        return flow.fit(train.truth, condition=train.reco)

    def draw(self, model: Any, reco: np.ndarray, n: int) -> np.ndarray:
        draws = model.sample(len(reco) * n, condition=np.repeat(reco, n, axis=0))
        return np.asarray(draws).reshape(len(reco), n, -1)


def learned(method: str, seed: int, train: Pairs, test: Pairs, posterior: Any) -> Iterator[Measurement]:
    for (table, kind), values in in_fresh_process(closure, train, test, posterior).items():
        yield Measurement(method + kind, seed, values, table)


def closure(train: Pairs, test: Pairs, posterior: Trees | Network) -> dict[tuple[str, str], Mapping[str, float]]:
    """Values of the tables that one posterior fills, with what is to be added to its name.

    Two draws of each event differ as much as one draw and the truth would if the posterior were right.
    """
    from buff.metrics import energy_score, interval_coverage

    with Meter() as training:
        model = posterior.fit(train)
    truth = posterior.draw(model, test.reco, 1)[:, 0]
    pair = posterior.draw(model, test.reco, 2).swapaxes(0, 1)
    known = test.rows(slice(CALIBRATED))
    with Meter() as sampling:
        draws = posterior.draw(model, known.reco, DRAWS)
    coverage = [100 * share.value for share in interval_coverage(known.truth, draws, 0.68)]
    calibration = {f"coverage_{name}": value for name, value in zip(NAMES, coverage, strict=True)}
    scale = train.truth.std(axis=0)
    million = 1e6 / (len(known.reco) * DRAWS)
    cost = {"train_cpu": training.cost.cpu, "draws_cpu": sampling.cost.cpu * million}
    one = np.ones(len(truth))
    return {
        (CLOSURE, ""): distances(test.truth, truth, one),
        (CLOSURE, TWO_DRAWS): distances(*pair, one),
        (CALIBRATION, ""): calibration | {"miscoverage": max(abs(value - 68) for value in coverage)},
        (COST, ""): cost | {"energy": -1000 * energy_score(known.truth / scale, draws / scale)},
    }


def cross(
    method: str,
    runs: Mapping[str, int | None],
    train: Pairs,
    natures: Mapping[str, tuple[Pairs, Pairs]],
    seed: int,
    quick: bool,
) -> list[tuple[str, str, Mapping[str, float]]]:
    """Unfold every nature and compare with other events of its truth: table, label, separations and CPU seconds."""
    import warnings

    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some events of nature are outside the simulation
        unfolder = _unfolder(method, seed, quick)
        with Meter() as training:
            unfolder.fit(train.truth, train.reco)
        for table, (nature, reference) in natures.items():
            for label, iterations in runs.items():
                unfolder.set_params(n_iterations=iterations)
                with Meter() as meter:
                    result = unfolder.unfold(nature.reco, sample_weight=nature.weights)
                values = separations(reference, result.events, result.weights)
                values |= {"iterations": len(result.history), "unfold_cpu": training.cost.cpu + meter.cost.cpu}
                found.append((table, label, values))
    return found


def tilted(events: Pairs) -> Pairs:
    """The same events with another spectrum of truth: weights by the ranks of :data:`TILT`."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    tilt = np.zeros(len(events.truth))
    for name, slope in TILT.items():
        ranks = rankdata(events.truth[:, NAMES.index(name)]) / (len(events.truth) + 1)
        tilt += slope * np.clip(ndtri(ranks), -_OUTERMOST, _OUTERMOST)
    return Pairs(events.truth, events.reco, events.weights * np.exp(tilt))


def distances(true: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """W1 in standard deviations, times 1000, and the largest error of a correlation."""
    from buff.metrics import correlation_distance, wasserstein_columns

    w1 = wasserstein_columns(true, truth, generated_weights=weights, n_bootstrap=0)
    correlation = correlation_distance(true, truth, generated_weights=weights, n_bootstrap=0)
    values = {f"w1_{name}": 1000 * column.value for name, column in zip(NAMES, w1, strict=True)}
    return values | {"correlation": correlation.value}


def separations(reference: Pairs, truth: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Triangular discriminator of each observable, in the published bins."""
    from buff.metrics import ZJETS_BINS, triangular_discriminator

    given = {"real_weights": reference.weights, "generated_weights": weights, "n_bootstrap": 0}
    bins = {name.replace("_g", "g"): edges for name, edges in ZJETS_BINS.items()}
    return {
        f"td_{name}": triangular_discriminator(reference.truth[:, j], truth[:, j], bins[name], **given).value
        for j, name in enumerate(NAMES)
    }


def _unfolder(method: str, seed: int, quick: bool) -> Any:
    from buff import BUFF, BUFFTransport, Unfolder

    tiny = {"n_steps": 4, "n_estimators": 5, "noise_budget": 5000}
    generator: Any = BUFFTransport(**tiny) if method == "bridge" else BUFF(**tiny)
    return Unfolder(method, generator=generator if quick else None, random_state=seed)


def _halves(bench: Bench, setting: str, seed: int) -> tuple[Pairs, Pairs]:
    """Two samples of at most 50,000 events of one setting; the halves change with the seed."""
    from buff.datasets import load_omnifold

    events = load_omnifold(bench.file(f"zjets_{setting}.parquet"))
    order = np.random.default_rng(seed).permutation(len(events))
    n = min(bench.rows(ROWS, QUICK_ROWS), len(order) // 2)
    truth, reco = (table.to_numpy().astype(np.float64) for table in (events.truth, events.reco))
    pairs = Pairs(truth, reco, events.weight)
    return pairs.rows(order[:n]), pairs.rows(order[n : 2 * n])


TO_FLOOR = tuple(Comparison(ONE, FLOOR, f"w1_{name}") for name in NAMES)
TO_DRAWS = tuple(Comparison(ONE, ONE + TWO_DRAWS, f"w1_{name}") for name in NAMES)
CORRELATION = Comparison(ONE, FLOOR, "correlation")
TO_ONE = tuple(Comparison(ITERATED, ONE, f"td_{name}") for name in NAMES)
TO_REWEIGHTED = tuple(Comparison(ITERATED, REWEIGHTED, f"td_{name}") for name in NAMES)
BRIDGE_TO_FLOOR = tuple(Comparison(BRIDGE, FLOOR, f"w1_{name}") for name in NAMES)
TO_NETWORKS = tuple(Comparison(ONE, name, q) for name in NETWORKS for q in ("train_cpu", "draws_cpu", "energy"))
CASE = Case(
    "unfolding",
    "Z + jets from detector to truth: closure, calibration, another generator as nature, cost",
    (
        *(Quantity(f"w1_{name}", f"W1 x 1000 {name}", digits=1) for name in NAMES),
        Quantity("correlation", "correlation error"),
        *(Quantity(f"coverage_{name}", f"68 % interval {name}", "%", 1) for name in NAMES),
        Quantity("miscoverage", "largest miscoverage", "%", 1),
        *(Quantity(f"td_{name}", f"triangular {name}", digits=2) for name in NAMES),
        Quantity("train_cpu", "train CPU", "s", 1),
        Quantity("draws_cpu", "a million draws, CPU", "s", 1),
        Quantity("energy", "energy score x 1000", digits=1),
        Quantity("iterations", "iterations", digits=1),
        Quantity("unfold_cpu", "fit and unfold CPU", "s", 1),
    ),
    measure,
    (*TO_FLOOR, *TO_DRAWS, *BRIDGE_TO_FLOOR, CORRELATION, *TO_NETWORKS, *TO_ONE, *TO_REWEIGHTED),
    (
        *(Target(ratio.name, ratio.quantity, 1.2, CLOSURE) for ratio in TO_FLOOR),
        Target(CORRELATION.name, "correlation", 2.0, CLOSURE),
        Target(ONE, "miscoverage", 2.0, CALIBRATION),
        Target(ONE, "draws_cpu", 120.0, COST),
        *(Target(ratio.name, ratio.quantity, 1.2, CLOSURE) for ratio in BRIDGE_TO_FLOOR),
        Target(f"{ONE} / network, 200 s", "train_cpu", 0.1, COST),
        Target(f"{ONE} / network, 200 s", "energy", 1.0, COST),
        *(Target(ratio.name, ratio.quantity, 1 / 3, CROSS) for ratio in TO_ONE),
        *(Target(TO_ONE[0].name, f"td_{name}", 1 / 3, table) for table in (CROSS_TILTED, PRIOR) for name in TILT),
        *(
            Target(ratio.name, ratio.quantity, 1.0, table)
            for table in (CROSS, CROSS_TILTED, PRIOR)
            for ratio in TO_REWEIGHTED
        ),
    ),
)
