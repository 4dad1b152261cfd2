"""Files of models with bytes changed at random: refused, or the same events; and no crash where digests agree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archive.fuzz import HOW, KINDS

ROOT = Path(__file__).parents[2]


def changed(kind, how, n, folder):
    """Number of refused files, of another process: a crash is no end of the tests."""
    options = ["--kinds", kind, "--how", how, "--number", str(n), "--out", str(folder / "counts.json")]
    command = [sys.executable, "-m", "tests.archive.fuzz", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "counts.json").read_text())[f"{kind}, {how}"]["refused"]


@pytest.mark.parametrize("how", HOW)
def test_a_few_mutations_are_refused_or_change_nothing(tmp_path, how):
    assert changed("related", how, 60, tmp_path) > 3


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_refused_or_change_nothing(tmp_path, kind, how):
    n = 2000
    assert changed(kind, how, n, tmp_path) > n / 20
