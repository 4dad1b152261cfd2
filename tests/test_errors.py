"""Words for what is wrong: where it happened, and what to do."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import buff.errors
from buff import BUFF
from buff.errors import MissingExtraError, _size, check_sample_size

FAST = {"n_steps": 3, "n_estimators": 3, "max_depth": 3, "noise_budget": 2000, "n_jobs": 1, "random_state": 0}
RNG = np.random.default_rng(0)


def _ids(given):
    BUFF(**FAST, given=given).fit({"row": np.arange(300), "x": RNG.normal(size=300)})


def _rare():
    jobs = np.where(RNG.random(600) < 0.1, np.arange(600), 0).astype(str).astype(object)
    BUFF(**FAST).fit({"job": jobs, "x": RNG.normal(size=600)})


def _heavy():
    BUFF(**FAST).fit(RNG.normal(size=(300, 2)), sample_weight=RNG.pareto(0.3, 300))


def _outside():
    BUFF(**FAST).fit(RNG.normal(size=(300, 1)), condition=RNG.random(300)).sample(5, condition=7.0)


NOTICES = {
    "ids": lambda: _ids(None),
    "ids, any column given": lambda: _ids("any"),
    "labels of a single row": _rare,
    "heavy weights": _heavy,
    "condition": _outside,
}


@pytest.mark.parametrize("lead", NOTICES.values(), ids=NOTICES)
def test_notices_name_the_line_of_the_user(lead):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lead()
    assert told
    assert {notice.filename for notice in told} == {__file__}


def test_a_missing_extra_is_installed_from_a_checkout(monkeypatch, tmp_path):
    root = Path(__file__).parents[1]
    assert str(MissingExtraError("onnx", "onnx")) == f'onnx is not installed: pip install -e "{root}[onnx]"'
    monkeypatch.setattr(buff.errors, "__file__", str(tmp_path / "site-packages" / "buff" / "errors.py"))
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy", 'onnx>=1.16; extra == "onnx"'])
    assert str(MissingExtraError("onnx", "onnx")) == 'onnx is not installed: pip install "onnx>=1.16"'
    assert str(MissingExtraError("pandas")) == "pandas is not installed: pip install pandas"


def test_more_events_than_the_machine_holds_are_refused(monkeypatch):
    monkeypatch.setattr("buff.errors._machine_memory", lambda: 8_000)
    assert check_sample_size(10, 5) == 10
    with pytest.raises(MemoryError, match=r"n_samples=1,000,000 events of 5 values need .* and this machine has"):
        check_sample_size(1_000_000, 5)


def test_sizes_are_written_in_their_unit():
    assert (_size(2.5e9), _size(3e12), _size(4.2e18)) == ("2.5 GB", "3 TB", "4,200,000 TB")
