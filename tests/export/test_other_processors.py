"""The kernels as other compilers build them and other processors run them, where cross compilers are installed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from buff import kernels
from buff.export import export_model
from buff.trees import FlatForest
from tests.small_models import asked
from tests.trees.test_forest import MODELS, grown

pytestmark = pytest.mark.slow

#: Compiler, what runs its programs, instructions that have to be there.
PLATFORMS = {
    "clang": ("clang++", [], "scalar"),
    "aarch64": ("aarch64-linux-gnu-g++", ["qemu-aarch64"], "neon"),
    "windows": ("x86_64-w64-mingw32-g++", ["wine"], "scalar"),
}
FLAGS = [
    "-std=c++17",
    "-O1",
    "-ffp-contract=off",
    "-static",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-psabi",
    "-Wno-unknown-warning-option",
    "-Wno-maybe-uninitialized",
]


@pytest.fixture(scope="module", params=PLATFORMS)
def compare(request, tmp_path_factory):
    """Compiles for a platform; gives what the program writes there, by instructions and mode."""
    compiler, runner, needed = PLATFORMS[request.param]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    program = tmp_path_factory.mktemp(request.param) / "compare.exe"
    source = Path(__file__).parents[1] / "kernels" / "compare.cpp"
    subprocess.run([compiler, *FLAGS, "-I", str(kernels.sources()), str(source), "-o", str(program)], check=True)
    if runner and shutil.which(runner[0]) is None:
        pytest.skip(f"it compiles; no {runner[0]} to run it")

    def run(dtype, *arguments):
        done = subprocess.run([*runner, str(program), *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = {}
        for line in done.stdout.splitlines():
            backend, how, *words = line.split()
            found[backend, how] = np.array([int(word, 16) for word in words], f"u{np.dtype(dtype).itemsize}").view(
                dtype
            )
        assert {how for _, how in found} == {"alone", "together"}
        assert needed in {backend for backend, _ in found}
        return found

    return run


@pytest.mark.parametrize(("f", "d", "depth", "layout", "max_bin"), MODELS)
def test_forests_predict_the_same_bits(compare, tmp_path, f, d, depth, layout, max_bin):
    booster, x = grown(f, d, depth, layout, max_bin=max_bin)
    forest, x = FlatForest.of(booster), x[:75]
    (tmp_path / "forest.bin").write_bytes(forest.packed())
    (tmp_path / "rows.bin").write_bytes(np.ascontiguousarray(x).tobytes())
    for predictions in compare(np.float32, "forest", tmp_path / "forest.bin", tmp_path / "rows.bin").values():
        assert np.array_equal(predictions.reshape(len(x), d), booster(x))


NAMES = [
    "plain",
    "onehot",
    "mixed_condition",
    "heun",
    "ancestral",
    "default_mixed",
    "default_classes",
    "default_absent",
    "default_swapped",
    "default_pairs",
    "default_quadratic",
]


@pytest.mark.parametrize("name", NAMES)
def test_events_are_the_same(fitted, compare, tmp_path, name):
    model, n = fitted(name), 70
    export_model(model, tmp_path)
    sampler = model.sampler(random_state=11)
    for condition, _ in asked(name):
        codes = [] if condition is None else [repr(float(x)) for x in sampler._condition(condition)]
        found = compare(np.float64, "events", tmp_path / "model.bin", 11, n, *codes)
        expected = np.array([sampler.draw(i, condition) for i in range(n)])
        first = next(iter(found.values()))
        np.testing.assert_allclose(first.reshape(n, -1), expected, rtol=1e-9)  # other C libraries, other last digits
        for events in found.values():
            assert np.array_equal(events, first, equal_nan=True)
