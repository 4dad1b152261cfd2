"""A model of its own for each class of a condition of labels."""

import numpy as np
import pandas as pd
import pytest

from buff import load
from buff.errors import ExportError, Notice
from buff.export.packed import check_compilable
from buff.flows import FlowModel, MixtureModel
from buff.grids import get_grid

N = 900
RNG = np.random.default_rng(0)
LABELS = RNG.choice(["q", "g", "t"], N)
#: In class t a column is constant, in class g another is missing, in class q a third has a level of its own.
TABLE = pd.DataFrame(
    {
        "mass": RNG.normal(size=N) + 3 * (LABELS == "t"),
        "charge": np.where(LABELS == "q", "zero", RNG.choice(["minus", "plus"], N)),
        "tracks": np.where(LABELS == "t", 4, RNG.poisson(2, N)),
        "impact": np.where(LABELS == "g", np.nan, RNG.exponential(size=N)),
    }
)


@pytest.fixture(scope="module")
def apart(small):
    return small(classes="apart").fit(TABLE, condition=LABELS)


def rows(label):
    return TABLE[label == LABELS].reset_index(drop=True)


@pytest.mark.parametrize("label", ["q", "g", "t"])
def test_a_class_is_drawn_as_if_it_were_alone(small, apart, label):
    """Same rows, same columns, same seed: the same events as from a model that has seen no other class."""
    schema = {c.name: {"kind": c.kind, "tails": c.tails} for c in apart.schema_}
    alone = small(schema=schema).fit(rows(label))
    pd.testing.assert_frame_equal(apart.sample(50, condition=label), alone.sample(50))


def test_classes_keep_what_only_they_have(apart):
    events, drawn = apart.sample(2000, return_condition=True)
    assert list(events.columns) == list(TABLE.columns)
    assert (events.dtypes == TABLE.dtypes).all()
    assert (events["tracks"][drawn == "t"] == 4).all()
    assert (events["impact"].isna() == (drawn == "g")).all()
    assert ((events["charge"] == "zero") == (drawn == "q")).all()
    for label in "qgt":
        assert abs((drawn == label).mean() - (label == LABELS).mean()) < 0.05


def test_events_depend_on_their_number_only(apart):
    asked = RNG.choice(["q", "g", "t"], 300)
    whole = apart.sample(condition=asked, random_state=3)
    pd.testing.assert_frame_equal(apart.sample(condition=asked, random_state=3, batch_size=7), whole)
    later = apart.sample(condition=asked[100:], random_state=3, first_event=100)
    pd.testing.assert_frame_equal(later, whole.iloc[100:].reset_index(drop=True))
    swapped = asked.copy()
    swapped[0] = "q" if asked[0] != "q" else "t"
    pd.testing.assert_frame_equal(apart.sample(condition=swapped, random_state=3).iloc[1:], whole.iloc[1:])
    *_, last = apart.trajectory(condition=asked, n_samples=300, random_state=3)
    pd.testing.assert_frame_equal(last, whole)


