"""Colours, fonts and frames: one look, readable in black and white and by the colour-blind."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from buff.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "GENERATED",
    "PALETTE",
    "REAL",
    "SHADE",
    "as_png",
    "drawing",
    "experiment_label",
    "label_text",
    "new_figure",
    "two_digits",
    "unit_text",
]

#: M. Okabe and K. Ito, Color Universal Design (2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
REAL, GENERATED = "#555555", "#D55E00"
SHADE = "#BDBDBD"

_LOOK = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "savefig.dpi": 150,
}


@contextmanager
def drawing(style: str | None = None) -> Iterator[None]:
    """The look of buff, or a style of mplhep such as "CMS", "ATLAS", "LHCb2"; the user's own stays."""
    try:
        import matplotlib
        import mplhep
    except ImportError as error:
        raise MissingExtraError(error.name or "matplotlib", "plot") from error
    if style is not None and not isinstance(getattr(mplhep.style, style, None), dict):
        known = " ".join(name for name, look in vars(mplhep.style).items() if isinstance(look, dict) and name[0] != "_")
        raise ValueError(f"no style {style!r}; mplhep has {known}")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK if style is None else getattr(mplhep.style, style))
        if matplotlib.rcParams["mathtext.cal"] == "cursive":  # few machines have it: matplotlib would complain
            matplotlib.rcParams["mathtext.cal"] = matplotlib.rcParams["mathtext.it"]
        yield


def new_figure(width: float, height: float, layout: Any = "constrained") -> Any:
    """An empty figure for text of 9 points; a style with larger letters gets a larger sheet."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    scale = rcParams["font.size"] / 9
    figure: Any = Figure(figsize=(width * scale, height * scale), layout=layout)
    figure._repr_png_ = partial(as_png, figure)  # notebooks show figures of pyplot only
    fonts = {name: value for name, value in rcParams.items() if name.startswith(("font.", "mathtext."))}
    figure.draw = partial(_draw, figure, fonts)
    return figure


def _draw(figure: "Figure", fonts: dict[Any, Any], renderer: Any) -> None:
    """Draw with the fonts of the style, which matplotlib asks for only when letters are set."""
    from matplotlib import rc_context

    with rc_context(fonts):
        type(figure).draw(figure, renderer)


def as_png(figure: "Figure", dpi: float = 110) -> bytes:
    """The picture as the content of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def unit_text(unit: str) -> str:
    """A unit as matplotlib sets it: powers raised, pT as the symbol it is; one with a $ stays as it is.

    Examples
    --------
    >>> print(unit_text("pT^2"), unit_text("1/pT"), unit_text("GeV"), unit_text("cm^-2"))
    $p_T^{2}$ 1/$p_T$ GeV cm$^{-2}$
    """
    if "$" in unit:
        return unit
    pieces = re.sub(r"\bpT\b(\^-?\d+)?|\^-?\d+", r"$\g<0>$", unit)
    return re.sub(r"\^(-?\d+)", r"^{\1}", pieces.replace("$pT", "$p_T"))


def label_text(text: str) -> str:
    """A name as matplotlib can set it: dollar signs that are no formula are shown as they are.

    Examples
    --------
    >>> print(label_text("$p_T$"), label_text(r"$\\frac{1}{2$"), label_text("net $"))
    $p_T$ \\$\\frac{1}{2\\$ net \\$
    """
    if "$" not in text:
        return text
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    try:
        if is_math_text(text):
            MathTextParser("path").parse(text)
            return text
    except ValueError:
        pass
    return text.replace("$", r"\$")


def two_digits(value: float) -> str:
    """A number with a proper minus sign, and none before zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def experiment_label(axes: Any, experiment: str) -> None:
    """Name of an experiment above axes: the first word in bold, the others slanted, as mplhep sets them."""
    name, _, words = experiment.partition(" ")
    first = axes.set_title(label_text(name), loc="left", fontweight="bold")
    size = float(first.get_fontsize())
    look: dict[str, Any] = {"xytext": (0.35 * size, 0), "textcoords": "offset points", "fontsize": size}
    axes.annotate(label_text(words), (1, 0), xycoords=first, va="bottom", fontstyle="italic", **look)
