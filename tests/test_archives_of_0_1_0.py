"""Files that version 0.1.0 wrote give the events that they gave."""

import json
from pathlib import Path

import pytest

from buff import load
from tests.pinned import digest, frame

DATA = Path(__file__).with_name("data")
EVENTS = {
    "table": lambda model: model.sample(400),
    "classes": lambda model: model.sample(400),
    "transport": lambda model: model.transform(frame()[["pt", "tight"]][:100]),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_those_of_0_1_0(name):
    recorded = json.loads((DATA / "events_0_1_0.json").read_text())
    assert digest(EVENTS[name](load(DATA / f"{name}_0_1_0.buff"))) == recorded[name]
