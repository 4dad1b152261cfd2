"""Boosted trees: the regressors that fields are made of."""

from buff.boosters.xgboost import Booster, BoosterSettings, cuda_is_available

__all__ = ["Booster", "BoosterSettings", "cuda_is_available"]
