import numpy as np
import pytest

from buff.errors import OffGridError
from buff.fields import IndexField, NodeField, TimeField
from buff.grids import TimeGrid
from buff.grids.discrete import alpha_bar, ratios, zero_terminal_snr
from buff.paths import LINEAR, get_path
from buff.solvers import get_solver, integrate
from tests.problems import P2

X = np.array([[1.0], [2.0]])
NODES = NodeField((0.0, 0.5, 1.0), [lambda x, condition, k=k: k * x for k in (1, 2, 4)])


def test_nodes_answer_at_their_times():
    assert (NODES(X, 0.0) == X).all()
    assert (NODES(X, 0.1 + 0.4) == 2 * X).all()
    assert (NODES(X, 1 - 1e-10) == 4 * X).all()
    assert not NODES.at_every_time
    assert NODES.path == LINEAR


def test_between_nodes_is_an_error():
    with pytest.raises(OffGridError, match=r"no model at t = 0.4: the field exists at 3 nodes, the nearest at 0.5"):
        NODES(X, 0.4)


def test_off_node_on_request():
    nearest = NodeField(NODES.times, NODES.velocities, off_node="nearest")
    linear = NodeField(NODES.times, NODES.velocities, off_node="interpolate")
    assert (nearest(X, 0.74) == 2 * X).all()
    assert (nearest(X, 0.76) == 4 * X).all()
    np.testing.assert_allclose(linear(X, 0.75), 3 * X)
    np.testing.assert_allclose(linear(X, 0.1), 1.2 * X)
    assert (linear(X, 0.5) == 2 * X).all()
    assert (nearest.at_every_time, linear.at_every_time) == (True, True)
    assert (nearest.piecewise_constant, linear.piecewise_constant) == (True, False)
    outside = NodeField((0.2, 0.8), NODES.velocities[:2], off_node="interpolate")
    with pytest.raises(OffGridError):
        outside(X, 0.1)


def test_condition_reaches_the_models():
    field = NodeField((0.0,), [lambda x, condition: x + condition])
    assert (field(X, 0.0, condition=X) == 2 * X).all()


@pytest.mark.parametrize(
    ("times", "n", "off_node", "message"),
    [
        ((0.0, 1.0), 1, "raise", "one velocity a node: found 1 for 2 nodes"),
        ((), 0, "raise", "one velocity a node"),
        ((0.5, 0.5), 2, "raise", "increase strictly inside"),
        ((-0.1, 0.5), 2, "raise", "increase strictly inside"),
        ((0.5, 1.5), 2, "raise", "increase strictly inside"),
        ((0.0, 1.0), 2, "guess", "unknown off_node 'guess': choose raise, nearest or interpolate"),
    ],
)
def test_bad_nodes(times, n, off_node, message):
    with pytest.raises(ValueError, match=message):
        NodeField(times, [lambda x, condition: x] * n, off_node=off_node)


@pytest.mark.parametrize("predicts", ["velocity", "denoised", "noise", "score", "v"])
def test_a_model_of_any_prediction_gives_the_velocity(predicts):
    for path in (LINEAR, get_path("vp")):
        for t in (0.2, 0.9):
            expected = P2.field(path)(X, t)
            np.testing.assert_allclose(P2.field(path, predicts)(X, t), expected, rtol=1e-8)


def test_a_time_field_exists_at_every_time():
    field = TimeField(lambda x, t, condition: condition * x * t)
    assert field.at_every_time
    assert field.times is None
    assert (field(X, 0.5, 4.0) == 2 * X).all()


def test_bad_prediction():
    with pytest.raises(ValueError, match="unknown prediction 'eps': choose one of velocity"):
        TimeField(lambda x, t, c: x, predicts="eps")


def steps_of(interpolate, T=1000):
    """A network that knows e at the whole steps of the DDPM table, or between them too."""
    levels = ratios(alpha_bar("ddpm", T))
    log_levels = np.log(levels)

    def network(x, i, condition):
        ratio = np.exp(np.interp(i, np.arange(T), log_levels))
        alpha = (1 + ratio**2) ** -0.5
        return P2.split(x, alpha, ratio * alpha)[1]

    return IndexField(network, levels, get_path("vp"), interpolate=interpolate)


def test_index_follows_lambda():
    field = steps_of(True)
    levels = field.ratios
    for i in (0, 17, 500, 990):
        assert field.index(field.path.time(levels[i])) == pytest.approx(i, abs=1e-6)
    middle = (levels[10] * levels[11]) ** 0.5
    assert field.index(field.path.time(middle)) == pytest.approx(10.5)
    assert (field.index(1.0), field.index(0.999999)) == (0, 0)
    assert isinstance(steps_of(False).index(0.4), int)


@pytest.mark.parametrize(("interpolate", "error"), [(True, 1e-5), (False, 1e-2)])
def test_a_network_of_discrete_steps_drives_any_solver(interpolate, error):
    grid = TimeGrid.of_ratios(get_path("vp"), np.geomspace(100, 0.02, 60))
    x0 = np.array([[-1.2], [0.4]])
    exact = integrate(get_solver("unipc2"), P2.field(get_path("vp")), x0, grid)
    found = integrate(get_solver("unipc2"), steps_of(interpolate), x0, grid)
    np.testing.assert_allclose(found, exact, atol=error)


def test_bad_index_fields():
    with pytest.raises(ValueError, match="ratios must increase strictly"):
        IndexField(lambda x, i, c: x, (2.0, 1.0), get_path("vp"))
    with pytest.raises(ValueError, match="must preserve variance"):
        IndexField(lambda x, i, c: x, (1.0, 2.0), LINEAR)


def test_a_table_without_signal_at_its_end():
    levels = ratios(zero_terminal_snr(alpha_bar("ddpm")))
    field = IndexField(lambda x, i, c: 0 * x, levels, get_path("trigonometric"), "v")
    assert field.index(0.0) == 999
    late = field.path.time(2 * levels[-2])
    assert field.index(late) == 998
    assert np.isfinite(field(X, 0.0)).all()
