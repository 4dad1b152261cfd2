"""Boosted trees: the regressors that fields are made of, and classifiers whose odds are ratios of densities."""

from buff.boosters.classifier import Classifier, ClassifierSettings, CrossFit
from buff.boosters.xgboost import Booster, BoosterSettings, cuda_is_available

__all__ = ["Booster", "BoosterSettings", "Classifier", "ClassifierSettings", "CrossFit", "cuda_is_available"]
