"""Distributions that samplers leave: predictor-corrector and consistency models."""

from dataclasses import replace

import numpy as np
import pytest

from buff.fields import TimeField
from buff.grids import TimeGrid
from buff.solvers import SOLVERS, Consistency, PredictorCorrector, get_solver, integrate
from tests.problems import P1, P4, VE, moments


@pytest.mark.parametrize("snr", [0.1, 0.165, 0.3])
def test_variance_where_langevin_steps_settle(snr):
    """Of N(m, v): ``v / (1 - snr^2 sigma^2 / v)``, a bias of order snr^2."""
    grid = TimeGrid.of_ratios(VE, (0.5, 0.5 - 1e-9))
    v = 0.25 + 0.5**2
    solver = PredictorCorrector(get_solver("ddim"), snr=snr, n_corrector=300)
    mean, variance = moments(solver, P1.field(VE), grid, 1.3, v)
    assert mean == pytest.approx(1.3)
    settled = v / (1 - snr**2 * 0.5**2 / v)
    kept = (1 - 2 * snr**2 * 0.5**2 / v) ** (2 * 300)
    assert variance == pytest.approx(settled + kept * (v - settled), rel=1e-6)


def peak_widths(solver, n_steps, n=2000):
    """Widths of both peaks of P4 in six dimensions, in units of the true ones."""
    rng = np.random.default_rng(11)
    x = integrate(
        solver,
        P4.field(),
        rng.standard_normal((n, 6)),
        TimeGrid.uniform(n_steps),
        noise=lambda x: rng.standard_normal(x.shape),
    )
    left = x.mean(axis=1) < 0
    assert left.mean() == pytest.approx(0.4, abs=0.04)
    return x[left].std(axis=0).mean() / 0.3, x[~left].std(axis=0).mean() / 0.2


@pytest.mark.parametrize("norm", ["unit", "batch"])
def test_predictor_corrector_keeps_the_widths_of_two_peaks(norm):
    solver = replace(SOLVERS["pc_0165_em250"], n_predictor=None, norm=norm)
    assert peak_widths(solver, 100) == pytest.approx((1, 1), abs=0.04)


def test_too_strong_a_corrector_widens_the_peaks():
    gentle, strong = (replace(SOLVERS["predictor_corrector"], snr=snr, norm="batch") for snr in (0.1, 0.35))
    assert peak_widths(strong, 60)[1] > peak_widths(gentle, 60)[1] + 0.04


def test_predictor_corrector_of_one_column_survives_small_scores():
    rng = np.random.default_rng(0)
    for norm in ("unit", "batch"):
        x = integrate(
            PredictorCorrector(norm=norm),
            P4.field(),
            rng.standard_normal((2000, 1)),
            TimeGrid.uniform(50),
            noise=lambda x: rng.standard_normal(x.shape),
        )
        assert abs(x).max() < 20


def test_mean_of_the_last_step_is_less_noisy():
    kept, dropped = (get_solver("euler_maruyama", noise_at_end=noisy) for noisy in (True, False))
    grid = TimeGrid.uniform(10)
    added = moments(kept, P1.field(), grid, 0.0, 1.0)[1] - moments(dropped, P1.field(), grid, 0.0, 1.0)[1]
    assert added == pytest.approx(0.1 * 0.1)


@pytest.mark.parametrize("levels", [(10.0, 0.05), (10.0, 1.0, 0.05), (10.0, 3.0, 0.6, 0.05)])
def test_an_exact_consistency_model_keeps_its_gaussian_exactly(levels):
    """P1: f carries N(m, s^2 + rho^2) to N(m, s^2 + rho_min^2) whatever the stops."""
    rho_min = 0.05

    def f(x, t, condition):
        ratio = VE.at(t).ratio
        return 1.3 + (x - 1.3) * np.sqrt((0.25 + rho_min**2) / (0.25 + ratio**2))

    solver = Consistency(rho_min)
    mean, variance = moments(solver, TimeField(f, VE, "denoised"), TimeGrid.of_ratios(VE, levels), 1.3, 0.25 + 100)
    assert mean == pytest.approx(1.3, abs=1e-10)
    assert variance == pytest.approx(0.25 + rho_min**2, abs=1e-8)
