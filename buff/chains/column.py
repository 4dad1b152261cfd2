"""One column of a chain: which atom, or else which value, given the columns that are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from buff.archive import Archive
from buff.chains.cells import UNKNOWN, UNSEEN, VALUE, ScoreCells
from buff.chains.context import Context, TrainingRows
from buff.chains.exclusions import drawn_classes
from buff.chains.location_scale import LocationScale, Normals
from buff.chains.mixture import ConditionalMixture, MixtureBase
from buff.protocols import Array, Indices, Numbers
from buff.records import checked_array, checked_number
from buff.trees.conditional import ConditionalDistribution, ConditionalSettings, ConditionalShares
from buff.trees.regressor import Booster

__all__ = ["N_FOLDS", "ChainColumn", "ColumnSettings"]

#: Parts of the rows: the base of each is learned from the others.
N_FOLDS = 4

#: Rows that a boosted part needs; with fewer, only their shares count.
_FEWEST = 40
#: Ranks stay so far from 0 and 1.
_MARGIN = 1e-12
#: Share of classes that are independent of the context.
_CLASS_FLOOR = 0.002
#: Nats by which a mixture has to be the better base before trees are tried on it.
_LEAST_GAIN = 0.01

Base = LocationScale | MixtureBase
Given = Normals | ConditionalMixture


@dataclass(frozen=True)
class ColumnSettings:
    """How a column is learned.

    Attributes
    ----------
    values, atoms : ConditionalSettings
        Trees of ranks that the base leaves, and of the choice among atoms.
    ridge : float
        Penalty of the base.
    n_cosines : int
        Random features of the base.
    floor : float
        Share of the base in the distribution.
    """

    values: ConditionalSettings
    atoms: ConditionalSettings
    ridge: float = 30.0
    n_cosines: int = 300
    floor: float = 0.05


@dataclass(frozen=True, eq=False)
class ChainColumn:
    r"""Distribution of a column given others.

    .. math:: p(k | c) \text{ of atoms and of values}, \quad
              p(s | c) = f\big(\Phi(r) \,|\, c\big)\, \phi(r) / \sigma, \quad r = (s - \mu(c)) / \sigma(c)

    of the normal score s of a value among values, with the base of :class:`~buff.chains.location_scale.LocationScale`
    and a boosted density f of ranks (:class:`~buff.trees.conditional.ConditionalDistribution`). Where the density of
    rows that were not learned from is larger that way, the base is a :class:`~buff.chains.mixture.MixtureBase` with
    the distribution function in the place of :math:`\Phi(r)`.

    Attributes
    ----------
    classes : int array
        Numbers of the atoms that occur, :data:`~buff.chains.cells.VALUE` for values.
    prior : array
        Their shares.
    shares : ConditionalShares or None
    base : LocationScale, MixtureBase or None
    values : ConditionalDistribution or None
    """

    classes: Indices
    prior: Array
    shares: ConditionalShares | None = None
    base: Base | None = None
    values: ConditionalDistribution | None = None

    @classmethod
    def fit(
        cls,
        context: Context,
        state: Indices,
        s: Numbers,
        settings: ColumnSettings,
        rows: TrainingRows,
        seed: int = 0,
        mixtures: Sequence[Sequence[MixtureBase]] = (),
    ) -> tuple["ChainColumn", Array]:
        """Learn from rows (n,) whose state is known, with scores s of those that are on values.

        ``mixtures`` are other bases, of each kind those of all rows but those of each fold, and of all.

        Returns
        -------
        ChainColumn, array of shape (n,)
            And innovations of the rows, by bases that did not see them.
        """
        w = rows.weights
        classes, labels = np.unique(state, return_inverse=True)
        model = cls(classes, np.bincount(labels, w) / w.sum())
        innovations = np.where(state == VALUE, s, np.nan).astype(np.float32)
        if not context.raw.shape[1]:
            return model, innovations
        if len(classes) > 1 and w.sum() >= _FEWEST and settings.atoms.n_estimators:
            how: dict[str, Any] = {"weights": w, "seed": seed}
            features = model._class_features(context)
            shares = ConditionalShares.fit(features, labels, len(classes), settings.atoms, **how)
            model = replace(model, shares=shares)
        own = np.flatnonzero(state == VALUE)
        if w[own].sum() >= _FEWEST:
            learned = context.take(own), s[own], settings, rows.take(own), seed
            model, innovations[own] = model._fit_values(*learned, mixtures if len(own) == len(s) else ())
        return model, innovations

    def _fit_values(
        self,
        context: Context,
        s: Numbers,
        settings: ColumnSettings,
        rows: TrainingRows,
        seed: int,
        mixtures: Sequence[Sequence[MixtureBase]],
    ) -> tuple["ChainColumn", Array]:
        how: dict[str, Any] = {"ridge": settings.ridge, "n_cosines": settings.n_cosines, "seed": seed}

        def base_of(own: Indices) -> LocationScale:
            part = context.take(own)
            return LocationScale.fit(part.completed, s[own], part.given, rows.weights[own], **how)

        folds = [np.flatnonzero(rows.folds != k) for k in range(N_FOLDS)]
        tried = [_Fitted.of([*(base_of(fold) for fold in folds), base_of(np.arange(len(s)))], context, s, rows)]
        others = [_Fitted.of(bases, context, s, rows) for bases in mixtures]

        def gain(fitted: _Fitted) -> float:
            return float(np.average(fitted.log_density, weights=rows.weights))

        if others and gain(best := max(others, key=gain)) >= gain(tried[0]) + _LEAST_GAIN:
            tried.append(best)
        found = []
        for fitted in tried:
            features = self._value_features(context, fitted.moments)
            found.append((features, *_best_rounds(features, fitted, settings, rows, seed)))
        chosen = int(np.argmax([density for _, _, density in found]))
        features, n_rounds, _ = found[chosen]
        model, r = replace(self, base=tried[chosen].base), tried[chosen].r
        if not settings.values.n_estimators:
            return model, r
        values = ConditionalDistribution.fit(
            *(features, ndtr(r), replace(settings.values, n_estimators=n_rounds)), weights=rows.weights, seed=seed
        )
        return replace(model, values=replace(values, floor=settings.floor)), r

    @property
    def has_values(self) -> bool:
        """Whether values occur besides atoms."""
        return bool((self.classes == VALUE).any())

    def innovations(self, context: Context, state: Indices, s: Numbers) -> Array:
        """What the base leaves of scores, float32 of shape (n,); NaN on atoms and where nothing is known."""
        with np.errstate(invalid="ignore"):
            r = self._given(context).score(s)
            return np.where(state == VALUE, np.clip(r, -8, 8), np.nan).astype(np.float32)

    def probabilities(self, context: Context) -> Array:
        """Of the classes, float64 (n, classes)."""
        p = np.broadcast_to(self.prior, (len(context), len(self.classes)))
        if self.shares is not None:
            p = (1 - _CLASS_FLOOR) * self.shares(self._class_features(context)) + _CLASS_FLOOR * p
        return np.asarray(p, np.float64)

    def sample(self, context: Context, u: Numbers, violations: Indices | None = None) -> tuple[Indices, Array]:
        """States and scores of values from uniform numbers ``u`` (n, 2); of states, those with fewest violations."""
        k = drawn_classes(self.probabilities(context), u[:, :1], self.classes, violations)
        state, s = self.classes[k], np.full(len(k), np.nan)
        rows = np.flatnonzero(state == VALUE)
        if len(rows):
            s[rows] = self._sample_values(context.take(rows), u[rows, 1])
        return state, s

    def _sample_values(self, context: Context, u: Numbers) -> Array:
        given = self._given(context)
        if self.values is not None:
            u = self.values.ppf(self._value_features(context, given.moments), u)
        return given.value(ndtri(np.clip(u, _MARGIN, 1 - _MARGIN)))

    def log_density(self, context: Context, cells: ScoreCells) -> Array:
        """Logarithm of probability or density, (n,), of the cells of one column; 0 where nothing is known."""
        state, out = cells.state[:, 0], np.full(len(context), -np.inf)
        known = np.flatnonzero(state != UNKNOWN)
        out[state == UNKNOWN] = 0.0
        p = self.probabilities(context.take(known))
        for k, number in enumerate(self.classes):
            rows = state[known] == number
            out[known[rows]] = np.log(p[rows, k]) + (cells.log_slope[known[rows], 0] if number >= 0 else 0.0)
        out[state == UNSEEN] = cells.log_slope[state == UNSEEN, 0]
        values = np.flatnonzero(state == VALUE)
        if len(values) and self.has_values:
            out[values] += self._log_values(context.take(values), cells.take(values))
        return out

    def _log_values(self, context: Context, cells: ScoreCells) -> Array:
        given = self._given(context)
        low, high = (given.score(part[:, 0]) for part in (cells.low, cells.high))
        point = cells.low[:, 0] == cells.high[:, 0]
        u = ndtr(low)
        rank_density = np.ones(len(u))
        if self.values is not None:
            features = self._value_features(context, given.moments)
            rank_density[point] = self.values.pdf(features[point], u[point])
            a, b = (self.values.pit(features[~point], ndtr(x[~point])) for x in (low, high))
        else:
            a, b = u[~point], ndtr(high[~point])
        out = np.log(rank_density) + given.log_density(cells.low[:, 0])
        share = np.ones(len(u))
        share[~point] = b - a
        seen = ~point & (share > _MARGIN)
        out[seen] = np.log(share[seen])
        if (far := ~point & ~seen).any():  # where ranks no longer tell the ends of a cell apart: its width is left
            ends = [given.log_density(part[:, 0]) for part in (cells.low, cells.high)]
            out[far] = (np.maximum(*ends) + np.log(np.where(far, cells.high[:, 0] - cells.low[:, 0], 1.0)))[far]
        return out + cells.log_slope[:, 0]

    def pit(self, context: Context, state: Indices, s: Numbers, place: Numbers) -> Array:
        """Distribution function (n,), atoms before values and ``place`` (n,) of the way through an atom."""
        p = self.probabilities(context)
        k = np.minimum(np.searchsorted(self.classes, state), len(self.classes) - 1)
        order = np.argsort(self.classes == VALUE, kind="stable")
        below = np.empty_like(p)
        below[:, order] = np.cumsum(p[:, order], axis=1) - p[:, order]
        rows = np.arange(len(k))
        values = np.flatnonzero(state == VALUE)
        within = place.copy()
        if len(values):
            own = context.take(values)
            given = self._given(own)
            within[values] = ndtr(given.score(s[values]))
            if self.values is not None:
                within[values] = self.values.pit(self._value_features(own, given.moments), within[values])
        return below[rows, k] + p[rows, k] * within

    def _given(self, context: Context) -> Given:
        if self.base is None:
            return Normals(np.zeros(len(context)), np.ones(len(context)))
        return self.base(context.completed, context.given)

    def _class_features(self, context: Context) -> Array:
        completed = [context.completed] if context.given.shape[1] else []
        return np.hstack([context.raw, *completed, context.innovations])

    def _value_features(self, context: Context, moments: tuple[Numbers, Numbers]) -> Array:
        own = np.column_stack(moments).astype(np.float32)
        return np.hstack([context.raw, own, context.innovations])

    def to_archive(self) -> Archive:
        """As parts of a file."""
        arrays, blobs = {"classes": self.classes, "class_prior": self.prior}, {}
        if self.shares is not None:
            arrays["logits"], blobs["atoms"] = self.shares.prior, self.shares.booster.to_bytes()
        if self.base is not None:
            arrays |= self.base.to_arrays()
        record: dict[str, Any] = {"floor": 0.0}
        if self.values is not None:
            arrays |= {"levels": self.values.levels, "cdf": self.values.shares}
            blobs["values"] = self.values.booster.to_bytes()
            record["floor"] = self.values.floor
        return Archive("column", record, arrays, blobs)

    @classmethod
    def from_archive(cls, archive: Archive) -> "ChainColumn":
        """Inverse of :meth:`to_archive`."""
        arrays, blobs = archive.arrays, archive.blobs
        shares = values = None
        base: Base | None = None
        classes = checked_array(arrays["classes"], "classes", (None,), kinds="i", low=UNSEEN, rising=True)
        k = len(classes)
        prior = checked_array(arrays["class_prior"], "class_prior", (k,), low=0, high=1 + 1e-6)
        if "atoms" in blobs:
            logits = checked_array(arrays["logits"], "logits", (k,))
            shares = ConditionalShares(logits, Booster.from_bytes(blobs["atoms"], k))
        if "base" in arrays:
            base = LocationScale.from_arrays(arrays)
        elif "mixture/scales" in arrays:
            base = MixtureBase.from_arrays(arrays)
        if "values" in blobs:
            levels = checked_array(arrays["levels"], "levels", (None,), low=0, high=1, rising=True)
            cdf = checked_array(arrays["cdf"], "cdf", levels.shape, low=0, high=1)
            trees = Booster.from_bytes(blobs["values"], len(levels))
            floor = checked_number(archive.record["floor"], "floor", 0, 1)
            values = ConditionalDistribution(levels, cdf, trees, floor)
        return cls(np.asarray(classes, np.intp), prior, shares, base, values)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A base of all rows, and what bases that did not see a row say of it: moments, scores and density."""

    base: Base
    moments: tuple[Array, Array]
    r: Array
    log_density: Array

    @classmethod
    def of(cls, bases: Sequence[Base], context: Context, s: Numbers, rows: TrainingRows) -> "_Fitted":
        m, sd, r, density = np.zeros(len(s)), np.ones(len(s)), s.astype(np.float64), np.zeros(len(s))
        for k in range(N_FOLDS):
            held = np.flatnonzero(rows.folds == k)
            if len(held):
                part = context.take(held)
                given = bases[k](part.completed, part.given)
                m[held], sd[held] = given.moments
                r[held], density[held] = given.score(s[held]), given.log_density(s[held])
        return cls(bases[-1], (m, sd), np.clip(r, -8, 8), density)


def _best_rounds(
    features: Numbers, fitted: _Fitted, settings: ColumnSettings, rows: TrainingRows, seed: int
) -> tuple[int, float]:
    """Boosting rounds after which the density of the first fold, not learned from, is largest; and this density."""
    u = ndtr(fitted.r)
    held, own = np.flatnonzero(rows.folds == 0), np.flatnonzero(rows.folds != 0)
    n = settings.values.n_estimators
    if len(held) < _FEWEST or len(own) < _FEWEST:
        return 0, 0.0
    base = np.average(fitted.log_density[held], weights=rows.weights[held])
    if not n:
        return 0, float(base)
    whole = ConditionalDistribution.fit(features[own], u[own], settings.values, weights=rows.weights[own], seed=seed)
    whole = replace(whole, floor=settings.floor)
    assert isinstance(whole.booster, Booster)
    best, found = -np.inf, 0
    for k in sorted({n >> i for i in range(5)} | {0}):
        margins = whole.booster.model.inplace_predict(features[held], iteration_range=(0, k)) if k else 0.0
        density = np.average(np.log(whole.pdf_of(margins, u[held])), weights=rows.weights[held])
        if density > best:
            best, found = density, k
    return found, float(base + best)
