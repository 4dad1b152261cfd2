"""Weights of both signs in pictures: what is drawn is the weighted sample, and its errors are sqrt(sum w^2)."""

import warnings

import numpy as np
import pyarrow as pa
import pytest

from buff.datasets import SignedWeights
from buff.plotting import associations, corner, correlation_difference, marginals, observables
from buff.plotting.pairs import Pair, _quantiles
from buff.plotting.panels import shares

pytest.importorskip("matplotlib")


def cancelling(x, seed=0):
    """The sample, followed by rows that come twice with opposite signs, and its weights."""
    extra = np.random.default_rng(seed).normal(3.0, 1.0, (len(x), *x.shape[1:]))
    return np.concatenate([x, extra, extra]), np.repeat([1.0, 1.0, -1.0], len(x))


@pytest.fixture
def sample():
    return np.random.default_rng(1).normal(size=(300, 2))


def table(x, seed):
    rng = np.random.default_rng(seed)
    parts = {"x": x[:, 0], "y": x[:, 1], "c": rng.choice(["a", "b", "d"], len(x)), "e": rng.choice(["u", "v"], len(x))}
    return pa.table(parts)


def test_shares_and_their_errors():
    values, w = np.array([0.2, 0.4, 0.6, 1.5, 1.6]), np.array([1.0, 1.0, -1.0, 2.0, 1.0])
    drawn = shares(values, np.array([0.0, 1.0, 2.0]), w)
    np.testing.assert_allclose(drawn.value, [0, 0.25, 0.75, 0])
    np.testing.assert_allclose(drawn.error, [0, np.sqrt(3) / 4, np.sqrt(5) / 4, 0])
    with pytest.raises(ValueError, match="not missing sum to -1"):
        shares(np.array([np.nan, 0.5]), np.array([0.0, 1.0]), [2.0, -1.0])


def test_rows_that_cancel_change_no_association(sample):
    signed, w = cancelling(sample)
    x = observables(table(sample, 2), table(signed, 2), ["x", "y"])
    real, generated = associations(x, None, w)
    np.testing.assert_allclose(generated, real, atol=1e-12)
    # categories: the rows that cancel carry labels that cancel
    labels = np.random.default_rng(3).choice(["a", "b"], 300)
    kind = np.concatenate([labels, labels, labels])
    pair = observables(pa.table({"c": labels, "x": sample[:, 0]}), pa.table({"c": kind, "x": signed[:, 0]}))
    real, generated = associations(pair, None, w)
    np.testing.assert_allclose(generated, real, atol=1e-12)


def test_a_variance_that_is_not_positive_gives_no_association():
    x = pa.table({"x": [0.0, 10.0, 0.1, 0.2], "y": [1.0, 0.0, 2.0, 4.0], "c": ["a", "b", "a", "b"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, matrix = associations(observables(x, x), None, [1.0, -0.5, 1.0, 1.0])
    assert matrix[0, 1] == 0.0
    assert np.isfinite(matrix).all()


def test_counts_in_two_dimensions_keep_their_sign(sample):
    signed, w = cancelling(sample)
    edges = np.linspace(-3, 5, 9)
    both = [
        Pair(x[:, 0], x[:, 1], u, edges, edges, True).counts()
        for x, u in ((sample, np.ones(300)), (signed, w), (sample, np.where(sample[:, 0] > 1, -1.0, 1.0)))
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-12)
    assert both[2].min() < 0


def test_quantiles_of_signed_weights(sample):
    plain = _quantiles(sample[:, 0], np.ones(300), [0.25, 0.5, 0.75])
    signed, w = cancelling(sample)
    np.testing.assert_allclose(_quantiles(signed[:, 0], w, [0.25, 0.5, 0.75]), plain, atol=0.02)
    events = SignedWeights().sample(30_000, 4)
    exact = np.quantile(SignedWeights().target.sample(100_000, 5)[:, 0], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(_quantiles(events.x[:, 0], events.weight, [0.1, 0.5, 0.9]), exact, atol=0.12)


def test_negative_bins_are_inside_the_frame():
    x = np.repeat([0.5, 1.5, 2.5], 40)
    w = np.where(np.arange(120) < 40, np.where(np.arange(120) < 15, 1.0, -1.0), 1.0)
    figure = marginals(x[:, None], x[:, None], ["x"], real_weights=w, bins=3)
    upper, lower = figure.axes[:2]
    assert upper.get_ylim()[0] < shares(x, np.array([0.0, 1.0, 2.0, 3.0]), w).value.min() / 0.7 < 0
    drawn = [line for line in lower.lines if line.get_marker() in "^v" and len(line.get_xdata())]
    assert not drawn  # no ratio to a negative bin


def test_figures_of_signed_samples_draw_without_a_warning():
    events = SignedWeights().sample(400, 0)
    real, generated = table(events.x, 0), table(SignedWeights().target.sample(300, 1), 1)
    for picture in (marginals, corner, correlation_difference):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert picture(real, generated, real_weights=events.weight)._repr_png_()[:4] == b"\x89PNG"
