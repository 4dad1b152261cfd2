"""FORMAT.md and what is written: every member has its line, and every line its member."""

import re
import zipfile
from pathlib import Path

import pytest

from buff.archive import FORMAT, KINDS
from buff.flows import stored as flows
from buff.trees import stored as trees
from tests.archive import fuzz
from tests.small_models import DEFAULTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "FORMAT.md").read_text()
PARTS = TEXT[TEXT.index("### Parts of models") : TEXT.index("## Format 1")]
#: Members by their last parts: of I, J and K there are numbers, of NAME anything.
ROWS = re.findall(
    r"^\| (`.+?) \|", PARTS.replace(TEXT[TEXT.index("| array |") : TEXT.index("What does not fit")], ""), re.M
)
PATTERNS = [pattern for row in ROWS for pattern in re.findall(r"`(.+?)`", row)]
MODELS = {name: fit for name, fit in fuzz.KINDS.items() if name != "network"}
MODELS |= {name: DEFAULTS[name] for name in ("default_classes", "default_mixed_condition")}


def known(pattern):
    parts = re.split(r"\b([IJK]|NAME)\b", pattern)
    wild = {"I": r"\d+", "J": r"\d+", "K": r"\d+", "NAME": "[^/]+"}
    return re.compile(r"(?:.*/)?" + "".join(wild.get(part, re.escape(part)) for part in parts))


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path, found = tmp_path_factory.mktemp("format") / "m.buff", set()
    saved = [fit() for fit in MODELS.values()]
    unfolder = saved[list(MODELS).index("unfolder")]
    for model in (*saved, unfolder.unfold(fuzz.rows_with_gaps()[1:7, :2])):
        model.save(path)
        found |= set(zipfile.ZipFile(path).namelist()) - {"manifest.json", "record.json"}
    return {re.sub(r"^arrays/(.*)\.npy$|^blobs/(.*)$", r"\1\2", name) for name in found}


@pytest.mark.filterwarnings("ignore")
def test_every_member_is_described(members):
    patterns = [known(pattern) for pattern in PATTERNS]
    assert not {name for name in members if not any(p.fullmatch(name) for p in patterns)}


def test_every_word_of_the_description_is_in_the_code():
    code = "".join(path.read_text() for path in (ROOT / "buff").rglob("*.py"))
    words = {word for pattern in PATTERNS for word in re.split(r"[/.]|\b[IJK]\b|NAME", pattern) if word}
    assert not {word for word in words if not re.search(rf"""["'/]{word}\b|\b{word}: """, code)}


def test_magic_words_and_kinds_are_those_of_the_code():
    assert set(re.findall(r"\{\w+\d\}", TEXT)) == {magic.decode() for magic in (flows._MAGIC, trees._MAGIC)}
    assert f"## Format {FORMAT} " in TEXT
    assert all(f"`{kind}`" in TEXT for kind in KINDS)
