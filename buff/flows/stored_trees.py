"""Trees of a node as files keep them, with a polynomial or without."""

import io
from typing import Any

import numpy as np

from buff.flows.nodes import SmoothedTrees
from buff.kernels import PolynomialRidge, ReproducibleLinear, n_terms
from buff.records import checked_array, read_array, require
from buff.trees import Booster, FlatForest, restored_trees, stored_trees

__all__ = ["load_trees", "trees_bytes"]

_MAGIC = b"{polynomial2}"


def trees_bytes(trees: SmoothedTrees | Booster | FlatForest) -> bytes:
    """Coefficients of the polynomial if there is one, then the trees as :func:`buff.trees.stored_trees` has them."""
    if not isinstance(trees, SmoothedTrees):
        return stored_trees(trees)
    file = io.BytesIO()
    file.write(_MAGIC)
    facts = np.array([trees.ridge.degree, trees.first, trees.ridge.triples], np.int64)
    for array in (facts, *trees.ridge.linear.to_arrays().values()):
        np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue() + stored_trees(trees.trees)


def load_trees(raw: bytes, n_outputs: int, device: str = "cpu", n_features: int | None = None) -> Any:
    """Trees with a polynomial or without, from :func:`trees_bytes`.

    Raises
    ------
    ArchiveError
        Trees that are refused, or not of these numbers of outputs and of features; a polynomial of other inputs.
    """
    if not raw.startswith(_MAGIC):
        return restored_trees(raw, n_outputs, device, n_features)
    file = io.BytesIO(raw)
    file.seek(len(_MAGIC))
    facts, weights, bias = (read_array(file, "a polynomial") for _ in range(3))
    facts = checked_array(facts, "facts of a polynomial", (3,), kinds="iu", low=0, high=1000)
    parts = {"polynomial/weights": weights, "polynomial/bias": bias}
    linear = ReproducibleLinear.from_arrays(parts, "polynomial", (None, n_outputs)).to_device(device)
    trees = restored_trees(raw[file.tell() :], n_outputs, device, n_features)
    degree, first, triples = int(facts[0]), int(facts[1]), bool(facts[2])
    fits = degree in (2, 3) and n_terms(trees.n_features - first, degree, triples) == len(weights)
    require(fits and first < trees.n_features, "a polynomial of other inputs than the trees have")
    return SmoothedTrees(trees, PolynomialRidge(degree, linear, triples), first)
