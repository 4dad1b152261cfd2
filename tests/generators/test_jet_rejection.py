"""Rejection by a classifier: what is taken follows the training, event by event."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import buff
from buff.generators.jet_rejection import JetRejection, observables
from buff.generators.jet_sampling import LEAST_JETS
from buff.metrics.jets import OBSERVABLE_NAMES
from buff.physics.kinematics import invariant_mass
from tests.generators.jet_models import quick
from tests.physics.clouds import clouds


def parts(cloud):
    return cloud, np.zeros((len(cloud), 0)), np.ones(len(cloud))


def wider(cloud, share, rng):
    """A share of the jets 1.5 times as wide."""
    factor = np.where(rng.random(len(cloud)) < share, 1.5, 1.0)
    return cloud * np.stack([factor, factor, np.ones(len(cloud))], axis=1)[:, None]


def width(cloud):
    return observables(*parts(cloud))[:, -3]


@pytest.fixture(scope="module")
def judge():
    """A classifier of jets of which a tenth is wide from jets of which half is."""
    rng = np.random.default_rng(1)
    real, drawn = wider(clouds(2500, 4, seed=1), 0.1, rng), wider(clouds(5000, 4, seed=2), 0.5, rng)
    return JetRejection.fit(parts(real), parts(drawn), None, 1.8, seed=0)


def test_what_is_taken_is_distributed_as_the_training(judge):
    rng = np.random.default_rng(2)
    drawn, real = wider(clouds(6000, 4, seed=3), 0.5, rng), wider(clouds(6000, 4, seed=4), 0.1, rng)
    taken = judge.accepts(*parts(drawn), rng.random(6000))
    assert 1 / 1.8 - 0.1 < taken.mean() < 1 / 1.8 + 0.05
    before, after = (abs(width(some).mean() - width(real).mean()) for some in (drawn, drawn[taken]))
    assert after < 0.25 * before


def test_the_mean_of_the_odds_is_one(judge):
    drawn = wider(clouds(6000, 4, seed=5), 0.5, np.random.default_rng(3))
    assert abs(np.exp(judge.log_odds(*parts(drawn))).mean() - 1) < 0.1


def test_margins_of_what_is_taken_are_those_of_the_training(judge):
    rng = np.random.default_rng(4)
    real, fresh = (
        wider(clouds(4000, 4, seed=11), 0.1, rng),
        [wider(clouds(8000, 4, seed=s), 0.5, rng) for s in (12, 13)],
    )
    balanced = judge.balanced(parts(real), (parts(part) for part in fresh), None, 3)

    def masses(rejection, cloud):
        # two attempts with kinematics of their own, then those of the third
        accepted = np.minimum(np.exp(rejection.log_odds(*parts(cloud))) / rejection.max_odds, 1)
        kept = (1 - accepted.mean()) ** 2
        return invariant_mass(cloud), (1 - kept) * accepted / accepted.mean() + kept

    own = np.concatenate(fresh)
    before, after = (
        wasserstein_distance(invariant_mass(real), mass, None, weights)
        for mass, weights in (masses(judge, own), masses(balanced, own))
    )
    assert after < 0.5 * before
    other = wider(clouds(16_000, 4, seed=14), 0.5, rng)
    assert (
        wasserstein_distance(invariant_mass(real), masses(balanced, other)[0], None, masses(balanced, other)[1])
        < before
    )
    assert np.exp(balanced.log_odds(*parts(other))).mean() == pytest.approx(1, abs=0.1)
    again = JetRejection.from_arrays(*balanced.to_arrays())
    assert np.array_equal(again.log_odds(*parts(other)), balanced.log_odds(*parts(other)))


def test_arrays_bring_the_same_odds_back(judge):
    again = JetRejection.from_arrays(*judge.to_arrays())
    cloud = parts(clouds(50, 4, seed=6))
    assert np.array_equal(judge.log_odds(*cloud), again.log_odds(*cloud))
    record, arrays = judge.to_arrays()
    without = {name: values for name, values in arrays.items() if name not in ("edges", "factors")}
    assert np.array_equal(judge.log_odds(*cloud), JetRejection.from_arrays(record, without).log_odds(*cloud))
    with pytest.raises(ValueError, match="do not belong together"):
        JetRejection.from_arrays(record, arrays | {"factors": arrays["factors"][:, :3]})


def test_substructure_is_of_the_hardest_and_sums_of_all():
    cloud = clouds(40, 100, seed=9, least=60)
    seen, hard = observables(*parts(cloud)), observables(*parts(cloud[:, :80]))
    everything = observables(*parts(cloud), most=100)
    known = [OBSERVABLE_NAMES.index(name) for name in ("mass", "sum_pt", "multiplicity", "eta", "phi", "pt1")]
    assert np.allclose(seen[:, known], everything[:, known], rtol=1e-5, atol=1e-7)
    assert np.array_equal(seen[:, -5:], everything[:, -5:])
    tau = OBSERVABLE_NAMES.index("tau3")
    assert np.array_equal(seen[:, tau], hard[:, tau])
    assert not np.allclose(seen[:, tau], everything[:, tau], rtol=1e-4)
    mixed = cloud[:, np.random.default_rng(0).permutation(100)]
    assert np.allclose(observables(*parts(mixed)), seen, rtol=1e-5, atol=1e-7)


def test_decisions_on_a_jet_are_its_own(tmp_path):
    model = quick(n_steps=2).fit(clouds(LEAST_JETS, 4, seed=7))
    assert model.rejection_ is not None
    whole = model.sample(60, random_state=5)
    for size in (1, 13):
        assert np.array_equal(whole, model.sample(60, random_state=5, batch_size=size))
    assert np.array_equal(whole[40:], model.sample(20, random_state=5, first_event=40))
    model.save(tmp_path / "jets.buff")
    assert np.array_equal(whole, buff.load(tmp_path / "jets.buff").sample(60, random_state=5))
    model.rejection_ = None
    assert not np.array_equal(whole, model.sample(60, random_state=5))


def test_switched_off_and_wrong():
    cloud = clouds(LEAST_JETS, 3, seed=8)
    assert quick(n_steps=1, max_odds=None).fit(cloud).rejection_ is None
    for odds in (0.5, True, "a", np.inf):
        with pytest.raises((ValueError, TypeError), match=r"max_odds must .*\[1, inf\), found"):
            quick(max_odds=odds).fit(cloud)
