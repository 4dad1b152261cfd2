import numpy as np
import pytest
from scipy.special import ndtri

from buff.chains import UNKNOWN, VALUE, Chain, ChainSettings, ScoreCells
from buff.chains.column import ColumnSettings
from buff.chains.completion import GaussianCompletion
from buff.chains.location_scale import LocationScale
from buff.transforms.atom_ranks import AtomRanks
from buff.trees.conditional import ConditionalSettings

TREES = ConditionalSettings(n_estimators=8, max_depth=3)
PLAIN = AtomRanks(np.empty((0, 2)), np.empty((0, 2)))


def cells_of(z, state=None):
    z = np.asarray(z, np.float64)
    state = np.full(z.shape, VALUE) if state is None else state
    s = np.where(state == VALUE, z, np.nan)
    return ScoreCells(z.astype(np.float32), state, s, s, np.zeros(z.shape))


@pytest.fixture(scope="module", params=[False, True])
def pair(request):
    z = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 2000)
    settings = ChainSettings(ColumnSettings(TREES, TREES), any_given=request.param, n_rows=6000)
    return Chain.fit(cells_of(z), [PLAIN, PLAIN], settings), z


def test_draws_are_correlated_as_the_rows(pair):
    chain, _ = pair
    state, s = chain.sample(np.random.default_rng(1).random((4000, 4)))
    assert (state == VALUE).all()
    assert np.corrcoef(s.T)[0, 1] == pytest.approx(0.6, abs=0.06)


def test_known_cells_stay(pair):
    chain, z = pair
    given = cells_of(z[:50], np.column_stack([np.full(50, VALUE), np.full(50, UNKNOWN)]))
    s = chain.sample(np.random.default_rng(1).random((50, 4)), given)[1]
    assert np.array_equal(s[:, 0], z[:50, 0])
    assert np.isfinite(s[:, 1]).all()


def test_only_a_prefix_may_be_known_without_any_given(pair):
    chain, z = pair
    given = cells_of(z[:5], np.column_stack([np.full(5, UNKNOWN), np.full(5, VALUE)]))
    if chain.any_given:
        assert np.array_equal(chain.sample(np.full((5, 4), 0.5), given)[1][:, 1], z[:5, 1])
    else:
        with pytest.raises(ValueError, match="first columns"):
            chain.sample(np.full((5, 4), 0.5), given)


def test_parts_of_a_batch_are_the_same_events(pair):
    chain, _ = pair
    u = np.random.default_rng(1).random((100, 4))
    whole = chain.sample(u)[1]
    assert np.array_equal(np.vstack([chain.sample(u[:1])[1], chain.sample(u[1:])[1]]), whole)


def test_archive_keeps_everything(pair):
    chain, z = pair
    twin = Chain.from_archive(chain.to_archive())
    assert np.array_equal(twin.log_density(cells_of(z)), chain.log_density(cells_of(z)))


def test_atoms_are_drawn_as_often_as_seen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    state = np.where(rng.random(3000) < 1 / (1 + np.exp(-2 * x)), 0, VALUE)
    cells = cells_of(np.column_stack([x, rng.normal(size=3000)]), np.column_stack([np.full(3000, VALUE), state]))
    ranks = [PLAIN, AtomRanks(np.array([[0.0, 0.5]]), np.empty((0, 2)))]
    chain = Chain.fit(cells, ranks, ChainSettings(ColumnSettings(ConditionalSettings(), ConditionalSettings())))
    drawn, s = chain.sample(rng.random((4000, 4)))
    high = s[:, 0] > 1
    assert (drawn[high, 1] == 0).mean() == pytest.approx((state[x > 1] == 0).mean(), abs=0.06)
    density = chain.log_density(cells)
    assert np.isfinite(density).all()


def test_completion_is_the_conditional_mean():
    correlation = np.array([[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]])
    completion = GaussianCompletion(correlation)
    z = np.array([[np.nan, 1.0, -1.0], [0.5, np.nan, np.nan]], np.float32)
    weights = np.linalg.solve(correlation[1:, 1:], correlation[1:, 0])
    expected = [[weights @ [1, -1], 1, -1], [0.5, 0.4, 0.25]]
    assert np.allclose(completion(z), expected, atol=1e-6)
    assert np.array_equal(completion(z)[1:], completion(z[1:]))


def test_location_and_scale_of_a_known_law():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(8000, 2)).astype(np.float32)
    z = c[:, 0] * c[:, 1] + np.exp(0.3 * c[:, 0]) * rng.normal(size=8000)
    model = LocationScale.fit(c, z, np.empty((8000, 0), np.float32))
    m, s = model(np.float32([[1, 1], [-1, 1]]), np.empty((2, 0), np.float32)).moments
    assert np.allclose(m, [1, -1], atol=0.2)
    assert np.allclose(s, np.exp([0.3, -0.3]), rtol=0.15)
    assert np.array_equal(model(c[:1], np.empty((1, 0))).mean, model(c, np.empty((8000, 0))).mean[:1])


def test_ranks_without_atoms_and_back():
    ranks = AtomRanks(np.array([[0.0, 0.2], [0.5, 0.6]]), np.array([[0.7, 0.8]]))
    v = np.linspace(0.01, 0.99, 99)
    assert np.allclose(ranks.of_values(ranks.among_all(v)), v)
    state, s = np.array([0, 1, VALUE, VALUE]), ndtri([np.nan, np.nan, 0.1, ranks.of_values(np.array([0.72]))[0]])
    assert np.allclose(ranks.scores(state, s), ndtri([0.1, 0.55, 0.27, 0.75]))
