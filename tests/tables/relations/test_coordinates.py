"""Coordinates: there and back within a strip, missing values, decimals, files."""

import json

import numpy as np
import pytest

from buff.tables.relations import Coordinates
from buff.tables.relations.collection import relation_from_dict


def table(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    towns = rng.uniform(-10, 10, (5, 2))[rng.integers(0, 5, n)] + 0.2 * rng.normal(size=(n, 2))
    return {"lat": towns[:, 0], "lon": np.round(towns[:, 1], 4)}


def test_there_and_back():
    own, rows = Coordinates("lat", "lon").learn(table()), table()
    rank = own.encode(rows)
    assert rank.min() >= 0
    assert rank.max() <= 1
    assert np.abs(own.decode(rows, rank, 1000) - rows["lon"]).mean() < 0.01
    assert np.quantile(rank, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.05)


def test_missing_and_absent_values():
    rows = table()
    rng = np.random.default_rng(1)
    rows["lon"][rng.random(1000) < 0.1] = np.nan
    rows["lon"][rng.random(1000) < 0.1] = -999
    rows["lat"][rng.random(1000) < 0.1] = np.nan
    own = Coordinates("lat", "lon").learn(rows)
    back = own.decode(rows, own.encode(rows), 1000)
    assert np.array_equal(np.isnan(back), np.isnan(rows["lon"]))
    assert np.array_equal(back == -999, rows["lon"] == -999)


def test_no_value_of_a_row_is_kept_and_decimals_are():
    rows = table()
    exact = {"lat": rows["lat"], "lon": rows["lon"] + np.random.default_rng(2).normal(size=1000) * 1e-3}
    own = Coordinates("lat", "lon").learn(exact)
    kept = np.concatenate([*own.values])
    assert not set(kept) & set(exact["lon"])
    drawn = Coordinates("lat", "lon").learn(rows).decode(rows, np.random.default_rng(3).random(1000), 1000)
    assert np.array_equal(drawn, np.round(drawn, 4))


def test_files():
    own = Coordinates("lat", "lon").learn(table())
    again = relation_from_dict(json.loads(json.dumps(own.to_dict())))
    assert again == own


def test_words_are_no_coordinates():
    with pytest.raises(TypeError, match="column 'lon' is no coordinate"):
        Coordinates("lat", "lon").learn({"lat": np.arange(3.0), "lon": np.array(["a", "b", "c"], object)})


def test_equal_values_stay_in_one_strip_and_lone_rows_keep_a_width():
    from buff.tables.relations.coordinates import _knots, _strips

    x = np.sort(np.concatenate([np.linspace(0, 1, 700), np.full(400, 0.6)]))
    cuts = _strips(x)
    assert len(cuts)
    assert (x[cuts - 1] < x[cuts]).all()
    group = np.linspace(0, 1, 200)
    _, v = _knots(np.append(group, 50.0))
    lone, width = v[v > 2], np.median([1 / 200, 0])
    assert np.ptp(lone) == pytest.approx(width)
    assert abs(lone.mean() - 50) <= 0.5 * width
