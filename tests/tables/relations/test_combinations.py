"""Combinations that were seen, and no others."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import buff
from buff import BUFF, BUFFImputer
from buff.errors import ExportError
from buff.tables import read
from buff.tables.relations import Combinations, Determines, Order, Relations
from buff.tables.relations.collection import relation_from_dict

TINY = {"noise_budget": 4000, "n_steps": 3, "n_estimators": 3, "random_state": 0}


@pytest.fixture(scope="module")
def parcels():
    """Twenty towns and thirty routes of which a third of the pairs exist, sizes that go with some, gaps."""
    rng = np.random.default_rng(0)
    n = 3000
    pairs = np.array([(t, r) for t in range(20) for r in range(30) if (7 * t + 11 * r) % 3 == 0])
    own = pairs[rng.integers(len(pairs), size=n)]
    sizes = np.where(own[:, 1] % 2, rng.integers(1, 3, n), 3)
    table = pd.DataFrame({"town": own[:, 0], "route": np.char.add("r", own[:, 1].astype(str)), "size": sizes})
    table["route"] = table["route"].where(own[:, 1] > 0, None)
    table["weight"] = rng.gamma(2, 1 + sizes)
    return table[["weight", "route", "town", "size"]]


def rows(table):
    return set(
        map(tuple, table[["town", "route", "size"]].astype(object).where(table.notna(), None).to_numpy().tolist())
    )


def test_no_row_has_a_combination_that_was_not_seen(parcels, tmp_path):
    stated = Combinations("town", "route", "size")
    gen = BUFF(**TINY, relations=[stated]).fit(parcels)
    made = gen.sample(3000)
    assert rows(made) <= rows(parcels)
    assert len(rows(made)) > 0.9 * len(rows(parcels))
    assert list(made.columns) == list(parcels.columns)
    assert made.dtypes.equals(parcels.dtypes)
    shares = (parcels["size"] == 3).mean(), (made["size"] == 3).mean()
    assert shares[0] == pytest.approx(shares[1], abs=0.03)
    # the value goes with the labels
    assert made.loc[made["size"] == 3, "weight"].mean() > 1.3 * made.loc[made["size"] == 1, "weight"].mean()
    assert str(gen.relations_).splitlines()[1] == "combinations of town, route, size  combinations  3000"
    gen.save(tmp_path / "m.buff")
    pd.testing.assert_frame_equal(buff.load(tmp_path / "m.buff").sample(200), gen.sample(200))
    # without it there are such rows
    free = BUFF(**TINY, relations=None, atoms="apart").fit(parcels).sample(3000)
    assert not rows(free) <= rows(parcels)


def test_tables_come_back_bit_by_bit(parcels):
    columns = read(parcels)
    relations = Relations.learn([Combinations("route", "town")], columns)
    reduced = relations.reduce(columns)
    assert reduced.names == ("weight", "route", "size")
    for own, back in zip(columns.arrays, relations.restore(reduced.arrays), strict=True):
        np.testing.assert_array_equal(own, back)
    again = relation_from_dict(json.loads(json.dumps(relations.relations[0].to_dict())))
    assert again == relations.relations[0]


def test_others_are_found_beside_it_and_name_none_of_its_columns(parcels):
    table = parcels.assign(region=parcels["town"] // 5, twice=2 * parcels["weight"])
    gen = BUFF(**TINY, relations=["auto", Combinations("town", "route", "size")]).fit(table)
    assert {relation.kind for relation in gen.relations_} == {"combinations", "scaled"}
    with pytest.raises(ValueError, match="takes the place of 'town', which another relation names"):
        BUFF(**TINY, relations=[Combinations("town", "size"), Determines("town", "region")]).fit(table)


def test_what_it_cannot_do_is_said(parcels):
    with pytest.raises(ValueError, match="two columns or more"):
        Combinations("town")
    with pytest.raises(ValueError, match="each once"):
        Combinations("town", "town")
    with pytest.raises(ValueError, match="unknown column 'city'"):
        BUFF(**TINY, relations=[Combinations("city", "route")]).fit(parcels)
    with pytest.raises(ValueError, match="different ones in 3000 rows, which would come back"):
        BUFF(**TINY, relations=[Combinations("town", "weight")]).fit(parcels)
    with pytest.raises(ValueError, match="given='any' knows no combinations of town, size"):
        BUFF(**TINY, relations=[Combinations("town", "size")], given="any").fit(parcels)
    with pytest.raises(ValueError, match="tables with gaps take no Combinations"):
        BUFFImputer(n_estimators=2, relations=[Combinations("town", "size")]).fit(parcels)
    with pytest.raises(ValueError, match="takes the place of"):
        Relations.learn([Combinations("town", "size"), Order("size", "weight")], read(parcels))


def test_exports_say_that_they_know_no_combinations(parcels, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gen = BUFF(**TINY, relations=[Combinations("town", "size")]).fit(parcels.drop(columns="route"))
    with pytest.raises(ExportError, match="combinations of town, size"):
        gen.export(tmp_path / "m.hpp")
