"""Distances between two samples of jets as clouds of particles, as the JetNet papers define them.

Jets are arrays (n, k, 3 or 4) of eta_rel, phi_rel, pt_rel and, optionally, a mask; padding has pT 0. Distances are
those of the whole samples with a bootstrap error; ``jetnet`` draws 50,000 jets with replacement, five times.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from buff.datasets.observables import OBSERVABLES, jet_observables
from buff.errors import MissingExtraError
from buff.metrics.classifier import ClassifierTest, c2st
from buff.metrics.distances import wasserstein_columns
from buff.metrics.estimate import Estimate
from buff.metrics.frechet import fpd, gaussian_frechet, kpd
from buff.metrics.particlenet import ParticleNet, resources
from buff.metrics.samples import Rows, Seed
from buff.physics.efps import FOUR_POINT_EFPS, efps, prime_efps
from buff.physics.kinematics import invariant_mass

__all__ = [
    "OBSERVABLE_NAMES",
    "Coverage",
    "coverage_mmd",
    "fpnd",
    "jet_auc",
    "jet_columns",
    "jet_fpd",
    "jet_kpd",
    "w1_efp",
    "w1_mass",
    "w1_particles",
]

#: What :func:`jet_auc` sees: observables of the jet, its centroid, its three hardest particles.
OBSERVABLE_NAMES = (*(column.name for column in OBSERVABLES), "eta", "phi", "pt1", "pt2", "pt3")


def as_particles(jets: npt.ArrayLike, name: str) -> Rows:
    """Particles (n, k, 3), zero where padded.

    Raises
    ------
    ValueError
        Another shape, or values that are not finite.
    """
    cloud = np.asarray(jets, dtype=np.float64)
    if cloud.ndim != 3 or cloud.shape[2] not in (3, 4) or not cloud.size:
        raise ValueError(f"{name}: jets of shape (n, k, 3 or 4) expected, found {cloud.shape}")
    if not np.isfinite(cloud).all():
        bad = np.flatnonzero(~np.isfinite(cloud).all(axis=(1, 2)))
        raise ValueError(f"{name}: particles of {len(bad)} jets are not finite, the first is jet {bad[0]}")
    real = cloud[..., 2] > 0
    if cloud.shape[2] == 4:
        real &= cloud[..., 3] > 0.5
    return np.where(real[..., None], cloud[..., :3], 0.0)


def w1_mass(
    real: npt.ArrayLike, generated: npt.ArrayLike, *, n_bootstrap: int = 50, random_state: Seed = 0
) -> Estimate:
    """W1M: Wasserstein distance of the masses of jets, from massless particles, in units of the jet pT.

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535.

    Examples
    --------
    >>> jets = np.random.default_rng(0).uniform(0.1, 0.2, (100, 5, 3))
    >>> w1_mass(jets, jets, n_bootstrap=0).value
    0.0
    """
    x, y = (invariant_mass(as_particles(j, name)) for j, name in ((real, "real"), (generated, "generated")))
    return _w1(x, y, n_bootstrap, random_state)


def w1_particles(
    real: npt.ArrayLike, generated: npt.ArrayLike, *, n_bootstrap: int = 20, random_state: Seed = 0
) -> tuple[Estimate, Estimate, Estimate]:
    """W1P of eta_rel, phi_rel and pt_rel: Wasserstein distances over all particles; padding is left out.

    Replicas draw jets, so that particles of a jet stay together.
    """
    a, b = as_particles(real, "real"), as_particles(generated, "generated")
    rng = np.random.default_rng(random_state)
    values = [_particle_distances(a, b, np.ones(len(a)), np.ones(len(b)))]
    for _ in range(n_bootstrap):
        drawn = (np.bincount(rng.integers(len(x), size=len(x)), minlength=len(x)).astype(float) for x in (a, b))
        values.append(_particle_distances(a, b, *drawn))
    eta, phi, pt = (Estimate.from_replicas(column) for column in np.array(values).T)
    return eta, phi, pt


def _particle_distances(a: Rows, b: Rows, w: Rows, v: Rows) -> list[float]:
    from scipy.stats import wasserstein_distance

    keep_a, keep_b = a[..., 2] > 0, b[..., 2] > 0
    own = [np.broadcast_to(x[:, None], keep.shape)[keep] for x, keep in ((w, keep_a), (v, keep_b))]
    return [float(wasserstein_distance(a[..., j][keep_a], b[..., j][keep_b], *own)) for j in range(3)]


def w1_efp(real: npt.ArrayLike, generated: npt.ArrayLike, *, n_bootstrap: int = 20, random_state: Seed = 0) -> Estimate:
    """W1EFP: mean Wasserstein distance of the five energy flow polynomials of four points and four edges.

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535; P. Komiske et al. (2017), arXiv:1712.07124.
    """
    tables = []
    for jets, name in ((real, "real"), (generated, "generated")):
        found = prime_efps(as_particles(jets, name))
        tables.append(np.stack([found[graph] for graph in FOUR_POINT_EFPS], axis=1))
    given: dict[str, Any] = {"standardise": False, "n_bootstrap": n_bootstrap, "random_state": random_state}
    parts = wasserstein_columns(*tables, **given)
    # polynomials of the same jets fluctuate together
    return Estimate(float(np.mean([p.value for p in parts])), float(np.mean([p.error for p in parts])))


def jet_fpd(real: npt.ArrayLike, generated: npt.ArrayLike, *, random_state: Seed = 0) -> Estimate:
    """Frechet physics distance of the 36 energy flow polynomials of degree 4 and less: see :func:`fpd`.

    Features are divided by their largest real absolute value. R. Kansal et al. (2023), arXiv:2211.10295.
    """
    return fpd(*_efp_features(real, generated), random_state=random_state)


def jet_kpd(real: npt.ArrayLike, generated: npt.ArrayLike, *, random_state: Seed = 0) -> Estimate:
    """Kernel physics distance of the same features: see :func:`kpd`."""
    return kpd(*_efp_features(real, generated), random_state=random_state)


def _efp_features(real: npt.ArrayLike, generated: npt.ArrayLike) -> tuple[Rows, Rows]:
    x, y = efps(as_particles(real, "real")), efps(as_particles(generated, "generated"))
    largest = np.abs(x).max(axis=0)
    largest[largest == 0] = 1.0
    return x / largest, y / largest


@dataclass(frozen=True)
class Coverage:
    """Coverage and minimum matching distance.

    Attributes
    ----------
    coverage : Estimate
        Share of real jets that are nearest to a generated one.
    mmd : Estimate
        Mean energy mover's distance of real jets to the nearest generated one.
    """

    coverage: Estimate
    mmd: Estimate


def coverage_mmd(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    *,
    n_jets: int = 100,
    n_batches: int = 10,
    random_state: Seed = 0,
) -> Coverage:
    r"""COV and MMD with the energy mover's distance, averaged over batches of ``n_jets`` of each sample.

    .. math:: \mathrm{EMD} = \min_f \sum_{ij} f_{ij} \theta_{ij} + \Big| \sum_i p_{T,i} - \sum_j p_{T,j} \Big|

    Raises
    ------
    MissingExtraError
        Without POT (extra ``ot``).

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535; P. Komiske et al. (2019), arXiv:1902.02346.
    """
    a, b = as_particles(real, "real"), as_particles(generated, "generated")
    rng = np.random.default_rng(random_state)
    covered, nearest = [], []
    for _ in range(n_batches):
        some_a, some_b = a[rng.choice(len(a), n_jets)], b[rng.choice(len(b), n_jets)]
        distances = np.array([[energy_movers_distance(y, x) for x in some_a] for y in some_b])
        nearest.append(distances.min(axis=0).mean())
        covered.append(len(np.unique(distances.argmin(axis=1))) / n_jets)
    return Coverage(_mean(covered), _mean(nearest))


def energy_movers_distance(first: Rows, second: Rows) -> float:
    """Work to turn one jet (k, 3) into another, R = 1; the difference of their pT travels the distance R."""
    try:
        import ot
    except ImportError as error:
        raise MissingExtraError("ot", "ot") from error
    x, y = first[first[:, 2] > 0], second[second[:, 2] > 0]
    cost = np.hypot(x[:, None, 0] - y[None, :, 0], x[:, None, 1] - y[None, :, 1])
    p, q = x[:, 2], y[:, 2]
    lack = p.sum() - q.sum()
    if lack > 0:
        q, cost = np.append(q, lack), np.hstack([cost, np.ones((len(p), 1))])
    elif lack < 0:
        p, cost = np.append(p, -lack), np.vstack([cost, np.ones((1, len(q)))])
    total = p.sum()
    return float(ot.emd2(p / total, q / q.sum(), cost) * total)


def fpnd(generated: npt.ArrayLike, jet_class: str) -> float:
    """Frechet ParticleNet distance to the real JetNet jets of class g, q or t, by the weights of ``jetnet``.

    Features are those of :class:`buff.metrics.particlenet.ParticleNet`, mean and covariance of the real ones come with
    the package. The papers take 50,000 jets; fewer have a larger distance.

    Raises
    ------
    MissingExtraError
        Without jetnet (extra ``jetnet``), whose files it takes, or PyTorch, which reads them.
    FileNotFoundError
        A version of jetnet without these files.

    References
    ----------
    R. Kansal et al. (2021), arXiv:2106.11535.
    """
    cloud = as_particles(generated, "generated")
    if cloud.shape[1] != 30 or jet_class not in ("g", "q", "t"):
        raise ValueError(f"FPND is defined for 30 particles of g, q and t, found {cloud.shape[1]} of {jet_class!r}")
    folder = resources()
    mean, covariance = (np.loadtxt(folder / f"{jet_class}_{name}.txt") for name in ("mu", "sigma"))
    found = ParticleNet.load(folder / "pnet_state_dict.pt").activations(cloud[:50_000])
    return gaussian_frechet(mean, covariance, found.mean(axis=0), np.cov(found, rowvar=False))


def jet_columns(jets: npt.ArrayLike, name: str = "jets") -> dict[str, Rows]:
    """Columns :data:`OBSERVABLE_NAMES` of jets."""
    cloud = as_particles(jets, name)
    table = jet_observables(cloud)
    columns = {column.name: np.asarray(table[column.name], np.float64) for column in OBSERVABLES}
    pt = cloud[..., 2]
    share = pt / pt.sum(axis=1, keepdims=True)
    columns["eta"], columns["phi"] = (share * cloud[..., 0]).sum(axis=1), (share * cloud[..., 1]).sum(axis=1)
    hardest = -np.sort(-pt, axis=1)
    for k in range(3):
        columns[f"pt{k + 1}"] = hardest[:, k] if pt.shape[1] > k else np.zeros(len(pt))
    return columns


def jet_auc(real: npt.ArrayLike, generated: npt.ArrayLike, *, seeds: int = 1, random_state: Seed = 0) -> ClassifierTest:
    """Classifier test of boosted trees on the 18 observables of :data:`OBSERVABLE_NAMES`: see :func:`c2st`."""
    tables = (jet_columns(jets, name) for jets, name in ((real, "real"), (generated, "generated")))
    x, y = (np.stack([table[name] for name in OBSERVABLE_NAMES], axis=1) for table in tables)
    return c2st(x, y, "trees", seeds=seeds, n_permutations=0, random_state=random_state)


def _w1(x: Rows, y: Rows, n_bootstrap: int, random_state: Seed) -> Estimate:
    given: dict[str, Any] = {"standardise": False, "n_bootstrap": n_bootstrap, "random_state": random_state}
    return wasserstein_columns(x[:, None], y[:, None], **given)[0]


def _mean(values: list[float]) -> Estimate:
    error = float(np.std(values, ddof=1) / sqrt(len(values))) if len(values) > 1 else float("nan")
    return Estimate(float(np.mean(values)), error)
