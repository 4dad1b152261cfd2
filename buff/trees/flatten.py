"""Between XGBoost's lists of nodes and perfect trees in heap order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from buff.protocols import Array

__all__ = ["DEEPEST", "MOST_CUTS", "MOST_FEATURES", "NO_SPLIT", "NodeTable", "UnfitForest", "model_of", "tree_nodes"]

#: Splits of a feature that a byte tells apart, features that a byte names, levels whose leaves a byte names.
MOST_CUTS, MOST_FEATURES, DEEPEST = 255, 255, 8
#: Code of a node that does not split: no value lies beyond it.
NO_SPLIT = 255


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
        """The nodes of trees as XGBoost writes them, for ``d`` outputs.

        Raises
        ------
        UnfitForest
            Trees split by categories.
        """
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
        """Distinct thresholds of each feature, rising.

        Raises
        ------
        UnfitForest
            More features, or cuts of one, than a byte holds.
        """
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

        Raises
        ------
        UnfitForest
            Trees of more than 8 levels.
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


def model_of(forest: Any) -> dict[str, Any]:
    """A forest as XGBoost's model, for :func:`buff.trees.ubjson.encode`."""
    d, f = forest.n_outputs, forest.n_features
    trees = [_tree(forest, t) for t in range(forest.n_trees)]
    indptr = np.linspace(0, len(trees), forest.rounds + 1).round().astype(int)
    numbers = {"num_parallel_tree": "1", "num_trees": str(len(trees))}
    model = {
        "cats": {
            "enc": [],
            "feature_segments": np.empty(0, np.int32),
            "sorted_idx": np.empty(0, np.int32),
        },
        "gbtree_model_param": numbers,
        "iteration_indptr": indptr.tolist(),
        "tree_info": forest.group.tolist(),
        "trees": trees,
    }
    base = "[" + ",".join(repr(float(b)) for b in forest.base) + "]"
    parameters = {
        "base_score": base,
        "boost_from_average": "0",
        "num_class": "0",
        "num_feature": str(f),
        "num_target": str(d),
    }
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": parameters,
        "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    return {"learner": learner, "version": [3, 2, 0]}


def tree_nodes(forest: Any, t: int) -> NodeTable:
    """Tree t of a forest as a list of nodes, without those that do not split."""
    code, leaf, depth = forest.code[t], forest.leaf[t], forest.depth
    n = len(code)
    place, left, right = [0], [], []
    for k in place:  # grows on the way
        splits = k < n and code[k] != NO_SPLIT
        left.append(len(place) if splits else -1)
        right.append(len(place) + 1 if splits else -1)
        place += [2 * k + 1, 2 * k + 2] if splits else []
    p: Array = np.array(place)
    level = np.floor(np.log2(p + 1)).astype(int)
    inner = np.array(left) >= 0
    value = leaf[np.where(inner, 0, (p + 1) * 2 ** (depth - level) - 2**depth)]
    at = np.minimum(p, n - 1)
    feature = np.where(inner, forest.feature[t][at], 0).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(forest.n_cuts)])
    cut = np.where(inner, starts[feature] + code[at], 0)
    threshold = np.append(forest.cuts, np.float32(0))[cut]
    return NodeTable(np.array([0]), np.array(left, np.int32), np.array(right, np.int32), feature, threshold, value)


def _tree(forest: Any, t: int) -> dict[str, Any]:
    """One tree as XGBoost writes it."""
    nodes = tree_nodes(forest, t)
    inner, (n, w) = nodes.left >= 0, nodes.value.shape
    parents = np.full(n, -1, np.int32)
    for children in (nodes.left, nodes.right):
        parents[children[inner]] = np.flatnonzero(inner)
    parents[0] = 2**31 - 1 if w == 1 else -1
    nothing, zeros = np.empty(0, np.int32), np.zeros(n, np.float32)
    tree: dict[str, Any] = {
        "base_weights": np.zeros(n * w, np.float32),
        "categories": nothing,
        "categories_nodes": nothing,
        "categories_segments": np.empty(0, np.int64),
        "categories_sizes": np.empty(0, np.int64),
        "default_left": np.zeros(n, np.uint8),
        "id": t,
        "left_children": nodes.left,
        "loss_changes": zeros,
        "parents": parents,
        "right_children": nodes.right,
        "split_conditions": np.where(inner, nodes.threshold, nodes.value[:, 0]),
        "split_indices": nodes.feature,
        "split_type": np.zeros(n, np.uint8),
        "sum_hessian": zeros,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(forest.n_features),
            "num_nodes": str(n),
            "size_leaf_vector": str(w),
        },
    }
    if w > 1:  # right children of leaves are rows of their values
        tree["right_children"] = np.where(inner, nodes.right, np.cumsum(~inner) - 1).astype(np.int32)
        tree["leaf_weights"] = nodes.value[~inner].ravel()
    return tree
