"""What is checked at the door of an Unfolder."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from buff.errors import check_whole
from buff.generators import BUFF, BUFFTransport
from buff.trees import ClassifierSettings
from buff.weights import POLICIES

if TYPE_CHECKING:
    from buff.unfolding.unfolder import Unfolder

__all__ = [
    "METHODS",
    "ORIGINS",
    "SCORES_ALONE",
    "SOURCES",
    "SPOKEN",
    "check_settings",
    "classifier_settings",
    "default_generator",
    "iterations_of",
    "origin_of",
    "replica_counts",
]

#: Posteriors of few columns given others are learned from scores alone: the frame of their Gaussian part widens them.
SCORES_ALONE: dict[str, Any] = {
    "solver": "ab2",
    "grid": "uniform",
    "tree_features": "scores",
    "smooth_degree": 0,
    "bandwidth": 0.0,
}
#: Methods and their usual number of iterations; None ends where the data are described.
METHODS: Mapping[str, int | None] = {"iterated": None, "conditional": 1, "bridge": 1, "reweight": None}
#: Where an uncertainty may come from.
SOURCES = ("data", "simulation", "model")
#: What an uncertainty of each source is.
ORIGINS: Mapping[str, str] = {
    "data": "the statistics of the measured events",
    "simulation": "the statistics of the simulation",
    "model": "other seeds",
    "alternative": "the difference of other simulations",
    "background": "the normalisation of the background",
    "regularisation": "the difference of further iterations",
}
#: What a source is called where its name says too little.
SPOKEN: Mapping[str, str] = {"model": "seeds"}
#: Rows that a node of the default generator is trained on.
_NOISE_BUDGET = 150_000


def check_settings(unfolder: "Unfolder") -> None:
    """Raise ValueError or TypeError naming the first parameter that is off, what it is and what it may be."""
    if not isinstance(unfolder.method, str) or unfolder.method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; found {unfolder.method!r}")
    for name in ("n_iterations", "n_samples"):
        value = getattr(unfolder, name)
        if value is not None:
            check_whole(name, value, 1)
    if not isinstance(unfolder.negative_weights, str) or unfolder.negative_weights not in POLICIES:
        raise ValueError(f"negative_weights must be one of {', '.join(POLICIES)}; found {unfolder.negative_weights!r}")
    replica_counts(unfolder.n_replicas)
    classifier_settings(unfolder.classifier)
    _check_generator(unfolder)


def origin_of(source: str) -> str:
    """What an uncertainty of a source is, also of one that the user named."""
    alone = {"statistics": "the Poisson fluctuation of the weights", "total": "all sources together"}
    return ORIGINS.get(source) or alone.get(source, f"the difference of the simulation {source}")


def iterations_of(method: str, asked: int | None) -> int | None:
    """So many as are asked for, or those of the method."""
    if asked is None:
        return METHODS[method]
    check_whole("n_iterations", asked, 1)
    return int(asked)


def replica_counts(n_replicas: Any, name: str = "n_replicas") -> dict[str, int]:
    """Number of replicas of each source; ``name`` is what errors call them.

    Examples
    --------
    >>> replica_counts({"data": 5})
    {'data': 5, 'simulation': 0, 'model': 0}
    """
    given = n_replicas if isinstance(n_replicas, Mapping) else dict.fromkeys(SOURCES, n_replicas)
    unknown = set(given) - set(SOURCES)
    if unknown:
        raise ValueError(f"{name} names {', '.join(SOURCES)}; found {sorted(unknown)}")
    for source, n in given.items():
        if not isinstance(n, int | np.integer) or n < 0 or n == 1:
            raise ValueError(f"{name} of {source} must be 0 or at least 2, found {n!r}")
    return {source: int(given.get(source, 0)) for source in SOURCES}


def classifier_settings(classifier: Any) -> ClassifierSettings:
    """Settings from None, settings, or a mapping of some of them."""
    if classifier is None:
        return ClassifierSettings()
    if isinstance(classifier, ClassifierSettings):
        return classifier
    if not isinstance(classifier, Mapping):
        raise TypeError(f"classifier must be ClassifierSettings, a mapping or None, found {classifier!r}")
    known = [f.name for f in fields(ClassifierSettings)]
    unknown = set(classifier) - set(known)
    if unknown:
        raise ValueError(f"classifier has no setting {sorted(unknown)}; the settings are {', '.join(known)}")
    return ClassifierSettings(**classifier)


def default_generator(method: str, n_matched: int, **how: Any) -> BUFF | BUFFTransport:
    """Default generator of a method, which is cloned, for so many events that pass both cuts."""
    if method == "bridge":
        return BUFFTransport(noise="auto", **SCORES_ALONE, **how)
    # all noise draws of an event share its conditions: no split for the sake of single events
    split = {"min_split_loss": 0.5 * max(1.0, _NOISE_BUDGET / n_matched)}
    forest: dict[str, Any] = {"max_depth": 6, "reg_lambda": 100.0, "noise_budget": _NOISE_BUDGET, "tree_params": split}
    return BUFF(**forest, **SCORES_ALONE, **how)


def _check_generator(unfolder: "Unfolder") -> None:
    generator, method = unfolder.generator, unfolder.method
    if generator is None or method == "reweight":
        return
    wanted = BUFFTransport if method == "bridge" else BUFF
    if not isinstance(generator, wanted):
        raise TypeError(f"generator of method {method!r} must be a {wanted.__name__} or None, found {generator!r}")
    if method == "bridge" and generator.coupling != "paired":
        raise ValueError(f"generator of method 'bridge' must have coupling='paired', found {generator.coupling!r}")
