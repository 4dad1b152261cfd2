import math
from itertools import pairwise

import numpy as np
import pytest

from buff.grids import NOISE_GRIDS, noise_grid
from buff.grids.noise import iddpm_table, karras
from buff.schedules import SubVariancePreserving, Trigonometric, VariancePreserving


@pytest.mark.parametrize("name", NOISE_GRIDS)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_strictly_decreasing_plain_floats(name, n):
    ratios = noise_grid(name, n)
    assert len(ratios) == n + 1
    assert {type(ratio) for ratio in ratios} == {float}
    assert all(a > b for a, b in pairwise(ratios))
    assert math.isfinite(ratios[0])
    assert ratios[-1] > 0 or name == "pc_jedi"
    assert noise_grid(name, n, append_zero=True) == (ratios if name == "pc_jedi" else (*ratios, 0.0))


@pytest.mark.parametrize(
    ("found", "values"),
    [
        (karras(4), [80, 17.52783196464, 2.515218976147, 0.1697527562688, 0.002]),
        (noise_grid("exponential", 4), [80, 5.656854249492, 0.4, 0.02828427124746, 0.002]),
        (
            karras(8, 0.05, 10.0),
            [
                10,
                6.183794403957,
                3.690735609032,
                2.114073571894,
                1.153945496077,
                0.594754258888,
                0.285994072158,
                0.1262377554,
                0.05,
            ],
        ),
    ],
)
def test_goldens(found, values):
    np.testing.assert_allclose(found, values, rtol=1e-11)
    assert (found[0], found[-1]) == (values[0], values[-1])


def test_karras_runs_from_linear_to_exponential():
    np.testing.assert_allclose(karras(10, 0.1, 50.0, rho=1), np.linspace(50, 0.1, 11))
    np.testing.assert_allclose(karras(10, 0.1, 50.0, rho=1e5), noise_grid("exponential", 10, low=0.1, high=50), 2e-4)


def test_lu_is_uniform_in_lambda():
    log_snr = -np.log(noise_grid("lu", 9))
    np.testing.assert_allclose(np.diff(log_snr), np.ptp(log_snr) / 9)
    np.testing.assert_allclose(noise_grid("lu", 9), noise_grid("exponential", 9))


def test_polyexponential():
    r = np.linspace(0, 1, 7)
    expected = np.exp(np.log(0.002) + (1 - r) ** 2 * np.log(80 / 0.002))
    np.testing.assert_allclose(noise_grid("polyexponential", 6, rho=2), expected)


def test_variance_preserving():
    schedule = VariancePreserving()
    tau = 1 + np.linspace(0, 1, 6) * (1e-3 - 1)
    np.testing.assert_allclose(noise_grid("vp", 5), [schedule.ratio(1 - x) for x in tau], rtol=1e-9)
    roots = 1 + np.linspace(0, 1, 6) * (math.sqrt(1e-3) - 1)
    np.testing.assert_allclose(
        noise_grid("vp", 5, skip="quadratic"), [schedule.ratio(1 - x**2) for x in roots], rtol=1e-9
    )
    np.testing.assert_allclose(np.ptp(np.diff(np.log(noise_grid("vp", 5, skip="logsnr")))), 0, atol=1e-12)
    subvp = [SubVariancePreserving().ratio(1 - x) for x in tau]
    np.testing.assert_allclose(noise_grid("subvp", 5), subvp, rtol=1e-9)


def test_iddpm_goldens():
    table = iddpm_table()
    assert table[0] == pytest.approx(20291.16961, rel=1e-9)
    assert table[500] == pytest.approx(1.01238956395, rel=1e-10)
    assert table[999] == pytest.approx(0.00642541277114, rel=1e-10)
    chosen = noise_grid("iddpm", 18)
    assert set(chosen) <= set(table)
    inside = [u for u in table if 0.002 <= u <= 80]
    assert (chosen[0], chosen[-1]) == (inside[0], inside[-1])


