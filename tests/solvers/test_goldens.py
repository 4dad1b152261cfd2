"""Values that an independent implementation gave, to every digit it printed."""

from dataclasses import replace

import numpy as np
import pytest

from buff.grids import TimeGrid, noise_grid
from buff.paths import LINEAR
from buff.solvers import get_solver as solver
from buff.solvers import integrate
from tests.problems import P1, P2, VE, moments

KARRAS_8 = TimeGrid.of_ratios(VE, noise_grid("karras", 8, low=0.05, high=10.0))
KARRAS_16 = TimeGrid.of_ratios(VE, noise_grid("karras", 16, low=0.05, high=10.0))

REDUCED = [
    (solver("euler"), 0.7474449990),
    (solver("heun"), 0.8106864865),
    (solver("edm"), 0.8106864865),
    (solver("dpm2"), 0.8016902423),
    (solver("midpoint"), 0.7916479203),
    (solver("ralston"), 0.7965789737),
    (solver("bogacki_shampine"), 0.7881230114),
    (solver("rk4"), 0.7899653040),
    (solver("dopri5"), 0.7895897444),
    (solver("lms2"), 0.7754777195),
    (solver("lms3"), 0.7815876831),
    (solver("lms4"), 0.7837066879),
    (solver("dpm3"), 0.7887918586),
    (solver("dpmpp_2s"), 0.7860018650),
    (solver("dpmpp_3s"), 0.7900045917),
    (solver("dpmpp_2m"), 0.8244541301),
    (solver("dpmpp_2m", correction="trapezoid"), 0.8360575591),
    (solver("dpmpp_3m", kappa=1.0), 0.7606143351),
    (solver("dpmpp_3m"), 0.7344420915),
    (solver("deis2"), 0.7908252978),
    (solver("deis3"), 0.7918472006),
    (solver("ipndm"), 0.7985852681),
    (solver("unipc2", variant="bh1"), 0.8185911385),
    (solver("unipc2"), 0.8064953393),
    (solver("unipc3", variant="bh1"), 0.7128621278),
    (solver("unipc3"), 0.7127772785),
    (solver("unipc2", corrector=False), 0.8244541301),
    (solver("unipc3", corrector=False), 0.7343972378),
    (solver("unipc3", basis="noise"), 0.8011676281),
]

LINEAR_PATH = [
    (solver("euler"), 0.7646775829),
    (solver("midpoint"), 0.7947808000),
    (solver("heun"), 0.7947197415),
    (solver("ralston"), 0.7946722475),
    (solver("bogacki_shampine"), 0.7927036718),
    (solver("rk4"), 0.7928608497),
    (solver("rk38"), 0.7928875344),
    (solver("dopri5"), 0.7928652688),
    (solver("ab2"), 0.7975274225),
    (solver("ab3"), 0.7926088242),
    (solver("ab4"), 0.7976381884),
    (solver("ddim"), 0.7646775829),
    (solver("dpmpp_2m"), 0.8094480051),
    (solver("dpmpp_2m", correction="trapezoid"), 0.8143746800),
    (solver("dpmpp_3m"), 0.7568385910),
]

REDUCED_VARIANCE = [
    (solver("euler_ancestral"), 0.17816098),
    (solver("euler_ancestral", eta_ddim=0.5), 0.20433697),
    (solver("ddim"), 0.2115842),
    (solver("ddpm_large"), 0.29458567),
    (solver("dpm2_ancestral"), 0.27264933),
    (solver("dpmpp_2s_ancestral"), 0.23769408),
    (solver("dpmpp_sde", brownian=False), 0.19011885),
    (solver("dpmpp_sde"), 0.24514879),
    (solver("dpmpp_2m_sde"), 0.26880538),
    (solver("dpmpp_2m_sde", correction="trapezoid"), 0.28771997),
    (solver("dpmpp_2m_sde", eta_sde=0.5), 0.26417375),
    (solver("dpmpp_3m_sde", kappa=1.0), 0.26695894),
    (solver("dpmpp_3m_sde"), 0.26054777),
    (solver("edm_stochastic"), 0.27825602),
    (solver("edm_stochastic", s_noise=1.003), 0.27992726),
    (solver("edm_stochastic", gamma=0.1), 0.26452490),
    (solver("reverse_diffusion"), 0.35790901),
    (solver("restart"), 0.25844413),
]

