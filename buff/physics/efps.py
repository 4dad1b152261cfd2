r"""Energy flow polynomials of jets up to degree 4.

.. math:: \mathrm{EFP}_G = \sum_{i_1} \cdots \sum_{i_N} z_{i_1} \cdots z_{i_N} \prod_{(k, l) \in G} \theta_{i_k i_l}

with z the pT of massless particles and :math:`\theta_{ij} = \sqrt{\Delta\eta^2 + \Delta\phi^2}`, for every multigraph
G of at most four edges. The sums factorise, so that all of them cost a few matrix products a jet.

References
----------
P. Komiske, E. Metodiev and J. Thaler (2017), arXiv:1712.07124.
"""

from itertools import combinations_with_replacement

import numpy as np

from buff.protocols import Array, Numbers, Values

__all__ = ["EFP_DEGREES", "FOUR_POINT_EFPS", "efps", "prime_efps"]

#: Degree (edges) of each connected graph, by its name: m-fold edges as d2, d3, ...
EFP_DEGREES = {
    "point": 0,
    "edge": 1,
    "edge_d2": 2,
    "path3": 2,
    "edge_d3": 3,
    "triangle": 3,
    "path3_d2": 3,
    "path4": 3,
    "star3": 3,
    "edge_d4": 4,
    "triangle_d2": 4,
    "path3_d2d2": 4,
    "path3_d3": 4,
    "square": 4,
    "paw": 4,
    "path4_middle_d2": 4,
    "path4_end_d2": 4,
    "star3_d2": 4,
    "path5": 4,
    "star4": 4,
    "fork": 4,
}
#: The connected graphs of four vertices and four edges, which W1EFP averages over.
FOUR_POINT_EFPS = ("square", "paw", "path4_middle_d2", "path4_end_d2", "star3_d2")
_BATCH = 500


def prime_efps(particles: Numbers) -> dict[str, Array]:
    """The 21 polynomials of connected graphs, each of shape (n,), of particles (n, k, 3): eta, phi, pt.

    Examples
    --------
    >>> jet = np.array([[[0.0, 0.0, 0.5], [0.3, 0.4, 0.5]]])
    >>> found = prime_efps(jet)
    >>> round(float(found["edge"][0]), 6), len(found)
    (0.25, 21)
    """
    particles = np.asarray(particles, np.float64)
    parts = [_prime(particles[i : i + _BATCH]) for i in range(0, max(len(particles), 1), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in EFP_DEGREES}


def efps(particles: Numbers, max_degree: int = 4) -> Array:
    """Polynomials of all graphs of at most ``max_degree`` edges, connected or not: (n, 36) for degree 4.

    By degree, then products of more and more connected ones; the sum of pT comes first.

    Examples
    --------
    >>> efps(np.random.default_rng(0).uniform(size=(3, 5, 3))).shape
    (3, 36)
    """
    prime = prime_efps(particles)
    edges = [name for name, degree in EFP_DEGREES.items() if degree]
    columns = [prime["point"]]
    for degree in range(1, max_degree + 1):
        for count in range(1, degree + 1):
            for names in combinations_with_replacement(edges, count):
                if sum(EFP_DEGREES[name] for name in names) == degree:
                    columns.append(np.prod([prime[name] for name in names], axis=0))
    return np.stack(columns, axis=1)


def _prime(particles: Numbers) -> dict[str, Array]:
    eta, phi, z = particles[..., 0], particles[..., 1], np.maximum(particles[..., 2], 0.0)
    dphi = np.abs(phi[:, :, None] - phi[:, None, :])
    dphi = np.minimum(dphi, 2 * np.pi - dphi)
    t = np.sqrt((eta[:, :, None] - eta[:, None, :]) ** 2 + dphi**2)
    t2 = t * t
    column = z[..., None]
    v1, v2, v3, v4 = ((power @ column)[..., 0] for power in (t, t2, t2 * t, t2 * t2))
    two = t @ (column * t)  # sum over k of theta_ik z_k theta_kj
    u = (t @ (column * v1[..., None]))[..., 0]

    def point(values: Values) -> Array:
        return np.asarray((z * values).sum(axis=1))

    def pair(left: Numbers, matrix: Numbers, right: Numbers) -> Array:
        return point(left * (matrix @ (z * right)[..., None])[..., 0])

    one = np.ones_like(z)
    return {
        "point": z.sum(axis=1),
        "edge": point(v1),
        "edge_d2": point(v2),
        "path3": point(v1**2),
        "edge_d3": point(v3),
        "triangle": pair(one, t * two, one),
        "path3_d2": point(v2 * v1),
        "path4": pair(v1, t, v1),
        "star3": point(v1**3),
        "edge_d4": point(v4),
        "triangle_d2": pair(one, t2 * two, one),
        "path3_d2d2": point(v2**2),
        "path3_d3": point(v3 * v1),
        "square": pair(one, two * two, one),
        "paw": pair(v1, t * two, one),
        "path4_middle_d2": pair(v1, t2, v1),
        "path4_end_d2": pair(v2, t, v1),
        "star3_d2": point(v2 * v1**2),
        "path5": point(u**2),
        "star4": point(v1**4),
        "fork": point(v1**2 * u),
    }
