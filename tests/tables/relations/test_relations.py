"""Relations are found where they hold, take columns apart, and put them together again to the bit."""

import json

import numpy as np
import pandas as pd
import pytest

from buff.tables import read
from buff.tables.relations import (
    Angle,
    Derived,
    Determines,
    Order,
    Relations,
    Rescaled,
    Sum,
    find_relations,
)
from buff.tables.relations.base import Absence
from buff.tables.relations.functions import joint_codes

RNG = np.random.default_rng(0)
N = 800


def _missing(values, share=0.2, seed=1):
    values = np.asarray(values, float).copy()
    values[np.random.default_rng(seed).random(len(values)) < share] = np.nan
    return values


def _absent(values, share=0.4, seed=2):
    return np.where(np.random.default_rng(seed).random(len(values)) < share, -25.0, values)


LOW = np.round(RNG.gamma(3, 20, N) + 30, 3)
HIGH = np.round(LOW + RNG.exponential(30, N), 3)
DAYS = np.datetime64("2020-01-01") + RNG.integers(0, 900, N).astype("m8[D]")
TABLES = {
    "decimals": (Order("a", "b"), {"a": LOW, "b": HIGH}),
    "doubles": (Order("a", "b"), {"a": LOW / 7, "b": LOW / 7 + HIGH / 3}),
    "whole numbers": (Order("a", "b"), {"a": RNG.integers(0, 50, N), "b": 50 + RNG.integers(0, 50, N)}),
    "small whole numbers": (
        Order("a", "b"),
        {"a": RNG.integers(0, 50, N).astype(np.uint8), "b": (60 + RNG.integers(0, 50, N)).astype(np.uint8)},
    ),
    "single precision": (Order("a", "b"), {"a": LOW.astype(np.float32), "b": HIGH.astype(np.float32)}),
    "dates": (Order("a", "b"), {"a": DAYS, "b": DAYS + RNG.integers(0, 90, N).astype("m8[D]")}),
    "missing": (Order("a", "b"), {"a": _missing(LOW), "b": _missing(HIGH, seed=3)}),
    "missing dates": (
        Order("a", "b"),
        {"a": DAYS, "b": np.where(RNG.random(N) < 0.2, np.datetime64("NaT", "D"), DAYS + np.timedelta64(3, "D"))},
    ),
    "sentinels": (Order("a", "b"), {"a": _absent(LOW), "b": _absent(HIGH, seed=4)}),
    "swapped": (Order("a", "b", exchange=True), {"a": LOW / 7, "b": HIGH / 7}),
    "swapped with sentinels": (Order("a", "b", exchange=True), {"a": _absent(LOW), "b": _missing(HIGH)}),
    "sum": (Sum("c", "a", "b"), {"a": LOW, "b": HIGH, "c": np.round(LOW + HIGH, 3)}),
    "difference": (Sum("c", "b", "-a"), {"a": LOW, "b": HIGH, "c": np.round(HIGH - LOW, 3)}),
    "rounded after the sum": (
        Sum("c", "a", "b"),
        {"a": np.round(LOW / 7, 2), "b": np.round(HIGH / 7, 2), "c": np.round(LOW / 7 + HIGH / 7, 2)},
    ),
    "whole sum": (Sum("c", "a", "b"), {"a": np.arange(N), "b": RNG.integers(0, 9, N), "c": 0}),
    "sum of absent parts": (Sum("c", "a", "b"), {"a": _absent(LOW), "b": _missing(HIGH), "c": 0}),
    "lookup": (Determines("a", "b"), {"a": RNG.choice(["x", "y", "z"], N).astype(object), "b": None}),
    "scaled": (Rescaled("b", "a", "identity", 1000.0, 5.0), {"a": LOW, "b": np.round(1000 * LOW + 5, 0)}),
    "logarithm": (Rescaled("b", "a", "log"), {"a": HIGH, "b": np.log(HIGH)}),
    "function": (Derived("c", np.hypot, "a", "b"), {"a": LOW, "b": HIGH, "c": np.hypot(LOW, HIGH)}),
    "angle": (Angle("a"), {"a": np.round(RNG.uniform(-3.1, 3.1, N), 4)}),
    "absent angle": (Angle("a"), {"a": _absent(np.round(RNG.uniform(-3.1, 3.1, N), 4))}),
}
TABLES["whole sum"][1]["c"] = TABLES["whole sum"][1]["a"] + TABLES["whole sum"][1]["b"]
_parts = TABLES["sum of absent parts"][1]
_parts["c"] = np.round(np.where(_parts["a"] > 0, _parts["a"], 0) + np.nan_to_num(_parts["b"]), 3)
TABLES["lookup"][1]["b"] = np.array([{"x": 1.5, "y": None, "z": 2.5}[a] for a in TABLES["lookup"][1]["a"]], float)


