"""States of nodes in a splitting history: what a node, its sibling and its uncle look like."""

from dataclasses import dataclass, fields

import numpy as np

from buff.protocols import Array, Integers, Numbers

__all__ = ["Branch", "JetKinematics", "Nodes"]


@dataclass(frozen=True, eq=False)
class JetKinematics:
    """What a splitting history starts from, an entry a jet.

    Attributes
    ----------
    pt : array of shape (n,)
        Scalar sum of the particles' pT.
    eta, phi : arrays of shape (n,)
        Centroid, weighted by pT.
    moment : array of shape (n,)
        ``sum_i pt_i |r_i - r|^2`` about the centroid; the mass is ``sqrt(pt moment)`` for small angles.
    n : int array of shape (n,)
        Particles.
    softest : array of shape (n,)
        pT below which no particle lies.
    """

    pt: Array
    eta: Array
    phi: Array
    moment: Array
    n: Array
    softest: Array

    def __len__(self) -> int:
        return len(self.pt)

    @classmethod
    def of(cls, eta: Numbers, phi: Numbers, pt: Numbers) -> "JetKinematics":
        """Of particles (n, m); slots where ``pt`` is not positive are padding.

        Examples
        --------
        >>> jet = JetKinematics.of(np.array([[0.0, 0.2]]), np.array([[0.0, 0.0]]), np.array([[1.0, 1.0]]))
        >>> jet.eta.tolist(), jet.moment.round(6).tolist(), jet.n.tolist()
        ([0.1], [0.02], [2])
        """
        p = np.where(pt > 0, pt, 0.0).astype(np.float64)
        total = p.sum(axis=1)
        share = p / np.where(total > 0, total, 1.0)[:, None]
        x, y = (share * eta).sum(axis=1), (share * phi).sum(axis=1)
        moment = (p * ((eta - x[:, None]) ** 2 + (phi - y[:, None]) ** 2)).sum(axis=1)
        softest = np.where(p > 0, p, np.inf).min(axis=1, initial=np.inf)
        return cls(total, x, y, moment, (p > 0).sum(axis=1), np.where(np.isfinite(softest), softest, 0.0))

    @classmethod
    def join(cls, parts: list["JetKinematics"]) -> "JetKinematics":
        """All jets of the parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True)))

    def take(self, jets: Array) -> "JetKinematics":
        """Some of the jets, by number."""
        return JetKinematics(**{name: values.take(jets) for name, values in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Branch:
    """A part of a jet: sum of pT, centroid, moment about it, number of particles."""

    pt: Array
    eta: Array
    phi: Array
    moment: Array
    n: Array

    def take(self, rows: Array) -> "Branch":
        """Some of them, by number."""
        return Branch(*(values.take(rows) for values in vars(self).values()))

    def put(self, rows: Integers, others: "Branch") -> None:
        """Others in place of some of them."""
        for name, values in vars(self).items():
            values[rows] = getattr(others, name)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of many jets with what surrounds them, arrays of one entry a node.

    Attributes
    ----------
    jet : int
        Number of the jet.
    element : int
        Number of the node's splitting in its jet, from 0 to n - 2 in preorder, hard branch first: known as soon as the
        node is, whatever is split first.
    leaf : int
        Number of its first particle among those of the jet, counted in the same order.
    depth : int
        0 for the jet itself.
    pt, eta, phi, moment, n
        As in :class:`Branch`.
    sibling_pt, sibling_moment, sibling_n, sibling_eta, sibling_phi
        The other child of the parent; position relative to the node. A root is its own sibling.
    uncle_pt, uncle_eta, uncle_phi
        The sibling of the parent, or the sibling itself at depth 1, where ``uncle_pt`` is 0.
    root_kt, root_dr
        Relative transverse momentum and distance of the jet's first splitting.
    """

    jet: Array
    element: Array
    leaf: Array
    depth: Array
    pt: Array
    eta: Array
    phi: Array
    moment: Array
    n: Array
    sibling_pt: Array
    sibling_moment: Array
    sibling_n: Array
    sibling_eta: Array
    sibling_phi: Array
    uncle_pt: Array
    uncle_eta: Array
    uncle_phi: Array
    root_kt: Array
    root_dr: Array

    def __len__(self) -> int:
        return len(self.pt)

    @classmethod
    def roots(cls, jets: JetKinematics) -> "Nodes":
        """The jets themselves."""
        count, zero, one = len(jets), np.zeros(len(jets)), np.ones(len(jets))
        return cls(
            jet=np.arange(count),
            element=np.zeros(count, np.intp),
            leaf=np.zeros(count, np.intp),
            depth=np.zeros(count, np.intp),
            pt=jets.pt,
            eta=jets.eta,
            phi=jets.phi,
            moment=jets.moment,
            n=jets.n,
            sibling_pt=jets.pt,
            sibling_moment=jets.moment,
            sibling_n=jets.n,
            sibling_eta=zero,
            sibling_phi=zero,
            uncle_pt=zero,
            uncle_eta=zero,
            uncle_phi=zero,
            root_kt=one,
            root_dr=one,
        )

    @classmethod
    def join(cls, parts: list["Nodes"]) -> "Nodes":
        """All nodes of the parts."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, rows: Array | slice) -> "Nodes":
        """Some nodes: numbers, a mask, or a slice, of which views are enough."""
        if isinstance(rows, slice) or rows.dtype == bool:
            return Nodes(*(values[rows] for values in vars(self).values()))
        return Nodes(*(values.take(rows) for values in vars(self).values()))

    def branch(self, rows: Integers) -> Branch:
        """Some nodes, by number, without what surrounds them."""
        return Branch(*(values.take(rows) for values in (self.pt, self.eta, self.phi, self.moment, self.n)))

    @property
    def is_root(self) -> Array:
        """Whether the node is a jet."""
        return self.depth == 0

    def children(self, hard: Branch, soft: Branch) -> tuple["Nodes", "Nodes"]:
        """The nodes into which these split."""
        rows = np.arange(len(self))
        return self.child(rows, hard, soft, is_hard=True), self.child(rows, soft, hard, is_hard=False)

    def child(self, rows: Array, own: Branch, other: Branch, *, is_hard: bool) -> "Nodes":
        """One child of some of these nodes, whose branches are ``own`` and ``other``."""
        own, other, root = own.take(rows), other.take(rows), self.depth[rows] == 0
        dx, dy = other.eta - own.eta, other.phi - own.phi
        dr = np.hypot(dx, dy)
        soft, before = (other, 0) if is_hard else (own, other.n)
        return Nodes(
            jet=self.jet[rows],
            element=self.element[rows] + (1 if is_hard else before),
            leaf=self.leaf[rows] + before,
            depth=self.depth[rows] + 1,
            **vars(own),
            sibling_pt=other.pt,
            sibling_moment=other.moment,
            sibling_n=other.n,
            sibling_eta=dx,
            sibling_phi=dy,
            uncle_pt=np.where(root, 0.0, self.sibling_pt[rows]),
            uncle_eta=np.where(root, dx, self.eta[rows] + self.sibling_eta[rows] - own.eta),
            uncle_phi=np.where(root, dy, self.phi[rows] + self.sibling_phi[rows] - own.phi),
            root_kt=np.where(root, soft.pt * dr, self.root_kt[rows]),
            root_dr=np.where(root, dr, self.root_dr[rows]),
        )
