"""Same seeds, same events: results of small models, bit by bit, as they were recorded.

``python -m tests.test_pinned`` records them anew, for this processor's kernel of linear algebra, after a change that is
meant to change events.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.pinned import CASES, digest

RECORD = Path(__file__).with_name("pinned.json")
#: Other versions may grow other trees, or round otherwise.
VERSIONS = {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "xgboost")}


def kernel():
    """What NumPy computes with here: from one to another sums and logarithms may differ in their last bit.

    The name of the kernel of linear algebra, then the vector instructions of all else.
    """
    np.eye(2) @ np.eye(2)
    own = [info for info in threadpool_info() if info["internal_api"] == "openblas" and "numpy" in info["filepath"]]
    vectors = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return " ".join([own[0]["architecture"] if own else "unknown", *vectors])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_recorded(case):
    record = json.loads(RECORD.read_text())
    if record["versions"] != VERSIONS or kernel() not in record["digests"]:
        pytest.skip(f"recorded with {record['versions']} on {sorted(record['digests'])}")
    assert digest(*CASES[case]()) == record["digests"][kernel()][case]


def _record():
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    digests = record.get("digests", {}) if record.get("versions") == VERSIONS and "--fresh" not in sys.argv else {}
    warnings.simplefilter("ignore")
    digests[kernel()] = {name: digest(*case()) for name, case in CASES.items()}
    RECORD.write_text(json.dumps({"versions": VERSIONS, "digests": dict(sorted(digests.items()))}, indent=1) + "\n")


if __name__ == "__main__":
    _record()
