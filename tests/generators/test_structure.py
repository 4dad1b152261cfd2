"""What columns have to do with each other is kept: atoms, relations, ids, angles, conditions by name."""

import uuid
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import buff
from buff import BUFF, BUFFImputer, load
from buff.tables import read
from buff.tables.relations import Coordinates, Derived, Determines, Order, Sum, Unique
from buff.tables.schema import TableReduction

FAST = {"n_steps": 5, "n_estimators": 5, "noise_budget": 12_000, "random_state": 0, "device": "cpu"}
ABSENT = -25.0


def jets(n, seed):
    """Events with up to three jets, ordered by pT, and -25 where there is none."""
    rng = np.random.default_rng(seed)
    detail = rng.choice(["htautau", "ztautau", "ttbar", "diboson"], n, p=[0.3, 0.55, 0.13, 0.02])
    n_jets = rng.poisson(pd.Series({"htautau": 0.9, "ztautau": 0.4, "ttbar": 2.2, "diboson": 0.6})[detail].to_numpy())
    pt = -np.sort(-(30 + rng.exponential(40.0, (n, 3))), axis=1)
    eta = rng.normal(0, 2, (n, 3)).clip(-4.5, 4.5)
    d = {"lep_pt": 20 + rng.exponential(25.0, n), "met": rng.gamma(2, 18, n) * np.where(detail == "htautau", 1.3, 1)}
    for k in range(3):
        d[f"jet{k + 1}_pt"] = np.where(n_jets > k, pt[:, k], ABSENT)
        d[f"jet{k + 1}_eta"] = np.where(n_jets > k, eta[:, k], ABSENT)
    d["deta"] = np.where(n_jets > 1, abs(eta[:, 0] - eta[:, 1]), ABSENT)
    d["jets_pt"] = np.where(np.arange(3) < np.minimum(n_jets, 3)[:, None], pt, 0).sum(axis=1)
    return pd.DataFrame(d).round(3).assign(n_jets=n_jets, label=(detail == "htautau").astype(int), detail=detail)


def contradictions(t):
    """Rows that no event could be."""
    absent = {k: t[f"jet{k}_pt"] == ABSENT for k in (1, 2, 3)}
    broken = [(t["n_jets"] < k) != absent[k] for k in absent]
    broken += [absent[k] != (t[f"jet{k}_eta"] == ABSENT) for k in absent]
    broken += [~absent[k + 1] & (t[f"jet{k + 1}_pt"] > t[f"jet{k}_pt"]) for k in (1, 2)]
    broken += [(t["n_jets"] < 2) != (t["deta"] == ABSENT), (t["label"] == 1) != (t["detail"] == "htautau")]
    total = sum(t[f"jet{k}_pt"].where(~absent[k], 0) for k in absent)
    return np.any([*broken, (t["jets_pt"] - total).abs() > 0.002], axis=0).mean()


@pytest.fixture(scope="module")
def jet_model():
    return BUFF(**FAST).fit(jets(3000, 0))


def test_events_with_absent_jets_do_not_contradict_themselves(jet_model):
    real, drawn = jets(3000, 1), jet_model.sample(3000)
    assert contradictions(real) == 0
    assert contradictions(drawn) <= 0.005
    assert (drawn.dtypes == real.dtypes).all()
    for name in ("jet1_pt", "jet2_pt", "jet3_pt"):
        assert abs((drawn[name] == ABSENT).mean() - (real[name] == ABSENT).mean()) < 0.04
    assert np.allclose(
        drawn["detail"].value_counts(normalize=True).reindex(real["detail"].unique()),
        real["detail"].value_counts(normalize=True).reindex(real["detail"].unique()),
        atol=0.04,
    )


def test_what_was_found_is_told_and_kept_in_files(jet_model, tmp_path):
    shown = str(jet_model.relations_)
    for words in ("detail determines label", "jet2_pt <= jet1_pt", "jets_pt = jet1_pt + jet2_pt + jet3_pt"):
        assert words in shown
    assert [column.name for column in jet_model.schema_] == list(jets(2, 0))
    jet_model.save(tmp_path / "m.buff")
    again = buff.load(tmp_path / "m.buff")
    pd.testing.assert_frame_equal(again.sample(300, first_event=50), jet_model.sample(350)[50:].reset_index(drop=True))
    assert str(again.relations_) == shown


