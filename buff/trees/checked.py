"""Trees from a file, checked before XGBoost sees them: it follows the numbers it is given out of its memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array
from buff.trees.regressor import decode

__all__ = ["check_trees"]

_SQUARES, _OTHERS = "reg:squarederror", ("reg:pseudohubererror", "reg:absoluteerror", "reg:squaredlogerror")
_OBJECTIVES = (_SQUARES, *_OTHERS, "binary:logistic")
_MODEL = ("cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees")
_LEARNER = ("attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective")
#: Arrays of a tree with an entry a node, whole numbers and others, and those of categorical splits, which are empty.
_WHOLE = ("default_left", "left_children", "parents", "right_children", "split_indices", "split_type")
_REAL = ("loss_changes", "split_conditions", "sum_hessian")
_EMPTY = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_TREE = {*_WHOLE, *_REAL, *_EMPTY, "base_weights", "id", "tree_param"}
#: What XGBoost calls the parent of a root.
_NO_PARENT = (-1, 2**31 - 1)


def check_trees(raw: bytes, n_outputs: int | None = None, n_features: int | None = None) -> dict[str, Any]:
    """The document that these bytes are, of gradient-boosted trees that can be walked from root to leaf.

    Parameters
    ----------
    raw : bytes
        UBJSON, as ``xgboost.Booster.save_raw("ubj")`` gives it.
    n_outputs, n_features : int, optional
        Numbers that the trees predict, and columns that they are given; left out, what they say of themselves.

    Raises
    ------
    ArchiveError
        Another booster than ``gbtree``; arrays of unequal length; children out of range, shared or in a circle; splits
        of features that are not there or at no finite number; leaves that are not finite or of another size; counts
        that disagree; keys that XGBoost 3.2 does not write.
    """
    document = _mapping(decode(raw), "a model", ("learner", "version"))
    learner = _mapping(document["learner"], "learner", _LEARNER)
    _require(not len(learner["feature_names"]) and not len(learner["feature_types"]), "features with names or types")
    objective = _mapping(learner["objective"], "objective")
    name = objective.get("name")
    _require(name in _OBJECTIVES, f"objective {name!r:.40}, not one of {', '.join(_OBJECTIVES)}")
    settings = [_mapping(part, key) for key, part in objective.items() if key != "name"]
    texts = [text for part in (learner["attributes"], *settings) for text in _mapping(part, "attributes").values()]
    _require(all(isinstance(text, str) and len(text) < 64 for text in texts), "attributes that are no text")
    n_outputs, n_features = _check_parameters(learner["learner_model_param"], n_outputs, n_features)
    booster = _mapping(learner["gradient_booster"], "gradient_booster", ("model", "name"))
    _require(booster["name"] == "gbtree", f"the booster {booster['name']!r}, not 'gbtree'")
    _check_model(_mapping(booster["model"], "model", _MODEL), n_outputs, n_features)
    return document


def _check_parameters(found: object, n_outputs: int | None, n_features: int | None) -> tuple[int, int]:
    names = ("base_score", "boost_from_average", "num_class", "num_feature", "num_target")
    parameters = _mapping(found, "learner_model_param", names)
    numbers = {name: _digits(parameters[name], name) for name in names[2:]}
    n_features = numbers["num_feature"] if n_features is None else n_features
    n_outputs = numbers["num_target"] if n_outputs is None else n_outputs
    _require(n_outputs > 0, "no outputs")
    _require(numbers["num_feature"] == n_features, f"{numbers['num_feature']} features, not {n_features}")
    _require(numbers["num_target"] == n_outputs, f"{numbers['num_target']} outputs, not {n_outputs}")
    _require(numbers["num_class"] == 0 and parameters["boost_from_average"] in ("0", "1"), "classes")
    text = parameters["base_score"]
    _require(isinstance(text, str) and len(text) <= 64 * (n_outputs + 1), "a base score that is no text")
    try:
        scores = np.array([float(part) for part in text.strip("[]").split(",")])
    except ValueError:
        scores = np.array([np.nan])
    _require(len(scores) in (1, n_outputs) and bool(np.isfinite(scores).all()), f"the base score {text[:40]!r}")
    return n_outputs, n_features


def _check_model(model: Mapping[str, Any], n_outputs: int, n_features: int) -> None:
    cats = _mapping(model["cats"], "cats", ("enc", "feature_segments", "sorted_idx"))
    _require(not any(len(part) for part in cats.values()), "categories")
    counts = _mapping(model["gbtree_model_param"], "gbtree_model_param", ("num_parallel_tree", "num_trees"))
    trees = model["trees"]
    _require(isinstance(trees, list), "trees that are no list")
    n = len(trees)
    _require(_digits(counts["num_trees"], "num_trees") == n, f"{n} trees where {counts['num_trees']} are declared")
    _require(_digits(counts["num_parallel_tree"], "num_parallel_tree") > 0, "rounds without trees")
    ends, outputs = _whole(model["iteration_indptr"], "iteration_indptr"), _whole(model["tree_info"], "tree_info")
    _require(len(outputs) == n, f"tree_info of {len(outputs)} trees, not {n}")
    sizes = [_check_tree(tree, i, n_outputs, n_features) for i, tree in enumerate(trees)]
    shared = n_outputs > 1 and bool(sizes) and sizes[0][1] > 1
    _require(len({vector for _, vector in sizes}) < 2, "leaves of several sizes")
    rounds = len(ends) > 0 and ends[0] == 0 and ends[-1] == n and not np.any(np.diff(ends) < 0)
    _require(rounds, "rounds that are not of all trees")
    _require(bool(((outputs >= 0) & (outputs < (1 if shared else n_outputs))).all()), "trees of outputs that are none")
    if n:
        _check_links(trees, [nodes for nodes, _ in sizes], shared)


def _check_tree(found: object, number: int, n_outputs: int, n_features: int) -> tuple[int, int]:
    """Lengths, types and ranges of one tree; its nodes, and the numbers of a leaf."""
    tree = _mapping(found, f"tree {number}")
    _require(set(tree) - {"leaf_weights"} == _TREE, f"tree {number} with the parts {', '.join(sorted(tree))[:200]}")
    names = ("num_deleted", "num_feature", "num_nodes", "size_leaf_vector")
    counts = _mapping(tree["tree_param"], "tree_param", names)
    _, columns, nodes, size = (_digits(counts[name], name) for name in names)
    _require(nodes > 0 and columns == n_features, f"tree {number} of {nodes} nodes and {columns} features")
    vector = max(size, 1)
    _require(vector in (1, n_outputs) and (vector > 1) == ("leaf_weights" in tree), f"leaves of {size} numbers")
    _require(tree["id"] == number, f"tree {tree['id']!r} in the place of tree {number}")
    _require(not any(len(tree[name]) for name in _EMPTY), f"tree {number} with categorical splits")
    for name in _WHOLE:
        _require(len(_whole(tree[name], name)) == nodes, f"tree {number}: {name} of another length than {nodes}")
    for name in _REAL:
        _require(len(_real(tree[name], name)) == nodes, f"tree {number}: {name} of another length than {nodes}")
    weights = len(_real(tree["base_weights"], "base_weights"))  # of all outputs, or of those that splits were found for
    _require(nodes <= weights <= nodes * vector and not weights % nodes, f"tree {number}: base_weights")
    left = _whole(tree["left_children"], "left_children")
    inner = left != -1
    _require(bool(np.isfinite(tree["split_conditions"]).all()), f"tree {number}: numbers that are not finite")
    indices = _whole(tree["split_indices"], "split_indices")[inner]
    _require(bool(((indices >= 0) & (indices < n_features)).all()), f"tree {number} asks for features beyond its input")
    _require(not np.any(tree["split_type"]), f"tree {number} with categorical splits")
    _require(bool(np.isin(tree["default_left"], (0, 1)).all()), f"tree {number}: default_left")
    if vector > 1:
        leaves = _real(tree["leaf_weights"], "leaf_weights")
        places = _whole(tree["right_children"], "right_children")[~inner]
        _require(bool(np.isfinite(leaves).all()) and not len(leaves) % vector, f"tree {number}: leaf_weights")
        in_range = (places >= 0) & (places < len(leaves) // vector)
        _require(bool(in_range.all()), f"tree {number} names leaves that are not there")
    return nodes, vector


def _check_links(trees: list[dict[str, Any]], sizes: list[int], shared: bool) -> None:
    """Every node but the roots is the child of one other, and roots lead to all that are not deleted."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    own, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    left, right, parents = (
        np.concatenate([_whole(tree[name], name) for tree in trees])
        for name in ("left_children", "right_children", "parents")
    )
    inner = left != -1
    _require(shared or bool((inner == (right != -1)).all()), "nodes with one child")
    for child in (left[inner], right[inner]):
        _require(bool(((child > 0) & (child < size[inner])).all()), "children out of range")
    node = np.flatnonzero(inner)
    above = np.full(len(left), -1)
    for child in (left[inner], right[inner]):
        place = child + own[inner]
        _require(bool((above[place] == -1).all()) and len(np.unique(place)) == len(place), "nodes with two parents")
        above[place] = node
    told = np.where(np.isin(parents, _NO_PARENT), -1, parents + own)
    linked = above >= 0
    _require(bool((told[linked] == above[linked]).all()), "children that name other parents")
    _require(bool((told[starts] == -1).all()), "roots with parents")
    reached, front = 0, starts
    while len(front):
        reached += len(front)
        front = front[inner[front]]
        front = np.concatenate([left[front] + own[front], right[front] + own[front]])
    deleted = sum(_digits(tree["tree_param"]["num_deleted"], "num_deleted") for tree in trees)
    _require(reached + deleted == len(left) and reached == len(starts) + int(linked.sum()), "nodes in a circle or lost")


