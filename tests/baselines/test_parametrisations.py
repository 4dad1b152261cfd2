"""What networks predict: every target gives back the same velocity, and ends are finite."""

import pytest

torch = pytest.importorskip("torch")

from buff_baselines.networks import make_network, parameter_count  # noqa: E402
from buff_baselines.parametrisations import PREDICTIONS, Parametrisation  # noqa: E402

from buff.paths import LINEAR, get_path  # noqa: E402


@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_the_target_of_a_pair_gives_its_velocity(predicts, width):
    rng = torch.Generator().manual_seed(0)
    x0, x1 = (torch.randn(50, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    t = 0.06 + 0.9 * torch.rand(50, 1, generator=rng, dtype=torch.float64)
    p = Parametrisation(predicts, width if predicts == "edm" else 1.0)
    u = p.velocity(p.target(x0, x1, t), t * x1 + (1 - t) * x0, t)
    assert torch.allclose(u, x1 - x0, atol=1e-9)


def test_predictions_mean_what_paths_mean():
    """v and noise are those of the variance-preserving path at the same ratio of noise to signal."""
    path, x0, x1 = get_path("trigonometric"), torch.tensor([[0.3]]), torch.tensor([[-1.1]])
    t = torch.tensor([[0.4]])
    now = path.at(path.time(LINEAR.at(0.4).ratio))
    v = now.alpha * x0 - now.sigma * x1
    assert torch.allclose(Parametrisation("v").target(x0, x1, t), v, atol=1e-6)


@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("t", [0.0, 1e-8, 1 - 1e-8, 1.0])
def test_ends_are_finite(predicts, t):
    network = make_network("mlp", 2, hidden=(8,))
    u = Parametrisation(predicts).field(network, torch.ones(3, 2), torch.full((3, 1), t), None)
    assert torch.isfinite(u).all()


def exact(p, s, x, level):
    """What a perfect network returns for data from N(0, s^2), given the state scaled to unit width."""
    sigma = torch.exp(4 * level) if p.predicts != "velocity" else (1 - level) / level
    t = 1 / (1 + sigma)
    n2 = (1 - t) ** 2 + (s * t) ** 2
    x_t = x * p._norm(t)
    return p.target((1 - t) / n2 * x_t, t * s**2 / n2 * x_t, t)


@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("s", [1.0, 0.5])
def test_a_perfect_network_gives_the_velocity_of_a_gaussian_up_to_the_ends(predicts, s):
    p = Parametrisation(predicts, s if predicts == "edm" else 1.0)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    t = torch.linspace(0, 1, 401, dtype=torch.float64)[1:-1]
    for now in t:
        u = p.field(lambda y, level, c: exact(p, s, y, level), x, torch.full((9, 1), float(now)).double(), None)
        wanted = (s**2 * now - (1 - now)) / ((1 - now) ** 2 + (s * now) ** 2) * x
        known = 1 / 21 < now <= 0.99  # further out, what is left of data or noise is taken from there
        assert torch.allclose(u, wanted, atol=0.02 if known else 0.12)


@pytest.mark.parametrize("predicts", ["data", "edm", "v"])
def test_flows_end_in_the_state(predicts):
    """u(x, 1) = x: the noise that made x is independent of it."""
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    u = Parametrisation(predicts).field(lambda y, level, c: 0 * y, x, torch.ones(4, 1), None)
    assert torch.allclose(u, x)


def test_unknown_prediction():
    with pytest.raises(ValueError, match="choose one of velocity"):
        Parametrisation("flow")


def test_parameter_counts():
    assert parameter_count(make_network("torchcfm", 10)) == 9_738
    assert parameter_count(make_network("tabddpm", 10)) == 3_744_394
    assert parameter_count(make_network("mlp", 9)) == (9 + 32 + 1) * 256 + 3 * 257 * 256 + 257 * 9
    with pytest.raises(ValueError, match="mlp, torchcfm, tabddpm"):
        make_network("resnet", 3)
