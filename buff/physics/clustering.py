r"""Sequential recombination of particles in the transverse plane, many zero-padded jets at once.

The distance of pseudo-jets i and j is

.. math:: d_{ij} = \min(p_{T,i}^{2p},\, p_{T,j}^{2p})\, [(\eta_i - \eta_j)^2 + (\phi_i - \phi_j)^2],

p = 1 for the kT algorithm, 0 for Cambridge/Aachen and -1 for anti-kT, without beam distance. Two pseudo-jets are joined
at their centroid weighted by pT, so that scalar sums of pT, centroids and moments close exactly. For four-vector
recombination see :mod:`buff.datasets.clustering`.

References
----------
S. D. Ellis and D. E. Soper (1993), hep-ph/9305266; Y. Dokshitzer et al. (1997), hep-ph/9707323; M. Cacciari,
G. P. Salam and G. Soyez (2008), arXiv:0802.1189.
"""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array, Integers, Numbers

__all__ = ["ClusterSequence", "cluster"]

#: Jets at a time: their distances stay in the cache.
_BATCH = 1000


@dataclass(frozen=True, eq=False)
class ClusterSequence:
    """Binary trees of N jets of at most M particles: nodes 0, ..., M - 1 are particles, the others are joined later.

    Attributes
    ----------
    pt, eta, phi, moment : float64 arrays of shape (N, 2 M - 1)
        Scalar sum of pT, centroid, and ``sum_i pt_i |r_i - r|^2`` about it.
    n : int array of shape (N, 2 M - 1)
        Particles in the node; 0 for padding.
    hard, soft : int arrays of shape (N, 2 M - 1)
        Children by pT; -1 for particles and padding.
    root : int array of shape (N,)
    """

    pt: Array
    eta: Array
    phi: Array
    moment: Array
    n: Array
    hard: Array
    soft: Array
    root: Array


