r"""Jets as binary splitting histories, and each splitting as numbers between bounds.

A node is the scalar sum of pT, the centroid r, the moment :math:`I = \sum_i p_{T,i} |r_i - r|^2` and the number n of
its particles. With z the share of pT of the softer child and :math:`\Delta` the distance of the children,

.. math:: I = I_1 + I_2 + p_T\, z (1 - z)\, \Delta^2

(Steiner's theorem), and :math:`m^2 \approx p_T I` for massless particles at small angles. A splitting is

- ``n_soft``, the number of particles in the softer child,
- ``angle``, the azimuth of the softer child about the harder one, from the direction to the sibling, reflected so that
  the uncle, or for the first two branches the jet axis, is on the positive side (at the root: from the eta axis,
  reflected so that the centroid is positive),
- ``z``, ``share`` = :math:`p_T z (1 - z) \Delta^2 / I`, and ``balance`` = :math:`I_1 / (I_1 + I_2)`, each as a fraction
  of the interval that the softest particle and the radius of the jet allow.

So sums close exactly at every splitting, whatever numbers are put in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from buff.physics.clustering import cluster
from buff.physics.nodes import Branch, JetKinematics, Nodes
from buff.protocols import Array, Integers, Numbers, Scores

__all__ = ["SplittingTree", "Splittings"]

_TINY = 1e-300
#: Least distance to the rim of the jet, and least width of an interval.
_LEAST_REACH, _LEAST_WIDTH = 0.02, 1e-12
#: Radii beyond which there are no particles.
_RIM = 1.05
#: Widths by which the centroid of several particles lies inside the rim.
_SHARE_OF_WIDTH = 0.5
#: Particles from which on nodes do not wait, and nodes up to which no others wait for them.
_SMALL, _FEW = 4, 300
#: Narrowest interval of the balance that is used.
_LEAST_BALANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Splittings:
    """How nodes split, arrays of one entry a node; the fractions lie in [0, 1] inside the bounds.

    Attributes
    ----------
    n_soft : int
    angle : float
        In [-pi, pi).
    z, share, balance : float
        Fractions of their intervals. ``share`` is 1 for pairs; ``balance`` is 1 where the softer child is a particle, 0
        where only the harder one is.
    """

    n_soft: Array
    angle: Array
    z: Array
    share: Array
    balance: Array

    def take(self, rows: Array) -> "Splittings":
        """Some of them: numbers or a mask."""
        return Splittings(*(values[rows] for values in vars(self).values()))

    def put(self, rows: Integers, others: "Splittings") -> None:
        """Others in place of some of them."""
        for name, values in vars(self).items():
            values[rows] = getattr(others, name)

    @classmethod
    def join(cls, parts: list["Splittings"]) -> "Splittings":
        """All of the parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True)))


#: From nodes and how often each was drawn before to their splittings.
Splitter: TypeAlias = Callable[[Nodes, Integers], Splittings]