def test_events_do_not_depend_on_batches(jet_model):
    whole = jet_model.sample(500, random_state=3)
    parts = jet_model.sample(500, random_state=3, batch_size=77)
    pd.testing.assert_frame_equal(whole, parts)


def test_atoms_apart_are_drawn_as_ever():
    t = jets(1500, 0)
    assert contradictions(BUFF(**FAST, atoms="apart", relations=None).fit(t).sample(1000)) > 0.1


def test_cities_lie_in_their_countries():
    rng = np.random.default_rng(0)
    cities = {"Paris": "FR", "Lyon": "FR", "Bonn": "DE", "Ulm": "DE", "Rome": "IT", "Pisa": "IT"}
    city = rng.choice(list(cities), 1500, p=[0.3, 0.2, 0.2, 0.1, 0.15, 0.05])
    t = pd.DataFrame({"city": city, "country": [cities[c] for c in city], "x": rng.normal(size=1500)})
    drawn = BUFF(**FAST).fit(t).sample(2000)
    assert (drawn["city"].map(cities) == drawn["country"]).all()


def test_dates_end_after_they_start():
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, 1500), "D")
    t = pd.DataFrame(
        {"start": start, "end": start + pd.to_timedelta(rng.geometric(0.01, 1500), "D"), "x": rng.normal(size=1500)}
    )
    model = BUFF(**FAST).fit(t)
    assert [str(relation) for relation in model.relations_] == ["start <= end"]
    drawn = model.sample(2000)
    assert (drawn["start"] <= drawn["end"]).all()
    assert (drawn.dtypes == t.dtypes).all()
    days = (drawn["end"] - drawn["start"]).dt.days
    assert abs(days.mean() - 100) < 8


def test_orders_leave_the_columns_their_distributions(tmp_path):
    rng = np.random.default_rng(0)
    low = 3 * rng.normal(size=3000)
    x = np.column_stack([low, low + 0.5 + rng.gamma(4, size=3000), rng.normal(size=3000)])
    model = BUFF(**FAST | {"n_estimators": 0}, atoms="apart").fit(x)
    assert [(str(r), r.exchange) for r in model.relations_] == [("x0 <= x1", True)]
    drawn = model.sample(3000)
    assert (drawn[:, 0] <= drawn[:, 1]).all()
    plain = BUFF(**FAST | {"n_estimators": 0}, relations=None, atoms="apart").fit(x).sample(3000)
    broken = plain[:, 0] > plain[:, 1]
    assert 0 < broken.mean() < 0.05
    np.testing.assert_array_equal(drawn[~broken], plain[~broken])
    np.testing.assert_array_equal(drawn[broken][:, [1, 0, 2]], plain[broken])
    model.save(tmp_path / "m.buff")
    np.testing.assert_array_equal(buff.load(tmp_path / "m.buff").sample(3000), drawn)


def test_sums_are_right_to_the_cent():
    rng = np.random.default_rng(0)
    net = np.round(rng.gamma(2, 50, 1500), 2)
    tax = np.round(net * rng.choice([0.07, 0.19], 1500), 2)
    t = pd.DataFrame({"net": net, "tax": tax, "gross": np.round(net + tax, 2)})
    drawn = BUFF(**FAST).fit(t).sample(2000)
    assert (np.round(drawn["net"] + drawn["tax"], 2) == drawn["gross"]).all()
    assert (np.round(drawn, 2) == drawn).all(axis=None)


def test_small_classes_keep_their_share_and_their_mean():
    """Twenty rows in two thousand, three standard deviations away."""
    rng = np.random.default_rng(0)
    label = np.where(np.arange(2000) < 20, "rare", "common")
    t = pd.DataFrame({"label": label, "x1": rng.normal(size=2000) + 3 * (label == "rare"), "x2": rng.normal(size=2000)})
    drawn = BUFF(random_state=0, noise_budget=60_000, device="cpu").fit(t).sample(20_000)
    rare = drawn[drawn["label"] == "rare"]
    assert abs(len(rare) / 20_000 - 0.01) < 0.0021
    assert abs(rare["x1"].mean() - t["x1"][:20].mean()) < 3 * t["x1"][:20].std() / np.sqrt(20)