LINEAR_VARIANCE = [
    (solver("euler"), 0.18557365),
    (solver("ddim"), 0.18557365),
    (solver("heun"), 0.25172287),
    (solver("ab2"), 0.24164936),
    (solver("ab3"), 0.25135779),
    (solver("dpmpp_2m"), 0.24683247),
    (solver("dpmpp_3m"), 0.24523835),
    (solver("ddim", eta_ddim=0.5), 0.17868242),
    (solver("ddpm"), 0.14935109),
    (solver("euler_maruyama", noise_at_end=True), 0.21783744),
    (solver("euler_maruyama", noise_at_end=True, scale=2.0), 0.23583523),
]

#: Largest error over five starts with 64 steps, to the two digits that are known.
ERRORS_64 = {
    "euler": 1.4e-2,
    "midpoint": 5.2e-5,
    "heun": 6.4e-4,
    "ralston": 2.4e-4,
    "dpm2": 3.9e-4,
    "bogacki_shampine": 6.6e-6,
    "rk4": 2.5e-7,
    "rk38": 1.6e-7,
    "dopri5": 2.1e-10,
    "lms2": 1.2e-3,
    "lms3": 1.8e-4,
    "lms4": 4.2e-5,
    "dpmpp_2s": 2.9e-4,
    "dpmpp_2m": 6.6e-4,
    "dpmpp_3m_published": 1.3e-4,
    "dpmpp_3m": 8.2e-5,
    "dpm3": 1.5e-6,
    "dpmpp_3s": 1.4e-6,
    "unipc1": 1.0e-3,
    "unipc2": 6.2e-5,
    "unipc3": 7.1e-6,
    "deis2": 3.0e-4,
    "deis3": 3.0e-5,
    "ipndm": 1.7e-4,
}


def ids(table):
    return [f"{type(s).__name__}-{value}" for s, value in table]


@pytest.mark.parametrize(("solver", "value"), REDUCED, ids=ids(REDUCED))
def test_two_peaks_in_reduced_coordinates(solver, value):
    x = integrate(solver, P2.field(VE), np.array([[5.0]]), KARRAS_8)
    assert abs(x - value) < 1e-8


@pytest.mark.parametrize(("solver", "value"), LINEAR_PATH, ids=ids(LINEAR_PATH))
def test_two_peaks_on_the_linear_path(solver, value):
    x = integrate(solver, P2.field(), np.array([[0.5]]), TimeGrid.uniform(8))
    assert abs(x - value) < 1e-8


def test_the_exact_flow_itself():
    start, end = VE.at(KARRAS_8.times[0]), VE.at(KARRAS_8.times[-1])
    assert abs(P2.carried(5.0, start, end) - 0.7895732580) < 1e-10
    assert abs(P2.carried(0.5, LINEAR.at(0.0), LINEAR.at(1.0)) - 0.7928650086) < 1e-10


@pytest.mark.parametrize(("solver", "value"), REDUCED_VARIANCE, ids=ids(REDUCED_VARIANCE))
def test_variance_of_a_gaussian_in_reduced_coordinates(solver, value):
    mean, variance = moments(solver, P1.field(VE), KARRAS_16, 1.3, 0.25 + 100)
    assert abs(mean - 1.3) < 1e-11
    assert abs(variance - value) < 1e-8


@pytest.mark.parametrize(("solver", "value"), LINEAR_VARIANCE, ids=ids(LINEAR_VARIANCE))
def test_variance_of_a_gaussian_on_the_linear_path(solver, value):
    mean, variance = moments(solver, P1.field(), TimeGrid.uniform(10), 0.0, 1.0)
    assert abs(mean - 1.3) < 1e-11
    assert abs(variance - value) < 1e-8


def test_errors_with_64_steps():
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", 64, low=0.05, high=10.0))
    x0 = 10 * np.array([[-1.7], [-0.6], [0.1], [0.9], [1.9]])
    ends = [VE.at(t) for t in (grid.times[0], grid.times[-1])]
    exact = np.array([[P2.carried(x, *ends)] for x in x0[:, 0]])
    for name, error in ERRORS_64.items():
        found = abs(integrate(solver(name), P2.field(VE), x0, grid) - exact).max()
        assert found == pytest.approx(error, rel=0.05), name


def test_high_order_start():
    grid = TimeGrid.of_ratios(VE, noise_grid("karras", 64, low=0.05, high=10.0))
    x0 = 10 * np.array([[-1.7], [-0.6], [0.1], [0.9], [1.9]])
    ends = [VE.at(t) for t in (grid.times[0], grid.times[-1])]
    exact = np.array([[P2.carried(x, *ends)] for x in x0[:, 0]])
    for s in (solver("lms4", start="rk4"), replace(solver("ab4"), start="rk4")):
        assert abs(integrate(s, P2.field(VE), x0, grid) - exact).max() == pytest.approx(3.2e-5, rel=0.05)
