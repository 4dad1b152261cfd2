"""A flow a class: the events of a class alone, at the places that its events have."""

from dataclasses import replace

import numpy as np
import pytest

from buff.flows import Classes, FlowSettings, MixtureModel, SampleRequest, fit_flow
from buff.randomness import EventNoise
from buff.trees import TreeSettings

SETTINGS = FlowSettings(n_steps=3, trees=TreeSettings(n_estimators=2, max_depth=3), noise_budget=3000)
FEATURES = np.eye(3, dtype=np.float32)


@pytest.fixture(scope="module", params=["euler", "ddpm"])
def mixture(request):
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((400, d)) + 4 * d for d in (1, 2, 2)]
    flows = [fit_flow(x, replace(SETTINGS, solver=request.param), seed=k) for k, x in enumerate(rows)]
    return MixtureModel(Classes(FEATURES, ("a", "b", "c")), tuple(flows))


@pytest.fixture
def asked():
    numbers = np.random.default_rng(1).integers(0, 3, 50)
    return numbers, SampleRequest(50, 7, 3, condition=FEATURES[numbers])


def test_events_are_those_of_their_class_alone(mixture, asked):
    numbers, request = asked
    x = mixture.sample(request)
    for k, model in enumerate(mixture.models):
        alone = model.sample(replace(request, condition=None))
        assert np.array_equal(x[numbers == k, : model.n_dims], alone[numbers == k])
    assert (x[numbers == 0, 1] == 0).all()


def test_batches_choices_and_trajectories_are_the_same_events(mixture, asked):
    _, request = asked
    x = mixture.sample(request)
    assert np.array_equal(mixture.sample(replace(request, batch_size=7)), x)
    *_, last = mixture.trajectory(request)
    assert np.array_equal(last, x)
    rows = np.array([2, 30, 31])
    assert np.array_equal(mixture.sample(request.choose(rows)), x[rows])


def test_random_words_are_generated_once_for_all_classes(mixture, asked, monkeypatch):
    _, request = asked
    mixture.draw(request)  # at first, kernels and solver draw a few events both
    drawn, generate = [], EventNoise._words
    monkeypatch.setattr(EventNoise, "_words", lambda self, n, d: drawn.append((self._calls, d)) or generate(self, n, d))
    mixture.draw(request)
    assert len(drawn) == len(set(drawn))  # once a stream and width, whatever the number of classes


def test_mixtures_come_back_from_their_parts(mixture, asked):
    _, request = asked
    back = MixtureModel.from_arrays(*mixture.to_arrays())
    assert np.array_equal(back.sample(request), mixture.sample(request))
    assert [r.label for r in back.records] == [r.label for r in mixture.records]
    assert {r.label for r in back.records} == {"a", "b", "c"}
    assert back.classes.names == ("a", "b", "c")


def test_unknown_combinations_are_named(mixture):
    with pytest.raises(ValueError, match="row 1 of condition is a combination"):
        mixture.sample(SampleRequest(2, 0, condition=np.array([[1, 0, 0], [1, 1, 0]], np.float32)))
