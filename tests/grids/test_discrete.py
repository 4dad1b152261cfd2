import math

import numpy as np
import pytest

from buff.grids import TimeGrid, noise_grid
from buff.grids.discrete import ALPHA_BARS, SPACINGS, alpha_bar, ratios, spaced, zero_terminal_snr
from buff.paths import LINEAR


def test_goldens():
    cosine, linear = alpha_bar("cosine_alpha_bar"), alpha_bar("ddpm")
    assert 1 - cosine[0] == pytest.approx(4.128422482e-5, rel=1e-9)
    assert cosine[500] == pytest.approx(0.492285172449, rel=1e-11)
    assert linear[[0, 499, 999]] == pytest.approx([0.9999, 0.0785872428818, 4.035829765e-5], rel=1e-9)
    assert ratios(linear)[-1] == pytest.approx(157.4072808, rel=1e-9)


@pytest.mark.parametrize("name", ALPHA_BARS)
def test_tables_decrease_and_keep_their_noise_when_rescaled(name):
    table = alpha_bar(name)
    assert (np.diff(table) < 0).all()
    assert 0 < table[-1] < table[0] < 1
    if name != "cosine_alpha_bar":  # which is cut at beta = 0.999
        assert math.log(alpha_bar(name, 4000)[-1]) == pytest.approx(math.log(table[-1]), rel=0.02)


def test_scaled_linear_is_linear_in_the_root():
    beta = 1 - alpha_bar("scaled_linear")[1:] / alpha_bar("scaled_linear")[:-1]
    np.testing.assert_allclose(np.diff(np.sqrt(beta), 2), 0, atol=1e-12)
    assert beta[-1] == pytest.approx(0.012)


def test_zero_terminal_snr():
    table = zero_terminal_snr(alpha_bar("ddpm"))
    assert table[-1] == 0
    assert table[0] == pytest.approx(0.9999)
    assert ratios(table)[-1] == math.inf
    assert (np.diff(table) < 0).all()


def test_spacings():
    assert spaced(1000, 5, "linspace") == (0, 250, 500, 749, 999)
    assert spaced(1000, 5, "leading") == (0, 200, 400, 600, 800)
    assert spaced(1000, 5, "trailing") == (199, 399, 599, 799, 999)
    assert spaced(1000, 5, "quadratic") == (0, 50, 200, 450, 800)
    for spacing in SPACINGS:
        with pytest.raises(ValueError, match=f"{spacing} spacing finds no 30 different steps among 20"):
            spaced(20, 30, spacing)


def test_noise_grid_takes_entries_of_the_table():
    table = ratios(alpha_bar("ddpm"))
    assert noise_grid("ddpm", 4) == tuple(table[i] for i in (999, 749, 500, 250, 0))


def test_bad_tables():
    with pytest.raises(ValueError, match="unknown table 'cosine': choose one of ddpm"):
        alpha_bar("cosine")
    with pytest.raises(ValueError, match="T must be at least 2, found 1"):
        alpha_bar("ddpm", 1)
    with pytest.raises(TypeError, match=r"T must be an integer, found 99\.5"):
        noise_grid("ddpm", 4, T=99.5)


def test_a_table_without_signal_at_its_end_makes_a_grid_from_pure_noise():
    grid = noise_grid("ddpm", 6, zero_terminal=True)
    assert grid[0] == math.inf
    assert grid[-1] == noise_grid("ddpm", 6)[-1]
    assert TimeGrid.of_ratios(LINEAR, grid).times[0] == 0.0
