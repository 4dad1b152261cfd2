import pickle
from copy import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from buff import BUFF, BUFFTransport, Unfolder
from buff.datasets import gaussian_1d, gaussian_2d

from .toys import QUICK, Detector, moments, quick, shifted


@pytest.mark.parametrize("method", ["iterated", "reweight"])
def test_prior_of_the_simulation_is_removed(method):
    simulated, nature = shifted()
    unfolder = quick(method).fit(simulated.truth, simulated.reco)
    mean, width = moments(unfolder.unfold(nature.reco))
    sigma = nature.reco.std() / np.sqrt(len(nature.reco)) / 0.8  # of the mean, by the data alone
    assert mean == pytest.approx(nature.truth.mean(), abs=3 * sigma)
    assert width == pytest.approx(nature.truth.std(), abs=0.05)


def test_one_step_keeps_a_share_of_the_prior():
    simulated, nature = shifted()
    unfolder = quick("conditional").fit(simulated.truth, simulated.reco)
    one, more = moments(unfolder.unfold(nature.reco))[0], moments(unfolder.unfold(nature.reco, n_iterations=4))[0]
    assert one == pytest.approx(0.8 * nature.reco.mean(), abs=0.03)
    assert abs(more - nature.truth.mean()) < 0.5 * abs(one - nature.truth.mean())


def test_a_thousand_measured_events_do_not_collapse():
    simulated, nature = shifted(6000, 1000)
    for method in ("iterated", "reweight"):
        result = quick(method, n_samples=20, n_iterations=4).fit(simulated.truth, simulated.reco).unfold(nature.reco)
        mean, width = moments(result)
        assert mean == pytest.approx(nature.truth.mean(), abs=0.1)
        assert width == pytest.approx(nature.truth.std(), abs=0.1)
        assert result.history[-1].effective > 0.5


def unfolded_and_truth(method, detector, nature, background=0.0, **options):
    simulated, measured = detector.events(5000, 0), nature.events(5000, 1)
    unfolder = quick(method, **options).fit(simulated[0], simulated[1], pass_truth=simulated[2], pass_reco=simulated[3])
    reco, given = measured[1][measured[3]], None
    if background:
        rng = np.random.default_rng(5)
        n = round(background * len(reco))
        reco = np.vstack([reco, rng.normal(2, 0.3, (n, 1))])
        given = rng.normal(2, 0.3, (4 * n, 1)), np.full(4 * n, 0.25)
    return unfolder.unfold(reco, background=given), measured[0][measured[2], 0]


EDGES = np.linspace(-1.5, 2, 8)


@pytest.mark.parametrize("method", ["iterated", "reweight"])
@pytest.mark.parametrize("background", [0.0, 0.1])
def test_efficiency_fakes_and_background(method, background):
    result, truth = unfolded_and_truth(method, Detector(), Detector(0.2), background, n_iterations=3, n_samples=10)
    counts, edges = result.histogram(0, EDGES).values(), EDGES
    expected = np.histogram(truth, edges)[0]
    # both are of the same 5000 events, of which about half are seen: sqrt of what is seen, over its efficiency
    centres = (edges[1:] + edges[:-1]) / 2
    sigma = np.sqrt(expected / Detector().efficiency(centres)) * 1.5
    chi2 = np.sum(((counts - expected) / sigma) ** 2)
    assert chi2 < 24  # 7 bins, p = 0.001
    assert result.weights.sum() == pytest.approx(5000, rel=0.05)
    assert result.diagnostics.signal == pytest.approx(1 - 0.1 / 0.7 * 0.9 - background, abs=0.06)


def test_without_corrections_the_toy_is_wrong():
    _, _, in_truth, in_reco = events = Detector().events(8000, 0)
    both = in_truth & in_reco
    unfolder = quick("conditional").fit(events[0][both], events[1][both])
    nature = Detector(0.2).events(8000, 1)
    counts = unfolder.unfold(nature[1][nature[3]]).histogram(0, EDGES).values()
    expected = np.histogram(nature[0][nature[2]], EDGES)[0]
    assert np.sum((counts - expected) ** 2 / expected) > 500


def test_a_background_larger_than_the_data():
    unfolder = quick("reweight").fit(*shifted()[0].__dict__.values())
    with pytest.raises(ValueError, match="the background has weight 300, all measured events 200: nothing is left"):
        unfolder.unfold(np.zeros((200, 1)), background=np.zeros((300, 1)))


