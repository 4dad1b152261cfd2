import numpy as np
import pytest
from scipy.special import ndtri

from buff.flows import FlowSettings, PatternedData, PatternedFlow, SampleRequest, train_patterned
from buff.flows.patterns import AtomPatterns
from buff.trees import TreeSettings
from tests.labels import contradictions, frame_of_labels, labels

ATOM = np.array([[0.0, 0.4]])
SETTINGS = FlowSettings(n_steps=4, noise_budget=8000, trees=TreeSettings(n_estimators=4))


def scores(n=3000, seed=0):
    """Two scores that sit on an atom together, one without atoms that is larger where they do, one of two values."""
    rng = np.random.default_rng(seed)
    on = rng.random(n) < 0.4
    u = np.where(on[:, None], 0.0, 0.4 + 0.6 * rng.random((n, 2)))
    high = np.where(on[:, None], 0.4, u)
    z = rng.normal(size=n) + on
    first = rng.random(n) < 0.7
    low = np.column_stack([ndtri(np.clip(u, 1e-4, 1 - 1e-4)), z, np.where(first, -3.5, ndtri(0.7))])
    top = np.column_stack([ndtri(np.clip(high, 1e-4, 1 - 1e-4)), z, np.where(first, ndtri(0.7), 3.5)])
    return (low.astype(np.float32), top.astype(np.float32)), [
        ATOM,
        ATOM,
        np.empty((0, 2)),
        np.array([[0, 0.7], [0.7, 1]]),
    ]


@pytest.fixture(scope="module")
def model():
    data = PatternedData.of(*scores())
    return train_patterned(data, SETTINGS, seed=0)


def test_patterns_are_those_of_the_rows():
    x1, atoms = scores()
    patterns = AtomPatterns.of(x1, atoms)
    assert patterns.states[:, :2].tolist() == [[-1, -1], [-1, -1], [0, 0], [0, 0]]
    assert patterns.learned.tolist() == [0, 1, 2]
    assert np.allclose(np.diff(patterns.cumulative[0], prepend=0), [0.42, 0.18, 0.28, 0.12], atol=0.03)


def test_values_among_values_are_standard_normal_and_come_back():
    x1, atoms = scores()
    patterns = AtomPatterns.of(x1, atoms)
    classes = patterns.classify(x1)
    low, high = patterns.split(x1, classes)
    there = patterns.states[classes, 0] < 0
    assert abs(low[there, 0].mean()) < 0.06
    assert abs(low[there, 0].std() - 1) < 0.06
    assert (low[~there, 0] < -8).all()
    assert (high[~there, 0] > 8).all()
    back = patterns.merge(low, classes)
    inner = there & (abs(x1[0][:, 0]) < 3)
    np.testing.assert_allclose(back[inner, 0], x1[0][inner, 0], atol=2e-3)
    assert np.array_equal(patterns.classify((back, back)), classes)


def test_drawn_scores_sit_on_atoms_together(model):
    x = model.sample(SampleRequest(4000, seed=1))
    on = x < ndtri(0.4)
    assert np.array_equal(on[:, 0], on[:, 1])
    assert abs(on[:, 0].mean() - 0.4) < 0.03
    assert abs(x[on[:, 0], 2].mean() - x[~on[:, 0], 2].mean() - 1) < 0.15


def test_events_belong_to_their_number(model):
    whole = model.sample(SampleRequest(300, seed=1, batch_size=64))
    assert np.array_equal(model.sample(SampleRequest(100, seed=1, first_event=200)), whole[200:])
    assert np.array_equal(list(model.trajectory(SampleRequest(300, seed=1)))[-1], whole)


def test_files_and_students(model):
    again = PatternedFlow.from_arrays(*model.to_arrays())
    request = SampleRequest(200, seed=4)
    assert np.array_equal(again.sample(request), model.sample(request))
    student = model.distilled(FlowSettings(n_steps=2, solver="euler"), n_samples=2000, seed=0)
    x = student.sample(request)
    assert np.array_equal(x[:, 0] < ndtri(0.4), model.sample(request)[:, 0] < ndtri(0.4))


def test_scores_without_atoms_have_no_patterns():
    z = np.random.default_rng(0).normal(size=(100, 2))
    assert PatternedData.of((z, z), [np.empty((0, 2))] * 2) is None


