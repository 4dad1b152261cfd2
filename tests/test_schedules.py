import math

import numpy as np
import pytest

from buff.paths import Path, Schedule
from buff.schedules import (
    SCHEDULES,
    Backward,
    Linear,
    SubVariancePreserving,
    Trigonometric,
    VarianceExploding,
    VariancePreserving,
    get_schedule,
)

ALL = [
    Linear(),
    Linear(floor=0.01),
    Trigonometric(),
    Trigonometric(math.acos(0.02)),
    VariancePreserving(),
    VariancePreserving(0.0, 8.0),
    VariancePreserving(5.0, 5.0),
    SubVariancePreserving(),
    VarianceExploding(),
    VarianceExploding(10.0),
]
EVERY = [*ALL, *map(Backward, ALL)]
TIMES = [0.01, 0.2, 0.5, 0.77, 0.99]


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_derivatives(schedule):
    for t in TIMES:
        h = 1e-6
        alpha = (schedule.alpha(t + h) - schedule.alpha(t - h)) / (2 * h)
        sigma = (schedule.sigma(t + h) - schedule.sigma(t - h)) / (2 * h)
        assert schedule.alpha_dot(t) == pytest.approx(alpha, rel=1e-5, abs=1e-8)
        assert schedule.sigma_dot(t) == pytest.approx(sigma, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_time_is_the_inverse_of_ratio(schedule):
    for t in [0.0, *TIMES, 1.0]:
        assert schedule.time(schedule.ratio(t)) == pytest.approx(t, abs=1e-10)


@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_signal_grows_and_noise_falls(schedule):
    t = np.linspace(0, 1, 101)[:, None]
    ratio = np.array([schedule.ratio(s) for s in t[:, 0].tolist()])
    assert (np.diff(ratio) < 0).all()
    assert (np.diff(np.broadcast_to(schedule.alpha(t), t.shape), axis=0) >= 0).all()
    assert (np.diff(schedule.sigma(t), axis=0) < 0).all()


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_floats_and_arrays_agree_and_floats_stay_floats(schedule):
    column = np.array(TIMES)[:, None]
    for function in (schedule.alpha, schedule.sigma, schedule.alpha_dot, schedule.sigma_dot):
        floats = [function(t) for t in TIMES]
        assert {type(value) for value in floats} == {float}
        np.testing.assert_allclose(np.broadcast_to(function(column), (5, 1))[:, 0], floats, rtol=1e-13)
    single = column.astype(np.float32)
    assert np.asarray(schedule.sigma(single)).dtype == np.float32


@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_torch_times(schedule):
    torch = pytest.importorskip("torch")
    column = torch.tensor(TIMES, dtype=torch.float64)[:, None]
    expected = np.array([schedule.sigma(t) for t in TIMES])
    np.testing.assert_allclose(schedule.sigma(column).numpy()[:, 0], expected, rtol=1e-13)
    gradient = torch.autograd.functional.jvp(schedule.sigma, column, torch.ones_like(column))[1]
    np.testing.assert_allclose(gradient[:, 0], [schedule.sigma_dot(t) for t in TIMES], rtol=1e-10)


@pytest.mark.parametrize("schedule", [Linear(), Trigonometric()], ids=str)
def test_pure_ends(schedule):
    assert (schedule.alpha(0.0), schedule.sigma(0.0)) == (0.0, 1.0)
    assert (schedule.alpha(1.0), schedule.sigma(1.0)) == (1.0, 0.0)
    assert (schedule.ratio(0.0), schedule.ratio(1.0)) == (math.inf, 0.0)
    assert (schedule.time(math.inf), schedule.time(0.0)) == (0.0, 1.0)


def test_variance_is_preserved():
    for schedule in (
        Trigonometric(),
        Trigonometric(1.5, 0.1),
        VariancePreserving(),
        VariancePreserving(1.0, 3.0),
    ):
        for t in TIMES:
            assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1, abs=1e-14)


