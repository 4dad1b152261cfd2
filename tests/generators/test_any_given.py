import numpy as np
import pandas as pd
import pytest

import buff
from buff import BUFF
from buff.generators import base
from buff.tables.relations import Combinations, Derived
from tests.labels import contradictions, frame_of_labels

TINY = {"n_steps": 3, "n_estimators": 3, "max_depth": 3, "noise_budget": 2000, "random_state": 0, "given": "any"}
COVARIANCE = np.array([[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]])


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(0)
    X, new = (rng.multivariate_normal(np.zeros(3), COVARIANCE, n) for n in (3000, 1000))
    return BUFF(**TINY).fit(X), new


@pytest.fixture(scope="module")
def shop():
    """A table with a lookup, a sum, an order, missing cells and a spike."""
    rng = np.random.default_rng(0)
    n = 1500
    city = rng.choice(["Bonn", "Rome", "Ulm"], n)
    net = np.round(rng.exponential(50, n) + 1, 2)
    tax = np.round(net * 0.19 * rng.random(n), 2)
    start = rng.integers(0, 50, n)
    table = pd.DataFrame(
        {
            "city": pd.Categorical(city),
            "country": np.where(city == "Rome", "IT", "DE"),
            "net": net,
            "tax": tax,
            "gross": np.round(net + tax, 2),
            "start": start,
            "end": start + rng.poisson(3, n),
            "option": np.where(rng.random(n) < 0.3, np.nan, net + rng.normal(size=n)),
            "spike": np.where(rng.random(n) < 0.4, 0.0, rng.normal(size=n)),
        }
    )
    return BUFF(**TINY).fit(table), table


def with_gaps(table, share, seed=1):
    rng, out = np.random.default_rng(seed), table.copy()
    for name in out:
        out.loc[rng.random(len(out)) < share, name] = None
    return out


@pytest.fixture(scope="module")
def labelled():
    table = frame_of_labels(3000)
    return BUFF(noise_budget=3000, n_steps=3, n_estimators=3, random_state=0, relations=None, given="any").fit(
        table
    ), table


def test_given_cells_are_bit_equal(shop):
    model, table = shop
    given = with_gaps(table.head(400), 0.5)
    events = model.sample(given=given)
    assert (events.dtypes == table.dtypes).all()
    known = given.notna()
    for name in table:
        assert (events[name][known[name]].to_numpy() == given[name][known[name]].to_numpy()).all()
    assert not events.drop(columns="option").isna().any().any()
    assert events["option"].isna().any()


def test_relations_are_kept(shop):
    model, table = shop
    events = model.sample(given=with_gaps(table.head(400), 0.5))
    assert ((events["city"] == "Rome") == (events["country"] == "IT")).all()
    assert np.allclose(events["net"] + events["tax"], events["gross"], atol=1e-9)
    assert (events["start"] <= events["end"]).all()


def test_draws_have_the_conditional_distribution(gaussian):
    model, new = gaussian
    half = new.copy()
    half[:, 0] = np.nan
    draws = np.stack([model.sample(given=half, random_state=k)[:, 0] for k in range(20)])
    slope = np.linalg.solve(COVARIANCE[1:, 1:], COVARIANCE[1:, 0])
    width = np.sqrt(1 - COVARIANCE[0, 1:] @ slope)
    pull = (draws - half[:, 1:] @ slope) / width
    assert abs(pull.mean()) < 0.1
    assert pull.std() == pytest.approx(1, abs=0.1)
    below = (draws < new[:, 0]).sum(axis=0)
    assert ((below >= 3) & (below < 18)).mean() == pytest.approx(15 / 21, abs=0.06)


def test_events_do_not_depend_on_batches_nor_threads(shop):
    model, table = shop
    given = with_gaps(table.head(200), 0.5)
    whole = model.sample(given=given)
    parts = [model.sample(given=given[:90], batch_size=7), model.sample(given=given[90:], first_event=90)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole.reset_index(drop=True))
    threads = BUFF(**TINY | {"n_jobs": 2}).fit(table)
    pd.testing.assert_frame_equal(threads.sample(given=given, batch_size=50), whole)


def test_one_row_for_all_events(gaussian):
    events = gaussian[0].sample(500, given={"x2": 1.0})
    assert (events[:, 2] == 1.0).all()
    assert events[:, 0].mean() == pytest.approx(0.5, abs=0.15)


def test_save_and_load(shop, tmp_path):
    model, table = shop
    model.save(tmp_path / "model.buff")
    given = with_gaps(table.head(50), 0.5)
    twin = buff.load(tmp_path / "model.buff")
    pd.testing.assert_frame_equal(twin.sample(given=given), model.sample(given=given))
    pd.testing.assert_frame_equal(twin.sample(20), model.sample(20))


def test_the_flow_is_that_of_a_plain_fit(shop):
    model, table = shop
    plain = BUFF(**TINY | {"given": None}).fit(table)
    pd.testing.assert_frame_equal(plain.sample(30), model.sample(30))
    with pytest.raises(ValueError, match="BUFF\\(given='any'\\)"):
        plain.sample(given={"net": 3.0})


