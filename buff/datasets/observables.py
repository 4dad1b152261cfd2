r"""Jet substructure of zero-padded particles, many jets at once.

Particles have the shape (n_jets, n_particles, 3 or 4) with columns ``eta_rel``, ``phi_rel`` (radian, relative
to the jet axis), ``pt_rel`` (in units of the jet pT) and, optionally, ``mask``. A row is padding where
``pt_rel <= 0`` or where the mask is not above 0.5. Particles are taken as massless. Every result is in units
of the jet pT to the power that its formula says; give transverse momenta in GeV instead of ``pt_rel`` and it
is in GeV. Distances are :math:`\Delta R^2 = \Delta y^2 + \Delta\phi^2`.

An observable of a jet with too few particles is 0: tau_N with at most N of them, d12 and ecf2 with fewer than
two, d23 and ecf3 with fewer than three, ratios of which the denominator is 0.

Examples
--------
>>> import numpy as np
>>> jet = np.array([[[0.0, 0.1, 0.6], [0.0, -0.1, 0.4], [0.0, 0.0, 0.0]]])
>>> round(float(mass(jet)[0]), 4)  # sqrt(2 pt1 pt2 (cosh deta - cos dphi)) = 0.0978
0.0978
>>> jet_observables(jet)["multiplicity"]
array([2], dtype=int32)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from buff.datasets.clustering import Floats, momenta, transverse
from buff.datasets.substructure import correlations, grooming, kt_axes, massive, ratio
from buff.datasets.table import Column, Table

__all__ = [
    "OBSERVABLES",
    "SoftDrop",
    "d2",
    "energy_correlation",
    "jet_observables",
    "mass",
    "multiplicity",
    "n_subjettiness",
    "soft_drop",
    "splitting_scales",
    "sum_pt",
    "tau21",
    "tau32",
]

BATCH = 500  # jets whose distance matrices stay in the processor's cache
Z_CUT, BETA, RADIUS = 0.1, 0.0, 0.4

#: What :func:`jet_observables` returns; pT means the transverse momentum of the jet.
OBSERVABLES = (
    Column("mass", "pT", "continuous", "invariant mass of the particles"),
    Column("sum_pt", "pT", "continuous", "scalar sum of transverse momenta"),
    Column("tau1", "1", "continuous", "1-subjettiness, beta = 1, kT axis"),
    Column("tau2", "1", "continuous", "2-subjettiness, beta = 1, exclusive kT axes"),
    Column("tau3", "1", "continuous", "3-subjettiness, beta = 1, exclusive kT axes"),
    Column("d12", "pT", "continuous", "kT splitting scale from two subjets to one"),
    Column("d23", "pT", "continuous", "kT splitting scale from three subjets to two"),
    Column("ecf2", "pT^2", "continuous", "2-point energy correlation, beta = 1"),
    Column("ecf3", "pT^3", "continuous", "3-point energy correlation, beta = 1"),
    Column("D2", "1", "continuous", "ecf3 sum_pt^3 / ecf2^3"),
    Column("groomed_mass", "pT", "continuous", "soft-drop mass, z_cut = 0.1, beta = 0"),
    Column("z_g", "1", "continuous", "soft-drop momentum fraction; 0 where no splitting passes"),
    Column("multiplicity", "1", "integer", "number of particles"),
)


@dataclass(frozen=True)
class SoftDrop:
    """The splitting at which grooming stops, one entry a jet, 0 where none passes.

    Attributes
    ----------
    mass : array of shape (n,)
        Groomed mass, units of ``pt``.
    z_g : array of shape (n,)
        Momentum fraction of the softer branch.
    r_g : array of shape (n,)
        Distance of the branches.
    """

    mass: Floats
    z_g: Floats
    r_g: Floats


def mass(particles: NDArray[Any]) -> Floats:
    r"""Invariant mass :math:`\sqrt{E^2 - |\vec p|^2}` of the sum of momenta, shape (n,)."""
    return _in_batches(massive, particles)


def sum_pt(particles: NDArray[Any]) -> Floats:
    r"""Scalar sum :math:`\sum_i p_{T,i}`, shape (n,)."""
    return _in_batches(_sum_pt, particles)


def multiplicity(particles: NDArray[Any]) -> NDArray[np.int32]:
    """Number of particles that are not padding, shape (n,)."""
    return _in_batches(_multiplicity, particles).astype(np.int32)


def n_subjettiness(particles: NDArray[Any], n_axes: int = 3) -> Floats:
    r"""N-subjettiness with beta = 1 for N = 1, ..., n_axes.

    .. math:: \tau_N = \frac{1}{\sum_i p_{T,i}} \sum_i p_{T,i} \min_{a \le N} \Delta R_{ia}

    with the N pseudo-jets of the exclusive kT algorithm as axes. Divide by R to get the convention that has
    the jet radius in the denominator.

    Returns
    -------
    array of shape (n, n_axes)

    References
    ----------
    J. Thaler and K. Van Tilburg (2011), arXiv:1011.2268.

    Examples
    --------
    >>> n_subjettiness(np.array([[[0.0, 0.1, 0.5], [0.0, -0.1, 0.5]]]), n_axes=2).round(6)
    array([[0.1, 0. ]])
    """
    _at_least_one(n_axes, "n_axes")
    return _in_batches(lambda p: kt_axes(p, n_axes)[0], particles)


def splitting_scales(particles: NDArray[Any], n_scales: int = 2) -> Floats:
    r"""kT splitting scales d12, d23, ... (n_scales of them), linear in pT.

    .. math:: d_{N,N+1} = \min(p_{T,i}, p_{T,j})\, \Delta R_{ij}

    at the kT merging that takes N + 1 pseudo-jets to N: the square root of the exclusive ``dmerge`` at R = 1.

    Returns
    -------
    array of shape (n, n_scales)

    References
    ----------
    J. M. Butterworth, B. E. Cox and J. R. Forshaw (2002), hep-ph/0201098.

    Examples
    --------
    >>> splitting_scales(np.array([[[0.0, 0.1, 0.7], [0.0, -0.1, 0.3]]])).round(6)  # 0.3 * 0.2
    array([[0.06, 0.  ]])
    """
    _at_least_one(n_scales, "n_scales")
    return _in_batches(lambda p: kt_axes(p, n_scales)[1], particles)


def energy_correlation(particles: NDArray[Any], points: int) -> Floats:
    r"""Energy correlation function of 2 or 3 points with beta = 1, shape (n,).

    .. math:: \mathrm{ECF}_2 = \sum_{i<j} p_{T,i} p_{T,j} \Delta R_{ij}, \qquad
              \mathrm{ECF}_3 = \sum_{i<j<k} p_{T,i} p_{T,j} p_{T,k} \Delta R_{ij} \Delta R_{jk} \Delta R_{ki}

    References
    ----------
    A. Larkoski, G. Salam and J. Thaler (2013), arXiv:1305.0007.

    Examples
    --------
    >>> energy_correlation(np.array([[[0.0, 0.1, 0.7], [0.0, -0.1, 0.3]]]), 2).round(6)  # 0.7 * 0.3 * 0.2
    array([0.042])
    """
    if points not in (2, 3):
        raise ValueError(f"points is 2 or 3, got {points!r}")
    return _in_batches(lambda p: correlations(p)[:, points - 2], particles)


def d2(particles: NDArray[Any]) -> Floats:
    r"""Ratio :math:`D_2 = \mathrm{ECF}_3 (\sum p_T)^3 / \mathrm{ECF}_2^3`, shape (n,).

    References
    ----------
    A. Larkoski, I. Moult and D. Neill (2014), arXiv:1409.6298.
    """
    return _in_batches(lambda p: _d2(_sum_pt(p), *correlations(p).T), particles)


def tau21(particles: NDArray[Any]) -> Floats:
    """Ratio tau2 / tau1, shape (n,)."""
    tau = n_subjettiness(particles, 2)
    return ratio(tau[:, 1], tau[:, 0])


def tau32(particles: NDArray[Any]) -> Floats:
    """Ratio tau3 / tau2, shape (n,)."""
    tau = n_subjettiness(particles, 3)
    return ratio(tau[:, 2], tau[:, 1])


def soft_drop(particles: NDArray[Any], z_cut: float = Z_CUT, beta: float = BETA, radius: float = RADIUS) -> SoftDrop:
    r"""Soft drop: undo Cambridge/Aachen mergings, dropping the softer branch, until

    .. math:: z = \frac{\min(p_{T,1}, p_{T,2})}{p_{T,1} + p_{T,2}} > z_\mathrm{cut} (\Delta R_{12} / R)^\beta

    References
    ----------
    A. Larkoski, S. Marzani, G. Soyez and J. Thaler (2014), arXiv:1402.2657.

    Examples
    --------
    >>> soft_drop(np.array([[[0.0, 0.1, 0.7], [0.0, -0.1, 0.3]]])).z_g.round(6)
    array([0.3])
    """
    groomed = _in_batches(lambda p: grooming(p, z_cut, beta, radius), particles)
    return SoftDrop(*groomed.T)


def jet_observables(particles: Any) -> Table:
    """Every column of :data:`OBSERVABLES`, the clustering done once; float32 but for the multiplicity.

    Parameters
    ----------
    particles : array of shape (n_jets, n_particles, 3 or 4), or JetClouds
        eta_rel, phi_rel (radian), pt_rel (jet pT), and a mask if there is one.

    Raises
    ------
    ValueError
        For another shape or values that are not finite.
    """
    values = _in_batches(_all, getattr(particles, "particles", particles))
    kinds = {"continuous": np.float32, "integer": np.int32}
    return Table(OBSERVABLES, {c.name: v.astype(kinds[c.kind]) for c, v in zip(OBSERVABLES, values.T, strict=True)})


def _in_batches(observable: Callable[[Floats], Floats], particles: NDArray[Any]) -> Floats:
    particles = _checked(particles)
    starts = range(0, max(len(particles), 1), BATCH)
    return np.concatenate([observable(momenta(particles[i : i + BATCH])) for i in starts])


def _checked(particles: NDArray[Any]) -> NDArray[np.floating]:
    particles = np.asarray(particles)
    if particles.ndim != 3 or particles.shape[1] < 1 or particles.shape[2] not in (3, 4):
        raise ValueError(
            "particles have the shape (n_jets, n_particles, 3 or 4): eta_rel, phi_rel, pt_rel, mask; "
            f"got {particles.shape}"
        )
    if not np.issubdtype(particles.dtype, np.number):
        raise TypeError(f"particles are numbers, got dtype {particles.dtype}")
    bad = ~np.isfinite(particles).all(axis=(1, 2))
    if bad.any():
        raise ValueError(f"particles of {bad.sum()} jets are not finite, the first is jet {bad.argmax()}")
    return particles


def _at_least_one(value: int, name: str) -> None:
    if value < 1:
        raise ValueError(f"{name} is at least 1, got {value!r}")


def _sum_pt(p: Floats) -> Floats:
    return np.asarray(transverse(p).sum(axis=1))


def _multiplicity(p: Floats) -> Floats:
    return np.asarray((p[..., 3] > 0).sum(axis=1), dtype=np.float64)


def _d2(pt: Floats, ecf2: Floats, ecf3: Floats) -> Floats:
    return ratio(ecf3 * pt**3, ecf2**3)


def _all(p: Floats) -> Floats:
    """The columns of OBSERVABLES, shape (jets, 13)."""
    tau, scale = kt_axes(p, 3)
    pt, ecf = _sum_pt(p), correlations(p)
    groomed = grooming(p, Z_CUT, BETA, RADIUS)
    columns = (massive(p), pt, tau, scale[:, :2], ecf, _d2(pt, *ecf.T), groomed[:, :2], _multiplicity(p))
    return np.column_stack(columns)
