import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from buff import BUFF, PublishedBUFF


@parametrize_with_checks(
    [
        BUFF(n_steps=3, n_estimators=3, noise_budget=300),
        PublishedBUFF(n_nodes=2, n_steps=2, noise_draws=1, n_estimators=2),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)
