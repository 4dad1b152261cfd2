import numpy as np
import pytest

from buff.metrics.samples import as_weights
from buff.tables import check_weights
from buff.transforms.transformer import checked_weights
from buff.unfolding import event_weights
from buff.weights import positive_weights

X = np.arange(4.0)[:, None]
#: Whoever takes weights of four rows.
DOORS = {
    "core": lambda w: check_weights(w, 4),
    "metrics": lambda w: as_weights(w, 4, "sample_weight"),
    "transformer": lambda w: checked_weights(w, 4),
    "unfolding": lambda w: event_weights.checked_weights(w, 4, "sample_weight"),
    "positive": lambda w: positive_weights(X, w),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, np.nan, 1.0, 1.0], ValueError, r"sample_weight: 1 of 4 values are not finite .* first nan in row 1"),
        (np.ma.masked_array(np.ones(4), [0, 0, 1, 0]), ValueError, "1 of 4 values are not finite"),
        (np.ones(3), ValueError, r"sample_weight: shape \(4,\) expected, one weight a row; found \(3,\)"),
        (np.ones((4, 1)), ValueError, r"shape \(4,\) expected"),
        (np.full(4, 1j), TypeError, "sample_weight: real numbers expected, found dtype complex128"),
        (["a"] * 4, TypeError, "sample_weight: real numbers expected"),
        ([{}] * 4, TypeError, "sample_weight: real numbers expected"),
    ],
)
def test_every_door_says_the_same(door, weights, error, message):
    with pytest.raises(error, match=message):
        DOORS[door](weights)


def test_what_passes():
    np.testing.assert_array_equal(check_weights(None, 3), np.ones(3))
    assert check_weights(np.array([1, True], dtype=object), 2).dtype == np.float64
    assert check_weights([1, -0.5], 2).tolist() == [1, -0.5]
    assert check_weights([-1.0, -2.0], positive_sum=False).tolist() == [-1, -2]
    assert checked_weights([2, 0, 1], 3).tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="must be positive, found -1"):
        check_weights([-1.0], 1)
    with pytest.raises(ValueError, match="has 1 negative values of 2, the first -1 in row 1: subtract them"):
        check_weights([2, -1], 2, signed=False, advice="subtract them")
