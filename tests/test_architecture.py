"""The shape of the code: who may import whom, how long things may get, what stays optional."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from buff import BUFF

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "buff").rglob("*.py"))
#: From the bottom up; a part imports itself and what stands in lines above it.
LAYERS = [
    {"errors", "protocols", "version", "files", "estimator"},
    {"kernels", "randomness", "records", "archive"},
    {"paths", "schedules", "grids", "physics"},
    {"couplings"},
    {"fields", "solvers"},
    {"tables", "datasets"},
    {"trees", "transforms"},
    {"weights"},
    {"flows", "metrics"},
    {"chains"},
    {"export"},
    {"generators"},
]
#: Side branches and front ends with all they may import.
SIDES = {
    "flows": {
        *("errors", "protocols", "files", "kernels", "randomness", "records", "schedules", "grids", "paths"),
        *("couplings", "fields", "solvers", "trees"),
    },
    "metrics": {"errors", "protocols", "tables", "physics", "datasets"},
    "datasets": {"errors", "protocols", "kernels", "tables", "physics"},
    "physics": {"errors", "protocols"},
    "io": {"errors", "protocols", "tables"},
    "plotting": {"errors", "protocols", "tables", "physics", "io", "metrics"},
    "report": {"errors", "protocols", "version", "tables", "physics", "io", "metrics", "plotting"},
    "unfolding": {
        "errors",
        "estimator",
        "kernels",
        "protocols",
        "randomness",
        "flows",
        "records",
        "archive",
        "trees",
        "tables",
        "transforms",
        "generators",
        "metrics",
        "weights",
        "plotting",
    },
    "demo": {"errors", "protocols", "datasets", "generators", "unfolding", "metrics", "report"},
    "cli": {"*"},
    "__init__": {"*"},  # names every part for readers and type checkers, and loads none
    "__main__": {"cli"},
}
#: The only importers of a heavy package.
OWNERS = {"xgboost": {"trees", "flows"}, "torch": {"tables", "metrics"}, "matplotlib": {"plotting", "report"}}
PURE = {"grids", "schedules", "paths", "couplings", "fields", "solvers"}


#: What the neural baselines may use of buff; nothing of buff uses them.
BASELINE_FILES = sorted((ROOT / "baselines").rglob("*.py"))
SHARED = {
    *("errors", "protocols", "randomness", "records", "archive", "grids", "schedules", "paths", "couplings", "solvers"),
    *("fields", "tables", "transforms", "metrics", "datasets", "flows", "generators", "weights"),
}


def test_the_table_of_parts_is_the_list():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("| part | what it is |")[1]
    rows = [set(re.findall("`(.+?)`", line.split("|")[1])) for line in text.split("\n\n")[0].splitlines()[2:]]
    *layers, beside, baselines = rows
    assert layers == LAYERS
    assert beside == set(SIDES) - set().union(*LAYERS) - {"__init__", "__main__"}
    assert baselines == {"baselines/buff_baselines"}


def allowed(part):
    if part in SIDES:
        return SIDES[part]
    below = set()
    for layer in LAYERS:
        below |= layer
        if part in layer:
            return below
    raise AssertionError(f"buff/{part} stands in no layer: say where it belongs")


def part_of(path):
    return path.relative_to(ROOT / "buff").parts[0].removesuffix(".py")


def imports(path):
    """(module, whether it is imported when the file is) of every import."""
    tree = ast.parse(path.read_text())
    late = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    late += [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    lazy = {id(n) for f in late for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "buff":
            yield from ((f"buff.{alias.name}", id(node) not in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) not in lazy


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    part = part_of(path)
    others = {name.split(".")[1] for name, _ in imports(path) if name.startswith("buff.")} - {part}
    permitted = allowed(part)
    assert "*" in permitted or others <= permitted, f"{part} may not import {sorted(others - permitted)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_packages_have_owners_and_come_late(path):
    for name, at_import in imports(path):
        package = name.split(".")[0]
        if package in OWNERS:
            assert part_of(path) in OWNERS[package], f"only {sorted(OWNERS[package])} may import {package}"
            assert not at_import, f"{package} must be imported where it is used"
        if part_of(path) in PURE:
            assert package not in ("sklearn", "pandas", "xgboost", "torch"), f"{package} in the numerical heart"


@pytest.mark.parametrize("path", BASELINE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_baselines_share_the_numerical_heart_and_no_more(path):
    used = {name.split(".")[1] for name, _ in imports(path) if name.startswith("buff.")}
    assert used <= SHARED
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_buff_knows_no_baselines(path):
    assert not any(name.split(".")[0] == "buff_baselines" for name, _ in imports(path))


def test_import_buff_is_light():
    code = "import sys, buff; print(*sorted(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "matplotlib", "pandas", "polars", "xgboost", "sklearn"} & set(loaded.split())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 350


def functions(path):
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]


def code_lines(function):
    body = function.body
    docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    first = body[1 if docstring and len(body) > 1 else 0]
    return function.end_lineno - first.lineno + 1


def test_functions_are_short():
    lengths = sorted(code_lines(f) for path in FILES for f in functions(path))
    assert lengths[len(lengths) // 2] <= 7
    assert lengths[int(0.95 * len(lengths))] <= 35
    assert lengths[-1] <= 60


def test_public_functions_are_annotated_and_described():
    bare = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            bare.append(str(path))
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            overload = public and "overload" in map(ast.unparse, node.decorator_list)
            if public and not overload and not ast.get_docstring(node):
                bare.append(f"{path}: {node.name}")
    assert not bare


#: Files of buff that the fit and the sample of a default model enter.
MOST_FILES = 24


def test_a_reader_follows_fit_and_sample_through_few_files():
    X = np.random.default_rng(0).normal(size=(600, 3))
    quick = {"n_steps": 2, "n_estimators": 1, "noise_budget": 600, "random_state": 0}
    BUFF(**quick).fit(X).sample(5)  # what is imported late is imported now
    entered = set()

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT / "buff"):
            entered.add(str(path.relative_to(ROOT)))

    sys.setprofile(note)
    try:
        BUFF(**quick).fit(X).sample(5)
    finally:
        sys.setprofile(None)
    assert len(entered) <= MOST_FILES, sorted(entered)


def private_names_of_others(path):
    """Private names that a file takes from modules or objects that are not its own."""
    tree = ast.parse(path.read_text())
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    defined |= {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    own = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name | ast.Call)]
    mine = {n.attr for n in own if ast.unparse(n.value) in ("self", "cls", "super()")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("buff"):
            yield from (a.name for a in node.names if a.name.startswith("_") and not a.name.startswith("__"))
        private = isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("_")
        if private and node.attr not in defined | mine:
            yield ast.unparse(node)


#: Methods of the same class that a front end has inherited, called on a twin of itself.
TWINS = {
    "twin._plan",
    "twin._read",
    "twin._chain_cost",
    "fitted._train",
    "student._seed",
    "student._set_model",
    "super()._decode",
}


@pytest.mark.parametrize("path", FILES + BASELINE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_private_names_stay_at_home(path):
    assert not set(private_names_of_others(path)) - TWINS


def names_of(annotation):
    """The types that a union is made of."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        return names_of(annotation.left) | names_of(annotation.right)
    return {ast.unparse(annotation)}


