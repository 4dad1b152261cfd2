"""Rejection sampling of drawn jets by a classifier between them and the training jets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.metrics.jets import OBSERVABLE_NAMES, jet_columns
from buff.physics import JetKinematics
from buff.physics.kinematics import invariant_mass
from buff.protocols import Array
from buff.records import nested
from buff.trees import Classifier, ClassifierSettings, FlatForest
from buff.trees.classifier import QuadraticBase
from buff.trees.regressor import decode

__all__ = ["JetRejection", "observables", "rejection_bytes"]

#: Shares of the training jets between which observables are trusted.
_TRUSTED = (0.002, 0.998)
#: Observables of which the jets that are taken have the distributions of the training; their bins, and rounds of this.
_BALANCED = ("mass", "sum_pt", "multiplicity", "eta", "phi", "mean_eta", "mean_phi")
_COLUMNS = [(*OBSERVABLE_NAMES, "mean_eta", "mean_phi").index(name) for name in _BALANCED]
_BINS, _ROUNDS = 20, 12
#: Particles of which substructure is computed, and in files that do not say.
_HARDEST, _ALL = 80, 10**6
#: Of the classifier.
_SETTINGS = ClassifierSettings(
    max_depth=4,
    learning_rate=0.08,
    reg_lambda=10.0,
    tree_params={"subsample": 0.7, "colsample_bytree": 0.7, "min_child_weight": 20},
)


@dataclass(frozen=True, eq=False)
class JetRejection:
    r"""Acceptance of jets by the odds of a classifier.

    With the ratio :math:`w(x)` of the densities of training jets and of drawn ones, a jet is accepted with probability
    :math:`\min(1, w(x) / w_\mathrm{max})`. What is left follows :math:`\min(w, w_\mathrm{max})` times the density that
    jets are drawn from.

    Attributes
    ----------
    max_odds : float
        :math:`w_\mathrm{max}`.
    low, high : arrays
        Range of each observable of which the classifier is asked.
    bases : tuple of QuadraticBase
    forests : tuple of FlatForest
        Log odds are means over these, one a fold.
    edges, factors : arrays of shape (observables, bins - 1) and (observables, bins)
        What is added to the log odds by bins of some observables: see :meth:`balanced`.
    hardest : int
        Particles of which substructure is computed: that of triples grows with the cube of their number.

    References
    ----------
    S. Azadi et al. (2019), arXiv:1810.06758 (discriminator rejection sampling); W. Deming and F. Stephan (1940), Ann.
    Math. Statist. 11 (raking).
    """

    max_odds: float
    low: Array
    high: Array
    bases: tuple[QuadraticBase, ...]
    forests: tuple[FlatForest, ...]
    edges: Array
    factors: Array
    hardest: int = _HARDEST

    @classmethod
    def fit(
        cls,
        real: tuple[Array, Array, Array],
        drawn: tuple[Array, Array, Array],
        weights: Array | None,
        max_odds: float,
        seed: int,
    ) -> "JetRejection":
        """From particles, features and scale of training jets and of drawn ones."""
        x, y = observables(*real), observables(*drawn)
        low, high = np.quantile(x, _TRUSTED, axis=0)
        both = np.clip(np.vstack([x, y]), low, high)
        own = np.ones(len(x)) if weights is None else weights / weights.mean()
        fit = Classifier.fit(
            both,
            np.repeat([1.0, 0.0], [len(x), len(y)]),
            np.concatenate([own, np.full(len(y), len(x) / len(y))]),
            _SETTINGS,
            seed=seed,
        )
        forests = tuple(_sums_of_leaves(model) for model in fit.classifier.models)
        edges = np.quantile(x[:, _COLUMNS], np.arange(1, _BINS) / _BINS, axis=0).T
        return cls(max_odds, low, high, fit.classifier.bases, forests, edges, np.zeros((len(edges), _BINS)))

    def balanced(
        self,
        real: tuple[Array, Array, Array],
        drawn: Iterable[tuple[Array, Array, Array]],
        weights: Array | None,
        n_starts: int,
    ) -> "JetRejection":
        """With factors by which the jets taken of ``drawn`` have the shares of the real ones in every bin.

        Odds of a classifier err by some percent, differently at each mass, and those above the largest are cut: what is
        taken has another distribution of the mass than what was asked for. Jets of its training do not show how much.

        Parameters
        ----------
        real, weights
            As in :meth:`fit`.
        drawn : iterable
            The same of drawn jets, in parts.
        n_starts : int
            Attempts at a jet that start from kinematics of their own; those after them keep the last.
        """
        parts = [(self._log_odds(x), *self._bins(x)) for x in (observables(*part, self.hardest) for part in drawn)]
        odds, *bins = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        wanted = [np.bincount(b, weights, _BINS) for b in self._bins(observables(*real, self.hardest))]
        factors = self.factors.copy()
        for _ in range(_ROUNDS):
            for k, (own, share) in enumerate(zip(bins, wanted, strict=True)):
                accepted = np.minimum(np.exp(odds + _summed(factors, bins)) / self.max_odds, 1.0)
                kept = (1 - accepted.mean()) ** (n_starts - 1)
                taken = np.bincount(own, (1 - kept) * accepted / accepted.mean() + kept, _BINS)
                known = (taken > 0) & (share > 0)
                factors[k, known] += np.log(share[known] / share.sum() * taken.sum() / taken[known])
            factors[0] -= np.log(np.exp(odds + _summed(factors, bins)).mean())
        return replace(self, factors=factors)

    def log_odds(self, particles: Array, features: Array, scale: Array) -> Array:
        """Logarithm of the ratio of densities, shape (n,)."""
        x = observables(particles, features, scale, self.hardest)
        return self._log_odds(x) + _summed(self.factors, self._bins(x))

    def _log_odds(self, x: Array) -> Array:
        x = np.clip(x, self.low, self.high)
        parts = zip(self.bases, self.forests, strict=True)
        return np.mean([base(x) + forest(x.astype(np.float32))[:, 0] for base, forest in parts], axis=0)

    def _bins(self, x: Array) -> list[Array]:
        return [np.searchsorted(e, x[:, k], side="right") for e, k in zip(self.edges, _COLUMNS, strict=False)]

    def accepts(self, particles: Array, features: Array, scale: Array, uniform: Array) -> Array:
        """Whether jets are taken, given uniform numbers (n,)."""
        return uniform * self.max_odds <= np.exp(self.log_odds(particles, features, scale))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A JSON-serialisable record and named arrays."""
        arrays = {name: getattr(self, name) for name in ("low", "high", "edges", "factors")}
        for k, (base, forest) in enumerate(zip(self.bases, self.forests, strict=True)):
            arrays |= {f"{k}/base/{name}": values for name, values in vars(base).items()}
            arrays |= {f"{k}/trees/{name}": values for name, values in forest.to_arrays().items()}
        return {"max_odds": self.max_odds, "folds": len(self.bases), "hardest": self.hardest}, arrays

    @classmethod
    def from_arrays(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> "JetRejection":
        """Inverse of :meth:`to_arrays`."""
        folds = [nested(arrays, str(k)) for k in range(int(record["folds"]))]
        # both are absent from files of models without
        edges, factors = arrays.get("edges", np.zeros((0, 0))), arrays.get("factors", np.zeros((0, 1)))
        if len(edges) not in (0, len(_COLUMNS)) or factors.shape != (len(edges), edges.shape[1] + 1):
            raise ValueError(f"rejection: edges {edges.shape} and factors {factors.shape} do not belong together")
        return cls(
            float(record["max_odds"]),
            arrays["low"],
            arrays["high"],
            tuple(QuadraticBase(**nested(fold, "base")) for fold in folds),
            tuple(FlatForest.from_arrays(nested(fold, "trees")) for fold in folds),
            edges,
            factors,
            int(record.get("hardest", _ALL)),
        )


def _summed(factors: Array, bins: list[Array]) -> Array:
    return sum((own[b] for own, b in zip(factors, bins, strict=True)), np.zeros(()))


def _sums_of_leaves(model: Any) -> FlatForest:
    """The trees of a classifier, which add to log odds; its intercept is the base's."""
    document = decode(bytes(model.save_raw("ubj")))
    document["learner"]["objective"] = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    forest = FlatForest.from_document(document)
    return replace(forest, base=np.zeros(1, np.float32))


def rejection_bytes(n_rows: int, n_features: int) -> int:
    """Bytes that a fit to so many jets, training and drawn, holds at most: terms of second degree and their copies."""
    f = len(OBSERVABLE_NAMES) + 5 + n_features
    return int(n_rows * (1 - 1 / _SETTINGS.n_folds) * (1 + f + f * (f + 1) // 2) * 8 * 3)


def observables(particles: Array, features: Array, scale: Array, most: int = _HARDEST) -> Array:
    """What the classifier sees, (n, f): substructure of the hardest, where all lie, the unit of pT, the features."""
    real, hardest = particles[..., 2] > 0, particles
    n = real.sum(axis=1)
    whole: dict[str, Array] = {}
    if particles.shape[1] > most:
        order = np.argsort(-particles[..., 2], axis=1, kind="stable")[:, :most]
        hardest = np.take_along_axis(particles, order[..., None], axis=1)
        jets = JetKinematics.of(*np.moveaxis(particles, -1, 0))
        whole = {"sum_pt": jets.pt, "multiplicity": n, "eta": jets.eta, "phi": jets.phi}
        whole["mass"] = invariant_mass(particles)
    columns = jet_columns(hardest) | whole
    columns |= {name: np.abs(columns[name]) for name in ("eta", "phi")}
    eta, phi = (np.where(real, np.abs(particles[..., j]), 0.0) for j in (0, 1))
    squares = eta**2 + phi**2
    means = [values.sum(axis=1) / n for values in (eta, phi, np.sqrt(squares), squares)]
    return np.column_stack([*(columns[name] for name in OBSERVABLE_NAMES), *means, np.log(scale), features])
