"""Files of models with bytes changed at random: refused, or the same events; and no crash where digests agree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Bytes of the file as they are, then bytes of members whose sizes and digests are made to agree.
FUZZ = """
import hashlib, io, json, sys, warnings, zipfile
import numpy as np
from buff import BUFF, Unfolder, load
from buff.errors import ArchiveError

warnings.simplefilter("ignore")
rng, folder, repair = np.random.default_rng(0), sys.argv[1], sys.argv[2] == "repaired"
x = rng.normal(size=(300, 3)); x[:, 1] = np.round(x[:, 1], 1)
path = folder + "/model.buff"
quick = dict(n_steps=4, n_estimators=3, noise_budget=1000, random_state=0)
if sys.argv[4] == "BUFF":
    BUFF(**quick).fit(x, condition=np.where(x[:, 0] > 0, "a", "b")).save(path)
    draw = lambda model: model.sample(20)
else:
    how = dict(n_samples=3, n_iterations=1, classifier={"n_estimators": 3}, random_state=0)
    Unfolder(generator=BUFF(**quick), **how).fit(x, x[:, :2] + 0.3 * rng.normal(size=(300, 2))).save(path)
    draw = lambda model: model.unfold(x[:20, :2]).events
raw, events = open(path, "rb").read(), draw(load(path))
with zipfile.ZipFile(path) as zipped:
    whole = {name: zipped.read(name) for name in zipped.namelist()}
refused = 0
for number in range(int(sys.argv[3])):
    if repair:
        members = dict(whole)
        name = rng.choice([key for key in whole if key != "manifest.json"])
        content = bytearray(members[name])
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        members[name] = bytes(content)
        manifest = json.loads(members["manifest.json"])
        manifest["members"][name] = [len(content), hashlib.sha256(content).hexdigest()]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as zipped:
            for key, part in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
                zipped.writestr(key, part)
        changed = buffer.getvalue()
    else:
        changed = bytearray(raw)
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
    with open(path, "wb") as file:
        file.write(changed)
    try:
        model = load(path)
    except ArchiveError:
        refused += 1
        continue
    try:
        drawn = draw(model)
    except ValueError:  # numbers that are possible, and lead beyond the largest
        assert repair, number
        refused += 1
        continue
    assert repair or np.array_equal(drawn, events), number
print(refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n"), [("BUFF", 2000), ("Unfolder", 300)])
@pytest.mark.parametrize("how", ["as they are", "repaired"])
def test_mutations_are_refused_or_change_nothing(tmp_path, how, kind, n):
    command = [sys.executable, "-c", FUZZ, str(tmp_path), how, str(n), kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > n / 10
