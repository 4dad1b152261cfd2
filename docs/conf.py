"""Sphinx configuration: pages in Markdown, notebooks as they were run, API from docstrings."""

import shutil
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(ROOT / "baselines")]

project = "buff"
author = "The buff developers"
copyright = "The buff developers"
release = next(
    line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version")
)
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
]
html_theme = "furo"
html_title = f"buff {release}"
exclude_patterns = ["_build", "jupyter_execute"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# links of the files at the top of the repository lead to files there
suppress_warnings = ["myst.header", "myst.xref_missing", "mystnb.unknown_mime_type"]
templates_path = ["_templates"]

#: What the reference is made of: title, module, whether PyTorch is needed.
MODULES = {
    "generators": ("Generators", "buff", ""),
    "metrics": ("Metrics", "buff.metrics", ""),
    "plotting": ("Plots", "buff.plotting", ""),
    "datasets": ("Data sets", "buff.datasets", ""),
    "unfolding": ("Unfolding", "buff.unfolding", ""),
    "tables": ("Tables", "buff.tables", ""),
    "transforms": ("Transforms", "buff.transforms", ""),
    "solvers": ("Solvers", "buff.solvers", ""),
    "grids": ("Grids", "buff.grids", ""),
    "schedules": ("Schedules", "buff.schedules", ""),
    "paths": ("Paths", "buff.paths", ""),
    "couplings": ("Couplings", "buff.couplings", ""),
    "fields": ("Fields", "buff.fields", ""),
    "flows": ("Flows", "buff.flows", ""),
    "trees": ("Trees", "buff.trees", ""),
    "weights": ("Weights of both signs", "buff.weights", ""),
    "physics": ("Physics", "buff.physics", ""),
    "export": ("Export", "buff.export", ""),
    "baselines": ("Neural baselines", "buff_baselines", "torch"),
}


def write_reference() -> None:
    """One page a module: every public name with the first line of its docstring, and a page each."""
    folder = HERE / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    written, described = [], set()
    for page, (title, name, needs) in MODULES.items():
        try:
            module = import_module(name)
        except ImportError:
            if not needs:
                raise
            continue
        public = [n for n in module.__all__ if not n.startswith("_")]
        public = [n for n in public if callable(getattr(module, n)) and getattr(module, n) not in described]
        described |= {getattr(module, n) for n in public}
        about = (module.__doc__ or "").strip()
        lines = [title, "=" * len(title), "", about, "", f".. currentmodule:: {name}", "", ".. autosummary::"]
        lines += ["   :toctree: generated", "   :nosignatures:", "", *(f"   {n}" for n in public), ""]
        (folder / f"{page}.rst").write_text("\n".join(lines))
        written.append(page)
    index = ["Reference", "=========", "", ".. toctree::", "   :maxdepth: 1", "", *(f"   {page}" for page in written)]
    (folder / "index.rst").write_text("\n".join([*index, ""]))


def copy_notebooks() -> None:
    """The notebooks, with the outputs they were committed with."""
    folder = HERE / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, folder)


def setup(app: object) -> None:
    """Leave out what scikit-learn adds to every estimator for its routing of metadata."""

    def skip(app: object, what: str, name: str, obj: object, skipped: bool, options: object) -> bool:
        return skipped or (name.startswith("set_") and name.endswith("_request"))

    app.connect("autodoc-skip-member", skip)  # type: ignore[attr-defined]


write_reference()
copy_notebooks()
