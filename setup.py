"""The compiled kernels, an optional part: without a C++ compiler the package installs and samples through XGBoost."""

import platform
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

#: Products and sums stay apart, so that events are the same whatever instructions a processor has. Python's own flags
#: have -fwrapv, with which compilers do not see that indices follow each other.
FLAGS = {
    "unix": [
        *("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-wrapv", "-fvisibility=hidden", "-g0"),
        *("-Wno-maybe-uninitialized", "-Wno-psabi"),
    ],
    "msvc": ["/std:c++17", "/O2", "/fp:precise"],
}


class BuildKernels(build_ext):
    """Flags depend on the compiler."""

    def build_extension(self, ext: Extension) -> None:
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        ext.extra_compile_args = FLAGS[kind]
        super().build_extension(ext)


abi3 = platform.python_implementation() == "CPython"
setup(
    ext_modules=[
        Extension(
            "buff.kernels.compiled",
            ["buff/kernels/src/module.cpp"],
            depends=sorted(glob("buff/kernels/src/*.[hi]*")),
            language="c++",
            optional=True,
            py_limited_api=abi3,
        )
    ],
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if abi3 else {},
)
