"""The primary Lund plane: emissions off the hardest branch of a jet."""

from dataclasses import dataclass

import numpy as np

from buff.physics.clustering import cluster
from buff.protocols import Array, Numbers

__all__ = ["LundPlane", "lund_plane"]


@dataclass(frozen=True)
class LundPlane:
    """Emissions of many jets, arrays of one entry an emission.

    Attributes
    ----------
    jet : int
        Number of the jet.
    dr : float
        Distance of the two branches.
    kt : float
        pT of the softer branch times the distance, in units of pT.
    z : float
        Share of the softer branch.
    """

    jet: Array
    dr: Array
    kt: Array
    z: Array


def lund_plane(particles: Numbers) -> LundPlane:
    r"""Undo Cambridge/Aachen clustering of particles (n, m, 3 or 4), following the harder branch.

    Each step emits the softer branch, at :math:`(\ln 1/\Delta R, \ln k_T)` in the plane of F. Dreyer, G. Salam and
    G. Soyez (2018), arXiv:1807.04758.

    Examples
    --------
    >>> jet = np.array([[[0.0, 0.0, 3.0], [0.1, 0.0, 1.0], [0.0, 0.4, 1.0]]])
    >>> plane = lund_plane(jet)
    >>> plane.kt.round(3).tolist(), plane.z.round(3).tolist()
    ([0.401, 0.1], [0.2, 0.25])
    """
    particles = np.asarray(particles, np.float64)
    pt = particles[..., 2] if particles.shape[-1] == 3 else np.where(particles[..., 3] > 0.5, particles[..., 2], 0.0)
    tree = cluster(particles[..., 0], particles[..., 1], pt, exponent=0.0)
    jet, slot, parts = np.arange(len(particles)), tree.root, []
    while len(jet):
        split = tree.hard[jet, slot] >= 0
        jet, slot = jet[split], slot[split]
        hard, soft = tree.hard[jet, slot], tree.soft[jet, slot]
        dx, dy = tree.eta[jet, soft] - tree.eta[jet, hard], tree.phi[jet, soft] - tree.phi[jet, hard]
        dr, softer = np.hypot(dx, dy), tree.pt[jet, soft]
        parts.append((jet, dr, softer * dr, softer / tree.pt[jet, slot]))
        slot = hard
    return LundPlane(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
