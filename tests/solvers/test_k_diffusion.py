"""Samplers that add noise, beside their published loops in sigma: the page for users of k-diffusion, name by name."""

import math
from itertools import pairwise

import numpy as np
import pytest

from buff.fields import Retimed, TimeField
from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR, REDUCED
from buff.solvers import EULER, ReducedRungeKutta, get_solver, integrate
from tests.problems import P2

SIGMAS = [*noise_grid("karras", 7, append_zero=True)]
X = 80 * np.linspace(-1.5, 1.5, 7)[:, None]


def D(x, sigma):
    return P2.split(x, 1.0, sigma)[0]


class Draws:
    """The same numbers whatever is asked for them."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, x):
        return self.rng.standard_normal(x.shape)


def split(f, g, eta):
    up = min(g, eta * (g**2 * (f**2 - g**2) / f**2) ** 0.5)
    return (g**2 - up**2) ** 0.5, up


def ancestral(eta, second):
    x, noise = X, Draws()
    for f, g in pairwise(SIGMAS):
        down, up = split(f, g, eta)
        d = (x - D(x, f)) / f
        if second == "dpm2" and down:
            middle = math.exp((math.log(f) + math.log(down)) / 2)
            y = x + (middle - f) * d
            d = (y - D(y, middle)) / middle
        if second == "dpmpp_2s" and down:
            middle = math.exp((math.log(f) + math.log(down)) / 2)
            y = middle / f * x + (1 - middle / f) * D(x, f)
            x = down / f * x + (1 - down / f) * D(y, middle)
        else:
            x = x + (down - f) * d
        x = x + up * noise(x) if g else x
    return x


def sde_2m(eta, correction):
    x, noise, old, h_last = X, Draws(), None, None
    for f, g in pairwise(SIGMAS):
        now = D(x, f)
        if g == 0:
            x = now
            continue
        h = math.log(f / g)
        z = (eta + 1) * h
        x = g / f * math.exp(-eta * h) * x - math.expm1(-z) * now
        if old is not None:
            weight = -0.5 * math.expm1(-z) if correction == "midpoint" else 1 + math.expm1(-z) / z
            x = x + weight * h / h_last * (now - old)
        x = x + g * (-math.expm1(-2 * eta * h)) ** 0.5 * noise(x)
        old, h_last = now, h
    return x


def churned(s_churn, s_min, s_max, s_noise, heun):
    x, noise = X, Draws()
    for f, g in pairwise(SIGMAS):
        gamma = min(s_churn / (len(SIGMAS) - 1), 2**0.5 - 1) if s_min <= f <= s_max else 0.0
        raised = f * (1 + gamma)
        if gamma:
            x = x + (raised**2 - f**2) ** 0.5 * s_noise * noise(x)
        d = (x - D(x, raised)) / raised
        y = x + (g - raised) * d
        x = x + (g - raised) * (d + (y - D(y, g)) / g) / 2 if heun and g else y
    return x


ETA = 0.6
CHURN = {"s_churn": 3.0, "s_min": 0.05, "s_max": 20.0, "s_noise": 1.003}
PAIRS = {
    "sample_euler_ancestral": (get_solver("euler_ancestral", eta_ddim=ETA), lambda: ancestral(ETA, "")),
    "sample_dpm_2_ancestral": (get_solver("dpm2_ancestral", eta_ddim=ETA), lambda: ancestral(ETA, "dpm2")),
    "sample_dpmpp_2s_ancestral": (get_solver("dpmpp_2s_ancestral", eta_ddim=ETA), lambda: ancestral(ETA, "dpmpp_2s")),
    "sample_dpmpp_2m_sde": (get_solver("dpmpp_2m_sde", eta_sde=ETA), lambda: sde_2m(ETA, "midpoint")),
    "heun of sample_dpmpp_2m_sde": (
        get_solver("dpmpp_2m_sde", eta_sde=ETA, correction="trapezoid"),
        lambda: sde_2m(ETA, "trapezoid"),
    ),
    "sample_heun": (get_solver("edm_stochastic", **CHURN), lambda: churned(**CHURN, heun=True)),
    "sample_euler": (
        get_solver("edm_stochastic", inner=ReducedRungeKutta(EULER), **CHURN),
        lambda: churned(**CHURN, heun=False),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_samplers_are_those_of_their_names(name):
    solver, published = PAIRS[name]
    field = Retimed(TimeField(lambda x, t, c: D(x, REDUCED.at(t).sigma), path=REDUCED, predicts="denoised"), LINEAR)
    grid = TimeGrid.of_ratios(LINEAR, SIGMAS)
    x = integrate(solver, field, X * LINEAR.at(grid.times[0]).alpha, grid, noise=Draws())
    np.testing.assert_allclose(x, published(), rtol=1e-7, atol=1e-9)
