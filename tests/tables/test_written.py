"""Numbers and dates that are written as text."""

import warnings

import numpy as np
import pandas as pd
import pytest

from buff.tables import read
from buff.tables.schema import TableReduction
from buff.tables.written import written_as_text


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["3", "12", "?"], ("numbers", "?")),
        (["-", "3.5", "1e3"], ("numbers", "-")),
        (["12.1%", "3%"], ("numbers", "12.1%")),
        (["7", "$3.50", "-$1.00"], ("numbers", "$3.50")),
        (["1,234.00", "12.00"], ("numbers", "1,234.00")),
        (["12 EUR", "€ 0,5"], ("numbers", "12 EUR")),
        (["31/12/2020", "01/02/2021"], ("dates", "31/12/2020")),
        (["1.2.2021"], ("dates", "1.2.2021")),
        (["2020-12-31", "2020-12-31 10:00:00"], ("dates", "2020-12-31")),
        (["-", "31/12/2020", "?"], ("dates", "31/12/2020")),
        (["a", "b", "?"], None),
        (["?", "-"], None),
        (["1", "2", "10"], None),
        (["01234", "99999"], None),
        (["5%", "high"], None),
        (["1/2", "3/4"], None),
        (["10-20", "20-30"], None),
        (["A$", "%"], None),
        ([], None),
    ],
)
def test_what_text_looks_like(cells, found):
    assert written_as_text(cells) == found


def test_a_fit_tells_of_text_that_should_be_numbers():
    rng = np.random.default_rng(0)
    prices = pd.Series(rng.integers(100, 999, 300))
    frame = pd.DataFrame({"price": "$" + (prices / 100).astype(str), "x": rng.normal(size=300)})
    with pytest.warns(UserWarning, match=r"column 'price' is text that looks like numbers, such as '\$") as told:
        TableReduction.of(read(frame))
    assert len(told) == 1
    # what it says to do leads to numbers
    own = pd.to_numeric(frame["price"].str.replace("[^0-9.eE+-]", "", regex=True), errors="coerce")
    np.testing.assert_allclose(own, prices / 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TableReduction.of(read(frame.assign(price=own)))
        TableReduction.of(read(frame.assign(price=rng.choice(["1", "2"], 300))))
        TableReduction.of(read(frame), {"price": "categorical"})


def test_ids_that_look_like_dates_are_told_of_once():
    days = pd.date_range("2001-01-01", periods=300).strftime("%d/%m/%Y")
    frame = pd.DataFrame({"day": days, "x": np.random.default_rng(0).normal(size=300)})
    with pytest.warns(UserWarning, match="column 'day' is text that looks like dates, such as '01/01/2001'") as told:
        own = TableReduction.of(read(frame))
    assert len(told) == 1
    assert list(own.ids) == ["day"]
