import subprocess
import sys

import numpy as np
import pytest

from buff.flows import FlowMatchingData, FlowSettings, RankIntervals, estimate_cost
from buff.flows.trial import narrowed
from buff.trees import TreeSettings

LEVELS = np.random.default_rng(0).uniform(0.01, 0.99, (1000, 5)).astype(np.float32)
DATA = FlowMatchingData(RankIntervals(LEVELS, LEVELS))
CONDITIONAL = FlowMatchingData(RankIntervals(LEVELS, LEVELS), LEVELS[:, :2])


def plan_of(data=DATA, settings=None, **changes):
    how = {"n_steps": 4, "solver": "heun", "noise_budget": 20_000, "n_jobs": 1} | changes
    trial = how.pop("trial", False)
    return estimate_cost(data, FlowSettings(trees=settings or TreeSettings(), **how), trial=trial)


def test_nodes_are_those_with_something_to_learn():
    assert plan_of().times == (0.25, 0.5, 0.75)
    assert plan_of(CONDITIONAL).times == (0.0, 0.25, 0.5, 0.75)
    assert plan_of(settings=TreeSettings(n_estimators=0)).times == ()
    assert plan_of(FlowMatchingData(RankIntervals(LEVELS[:, :0], LEVELS[:, :0]))).times == ()


@pytest.mark.parametrize(("budget", "draws"), [(1, 1), (1400, 1), (20_000, 20), (10**9, 100)])
def test_draws_follow_from_the_budget(budget, draws):
    plan = plan_of(noise_budget=budget)
    assert (plan.n_rows, plan.n_dims, plan.n_conditions, plan.n_draws) == (1000, 5, 0, draws)
    assert f"3 nodes x {1000 * draws:,} rows" in str(plan)


def test_memory_grows_with_rows_columns_and_workers():
    plain = plan_of().memory
    assert plain < plan_of(noise_budget=40_000).memory
    assert plain < plan_of(CONDITIONAL).memory
    assert plain < plan_of(n_jobs=2).memory < plan_of(n_jobs=3).memory
    assert plan_of(n_jobs=50).n_workers == 3


def test_finer_bins_of_conditions_need_larger_histograms():
    steep, told = LEVELS[:, :2], np.floor(40 * LEVELS[:, :2])  # either tells rows apart
    settings = TreeSettings(layout="vector")
    data = (FlowMatchingData(RankIntervals(LEVELS, LEVELS), c) for c in (told, steep))
    few, many = (plan_of(own, settings, noise_budget=1000).memory for own in data)
    features, outputs, bins, sums, leaves = 5 + 2, 5, 256 - settings.max_bin, 16, 2**settings.max_depth
    assert many - few == features * outputs * bins * sums * leaves


#: Nine absent columns go together, and so do six labels: patterns of many columns.
JOINT = """
import resource
import numpy as np
from buff import BUFF

rng = np.random.default_rng(0)
x, count, kind = rng.normal(size=(2000, 18)), rng.poisson(1.0, (2000, 3)), rng.integers(0, 6, 2000)
absent = np.repeat(count == 0, 3, axis=1)
table = np.hstack([np.where(absent, -25, x[:, :9]), x[:, 9:], count, kind[:, None] % [2, 3], kind[:, None]])
model = BUFF(noise_budget=40_000, n_steps=2, n_estimators=20, random_state=0, n_jobs=1)
planned = model.plan(table).memory
model.fit(table)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / planned)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in KiB on Linux")
def test_a_fit_with_joint_atoms_takes_what_is_planned():
    found = subprocess.run([sys.executable, "-c", JOINT], capture_output=True, text=True, check=True)
    assert 0.7 < float(found.stdout) < 1.1


def test_memory_limits_the_workers():
    limit = plan_of(n_jobs=2).memory
    limited = plan_of(n_jobs=3, max_memory=limit)
    assert (limited.n_workers, limited.memory) == (2, limit)
    assert plan_of(n_jobs=3, max_memory=limit - 1).n_workers == 1


def test_too_little_memory_is_refused():
    with pytest.raises(MemoryError, match=r"needs .* MiB and max_memory allows 1 MiB: lower noise_budget \(now 20,000"):
        plan_of(max_memory=2**20)


def test_trial():
    plan = plan_of(CONDITIONAL, trial=True, settings=TreeSettings(n_estimators=6))
    assert plan.cpu_seconds > 0
    assert plan.seconds == pytest.approx(plan.cpu_seconds)
    assert "min" in str(plan)
    assert plan_of().seconds is None
    assert plan_of(n_steps=1, trial=True).cpu_seconds is None


@pytest.mark.parametrize("layout", ["vector", "sketch"])
def test_shared_leaves_need_histograms_of_all_that_splits_see(layout):
    levels = np.random.default_rng(0).uniform(0.01, 0.99, (100, 50)).astype(np.float32)

    def memory(**changes):
        settings = TreeSettings(layout=layout, n_sketch=8, **changes)
        return plan_of(FlowMatchingData(RankIntervals(levels, levels)), settings=settings, noise_budget=100).memory

    seen = 50 if layout == "vector" or TreeSettings(layout="sketch").layout_for(50) == "vector" else 8
    leaves, bins, sums = 2**9 - 2**8, 64, 16
    assert memory(max_depth=9) - memory(max_depth=8) == 50 * bins * seen * sums * leaves


def test_the_trial_of_a_wide_table_looks_at_some_of_its_columns():
    wide = FlowMatchingData(RankIntervals(*(np.tile(LEVELS, (1, 40)),) * 2))
    assert narrowed(wide, 32).n_dims == 32
    assert narrowed(DATA, 32) is DATA
    settings = TreeSettings(n_estimators=2, max_depth=2)
    one = {"solver": "midpoint", "n_steps": 1, "trial": True, "noise_budget": 2000}
    narrow, full = (plan_of(data, settings, **one) for data in (narrowed(wide, 32), wide))
    assert full.cpu_seconds > narrow.cpu_seconds
