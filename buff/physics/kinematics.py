"""Sums of massless particles."""

import numpy as np

from buff.protocols import Array, Numbers

__all__ = ["axis_offset", "invariant_mass", "with_mass"]

#: Farthest from the centroid that particles are put: beyond are no angles of a jet.
_FARTHEST = 5.0


def invariant_mass(particles: Numbers) -> Array:
    r"""Mass :math:`\sqrt{E^2 - |\vec p|^2}` of massless particles (n, m, 3): eta, phi, pt; in the unit of pt.

    Examples
    --------
    >>> invariant_mass(np.array([[[0.0, 0.1, 0.6], [0.0, -0.1, 0.4]]])).round(4).tolist()
    [0.0978]
    """
    eta, phi, pt = np.moveaxis(np.asarray(particles, np.float64), -1, 0)
    px, py, pz = (pt * np.cos(phi)).sum(axis=1), (pt * np.sin(phi)).sum(axis=1), (pt * np.sinh(eta)).sum(axis=1)
    energy = (pt * np.cosh(eta)).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0)))


def with_mass(particles: Numbers, mass: Numbers, n_iterations: int = 6) -> Array:
    """Particles (n, m, 3) whose distances from the centroid are scaled until their mass is the one asked for.

    The mass is almost proportional to the distances, so that each iteration gains some digits. Jets without mass,
    such as single particles, stay as they are; a distance of 5 is the most that is asked of a particle.

    Examples
    --------
    >>> jet = np.array([[[0.0, 0.1, 0.6], [0.0, -0.1, 0.4]]])
    >>> invariant_mass(with_mass(jet, np.array([0.2]))).round(9).tolist()
    [0.2]
    """
    pt = particles[..., 2:]
    total = pt.sum(axis=1, keepdims=True)
    center = (particles[..., :2] * pt).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
    real, scaled = pt > 0, particles.copy()
    for _ in range(n_iterations):
        own = invariant_mass(scaled)
        ratio = np.divide(mass, own, out=np.ones_like(own), where=own > 0)[:, None, None]
        away = (np.abs(scaled[..., :2] - center) * real).max(axis=(1, 2), keepdims=True, initial=1e-12)
        ratio = np.minimum(ratio, np.maximum(_FARTHEST / away, 1.0))
        scaled[..., :2] = np.where(real, center + ratio * (scaled[..., :2] - center), 0.0)
    return scaled


def axis_offset(particles: Numbers, eta: Numbers) -> Array:
    r"""Rapidity less pseudorapidity ``eta`` of jets, (n,), from the mass of their particles (n, m, 3).

    .. math:: y - \eta = \mathrm{arsinh}\Big(\frac{\sinh \eta}{\sqrt{1 + m^2 / p_T^2}}\Big) - \eta

    Massless particles lie about the rapidity of their jet: about this, where positions are relative to ``eta``.

    Examples
    --------
    >>> jet = np.array([[[0.0, 0.1, 0.6], [0.0, -0.1, 0.4]]])
    >>> axis_offset(jet, np.array([1.0])).round(5).tolist()
    [-0.00362]
    """
    total = particles[..., 2].sum(axis=1)
    inside = np.clip(eta, -20.0, 20.0)
    share = np.divide(invariant_mass(particles), total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.arcsinh(np.sinh(inside) / np.sqrt(1 + share**2)) - inside)
