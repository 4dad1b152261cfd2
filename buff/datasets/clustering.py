r"""Sequential recombination of many zero-padded jets at once.

Pseudo-jets i, j of the smallest distance

.. math:: d_{ij} = \min(p_{T,i}^{2p},\, p_{T,j}^{2p})\, \Delta R_{ij}^2, \qquad
          \Delta R_{ij}^2 = (y_i - y_j)^2 + (\phi_i - \phi_j)^2

are added as four-vectors until one is left: p = 1 is the kT algorithm, p = 0 Cambridge/Aachen. There is no
beam distance, as inside a jet nothing is to be left over. All jets of a batch take the same step together.

References
----------
S. D. Ellis and D. E. Soper (1993), hep-ph/9305266; Y. Dokshitzer et al. (1997), hep-ph/9707323.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from buff.protocols import Indices

__all__ = ["Floats", "Merge", "delta_r2", "momenta", "rapidity_azimuth", "recluster", "transverse"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Merge:
    """One recombination in each jet that had more than ``left`` pseudo-jets.

    Attributes
    ----------
    left : int
        Pseudo-jets left in these jets.
    rows : array of shape (m,)
        The jets it happened in.
    kept, gone : array of shape (m,)
        Slots of the two; their sum stays in slot ``kept``.
    distance : array of shape (m,)
        :math:`d_{ij}`, in units of pT squared for kT, without unit for Cambridge/Aachen.
    first, second : array of shape (m, 4)
        Momenta (px, py, pz, E) that were in the slots ``kept`` and ``gone``.
    pseudojets : array of shape (n, particles, 4)
        All momenta after the step, zero in empty slots. The next step overwrites it.
    """

    left: int
    rows: Indices
    kept: Indices
    gone: Indices
    distance: Floats
    first: Floats
    second: Floats
    pseudojets: Floats


def momenta(particles: NDArray[np.floating]) -> Floats:
    """Massless (px, py, pz, E) of particles (eta, phi, pt[, mask]); zero where padded.

    Examples
    --------
    >>> momenta(np.array([[[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]))[0]
    array([[2., 0., 0., 2.],
           [0., 0., 0., 0.]])
    """
    eta, phi, pt = np.moveaxis(particles[..., :3].astype(np.float64), -1, 0)
    real = pt > 0
    if particles.shape[-1] == 4:
        real &= particles[..., 3] > 0.5
    pt = np.where(real, pt, 0.0)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)], axis=-1)


def transverse(p: Floats) -> Floats:
    """Transverse momentum of momenta (..., 4)."""
    return np.hypot(p[..., 0], p[..., 1])


def rapidity_azimuth(p: Floats) -> tuple[Floats, Floats]:
    """Rapidity y and azimuth phi of momenta (..., 4); 0 for a vanishing momentum."""
    m_t = np.sqrt(np.maximum(p[..., 3] ** 2 - p[..., 2] ** 2, 0.0))
    y = np.arcsinh(np.divide(p[..., 2], m_t, out=np.zeros_like(m_t), where=m_t > 0))
    return y, np.arctan2(p[..., 1], p[..., 0])


def delta_r2(y1: Floats, phi1: Floats, y2: Floats, phi2: Floats) -> Floats:
    """Squared distance in the (y, phi) cylinder, azimuths in [-pi, pi]."""
    dphi = np.abs(phi1 - phi2)
    dphi = np.minimum(dphi, 2 * np.pi - dphi)
    dr2: Floats = (y1 - y2) ** 2 + dphi**2
    return dr2


def recluster(p: Floats, power: int) -> Iterator[Merge]:
    """Steps of the clustering of momenta ``p``, from many pseudo-jets to one.

    Parameters
    ----------
    p : array of shape (n, particles, 4)
        Momenta, zero in padded slots.
    power : int
        1 for kT, 0 for Cambridge/Aachen.

    Yields
    ------
    Merge
        For ``left`` = particles - 1, ..., 1, where any jet takes part.

    Examples
    --------
    >>> p = momenta(np.array([[[0.0, 0.0, 3.0], [0.0, 0.1, 2.0], [0.4, 0.0, 1.0]]]))
    >>> [(step.left, round(float(step.distance[0]) ** 0.5, 3)) for step in recluster(p, power=1)]
    [(2, 0.2), (1, 0.402)]
    """
    p = p.copy()
    n, size, _ = p.shape
    y, phi = rapidity_azimuth(p)
    scale = transverse(p) ** (2 * power)
    empty = p[..., 3] <= 0
    d = delta_r2(y[:, :, None], phi[:, :, None], y[:, None, :], phi[:, None, :])
    d *= np.minimum(scale[:, :, None], scale[:, None, :])
    d[empty[:, :, None] | empty[:, None, :] | np.eye(size, dtype=bool)] = np.inf
    count = size - empty.sum(axis=1)
    for left in range(size - 1, 0, -1):
        rows = np.flatnonzero(count > left)
        if not rows.size:
            continue
        kept, gone = np.divmod(d.reshape(n, -1).argmin(axis=1)[rows], size)
        first, second = p[rows, kept], p[rows, gone]
        distance = d[rows, kept, gone]
        p[rows, kept], p[rows, gone] = first + second, 0.0
        empty[rows, gone] = True
        y[rows, kept], phi[rows, kept] = rapidity_azimuth(first + second)
        scale[rows, kept] = transverse(first + second) ** (2 * power)
        fresh = delta_r2(y[rows], phi[rows], y[rows, kept][:, None], phi[rows, kept][:, None])
        fresh *= np.minimum(scale[rows], scale[rows, kept][:, None])
        fresh[empty[rows]] = np.inf
        fresh[np.arange(len(rows)), kept] = np.inf
        d[rows, kept], d[rows, :, kept] = fresh, fresh
        d[rows, gone], d[rows, :, gone] = np.inf, np.inf
        yield Merge(left, rows, kept, gone, distance, first, second, p)
