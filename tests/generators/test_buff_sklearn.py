import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from buff import BUFF, BUFFTransport, PublishedBUFF

ESTIMATORS = [
    BUFF(n_steps=3, n_estimators=3, noise_budget=300),
    BUFFTransport(n_steps=3, n_estimators=3, noise_budget=300, random_state=0),
    BUFFTransport(n_steps=3, n_estimators=3, noise_budget=300, noise=0),
    PublishedBUFF(n_nodes=2, n_steps=2, noise_draws=1, n_estimators=2),
]


@pytest.mark.filterwarnings("ignore:.*left the range of normal scores")  # as 15 rows of 30 columns do
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_tags(estimator):
    tags, transport = get_tags(estimator), isinstance(estimator, BUFFTransport)
    assert tags.estimator_type == (None if transport else "density_estimator")
    assert tags.target_tags.required == transport
    assert not tags.non_deterministic
    assert get_tags(BUFFTransport()).non_deterministic
    assert not get_tags(BUFFTransport(noise=0)).non_deterministic


def test_clone_and_pickle(model, conditional):
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(copy)
    for fitted in (model, conditional):
        twin = pickle.loads(pickle.dumps(fitted))
        assert np.array_equal(twin.sample(20, random_state=3), fitted.sample(20, random_state=3))


def test_y_is_ignored(small, table):
    plain, labelled = small().fit(table[0]), small().fit(table[0], table[1])
    assert np.array_equal(plain.sample(10), labelled.sample(10))
