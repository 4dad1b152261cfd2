"""The page on batch systems as it stands: its files are submitted to stand-ins, one shard is killed on its way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buff import BUFF

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "batch.md").read_text()
SHARDS, N = 3, 400  # where the page has a hundred shards of a million events

BUFF_COMMAND = """#!/bin/bash
# buff, which is killed the first time that the second shard is asked for
export PYTHONPATH="{root}"
if [[ " $* " == *" --first-event 400 "* && ! -e "{home}/killed" ]]; then
  touch "{home}/killed"
  "{python}" -m buff "$@" & sleep 0.3; kill -9 $!; wait $!
  exit 137
fi
exec "{python}" -m buff "$@"
"""

CONDOR_SUBMIT = """#!/bin/bash
# jobs one after the other, each in a folder of its own to which files are carried; a failed job starts again
set -euo pipefail
value() { sed -n "s/^$1 *= *//p" "$2"; }
executable=$(value executable "$1") retries=$(value max_retries "$1")
[[ "$(value environment "$1")" == '"PATH=$ENV(PATH)"' ]]
for ((process = 0; process < $(sed -n 's/^queue //p' "$1"); process++)); do
  words=$(value arguments "$1"); words=${words//'$(Process)'/$process}
  output=$(value output "$1"); output=${output//'$(Process)'/$process}
  error=$(value error "$1"); error=${error//'$(Process)'/$process}
  for ((go = 0; go <= retries; go++)); do
    node=$(mktemp -d) && cp "$executable" $(value transfer_input_files "$1") "$node" && chmod +x "$node/$executable"
    if (cd "$node" && env -i PATH="$PATH" HOME="$HOME" "./$executable" $words >out 2>err); then
      mv "$node/out" "$output" && mv "$node/err" "$error" && find "$node" -newer "$node/$executable" -name '*.parquet' \
        -exec mv {} . \\; && break
    fi
    echo "job $process started again" >>"$(value log "$1")"
  done
done
"""

SBATCH = """#!/bin/bash
# the tasks of the array one after the other, in this folder, each with a copy of the script
range=$(sed -n 's/^#SBATCH --array=//p' "$1")
for ((task = ${range%-*}; task <= ${range#*-}; task++)); do
  SLURM_ARRAY_TASK_ID=$task bash <(cat "$1") >"slurm-$task.out" 2>&1 || echo "task $task failed"
done
"""


def block(heading, language, number=0):
    """Code of a section of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)[number]


def smaller(text):
    """With few and small shards."""
    changes = ("1000000", str(N)), ("queue 100", f"queue {SHARDS}"), ("0-99", f"0-{SHARDS - 1}"), ("100)", f"{SHARDS})")
    assert sum(text.count(before) for before, _ in changes) in (1, 2)
    for before, after in changes:
        text = text.replace(before, after)
    return text


@pytest.fixture
def submit(tmp_path):
    """Run a command in a folder with a model, where the stand-ins are on the path."""
    command = {"buff": BUFF_COMMAND.format(home=tmp_path, root=ROOT, python=sys.executable)}
    for name, text in (command | {"condor_submit": CONDOR_SUBMIT, "sbatch": SBATCH}).items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    X = np.random.default_rng(0).gamma(2.0, size=(300, 2))
    BUFF(n_steps=3, noise_budget=2000, n_estimators=3).fit(X).save(folder / "model.buff")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(*words):
        return subprocess.run(
            words, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
        )

    run.folder, run.killed = folder, tmp_path / "killed"
    return run


def whole(submit):
    """The events of one run."""
    words = ["buff", "sample", "model.buff", "--first-event", "0", "--seed", "7", "-q", "-o", "whole.parquet", "-n"]
    submit(*words, str(SHARDS * N))
    return pq.read_table(submit.folder / "whole.parquet")


def merged(submit, monkeypatch):
    """The events of all shards, as the page merges them."""
    monkeypatch.chdir(submit.folder)
    names = {}
    exec(smaller(block("Merge", "python")), names)  # the page is ours
    return names["events"].to_table()


@pytest.mark.slow
def test_htcondor(submit, monkeypatch):
    (submit.folder / "sample.sub").write_text(smaller(block("HTCondor", "text")))
    (submit.folder / "sample.sh").write_text(smaller(block("HTCondor", "bash")))
    submit("condor_submit", "sample.sub")
    assert (submit.folder / "sample.log").read_text() == "job 1 started again\n"
    assert submit.killed.exists()
    assert merged(submit, monkeypatch).equals(whole(submit))


@pytest.mark.slow
def test_slurm(submit, monkeypatch):
    (submit.folder / "sample.slurm").write_text(smaller(block("Slurm", "bash")))
    shards = [submit.folder / f"part_{i}.parquet" for i in range(SHARDS)]
    first = submit("sbatch", "sample.slurm")
    assert first.stdout == "task 1 failed\n"
    assert [shard.exists() for shard in shards] == [True, False, True]
    written = [shards[i].stat().st_mtime_ns for i in (0, 2)]
    assert submit("sbatch", "sample.slurm").stdout == ""
    assert [shards[i].stat().st_mtime_ns for i in (0, 2)] == written
    assert merged(submit, monkeypatch).equals(whole(submit))


@pytest.mark.slow
def test_two_shards_are_the_sample_of_both(submit):
    for line in re.findall(r"^buff sample .*", PAGE, re.M)[:2]:
        submit(*line.split())
    submit(*re.search(r"are `(buff sample .*?)`", PAGE)[1].split(), "-o", "whole.parquet")
    parts = [pq.read_table(submit.folder / f"part_{i}.parquet") for i in range(2)]
    assert [part.num_rows for part in parts] == [1000, 1000]
    assert pa.concat_tables(parts).equals(pq.read_table(submit.folder / "whole.parquet"))


def test_dask():
    distributed = pytest.importorskip("distributed", reason="training on a cluster needs dask")
    X = np.random.default_rng(0).exponential(size=(300, 2))
    local = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    code = block("Training: resume and share", "python")
    assert "tcp://scheduler:8786" in code
    with distributed.LocalCluster(**local) as cluster:
        names = {"X": X}
        exec(code.replace("tcp://scheduler:8786", cluster.scheduler_address), names)
        tasks = cluster.scheduler.transition_counter
    assert tasks > 0
    alone = BUFF(n_jobs=1, random_state=0).fit(X)
    np.testing.assert_array_equal(names["gen"].sample(20), alone.sample(20))
