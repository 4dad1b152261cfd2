"""A fit that is killed or interrupted: no worker outlives it, no traceback, no file half written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found in /proc"),
]


def children(pid):
    """Processes whose parent is ``pid``, and theirs."""
    own = [p for p in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(p) == pid]
    return own + [grandchild for child in own for grandchild in children(child)]


def parent(pid):
    fields = stat(pid)
    return int(fields[1]) if fields else None


def stat(pid):
    """State, parent and further fields, which stand behind the name."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] != "Z"


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)
    return condition()


@pytest.fixture
def fit(tmp_path):
    """A fit of two workers that goes on for minutes, once its workers are there."""
    rng = np.random.default_rng(0)
    pq.write_table(pa.table({f"x{j}": rng.normal(size=20_000) for j in range(8)}), tmp_path / "events.parquet")
    words = ["fit", tmp_path / "events.parquet", "-o", tmp_path / "m.buff", "-j", 2, "--noise-budget", 4_000_000, "-q"]
    command = [sys.executable, "-m", "buff", *map(str, words)]
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr)
    with process:
        assert until(lambda: len(children(process.pid)) >= 3, 120)
        yield process
        process.kill()


def test_no_worker_outlives_a_fit_that_is_killed(fit, tmp_path):
    workers = children(fit.pid)
    fit.kill()
    fit.wait()
    assert until(lambda: not any(alive(pid) for pid in workers), 60), [pid for pid in workers if alive(pid)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.parquet", "stderr"]


def test_an_interrupted_fit_ends_with_one_line(fit, tmp_path):
    workers = children(fit.pid)
    fit.send_signal(signal.SIGINT)
    assert fit.wait(timeout=60) == 130
    assert (tmp_path / "stderr").read_text() == "buff: interrupted\n"
    assert until(lambda: not any(alive(pid) for pid in workers), 60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.parquet", "stderr"]
