"""Which small changes of the code the tests notice: ``python -m benchmarks.mutants --number 200 --out record.json``.

A mutant has one comparison, sum, number, ``not`` or branch changed. It survives if all tests still pass that run its
line (of a line that runs on import: those that run its file), the shortest first, as long as their time allows. Each
survivor is a line that no test looks at, or a change that makes no difference. ``--base record.json`` tries those of
a record again, but for survivors to which a reader has added ``why`` no test can tell them ("alike": nothing changes;
"number": one that was chosen, a little more or less), and keeps its killed ones.
"""

import argparse
import ast
import contextlib
import importlib
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: Parts of the code that are changed, and the tests that are to notice.
PARTS = ("buff/tables", "buff/flows", "buff/archive", "buff/weights.py")
TESTS = (*PARTS, "tests/tables", "tests/flows", "tests/archive", "tests/test_weights.py")
TESTS += ("tests/generators/test_buff.py", "tests/generators/test_buff_files.py", "tests/generators/test_imputer.py")
TESTS += ("tests/generators/test_structure.py", "tests/test_pinned.py", "tests/randomness")
#: Seconds that tests of one mutant may take as they were, how often longer with it, and tests at most.
_SECONDS, _SLOWER, _MOST_TESTS = 40.0, 5.0, 60
#: Libraries that are loaded once, for all mutants.
_LIBRARIES = ("pytest", "doctest", "scipy.stats", "scipy.optimize", "pandas", "polars", "pyarrow.parquet", "xgboost")
_LIBRARIES += ("sklearn.mixture", "sklearn.ensemble", "sklearn.utils.estimator_checks", "joblib", "tqdm", "h5py")
_SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """A changed line: where, what it was and is, and whether the tests noticed."""

    file: str
    line: int
    before: str
    after: str
    killed: bool
    why: str = ""