def test_weights_of_measured_events_count():
    simulated, nature = shifted()
    unfolder = quick("conditional", n_samples=4).fit(simulated.truth, simulated.reco)
    weights = (nature.reco[:, 0] > 0).astype(float) * 2
    result = unfolder.unfold(nature.reco, sample_weight=weights)
    assert result.weights.sum() == pytest.approx(weights.sum())
    positive = unfolder.unfold(nature.reco[nature.reco[:, 0] > 0])
    assert moments(result)[0] == pytest.approx(moments(positive)[0], abs=0.03)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(50), "zero in all 50 rows"),
        (np.full(50, -1.0), "50 negative values of 50"),
        (np.ones(49), r"shape \(50,\) expected, one weight a row; found \(49,\)"),
    ],
)
def test_bad_weights_of_measured_events(weights, message):
    unfolder = quick("reweight").fit(*shifted(500)[0].__dict__.values())
    with pytest.raises(ValueError, match=message):
        unfolder.unfold(np.zeros((50, 1)), sample_weight=weights)


def test_events_outside_the_simulation_are_counted_and_told():
    simulated, nature = shifted(3000, 300, 0.0)
    unfolder = quick("conditional", n_samples=2).fit(simulated.truth, simulated.reco)
    reco = np.vstack([nature.reco, [[50.0]], [[-50.0]]])
    with pytest.warns(UserWarning, match="2 of 302 measured events .0.66% of the weight.*first is row 300"):
        result = unfolder.unfold(reco)
    assert result.diagnostics.outside == 2
    np.testing.assert_array_equal(np.flatnonzero(result.outside), [300, 301])


def test_draws_outside_the_simulation_are_told_too():
    simulated = shifted(1000)[0]
    unfolder = quick("conditional").fit(simulated.truth, simulated.reco)
    with pytest.warns(UserWarning, match="1 of 2 measured events .50.00% of the weight.*first is row 1"):
        assert unfolder.sample([[0.0], [50.0]], 3).shape == (2, 3, 1)


def test_labels_that_were_never_simulated_are_refused_with_numbers():
    simulated, nature = shifted(1000, 40)
    reco, measured = (pd.DataFrame({"x": s.reco[:, 0], "flavour": "e"}) for s in (simulated, nature))
    unfolder = quick("reweight").fit(simulated.truth, reco)
    with pytest.raises(ValueError, match="reco: 3 of 40 events have a value in column 'flavour'.*'mu' in event 37"):
        unfolder.unfold(measured.assign(flavour=["e"] * 37 + ["mu"] * 3))


@pytest.mark.parametrize("failing", [1, 3])
def test_few_failing_events_are_a_constant_share(failing):
    simulated, nature = shifted(600, 300)
    seen = np.arange(600) >= failing
    options = {"n_iterations": 1}
    missed = quick("reweight", **options).fit(simulated.truth, simulated.reco, pass_reco=seen).unfold(nature.reco)
    fakes = quick("reweight", **options).fit(simulated.truth, simulated.reco, pass_truth=seen).unfold(nature.reco)
    assert missed.weights.sum() == pytest.approx(300 * 600 / (600 - failing), rel=0.005)
    assert fakes.weights.sum() == pytest.approx(300 * (600 - failing) / 600)


def test_few_measured_events():
    simulated, nature = shifted(600, 5)
    unfolder = quick().fit(simulated.truth, simulated.reco)
    assert len(unfolder.unfold(nature.reco, n_iterations=1).weights) == 60
    for given in ({}, {"n_iterations": 2}):
        with pytest.raises(ValueError, match="measured events that reweighting learns from .*: found 5 with a weight"):
            unfolder.unfold(nature.reco, **given)
    with pytest.raises(ValueError, match="background events: found 5 with a weight, at least 10 are needed"):
        unfolder.unfold(np.tile(nature.reco, (10, 1)), background=nature.reco)
    with pytest.raises(ValueError, match="reco has no events"):
        unfolder.unfold(nature.reco[:0])


def test_no_background_and_a_bad_one():
    simulated, nature = shifted(600, 300)
    unfolder = quick("reweight", n_iterations=1).fit(simulated.truth, simulated.reco)
    nothing = nature.reco[:0]
    for background in (nothing, (nothing, []), (nothing, None)):
        assert (
            unfolder.unfold(nature.reco, background=background).weights == unfolder.unfold(nature.reco).weights
        ).all()
    with pytest.raises(
        ValueError, match=r"background must be a table or a pair \(table, weights\), found a tuple of 3"
    ):
        unfolder.unfold(nature.reco, background=(nothing, None, 1))


