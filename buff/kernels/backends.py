"""Which instructions the compiled kernels use, and how to do without.

``BUFF_BACKEND=xgboost|scalar|avx2|avx512|neon`` forces one; without it the fastest that the processor has is used.
Predictions of trees are the same bits whatever the backend.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from buff.errors import warn

__all__ = ["BACKENDS", "VARIABLE", "backend", "chosen_for", "is_exact", "sources", "warn_of_fallback", "why"]

#: Names that ``BUFF_BACKEND`` may have; with "xgboost" nothing compiled is used.
BACKENDS = ("xgboost", "scalar", "avx2", "avx512", "neon")
VARIABLE = "BUFF_BACKEND"


def backend() -> str:
    """Name of the instructions in use, one of ``BACKENDS``.

    Raises
    ------
    ValueError
        ``BUFF_BACKEND`` names none, or one that this processor or this installation lacks.

    Examples
    --------
    >>> backend() in BACKENDS
    True
    """
    return _choice(os.environ.get(VARIABLE, ""))


def why() -> str:
    """Why the backend is what it is, in a few words."""
    wanted, reason = os.environ.get(VARIABLE, ""), _load()[1]
    if wanted:
        return f"{VARIABLE}={wanted}"
    return reason or "the fastest that this processor has"


@cache
def is_exact() -> bool:
    """Whether normal quantiles and levels are SciPy's to the last bit: then so are the events of a fused sampler."""
    module = _load()[0]
    if module is None:
        return False
    k = np.arange(1, 4001)
    u = np.concatenate([k / 4001, 2.0 ** (-k / 80.0), 1 - 2.0 ** (-k / 80.0)])
    z = np.concatenate([(k - 2000) / 250.0, k / 100.0, -k / 100.0])
    pairs = [(module.ndtri, ndtri, u[(u > 0) & (u < 1)]), (module.ndtr, ndtr, z)]
    if all(np.array_equal(_elementwise(own, x), other(x)) for own, other, x in pairs) and _same_noise(module):
        return True
    warn_of_fallback("the compiled kernels round normal quantiles otherwise than this SciPy")
    return False


@cache
def warn_of_fallback(reason: str) -> None:
    """Warn, once a process, that NumPy and XGBoost do what the kernels should, and say how to build them anew."""
    warn(
        f"{reason}: they are left out of it, events are the same and take longer. Build them on this machine (pip "
        "install --force-reinstall --no-binary buff-flow buff-flow; in a clone: python setup.py build_ext --inplace); "
        "if this comes back, please report it"
    )


def sources() -> Path:
    """Folder of the C++ sources, which need nothing but C++17."""
    return Path(__file__).parent / "src"


@cache
def _choice(wanted: str) -> str:
    module, reason = _load()
    names = [name for name, _ in module.backends()] if module else []
    if not wanted:
        return names[0] if names else "xgboost"
    if wanted not in BACKENDS:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(BACKENDS)}: found {wanted!r}")
    if wanted != "xgboost" and wanted not in names:
        raise ValueError(
            f"{VARIABLE}={wanted}: not here, where there are {', '.join(['xgboost', *names])}"
            + (f" ({reason})" if reason else "")
        )
    return wanted


@cache
def chosen_for(wanted: str) -> tuple[Any, int]:
    """The compiled module and the number of a backend, for a value of ``BUFF_BACKEND``; (None, -1) for XGBoost."""
    name, module = _choice(wanted), _load()[0]
    return (None, -1) if name == "xgboost" else (module, int(dict(module.backends())[name]))


@cache
def _load() -> tuple[Any, str]:
    """The module, or None and why."""
    try:
        from buff.kernels import compiled  # type: ignore[attr-defined]
    except ImportError as error:
        return None, f"the compiled kernels are not installed: {error}"
    for name, code in compiled.backends():
        if not _agrees(compiled, code):
            reason = f"the compiled kernels ({name}) failed their check"
            warn_of_fallback(reason)
            return None, reason
    return compiled, ""


def _agrees(module: Any, code: int) -> bool:
    """Whether a small forest predicts what its definition says."""
    from buff.kernels import sized

    rng = np.random.default_rng(0)
    features, outputs, depth, trees, n = 5, 2, 4, 6, 100
    cuts = np.sort(rng.standard_normal((features, 20)).astype(np.float32))
    feature = rng.integers(0, features, (trees, 2**depth - 1)).astype(np.uint8)
    splits = rng.integers(0, 20, feature.shape).astype(np.uint8)
    leaf = rng.standard_normal((trees, 2**depth)).astype(np.float32)
    group = np.arange(trees, dtype=np.int32) % outputs
    head = np.array([features, outputs, depth, 1, trees], np.int32).tobytes()
    arrays = (np.full(features, 20, np.int32), cuts, feature, splits, leaf, group, np.zeros(outputs, np.float32))
    x, out = rng.standard_normal((n, features)).astype(np.float32), np.empty((n, outputs), np.float32)
    module.predict(module.forest(head + b"".join(sized(a) for a in arrays)), code, x, out)
    expected = np.zeros((n, outputs), np.float32)
    for t in range(trees):
        i = np.zeros(n, np.intp)
        for _ in range(depth):
            i = 2 * i + 1 + (x[np.arange(n), feature[t, i]] >= cuts[feature[t, i], splits[t, i]])
        expected[:, group[t]] += leaf[t, i - (2**depth - 1)]
    return np.array_equal(out, expected)


def _elementwise(function: Any, x: Any) -> Any:
    x = np.ascontiguousarray(x, np.float64)
    function(x, out := np.empty_like(x))
    return out


def _same_noise(module: Any) -> bool:
    key = np.random.SeedSequence(7, spawn_key=(1,)).generate_state(2, np.uint64)
    words = np.random.Philox(key=key).advance(6).random_raw(80).reshape(10, 8)[:, :5]
    u = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
    module.normal(chosen_for(os.environ.get(VARIABLE, ""))[1], key, 3, None, 5, out := np.empty((10, 5), np.float32))
    return np.array_equal(out, ndtri(u).astype(np.float32))
