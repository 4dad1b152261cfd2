"""The parts of an HTML page that needs nothing but itself."""

import base64
import secrets
from collections.abc import Iterable, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["checked_page", "figure_html", "page_html", "section_html", "table_html", "write_page"]


def checked_page(path: str | PathLike[str]) -> Path:
    """The path of a page that can be written.

    Raises
    ------
    ValueError
        If the name does not end in ``.html`` or ``.htm``.
    FileNotFoundError
        If the folder does not exist.
    """
    page = Path(path)
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{page}: the page is HTML, give a name that ends in .html")
    if not page.parent.is_dir():
        raise FileNotFoundError(f"{page.parent}: no such folder for the report")
    return page


def page_html(title: str, parts: Iterable[str]) -> str:
    """The whole page; empty parts are left out."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def section_html(heading: str, content: str, note: str = "") -> str:
    """Nothing where there is nothing to show."""
    below = f"<p class='note'>{note}</p>" if note else ""
    return f"<h2>{escape(heading)}</h2>{content}{below}" if content else ""


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already, heads are text."""
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def figure_html(figure: "Figure", caption: str) -> str:
    """A picture inside the page."""
    from buff.plotting.style import as_png

    picture = base64.b64encode(as_png(figure, dpi=130)).decode()
    look = f'style="width:{96 * figure.get_figwidth():.0f}px" alt="{escape(caption)}"'
    caption = f"<figcaption>{escape(caption)}</figcaption>"
    return f'<figure><img {look} src="data:image/png;base64,{picture}">{caption}</figure>'


def write_page(path: Path, page: str) -> None:
    """The file appears under its name when it is complete."""
    hidden = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        hidden.write_text(page, encoding="utf-8")
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


_STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #222;
  background: #fff; max-width: 1180px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; font-weight: 650; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 2.4rem 0 .6rem; }
.cards { display: flex; flex-wrap: wrap; gap: .9rem; margin: 1.4rem 0 0; }
.card { flex: 1 1 190px; border: 1px solid #ddd; border-left: 5px solid #bbb; border-radius: 4px;
  padding: .7rem .9rem; }
.card b { display: block; font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { display: block; line-height: 1.3; }
.card.good { border-left-color: #0072b2; }
.card.fair { border-left-color: #e69f00; }
.card.poor { border-left-color: #d55e00; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: right; border-bottom: 1.5px solid #444; padding: .25rem .55rem; }
td { text-align: right; border-bottom: 1px solid #e5e5e5; padding: .25rem .55rem; white-space: nowrap; }
td .words { display: inline-block; white-space: normal; min-width: 14rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
td .good { color: #005a8c; }
td .fair { color: #8a5f00; }
td .poor { color: #b34700; font-weight: 600; }
small, .note, figcaption { color: #666; font-size: .85rem; font-weight: 400; }
.note, figcaption { max-width: 52rem; margin: .5rem 0 0; }
figure { margin: 0; }
figure img { max-width: 100%; height: auto; }
pre { font-size: .85rem; overflow-x: auto; background: #f6f6f6; padding: .8rem 1rem; }
"""