@dataclass(frozen=True)
class SplittingTree:
    """Clustering and the geometry that bounds its splittings.

    Parameters
    ----------
    radius : float
        Of the circle about (0, 0) in which all particles lie.
    exponent : float
        1 for kT, 0 for Cambridge/Aachen, -1 for anti-kT.

    References
    ----------
    F. Dreyer, G. Salam and G. Soyez (2018), arXiv:1807.04758 (splitting histories as a picture of a jet).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> eta, phi = rng.uniform(-0.2, 0.2, (2, 4, 6))
    >>> pt = rng.exponential(size=(4, 6))
    >>> tree = SplittingTree(radius=0.4)
    >>> nodes, splittings = tree.encode(eta, phi, pt)
    >>> len(nodes)  # five splittings a jet
    20
    >>> jets = JetKinematics.of(eta, phi, pt)
    >>> back = tree.grow(jets, tree.lookup(nodes, splittings), max_particles=6)
    >>> bool(np.allclose(back[..., 2], -np.sort(-pt)))
    True
    """

    radius: float
    exponent: float = 1.0

    def encode(self, eta: Array, phi: Array, pt: Numbers) -> tuple[Nodes, Splittings]:
        """Nodes and splittings of particles (n, m); slots where ``pt`` is not positive are padding."""
        tree = cluster(eta, phi, pt, self.exponent)
        jets = JetKinematics.of(eta, phi, pt)
        rows = np.flatnonzero(jets.n > 1)
        level, slot, parts = Nodes.roots(jets).take(rows), tree.root[rows], []
        while len(level):
            own = level.jet, slot
            hard, soft = tree.hard[own], tree.soft[own]
            names = ("pt", "eta", "phi", "moment", "n")
            one, two = (Branch(*(getattr(tree, k)[level.jet, at] for k in names)) for at in (hard, soft))
            parts.append((level, self._encode(level, one, two, jets)))
            level, slot = Nodes.join(list(level.children(one, two))), np.concatenate([hard, soft])
            splits = level.n > 1
            level, slot = level.take(splits), slot[splits]
        nodes = [part for part, _ in parts] or [Nodes.roots(jets).take(rows)]
        found = [part for _, part in parts] or [_nothing()]
        return Nodes.join(nodes), Splittings.join(found)

    def _encode(self, nodes: Nodes, hard: Branch, soft: Branch, jets: JetKinematics) -> Splittings:
        dx, dy = soft.eta - hard.eta, soft.phi - hard.phi
        angle = np.arctan2(dy, dx)
        z = soft.pt / nodes.pt
        inner = hard.moment + soft.moment
        moment = np.maximum(nodes.moment, _TINY)
        share = np.minimum(nodes.pt * z * (1 - z) * (dx**2 + dy**2) / moment, 1.0)
        pair = nodes.n == 2
        low, high = self.z_bounds(nodes, soft.n, jets.softest[nodes.jet], angle)
        least, most = self.balance_bounds(nodes, z, np.where(pair, 1.0, share), angle)
        balance = hard.moment / np.maximum(inner, _TINY)
        return Splittings(
            n_soft=soft.n,
            angle=_own_angle(nodes, angle, jets),
            z=(z - low) / np.maximum(high - low, _LEAST_WIDTH),
            share=np.where(pair, 1.0, share / np.where(pair, 1.0, self.most_share(nodes, z, angle))),
            balance=np.where(hard.n == 1, 0.0, np.where(soft.n == 1, 1.0, (balance - least) / (most - least))),
        )

    def lookup(self, nodes: Nodes, splittings: Splittings) -> Splitter:
        """The splittings as a function of nodes, to grow the same jets again."""
        width = int(nodes.element.max(initial=0)) + 1
        keys = nodes.jet * width + nodes.element
        order = np.argsort(keys)

        def splitter(asked: Nodes, attempts: Integers) -> Splittings:
            return splittings.take(order[np.searchsorted(keys, asked.jet * width + asked.element, sorter=order)])

        return splitter

    def grow(self, jets: JetKinematics, splitter: Splitter, max_particles: int, n_attempts: int = 1) -> Array:
        """Particles (eta, phi, pt) in falling pT, zero padded: float64 of shape (n, max_particles, 3).

        Threes and pairs wait for each other, so that ``splitter`` is called with many nodes at a time; and up to
        ``n_attempts`` times with those whose splittings are not :meth:`allowed`.
        """
        particles, roots = np.zeros((len(jets), max_particles, 3)), Nodes.roots(jets)
        single = np.flatnonzero(roots.n == 1)
        particles[single, 0] = np.stack([jets.eta, jets.phi, jets.pt], axis=1)[single]
        nodes = roots.take(roots.n > 1)
        later, attempts, least = [nodes.take(nodes.n == 0)], np.zeros(len(nodes), np.intp), _SMALL
        while True:
            if least > 2 and len(nodes) < _FEW:  # the rest at once
                nodes, least = Nodes.join([nodes, *later]), 2
                attempts = np.append(attempts, np.zeros(len(nodes) - len(attempts), np.intp))
            if not len(nodes):
                break
            hard, soft = self.decode(nodes, splitter(nodes, attempts), jets)
            again = np.flatnonzero((attempts < n_attempts - 1) & ~self.allowed(nodes, hard, soft))
            parts, fine = [nodes.take(again)], np.ones(len(nodes), bool)
            fine[again] = False
            for own, other, is_hard in ((hard, soft, True), (soft, hard, False)):
                for wanted, to in ((own.n >= least, parts), ((own.n > 1) & (own.n < least), later)):
                    if len(i := np.flatnonzero(fine & wanted)):
                        to.append(nodes.child(i, own, other, is_hard=is_hard))
                i = np.flatnonzero(fine & (own.n == 1))
                place = nodes.jet[i], nodes.leaf[i] + (0 if is_hard else other.n[i])
                particles[place] = np.stack([own.eta[i], own.phi[i], own.pt[i]], axis=1)
            nodes, attempts = Nodes.join(parts), attempts[again] + 1
            attempts = np.append(attempts, np.zeros(len(nodes) - len(attempts), np.intp))
        order = np.argsort(-particles[..., 2], axis=1, kind="stable")
        return np.take_along_axis(particles, order[..., None], axis=1)

    def allowed(self, nodes: Nodes, hard: Branch, soft: Branch) -> Array:
        r"""Whether splittings could come out of the clustering, in the distance :math:`d` of its module.

        The children were closer to each other than either is to the sibling of the node, and closer than the node and
        its sibling; particles lie inside 1.05 radii. The clustering itself violates the first in a few of a thousand
        cases, where the sibling was put together later than the node.
        """
        own = self._distance(hard, soft.eta, soft.phi, soft.pt)
        fine = np.ones(len(nodes), bool)
        sibling = (nodes.eta + nodes.sibling_eta, nodes.phi + nodes.sibling_phi, nodes.sibling_pt)
        whole = Branch(nodes.pt, nodes.eta, nodes.phi, nodes.moment, nodes.n)
        for branch in (hard, soft, whole):
            fine &= nodes.is_root | (own <= self._distance(branch, *sibling))
        for child in (hard, soft):
            away = np.hypot(child.eta, child.phi) + _SHARE_OF_WIDTH * np.sqrt(child.moment / child.pt)
            fine &= away <= np.where(child.n > 1, 1.0, _RIM) * self.radius
        return fine

    def _distance(self, branch: Branch, eta: Numbers, phi: Numbers, pt: Numbers) -> Array:
        return ((branch.eta - eta) ** 2 + (branch.phi - phi) ** 2) * self._scale(branch.pt, pt)

    def decode(self, nodes: Nodes, splittings: Splittings, jets: JetKinematics) -> tuple[Branch, Branch]:
        """Hard and soft children."""
        n_soft, n_hard, pair = splittings.n_soft, nodes.n - splittings.n_soft, nodes.n == 2
        angle = _common_angle(nodes, splittings.angle, jets)
        low, high = self.z_bounds(nodes, n_soft, jets.softest[nodes.jet], angle)
        z = np.clip(low + splittings.z * np.maximum(high - low, _LEAST_WIDTH), _LEAST_WIDTH, 0.5)
        share, balance = np.ones(len(nodes)), np.where(n_hard == 1, 0.0, 1.0)
        # bounds are computed where they decide something
        i = np.flatnonzero(~pair)
        share[i] = np.minimum(splittings.share[i] * self.most_share(nodes.branch(i), z[i], angle[i]), 1.0)
        i = np.flatnonzero((n_soft > 1) & (n_hard > 1))
        least, most = self.balance_bounds(nodes.branch(i), z[i], share[i], angle[i])
        balance[i] = np.clip(least + splittings.balance[i] * (most - least), 0.0, 1.0)
        dr = np.sqrt(share * nodes.moment / (nodes.pt * z * (1 - z)))
        dx, dy, rest = dr * np.cos(angle), dr * np.sin(angle), nodes.moment * (1 - share)
        pt_soft = nodes.pt * z
        hard = Branch(nodes.pt - pt_soft, nodes.eta - z * dx, nodes.phi - z * dy, rest * balance, n_hard)
        soft = Branch(pt_soft, hard.eta + dx, hard.phi + dy, rest * (1 - balance), n_soft)
        return hard, soft

    def reach(self, nodes: Nodes | Branch, angle: Numbers) -> Array:
        """Distance from the node to the rim of the jet in a direction."""
        b = nodes.eta * np.cos(angle) + nodes.phi * np.sin(angle)
        c = self.radius**2 - nodes.eta**2 - nodes.phi**2
        return np.maximum(np.sqrt(b * b + np.maximum(c, 0.0)) - b, _LEAST_REACH)

    def z_bounds(self, nodes: Nodes, n_soft: Integers, softest: Numbers, angle: Numbers) -> tuple[Array, Array]:
        r"""Interval of z: no particle below the softest; pairs, whose distance follows, inside the radius.

        With v = I / pT the children of a pair are at (1 - z) D and z D, where z (1 - z) D^2 = v.
        """
        least = softest / nodes.pt
        low, high = n_soft * least, np.minimum(0.5, 1 - (nodes.n - n_soft) * least)
        pair = np.flatnonzero(nodes.n == 2)
        if pair.size:
            own = nodes.branch(pair)
            v = own.moment / own.pt
            ahead, behind = self.reach(own, angle[pair]) ** 2, self.reach(own, angle[pair] + np.pi) ** 2
            low[pair] = np.maximum(low[pair], v / (v + ahead))
            high[pair] = np.minimum(high[pair], behind / (v + behind))
        return low, np.maximum(high, low)

    def most_share(self, nodes: Nodes | Branch, z: Scores, angle: Numbers) -> Array:
        """Largest share that keeps the softer child inside the radius."""
        free = self.reach(nodes, angle) ** 2 * nodes.pt * z
        return np.minimum(1.0, free / np.maximum((1 - z) * nodes.moment, _TINY))

    def _scale(self, pt: Numbers, other: Numbers) -> Array:
        """``min(pt^2p, other^2p)``."""
        if self.exponent == 0:
            return np.ones(len(pt))
        scale = np.minimum(pt, other) if self.exponent > 0 else np.maximum(pt, other)
        return np.power(np.maximum(scale, _TINY**0.1), 2 * self.exponent)

    def balance_bounds(self, nodes: Nodes | Branch, z: Scores, share: Numbers, angle: Numbers) -> tuple[Array, Array]:
        """Interval of the balance: ``sum pt r^2 <= pt R^2`` in both children; [0, 1] where that leaves nothing."""
        dr = np.sqrt(share * nodes.moment / (nodes.pt * z * (1 - z)))
        dx, dy = dr * np.cos(angle), dr * np.sin(angle)
        rest = np.maximum(nodes.moment * (1 - share), 1e-30)
        hard = (nodes.eta - z * dx) ** 2 + (nodes.phi - z * dy) ** 2
        soft = (nodes.eta + (1 - z) * dx) ** 2 + (nodes.phi + (1 - z) * dy) ** 2
        most = np.clip(nodes.pt * (1 - z) * (self.radius**2 - hard) / rest, 0.0, 1.0)
        least = np.clip(1 - nodes.pt * z * (self.radius**2 - soft) / rest, 0.0, 1.0)
        empty = most <= least + _LEAST_BALANCE
        return np.where(empty, 0.0, least), np.where(empty, 1.0, most)


