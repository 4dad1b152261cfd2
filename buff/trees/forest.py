"""Trees as plain arrays: made once from XGBoost's model, predicted by compiled kernels or by XGBoost, bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from buff import kernels
from buff.kernels.backends import warn_of_fallback
from buff.protocols import Array
from buff.trees.regressor import Booster, decode

__all__ = ["NO_SPLIT", "FlatForest", "NodeTable", "UnfitForest", "flattened"]

#: Splits of a feature that a byte tells apart, features that a byte names, levels whose leaves a byte names.
MOST_CUTS, MOST_FEATURES, DEEPEST = 255, 255, 8
#: Code of a node that does not split: no value lies beyond it.
NO_SPLIT = 255

#: Rows on which a forest is compared with the model that it was made from.
_CHECKED = 64
_ARRAYS = {
    "cuts": "float32",
    "n_cuts": "int32",
    "feature": "uint8",
    "code": "uint8",
    "leaf": "float32",
    "group": "int32",
    "base": "float32",
}


class UnfitForest(ValueError):
    """Trees that bytes cannot hold; XGBoost predicts them."""


@dataclass(frozen=True)
class NodeTable:
    """The nodes of all trees, one after another.

    Attributes
    ----------
    roots : array of shape (T,)
    left, right : arrays of shape (n,)
        Children; -1 and anything at leaves.
    feature : array of shape (n,)
    threshold : float32 array of shape (n,)
    value : float32 array of shape (n, w)
        Of leaves; anything at other nodes.
    """

    roots: Array
    left: Array
    right: Array
    feature: Array
    threshold: Array
    value: Array

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Any]], d: int) -> "NodeTable":
        """The nodes of trees as XGBoost writes them, for ``d`` outputs; UnfitForest for splits by categories."""
        if not trees:
            nothing = np.empty(0, np.int64)
            return cls(nothing, nothing, nothing, nothing, np.empty(0, np.float32), np.empty((0, 1), np.float32))

        def joined(name: str) -> Array:
            return np.concatenate([np.asarray(tree[name]) for tree in trees])

        if joined("split_type").any():
            raise UnfitForest("trees split by categories")
        sizes = np.array([len(tree["left_children"]) for tree in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        offset = np.repeat(roots, sizes)
        left, right = joined("left_children").astype(np.int64), joined("right_children").astype(np.int64)
        threshold = joined("split_conditions").astype(np.float32)
        value = threshold[:, None]
        if "leaf_weights" in trees[0]:  # right children of leaves are rows of their values
            value = np.zeros((len(left), d), np.float32)
            rows = np.cumsum([0] + [len(tree["leaf_weights"]) // d for tree in trees[:-1]])
            leaf = left < 0
            weights = joined("leaf_weights").astype(np.float32).reshape(-1, d)
            value[leaf] = weights[(right + np.repeat(rows, sizes))[leaf]]
        inner = left >= 0
        feature = joined("split_indices").astype(np.int64)
        return cls(
            roots, np.where(inner, left + offset, -1), np.where(inner, right + offset, -1), feature, threshold, value
        )

    def cuts(self, n_features: int) -> list[Array]:
        """Distinct thresholds of each feature, rising; UnfitForest for more than a byte counts."""
        if n_features > MOST_FEATURES:
            raise UnfitForest(f"{n_features} features, more than {MOST_FEATURES}")
        inner = self.left >= 0
        feature, threshold = self.feature[inner], self.threshold[inner]
        found = [np.unique(threshold[feature == f]) for f in range(n_features)]
        most = max((len(own) for own in found), default=0)
        if most > MOST_CUTS:
            raise UnfitForest(f"{most} cuts of a feature, more than {MOST_CUTS}: lower max_bin")
        return found

    def flatten(self, cuts: Sequence[Array]) -> tuple[Array, Array, Array]:
        """``feature`` and ``code`` (T, 2^depth - 1) and ``leaf`` (T, 2^depth, w) in heap order.

        UnfitForest for trees of more than 8 levels.
        """
        inner = self.left >= 0
        code = np.full(len(self.left), NO_SPLIT, np.uint8)
        for f, own in enumerate(cuts):
            mine = inner & (self.feature == f)
            code[mine] = np.searchsorted(own, self.threshold[mine])
        feature = np.where(inner, self.feature, 0).astype(np.uint8)
        here = np.arange(len(self.left))  # a leaf stays where it is
        left, right = np.where(inner, self.left, here), np.where(inner, self.right, here)
        level, levels = self.roots[:, None], list[Array]()
        while not levels or inner[level].any():
            if len(levels) == DEEPEST:
                raise UnfitForest(f"trees of more than {DEEPEST} levels: lower max_depth")
            levels.append(level)
            level = np.stack([left[level], right[level]], axis=2).reshape(len(level), -1)
        nodes = np.concatenate(levels, axis=1)
        return feature[nodes], code[nodes], self.value[level]


@dataclass(frozen=True, eq=False)
class FlatForest:
    """A regressor (n, f) -> (n, d) in single precision, of T perfect trees over byte codes.

    The code of a value is the number of the feature's cuts that it reaches. A node sends x to the right if the code of
    its feature is larger than its own, which is ``x >= cut``; nodes lie in heap order. What does not split has code
    255. The prediction is the base plus the leaves of an output's trees, added in their order, as XGBoost does it.

    Attributes
    ----------
    cuts : float32 array
        Thresholds of all features, one feature after another, rising.
    n_cuts : int32 array of shape (f,)
        At most 255.
    feature, code : uint8 arrays of shape (T, 2^depth - 1)
    leaf : float32 array of shape (T, 2^depth, w)
        w is 1 for trees of one output, d for trees of all.
    group : int32 array of shape (T,)
        Output of each tree; 0 for trees of all.
    base : float32 array of shape (d,)
    rounds : int
        Boosting rounds.

    Raises
    ------
    ValueError
        Arrays that do not belong together.

    Examples
    --------
    >>> from buff.trees import TreeSettings
    >>> x = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    >>> booster = Booster.fit(x, np.hstack([x, x**2]), TreeSettings(n_estimators=20))
    >>> forest = FlatForest.of(booster)
    >>> bool((forest(x) == booster(x)).all())
    True
    """

    cuts: Array
    n_cuts: Array
    feature: Array
    code: Array
    leaf: Array
    group: Array
    base: Array
    rounds: int
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, kind in _ARRAYS.items():
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != kind:
                raise ValueError(f"forest: {name} must be an array of {kind}")
            object.__setattr__(self, name, np.ascontiguousarray(array))
        self._check()

    @classmethod
    def of(cls, booster: Booster) -> "FlatForest":
        """The trees of a fitted model, compared with it on random rows.

        Raises
        ------
        UnfitForest
            More than 255 cuts of a feature, more than 255 features, trees deeper than 8 levels, splits by categories,
            or predictions that differ. XGBoost has to predict such models.
        """
        forest = cls.from_document(decode(booster.to_bytes()))
        x = np.random.default_rng(0).standard_normal((_CHECKED, forest.n_features)).astype(np.float32)
        if kernels.native() and not np.array_equal(forest(x), booster(x)):
            warn_of_fallback(reason := "the kernels predict other values than XGBoost")
            raise UnfitForest(reason)
        return forest

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "FlatForest":
        """From what :func:`buff.trees.check_trees` gives, or XGBoost has written a moment ago."""
        learner = document["learner"]
        booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
        if booster["name"] != "gbtree":
            raise UnfitForest(f"XGBoost's booster is {booster['name']!r}, not 'gbtree'")
        if learner["objective"]["name"] == "binary:logistic":
            raise UnfitForest("XGBoost turns the sums of leaves into probabilities")
        trees, group = booster["model"]["trees"], np.asarray(booster["model"]["tree_info"], np.int32)
        d = int(parameters["num_target"])
        base = np.array([float(b) for b in parameters["base_score"].strip("[]").split(",")], np.float32)
        per_round = np.diff(np.asarray(booster["model"]["iteration_indptr"]))
        nodes = NodeTable.of(trees, d)
        cuts = nodes.cuts(int(parameters["num_feature"]))
        feature, code, leaf = nodes.flatten(cuts)
        thresholds, n_cuts = np.concatenate([*cuts, np.empty(0, np.float32)]), np.array([len(cut) for cut in cuts])
        base = np.broadcast_to(base, (d,)).copy()
        return cls(thresholds, n_cuts.astype(np.int32), feature, code, leaf, group, base, len(per_round))

    @property
    def n_features(self) -> int:
        """Number f of features."""
        return len(self.n_cuts)

    @property
    def n_outputs(self) -> int:
        """Number d of outputs."""
        return len(self.base)

    @property
    def n_trees(self) -> int:
        """Number T of trees."""
        return len(self.group)

    @property
    def depth(self) -> int:
        """Levels of splits."""
        return int(self.leaf.shape[1]).bit_length() - 1

    @property
    def device(self) -> str:
        """Where it predicts."""
        return "cpu"

    def __call__(self, features: Array) -> Array:
        """Predictions, float32 of shape (n, d), of finite features (n, f)."""
        module = kernels.native()
        if module is None:
            return self.to_xgboost()(features)
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(f"features must have shape (n, {self.n_features}), found {features.shape}")
        out = np.empty((len(features), self.n_outputs), np.float32)
        if len(features):
            module.predict(self._compiled(module), kernels.number(), np.ascontiguousarray(features, np.float32), out)
        return out

    def to_xgboost(self) -> Booster:
        """A booster of XGBoost with these trees, made once."""
        if "xgboost" not in self._made:
            self._made["xgboost"] = Booster.from_bytes(self.to_bytes(), self.n_outputs, checked=False)
        return self._made["xgboost"]  # type: ignore[no-any-return]

    def to_bytes(self) -> bytes:
        """The trees as UBJSON, for XGBoost."""
        from buff.trees.written import encode, model_of

        return encode(model_of(self))

    def packed(self) -> bytes:
        """The forest as the kernels read it."""
        w = self.leaf.shape[2]
        head = np.array([self.n_features, self.n_outputs, self.depth, w, self.n_trees], np.int32).tobytes()
        order = ("n_cuts", "cuts", "feature", "code", "leaf", "group", "base")
        return head + b"".join(kernels.sized(getattr(self, name)) for name in order)

    def to_arrays(self) -> dict[str, Array]:
        """Named arrays that make the forest."""
        return {name: getattr(self, name) for name in _ARRAYS} | {"rounds": np.array(self.rounds, np.int32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "FlatForest":
        """Inverse of :meth:`to_arrays`.

        Raises
        ------
        ValueError
            Arrays are missing, or do not belong together.
        """
        missing = [name for name in (*_ARRAYS, "rounds") if name not in arrays]
        if missing:
            raise ValueError(f"forest: the arrays {', '.join(missing)} are missing")
        own = {name: arrays[name] for name in _ARRAYS}
        return cls(**own, rounds=int(arrays["rounds"]))

    def __reduce__(self) -> Any:
        return FlatForest.from_arrays, (self.to_arrays(),)

    def _compiled(self, module: Any) -> Any:
        if "native" not in self._made:
            self._made["native"] = module.forest(self.packed())
        return self._made["native"]

    def _check(self) -> None:
        """Raise where the arrays do not belong together."""
        T, f, d = len(self.group), len(self.n_cuts), len(self.base)
        if self.leaf.ndim != 3 or self.leaf.shape[1] not in [2**k for k in range(1, DEEPEST + 1)]:
            raise ValueError(f"forest: leaf must have shape (T, 2^depth, w) with depth 1 to 8, found {self.leaf.shape}")
        shape, w = (T, self.leaf.shape[1] - 1), self.leaf.shape[2]
        inside = self.feature.shape == self.code.shape == shape and len(self.leaf) == T
        if not inside or w not in (1, d) or not 1 <= f <= MOST_FEATURES or not d or not 0 <= self.rounds <= T:
            raise ValueError("forest: feature, code, leaf, group and base do not belong together")
        if (self.n_cuts < 0).any() or (self.n_cuts > MOST_CUTS).any() or self.n_cuts.sum() != len(self.cuts):
            raise ValueError(f"forest: each feature has 0 to {MOST_CUTS} cuts, found {self.n_cuts.tolist()}")
        owner = np.repeat(np.arange(f), self.n_cuts)
        rises = np.diff(self.cuts)[owner[1:] == owner[:-1]] > 0
        if not rises.all() or not np.isfinite(self.cuts).all():
            raise ValueError("forest: cuts of a feature must be finite and rise")
        if self.cuts.ndim != 1 or self.n_cuts.ndim != 1 or self.group.ndim != 1 or self.base.ndim != 1:
            raise ValueError("forest: cuts, n_cuts, group and base must be lists of numbers")
        if (self.feature >= f).any() or (self.group < 0).any() or (self.group >= (d if w == 1 else 1)).any():
            raise ValueError("forest: a split or a tree names a feature or an output that is not there")
        if ((self.code >= self.n_cuts[self.feature]) & (self.code != NO_SPLIT)).any():
            raise ValueError("forest: a split names a cut that is not there")
        if not np.isfinite(self.leaf).all() or not np.isfinite(self.base).all():
            raise ValueError("forest: leaves must be finite")


def flattened(trees: Booster | FlatForest) -> Booster | FlatForest:
    """The trees as plain arrays, or as they are where bytes cannot hold them or a GPU predicts them."""
    if isinstance(trees, FlatForest) or trees.device != "cpu":
        return trees
    try:
        return FlatForest.of(trees)
    except UnfitForest:
        return trees
