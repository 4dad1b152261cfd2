"""The code of the documentation runs, page by page, and its links lead somewhere."""

import re
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "start").glob("*.md"))
ALL = sorted(p for p in DOCS.rglob("*.md") if not {"_build", "api", "notebooks"} & set(p.relative_to(DOCS).parts))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_code_of_a_page_runs(page, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    namespace = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for block in blocks:
            exec(compile(block, str(page), "exec"), namespace)  # the pages are ours


@pytest.mark.parametrize("page", ALL, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        notebook = DOCS.parent / "notebooks" / Path(target).name
        assert (page.parent / target).exists() or notebook.exists(), target
