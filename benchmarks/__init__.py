"""Measurements of buff: ``benchmarks.run`` records a case, ``benchmarks.compare`` sets two side by side."""

import os

# One thread a process: CPU seconds then mean work done, and busy cores do not spin waiting for each other.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