def test_beta_quantiles_have_the_distribution_asked_for():
    u = (np.array(noise_grid("beta_quantile", 400, low=1.0, high=3.0, a=2.0, b=3.0)) - 1) / 2
    assert u.mean() == pytest.approx(2 / 5, abs=1e-3)
    assert u.var() == pytest.approx(0.04, abs=1e-3)


def test_angles():
    np.testing.assert_allclose(
        noise_grid("pc_jedi", 4, max_signal=0.999),
        np.tan(np.linspace(math.acos(0.02), math.acos(0.999), 5)),
        rtol=1e-10,
    )
    halves = -2 * np.log(noise_grid("fpcd", 4))
    np.testing.assert_allclose(halves, [-20, -1.7626187665612, 0, 1.7626187665612, 20], rtol=1e-8, atol=1e-12)
    assert noise_grid("pc_jedi", 3)[0] == pytest.approx(Trigonometric(math.acos(0.02)).ratio(0.0))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kerras", {}, "unknown noise grid 'kerras': choose one of karras, exponential"),
        ("karras", {"rho": 0.5}, "rho must lie in"),
        ("karras", {"low": 0.0}, "0 < low < high"),
        ("karras", {"low": 5.0, "high": 1.0}, "0 < low < high"),
        ("ve", {"high": math.inf}, "0 < low < high"),
        ("vp", {"b0": 3.0, "b1": 1.0}, "0 <= b0 <= b1"),
        ("vp", {"eps": 0.1}, "eps must lie in"),
        ("vp", {"skip": "log"}, "unknown skip 'log'"),
        ("subvp", {"eps": 0.0}, "eps must lie in"),
        ("beta_quantile", {"a": 0.0}, "a must lie in"),
        ("fpcd", {"log_snr": 0.0}, "log_snr must lie in"),
        ("pc_jedi", {"max_signal": 2.0}, r"max_signal must lie in \[0, 1\], found 2.0"),
        ("pc_jedi", {"max_signal": 0.1, "min_signal": 0.5}, "0 < min_signal < max_signal"),
        ("iddpm", {"M": 0}, "M must be at least 1"),
        ("iddpm", {"C1": 0.0}, "C1 must lie in"),
        ("iddpm", {"M": 10}, "of iDDPM's levels lie in"),
        ("ddpm", {"spacing": "random"}, "unknown spacing 'random'"),
        ("ddpm", {"T": 20}, "needs more than T = 20 steps"),
        ("ddpm", {"beta": 1}, "ddpm has no parameter 'beta': choose from T, spacing"),
    ],
)
def test_bad_grids(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        noise_grid(name, 18, **parameters)


def test_bad_number_of_steps():
    with pytest.raises(ValueError, match="n_steps must be a positive integer"):
        karras(0)


@pytest.mark.parametrize("name", NOISE_GRIDS)
@pytest.mark.parametrize("n", [0, 2.5, "4", None, math.nan])
def test_bad_number_of_steps_of_every_rule(name, n):
    with pytest.raises(ValueError, match="n_steps must be a positive integer: found"):
        noise_grid(name, n)


@pytest.mark.parametrize(("parameter", "value"), [("rho", "7"), ("low", "0.1")])
def test_what_is_no_number_is_named(parameter, value):
    with pytest.raises(TypeError, match=f"{parameter}.* number.*found.*{value}"):
        noise_grid("karras", 4, **{parameter: value})


@pytest.mark.parametrize("rho", [1e8, 1e17, math.inf])
def test_karras_has_its_limit(rho):
    np.testing.assert_allclose(noise_grid("karras", 6, rho=rho), noise_grid("exponential", 6), rtol=1e-6)


def test_ratios_that_do_not_decrease_are_refused():
    with pytest.raises(ValueError, match="exponential with .* does not decrease: found 1, 1, .*change its parameters"):
        noise_grid("exponential", 50, low=1.0, high=1 + 1e-15)