def test_conditions_have_patterns_of_their_own():
    x1, atoms = scores()
    condition = (x1[0][:, :1] < ndtri(0.4)).astype(np.float32)
    patterns = AtomPatterns.of(x1, atoms, condition=condition)
    u = np.random.default_rng(0).random(500)
    for c in (0.0, 1.0):
        drawn = patterns.states[patterns.draw(u, np.full((500, 1), c, np.float32)), 0]
        assert ((drawn == 0) == (c == 1)).all()
    assert AtomPatterns.of(x1, atoms, condition=np.random.default_rng(0).normal(size=(3000, 1))) is None


def test_weights_count_in_the_shares():
    x1, atoms = scores()
    on = x1[0][:, 0] < ndtri(0.4)
    patterns = AtomPatterns.of(x1, atoms, np.where(on, 3.0, 1.0))
    share = np.diff(patterns.cumulative[0], prepend=0)[patterns.states[:, 0] == 0].sum()
    assert abs(share - 1.2 / 1.8) < 0.03


def test_a_table_of_atoms_alone_leaves_a_column_to_the_flow():
    u = np.random.default_rng(0).integers(2, size=(400, 1)).repeat(2, axis=1) * 0.5
    ends = tuple(ndtri(np.clip(part, 1e-4, 1 - 1e-4)) for part in (u, u + 0.5))
    patterns = AtomPatterns.of(ends, [np.array([[0, 0.5], [0.5, 1]])] * 2)
    assert patterns.learned.tolist() == [1]
    assert sorted(patterns.states[:, 0].tolist()) == [0, 1]


def test_labels_that_exclude_each_other_and_gaps_of_labels_are_drawn_together():
    from buff.flows.pattern_choice import joined

    states = labels()
    states[:, 4] = np.where(states[:, 4] == 0, 0, -1)
    chosen, classes = joined(states, (False, False, True, True, False, False))
    assert {0, 1, 2, 3, 4} <= set(chosen)
    own = np.column_stack([chosen[j] for j in (0, 1)])
    assert (own == states[:, :2]).all()
    for j in (2, 3):  # their labels have too many states
        assert ((chosen[j] == 0) == (states[:, j] == 0)).all()
        assert (chosen[j][states[:, j] > 0] == -1).all()
    assert classes.max() + 1 == len(np.unique(np.column_stack(list(chosen.values())), axis=0))
    # no labels that exclude each other, no choice of their own
    rng = np.random.default_rng(1)
    independent = rng.integers(0, 3, (4000, 3))
    chosen, _ = joined(independent, (False,) * 3)
    assert set(chosen) == {0, 1, 2}


def test_generated_labels_do_not_contradict_themselves():
    from buff import BUFF

    table = frame_of_labels(3000)
    made = BUFF(noise_budget=10_000, n_steps=4, random_state=0, relations=None).fit(table).sample(3000)
    assert made["c2"].isna().mean() == pytest.approx(0.1, abs=0.02)
    assert contradictions(made, table) == (0, 0)


def test_the_column_that_is_told_most_joins_before_one_of_fewer_states():
    from buff.flows.pattern_choice import joined

    rng = np.random.default_rng(0)
    first = rng.integers(-1, 1, 160)
    told = np.where(first < 0, rng.integers(-1, 2, 160), rng.integers(2, 5, 160))
    free = rng.integers(-1, 2, 160)
    chosen, _ = joined(np.column_stack([first, free, told]), (False,) * 3)  # 16 patterns at most
    assert set(chosen) == {0, 2}


def test_values_beside_an_atom_are_none():
    u = np.array([[0.25], [0.4], [0.51], [0.55], [0.7]])
    patterns = AtomPatterns.of((ndtri(u), ndtri(u)), [np.array([[0.3, 0.5]])])
    assert patterns.states[patterns.classify((ndtri(u), ndtri(u))), 0].tolist() == [-1, 0, -1, -1, -1]


def test_flows_with_a_condition_are_not_calibrated():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(1500, 2)), np.repeat([[0.0], [1.0]], 750, axis=0).astype(np.float32)
    x[:, 0] = np.where(rng.random(1500) < 0.4, -9.0, np.abs(x[:, 0]))
    ends = x.astype(np.float32), np.where(x < -8, ndtri(0.4), x).astype(np.float32)
    data = PatternedData.of(ends, [ATOM, np.empty((0, 2))], c)
    model = train_patterned(data, SETTINGS, calibrated=np.ones(2, bool), seed=1)
    assert model.patterns.conditions is not None
    assert model.flow.calibration is None