@pytest.mark.parametrize(("relation", "table"), TABLES.values(), ids=TABLES)
def test_tables_come_back(relation, table):
    columns = read(pd.DataFrame(table))
    relations = Relations.learn([relation], columns)
    restored = relations.restore(relations.reduce(columns).arrays)
    exact = not (
        isinstance(relation, Order) and relations.relations[0].decimals is None and columns.arrays[1].dtype.kind == "f"
    )
    for before, after in zip(columns.arrays, restored, strict=True):
        assert after.dtype == before.dtype
        if exact:
            np.testing.assert_array_equal(after, before)
        else:
            np.testing.assert_array_max_ulp(after, before, 1)


@pytest.mark.parametrize(("relation", "table"), TABLES.values(), ids=TABLES)
def test_records_hold_all_that_was_learned(relation, table):
    columns = read(pd.DataFrame(table))
    relations = Relations.learn([relation], columns)
    again = Relations.from_dict(json.loads(json.dumps(relations.to_dict())))
    if isinstance(relation, Derived):
        again = again.replace_function(relation.column, np.hypot)
    assert repr(again) == repr(relations)
    reduced = relations.reduce(columns).arrays
    for a, b in zip(relations.restore(reduced), again.restore(reduced), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    [
        "decimals",
        "whole numbers",
        "dates",
        "sum",
        "rounded after the sum",
        "lookup",
        "scaled",
        "logarithm",
        "sum of absent parts",
        "sentinels",
    ],
)
def test_relations_are_found(name):
    relation, table = TABLES[name]
    if isinstance(relation, Order):  # ranges that overlap, or the order says nothing
        table = {
            key: values if name != "whole numbers" else values - 40 * (key == "b") for key, values in table.items()
        }
        table = table if name != "whole numbers" else {"a": table["a"], "b": np.maximum(table["a"], table["b"])}
    found = find_relations(read(pd.DataFrame(table)))
    own = next(r for r in found if r.target == relation.target)
    assert own.kind == relation.kind
    assert own.rows > 100
    assert len(found) == 1 + (relation.kind == "sum")  # its parts are in order, too


def test_nothing_is_found_where_there_is_nothing():
    rng = np.random.default_rng(5)
    t = pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "b": rng.normal(size=N),
            "k": rng.choice(["u", "v", "w"], N),
            "m": rng.integers(0, 30, N),
            "e": rng.exponential(size=N),
            "far": 1000 + rng.normal(size=N),
            "rare": np.where(np.arange(N) == 3, "x", "y"),
        }
    )
    assert len(find_relations(read(t))) == 0


def test_almost_is_not_enough():
    t = pd.DataFrame({"a": LOW, "b": HIGH})
    t.loc[5, "b"] = t.loc[5, "a"] - 1
    assert len(find_relations(read(t))) == 0
    cities = RNG.choice(["x", "y", "z"], N)
    t = pd.DataFrame({"city": cities, "land": np.where(cities == "x", "A", "B")})
    t.loc[0, "land"] = "C"
    assert len(find_relations(read(t))) == 0


def test_orders_make_a_chain_and_totals_stay_out():
    pt = -np.sort(-RNG.exponential(40, (N, 3)).round(3), axis=1)
    t = pd.DataFrame({"pt1": pt[:, 0], "pt2": pt[:, 1], "pt3": pt[:, 2], "sum": pt.sum(axis=1).round(3)})
    found = find_relations(read(t))
    assert {str(relation) for relation in found} == {"pt2 <= pt1", "pt3 <= pt2", "sum = pt1 + pt2 + pt3"}


def test_drawn_gaps_never_break_an_order():
    columns = read(pd.DataFrame(TABLES["sentinels"][1]))
    relations = Relations.learn([Order("a", "b")], columns)
    reduced = relations.reduce(columns)
    rows = np.random.default_rng(0).permutation(N)
    low, high = relations.restore((reduced.arrays[0], reduced.arrays[1][rows]))
    there = (low != -25) & (high != -25)
    assert (low[there] <= high[there]).all()
    assert high[high != -25].min() >= np.floor(HIGH.min() / 10) * 10


