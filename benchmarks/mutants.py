"""Which small changes of the code the tests notice: ``python -m benchmarks.mutants --number 200 --out record.json``.

A mutant has one comparison, sum, number, ``not`` or branch changed. It survives if the tests of its file still pass,
or, where it has none, those of its part; each survivor is a line that no test looks at, or a change that makes no
difference.
"""

import argparse
import ast
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Parts of the code, and their tests.
TESTS = {
    "buff/tables/relations": ["tests/tables/relations", "buff/tables/relations"],
    "buff/tables": ["tests/tables", "buff/tables"],
    "buff/flows": ["tests/flows", "buff/flows", "tests/generators/test_buff.py"],
    "buff/archive": ["tests/archive", "tests/generators/test_buff_files.py"],
    "buff/weights.py": ["tests/test_weights.py", "buff/weights.py"],
}
_SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """A changed line: where, what it was and is, and whether the tests noticed."""

    file: str
    line: int
    before: str
    after: str
    killed: bool


class _Change(ast.NodeTransformer):
    """Changes the k-th place that can be changed; counts them all."""

    def __init__(self, k: int = -1) -> None:
        self.k, self.count, self.line = k, 0, 0

    def _here(self, node: ast.AST) -> bool:
        self.count += 1
        if self.count - 1 == self.k:
            self.line = getattr(node, "lineno", 0)
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


def mutants(number: int, seed: int) -> Iterator[Mutant]:
    """Random mutants of all parts, each run against the tests of its part."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        ignored = shutil.ignore_patterns(".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
        shutil.copytree(ROOT, tree, ignore=ignored)
        places = [(file, k) for file in _files(tree) for k in range(_count(file))]
        for file, k in random.Random(seed).sample(places, min(number, len(places))):
            yield _tried(tree, file, k)


def _files(tree: Path) -> list[Path]:
    parts = [tree / part for part in TESTS]
    return sorted({file for part in parts for file in ([part] if part.suffix else part.rglob("*.py"))})


def _count(file: Path) -> int:
    change = _Change()
    change.visit(ast.parse(file.read_text()))
    return change.count


def _tried(tree: Path, file: Path, k: int) -> Mutant:
    source, change = file.read_text(), _Change(k)
    changed = ast.unparse(ast.fix_missing_locations(change.visit(ast.parse(source))))
    plain = ast.unparse(ast.parse(source)).splitlines()
    lines = changed.splitlines()
    other = next(i for i, (a, b) in enumerate(zip(plain, lines, strict=False)) if a != b)
    try:
        file.write_text(changed)
        killed = not _pass(tree, _tests(file.relative_to(tree)))
    finally:
        file.write_text(source)
    return Mutant(str(file.relative_to(tree)), change.line, plain[other].strip(), lines[other].strip(), killed)


def _tests(file: Path) -> list[str]:
    """The tests that mirror a file, and its examples; those of its part where there are none."""
    own = Path("tests", *file.parts[1:-1], f"test_{file.name}")
    if (ROOT / own).exists():
        return [str(own), str(file)]
    return TESTS[max((part for part in TESTS if str(file).startswith(part)), key=len)]


def _pass(tree: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(command, cwd=tree, capture_output=True, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main() -> None:
    """Print each mutant, write them with the share that was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/mutants.json"))
    chosen, tried = parser.parse_args(), []
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    for mutant in mutants(chosen.number, chosen.seed):
        tried.append(mutant)
        print(f"{'killed  ' if mutant.killed else 'SURVIVED'} {mutant.file}:{mutant.line}: {mutant.after}", flush=True)
        killed = sum(m.killed for m in tried)
        record = {"seed": chosen.seed, "tried": len(tried), "killed": killed, "score": killed / len(tried)}
        survivors = [asdict(m) for m in tried if not m.killed]
        chosen.out.write_text(json.dumps(record | {"survivors": survivors}, indent=1) + "\n")


if __name__ == "__main__":
    main()
