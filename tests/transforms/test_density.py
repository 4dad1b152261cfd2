import numpy as np
import pytest

from buff.transforms import TableTransformer
from buff.transforms.density import cell_columns


def column_of(x, schema=None, **how):
    return cell_columns(TableTransformer(schema).fit(np.asarray(x)[:, None]), **{"open_ends": True} | how)[0]


def density(column, x):
    cells = column.encode(np.asarray(x, np.float64))
    return np.exp(cells.log_slope - 0.5 * cells.low**2) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("law", ["normal", "exponential", "uniform"])
def test_marginal_density_integrates_to_one(law):
    x = getattr(np.random.default_rng(0), law)(size=3000)
    edges = np.linspace(x.min() - 5, x.max() + 5, 200_001)
    middle = 0.5 * (edges[1:] + edges[:-1])
    assert density(column_of(x), middle).sum() * (edges[1] - edges[0]) == pytest.approx(1, abs=2e-3)


def test_values_come_back():
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=2000), np.where(rng.random(2000) < 0.3, 0.0, rng.exponential(size=2000))):
        column = column_of(x)
        cells = column.encode(x)
        assert np.allclose(column.decode(cells.state, cells.low), x, atol=1e-9)
        assert (np.isnan(cells.low) == (cells.state >= 0)).all()


def test_ends_stop_at_bounds_and_at_zero():
    x = np.random.default_rng(0).exponential(size=2000)
    assert density(column_of(x), [-0.001, 1.0])[0] == 0
    bounded = column_of(x, {"x0": {"upper": float(x.max()) + 1}})
    assert density(bounded, [x.max() + 0.5, x.max() + 2]).round(9).tolist()[1] == 0
    closed = column_of(x, open_ends=False)
    assert density(closed, [x.max() + 1])[0] == 0


def test_whole_numbers_count_by_probability_and_decimals_by_density():
    rng = np.random.default_rng(0)
    whole = np.rint(rng.normal(0, 600, size=4000))
    cells = column_of(whole).encode(whole)
    values = cells.state < 0
    assert (cells.high > cells.low)[values].all()
    assert (cells.log_slope[values] == 0).all()
    price = rng.normal(100, 30, size=4000).round(2)
    cells = column_of(price).encode(price)
    values = (cells.state < 0) & (cells.high > cells.low)
    assert np.isin(cells.log_slope[values].round(6), [0.0, round(-np.log(0.01), 6)]).all()


def test_scores_without_missing_values():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    x[::3] = np.nan
    space = TableTransformer().fit(x).without_missing()
    z = space.encode(x[1:2], 0.5)
    assert np.isfinite(z).all()
    known = x[~np.isnan(x[:, 0])]
    assert abs(space.transform(known).mean()) < 0.01
    assert np.abs(space.inverse_transform(space.transform(known)) - known).mean() < 0.03
    with pytest.raises(ValueError, match="missing"):
        space.transform(x)


def test_values_beside_an_atom_have_a_density():
    x = np.where(np.arange(2000) % 3 == 0, 0.0, np.random.default_rng(0).exponential(size=2000))
    assert (density(column_of(x), np.geomspace(1e-6, 1, 50)) > 0).all()
    far = np.where(x == 0, -25.0, x + 30)
    assert density(column_of(far), [-10.0])[0] == 0


def test_whole_numbers_that_were_not_seen_have_a_probability():
    x = np.random.default_rng(0).poisson(4, 500).astype(float)
    x = x[x != 5]
    column = column_of(x)
    k = np.arange(0.0, 200)
    cells = column.encode(k)
    new = ~np.isin(k, x)
    assert (cells.state[new] == -3).all()
    seen = np.exp(cells.log_slope[~new]) * [np.mean(x == v) for v in k[~new]]
    assert seen.sum() + np.exp(cells.log_slope[new]).sum() == pytest.approx(1)
    assert np.isneginf(column.encode(np.array([-1.0, 2.5])).log_slope).all()
