"""Files that version 0.1.0 wrote give the events that they gave."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from buff import kernels, load
from tests.pinned import digest, frame

DATA = Path(__file__).with_name("data")
EVENTS = {
    "table": lambda model: model.sample(400),
    "classes": lambda model: model.sample(400),
    "transport": lambda model: model.sample(frame()[["pt", "tight"]][:100]),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_those_of_0_1_0(name):
    recorded = json.loads((DATA / "events_0_1_0.json").read_text())
    assert digest(EVENTS[name](load(DATA / f"{name}_0_1_0.buff"))) == recorded[name]


@pytest.mark.skipif(kernels.native() is None, reason="without kernels XGBoost predicts")
def test_models_of_this_version_load_and_draw_without_xgboost(tmp_path):
    load(DATA / "table_0_1_0.buff").save(tmp_path / "new.buff")
    code = "import sys; sys.modules['xgboost'] = None; import buff; print(len(buff.load(sys.argv[1]).sample(9)))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "new.buff")], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("9\n", 0), done.stderr
