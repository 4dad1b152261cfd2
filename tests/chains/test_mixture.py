import numpy as np
import pytest

from buff.chains.mixture import UNIT_SCORES, GaussianMixtures, MixtureBase, in_units
from buff.errors import ArchiveError
from buff.generators.density import TreeDensity

NOTHING = np.empty((1, 0), np.float32)


def crossing(n, seed=0):
    """Two narrow lines that cross: given x, the other is near x or near -x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.column_stack([x, np.where(rng.random(n) < 0.7, x, -x) + 0.1 * rng.normal(size=n)])


#: Of two columns whose values are no scores: squeezed in the middle.
UNITS = np.tile(0.6 * UNIT_SCORES + 0.1 * UNIT_SCORES**3, (2, 1))


@pytest.fixture(scope="module", params=["scores", "units"])
def base(request):
    z, units = crossing(6000), UNITS if request.param == "units" else None
    return GaussianMixtures.fit(z if units is None else in_units(z, units), np.ones(6000), seed=0).given(1, units)


def test_density_is_that_of_the_scores_and_integrates_to_one(base):
    s = np.linspace(-8, 8, 40_001)
    given = base(np.full((len(s), 1), 1.2, np.float32), NOTHING)
    density = np.exp(given.log_density(s))
    assert abs(density.sum() * (s[1] - s[0]) - 1) < 1e-3
    assert abs(density[s > 0].sum() * (s[1] - s[0]) - 0.7) < 0.05
    from scipy.special import ndtr

    slope = np.diff(ndtr(given.score(s))) / np.diff(s)
    # but where units have a kink
    assert np.quantile(np.abs(slope - 0.5 * (density[1:] + density[:-1])), 0.99) < 2e-3


def test_scores_lead_back(base):
    c = np.random.default_rng(1).normal(size=(200, 1)).astype(np.float32)
    given = base(c, NOTHING)
    r = np.random.default_rng(2).normal(size=200)
    assert np.allclose(given.score(given.value(r)), r, atol=1e-6)


def test_moments_are_those_of_many_draws(base):
    n = 20_000
    given = base(np.full((n, 1), -0.8, np.float32), NOTHING)
    drawn = given.value(np.random.default_rng(3).normal(size=n))
    if base.units is not None:  # moments are those of the mixture, without what is mixed in for tails
        near = np.abs(drawn) < 3
        drawn = in_units(drawn[near, None], UNITS)[:, 0]
    mean, sd = given.moments
    assert abs(drawn.mean() - mean[0]) < 5 * sd[0] / np.sqrt(n)
    assert abs(drawn.std() / sd[0] - 1) < 0.05


def test_weights_count():
    z = crossing(6000)
    w = np.where(z[:, 0] * z[:, 1] > 0, 0.0, 1.0)
    given = GaussianMixtures.fit(z, w, seed=0).given(1)(np.float32([[1.5]]), NOTHING)
    assert given.moments[0][0] < -1


def test_rows_do_not_depend_on_their_neighbours(base):
    c = np.random.default_rng(1).normal(size=(300, 1)).astype(np.float32)
    whole, first = base(c, NOTHING), base(c[:1], NOTHING)
    assert np.array_equal(whole.log_shares[:1], first.log_shares)
    assert np.array_equal(whole.means[:1], first.means)


def test_too_few_rows_make_no_mixture():
    assert GaussianMixtures.fit(crossing(60), np.ones(60), seed=0) is None


@pytest.mark.parametrize(("name", "value"), [("scales", np.zeros(3)), ("log_weights", np.zeros(2))])
def test_damaged_arrays_are_refused(base, name, value):
    arrays = base.to_arrays()
    with pytest.raises(ArchiveError):
        MixtureBase.from_arrays(arrays | {f"mixture/{name}": value})


def test_units_that_do_not_rise_are_refused(base):
    arrays = base.to_arrays()
    for damaged in (UNITS[:, ::-1], UNITS[:1], 0 * UNITS):
        with pytest.raises(ArchiveError):
            MixtureBase.from_arrays(arrays | {"mixture/units": damaged})


def test_tree_density_finds_mixtures_in_the_units_of_the_table(tmp_path):
    """Two far clusters whose scores bend lines: a Gaussian of the table's units is none of the scores."""
    from buff import load

    def clusters(n, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=n) + np.where(rng.random(n) < 0.5, 3, -3)
        return np.column_stack([x, np.where(x > 0, x, 1 - x) + 0.1 * rng.normal(size=n)])

    model, test = TreeDensity(random_state=0).fit(clusters(3000, 0)), clusters(2000, 1)
    x, y = test.T
    pair = np.logaddexp(-0.5 * (x - 3) ** 2, -0.5 * (x + 3) ** 2) - np.log(2)
    truth = pair - 0.5 * ((y - np.where(x > 0, x, 1 - x)) / 0.1) ** 2 - np.log(0.1 * 2 * np.pi)
    assert model.model_.columns[1].base.units is not None
    assert model.score(test) > truth.mean() - 0.25
    model.save(tmp_path / "density.buff")
    assert np.array_equal(load(tmp_path / "density.buff").score_samples(test), model.score_samples(test))


def test_tree_density_knows_several_narrow_modes(tmp_path):
    from buff import load

    model = TreeDensity(random_state=0).fit(crossing(3000))
    assert isinstance(model.model_.columns[1].base, MixtureBase)
    test = crossing(2000, seed=1)
    x, y = test.T
    lines = 0.7 * np.exp(-0.5 * ((y - x) / 0.1) ** 2) + 0.3 * np.exp(-0.5 * ((y + x) / 0.1) ** 2)
    truth = np.log(lines / (0.1 * np.sqrt(2 * np.pi))) - 0.5 * x**2 - 0.5 * np.log(2 * np.pi)
    assert model.score(test) > truth.mean() - 0.25
    assert np.abs(np.sort(model.pit(test), axis=0) - np.linspace(0, 1, 2000)[:, None]).max() < 0.06
    drawn = model.sample(2000, random_state=1)
    assert abs(np.mean(np.sign(drawn[:, 0]) == np.sign(drawn[:, 1])) - 0.7) < 0.05
    model.save(tmp_path / "density.buff")
    again = load(tmp_path / "density.buff")
    assert np.array_equal(again.score_samples(test), model.score_samples(test))
    assert np.array_equal(again.sample(2000, random_state=1), drawn)
