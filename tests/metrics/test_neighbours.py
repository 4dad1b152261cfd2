import numpy as np
import pytest

from buff.metrics import memorisation, precision_recall


@pytest.fixture
def rng():
    return np.random.default_rng(29)


def test_fresh_rows_are_not_memorised(rng):
    train, held_out, fresh = rng.normal(size=(3, 2000, 3))
    check = memorisation(train, held_out, fresh)
    assert check.share_closer.value == pytest.approx(0.5, abs=4 * check.share_closer.error)
    assert check.distance_ratio.value == pytest.approx(1.0, abs=4 * check.distance_ratio.error)
    assert (check.copies, check.expected_copies) == (0, 0.0)


def test_fresh_rows_are_not_memorised_however_many_were_trained_on(rng):
    check = memorisation(rng.normal(size=(5000, 2)), rng.normal(size=(500, 2)), rng.normal(size=(900, 2)))
    assert check.share_closer.value == pytest.approx(0.5, abs=4 * check.share_closer.error)


def test_noisy_copies_are_found(rng):
    train, held_out = rng.normal(size=(2, 1000, 4))
    check = memorisation(train, held_out, train + 0.01 * rng.normal(size=train.shape))
    assert check.share_closer.value > 0.95
    assert check.distance_ratio.value < 0.2
    assert check.copies == 0


def test_copies_are_counted_and_compared_with_those_by_chance(rng):
    train, held_out, fresh = rng.integers(0, 3, size=(3, 400, 2))
    check = memorisation(train, held_out, fresh)
    assert (check.copies, check.expected_copies) == (400, 400.0)
    # equal distances are no sign of either
    assert check.share_closer.value == pytest.approx(0.5)
    assert np.isnan(check.distance_ratio.value)


def test_copies_of_wide_rows_are_at_distance_zero(rng):
    train, held_out = 1e3 + rng.normal(size=(2, 200, 40))
    assert memorisation(train, held_out, train, standardise=False).copies == 200


def test_memorisation_weights(rng):
    train, held_out, fresh = rng.normal(size=(3, 300, 2))
    both = np.concatenate([train, fresh])
    check = memorisation(train, held_out, both, generated_weights=np.repeat([0.0, 1.0], 300))
    assert check.share_closer.value == pytest.approx(0.5, abs=5 * check.share_closer.error)
    with pytest.raises(ValueError, match="generated_weights has 300 negative values of 600"):
        memorisation(train, held_out, both, generated_weights=np.repeat([-1.0, 2.0], 300))
    with pytest.raises(ValueError, match=r"held_out has 1 column\(s\), generated 2"):
        memorisation(train, held_out[:, :1], both)


def test_equal_distributions_fill_each_others_balls(rng):
    result = precision_recall(*rng.normal(size=(2, 2000, 2)))
    assert result.density.value == pytest.approx(1.0, abs=0.1)
    # a ball to the 5th neighbour misses all of as many fresh rows with probability (1 / 2)^5
    assert result.coverage.value == pytest.approx(1 - 0.5**5, abs=4 * result.coverage.error)
    assert min(result.precision.value, result.recall.value) > 0.95


def test_dropped_and_invented_modes_are_told_apart(rng):
    left, right = rng.normal(size=(2, 1000, 2)) + np.array([[[-20.0, 0]], [[20.0, 0]]])
    both = np.concatenate([left, right])
    dropped = precision_recall(both, left + 0.01)
    assert dropped.precision.value > 0.99
    assert dropped.recall.value == pytest.approx(0.5, abs=0.01)
    assert dropped.coverage.value == pytest.approx(0.5, abs=0.01)
    invented = precision_recall(left, both)
    assert invented.precision.value == pytest.approx(0.5, abs=0.01)
    assert invented.recall.value > 0.99


def test_blocks_against_a_direct_count(rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    distance = np.linalg.norm(x[:, None] - y, axis=2)
    radius = np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=1)[:, 3]
    inside = distance <= radius[:, None]
    result = precision_recall(x, y, k=3, standardise=False)
    assert result.precision.value == pytest.approx(inside.any(axis=0).mean())
    assert result.density.value == pytest.approx(inside.sum() / (3 * 30))
    assert result.coverage.value == pytest.approx(inside.any(axis=1).mean())
    with pytest.raises(ValueError, match="k: between 1 and 29"):
        precision_recall(x, y, k=30)


def test_ids_of_named_tables_hide_no_copies(rng):
    pd = pytest.importorskip("pandas")
    train, held_out, fresh = (
        pd.DataFrame(
            {"row": np.arange(first, first + 500), "x": rng.normal(size=500), "tag": rng.choice(["a", "b"], 500)}
        )
        for first in (1, 501, 5000)
    )
    found = memorisation(train, held_out, train.assign(row=fresh["row"]))
    assert (found.copies, found.share_closer.value, found.share_near.value) == (500, 1.0, 1.0)
    assert memorisation(train, held_out, fresh).copies == 0
    kept = memorisation(train, held_out, train.assign(row=fresh["row"]), schema={"row": "integer"})
    assert kept.copies == 0
