"""Loss weights: golden values, and one objective whatever the space it is written in."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from buff_baselines.objectives import DENSITIES, Diffusion  # noqa: E402
from buff_baselines.parametrisations import HIGHEST, LOWEST, Parametrisation  # noqa: E402
from buff_baselines.weights import LOSS_WEIGHTS, SPACES, get_loss_weight  # noqa: E402

SIGMA = np.geomspace(0.01, 50, 30)


@pytest.mark.parametrize(("sigma", "golden"), [(0.1, 0.0369822485), (0.5, 0.25), (2.0, 0.0553633218)])
def test_soft_min_snr(sigma, golden):
    assert get_loss_weight("soft_min_snr").curve(sigma, 0.5) == pytest.approx(golden, abs=1e-10)


def test_soft_min_snr_counts_data_as_one_over_the_summed_squares():
    assert np.allclose(get_loss_weight("soft_min_snr").of_data(SIGMA, 0.5), 1 / (SIGMA**2 + 0.25))


def test_the_poster_lost_a_square():
    assert get_loss_weight("soft_min_snr_poster").curve(0.3, 0.5) == pytest.approx(1.29757785, abs=1e-8)


def test_min_snr_is_one_objective_in_three_spaces():
    of_data = [get_loss_weight(name).of_data(SIGMA, 1.0) for name in ("min_snr", "min_snr_noise", "min_snr_v")]
    assert np.allclose(of_data[0], np.minimum(1 / SIGMA**2, 5))
    assert np.allclose(of_data[1], of_data[0])
    assert np.allclose(of_data[2], of_data[0])


@pytest.mark.parametrize("space", list(SPACES))
def test_squared_errors_of_a_space(space):
    """The table of factors, from the targets themselves."""
    s, t = (0.7 if space == "edm" else 1.0), torch.tensor([[0.3]], dtype=torch.float64)
    p = Parametrisation(space, s)
    x_t = torch.tensor([[0.4]], dtype=torch.float64)

    def target(x1):
        x0 = (x_t - t * x1) / (1 - t)
        return p.target(x0, x1, t)

    a, b = (torch.tensor([[v]], dtype=torch.float64) for v in (0.2, 0.9))
    factor = float(((target(a) - target(b)) / (a - b)) ** 2)
    assert SPACES[space](0.7 / 0.3, s) == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize("name", list(LOSS_WEIGHTS))
@pytest.mark.parametrize("density", list(DENSITIES))
def test_mean_weight_over_the_density_is_one(name, density):
    objective = Diffusion.normalised(Parametrisation("v"), density, name)
    sigma = DENSITIES[density](200_000, torch.Generator().manual_seed(3)).clamp(LOWEST, HIGHEST)
    weights = objective.weight(sigma)
    assert float(weights.mean()) == pytest.approx(1, abs=5 * float(weights.std()) / 200_000**0.5 + 0.03)


def test_unknown_names():
    with pytest.raises(ValueError, match="soft_min_snr"):
        get_loss_weight("snr")
    with pytest.raises(ValueError, match="lognormal"):
        Diffusion.normalised(Parametrisation("v"), "flat", "min_snr")


def test_parameters_of_a_curve():
    poster = get_loss_weight({"name": "soft_min_snr_poster", "k": 3.0}).curve
    assert poster(0.3, 0.5) == pytest.approx(0.3 * 0.5 / (0.3**2 + 0.5**3) ** 2)
    of_data = [get_loss_weight({"name": n, "gamma": 2.0}).of_data(SIGMA, 1.0) for n in ("min_snr", "min_snr_v")]
    assert np.allclose(of_data, np.minimum(1 / SIGMA**2, 2.0))
    assert get_loss_weight({"name": "edm"}) is LOSS_WEIGHTS["edm"]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"name": "soft_min_snr", "gamma": 2.0}, ValueError, "soft_min_snr has no parameter 'gamma': choose from k"),
        ({"name": "min_snr", "gamma": -1.0}, ValueError, "gamma of min_snr must be a positive number: found -1.0"),
        ({"name": "edm", "k": 1.0}, ValueError, "edm has no parameter 'k': choose from none"),
        ({"k": 2.0}, TypeError, "a mapping with a 'name'"),
        (3, TypeError, "loss_weight must be a name"),
    ],
)
def test_bad_curves(asked, error, message):
    with pytest.raises(error, match=message):
        get_loss_weight(asked)