def test_goldens():
    vp = VariancePreserving()
    assert vp.ratio(0.0) == pytest.approx(152.1669702839, rel=1e-11)
    assert vp.ratio(0.5) == pytest.approx(3.412918309069, rel=1e-11)
    assert vp.ratio(1 - 1e-3) == pytest.approx(0.0104859927867, rel=1e-11)
    assert vp.ratio(1 - 1e-5) == pytest.approx(0.00100049762668, rel=1e-10)
    assert vp.alpha(0.0) == pytest.approx(0.006571586495, rel=1e-9)
    weak = VariancePreserving(0.1, 8.0)
    assert weak.ratio(0.0) == pytest.approx(7.509824035585, rel=1e-11)
    assert weak.alpha(0.0) == pytest.approx(0.131993843188, rel=1e-11)
    jedi = Trigonometric(math.acos(0.02))
    assert jedi.alpha(0.5) == pytest.approx(0.714142842854, rel=1e-11)
    # beta(tau) = 2 d ln(alpha) / dt
    assert 2 * jedi.alpha_dot(0.5) / jedi.alpha(0.5) == pytest.approx(3.04016628079, rel=1e-11)
    fpcd = Trigonometric(math.atan(math.exp(10)), math.atan(math.exp(-10)))
    assert fpcd.ratio(0.5) == pytest.approx(1)
    assert -2 * math.log(fpcd.ratio(0.75)) == pytest.approx(1.7626187665612, rel=1e-10)


def test_subvp_has_the_ratio_of_its_formula():
    B = 0.5 * 19.9 * 0.4**2 + 0.1 * 0.4
    assert SubVariancePreserving().ratio(0.6) == pytest.approx(2 * math.sinh(B / 2))


def test_ratios_out_of_reach_are_refused():
    with pytest.raises(ValueError, match=r"sigma / alpha = 200 is outside \[0, 152.167\] of VariancePreserving"):
        VariancePreserving().time(200.0)
    with pytest.raises(ValueError, match=r"is outside \[0, 80\]"):
        VarianceExploding().time(81.0)
    with pytest.raises(ValueError, match="is outside"):
        Linear(floor=0.1).time(0.05)
    with pytest.raises(ValueError, match="is outside"):
        Linear().time(-1.0)
    assert VarianceExploding().time(80 * (1 + 1e-12)) == 0.0


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cosine", {}, "unknown schedule 'cosine': choose one of linear, trigonometric, vp, subvp, ve"),
        ("linear", {"floor": 1.0}, "0 <= floor < 1"),
        ("linear", {"floor": -0.1}, "0 <= floor < 1"),
        ("trigonometric", {"noise_angle": 2.0}, "angles need"),
        ("trigonometric", {"data_angle": 1.6}, "angles need"),
        ("vp", {"b0": -1.0}, "0 <= b0 <= b1"),
        ("vp", {"b0": 30.0}, "0 <= b0 <= b1"),
        ("subvp", {"b0": 0.0, "b1": 0.0}, "b1 > 0"),
        ("ve", {"sigma_max": 0.0}, "positive and finite"),
        ("ve", {"sigma_max": math.inf}, "positive and finite"),
    ],
)
def test_bad_parameters(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        get_schedule(name, **parameters)


def test_every_name():
    assert [type(get_schedule(name)) for name in SCHEDULES] == list(SCHEDULES.values())


def test_parameters_are_checked_by_name_and_kind():
    with pytest.raises(ValueError, match="vp has no parameter 'beta': choose from b0, b1"):
        get_schedule("vp", beta=3.0)
    with pytest.raises(TypeError, match="b0 of vp must be a number: found 'x'"):
        get_schedule("vp", b0="x")


class Square(Schedule):
    """alpha = t^2, sigma = 1 - t^2, with a mistake if one is asked for."""

    def __init__(self, mistake=""):
        self.mistake = mistake

    def alpha(self, t):
        return 1 - t**2 if self.mistake == "turned" else t**2

    def sigma(self, t):
        return 1 - self.alpha(t)

    def alpha_dot(self, t):
        wrong = self.mistake == "slope" or (self.mistake == "late slope" and t > 0.93)
        return (-2 if self.mistake == "turned" else 2) * t * (0.5 if wrong else 1)

    def sigma_dot(self, t):
        return 2 * t if self.mistake == "turned" else -2 * t

    def time(self, ratio):
        wrong = self.mistake == "inverse" or (self.mistake == "early inverse" and ratio > 500)
        return 1 / (1 + ratio) if wrong else (1 + ratio) ** -0.5


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("slope", r"Square.alpha_dot\(0.005412\) is 0.00541175, and alpha has the slope 0.0108235 there"),
        ("late slope", r"Square.alpha_dot\(0.952\) is 0.951995, and alpha has the slope 1.90399 there"),
        ("turned", r"Square: sigma / alpha must fall with t, and is .*e-07, then .*e-05 at t = 0.005412"),
        ("inverse", r"Square.time\(.*\) is 2.9287e-05, and sigma / alpha is that at 0.005412"),
        ("early inverse", r"Square.time\(34143.9\) is 2.9287e-05, and sigma / alpha is that at 0.005412"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(mistake, message):
    with pytest.raises(ValueError, match=message):
        Path(Square(mistake))
    assert Path(Square()).at(0.5).sigma == 0.75