def test_an_iteration_that_diverges_is_told():
    # nature is where the simulation has its last event or two
    simulated = gaussian_1d().sample(3000, 0)
    top = np.sort(simulated.reco[:, 0])[-2]
    reco = top + 1e-3 * np.random.default_rng(0).normal(size=(3000, 1))
    unfolder = quick("reweight").fit(simulated.truth, simulated.reco)
    with pytest.warns(ConvergenceWarning, match=r"iteration \d diverges: the weights are worth 0.\d\d% of the events"):
        unfolder.unfold(reco)


def test_same_seed_same_result_and_other_seed_another():
    simulated, nature = shifted(2000, 500)

    def weights(seed):
        fitted = quick(random_state=seed, n_iterations=2, n_samples=5).fit(simulated.truth, simulated.reco)
        result = fitted.unfold(nature.reco)
        return result.events, result.weights

    for a, b, c in zip(weights(1), weights(1), weights(2), strict=True):
        assert (a == b).all()
        assert (a != c).any()


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_containers_and_names_come_back(library):
    problem = gaussian_2d()
    pairs = problem.sample(2000, 0)
    truth = library({"mass": pairs.truth[:, 0], "n": np.round(pairs.truth[:, 1] * 3).astype(int)})
    reco = library({"m": pairs.reco[:, 0], "k": pairs.reco[:, 1]})
    unfolder = quick("conditional", n_samples=3).fit(truth, reco)
    events = unfolder.unfold(reco[:100]).events
    assert isinstance(events, library)
    assert list(events.columns) == ["mass", "n"]
    assert events["n"].dtype == truth["n"].dtype
    assert len(unfolder.sample(reco[:10], 7)) == 70


def test_draws_of_an_event_belong_together():
    simulated, nature = shifted(3000, 50)
    unfolder = quick("conditional").fit(simulated.truth, simulated.reco)
    draws = unfolder.sample(nature.reco, 40)
    assert draws.shape == (50, 40, 1)
    assert np.corrcoef(draws.mean(axis=1)[:, 0], nature.reco[:, 0])[0, 1] > 0.98
    assert (draws == unfolder.sample(nature.reco, 40)).all()
    assert (draws != unfolder.sample(nature.reco, 40, random_state=9)).any()


def test_reweighting_has_no_posterior():
    assert not hasattr(quick("reweight"), "sample")
    assert hasattr(quick("iterated"), "sample")


def test_clones_pickles_and_parameters():
    unfolder = quick(n_iterations=2, classifier={"max_depth": 3})
    assert clone(unfolder).get_params()["classifier"] == {"max_depth": 3}
    simulated, nature = shifted(1000, 100)
    unfolder.fit(simulated.truth, simulated.reco)
    again = pickle.loads(pickle.dumps(unfolder))
    assert (again.unfold(nature.reco).weights == unfolder.unfold(nature.reco).weights).all()


def test_in_pipelines_and_searches():
    simulated, nature = shifted(1500, 100)
    pipeline = make_pipeline(StandardScaler(), quick("conditional", n_samples=2))
    pipeline.fit(simulated.truth, simulated.reco)
    assert len(pipeline[-1].unfold(nature.reco).weights) == 200
    # a generator without trees of a sharp nonlinear response is worse than one with
    reco = np.where(simulated.truth > 0, simulated.truth, 0.1 * simulated.truth) + 0.05 * np.sin(9 * simulated.truth)
    grid = {"generator": [BUFF(**QUICK), BUFF(**QUICK | {"n_estimators": 0})]}
    search = GridSearchCV(quick("conditional"), grid, cv=2).fit(simulated.truth, reco)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > scores[1]


def test_score_is_best_for_the_right_posterior():
    sharp = gaussian_1d(resolution=0.2)
    pairs, test = sharp.sample(3000, 0), sharp.sample(500, 1)
    right = quick("conditional").fit(pairs.truth, pairs.reco)
    blurred = quick("conditional").fit(pairs.truth, gaussian_1d(resolution=0.5).smear(pairs.truth, 2))
    assert right.score(test.truth, test.reco) > blurred.score(test.truth, test.reco)
    with pytest.raises(ValueError, match="truth has 25 rows, reco 500"):
        right.score(test.truth[:25], test.reco)
    with pytest.raises(ValueError, match=r"truth has the columns \['x0', 'x1'\], the simulated truth \['x0'\]"):
        right.score(np.hstack([test.truth, test.truth]), test.reco)


