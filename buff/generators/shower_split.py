"""How an energy divides into two, given what is known: one conditional distribution for all splits of a kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from buff.archive import Archive
from buff.flows import ReproducibleLinear
from buff.protocols import Array, Indices, Numbers, Scores
from buff.records import checked_array, nested
from buff.transforms.quantile_bins import QuantileBins
from buff.trees import FlatForest, restored_trees, stored_trees
from buff.trees.conditional import ConditionalDistribution, ConditionalSettings, ConditionalShares

__all__ = ["EnergySplit", "SplitRows", "SplitSettings"]

#: Ranks and shares this close to 0 and 1 are kept apart from them.
_MARGIN, _INSIDE = 1e-6, 1e-12
#: Share of atoms below this is no atom.
_RARE = 5e-4
#: Fewest rows that trees are grown on, and that a group's own ranks are read from.
_FEWEST, _FEWEST_OF_GROUP = 50, 200
#: Logarithm of an energy that no part has.
_NEVER = 99.0
#: Standardised log energies are kept within this.
_REACH = 3.0
#: Logits of features in the linear part lie between those of this and one minus this.
_LOGIT_MARGIN = 0.02


@dataclass(frozen=True)
class SplitRows:
    """Splits to learn from.

    Attributes
    ----------
    features : float32 array of shape (n, f)
    z : array of shape (n,)
        Share of the first part; 0 and 1 are atoms.
    p : array of shape (n,)
        Logarithm of the energy that divides.
    group : array of int of shape (n,)
        Which split of its kind it is: ranks and linear part are each group's own, trees are shared.
    base : array of int
        Features that the linear part takes.
    shares : bool
        Whether these features are shares, of which the linear part takes the logit.
    weights : array of shape (n,) or None
    """

    features: Array
    z: Array
    p: Array
    group: Indices
    base: Indices
    shares: bool
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.z)

    def take(self, rows: Indices) -> "SplitRows":
        """These rows only."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self, features=self.features[rows], z=self.z[rows], p=self.p[rows], group=self.group[rows], weights=weights
        )

    def at_most(self, n: int, rng: np.random.Generator) -> "SplitRows":
        """``n`` of the rows, drawn at random, or all."""
        return self if len(self) <= n else self.take(np.sort(rng.choice(len(self), n, replace=False)))


@dataclass(frozen=True)
class SplitSettings:
    """How a kind of split is learned.

    Attributes
    ----------
    inside : ConditionalSettings
        Shares between 0 and 1.
    atoms : ConditionalSettings
        Whether all the energy goes to one side.
    ridge : float
        Penalty of the linear part.
    max_rows : int
    logit : bool
        Whether shares are ranked as logits: false where they may exceed 1.
    """

    inside: ConditionalSettings
    atoms: ConditionalSettings
    ridge: float = 30.0
    max_rows: int = 250_000
    logit: bool = True


@dataclass(frozen=True)
class _Group:
    """Ranks and linear part of a split of a kind."""

    ranks: QuantileBins
    linear: ReproducibleLinear
    spread: float


