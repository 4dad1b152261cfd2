"""A forest as XGBoost's model, for XGBoost to predict on a GPU, and for files that it reads."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from buff.protocols import Array
from buff.trees.forest import NO_SPLIT, NodeTable

__all__ = ["encode", "model_of", "tree_nodes"]

_CODES = {"i": "i1", "U": "u1", "I": "i2", "l": "i4", "L": "i8", "d": "f4", "D": "f8"}
_LETTERS = {np.dtype(code): letter.encode() for letter, code in _CODES.items()}


def model_of(forest: Any) -> dict[str, Any]:
    """A forest as XGBoost's model, for :func:`encode`."""
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


def encode(value: object) -> bytes:
    """Inverse of :func:`buff.trees.regressor.decode`, for XGBoost to read."""
    if isinstance(value, Mapping):
        return b"{" + b"".join(_text(key) + encode(item) for key, item in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        letter = _LETTERS[value.dtype]
        return b"[$" + letter + b"#" + _length(len(value)) + value.astype(value.dtype.newbyteorder(">")).tobytes()
    if isinstance(value, list):
        return b"[#" + _length(len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        return b"S" + _text(value)
    return b"l" + struct.pack(">i", value)


def _text(text: str) -> bytes:
    return _length(len(text.encode())) + text.encode()


def _length(n: int) -> bytes:
    return b"L" + struct.pack(">q", n)
