"""Same seeds, same events: results of small models, bit by bit, as they were recorded.

They are the same with every kernel of linear algebra, and belong to the vector instructions that NumPy's logarithms and
exponentials use. ``python -m tests.test_pinned`` records them anew for these, after a change that is meant to change
events; ``NPY_DISABLE_CPU_FEATURES`` gives those of lesser processors.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.pinned import CASES, digest

RECORD = Path(__file__).with_name("pinned.json")
#: Other versions may grow other trees, or round otherwise.
VERSIONS = {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "xgboost")}


def instructions():
    """Vector instructions that NumPy uses here: by them logarithms differ in their last bit."""
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_recorded(case):
    record = json.loads(RECORD.read_text())
    if record["versions"] != VERSIONS or instructions() not in record["digests"]:
        pytest.skip(f"recorded with {record['versions']} on {sorted(record['digests'])}")
    known = record["digests"][instructions()]
    assert case in known, "not recorded yet: run python -m tests.test_pinned"
    assert digest(*CASES[case]()) == known[case]


def _record():
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    digests = record.get("digests", {}) if record.get("versions") == VERSIONS and "--fresh" not in sys.argv else {}
    warnings.simplefilter("ignore")
    digests[instructions()] = {name: digest(*case()) for name, case in CASES.items()}
    RECORD.write_text(json.dumps({"versions": VERSIONS, "digests": dict(sorted(digests.items()))}, indent=1) + "\n")


if __name__ == "__main__":
    _record()
