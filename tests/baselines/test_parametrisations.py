"""What networks predict: every target gives back the same velocity, and ends are finite."""

import pytest

torch = pytest.importorskip("torch")

from baselines.networks import make_network, parameter_count  # noqa: E402
from baselines.parametrisations import PREDICTIONS, Parametrisation  # noqa: E402
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


def test_data_prediction_ends_in_the_state():
    x = torch.randn(4, 2)
    assert torch.equal(Parametrisation("data").velocity(torch.zeros(4, 2), x, torch.ones(4, 1)), x)


def test_unknown_prediction():
    with pytest.raises(ValueError, match="choose one of velocity"):
        Parametrisation("flow")


def test_parameter_counts():
    assert parameter_count(make_network("torchcfm", 10)) == 9_738
    assert parameter_count(make_network("tabddpm", 10)) == 3_744_394
    assert parameter_count(make_network("mlp", 9)) == (9 + 32 + 1) * 256 + 3 * 257 * 256 + 257 * 9
    with pytest.raises(ValueError, match="mlp, torchcfm, tabddpm"):
        make_network("resnet", 3)