def test_stated_relations():
    rng = np.random.default_rng(0)
    px, py = rng.normal(size=(2, 600))
    t = pd.DataFrame({"px": px, "py": py, "pt": np.hypot(px, py), "id": np.arange(600) + 1})
    model = BUFF(**FAST, relations=[Derived("pt", np.hypot, "px", "py"), Unique("id")]).fit(t)
    drawn = model.sample(500)
    assert np.array_equal(drawn["pt"], np.hypot(drawn["px"], drawn["py"]))
    assert drawn["id"].is_unique
    assert not set(drawn["id"]) & set(t["id"])


def test_functions_are_given_back_to_models_from_files(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    t = pd.DataFrame({"x": x, "y": np.sin(x), "z": rng.normal(size=300)})
    model = BUFF(**FAST, relations=[Derived("y", np.sin, "x")]).fit(t)
    model.save(tmp_path / "m.buff")
    again = buff.load(tmp_path / "m.buff")
    with pytest.raises(ValueError, match="files do not keep"):
        again.sample(3)
    again.relations_ = again.relations_.replace_function("y", np.sin)
    pd.testing.assert_frame_equal(again.sample(20), model.sample(20))


BROKEN = {
    "order": (Order("a", "b"), r"a <= b does not hold in 1 of 60 rows, the first is row 7: a = 9.0, b = 1.0"),
    "sum": (Sum("c", "a", "b"), r"c = a \+ b does not hold in 60 of 60 rows, the first is row 0"),
    "lookup": (Determines("k", "a"), r"k determines a does not hold in .* rows, the first is row"),
    "derived": (Derived("a", np.square, "b"), r"a = square\(b\) does not hold"),
    "unique": (Unique("k"), r"k is unique does not hold"),
    "unknown": (Order("a", "nope"), r"names the unknown column 'nope'"),
}


@pytest.mark.parametrize(("relation", "message"), BROKEN.values(), ids=BROKEN)
def test_rows_that_break_a_stated_relation_are_named(relation, message):
    t = pd.DataFrame(
        {"a": np.linspace(0, 1, 60), "b": np.linspace(1, 3, 60), "c": np.linspace(9, 5, 60), "k": np.arange(60) % 3}
    )
    t.loc[7, ["a", "b"]] = 9.0, 1.0
    with pytest.raises(ValueError, match=message):
        BUFF(**FAST, relations=[relation]).fit(t)


def test_bad_relations():
    t = pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 4]})
    for relations, message in (
        ("all", "relations must be 'auto'"),
        ([1], "relations must be Order"),
        ([Order("a", "b"), Order("b", "a")], "circle|does not hold"),
        ([Determines("a", "b"), Order("a", "b")], "told twice"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            BUFF(**FAST, relations=relations).fit(t)
    with pytest.raises(ValueError, match="atoms must be one of together, apart"):
        BUFF(**FAST, atoms="joint").fit(t)


@pytest.mark.parametrize("kind", ["name", "email", "uuid", "number"])
def test_ids_are_fresh_and_nothing_of_the_training_comes_back(kind, tmp_path):
    rng = np.random.default_rng(0)
    ids = {
        "name": [
            f"{a}{b}"
            for a, b in zip(
                rng.choice(["Anna", "Bert", "Carl"], 400),
                (f"{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(400)),
                strict=True,
            )
        ],
        "email": [f"user{i}@cern.ch" for i in rng.permutation(400)],
        "uuid": [str(uuid.UUID(int=int(i))) for i in rng.integers(2**62, size=400)],
        "number": rng.permutation(400) + 10_000,
    }[kind]
    t = pd.DataFrame({"id": ids, "x": rng.normal(size=400)})
    with pytest.warns(UserWarning, match="is taken for an id"):
        model = BUFF(**FAST).fit(t)
    drawn = model.sample(1000)
    assert drawn["id"].is_unique
    assert not set(drawn["id"]) & set(t["id"])
    assert model.schema_["id"].kind == "id"
    pd.testing.assert_frame_equal(model.sample(100, first_event=900), drawn[900:].reset_index(drop=True))


def test_columns_can_be_dropped():
    t = pd.DataFrame({"x": np.arange(300.0), "note": ["a", "b", "c"] * 100})
    drawn = BUFF(**FAST, schema={"note": "drop"}).fit(t).sample(10)
    assert list(drawn) == ["x"]


def test_angles_have_no_seam():
    """Back-to-back leptons across +-pi."""
    rng = np.random.default_rng(0)
    first = rng.uniform(-np.pi, np.pi, 2000)
    second = (first + np.pi + 0.1 * rng.normal(size=2000) + np.pi) % (2 * np.pi) - np.pi
    t = pd.DataFrame({"phi1": first, "phi2": second})
    drawn = BUFF(**FAST, schema={"phi1": "angle", "phi2": "angle"}).fit(t).sample(4000)
    apart = (drawn["phi2"] - drawn["phi1"]) % (2 * np.pi)
    assert (abs(apart - np.pi) > 0.6).mean() < 1e-3
    assert drawn.abs().max().max() <= np.pi


def test_degrees_and_given_periods():
    rng = np.random.default_rng(0)
    t = pd.DataFrame(
        {"day": np.round(rng.vonmises(0, 4, 1500) * 180 / np.pi % 360, 1), "hour": rng.integers(20, 28, 1500) % 24}
    )
    model = BUFF(**FAST, schema={"day": "angle", "hour": {"kind": "angle", "period": 24}}).fit(t)
    drawn = model.sample(2000)
    assert drawn["hour"].isin(t["hour"].unique()).mean() > 0.99
    assert ((drawn["day"] > 120) & (drawn["day"] < 240)).mean() < 0.01
    assert drawn["day"].between(0, 360).all()
    with pytest.raises(ValueError, match="more than a period of 10"):
        BUFF(**FAST, schema={"hour": {"kind": "angle", "period": 10}}).fit(t)


def test_iris_rows_are_not_copied():
    """As many generated rows are training rows as rows held out are."""
    data = load_iris(as_frame=True).frame
    rows = np.random.default_rng(0).permutation(150)
    train, held = data.iloc[rows[:100]], data.iloc[rows[100:]]
    drawn = BUFF(random_state=0, device="cpu", noise_budget=60_000).fit(train).sample(2000)
    known = set(map(tuple, train.to_numpy()))
    share, expected = (np.mean([tuple(row) in known for row in t.to_numpy()]) for t in (drawn, held))
    assert share <= expected + 2 * np.sqrt(0.04 * 0.96 / 50)


@pytest.mark.filterwarnings("ignore:.*shares its trees")
def test_conditions_are_columns_of_the_table():
    t = jets(1200, 0)[["met", "lep_pt", "detail", "n_jets"]]
    model = BUFF(**FAST).fit(t, condition="detail")
    drawn, given = model.sample(50, condition="ttbar", return_condition=True)
    assert list(drawn) == ["met", "lep_pt", "n_jets"]
    pair = BUFF(**FAST).fit(t, condition=["detail", "n_jets"])
    drawn, given = pair.sample(400, condition={"detail": "ttbar"}, return_condition=True)
    assert (given["detail"] == "ttbar").all()
    assert abs(given["n_jets"].mean() - t["n_jets"][t["detail"] == "ttbar"].mean()) < 0.4
    assert (given.dtypes == t[["detail", "n_jets"]].dtypes).all()
    with pytest.raises(ValueError, match="names no column of X"):
        BUFF(**FAST).fit(t, condition="flavour")


def test_patterns_given_a_condition():
    """Missing values that depend on the condition."""
    rng = np.random.default_rng(0)
    c = rng.choice(["a", "b"], 2000)
    gone = rng.random(2000) < np.where(c == "a", 0.6, 0.1)
    x = rng.normal(size=(2000, 2)) + (c == "b")[:, None]
    x[gone] = np.nan
    model = BUFF(**FAST, classes="together").fit(x, condition=c)
    for label in "ab":
        share = gone[c == label].mean()
        drawn = model.sample(3000, condition=label)
        assert abs(np.isnan(drawn[:, 0]).mean() - share) < 0.04
        assert np.array_equal(np.isnan(drawn[:, 0]), np.isnan(drawn[:, 1]))
        assert abs(np.nanmean(drawn) - (label == "b")) < 0.1


def test_tables_without_structure_are_learned_as_ever():
    x = np.random.default_rng(0).normal(size=(400, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BUFF(**FAST).fit(x)
    assert not len(model.relations_)
    assert np.array_equal(model.sample(50), BUFF(**FAST, atoms="apart", relations=None).fit(x).sample(50))


def test_integers_that_count_the_rows_go_on(small):
    X = pd.DataFrame({"event": np.arange(1000, 1300), "x": np.random.default_rng(0).normal(size=300)})
    with pytest.warns(UserWarning, match="'event' rises in every one of 300 rows and is taken for an id"):
        model = small().fit(X)
    assert model.sample(3)["event"].tolist() == [1300, 1301, 1302]
    learned = small(schema={"event": "integer"}).fit(X).sample(100)
    assert learned["event"].between(1000, 1299).all()


@pytest.mark.parametrize("highest", [300, 2000])
def test_integers_that_never_repeat_are_ids_in_any_order(small, highest):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"event": rng.choice(highest, 300, replace=False), "x": rng.normal(size=300)})
    with pytest.warns(UserWarning, match="'event' has another number in each of 300 rows") as told:
        drawn = small().fit(X).sample(100)
    assert [notice.filename for notice in told] == [__file__]
    assert drawn["event"].is_unique
    assert not drawn["event"].isin(X["event"]).any()
    assert small(schema={"event": "integer"}).fit(X).schema_["event"].kind == "integer"


@pytest.mark.parametrize("values", [np.random.default_rng(1).choice(50_000, 300, replace=False), np.arange(300) // 2])
def test_whole_numbers_that_may_well_be_measured_are_learned(small, values):
    X = pd.DataFrame({"energy": np.random.default_rng(0).permutation(values), "x": np.arange(300) / 7})
    assert small().fit(X).schema_["energy"].kind == "integer"


@pytest.mark.parametrize("stated", [{"relations": [Coordinates("lat", "lon")]}, {"schema": {"lon": "beside"}}])
def test_coordinates_stay_in_their_clusters(stated, small, tmp_path):
    if "schema" in stated:
        stated = {"schema": {"lon": {"kind": "coordinate", "beside": "lat"}}}
    rng = np.random.default_rng(0)
    towns = np.array([[0.0, 9], [3, -9], [6, 0], [9, 9]])
    X = pd.DataFrame(towns[rng.integers(0, 4, 1500)] + 0.2 * rng.normal(size=(1500, 2)), columns=["lat", "lon"])

    def off(events):
        return (np.linalg.norm(events.to_numpy()[:, None] - towns, axis=2).min(axis=1) > 1).mean()

    model = small(**stated).fit(X)
    events = model.sample(4000)
    assert off(events) <= 0.003
    assert off(small().fit(X.rename(columns={"lat": "x"})).sample(4000)) > 0.03
    assert "lat, lon are coordinates" in str(model.relations_)
    model.save(tmp_path / "m.buff")
    assert load(tmp_path / "m.buff").sample(50).equals(events[:50])


def test_a_coordinate_needs_another(small):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)), columns=["lat", "lon"])
    with pytest.raises(ValueError, match=r"coordinate 'lon' must stand beside another column: .*found None"):
        small(schema={"lon": "coordinate"}).fit(X)


def test_relations_are_stated_beside_those_that_are_found():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.integers(0, 9, 300), "x": rng.normal(size=300)})
    table["b"], table["y"] = table["a"] + rng.integers(0, 2, 300), 2 * table["x"]
    gen = BUFF(relations=["auto", Order("a", "b")], n_steps=2, noise_budget=500, random_state=0).fit(table)
    assert sorted(map(str, gen.relations_)) == ["a <= b", "y = 2 x"]
    imputer = BUFFImputer(relations=["auto", Order("a", "b")], n_estimators=2, n_rounds=1).fit(table)
    assert sorted(map(str, imputer.relations_)) == ["a <= b", "y = 2 x"]


def test_columns_that_look_like_coordinates_are_told_of():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["lat", "lon"])
    with pytest.warns(UserWarning, match='columns lat,lon look like coordinates, .*"beside": "lat"'):
        TableReduction.of(read(table))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TableReduction.of(read(table), {"lon": {"kind": "coordinate", "beside": "lat"}})
        TableReduction.of(read(table), relations=["auto", Coordinates("lat", "lon")])
        TableReduction.of(read(table), {"lat": "continuous"}, None)