def side(nodes: Nodes) -> Array:
    """+1 where the uncle is to the left of the direction to the sibling, else -1; for the first two, the jet axis."""
    first = nodes.depth <= 1
    eta, phi = np.where(first, -nodes.eta, nodes.uncle_eta), np.where(first, -nodes.phi, nodes.uncle_phi)
    cross = nodes.sibling_eta * phi - nodes.sibling_phi * eta
    return np.where(cross < 0, -1.0, 1.0)


def _signs(nodes: Nodes, roots: Integers, jets: JetKinematics) -> list[Array]:
    """Reflections of roots that make their centroids positive."""
    return [np.where(part[nodes.jet[roots]] < 0, -1.0, 1.0) for part in (jets.eta, jets.phi)]


def _own_angle(nodes: Nodes, angle: Numbers, jets: JetKinematics) -> Array:
    """The angle in the frame of sibling and uncle."""
    own = (angle - np.arctan2(nodes.sibling_phi, nodes.sibling_eta)) * side(nodes)
    roots = np.flatnonzero(nodes.is_root)
    sx, sy = _signs(nodes, roots, jets)
    own[roots] = np.arctan2(sy * np.sin(angle[roots]), sx * np.cos(angle[roots]))
    return np.mod(own + np.pi, 2 * np.pi) - np.pi


def _common_angle(nodes: Nodes, own: Numbers, jets: JetKinematics) -> Array:
    """Inverse of :func:`_own_angle`."""
    angle = np.arctan2(nodes.sibling_phi, nodes.sibling_eta) + own * side(nodes)
    roots = np.flatnonzero(nodes.is_root)
    sx, sy = _signs(nodes, roots, jets)
    angle[roots] = np.arctan2(sy * np.sin(own[roots]), sx * np.cos(own[roots]))
    return angle


def _nothing() -> Splittings:
    return Splittings(np.zeros(0, np.intp), *(np.zeros(0) for _ in range(4)))
