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
#: Nature is the other setting; the same with few events; the truth of the other setting in the simulated detector.
CROSS, CROSS_FEW, CROSS_PRIOR = "cross test", "cross test, 1,000 events", "cross test, prior alone"
ONE, ITERATED, REWEIGHTED = "one step", "iterated", "reweighted"
METHODS = {ONE: ("conditional", 1), ITERATED: ("iterated", 4), REWEIGHTED: ("reweight", 4)}
ROWS, QUICK_ROWS, CALIBRATED, DRAWS = 50_000, 1500, 5000, 50


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
        yield Measurement(FLOOR, seed, distances(test, train.truth, train.weights), CLOSURE)
        for table, values in in_fresh_process(closure, train, test, seed, bench.quick).items():
            yield Measurement(ONE, seed, values, table)
        yield from cross(CROSS, train, nature, reference, seed, bench.quick)
        yield from cross(CROSS_FEW, train, nature.rows(slice(1000)), reference, seed, bench.quick)
        yield from cross(CROSS_PRIOR, train, *with_truth_of(test, nature, seed), seed, bench.quick)


def closure(train: Pairs, test: Pairs, seed: int, quick: bool) -> dict[str, Mapping[str, float]]:
    """Values of the tables that one conditional model fills."""
    from buff.metrics import interval_coverage

    with Meter() as training:
        unfolder = _unfolder("conditional", seed, quick).set_params(n_samples=1).fit(train.truth, train.reco)
    result = unfolder.unfold(test.reco)
    known = test.rows(slice(CALIBRATED))
    with Meter() as sampling:
        draws = unfolder.sample(known.reco, DRAWS)
    coverage = [100 * share.value for share in interval_coverage(known.truth, draws, 0.68)]
    calibration = {f"coverage_{name}": value for name, value in zip(NAMES, coverage, strict=True)}
    million = 1e6 / (len(known.reco) * DRAWS)
    return {
        CLOSURE: distances(test, result.events, result.weights),
        CALIBRATION: calibration | {"miscoverage": max(abs(value - 68) for value in coverage)},
        COST: {"train_cpu": training.cost.cpu, "draws_cpu": sampling.cost.cpu * million},
    }


def cross(
    table: str, train: Pairs, nature: Pairs, reference: Pairs, seed: int, quick: bool
) -> Iterator[Measurement]:
    """Unfold nature by every method, and compare with other events of its truth."""
    yield Measurement("measured, not unfolded", seed, separations(reference, nature.reco, nature.weights), table)
    yield Measurement("simulated truth", seed, separations(reference, train.truth, train.weights), table)
    yield Measurement(FLOOR, seed, separations(reference, nature.truth, nature.weights), table)
    for label in METHODS:
        yield Measurement(label, seed, in_fresh_process(unfolded, label, train, nature, reference, seed, quick), table)


def unfolded(
    label: str, train: Pairs, nature: Pairs, reference: Pairs, seed: int, quick: bool
) -> Mapping[str, float]:
    """Separations of the result from the reference, and CPU seconds of fit and unfolding."""
    import warnings

    method, iterations = METHODS[label]
    unfolder = _unfolder(method, seed, quick)
    with Meter() as meter, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some events of nature are outside the simulation
        unfolder.fit(train.truth, train.reco)
        result = unfolder.unfold(nature.reco, sample_weight=nature.weights, n_iterations=iterations)
    return separations(reference, result.events, result.weights) | {"unfold_cpu": meter.cost.cpu}


def with_truth_of(simulated: Pairs, nature: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """Two halves of the simulated events, weighted to the truth of nature: another prior, the same detector.

    A classifier gives the weights; whatever they are, both halves have the same truth.
    """
    from buff.boosters import ClassifierSettings
    from buff.unfolding.ratios import density_ratio

    settings = ClassifierSettings(max_rows=100_000)
    ratio = density_ratio(nature.truth, nature.weights, simulated.truth, simulated.weights, settings, seed=seed)
    weighted = Pairs(simulated.truth, simulated.reco, np.minimum(ratio.of_rows, 20.0))
    half = len(simulated.truth) // 2
    return weighted.rows(slice(half)), weighted.rows(slice(half, None))


def distances(test: Pairs, truth: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """W1 in standard deviations, times 1000, and the largest error of a correlation."""
    from buff.metrics import correlation_distance, wasserstein_columns

    w1 = wasserstein_columns(test.truth, truth, generated_weights=weights, n_bootstrap=0)
    correlation = correlation_distance(test.truth, truth, generated_weights=weights, n_bootstrap=0)
    values = {f"w1_{name}": 1000 * column.value for name, column in zip(NAMES, w1, strict=True)}
    return values | {"correlation": correlation.value}


def separations(reference: Pairs, truth: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Triangular discriminator of each observable, in the published bins."""
    from buff.metrics import ZJETS_BINS, triangular_discriminator

    given = {"real_weights": reference.weights, "generated_weights": weights, "n_bootstrap": 0}
    return {
        f"td_{name}": triangular_discriminator(reference.truth[:, j], truth[:, j], ZJETS_BINS[name], **given).value
        for j, name in enumerate(NAMES)
    }


def _unfolder(method: str, seed: int, quick: bool) -> Any:
    from buff import BUFF, Unfolder

    tiny = BUFF(n_steps=4, n_estimators=5, noise_budget=5000) if quick and method != "reweight" else None
    return Unfolder(method, generator=tiny, random_state=seed)


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
CORRELATION = Comparison(ONE, FLOOR, "correlation")
TO_ONE = tuple(Comparison(ITERATED, ONE, f"td_{name}") for name in NAMES)
TO_REWEIGHTED = tuple(Comparison(ITERATED, REWEIGHTED, f"td_{name}") for name in NAMES)
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
        Quantity("unfold_cpu", "fit and unfold CPU", "s", 1),
    ),
    measure,
    (*TO_FLOOR, CORRELATION, *TO_ONE, *TO_REWEIGHTED),
    (
        *(Target(ratio.name, ratio.quantity, 1.2, CLOSURE) for ratio in TO_FLOOR),
        Target(CORRELATION.name, "correlation", 2.0, CLOSURE),
        Target(ONE, "miscoverage", 2.0, CALIBRATION),
        Target(ONE, "draws_cpu", 120.0, COST),
        *(Target(ratio.name, ratio.quantity, 1 / 3, CROSS) for ratio in TO_ONE),
        *(Target(ratio.name, ratio.quantity, 1.0, CROSS) for ratio in TO_REWEIGHTED),
    ),
)
