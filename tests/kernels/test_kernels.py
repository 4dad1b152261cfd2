import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from buff import kernels
from buff.kernels import backends

built = pytest.mark.skipif(kernels.native() is None, reason=f"no compiled kernels: {kernels.why()}")


def test_unknown_backends_are_refused_by_name(monkeypatch):
    monkeypatch.setenv("BUFF_BACKEND", "fpga")
    with pytest.raises(ValueError, match="'fpga'"):
        kernels.backend()
    missing = "neon" if sys.platform != "darwin" else "avx512"
    monkeypatch.setenv("BUFF_BACKEND", missing)
    if missing not in dict(backends._load()[0].backends() if backends._load()[0] else []):
        with pytest.raises(ValueError, match=f"{missing}: not here"):
            kernels.backend()


def test_xgboost_does_without(monkeypatch):
    monkeypatch.setenv("BUFF_BACKEND", "xgboost")
    assert kernels.backend() == "xgboost"
    assert kernels.native() is None
    assert kernels.why() == "BUFF_BACKEND=xgboost"


@built
def test_normal_quantiles_and_levels_are_scipys():
    u = np.random.default_rng(0).random(20_000)
    z = 6 * np.random.default_rng(1).standard_normal(20_000)
    for own, other, x in ((kernels.native().ndtri, ndtri, u), (kernels.native().ndtr, ndtr, z)):
        got, expected = backends._elementwise(own, x), other(x)
        assert np.allclose(got, expected, rtol=1e-14, atol=0)  # libraries differ in the last bit
        assert not kernels.is_exact() or np.array_equal(got, expected)


@built
def test_normal_quantiles_that_are_not_scipys_are_told_of_once(monkeypatch):
    monkeypatch.setattr(backends, "ndtri", lambda u: ndtri(u) * (1 + 1e-15))
    for cached in (backends.is_exact, backends.warn_of_fallback):
        cached.cache_clear()
    with pytest.warns(UserWarning, match="otherwise than this SciPy.*--no-binary buff-flow") as told:
        exact = [kernels.is_exact() for _ in range(2)]
    assert (exact, len(told)) == ([False, False], 1)
    backends.is_exact.cache_clear()


@built
def test_kernels_that_err_are_left_out_with_a_warning(monkeypatch):
    backends.warn_of_fallback.cache_clear()
    backends._load.cache_clear()
    backends._choice.cache_clear()
    monkeypatch.setattr(backends, "_agrees", lambda module, code: False)
    with pytest.warns(UserWarning, match="failed their check"):
        assert kernels.backend() == "xgboost"
    assert "failed their check" in kernels.why()
    backends._load.cache_clear()
    backends._choice.cache_clear()


@built
@pytest.mark.parametrize("kind", ["forest", "flow", "quantiles"])
def test_bytes_of_something_else_are_refused(kind):
    rng = np.random.default_rng(0)
    for n in (0, 3, 40, 400):
        with pytest.raises(ValueError, match="damaged model"):
            getattr(kernels.native(), kind)(rng.bytes(n))


def test_sources_are_there():
    assert (kernels.sources() / "kernels.hpp").is_file()


def test_import_of_kernels_is_light():
    code = "import sys; from buff import kernels; kernels.backend(); print('xgboost' in sys.modules, 'sklearn' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        == ["False"] * 2
    )