def _mapping(found: Any, name: str, keys: tuple[str, ...] | None = None) -> dict[str, Any]:
    _require(isinstance(found, dict), f"{name} that is no mapping")
    if keys is not None and set(found) != set(keys):
        raise ArchiveError(f"trees: {name} has the parts {sorted(found)}, not {sorted(keys)}")
    return found  # type: ignore[no-any-return]


def _digits(text: Any, name: str) -> int:
    ok = isinstance(text, str) and 0 < len(text) <= 10 and text.isascii() and text.isdigit()
    _require(ok, f"{name} is {str(text)[:40]!r}, no number")
    return int(text)


def _whole(values: object, name: str) -> Array:
    if isinstance(values, list) and not all(type(value) is int for value in values):
        raise ArchiveError(f"trees: {name} holds more than whole numbers")
    array = np.asarray(values)
    _require(array.ndim == 1 and (array.dtype.kind in "iu" or not len(array)), f"{name} is no array of whole numbers")
    return array.astype(np.int64)


def _real(values: object, name: str) -> Array:
    array = np.asarray(values) if isinstance(values, np.ndarray) else np.empty((0, 0))
    _require(array.ndim == 1 and array.dtype.kind == "f", f"{name} is no array of numbers")
    return array


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ArchiveError(f"trees that cannot be used: {what}")
