import numpy as np
import pytest
from scipy.stats import kstest

from buff.flows import FlowSettings
from buff.flows.stages import Stage, StageNoise
from buff.trees import TreeSettings

QUICK = FlowSettings(n_steps=4, noise_budget=6_000, trees=TreeSettings(n_estimators=5, max_depth=4))


def test_noise_belongs_to_event_stage_and_element():
    whole = StageNoise(3, np.arange(5, 25)).draw(stage=2, n_elements=7, d=3)
    some = StageNoise(3, np.array([6, 9, 24])).draw(stage=2, n_elements=7, d=3)
    assert np.array_equal(some, whole[[1, 4, 19]])
    assert not np.isin(whole, StageNoise(3, np.arange(5, 25)).draw(stage=3, n_elements=7, d=3)).any()
    assert len(np.unique(whole)) == whole.size
    assert StageNoise(3, np.arange(0)).draw(1, 2, 3).shape == (0, 2, 3)


@pytest.mark.parametrize("backend", [None, "xgboost"])
@pytest.mark.parametrize("shape", [(7, 3), (29, 5), (4, 1), (3, 9)])
def test_noise_of_single_elements(shape, backend, monkeypatch):
    if backend:
        monkeypatch.setenv("BUFF_BACKEND", backend)
    noise, rng = StageNoise(3, np.array([6, 9, 24, 1_000_003]), stream=11), np.random.default_rng(0)
    rows, elements = rng.integers(4, size=50), rng.integers(shape[0], size=50)
    whole = noise.draw(2, *shape)
    assert np.array_equal(noise.of(2, rows, elements, *shape), whole[rows, elements])
    assert noise.of(2, rows[:0], elements[:0], *shape).shape == (0, shape[1])


def test_noise_is_the_same_with_and_without_kernels(monkeypatch):
    noise = StageNoise(5, np.array([0, 2, 3]))
    own = noise.draw(1, 6, 5)
    monkeypatch.setenv("BUFF_BACKEND", "xgboost")
    assert np.array_equal(noise.draw(1, 6, 5), own)


def test_noise_is_normal():
    noise = StageNoise(1, np.arange(2000)).draw(0, 3, 2)
    assert kstest(noise.ravel(), "norm").pvalue > 0.01


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    context = np.column_stack([rng.normal(100, 20, 1500), rng.uniform(size=1500)])
    scores = ((context[:, :1] - 100) / 20 + 0.3 * rng.standard_normal((1500, 1))).astype(np.float32)
    return Stage.fit(scores, context, QUICK, seed=1), context


def test_draws_follow_the_context(fitted):
    stage, _ = fitted
    noise = np.random.default_rng(2).standard_normal((600, 1))
    for value in (80.0, 120.0):
        drawn = stage.draw(np.tile([value, 0.5], (600, 1)), noise)
        assert drawn.mean() == pytest.approx((value - 100) / 20, abs=0.15)
        assert drawn.std() == pytest.approx(0.3, abs=0.1)


def test_rows_do_not_depend_on_their_neighbours(fitted):
    stage, context = fitted
    noise = np.random.default_rng(3).standard_normal((200, 1))
    whole = stage.draw(context[:200], noise)
    assert np.array_equal(whole[50:60], stage.draw(context[50:60], noise[50:60]))


def test_arrays_bring_stages_back(fitted):
    stage, context = fitted
    again = Stage.from_arrays(*stage.to_arrays())
    noise = np.random.default_rng(4).standard_normal((50, 1))
    assert np.array_equal(stage.draw(context[:50], noise), again.draw(context[:50], noise))
