"""What type checkers know of buff in a program of a user's: the package says that it is typed."""

import pytest

PROGRAM = """
import numpy as np
import buff
from buff import BUFF
from buff.metrics import wasserstein

model = BUFF(n_steps=4, noise_budget=20_000).fit(np.zeros((10, 2)))
events = model.sample(100)
distance: float = wasserstein(np.zeros((9, 1)), np.ones((9, 1))).value
again = buff.load("model.buff", BUFF)
print(again.sample(3), buff.kernels.backend(), buff.__version__)
anything = buff.load("model.buff")
print(anything.unfold([[1.0]]))
{line}
"""
MISTAKES = {
    "model.sampel(3)": 'has no attribute "sampel"',
    "again.unfold(3)": 'has no attribute "unfold"',
    "buff.nonsense": 'Module has no attribute "nonsense"',
    "BUFF(nonsense=3)": 'Unexpected keyword argument "nonsense"',
    'BUFF(n_steps="ten")': 'incompatible type "str"',
}


@pytest.mark.slow
def test_mistakes_of_users_are_found(tmp_path):
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(line="\n".join(MISTAKES)))
    options = ["--strict", "--ignore-missing-imports", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    found = [line for line in api.run([*options, str(script)])[0].splitlines() if ": error: " in line]
    assert len(found) == len(MISTAKES), found
    first = PROGRAM.count("\n", 0, PROGRAM.index("{line}")) + 1
    for number, (line, message) in enumerate(MISTAKES.items(), first):
        assert any(f"program.py:{number}: " in report and message in report for report in found), (line, found)
