import numpy as np
import pytest

from buff.metrics import migration_matrix

EDGES = np.linspace(0, 1, 5)


@pytest.fixture
def events():
    rng = np.random.default_rng(17)
    truth = rng.uniform(size=20_000)
    return truth, truth + rng.normal(0, 0.1, size=20_000)


def test_perfect_detector_is_the_identity(events):
    migration = migration_matrix(events[0], events[0], EDGES)
    np.testing.assert_allclose(migration.probability, np.eye(4))
    np.testing.assert_allclose(migration.purity, 1.0)


def test_rows_lose_what_leaves_the_reco_bins(events):
    truth, reco = events
    migration = migration_matrix(truth, reco, EDGES)
    lost = [(~((reco >= 0) & (reco <= 1)))[(truth >= a) & (truth < a + 0.25)].mean() for a in EDGES[:-1]]
    np.testing.assert_allclose(1 - migration.probability.sum(axis=1), lost, atol=1e-12)


def test_integer_weights_are_repeated_events(events):
    truth, reco = events
    w = np.random.default_rng(1).integers(0, 3, size=len(truth))
    weighted = migration_matrix(truth, reco, EDGES, weights=w)
    repeated = migration_matrix(np.repeat(truth, w), np.repeat(reco, w), EDGES)
    np.testing.assert_allclose(weighted.probability, repeated.probability)
    np.testing.assert_allclose(weighted.total, repeated.total)


def test_errors_are_binomial_and_make_a_fair_chi_squared():
    def simulate(seed):
        rng = np.random.default_rng(seed)
        truth = rng.uniform(size=5000)
        return migration_matrix(truth, truth + rng.normal(0, 0.2, size=5000), EDGES)

    one = simulate(0)
    binomial = np.sqrt(one.probability * (1 - one.probability) / one.total[:, None])
    np.testing.assert_allclose(one.error, binomial, rtol=1e-9)
    tests = (simulate(2 * k).chi2(simulate(2 * k + 1)) for k in range(1, 40))
    ratios = [chi2 / cells for chi2, cells in tests]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_shapes_must_agree(events):
    with pytest.raises(ValueError, match=r"truth has 2 event\(s\), reco 1"):
        migration_matrix([0.1, 0.2], [0.1], EDGES)
    with pytest.raises(ValueError, match="equal shape"):
        migration_matrix(*events, EDGES).chi2(migration_matrix(*events, EDGES[:-1]))


def test_purity_is_for_equally_many_bins(events):
    truth, reco = events
    found = migration_matrix(truth, reco, [-1, 0, 1], [-2, -1, 0, 1])
    with pytest.raises(ValueError, match="purity needs as many reco bins as truth bins, found 2 truth and 3 reco bins"):
        _ = found.purity
