import warnings
from dataclasses import replace

import numpy as np
import pytest

from buff.fields import GaussianPart
from buff.flows import FlowMatchingData, FlowModel, FlowSettings, SampleRequest, fit_flow
from buff.flows.nodes import NodeFrame
from buff.solvers import integrate
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)
TREES = TreeSettings(n_estimators=4, max_depth=4)
SETTINGS = FlowSettings(n_steps=4, solver="ifab2", grid="dense1.5", trees=TREES, noise_budget=20_000)


def banana(n, rng=RNG):
    x = rng.normal(size=(n, 1))
    return np.hstack([x, 0.5 * (x**2 - 1) + 0.2 * rng.normal(size=(n, 1)), x + 0.05 * rng.normal(size=(n, 1))])


def test_linear_part_is_that_of_all_moments():
    data = FlowMatchingData.of(banana(2000).astype(np.float32))
    base = data.base(np.random.default_rng(0))
    part = base.gaussian_part()
    for t in (0.1, 0.5, 0.9):
        for one, other in zip(part.at(t), base.at(t), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-2)


def test_targets_have_unit_width_where_the_data_are_gaussian():
    x1 = RNG.multivariate_normal([0, 0], [[1, 0.99], [0.99, 1]], 50_000)
    x0, part = RNG.normal(size=x1.shape), GaussianPart.of(np.zeros(2), np.array([[1, 0.99], [0.99, 1]]))
    for t in (0.2, 0.8):
        x = ((1 - t) * x0 + t * x1).astype(np.float32)
        frame = NodeFrame.of(part, t)
        targets = frame.targets((x1 - x0).astype(np.float32) - part.velocity(x, t))
        np.testing.assert_allclose(targets.std(axis=0), 1, atol=0.02)
        np.testing.assert_allclose(frame.features(x)[:, 2:].std(axis=0), 1, atol=0.02)


@pytest.mark.parametrize("condition", [False, True])
def test_events_do_not_depend_on_batches(condition):
    x1, c = banana(1500), RNG.normal(size=(1500, 1)) if condition else None
    model = fit_flow(x1, SETTINGS, condition=c, seed=0)
    asked = None if c is None else c[:300].astype(np.float32)
    whole = model.sample(SampleRequest(300, seed=1, condition=asked))
    parts = model.sample(SampleRequest(300, seed=1, condition=asked, batch_size=7))
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("features", ["scores", "both"])
@pytest.mark.parametrize("condition", [False, True])
def test_files_keep_the_frame(features, condition):
    settings = replace(SETTINGS, trees=replace(TREES, features=features))
    c = RNG.normal(size=(1500, 1)).astype(np.float32) if condition else None
    model = fit_flow(banana(1500), settings, condition=c, seed=0)
    request = SampleRequest(200, seed=1, condition=None if c is None else c[:200])
    again = FlowModel.from_arrays(*model.to_arrays())
    np.testing.assert_array_equal(again.sample(request), model.sample(request))


def test_velocities_and_frame_velocities_agree():
    model = fit_flow(banana(1500), SETTINGS, seed=0)
    x, t = banana(50).astype(np.float32), model.times[2]
    y = model.gaussian.to_frame(x, t)
    direct = model.field.frame_velocity(x, y, t)
    through = model.gaussian.frame_velocity(x, model.field(x, t), t)
    np.testing.assert_allclose(direct, through, atol=2e-3)


def test_without_trees_the_gaussian_comes_out():
    x1 = RNG.multivariate_normal([0.2, -0.1], [[1, 0.9], [0.9, 1]], 4000)
    model = fit_flow(x1, replace(SETTINGS, n_steps=1, trees=replace(TREES, n_estimators=0)), seed=0)
    events = model.sample(SampleRequest(20_000, seed=1))
    np.testing.assert_allclose(np.cov(events.T), np.cov(x1.T), atol=0.04)


def test_networks_can_be_given_a_gaussian_part():
    """Fields of one's own: any velocity with the coordinates of its data."""
    from buff.fields import Framed, GaussianFlow, TimeField

    gauss = GaussianFlow.of(np.zeros(2), np.array([[1.0, 0.95], [0.95, 1.0]]))
    field = Framed(TimeField(lambda x, t, condition: gauss.velocity(x, t)), gauss)
    x0 = RNG.normal(size=(10, 2))
    x1 = integrate("ifab2", field, x0, SETTINGS.time_grid)
    np.testing.assert_allclose(x1, gauss.from_frame(gauss.to_frame(x0, 0.0), 1.0))


TABLES = {
    "constant": lambda: np.column_stack([RNG.normal(size=300), np.zeros(300)]),
    "duplicated": lambda: np.repeat(RNG.normal(size=(300, 1)), 3, axis=1),
    "collinear": lambda: RNG.normal(size=(300, 2)) @ RNG.normal(size=(2, 5)),
    "wider than long": lambda: RNG.normal(size=(10, 30)),
    "one column": lambda: RNG.normal(size=(300, 1)),
    "one row twice": lambda: np.ones((2, 3)),
    "extreme": lambda: RNG.standard_t(1, size=(300, 2)).clip(-30, 30),
}


@pytest.mark.parametrize("table", TABLES)
def test_singular_tables(table):
    x1 = TABLES[table]().astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_flow(x1, replace(SETTINGS, noise_budget=5_000), seed=0)
        events = model.sample(SampleRequest(500, seed=1))
    assert np.isfinite(events).all()
    width = np.maximum(x1.std(axis=0), 0.05)
    assert (abs(events - x1.mean(axis=0)) < 12 * width).all()
    if table == "duplicated":
        assert np.ptp(events, axis=1).max() < 0.05
    if table == "constant":
        assert abs(events[:, 1]).max() < 0.05


def test_weights_are_rows():
    x1, w = banana(800), RNG.integers(1, 4, 800)
    weighted = fit_flow(x1, SETTINGS, sample_weight=w, seed=0).gaussian
    repeated = fit_flow(np.repeat(x1, w, axis=0), SETTINGS, seed=0).gaussian
    np.testing.assert_allclose(weighted.variances, repeated.variances, rtol=1e-3)
