import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, multivariate_normal
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import buff
from buff import TreeDensity
from buff.datasets import load_jets

TINY = {"n_estimators": 4, "max_depth": 3, "random_state": 0}


@parametrize_with_checks([TreeDensity(**TINY)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def gaussian():
    covariance = [[1, 0.8], [0.8, 1]]
    rng = np.random.default_rng(0)
    X, held_out = (rng.multivariate_normal([0, 0], covariance, n) for n in (4000, 4000))
    return TreeDensity(random_state=0).fit(X), held_out, multivariate_normal([0, 0], covariance)


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.default_rng(1)
    n = 2000
    label = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    x = rng.normal(size=n) + 2 * (label == "a")
    absent = np.where(rng.random(n) < 0.3, np.nan, np.exp(x / 3))
    table = pd.DataFrame(
        {
            "label": pd.Categorical(label),
            "x": x,
            "absent": absent,
            "count": rng.poisson(3, n),
            "price": (x + rng.normal(size=n)).round(2),
        }
    )
    return TreeDensity(random_state=0).fit(table), table


def test_density_of_a_gaussian(gaussian):
    density, held_out, truth = gaussian
    loss = truth.logpdf(held_out).mean() - density.score(held_out)
    assert 0 < loss < 0.05


def test_density_integrates_to_one(gaussian):
    density = gaussian[0]
    edges = np.linspace(-7, 7, 701)
    x = 0.5 * (edges[1:] + edges[:-1])
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    assert np.exp(density.score_samples(grid)).sum() * (x[1] - x[0]) ** 2 == pytest.approx(1, abs=0.01)


def test_probability_integral_transform_is_uniform(gaussian):
    ranks = gaussian[0].pit(gaussian[1])
    assert all(kstest(column, "uniform").statistic < 0.03 for column in ranks.T)
    assert abs(np.corrcoef(ranks.T)[0, 1]) < 0.05


def test_atoms_count_by_probability():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(3000) < 0.25, 0.0, rng.exponential(size=3000))
    density = TreeDensity(random_state=0).fit(x[:, None])
    assert np.exp(density.score_samples([[0.0]])[0]) == pytest.approx(np.mean(x == 0))
    edges = np.linspace(1e-6, 30, 300_001)
    values = np.exp(density.score_samples(0.5 * (edges[1:] + edges[:-1])[:, None]))
    assert values.sum() * (edges[1] - edges[0]) == pytest.approx(np.mean(x > 0), abs=2e-3)


def test_categories_and_counts_sum_to_one(mixed):
    density, table = mixed
    row = table.iloc[[0] * 3].assign(label=pd.Categorical(["a", "b", "c"]))
    part = TreeDensity(random_state=0).fit(table[["label", "count"]])
    assert np.exp(part.score_samples(row[["label", "count"]].iloc[:1]))[0] < 1
    alone = TreeDensity(random_state=0).fit(table[["label"]])
    assert np.exp(alone.score_samples(row[["label"]])).sum() == pytest.approx(1)
    assert np.isfinite(density.score_samples(table)).all()


def test_conditional_and_marginal_densities_make_the_joint(mixed):
    density, table = mixed
    whole, first = density.score_samples(table), list(density.order_[:2])
    rest = density.score_samples(table, given=first)
    marginal = TreeDensity(random_state=0, order=first).fit(table)
    assert density.order_[:2] == marginal.order_[:2]
    assert (whole - rest).mean() == pytest.approx(marginal.score_samples(table).mean() - rest.mean(), abs=0.3)


def test_unknown_cells_at_the_end_are_integrated_out(gaussian):
    density, held_out, _ = gaussian
    one = held_out.copy()
    one[:, 1] = np.nan
    x = np.linspace(-7, 7, 1401)
    grid = np.column_stack([np.full(1401, held_out[0, 0]), x])
    integral = np.exp(density.score_samples(grid)).sum() * (x[1] - x[0])
    assert np.exp(density.score_samples(one[:1])[0]) == pytest.approx(integral, rel=0.02)
    one[:, 0], one[:, 1] = np.nan, 0.0
    with pytest.raises(ValueError, match="column 'x0' is missing in row 0"):
        density.score_samples(one)


def test_far_values_have_a_finite_density(gaussian):
    density = gaussian[0]
    near, far, further = density.score_samples([[0.0, 0.0], [8.0, 8.0], [8.0, -8.0]])
    assert np.isfinite([far, further]).all()
    assert near > far > further


def test_events_do_not_depend_on_batches(mixed):
    density = mixed[0]
    whole = density.sample(200)
    parts = [density.sample(90, batch_size=17), density.sample(110, first_event=90)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    threads = clone(density).set_params(n_jobs=2).fit(mixed[1])
    pd.testing.assert_frame_equal(threads.sample(200, batch_size=50), whole)


def test_samples_follow_their_own_density(mixed):
    density, table = mixed
    events = density.sample(4000)
    assert (events.dtypes == table.dtypes).all()
    assert np.isfinite(density.score_samples(events)).all()
    assert all(kstest(column, "uniform").statistic < 0.03 for column in density.pit(events).T)


def test_a_prefix_is_given(mixed):
    density, table = mixed
    given = table[["label"]].iloc[:300]
    events = density.sample(given=given)
    assert (events["label"].to_numpy() == given["label"].to_numpy()).all()
    assert events["label"].dtype == table["label"].dtype
    a = events["label"] == "a"
    assert events["x"][a].mean() - events["x"][~a].mean() == pytest.approx(2, abs=0.5)
    with pytest.raises(ValueError, match="given has 'x' and not 'count'"):
        density.sample(given={"x": 0.5})


def test_conditions_are_given_always():
    rng = np.random.default_rng(0)
    c = rng.normal(size=3000)
    x = (c + 0.3 * rng.normal(size=3000))[:, None]
    density = TreeDensity(random_state=0).fit(x, condition=c)
    drawn = density.sample(2000, condition=[[1.0]])
    assert drawn.mean() == pytest.approx(1, abs=0.08)
    assert density.score(x, condition=c) > density.score(x, condition=c[::-1]) + 1


def test_weights_count(gaussian):
    x = np.random.default_rng(0).normal(size=(4000, 1))
    shifted = TreeDensity(random_state=0).fit(x, sample_weight=np.exp(x[:, 0]))
    assert shifted.sample(4000).mean() == pytest.approx(1, abs=0.15)


def test_save_and_load(mixed, tmp_path):
    density, table = mixed
    density.save(tmp_path / "density.buff")
    twin = buff.load(tmp_path / "density.buff")
    assert np.array_equal(twin.score_samples(table), density.score_samples(table))
    pd.testing.assert_frame_equal(twin.sample(50), density.sample(50))


def test_bad_input(mixed):
    density, table = mixed
    with pytest.raises(ValueError, match="order names the unknown column 'z'"):
        TreeDensity(["z"]).fit(table)
    with pytest.raises(ValueError, match="'label' holds the unknown value 'q'"):
        density.score_samples(table.head(1).assign(label="q"))
    with pytest.raises(ValueError, match="given must be the first columns"):
        density.score_samples(table, given=["price"])
    with pytest.raises(ValueError, match="onehot"):
        TreeDensity(categories="onehot").fit(table)


def test_cells_that_no_rank_reaches_are_rare_and_not_impossible():
    jets = load_jets(n=2000).to_pandas()
    names = ["mass", "tau1", "tau2", "tau3", "D2", "groomed_mass", "multiplicity"]
    others = jets[jets["jet_class"].isin(["q", "g"])].sample(frac=1, random_state=0)[names]
    tops = jets[jets["jet_class"] == "t"][names]
    found = TreeDensity(random_state=0).fit(others[: len(others) // 2]).score_samples(tops)
    assert np.isfinite(found).all()
    assert found.min() < np.median(found) - 10