def test_parameters_have_types_that_say_something():
    """``Any`` and ``Array`` are for what comes from other libraries, and for arrays on any device."""
    parameters = [
        parameter.annotation
        for path in FILES
        for f in functions(path)
        for parameter in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, f.args.vararg, f.args.kwarg)
        if parameter is not None and parameter.arg not in ("self", "cls")
    ]
    assert all(parameters)
    vague = sum(bool(names_of(annotation) & {"Any", "Array"}) for annotation in parameters)
    assert vague <= 0.15 * len(parameters)


def test_nothing_names_a_place_that_users_do_not_have():
    hosts = ("files.python" + "hosted", "registry." + "npmjs", "/work" + "/", "/home" + "/")
    texts = [p for p in ROOT.rglob("*") if p.suffix in {".py", ".md", ".toml", ".ipynb", ".cff", ".yaml", ".json"}]
    found = [
        str(p)
        for p in texts
        if not any(part.startswith((".", "venv", "build")) for part in p.relative_to(ROOT).parts)
        and any(host in p.read_text() for host in hosts)
    ]
    assert not found


def test_no_class_name_stands_twice():
    trees = (ast.walk(ast.parse(path.read_text())) for path in FILES + BASELINE_FILES)
    names = [node.name for tree in trees for node in tree if isinstance(node, ast.ClassDef)]
    assert not {name for name in names if names.count(name) > 1}
