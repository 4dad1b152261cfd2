"""Pairs: marginals stay, strata are kept, transport brings near rows together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from buff.couplings import MinibatchTransport, stratify
from buff.flows import FlowMatchingData, LinearVelocity, RankIntervals, Source
from buff.flows.cache import fingerprint
from buff.flows.conditional import limit_memorisation, spread, with_fine_bins
from buff.trees import TreeSettings

RNG = np.random.default_rng(0)
N = 2000
LEVELS = RNG.uniform(0.01, 0.99, (N, 2)).astype(np.float32)
OT = MinibatchTransport(batch_size=100)
POINTS = RNG.normal(size=(N, 2)).astype(np.float32)


def rows(source, **parts):
    return FlowMatchingData(RankIntervals(LEVELS, LEVELS), source=source, **parts)


def distance(x0, x1):
    return np.mean((x1 - x0) ** 2)


def test_transport_shortens_the_way_and_keeps_the_marginals():
    near, any_ = (rows(Source(coupling=c)).pairs(np.random.default_rng(1)) for c in (OT, None))
    assert distance(*near[:2]) < 0.1 * distance(*any_[:2])
    assert all(kstest(near[0][:, k], "norm").pvalue > 1e-3 for k in range(2))
    assert np.array_equal(np.sort(near[1], axis=0), np.sort(any_[1], axis=0))


def test_pairs_are_exchanged_within_strata_only():
    labels = RNG.integers(0, 3, N)
    points = (10.0 * labels[:, None] + POINTS).astype(np.float32)
    condition = labels[:, None].astype(np.float32)
    source = Source(0.0, points, coupling=OT, labels=labels, sample_labels=labels)
    x0, _, c, _ = rows(source, condition=condition).pairs(np.random.default_rng(1))
    assert np.array_equal(np.rint(x0.mean(axis=1) / 10), c[:, 0])


def test_weights_become_frequencies_on_both_sides():
    left, points = LEVELS[:, 0] < 0.5, np.zeros((2, 2), np.float32)
    points[1] = 1
    source = Source(0.0, points, np.array([1.0, 3.0]), OT)
    x0, x1, _, weights = rows(source, weights=np.where(left, 3.0, 1.0)).pairs(np.random.default_rng(1))
    assert weights is None
    assert abs(x0.mean() - 0.75) < 0.05
    assert abs((x1[:, 0] < 0).mean() - 3 * left.mean() / (3 * left.mean() + (1 - left.mean()))) < 0.05


def test_rows_keep_their_points():
    data = rows(Source(0.0, POINTS))
    x0, _, _, _ = data.pairs(np.random.default_rng(1))
    assert np.array_equal(x0, POINTS)
    part = data.subset(50, np.random.default_rng(0))
    kept = np.flatnonzero(np.isin(LEVELS[:, 0], part.scores.low[:, 0]))
    assert np.array_equal(part.pairs(np.random.default_rng(1))[0], POINTS[kept])
    noisy = rows(Source(0.1, POINTS)).pairs(np.random.default_rng(1))[0]
    assert (noisy - POINTS).std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    ("source", "known"),
    [
        (Source(), [True, False, True]),
        (Source(0.5), [True, False, True]),
        (Source(coupling=OT), [False] * 3),
        (Source(0.0, POINTS), [False] * 3),
    ],
)
def test_velocities_are_known_where_noise_knows_nothing(source, known):
    data = rows(source)
    assert [data.has_closed_form(t) for t in (0, 0.5, 1)] == known
    assert data.is_uninformative(0) == known[0]
    conditional = replace(data, condition=LEVELS)
    assert [conditional.has_closed_form(t) for t in (0, 0.5, 1)] == [False, False, known[2]]


@pytest.mark.parametrize("source", [Source(0.5), Source(coupling=OT), Source(0.0, POINTS)])
def test_base_is_least_squares_of_the_pairs(source):
    data = rows(source)
    base = data.base(np.random.default_rng(1))
    features, targets, _ = data.problem(0.4, 10, np.random.default_rng(2))
    inputs = np.hstack([features, np.ones((len(features), 1))])
    assert np.allclose(np.vstack(base.at(0.4)), np.linalg.lstsq(inputs, targets, rcond=None)[0], atol=0.05)
    assert spread(base) == pytest.approx(np.mean(targets**2), rel=0.05)


def test_any_other_start_is_another_fit():
    source = [Source(), Source(0.5), Source(coupling=OT), Source(coupling=MinibatchTransport(50)), Source(0.0, POINTS)]
    source += [Source(0.0, POINTS + 1), Source(0.0, POINTS, coupling=OT), Source(0.0, POINTS, np.ones(N), OT)]
    assert len({fingerprint(rows(s), TreeSettings(), 1) for s in source}) == len(source)


def test_splits_of_single_rows_count_in_rows():
    settings, base = TreeSettings(), LinearVelocity.of_pairs(POINTS, POINTS + [[0.5, 0.5]] * RNG.normal(size=(N, 2)))
    fixed = limit_memorisation(settings, rows(Source(0.0, POINTS)), base, 1)
    assert fixed.min_split_loss == pytest.approx(6 * 0.25, rel=0.1)
    assert limit_memorisation(settings, rows(Source()), base, 7) is settings
    named = limit_memorisation(settings, rows(Source(), condition=LEVELS), base, 7)
    assert named.min_split_loss == pytest.approx(6 * 7)


def test_bins_are_fine_where_conditions_have_more_values_than_bins():
    settings = TreeSettings()
    pairs = np.column_stack([np.arange(N) % 40, np.arange(N) // 40]).astype(np.float32)  # names each row
    assert with_fine_bins(settings, rows(Source(), condition=pairs)) is settings
    assert with_fine_bins(settings, rows(Source())) is settings
    for steep in (rows(Source(), condition=LEVELS), rows(Source(0.0, POINTS))):
        assert with_fine_bins(settings, steep).max_bin == 256


def test_strata_are_levels_or_cells():
    labels = RNG.integers(0, 4, N)
    assert np.array_equal(stratify(labels[:, None]), labels)
    c = RNG.normal(size=(N, 2))
    cells = stratify(c, smallest=100)
    counts = np.bincount(cells)
    assert len(counts) == 16
    assert counts.min() >= 100
    within = np.mean([c[cells == k].var(axis=0) for k in range(16)], axis=0)
    assert (within < 0.25 * c.var(axis=0)).all()
    side = (c[:, 0] > 1).astype(int)
    both = stratify(c, side, smallest=20)
    assert all(((both == k) & (side == s)).sum() >= 20 for k in np.unique(both) for s in (0, 1))
    with pytest.raises(ValueError, match="1 of 4 conditions occur in one of the two tables only"):
        stratify(labels[:, None], (labels > 0) & (np.arange(N) % 2 == 0))


def test_rows_drawn_by_weight_stay_within_their_strata():
    rng = np.random.default_rng(0)
    labels, own = rng.integers(0, 3, 600), rng.integers(0, 3, 900)
    x1 = np.column_stack([10.0 * labels, rng.normal(size=600)]).astype(np.float32)
    samples = np.column_stack([10.0 * own, rng.normal(size=900)]).astype(np.float32)
    source = Source(noise=0, samples=samples, coupling=OT, labels=labels, sample_labels=own)
    weights = rng.exponential(size=600).astype(np.float32)
    x0, rows = source.draw_coupled(x1, weights, np.random.default_rng(1))
    assert len(np.unique(rows)) < 600
    np.testing.assert_array_equal(x0[:, 0], x1[rows, 0])


@pytest.mark.parametrize("pair", [False, True])
def test_what_goes_with_a_row_stays_with_it_beside_rows_without_weight(pair):
    rng = np.random.default_rng(0)
    x1 = rng.normal(size=(300, 2)).astype(np.float32)
    weights = np.where(rng.random(300) < 0.4, 0.0, 1.0 + np.arange(300))
    source = Source(noise=0, samples=x1 + 1, labels=np.arange(300))
    data = FlowMatchingData.of((x1, x1) if pair else x1, x1[:, :1] * 2, weights, source)
    kept = x1[weights > 0]
    scores = data.targets(np.random.default_rng(1))
    np.testing.assert_allclose(scores, kept, atol=1e-5)
    np.testing.assert_array_equal(data.condition, kept[:, :1] * 2)
    np.testing.assert_array_equal(data.source.samples, kept + 1)
    np.testing.assert_array_equal(data.source.labels, np.flatnonzero(weights))
    np.testing.assert_allclose(data.weights, weights[weights > 0] / weights[weights > 0].mean(), rtol=1e-5)


def test_as_many_rows_as_samples_start_at_each_once():
    data = FlowMatchingData(RankIntervals(LEVELS, LEVELS), source=Source(0.0, POINTS, coupling=OT))
    x0, *_ = data.pairs(np.random.default_rng(1))
    assert np.array_equal(np.sort(x0, axis=0), np.sort(POINTS, axis=0))
