"""Forests as nodes of an ONNX graph."""

import numpy as np

from buff.export.graph import Graph
from buff.protocols import Values
from buff.trees import FlatForest
from buff.trees.written import tree_nodes

__all__ = ["tree_ensemble"]


def tree_ensemble(graph: Graph, forest: FlatForest, features: str) -> str:
    """Predictions (n, d), single precision, of features (n, f)."""
    parts: dict[str, list[Values]] = {}

    def put(**arrays: Values) -> None:
        for name, values in arrays.items():
            parts.setdefault(name, []).append(values)

    for t in range(forest.n_trees):
        tree = tree_nodes(forest, t)
        inner, n = tree.left >= 0, len(tree.left)
        zeros, own = np.zeros(n, int), np.full(n, t)
        leaves = np.flatnonzero(~inner)
        put(
            nodes_treeids=own,
            nodes_nodeids=np.arange(n),
            nodes_featureids=tree.feature,
            nodes_values=np.where(inner, tree.threshold, 0).astype(np.float32),
            nodes_modes=np.where(inner, "BRANCH_LT", "LEAF"),
            nodes_truenodeids=np.where(inner, tree.left, 0),
            nodes_falsenodeids=np.where(inner, tree.right, 0),
            nodes_missing_value_tracks_true=zeros,
        )
        w = tree.value.shape[1]
        outputs = np.arange(w) if w > 1 else forest.group[[t]]
        put(
            target_treeids=np.full(len(leaves) * w, t),
            target_nodeids=np.repeat(leaves, w),
            target_ids=np.tile(outputs, len(leaves)),
            target_weights=tree.value[leaves].ravel(),
        )
    if not forest.n_trees:
        return graph.constant(forest.base[None])
    attributes = {name: np.concatenate(values).tolist() for name, values in parts.items()}
    if forest.base.any():
        attributes["base_values"] = forest.base.tolist()
    return graph.op(
        "TreeEnsembleRegressor",
        features,
        domain="ai.onnx.ml",
        n_targets=forest.n_outputs,
        aggregate_function="SUM",
        post_transform="NONE",
        **attributes,
    )
