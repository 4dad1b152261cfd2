"""Boosted trees: the regressors that fields are made of, and classifiers whose odds are ratios of densities."""

from buff.kernels import device_arrays, to_numpy
from buff.trees.checked import check_trees
from buff.trees.classifier import Classifier, ClassifierSettings, CrossFit
from buff.trees.forest import FlatForest, UnfitForest, flattened
from buff.trees.regressor import Booster, TreeSettings, cuda_is_available
from buff.trees.stored import restored_trees, stored_trees

__all__ = [
    "Booster",
    "Classifier",
    "ClassifierSettings",
    "CrossFit",
    "FlatForest",
    "TreeSettings",
    "UnfitForest",
    "check_trees",
    "cuda_is_available",
    "device_arrays",
    "flattened",
    "restored_trees",
    "stored_trees",
    "to_numpy",
]