def test_conditions_and_ids():
    rng = np.random.default_rng(0)
    c = rng.choice(["a", "b"], 600)
    table = pd.DataFrame(
        {"id": np.arange(600) + 1000, "x": rng.normal(size=600) + 3 * (c == "a"), "y": rng.normal(size=600)}
    )
    model = BUFF(**TINY, schema={"id": "id"}).fit(table, condition=c)
    events, drawn = model.sample(100, given={"y": 0.5}, condition=np.array(["a"]), return_condition=True)
    assert events["x"].mean() == pytest.approx(3, abs=0.6)
    assert (events["y"] == 0.5).all()
    assert events["id"].is_unique
    assert set(np.ravel(drawn)) == {"a"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nett": 1.0}, "unknown column 'nett'"),
        ({"net": 1e6}, "'net' is 1000000.0"),
        ({"city": "Paris"}, "'city' holds the unknown value 'Paris'"),
        ({"start": 2.5}, "'start' is 2.5"),
        ({"net": "much"}, "'net' holds 'much'"),
        ({"net": (1.0, 2.0)}, "ranges are not supported"),
    ],
)
def test_bad_values_are_named(shop, given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        shop[0].sample(given=given)


def test_values_beyond_the_training_are_told_of(shop):
    model, table = shop
    beyond = float(table["net"].max() * 1.5)
    with pytest.warns(UserWarning, match="beyond the range of the training"):
        assert (model.sample(3, given={"net": beyond})["net"] == beyond).all()


def test_other_bad_input(shop, gaussian):
    with pytest.raises(ValueError, match="given has 2 rows and n_samples is 3"):
        shop[0].sample(3, given={"net": [1.0, 2.0]})
    with pytest.raises(ValueError, match="given has 2 columns, the table that was fitted has 3"):
        gaussian[0].sample(given=[[1.0, np.nan]])
    with pytest.raises(ValueError, match="given must be 'any' or None"):
        BUFF(given="all").fit(np.eye(3))


def test_contradictions_warn(shop):
    with pytest.warns(UserWarning, match="in 1 of 1 rows no draw kept the relations"):
        shop[0].sample(given={"city": "Rome", "country": "DE"})


def test_computed_columns_need_their_inputs():
    rng = np.random.default_rng(0)
    px, py = rng.normal(size=(2, 400))
    table = pd.DataFrame({"px": px, "py": py, "pt": np.hypot(px, py)})
    model = BUFF(**TINY, relations=[Derived("pt", np.hypot, "px", "py")]).fit(table)
    events = model.sample(5, given={"px": 0.5})
    assert np.array_equal(events["pt"], np.hypot(events["px"], events["py"]))
    with pytest.raises(ValueError, match="given has 'pt' and not 'px'"):
        model.sample(given={"pt": 1.0})


def test_plan_counts_the_chain(gaussian):
    model, _ = gaussian
    X = np.random.default_rng(0).multivariate_normal(np.zeros(3), COVARIANCE, 3000)
    plain, both = (BUFF(**TINY | {"given": given}).plan(X) for given in (None, "any"))
    assert (plain.n_chained, both.n_chained) == (0, 3)
    assert "chain" not in str(plain)
    assert "3 columns given any others" in str(both)
    assert 0 < both.chain_seconds < both.seconds
    blobs = model._chain.to_archive().blobs
    assert both.disk - plain.disk > sum(len(blob) for blob in blobs.values())
    assert both.memory > plain.memory


@pytest.mark.parametrize("columns", [["c0"], ["c1"], ["c3", "x"], ["x"]])
def test_labels_that_exclude_each_other_do_so_beside_given_cells(labelled, columns):
    gen, table = labelled
    new = frame_of_labels(1500, seed=1)
    made = gen.sample(given=new[columns])
    assert contradictions(made, table) == (0, 0)
    shares = made["c1"].value_counts(normalize=True)
    assert shares.to_numpy() == pytest.approx(new["c1"].value_counts(normalize=True)[shares.index], abs=0.05)


def test_given_cells_that_exclude_each_other_come_back(labelled, tmp_path):
    gen, _ = labelled
    made = gen.sample(500, given={"c0": "l0", "c1": "l2"})  # never together
    assert set(made["c0"] + made["c1"]) == {"l0l2"}
    gen.save(tmp_path / "m.buff")
    again = buff.load(tmp_path / "m.buff").sample(500, given={"c0": "l4"})
    pd.testing.assert_frame_equal(again, gen.sample(500, given={"c0": "l4"}))


def test_a_refit_that_fails_leaves_the_model_as_it_was():
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(300, 2)), pd.DataFrame(rng.integers(0, 3, (200, 3)), columns=list("abc"))
    model = BUFF(**TINY).fit(first)
    events, given = model.sample(20), model.sample(20, given={"x0": 0.5})
    before = {name: own for name, own in vars(model).items() if name != "relations"}
    model.set_params(relations=[Combinations("a", "b")])  # for which there is a flow, and no chain
    with pytest.raises(ValueError, match="given='any' knows no"):
        model.fit(other)
    assert {name: own for name, own in vars(model).items() if name != "relations"} == before
    assert np.array_equal(model.sample(20), events)
    assert np.array_equal(model.sample(20, given={"x0": 0.5}), given)


@pytest.mark.parametrize("given", [None, "any"])
def test_a_fit_resolves_weights_and_reads_the_table_once(given, monkeypatch):
    calls = []
    for home, name in ((base, "read"), (base, "resolve_negative_weights")):
        own = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *a, own=own, name=name, **k: calls.append(name) or own(*a, **k))
    rng = np.random.default_rng(0)
    model = BUFF(**TINY | {"given": given}, negative_weights="smooth")
    model.fit(rng.normal(size=(300, 2)), sample_weight=np.where(rng.random(300) < 0.1, -1.0, 1.0))
    assert sorted(calls) == ["read", "resolve_negative_weights"]


def test_plan_takes_names_of_conditions_as_fit_does(shop):
    plan = BUFF(**TINY).plan(shop[1], condition=["city"])
    fitted = BUFF(**TINY).fit(shop[1], condition=["city"]).plan_
    assert (plan.n_rows, plan.n_dims, plan.n_models) == (fitted.n_rows, fitted.n_dims, fitted.n_models)