def cluster(eta: Numbers, phi: Numbers, pt: Numbers, exponent: float = 1.0) -> ClusterSequence:
    """Cluster jets of particles (N, M); slots where ``pt`` is not positive are padding.

    Examples
    --------
    >>> eta, phi, pt = (np.array([row]) for row in ([0.0, 0.0, 0.3], [0.0, 0.1, 0.0], [3.0, 2.0, 1.0]))
    >>> history = cluster(eta, phi, pt)
    >>> int(history.root[0]), history.pt[0, 3:].tolist(), history.n[0, 3:].tolist()
    (4, [5.0, 6.0], [2, 3])
    """
    starts = range(0, max(len(pt), 1), _BATCH)
    parts = [_cluster(eta[i : i + _BATCH], phi[i : i + _BATCH], pt[i : i + _BATCH], exponent) for i in starts]
    names = vars(parts[0])
    return ClusterSequence(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _cluster(eta: Numbers, phi: Numbers, pt: Numbers, exponent: float) -> ClusterSequence:
    tree, state = _particles(eta, phi, pt)
    N, M = pt.shape
    x, y, p, scale, slot = state["eta"], state["phi"], state["pt"], _scale(state["pt"], exponent), state["slot"]
    nearest, distance = np.zeros((N, M), np.intp), np.full((N, M), np.inf)
    for j in range(M):
        _refresh(np.arange(N), np.full(N, j), x, y, scale, nearest, distance)
    count = (p > 0).sum(axis=1)
    tree.root[:] = np.where(count == 1, np.argmax(p, axis=1), 0)
    for left in range(M - 1, 0, -1):
        rows = np.flatnonzero(count > left)
        if not rows.size:
            continue
        a = distance[rows].argmin(axis=1)
        b = nearest[rows, a]
        new = 2 * M - 1 - left
        _join(tree, slot, rows, a, b, new)
        x[rows, a], y[rows, a], p[rows, a] = tree.eta[rows, new], tree.phi[rows, new], tree.pt[rows, new]
        scale[rows, a], scale[rows, b], p[rows, b] = _scale(p[rows, a], exponent), 0.0, 0.0
        distance[rows, b], slot[rows, a] = np.inf, new
        _update(rows, a, b, x, y, scale, nearest, distance)
        tree.root[rows] = new
    return tree


def _particles(eta: Numbers, phi: Numbers, pt: Numbers) -> tuple[ClusterSequence, dict[str, Array]]:
    """Trees without splittings, and the state of the pseudo-jets in their slots."""
    N, M = pt.shape
    real = pt > 0
    state = {"eta": np.where(real, eta, 0.0), "phi": np.where(real, phi, 0.0), "pt": np.where(real, pt, 0.0)}
    state = {name: values.astype(np.float64) for name, values in state.items()}
    empty = {name: np.zeros((N, 2 * M - 1)) for name in ("pt", "eta", "phi", "moment")}
    for name, values in state.items():
        empty[name][:, :M] = values
    n = np.zeros((N, 2 * M - 1), np.intp)
    n[:, :M] = real
    hard, soft = (np.full((N, 2 * M - 1), -1, np.intp) for _ in range(2))
    tree = ClusterSequence(**empty, n=n, hard=hard, soft=soft, root=np.zeros(N, np.intp))
    return tree, state | {"slot": np.tile(np.arange(M), (N, 1))}


def _scale(pt: Numbers, exponent: float) -> Array:
    """pT^2p; 0 marks an empty slot."""
    return np.power(pt, 2 * exponent, out=np.zeros_like(pt), where=pt > 0)


def _distances(rows: Integers, j: Array, x: Numbers, y: Numbers, scale: Numbers) -> Array:
    """d of slot j of each row to all slots, inf to itself and to empty ones, shape (rows, M)."""
    dx, dy = x[rows] - x[rows, j][:, None], y[rows] - y[rows, j][:, None]
    d = (dx**2 + dy**2) * np.minimum(scale[rows], scale[rows, j][:, None])
    d[scale[rows] <= 0] = np.inf
    d[scale[rows, j] <= 0] = np.inf
    d[np.arange(len(rows)), j] = np.inf
    return d


def _refresh(
    rows: Integers, j: Integers, x: Numbers, y: Numbers, scale: Numbers, nearest: Integers, distance: Numbers
) -> None:
    """Look for the neighbour of slot j anew."""
    d = _distances(rows, j, x, y, scale)
    nearest[rows, j] = closest = d.argmin(axis=1)
    distance[rows, j] = d[np.arange(len(rows)), closest]


def _update(
    rows: Integers,
    a: Integers,
    b: Integers,
    x: Numbers,
    y: Numbers,
    scale: Numbers,
    nearest: Integers,
    distance: Numbers,
) -> None:
    """Neighbours after slot b went into slot a."""
    fresh = _distances(rows, a, x, y, scale)
    nearest[rows, a] = closest = fresh.argmin(axis=1)
    distance[rows, a] = fresh[np.arange(len(rows)), closest]
    theirs = nearest[rows]
    lost = ((theirs == a[:, None]) | (theirs == b[:, None])) & (scale[rows] > 0)
    lost[np.arange(len(rows)), a] = False
    i, j = np.nonzero((fresh < distance[rows]) & ~lost)
    nearest[rows[i], j], distance[rows[i], j] = a[i], fresh[i, j]
    i, j = np.nonzero(lost)
    _refresh(rows[i], j, x, y, scale, nearest, distance)


def _join(tree: ClusterSequence, slot: Integers, rows: Integers, a: Integers, b: Integers, new: int) -> None:
    """Node ``new`` of the pseudo-jets in slots a and b."""
    one, two = slot[rows, a], slot[rows, b]
    swap = tree.pt[rows, one] < tree.pt[rows, two]
    hard, soft = np.where(swap, two, one), np.where(swap, one, two)
    tree.hard[rows, new], tree.soft[rows, new] = hard, soft
    p1, p2 = tree.pt[rows, hard], tree.pt[rows, soft]
    dx, dy = tree.eta[rows, soft] - tree.eta[rows, hard], tree.phi[rows, soft] - tree.phi[rows, hard]
    z = p2 / (p1 + p2)
    tree.pt[rows, new] = p1 + p2
    tree.eta[rows, new], tree.phi[rows, new] = tree.eta[rows, hard] + z * dx, tree.phi[rows, hard] + z * dy
    inner = tree.moment[rows, hard] + tree.moment[rows, soft]
    tree.moment[rows, new] = inner + z * p1 * (dx**2 + dy**2)
    tree.n[rows, new] = tree.n[rows, hard] + tree.n[rows, soft]
