"""The C++ sampler of a model: headers without dependencies, a model file, an example with its build."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import ExportError
from buff.export.packed import as_generator, condition_columns, outputs_of, pack_sampler
from buff.export.sampler import EventSampler

__all__ = ["export_cpp"]

_HEADERS = (
    *("sampler.hpp", "posterior.hpp", "relations.hpp", "patterns.hpp", "columns.hpp", "quantiles.hpp", "kernels.hpp"),
    *("model.hpp", "special.hpp"),
)
_PARTS = ("block.inc", "scalar.inc", "avx2.inc", "avx512.inc", "neon.inc")

_CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(buff_sampler CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(buff_sampler INTERFACE)
target_include_directories(buff_sampler INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_compile_features(buff_sampler INTERFACE cxx_std_17)
# products and sums stay apart, so that events are those of Python
target_compile_options(buff_sampler INTERFACE $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-ffp-contract=off>)

add_executable(example example.cpp)
target_link_libraries(example PRIVATE buff_sampler)
"""

_EXAMPLE = """\
// Draws events: example MODEL SEED FIRST NUMBER [CONDITION ...]
#include <buff/sampler.hpp>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: %s MODEL SEED FIRST NUMBER [CONDITION ...]\\n", argv[0]);
        return 2;
    }
    try {
        const buff::Sampler sampler = buff::Sampler::from_file(argv[1]);
        buff::Workspace work(sampler);  // one a thread
        std::vector<double> condition, event(sampler.columns().size());
        for (int k = 5; k < argc; k++) condition.push_back(std::strtod(argv[k], nullptr));
        if (condition.size() != sampler.conditions().size()) throw std::runtime_error("one value for each condition");
        const unsigned long long seed = std::strtoull(argv[2], nullptr, 10);
        const unsigned long long first = std::strtoull(argv[3], nullptr, 10);
        const unsigned long long n = std::strtoull(argv[4], nullptr, 10);
        for (unsigned long long i = first; i < first + n; i++) {
            sampler.draw(seed, i, condition.empty() ? nullptr : condition.data(), event.data(), work);
            for (size_t j = 0; j < event.size(); j++) std::printf("%s%.17g", j ? " " : "", event[j]);
            std::printf("\\n");
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\\n", error.what());
        return 1;
    }
}
"""


def export_cpp(model: Any, directory: str | os.PathLike[str]) -> None:
    """Write ``include/buff``, ``model.bin``, ``example.cpp``, ``CMakeLists.txt`` and ``README.md``.

    The headers are the sources of the compiled kernels, so that events are those of Python: the same scores bit by
    bit, and values to the last digit of the C library's ``log`` and ``exp``. Draw j of row i of a
    :class:`buff.BUFFTransport` or of an :class:`buff.Unfolder` is event ``i n_samples + j`` given the row. See
    :func:`buff.export.export_model`.
    """
    model = as_generator(model)
    raw, to = pack_sampler(model), Path(directory)
    include = to / "include" / "buff"
    include.mkdir(parents=True, exist_ok=True)
    for name in (*_HEADERS, *_PARTS):
        source = kernels.sources() / name
        if not source.is_file():
            raise ExportError(f"the header {name} is not installed")
        shutil.copyfile(source, include / name)
    (to / "model.bin").write_bytes(raw)
    (to / "CMakeLists.txt").write_text(_CMAKE)
    (to / "example.cpp").write_text(_EXAMPLE)
    (to / "README.md").write_text(_readme(model))


def _readme(model: Any) -> str:
    """What the columns mean, and an event to compare with."""
    outputs = outputs_of(model)
    labels = {c.name: getattr(c, "levels", ()) for c in condition_columns(model)}
    after = "".join(f" {name.upper()}" for name in labels)
    told = ", followed by a value for each column of the condition" if labels else ""
    lines = [
        "# C++ sampler of a buff model",
        "",
        f"`cmake -S . -B build && cmake --build build && build/example model.bin 0 0 3{after}` draws events 0, 1, 2 of "
        f"seed 0{told}.",
        "",
        *_table("Columns of an event", {name: outputs.levels.get(name, ()) for name in outputs.names}),
    ]
    if labels:
        lines += _table("Columns of the condition", labels)
    else:
        values = " ".join(np.format_float_scientific(x) for x in EventSampler(model, 0).draw(0))
        lines += ["Event 0 of seed 0:", "", f"    {values}", ""]
    return "\n".join(lines)


def _table(title: str, columns: dict[str, Sequence[Any]]) -> list[str]:
    rows = [
        f"| {k} | {name} | {', '.join(f'{code}: {level}' for code, level in enumerate(levels)) or 'number'} |"
        for k, (name, levels) in enumerate(columns.items())
    ]
    return [f"## {title}", "", "| place | name | codes |", "| --- | --- | --- |", *rows, ""]
