"""Files on a disk that is full, and files whose writer is killed: whole, old or not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from buff.files import whole_file
from buff.io import read_table

ROOT = Path(__file__).parents[1]
FORMATS = ["h5", "npz", "parquet", "csv", "csv.gz", "feather", "root"]
WRITE = """
import os, resource, signal, sys
import numpy as np
from buff.io import TableWriter

path, how = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
with TableWriter(path) as out:
    for i in range(4):
        out.write(np.random.default_rng(i).normal(size=(70_000, 2)))
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def write(path, how):
    command = [sys.executable, "-c", WRITE, str(path), how]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path, suffix):
    done = write(tmp_path / f"x.{suffix}", "full")
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    assert write(path, "whole").returncode == 0
    before = path.read_bytes()
    assert write(path, "killed").returncode == -9
    assert path.read_bytes() == before
    assert read_table(path).num_rows == 280_000


def test_files_that_fail_leave_the_old_one(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(TypeError), whole_file(tmp_path / "x") as file:
        file.writelines([b"new", "no bytes"])
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"
