import sys
import time

import numpy as np
import pytest
from joblib import Parallel, delayed

from benchmarks.costs import Meter, in_fresh_process

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def spin(seconds):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return seconds


def metered_spin(seconds):
    with Meter() as meter:
        Parallel(n_jobs=2)(delayed(spin)(seconds) for _ in range(2))
    return meter.cost


@linux
def test_seconds_of_workers_count():
    cost = in_fresh_process(metered_spin, 0.4)
    assert cost.cpu >= 0.8


@linux
def test_the_peak_is_seen_even_if_it_is_gone_at_the_end():
    with Meter() as meter:
        table = np.ones(20_000_000)
        time.sleep(0.2)
        del table
    assert meter.cost.memory - meter.cost.memory_before > 1.5e8


def test_sleeping_costs_time_and_hardly_any_work():
    with Meter() as meter:
        time.sleep(0.2)
    assert meter.cost.wall >= 0.2
    assert meter.cost.cpu < 0.15
