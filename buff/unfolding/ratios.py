"""What a classifier tells: ratios of densities, conditional means, shares."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from buff.kernels import dot
from buff.protocols import Array, Numbers, Values, Weights
from buff.trees import Classifier, ClassifierSettings, CrossFit
from buff.weights import effective_size

__all__ = ["FEWEST_EVENTS", "Ratio", "Share", "conditional_mean", "density_ratio", "require_events", "share_of"]

#: Events that must have a weight before a classifier can tell where they lie.
FEWEST_EVENTS = 10


@dataclass(frozen=True)
class Ratio:
    """A positive function of some features.

    Attributes
    ----------
    classifier : Classifier
        Its log odds are the logarithm, up to a constant.
    scale : float
        That constant's exponential.
    of_rows : array of shape (n,)
        Values on the rows of the denominator, from trees that did not see them.
    gain : float
        Log likelihood that the classifier gains over none, on rows that it has not seen.
    """

    classifier: Classifier
    scale: float
    of_rows: Array
    gain: float

    def __call__(self, features: Numbers) -> Array:
        """Values of shape (n,) on other rows."""
        return np.exp(self.classifier(features).astype(np.float64)) * self.scale


def density_ratio(
    numerator: Numbers,
    numerator_weights: Numbers,
    denominator: Numbers,
    denominator_weights: Numbers,
    settings: ClassifierSettings,
    *,
    seed: int = 0,
) -> Ratio:
    r"""Ratio of two weighted densities, each with total 1, by a classifier between them.

    .. math:: r(x) = \frac{p_1(x)}{p_0(x)}, \qquad \sum_{i \in 0} w_i\, r(x_i) = \sum_{i \in 0} w_i

    Each class has the weight of the events that the smaller one is worth, so that regularisation counts those.

    References
    ----------
    Sugiyama, Suzuki, Kanamori, "Density ratio estimation in machine learning", 2012.
    """
    v, w = numerator_weights, denominator_weights
    size = min(effective_size(v), effective_size(w))
    labels = np.repeat([1.0, 0.0], [len(v), len(w)])
    weights = np.concatenate([v / v.sum(), w / w.sum()]) * size
    fit = Classifier.fit(np.concatenate([numerator, denominator]), labels, weights, settings, seed=seed)
    return _normalised(fit, labels, weights, w, 1.0)


def conditional_mean(
    values: Values, features: Numbers, weights: Weights, settings: ClassifierSettings, *, seed: int = 0
) -> Ratio:
    r"""E[values | features] of positive values with positive weights.

    A classifier between rows of weight :math:`w v` and the same rows of weight w: with labels
    :math:`v / (1 + v)` and weights :math:`w (1 + v)` both are one row.
    """
    mean = float(np.average(values, weights=weights))
    v = values / mean
    labels, w = v / (1 + v), weights * (1 + v)
    w *= effective_size(weights) / w.sum()
    return _normalised(Classifier.fit(features, labels, w, settings, seed=seed), labels, w, weights, mean)


def require_events(weights: Weights, what: str) -> None:
    """Raise ValueError for fewer events than a classifier can tell from others."""
    found = np.count_nonzero(weights)
    if found < FEWEST_EVENTS:
        raise ValueError(f"{what}: found {found} with a weight, at least {FEWEST_EVENTS} are needed")


@dataclass(frozen=True)
class Share:
    """P(class 1 | features); a constant where there is no choice, or too few events to learn it.

    Attributes
    ----------
    classifier : Classifier or None
    constant : float
    of_rows : array of shape (n,)
        Values on the rows of the fit, from trees that did not see them.
    """

    classifier: Classifier | None
    constant: float
    of_rows: Array

    def __call__(self, features: Numbers) -> Array:
        """Values of shape (n,) on other rows."""
        if self.classifier is None:
            return np.full(len(features), self.constant)
        return np.asarray(expit(self.classifier(features).astype(np.float64)))


def share_of(
    features: Numbers, labels: Array, weights: Weights, settings: ClassifierSettings, *, seed: int = 0
) -> Share:
    """Share of the weight that has label 1, as a function of the features."""
    mean = float(np.average(labels, weights=weights))
    if min(np.count_nonzero(weights[labels == label]) for label in (0, 1)) < FEWEST_EVENTS:
        return Share(None, mean, np.full(len(labels), mean))
    scaled = weights * (effective_size(weights) / weights.sum())
    fit = Classifier.fit(features, labels.astype(np.float64), scaled, settings, seed=seed)
    return Share(fit.classifier, mean, expit(fit.log_odds.astype(np.float64)))


def _normalised(fit: CrossFit, labels: Array, weights: Weights, own: Numbers, mean: float) -> Ratio:
    """The ratio whose mean over the last rows of the fit, under weights of their own, is given."""
    f = fit.log_odds.astype(np.float64)
    gain = dot(weights, np.log(2) - np.logaddexp(0, f) + labels * f)
    values, first = np.exp(f), len(f) - len(own)
    scale = mean / float(np.average(values[first:], weights=own))
    return Ratio(fit.classifier, scale, values[first:] * scale, gain)
