"""Held-out log-densities on four tables, and of a toy of known density: trees, kernels, mixtures, a network."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.case import Bench, Case
from benchmarks.data import Halves, halves, higgs, jets, wine, zmumu
from benchmarks.records import FLOOR, Comparison, Measurement, Quantity

QUANTITIES = (
    Quantity("nats", "log-density above independent columns", "nats"),
    Quantity("pit", "largest distance of PIT from uniform"),
    Quantity("fit_cpu", "fit CPU", "s", 1),
    Quantity("score_us", "CPU a row", "us", 1),
)
TREES, MARGINALS = "TreeDensity", "independent columns"


@dataclass
class Scaled:
    """A density of scikit-learn's on standardised principal components, in the units of the table."""

    name: str
    make: Any

    def fit(self, x: np.ndarray, seed: int) -> "Scaled":
        self.mean = x.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(x.T))
        self.rotation = vectors / np.sqrt(np.maximum(values, 1e-12 * values.max()))
        self.model = self.make((x - self.mean) @ self.rotation, seed)
        return self

    def score_samples(self, x: np.ndarray) -> np.ndarray:
        return self.model.score_samples((x - self.mean) @ self.rotation) + np.linalg.slogdet(self.rotation)[1]


def kernels(x: np.ndarray, seed: int) -> Any:
    """Kernel density whose bandwidth has the largest held-out density."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KernelDensity

    return GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.1, 0.8, 7)}, cv=3).fit(x).best_estimator_


def mixtures(x: np.ndarray, seed: int) -> Any:
    """Gaussian mixture whose number of components has the largest held-out density."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV

    mixture = GaussianMixture(reg_covar=1e-4, random_state=seed)
    return GridSearchCV(mixture, {"n_components": [2, 5, 10, 20]}, cv=3).fit(x).best_estimator_


def network(x: np.ndarray, seed: int) -> Any:
    from buff_baselines.density import NeuralDensity

    return NeuralDensity(random_state=seed).fit(x)


METHODS = (Scaled("KernelDensity", kernels), Scaled("GaussianMixture", mixtures), Scaled("network (MADE)", network))


def tables(bench: Bench, seed: int, n: int) -> Iterator[tuple[str, Halves]]:
    """Continuous tables: rounded values are spread evenly over their cells, so that all densities are of one kind."""
    yield "jets", spread(jets(bench, "t", seed, n), seed)
    columns = {"wine": (wine(bench), [11]), "zmumu": (zmumu(bench), [3, 9]), "higgs": (higgs(bench), [8])}
    for name, (table, discrete) in columns.items():
        yield name, spread(halves(np.delete(table, discrete, axis=1), seed, n), seed)
    yield "mixture of 4", toy(seed, n)


def measure(bench: Bench) -> Iterator[Measurement]:
    from buff import TreeDensity

    for seed in bench.seeds:
        for name, half in tables(bench, seed, bench.rows(3000, 300) or 3000):
            alone = sum(
                TreeDensity(random_state=seed).fit(half.train[:, [j]]).score_samples(half.test[:, [j]])
                for j in range(half.train.shape[1])
            )
            if name == "mixture of 4":
                yield Measurement(FLOOR, seed, {"nats": float((toy_density(half.test) - alone).mean())}, name)
            if bench.wants(TREES):
                start = time.process_time()
                trees = TreeDensity(random_state=seed).fit(half.train)
                cost = time.process_time() - start
                ranks = np.sort(trees.pit(half.test), axis=0)
                pit = np.abs(ranks - (np.arange(len(ranks))[:, None] + 0.5) / len(ranks)).max()
                yield Measurement(TREES, seed, _scored(trees, half, alone, cost) | {"pit": float(pit)}, name)
            for method in (method for method in METHODS if bench.wants(method.name)):
                start = time.process_time()
                method.fit(half.train, seed)
                cost = time.process_time() - start
                yield Measurement(method.name, seed, _scored(method, half, alone, cost), name)


def _scored(model: Any, half: Halves, alone: np.ndarray, cost: float) -> dict[str, float]:
    start = time.process_time()
    density = model.score_samples(half.test)
    spent = time.process_time() - start
    nats = float(np.maximum(density - alone, -100).mean())  # impossible rows count as such, and do not hide the others
    return {"nats": nats, "fit_cpu": cost, "score_us": 1e6 * spent / len(density)}


def spread(half: Halves, seed: int) -> Halves:
    """Values of columns that repeat, moved at random inside the cells between their neighbours."""
    rng = np.random.default_rng([seed, 2])
    both = np.vstack([half.train, half.test]).astype(float)
    for column in both.T:
        levels = np.unique(column)
        if len(levels) < 0.9 * len(column):
            cells = np.diff(levels)
            column += rng.uniform(-0.5, 0.5, len(column)) * np.quantile(cells, 0.1)
    return Halves(both[: len(half.train)], both[len(half.train) :])


def toy(seed: int, n: int) -> Halves:
    """Four Gaussians in five dimensions, whose density is known."""
    rng = np.random.default_rng([seed, 3])
    means, factors = _toy()
    k = rng.integers(4, size=2 * n)
    x = means[k] + np.einsum("nij,nj->ni", factors[k], rng.standard_normal((2 * n, 5)))
    return Halves(x[:n], x[n:])


def toy_density(x: np.ndarray) -> np.ndarray:
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    means, factors = _toy()
    parts = [multivariate_normal(m, a @ a.T).logpdf(x) for m, a in zip(means, factors, strict=True)]
    return logsumexp(parts, axis=0) - np.log(4)


def _toy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return 2 * rng.standard_normal((4, 5)), rng.standard_normal((4, 5, 5)) / 2 + 0.3 * np.eye(5)


CASE = Case(
    "density",
    "held-out log-densities of trees, kernels, mixtures and a network on four tables and a toy",
    QUANTITIES,
    measure,
    tuple(Comparison(TREES, method.name, "nats", "difference") for method in METHODS),
)