def test_score_looks_at_events_that_pass():
    simulated, nature = shifted(1000, 200)
    unfolder = quick("conditional").fit(simulated.truth, simulated.reco)
    seen = np.arange(200) % 3 > 0
    reco = np.where(seen[:, None], nature.reco, np.nan)
    score = unfolder.score(nature.truth, reco, pass_reco=seen)
    assert score == pytest.approx(unfolder.score(nature.truth[seen], nature.reco[seen]))
    weighted = unfolder.score(nature.truth, nature.reco, sample_weight=seen.astype(float))
    assert weighted == pytest.approx(score, abs=0.02)


def test_flags_and_weights_arrive_in_searches():
    simulated = shifted(600)[0]
    seen = np.random.default_rng(0).random(600) < 0.8
    reco = np.where(seen[:, None], simulated.reco, np.nan)
    with config_context(enable_metadata_routing=True):
        unfolder = quick("conditional").set_fit_request(pass_reco=True).set_score_request(pass_reco=True)
        search = GridSearchCV(unfolder, {"generator__n_steps": [3, 4]}, cv=2).fit(simulated.truth, reco, pass_reco=seen)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "svd"}, "method must be one of iterated, conditional, bridge, reweight; found 'svd'"),
        ({"n_iterations": 0}, "n_iterations must be at least 1, found 0"),
        ({"n_replicas": {"toys": 3}}, r"n_replicas names data, simulation, model; found \['toys'\]"),
        ({"n_replicas": 1}, "n_replicas of data must be 0 or at least 2, found 1"),
        ({"method": ["svd"]}, "method must be one of iterated"),
        ({"n_samples": True}, "n_samples must be an integer, found True"),
        ({"classifier": {"max_depth": 0}}, "classifier: max_depth must be at least 1, found 0"),
        ({"classifier": {"learning_rate": "x"}}, r"classifier: learning_rate must be a number in \(0, 2\], found 'x'"),
        (
            {"method": "bridge", "generator": BUFFTransport(coupling="transport")},
            "generator of method 'bridge' must have coupling='paired', found 'transport'",
        ),
        ({"classifier": {"depth": 3}}, r"classifier has no setting \['depth'\]; the settings are n_estimators"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Unfolder(**options).fit(np.zeros((50, 1)), np.zeros((50, 1)))


@pytest.mark.parametrize(
    ("method", "generator", "wanted"), [("bridge", BUFF(), "BUFFTransport"), ("iterated", BUFFTransport(), "BUFF")]
)
def test_the_generator_suits_the_method(method, generator, wanted):
    with pytest.raises(TypeError, match=f"generator of method '{method}' must be a {wanted} or None, found BUFF"):
        Unfolder(method, generator=generator).fit(np.zeros((50, 1)), np.zeros((50, 1)))


def test_not_fitted_and_bad_arguments():
    with pytest.raises(NotFittedError):
        Unfolder().unfold(np.zeros((3, 1)))
    simulated, nature = shifted(1000, 50)
    unfolder = quick().fit(simulated.truth, simulated.reco)
    with pytest.raises(ValueError, match="n_iterations must be at least 1, found 0"):
        unfolder.unfold(nature.reco, n_iterations=0)
    with pytest.raises(ValueError, match="n_samples must be at least 1, found 0"):
        unfolder.sample(nature.reco, 0)
    with pytest.raises(ValueError, match=f"method is 'reweight' and was '{unfolder.method}' in the fit: fit again"):
        copy(unfolder).set_params(method="reweight").unfold(nature.reco)
    with pytest.raises(ValueError, match="reco: column 'x0' lacks 1 values"):
        unfolder.unfold(np.array([[np.nan], [1.0]]))


def test_the_default_generator_calms_its_splits():
    simulated, _ = shifted(500, 10)
    generator = Unfolder("conditional", random_state=0, n_jobs=1).fit(simulated.truth, simulated.reco)._generator()
    assert generator.tree_params["min_split_loss"] == pytest.approx(0.5 * generator.noise_budget / 500)
