"""Normal scores of arrays: what the transformer of tables makes of the same numbers."""

import numpy as np

from buff.transforms import TableTransformer
from buff.transforms.scores import NormalScores

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.exponential(size=1000), np.where(RNG.random(1000) < 0.3, 0.5, RNG.normal(size=1000))])


def test_scores_are_those_of_the_table():
    scores, table = NormalScores.fit(X), TableTransformer(bandwidth=0).fit(X)
    for ours, theirs in zip(scores.bounds(X), table.bounds(X), strict=True):
        assert np.array_equal(ours, theirs)
    z = RNG.normal(size=(200, 2)).astype(np.float32)
    assert np.array_equal(scores.decode(z), table.inverse_transform(z))


def test_weights_choose_the_population():
    first = np.arange(1000) < 500
    weighted = NormalScores.fit(np.where(first[:, None], X, X + 50), np.where(first, 1.0, 1e-6))
    assert abs(weighted.encode(X).mean()) < 0.1


def test_repeated_values_span_their_ranks():
    low, high = NormalScores.fit(X).bounds(X)
    assert np.array_equal(low[:, 0], high[:, 0])
    spike = X[:, 1] == 0.5
    assert (high[spike, 1] - low[spike, 1]).min() > 0.5


def test_maps_come_back_from_their_parts():
    scores = NormalScores.fit(X, extrapolate=True)
    again = NormalScores.from_arrays(*scores.to_arrays())
    z = RNG.normal(size=(50, 2)).astype(np.float32)
    assert np.array_equal(again.decode(z), scores.decode(z))
