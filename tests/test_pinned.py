"""Same seeds, same events: results of small models, bit by bit, as they were recorded.

They are the same with every kernel of linear algebra. Events belong to the vector instructions that NumPy's logarithms
and exponentials use; numbers of reports are pinned to ten digits, and the same everywhere. ``python -m
tests.test_pinned`` records reports, and events with the instructions at hand, after a change that is meant to change
them; ``NPY_DISABLE_CPU_FEATURES`` gives events of lesser processors. Add ``reports`` to record these alone.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.pinned import EVENTS, REPORTS, digest

RECORD = Path(__file__).with_name("pinned.json")
#: Other versions may grow other trees, or round otherwise.
VERSIONS = {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "xgboost")}


def instructions():
    """Vector instructions that NumPy uses here: by them logarithms differ in their last bit."""
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


def _compare(case, known, made):
    assert case in known, "not recorded yet: run python -m tests.test_pinned"
    assert digest(*made()) == known[case]


def _record_of_these_versions():
    record = json.loads(RECORD.read_text())
    if record["versions"] != VERSIONS:
        pytest.skip(f"recorded with {record['versions']}")
    return record


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", EVENTS)
def test_events_are_those_recorded(case):
    record = _record_of_these_versions()
    if instructions() not in record["events"]:
        pytest.skip(f"recorded on {sorted(record['events'])}")
    _compare(case, record["events"][instructions()], EVENTS[case])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REPORTS)
def test_reports_are_those_recorded(case):
    _compare(case, _record_of_these_versions()["reports"], REPORTS[case])


def _record(path=RECORD, *, reports_only=False, events=EVENTS, reports=REPORTS):
    """Write what is computed here; of other versions nothing is kept."""
    record = json.loads(path.read_text()) if path.exists() else {}
    kept = record.get("events", {}) if record.get("versions") == VERSIONS else {}
    if reports_only and not kept:
        raise SystemExit("events were recorded with other versions: record everything")
    found = {name: digest(*make()) for name, make in reports.items()}
    if not reports_only:
        kept[instructions()] = {name: digest(*make()) for name, make in events.items()}
    path.write_text(
        json.dumps({"versions": VERSIONS, "reports": found, "events": dict(sorted(kept.items()))}, indent=1) + "\n"
    )


def test_reports_are_recorded_without_the_events(tmp_path):
    path = tmp_path / "pinned.json"
    cases = {"events": {"a": lambda: ([1.0],)}, "reports": {"b": lambda: ([2.0],)}}
    _record(path, **cases)
    others = json.loads(path.read_text())
    others["events"]["of another processor"] = {"a": "0"}
    path.write_text(json.dumps(others))
    _record(path, reports_only=True, events={}, reports={"b": lambda: ([3.0],), "new": lambda: ([4.0],)})
    found = json.loads(path.read_text())
    assert found["events"] == others["events"]
    assert set(found["reports"]) == {"b", "new"}
    assert found["reports"]["b"] != others["reports"]["b"]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _record(reports_only="reports" in sys.argv[1:])