class _Change(ast.NodeTransformer):
    """Changes the k-th place that can be changed; counts them all."""

    def __init__(self, k: int = -1) -> None:
        self.k, self.count, self.lines = k, 0, (0, 0)

    def _here(self, node: ast.AST) -> bool:
        self.count += 1
        if self.count - 1 == self.k:
            self.lines = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
            return True
        return False

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if type(node.ops[0]) in _SWAPS and self._here(node):
            node.ops[0] = _SWAPS[type(node.ops[0])]()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in _SWAPS and not isinstance(node.left, ast.Constant | ast.JoinedStr) and self._here(node):
            node.op = _SWAPS[type(node.op)]()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._here(node):
            node.op = _SWAPS[type(node.op)]()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not | ast.Invert) and self._here(node) else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) in (int, float) and self._here(node):
            return ast.copy_location(ast.Constant(node.value + 1), node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if self._here(node.test):
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return node  # annotations compute nothing


@dataclass
class Runs:
    """Which tests run which lines: a plugin of pytest that looks on.

    Attributes
    ----------
    folder : str
        Of the files that are looked at.
    seconds : dict
        Of each test.
    lines : dict
        Tests that run a line of a file, (file, line), or anything of a file, (file, 0).
    """

    folder: str
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
        seen: set[tuple[str, int]] = set()

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(self.folder):
                return None
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        from _pytest.runner import runtestprotocol

        threading.settrace(trace)
        sys.settrace(trace)
        start = time.perf_counter()
        try:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
        if all(report.passed for report in reports):
            self.seconds[item.nodeid] = time.perf_counter() - start
            for file, line in seen:
                own = file.removeprefix(self.folder)
                self.lines[own, line].add(item.nodeid)
                self.lines[own, 0].add(item.nodeid)
        return True

    def of(self, file: str, lines: tuple[int, int]) -> list[str]:
        """Tests of some lines, the shortest first."""
        found = set().union(*(self.lines.get((file, line), set()) for line in range(lines[0], lines[1] + 1)))
        own = sorted(found or self.lines.get((file, 0), set()), key=self.seconds.__getitem__)[:_MOST_TESTS]
        while own and sum(self.seconds[test] for test in own) > _SECONDS:
            own.pop()
        return own


def mutants(number: int, seed: int, known: Path | None, again: Sequence[Mutant] = ()) -> Iterator[Mutant]:
    """Some mutants ``again``, where their lines are still there, and random ones of all parts, against their tests."""
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        for part in ("buff", "baselines", "tests", "benchmarks", "pyproject.toml"):
            own = ROOT / part
            if own.is_dir():
                shutil.copytree(own, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(own, tree / part)
        runs = _runs(tree, known or Path(folder, "runs.pickle"))
        for mutant in again:
            place = None if mutant.why else _found(tree, mutant)
            if mutant.why or place:
                yield mutant if place is None else _tried(tree, *place, runs)
        places = [(file, k) for file in _files(tree) for k in range(_count(file))]
        for file, k in random.Random(seed).sample(places, min(number, len(places))):
            yield _tried(tree, file, k, runs)


def _files(tree: Path) -> list[Path]:
    parts = [tree / part for part in PARTS]
    return sorted({file for part in parts for file in ([part] if part.suffix else part.rglob("*.py"))})


def _found(tree: Path, mutant: Mutant) -> tuple[Path, int] | None:
    """File and number of a change, wherever its line has moved."""
    there = {file: ast.unparse(ast.parse(file.read_text())).splitlines() for file in (tree / "buff").rglob("*.py")}
    files = [file for file, lines in there.items() if mutant.before in map(str.strip, lines)]
    for file in sorted(files, key=lambda file: str(file.relative_to(tree)) != mutant.file):
        for k in range(_count(file)):
            if _lines(file.read_text(), _Change(k))[1:] == (mutant.before, mutant.after):
                return file, k
    return None


def _lines(source: str, change: _Change) -> tuple[str, str, str]:
    """The changed code, and the line that differs before and after."""
    changed = ast.unparse(ast.fix_missing_locations(change.visit(ast.parse(source))))
    pairs = zip(ast.unparse(ast.parse(source)).splitlines(), changed.splitlines(), strict=False)
    before, after = next(((a, b) for a, b in pairs if a != b), ("", ""))
    return changed, before.strip(), after.strip()


def _count(file: Path) -> int:
    change = _Change()
    change.visit(ast.parse(file.read_text()))
    return change.count


def _runs(tree: Path, file: Path) -> Runs:
    """What tests run, from a file if it is there."""
    if not file.exists():
        runs = Runs(f"{tree}{os.sep}")

        def look() -> int:
            _pytest(TESTS, runs)
            found = {"seconds": runs.seconds, "lines": dict(runs.lines)}
            file.write_bytes(pickle.dumps(found))
            return 0

        _apart(tree, look, 3600.0)
    return Runs(f"{tree}{os.sep}", **pickle.loads(file.read_bytes()))


def _tried(tree: Path, file: Path, k: int, runs: Runs) -> Mutant:
    source, change = file.read_text(), _Change(k)
    changed, before, after = _lines(source, change)
    own = str(file.relative_to(tree))
    tests = runs.of(own, change.lines)
    limit = 60.0 + _SLOWER * sum(runs.seconds[test] for test in tests)
    try:
        file.write_text(changed)
        killed = bool(tests) and _apart(tree, lambda: _pytest(tests), limit) != 0
    finally:
        file.write_text(source)
    return Mutant(own, change.lines[0], before, after, killed)


def _pytest(tests: Any, *plugins: Any) -> int:
    import pytest

    return int(pytest.main(["-q", "-p", "no:cacheprovider", *([] if plugins else ["-x"]), *tests], plugins))


def _apart(tree: Path, work: Callable[[], int], limit: float) -> int:
    """What some work in a copy of this process returns; another number than 0 where it takes too long."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        os.chdir(tree)
        sys.dont_write_bytecode = True
        sys.path[:] = [str(tree), str(tree / "baselines"), *(p for p in sys.path if p not in ("", str(ROOT)))]
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main() -> None:
    """Print each mutant, write them with the share that was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, help="file of the tests of each line: written, or read if it is there")
    parser.add_argument("--base", type=Path, help="record whose survivors are tried again")
    parser.add_argument("--out", type=Path, default=Path("results/mutants.json"))
    chosen, tried = parser.parse_args(), []
    base = json.loads(chosen.base.read_text()) if chosen.base else {"killed": 0, "survivors": []}
    again = [Mutant(**own) for own in base["survivors"]]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    for mutant in mutants(chosen.number, chosen.seed, chosen.runs, again):
        tried.append(mutant)
        print(f"{'killed  ' if mutant.killed else 'SURVIVED'} {mutant.file}:{mutant.line}: {mutant.after}", flush=True)
        survivors = [asdict(m) for m in tried if not m.killed]
        killed = base["killed"] + len(tried) - len(survivors)
        alike = sum(str(m["why"]).startswith("alike") for m in survivors)
        record = {"seed": chosen.seed, "tried": killed + len(survivors), "killed": killed, "alike": alike}
        record["score"] = killed / (killed + len(survivors) - alike)
        chosen.out.write_text(json.dumps(record | {"survivors": survivors}, indent=1) + "\n")


if __name__ == "__main__":
    main()
