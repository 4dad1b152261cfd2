"""Log-densities of networks, by the change of variables along their flows."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

torch = pytest.importorskip("torch")

from buff_baselines import NeuralDiffusion, NeuralFlow, distill  # noqa: E402

RNG = np.random.default_rng(0)
SMALL = {"hidden": (24, 24), "n_iterations": 200, "batch_size": 256, "learning_rate": 5e-3, "random_state": 0}
X = RNG.multivariate_normal([1, -2], [[1, 0.8], [0.8, 2]], size=1000)


class Nothing(torch.nn.Module):
    """Adds nothing to the Gaussian part of a flow."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, level, condition=None):
        return 0 * self.weight * x


@pytest.fixture(scope="module")
def gaussian():
    """A flow that is the Gaussian of its data, whatever it trains."""
    return NeuralFlow(network=Nothing(), preprocessing="standard", n_iterations=1, random_state=0).fit(X)


def test_a_gaussian_has_its_density(gaussian):
    rows = X[:50]
    exact = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(rows)
    np.testing.assert_allclose(gaussian.score_samples(rows, n_steps=100), exact, atol=1e-5)


@pytest.mark.parametrize("solver", ["rk4", "heun", "ab3", "unipc3", "dpmpp_2m", "edm", "dopri5_adaptive", "scipy_rk45"])
def test_any_solver_comes_to_it(gaussian, solver):
    exact = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X[:20])
    few, many = (abs(gaussian.score_samples(X[:20], solver=solver, n_steps=n) - exact).max() for n in (16, 64))
    assert many < 0.02
    assert many < few / 2 or few < 1e-4


def test_probes_are_unbiased_and_belong_to_rows(gaussian):
    exact = gaussian.score_samples(X[:20])
    estimates = np.array([gaussian.score_samples(X[:20], n_probes=8, random_state=seed) for seed in range(20)])
    assert estimates.std(axis=0).mean() > 1e-3
    np.testing.assert_array_less(abs(estimates.mean(axis=0) - exact), 5 * estimates.std(axis=0) / 20**0.5 + 1e-3)
    one = gaussian.score_samples(X[:5], n_probes=2, solver="dopri5_adaptive")
    np.testing.assert_allclose(one, gaussian.score_samples(X[:20], n_probes=2, solver="dopri5_adaptive")[:5])


@pytest.mark.parametrize("kind", [NeuralFlow, NeuralDiffusion])
@pytest.mark.parametrize("preprocessing", ["rank", "standard"])
def test_densities_integrate_to_one_in_the_units_of_the_table(kind, preprocessing):
    """Given each condition."""
    label = np.arange(1000) % 2
    x = 5 * RNG.exponential(size=(1000, 1)) + 10 * label[:, None]
    model = kind(preprocessing=preprocessing, condition_dropout=0.1, **SMALL).fit(x, condition=label)
    line = np.linspace(-10, 70, 4001)
    for own in (0, 1):
        density = np.exp(model.score_samples(line[:, None], condition=np.full(4001, own), n_steps=16))
        assert np.trapezoid(density, line) == pytest.approx(1, abs=0.04)
        assert np.trapezoid(density * line, line) == pytest.approx(5 + 10 * own, abs=2.0)
    either = np.exp(model.score_samples(line[:, None], n_steps=16))
    assert np.trapezoid(either, line) == pytest.approx(1, abs=0.04)
    assert np.trapezoid(either * line, line) == pytest.approx(10, abs=2.5)
    if preprocessing == "rank":
        assert model.score_samples([[-1.0]], condition=[0]) == -np.inf


def test_what_has_no_density_is_refused(gaussian):
    with pytest.raises(ValueError, match="densities follow an ODE: found Ancestral"):
        gaussian.score_samples(X, solver="ddpm")
    with pytest.raises(ValueError, match="models go from noise, t = 0, to data, t = 1: the grid runs from 0.1"):
        gaussian.score_samples(X, grid=[0.1, 0.5, 1.0])
    whole = np.column_stack([X[:, 0], RNG.poisson(2, 1000)])
    model = NeuralFlow(**SMALL | {"n_iterations": 2}).fit(whole)
    with pytest.raises(AttributeError) as refused:
        model.score_samples(whole)
    assert "column 'x1' has values that repeat or lie on a lattice" in str(refused.value.__cause__)
    assert np.isfinite(NeuralFlow(preprocessing="standard", **SMALL).fit(whole).score_samples(whole)).all()
    small = NeuralFlow(**SMALL | {"n_iterations": 2}).fit(X)
    student = distill(small, 1, method="consistency_training", n_iterations=2)
    with pytest.raises(ValueError, match="densities follow an ODE: found Consistency"):
        student.score_samples(X)