def test_noise_of_solvers_depends_on_the_number_only(small):
    model = small(classes="apart", solver="euler_maruyama").fit(TABLE, condition=LABELS)
    whole = model.sample(100, random_state=1)
    parts = [model.sample(50, random_state=1, first_event=i, batch_size=9) for i in (0, 50)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_workers_change_nothing(small, apart):
    shared = small(classes="apart", n_jobs=2).fit(TABLE, condition=LABELS)
    pd.testing.assert_frame_equal(shared.sample(100), apart.sample(100))


def test_files(apart, tmp_path):
    apart.save(tmp_path / "model.buff")
    back = load(tmp_path / "model.buff")
    pd.testing.assert_frame_equal(back.sample(200), apart.sample(200))
    assert (str(back.schema_), str(back.nodes_)) == (str(apart.schema_), str(apart.nodes_))
    assert [node.label for node in back.nodes_] == [name for name in apart.model_.classes.names for _ in range(4)]


def test_a_killed_fit_is_resumed_class_by_class(small, tmp_path):
    first = small(classes="apart", cache_dir=tmp_path).fit(TABLE, condition=LABELS)
    kept = sorted(tmp_path.rglob("node_*.ubj"))
    assert len(kept) == 9  # the node at noise needs no trees
    kept[0].unlink()
    again = small(classes="apart", cache_dir=tmp_path).fit(TABLE, condition=LABELS)
    pd.testing.assert_frame_equal(again.sample(50), first.sample(50))
    assert sorted(tmp_path.rglob("node_*.ubj")) == kept


def test_students(apart):
    student = apart.distill(2, n_samples=500, n_estimators=3)
    assert [node.t for node in student.nodes_] == [0, get_grid("dense1.5", 2).times[1]] * 3
    events, drawn = student.sample(300, return_condition=True)
    assert (events["impact"].isna() == (drawn == "g")).all()


def test_plan_is_that_of_all_classes(small, apart):
    plan = small(classes="apart").plan(TABLE, condition=LABELS)
    assert (plan.n_rows, plan.n_models, plan.disk) == (N, 3, apart.plan_.disk)
    assert plan.cpu_seconds > 0
    assert "3 classes apart" in str(plan)


@pytest.mark.parametrize(
    ("sizes", "models"), [((2000, 2000), 2), ((2500, 1500), None), ((4000,), None), ((100,) * 40, None)]
)
def test_classes_of_enough_rows_stand_apart(small, sizes, models):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    model = small(n_estimators=0).fit(RNG.normal(size=(len(labels), 1)), condition=labels)
    found = model.model_
    assert (len(found.models) if isinstance(found, MixtureModel) else None) == models
    assert model.sample(3, condition=labels[:1]).shape == (3, 1)


def test_rows_without_weight_do_not_count(small):
    labels, weights = np.repeat([0, 1], 2000), np.ones(4000)
    weights[-1] = 0
    model = small(n_estimators=0).fit(RNG.normal(size=(4000, 1)), condition=labels, sample_weight=weights)
    assert isinstance(model.model_, FlowModel)


def test_numbers_are_no_classes(small):
    both = pd.DataFrame({"label": LABELS, "energy": RNG.normal(size=N)})
    assert isinstance(small(n_estimators=0).fit(TABLE, condition=both).model_, FlowModel)
    for condition, message in ((both, r"\['energy'\] are numbers"), (None, "needs a condition of labels")):
        with pytest.raises(ValueError, match=message):
            small(classes="apart").fit(TABLE, condition=condition)
    with pytest.raises(
        ValueError, match="classes must be one of auto, apart, together or columns of the condition; found 'alone'"
    ):
        small(classes="alone").fit(TABLE, condition=LABELS)
    with pytest.raises(ValueError, match="two rows of each class, found 1 of rare"):
        small(classes="apart").fit(TABLE, condition=np.where(np.arange(N) == 5, "rare", LABELS))


def test_combinations_that_were_not_there(small):
    both = pd.DataFrame({"label": LABELS, "sign": np.where(LABELS == "q", 1, RNG.choice([-1, 1], N))})
    model = small(classes="apart", n_estimators=0).fit(TABLE, condition=both)
    assert len(model.model_.models) == 5
    with pytest.raises(ValueError, match="row 1 of condition is a combination of labels that the training did not"):
        model.sample(condition=pd.DataFrame({"label": ["t", "q"], "sign": [-1, -1]}))
    with pytest.raises(ValueError, match="condition has 3 rows, X has 900"):
        small(classes="apart").fit(TABLE, condition=LABELS[:3])


def test_missing_labels_are_a_class(small):
    labels = pd.Series(LABELS).where(RNG.random(N) < 0.8)
    events, drawn = small(classes="apart").fit(TABLE, condition=labels).sample(500, return_condition=True)
    assert 0.1 < drawn.isna().mean() < 0.3
    assert not events["impact"][drawn == "g"].notna().any()


def uneven(small_class, rng):
    """Two labels beside each other, of which one pair is rare, and a number: a narrow peak elsewhere."""
    n = 1500
    rare = np.arange(n) < small_class
    first = np.where(rare, "+", rng.choice(["+", "-"], n))
    second = np.where(rare, "+", np.where(first == "+", "-", "+"))
    mass = np.where(rare, rng.uniform(60, 120, n), rng.normal(91, 1, n))
    return pd.DataFrame({"mass": mass, "pt": rng.exponential(size=n), "first": first, "second": second})


def test_a_small_class_beside_large_ones_is_learned_apart(small):
    table = uneven(60, np.random.default_rng(1))
    model = small().fit(table, condition=["first", "second"])
    assert isinstance(model.model_, MixtureModel)
    rare = model.sample(500, condition={"first": "+", "second": "+"})["mass"]
    assert np.mean(abs(rare - 91) < 3) < 0.25


def test_a_class_that_shares_its_trees_is_told_of(small):
    table = uneven(20, np.random.default_rng(1))
    with pytest.warns(Notice, match=r"first=\+, second=\+ has 20 rows and shares its trees .*--classes apart"):
        small().fit(table, condition=["first", "second"])
    year = table.assign(year=np.random.default_rng(0).normal(size=len(table)))
    with pytest.warns(Notice, match=r"--classes first,second"):
        small().fit(year, condition=["first", "second", "year"])


@pytest.fixture(scope="module")
def partly(small):
    rng = np.random.default_rng(2)
    table = uneven(150, rng).assign(energy=rng.uniform(0, 10, 1500))
    table["pt"] += table["energy"]
    return small(classes=["first", "second"]).fit(table, condition=["first", "second", "energy"])


def test_columns_tell_classes_and_the_others_stay_conditions(partly, tmp_path):
    low, high = (partly.sample(200, condition={"first": "+", "second": "+", "energy": e}) for e in (1.0, 9.0))
    assert np.mean(abs(low["mass"] - 91) < 3) < 0.25
    assert low["pt"].mean() < high["pt"].mean() - 3
    events, drawn = partly.sample(100, return_condition=True)
    parts = [partly.sample(condition=drawn[i : i + 50], random_state=5, first_event=i) for i in (0, 50)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), partly.sample(condition=drawn, random_state=5))
    partly.save(tmp_path / "m.buff")
    pd.testing.assert_frame_equal(load(tmp_path / "m.buff").sample(100), events)


def test_columns_of_classes_that_cannot_be(small, partly):
    table = uneven(150, np.random.default_rng(2))
    with pytest.raises(ValueError, match="classes names 'charge', no column of the condition"):
        small(classes=["charge"]).fit(table, condition=["first", "second"])
    with pytest.raises(ValueError, match=r"\['pt'\] are numbers"):
        small(classes=["pt"]).fit(table, condition=["first", "pt"])
    with pytest.raises(ExportError, match="classes of some columns"):
        check_compilable(partly)
    with pytest.raises(ValueError, match="has no student"):
        partly.distill(2)
