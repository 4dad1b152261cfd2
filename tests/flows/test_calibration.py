"""Columns as wide as they were."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from buff import BUFF, load
from buff.flows import MarginalCalibration, SampleRequest

SMOOTH = np.array([True, True, False])


def drawn(n, seed=0):
    """Too narrow, skewed, and no score at all."""
    z = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    return np.column_stack([0.9 * z[:, 0] + 0.1, z[:, 1] + 0.1 * (z[:, 1] ** 2 - 1), np.sign(z[:, 2])])


def test_other_draws_become_normal():
    margins = MarginalCalibration.of(drawn(200_000), SMOOTH)
    z = margins(drawn(200_000, seed=1))
    assert np.abs(z[:, :2].mean(axis=0)).max() < 0.01
    assert np.abs(z[:, :2].std(axis=0) - 1).max() < 0.01
    for q in (0.02, 0.2, 0.5, 0.8, 0.98):
        assert np.abs(np.quantile(z[:, :2], q, axis=0) - ndtri(q)).max() < 0.03
    assert np.array_equal(z[:, 2], drawn(200_000, seed=1)[:, 2])


def test_the_map_rises_and_has_no_gaps():
    margins = MarginalCalibration.of(drawn(20_000), SMOOTH)
    x = np.linspace(-8, 8, 4001, dtype=np.float32)
    z = margins(np.column_stack([x, x, x]))
    steps = np.diff(z, axis=0)
    assert steps.min() > 0
    assert steps.max() < 3 * np.diff(x).max()
    assert np.allclose(steps[[0, -1]], np.diff(x)[0], atol=1e-5)


def test_a_row_does_not_depend_on_its_batch():
    margins, x = MarginalCalibration.of(drawn(5000), SMOOTH), drawn(50, 3).astype(np.float32)
    assert np.array_equal(np.concatenate([margins(x[:7]), margins(x[7:])]), margins(x))


@pytest.fixture(scope="module")
def few():
    """Few rows of many columns, where trees that are regularised fall short."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    return X, BUFF(random_state=0, noise_budget=30_000).fit(X)


def test_columns_of_few_rows_are_as_wide_as_they_were(few):
    _, gen = few
    scores = gen.space_.transform(gen.sample(20_000, random_state=1))
    assert np.abs(scores.std(axis=0) - 1).max() < 0.03
    *_, raw = gen.model_.field_trajectory(SampleRequest(2000, 1))
    assert raw.std(axis=0).mean() < 0.99  # what there was to correct


def test_files_and_trajectories(few, tmp_path):
    _, gen = few
    gen.save(tmp_path / "model.buff")
    assert np.array_equal(load(tmp_path / "model.buff").sample(100), gen.sample(100))
    *_, last = gen.trajectory(50)
    assert np.array_equal(last, gen.sample(50))


def test_values_that_repeat_stay_together():
    """Charges that add up to zero go on doing so; numbers beside them are corrected."""
    rng = np.random.default_rng(0)
    charge = rng.choice([-1, 1], 2000)
    X = np.column_stack([charge, -charge, rng.normal(size=2000), np.where(rng.random(2000) < 0.3, 0, charge)])
    gen = BUFF(noise_budget=30_000, atoms="apart", relations=None, random_state=0).fit(X)
    assert gen.model_.calibration.smooth.tolist() == [False, False, True, False]
    bent = gen.sample(5000, random_state=1)
    assert (bent[:, 0] == -bent[:, 1]).mean() > 0.95
    gen.model_ = replace(gen.model_, calibration=None)
    straight = gen.sample(5000, random_state=1)
    assert np.array_equal(straight[:, [0, 1, 3]], bent[:, [0, 1, 3]])
    assert not np.array_equal(straight[:, 2], bent[:, 2])


def test_what_is_exact_stays(few):
    X, _ = few
    assert BUFF(n_estimators=0).fit(X).model_.calibration is None
    assert BUFF(n_estimators=1, noise_budget=1000).fit(X, condition=X[:, 0]).model_.calibration is None