def test_soft_edges_are_kept_by_swaps():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(2000, 1))
    soft = np.hstack([low, low + 3 + 0.5 * rng.normal(size=(2000, 1)), low + 6 + 0.5 * rng.normal(size=(2000, 1))])
    sharp = np.hstack([low, low + rng.exponential(size=(2000, 1))])
    assert [relation.exchange for relation in find_relations(read(soft))] == [True, True]
    assert [relation.exchange for relation in find_relations(read(sharp))] == [False]
    # what another relation names, whole numbers, decimals and absent values keep their gap
    for other in (
        soft[:, :2].round(1),
        np.where(rng.random((2000, 2)) < 0.1, np.nan, soft[:, :2]),
        np.rint(9 * soft[:, :2]).astype(int),
    ):
        assert [relation.exchange for relation in find_relations(read(other))] == [False]
    assert not any(
        r.exchange
        for r in find_relations(read(np.hstack([soft, soft[:, 1:2] + sharp[:, 1:]])))
        if r.kind == "order" and "x1" in r.columns and "x3" in r.columns
    )


def test_swaps_end_in_order_and_keep_every_value():
    columns = read(np.sort(RNG.normal(size=(N, 3)), axis=1) + np.array([0, 5, 10]))
    chain = Relations.learn([Order("x1", "x2", exchange=True), Order("x0", "x1", exchange=True)], columns)
    drawn = RNG.normal(size=(3, N))
    restored = np.array(chain.restore(tuple(drawn)))
    np.testing.assert_array_equal(restored, np.sort(drawn, axis=0))
    fan = Relations.learn([Order("x0", "x1", exchange=True), Order("x0", "x2", exchange=True)], columns)
    restored = np.array(fan.restore(tuple(drawn)))
    np.testing.assert_array_equal(restored[0], drawn.min(axis=0))
    np.testing.assert_array_equal(np.sort(restored, axis=0), np.sort(drawn, axis=0))
    with pytest.raises(ValueError, match="swaps values of 'x1', which another relation names"):
        Relations.learn([Order("x0", "x1", exchange=True), Order("x1", "x2")], columns)
    with pytest.raises(TypeError, match="cannot swap values of float32 and float64"):
        Order("a", "b", exchange=True).learn({"a": np.float32([1, 2]), "b": np.array([2.0, 3.0])})


def test_angles_are_counted_from_the_one_they_follow():
    first = RNG.uniform(-np.pi, np.pi, N)
    second = (first + 2.0 + 0.05 * RNG.normal(size=N) + np.pi) % (2 * np.pi) - np.pi
    t = {"a": first, "b": second}
    learned = Angle("b", candidates=("a",)).learn(t)
    assert learned.reference == "a"
    assert np.ptp(learned.encode(t)) < 0.5


def test_absence_is_seen_at_either_end():
    values = RNG.normal(size=N)
    for sentinel in (-999.0, 999.0):
        absence = Absence.of(np.where(np.arange(N) % 5 == 0, sentinel, values))
        assert absence.sentinel == sentinel
    assert Absence.of(values).sentinel is None


def test_totals_that_miss_by_more_than_rounding_are_no_sums():
    a, b = np.round(LOW, 2), np.round(HIGH, 2)
    off = np.where(np.arange(N) == 7, 0.02, 0.0)
    Sum("c", "a", "b").learn({"a": a, "b": b, "c": np.round(a + b + 0.5 * off, 2)})
    with pytest.raises(ValueError, match="c = a \\+ b"):
        Sum("c", "a", "b").learn({"a": a, "b": b, "c": np.round(a + b + off, 2)})


def test_codes_are_equal_in_equal_rows_alone():
    a = np.repeat(np.array(["x", "y", None], object), 3)
    b = np.tile(np.array(["u", None, "v"], object), 3)
    assert len(set(joint_codes(a, b).tolist())) == 9
    assert np.array_equal(joint_codes(a, b)[::-1], joint_codes(a[::-1], b[::-1]))


def test_orders_of_dates_and_numbers_are_refused():
    days = np.datetime64("2024-01-01") + np.arange(60)
    with pytest.raises(TypeError, match="two columns of numbers or two of dates"):
        Order("a", "b").learn({"a": days, "b": np.arange(60.0)})


def test_numbers_that_were_not_seen_take_the_value_of_the_nearest():
    table = {"key": np.array([10, 20, 30, 40] * 20), "group": np.array([1, 2, 3, 4] * 20)}
    lookup = Determines("key", "group").learn(table)
    found = lookup.decode({"key": np.array([9, 14, 16, 27, 34, 99])}, None, 6)
    assert found.tolist() == [1, 1, 2, 3, 3, 4]


@pytest.mark.parametrize(("top", "period"), [(2 * np.pi, 2 * np.pi), (360.0, 360.0)])
def test_periods_of_radians_and_degrees(top, period):
    found = Angle("phi").learn({"phi": np.random.default_rng(0).uniform(0, top, 500)})
    assert found.period == period
