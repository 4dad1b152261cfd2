"""The code of the documentation runs, page by page, and its links lead somewhere."""

import re
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from buff.tables.kinds import KINDS
from buff.transforms.registry import ENCODERS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "start").glob("*.md"))
ROOT = DOCS.parent
ALL = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "FORMAT.md", "CHANGELOG.md", "benchmarks/README.md")]
ALL += sorted(p for p in DOCS.rglob("*.md") if not {"_build", "api", "notebooks"} & set(p.relative_to(DOCS).parts))


@pytest.mark.parametrize(
    "page",
    [*PAGES, DOCS / "from" / "k_diffusion.md", DOCS / "from" / "omnifold.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda p: p.stem,
)
def test_code_of_a_page_runs(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # pages save models
    blocks = [dedent(block) for _, block in re.findall(r"^( *)```python\n(.*?)^\1```", page.read_text(), re.M | re.S)]
    for registry in (KINDS, ENCODERS):  # a page adds a kind of column, which is taken back after it
        monkeypatch.setitem(registry, "positive", None)
        del registry["positive"]
    namespace = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for block in blocks:
            exec(compile(block, str(page), "exec"), namespace)  # the pages are ours


def anchors(page):
    """What headings are called in links, as GitHub and MyST have it."""
    titles = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ALL, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for name, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        notebook = ROOT / "notebooks" / Path(name).name
        target = page if not name else page.parent / name if (page.parent / name).exists() else notebook
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


@pytest.mark.parametrize("page", ALL, ids=lambda p: str(p.relative_to(ROOT)))
def test_addresses_elsewhere_are_whole(page):
    """Encrypted, no dot or bracket at their end; numbers of arXiv have four digits, a dot and four or five."""
    text = page.read_text()
    addresses = re.findall(r"\]\((https?:[^)]*)\)|<(https?:[^>]*)>", text)
    assert all(re.fullmatch(r"https://[\w.-]+\.\w+(/[\w./#-]*[\w/])?", a or b) for a, b in addresses), addresses
    for number in re.findall(r"arxiv(?:\.org/abs/|:)(\S+)", text, re.I):
        assert re.match(r"\d{4}\.\d{4,5}(?!\d)", number), number
