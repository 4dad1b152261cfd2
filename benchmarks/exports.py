"""A model outside of Python: sizes of files, imports and installation; events of C++ and ONNX beside Python's."""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.case import Bench

#: Events that are compared, and of which the time is taken.
EVENTS, MANY = 2_000, 20_000
DRIVER = """\
#include <sampler.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>

int main(int argc, char** argv) {
    const buff::Sampler sampler = buff::Sampler::from_file(argv[1]);
    buff::Workspace work(sampler);
    std::vector<double> event(sampler.columns().size());
    const unsigned long long seed = std::strtoull(argv[2], nullptr, 10), n = std::strtoull(argv[3], nullptr, 10);
    for (unsigned long long i = 0; i < n; i++) {
        sampler.draw(seed, i, nullptr, event.data(), work);
        std::fwrite(event.data(), sizeof(double), event.size(), stdout);
    }
    const std::clock_t start = std::clock();
    for (unsigned long long i = 0; i < 10 * n; i++) sampler.draw(seed, i, nullptr, event.data(), work);
    std::fprintf(stderr, "%.9g", 1e6 * double(std::clock() - start) / CLOCKS_PER_SEC / (10.0 * n));
}
"""

Found = tuple[str, Mapping[str, float]]


def exported(bench: Bench, model: Any, seed: int) -> Iterator[Found]:
    """Sizes, seconds, latencies and agreement of what a model is written to."""
    from buff import load

    with TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model.buff")
        load(folder / "model.buff")
        start = time.process_time()
        load(folder / "model.buff")
        yield "model", {"megabytes": _size(folder / "model.buff"), "seconds": time.process_time() - start}
        n = bench.rows(EVENTS, 50) or EVENTS
        yield from _cpp(model, folder / "cpp", n, seed)
        yield from _onnx(model, folder / "onnx", n, bench.rows(MANY, 200) or MANY, seed)
    if not seed:
        yield from _installed()


def _cpp(model: Any, folder: Path, n: int, seed: int) -> Iterator[Found]:
    from buff.export import export_cpp

    export_cpp(model, folder)
    driver = _driver()
    if driver is None:
        sys.stderr.write("without C++: no compiler\n")
        return
    command = [f"{driver.name}/driver", str(folder / "model.bin"), str(seed), str(n)]
    done = subprocess.run(command, check=True, capture_output=True)
    events, expected = np.frombuffer(done.stdout).reshape(n, -1), _sampled(model, n, seed)
    files = {"megabytes": _size(folder / "model.bin"), "latency": float(done.stderr)}
    yield "C++", files | _agreement(events, expected)


@cache
def _driver() -> "TemporaryDirectory[str] | None":
    """Folder of the program that draws; it is the same for all models, and compiled once."""
    from buff import kernels

    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return None
    folder = TemporaryDirectory()
    (Path(folder.name) / "driver.cpp").write_text(DRIVER)
    build = [compiler, "-std=c++17", "-O3", "-ffp-contract=off", f"-I{kernels.sources()}", "driver.cpp", "-o", "driver"]
    subprocess.run(build, cwd=folder.name, check=True)
    return folder


def _onnx(model: Any, folder: Path, n: int, many: int, seed: int) -> Iterator[Found]:
    from buff.export import export_onnx, graph_inputs

    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        sys.stderr.write("without ONNX: pip install onnx onnxruntime\n")
        return
    export_onnx(model, folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    events = session.run(["events"], graph_inputs(model, n, seed))[0]
    inputs = graph_inputs(model, many, seed)
    start = time.process_time()
    session.run(["events"], inputs)
    cpu = (time.process_time() - start) / many * 1e6
    one, start = {name: values[:1] for name, values in inputs.items()}, time.process_time()
    for _ in range(n // 10):
        session.run(["events"], one)
    latency = (time.process_time() - start) / (n // 10) * 1e6
    files = {"megabytes": _size(folder / "model.onnx"), "latency": latency, "cpu": cpu}
    yield "ONNX", files | _agreement(events, _sampled(model, n, seed))


def _installed() -> Iterator[Found]:
    """Size of the package, and CPU seconds until it is imported and until a first estimator is there."""
    import buff

    package = Path(buff.__file__).parent
    size = sum(_size(path) for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    kernels = sum(_size(path) for path in (package / "kernels").glob("compiled*"))
    yield "package", {"megabytes": size, "seconds": _imported("import buff")}
    yield "compiled kernels", {"megabytes": kernels, "seconds": _imported("from buff import kernels; kernels.native()")}
    yield "estimator", {"seconds": _imported("from buff import BUFF")}


def _imported(statement: str) -> float:
    """Median CPU seconds of a fresh interpreter beyond those of an empty one."""

    def seconds(code: str) -> float:
        times = []
        for _ in range(5):
            start = _children()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(_children() - start)
        return float(np.median(times))

    return seconds(statement) - seconds("pass")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sampled(model: Any, n: int, seed: int) -> np.ndarray:
    return np.asarray(model.sample(n, random_state=seed), np.float64)


def _agreement(events: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Share of values that are the same to the last bit, and the largest difference in standard deviations."""
    away = np.abs(events - expected) / expected.std(axis=0)
    return {"same": float((events == expected).mean()), "away": float(away.max())}


def _size(path: Path) -> float:
    return path.stat().st_size / 1e6
