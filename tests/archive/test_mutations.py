"""Files of models with bytes changed at random: refused, or the same events; and no crash where digests agree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("table", "related", "transport", "jets", "showers")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "repaired"])
@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_refused_or_change_nothing(tmp_path, kind, how):
    n = 2000
    command = [sys.executable, "-m", "tests.archive.fuzz", kind, how, str(n), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > n / 20