@dataclass(frozen=True)
class EnergySplit:
    """Conditional distribution of the share z of an energy that goes to the first of two parts.

    z is 0 or 1 with probabilities of boosted trees (only up to the energy above which that never happened); inside,
    its logit has a normal score s by quantile functions given the energy, s has a mean that is linear in the context,
    and the rank of what is left is drawn from a boosted conditional distribution (uniform where rows are too few).

    Attributes
    ----------
    groups : mapping from int to _Group
    limits : mapping from int to float
        Logarithm of the energy up to which a group has atoms; beyond all where most of the highest are atoms.
    centre, width : float
        Of the logarithm of the energy.
    atoms : ConditionalShares or None
    inside : ConditionalDistribution or None
    base, shares, logit
        As in :class:`SplitRows` and :class:`SplitSettings`.
    """

    groups: Mapping[int, _Group]
    limits: Mapping[int, float]
    centre: float
    width: float
    atoms: ConditionalShares | None
    inside: ConditionalDistribution | None
    base: Indices
    shares: bool
    logit: bool = True

    @classmethod
    def fit(cls, rows: SplitRows, settings: SplitSettings, seed: int = 0) -> "EnergySplit":
        """Learn from splits with energy."""
        rng = np.random.default_rng(seed)
        atom = (rows.z <= 0) | ((rows.z >= 1) if settings.logit else False)
        limits = {}
        for k in np.unique(rows.group[atom]):
            members = np.flatnonzero(rows.group == k)
            highest = members[np.argsort(rows.p[members], kind="stable")[-_FEWEST:]]
            limit = float(np.quantile(rows.p[members[atom[members]]], 0.9995) + 0.05)
            limits[int(k)] = _NEVER if atom[highest].mean() > 0.5 else limit
        centre, width = (float(rows.p.mean()), float(rows.p.std()) + _MARGIN) if len(rows) else (0.0, 1.0)
        model = cls({}, limits, centre, width, None, None, rows.base, rows.shares, settings.logit)
        if not len(rows):
            return model
        if atom.mean() > _RARE:
            highest = np.array([limits.get(k, -np.inf) for k in range(int(rows.group.max()) + 1)])
            low = rows.take(np.flatnonzero(rows.p <= highest[rows.group])).at_most(settings.max_rows, rng)
            label = np.where(low.z <= 0, 0, np.where((low.z >= 1) & settings.logit, 2, 1))
            shares = ConditionalShares.fit(low.features, label, 3, settings.atoms, weights=low.weights, seed=seed)
            model = replace(model, atoms=shares.flattened())
        inner = rows.take(np.flatnonzero(~atom)).at_most(settings.max_rows, rng)
        return model._fit_inside(inner, settings, seed) if len(inner) else model

    def _fit_inside(self, rows: SplitRows, settings: SplitSettings, seed: int) -> "EnergySplit":
        x = self._ranked(rows.z)
        groups, mean, u = {}, np.zeros(len(x), np.float32), np.zeros(len(x))
        for k in np.unique(rows.group):
            members = np.flatnonzero(rows.group == k)
            learned = members if len(members) >= _FEWEST_OF_GROUP else np.arange(len(x))
            group = self._fit_group(rows.take(learned), x[learned], settings)
            groups[int(k)] = group
            mean[members] = group.linear(self._basis(rows.features[members], rows.p[members]))[:, 0]
            u[members] = ndtr((group.ranks.encode(x[members], rows.p[members]) - mean[members]) / group.spread)
        if len(rows) < _FEWEST:
            return replace(self, groups=groups)
        features = np.column_stack([rows.features, mean])
        inside = ConditionalDistribution.fit(features, u, settings.inside, weights=rows.weights, seed=seed)
        return replace(self, groups=groups, inside=inside.flattened())

    def _fit_group(self, rows: SplitRows, x: Numbers, settings: SplitSettings) -> _Group:
        ranks = QuantileBins.fit(x, rows.p, rows.weights)
        s = ranks.encode(x, rows.p)
        basis = self._basis(rows.features, rows.p).astype(float)
        weighted = basis if rows.weights is None else basis * rows.weights[:, None]
        penalty = settings.ridge * np.eye(basis.shape[1])
        w = np.linalg.solve(weighted.T @ basis + penalty, weighted.T @ s)
        linear = ReproducibleLinear.of(w[:, None], np.zeros(1))
        spread = np.sqrt(np.average((s - basis @ w) ** 2, weights=rows.weights)) + _MARGIN
        return _Group(ranks, linear, float(spread))

    def _basis(self, features: Numbers, p: Numbers) -> Array:
        """[1, c, c^2, b, c b] of the standardised log energy c and the features b of the linear part."""
        c = np.clip((p - self.centre) / self.width, -_REACH, _REACH).astype(np.float32)[:, None]
        b = features[:, self.base]
        if self.shares:
            b = np.clip(b, _LOGIT_MARGIN, 1 - _LOGIT_MARGIN)
            b = np.log(b / (1 - b))
        return np.hstack([np.ones_like(c), c, c * c, b, c * b])

    def _ranked(self, z: Scores) -> Array:
        return logit(np.clip(z, _INSIDE, 1 - _INSIDE)) if self.logit else np.asarray(z, float)

    def sample(self, features: Numbers, p: Numbers, group: int, u: Numbers) -> Array:
        """Shares z (n,) of splits of one group from uniform numbers ``u`` (n,)."""
        z, u = np.full(len(p), 0.5), u.copy()
        inner = np.arange(len(p))
        if self.atoms is not None and group in self.limits:
            low = np.flatnonzero(p <= self.limits[group])
            if len(low):
                share = self.atoms(features[low]).astype(float)
                first, last = u[low] < share[:, 0], u[low] >= 1 - share[:, 2]
                z[low[first]], z[low[last]] = 0, 1
                u[low] = (u[low] - share[:, 0]) / np.maximum(share[:, 1], _MARGIN)
                inner = np.delete(inner, low[first | last])
        if self.groups and len(inner):
            z[inner] = self._sample_inside(features[inner], p[inner], group, np.clip(u[inner], 0, 1))
        return z

    def _sample_inside(self, features: Numbers, p: Numbers, group: int, u: Numbers) -> Array:
        known = group if group in self.groups else min(self.groups, key=lambda k: abs(k - group))
        fitted = self.groups[known]
        mean = fitted.linear(self._basis(features, p))
        rank = u if self.inside is None else self.inside.ppf(np.hstack([features, mean]), u)
        x = fitted.ranks.decode(mean[:, 0] + fitted.spread * ndtri(np.clip(rank, _MARGIN, 1 - _MARGIN)), p)
        return np.clip(expit(x), _INSIDE, 1 - _INSIDE) if self.logit else np.maximum(x, _INSIDE)

    def to_archive(self) -> Archive:
        """As parts of a file."""
        record: dict[str, Any] = {
            "groups": list(self.groups),
            "spreads": [g.spread for g in self.groups.values()],
            "limits": [list(self.limits), list(self.limits.values())],
            "scale": [self.centre, self.width],
            "shares": self.shares,
            "logit": self.logit,
        }
        arrays = {"base": np.asarray(self.base)}
        for k, g in self.groups.items():
            arrays |= {f"{k}/centres": g.ranks.centres, f"{k}/knots": g.ranks.knots, f"{k}/weights": g.linear.weights}
        blobs = {}
        if self.atoms is not None:
            arrays["prior"], blobs["atoms"] = self.atoms.prior, stored_trees(self.atoms.booster)
        if self.inside is not None:
            arrays |= {"levels": self.inside.levels, "cdf": self.inside.shares}
            blobs["inside"] = stored_trees(self.inside.booster)
        return Archive("split", record, arrays, blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> "EnergySplit":
        """Inverse of :meth:`to_archive`."""
        record, arrays, blobs = archive.record, archive.arrays, archive.blobs
        base = checked_array(arrays["base"], "base", (None,), kinds="i", low=0)
        groups = {}
        for k, spread in zip(record["groups"], record["spreads"], strict=True):
            stored = nested(arrays, str(k))
            weights = checked_array(stored["weights"], "weights", (3 + 2 * len(base), 1))
            linear = ReproducibleLinear(weights, np.zeros(1, np.float32))
            groups[int(k)] = _Group(QuantileBins(stored["centres"], stored["knots"]), linear, spread)
        atoms = inside = None
        if "atoms" in blobs:
            atoms = ConditionalShares(arrays["prior"], restored_trees(blobs["atoms"], len(arrays["prior"])))
        if "inside" in blobs:
            trees = restored_trees(blobs["inside"], len(arrays["levels"]))
            inside = ConditionalDistribution(arrays["levels"], arrays["cdf"], trees)
            n_features = trees.n_features if isinstance(trees, FlatForest) else trees.model.num_features()
            checked_array(base, "base", kinds="i", high=n_features - 2)  # the last one is the linear part itself
        limits = {int(k): limit for k, limit in zip(*record["limits"], strict=True)}
        centre, width = record["scale"]
        return cls(groups, limits, centre, width, atoms, inside, base, record["shares"], record["logit"])
