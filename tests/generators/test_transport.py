"""From table to table: exact posteriors, deterministic maps, tables without pairs, containers, bad input."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import buff
from buff.datasets import gaussian_1d, gaussian_2d, mixture_1d
from buff.metrics import interval_coverage

RNG = np.random.default_rng(0)
N = 300
SOURCE = RNG.normal(size=(N, 2))
TARGET = SOURCE @ np.array([[1.0, 0.2], [0.0, 0.5]]) + 0.3 * RNG.normal(size=(N, 2))
LABELS = RNG.choice(["e", "mu"], N)


def small(**changes):
    options = {"n_steps": 4, "n_estimators": 4, "max_depth": 4, "noise_budget": 3000, "random_state": 0}
    return buff.BUFFTransport(**options | {"device": "cpu"} | changes)


@pytest.fixture(scope="module")
def model():
    return small().fit(SOURCE, TARGET)


@pytest.mark.parametrize(
    ("problem", "blur"),
    [(gaussian_1d(), 0.03), (gaussian_2d(), 0.03), (mixture_1d(), 0.12)],  # trees round the corner between two modes
    ids=["1d", "2d", "mixture"],
)
def test_posteriors_are_exact(problem, blur):
    train, test, draws = problem.sample(6000, 0), problem.sample(1000, 1), 100
    x = buff.BUFFTransport(random_state=0).fit(train.reco, train.truth).sample(test.reco, draws)
    x = x.reshape(len(test.reco), draws, -1)
    exact = problem.posterior(test.reco)
    width = np.sqrt(np.diagonal(exact.covariance, axis1=1, axis2=2))
    miss = (x.mean(axis=1) - exact.mean) / width
    assert np.abs(miss.mean(axis=0)).max() < 0.05
    assert np.sqrt((miss**2).mean(axis=0) - 1 / draws).max() < 0.15
    assert np.allclose(np.median(x.std(axis=1) / width, axis=0), 1, atol=blur)
    for column in range(x.shape[2]):
        covered = interval_coverage(test.truth[:, column], x[..., column], level=0.68)[0].value
        assert abs(covered - 0.68) < 0.04


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_gaussian_pairs_need_no_trees(noise):
    problem = gaussian_2d()
    train, test = problem.sample(20_000, 0), problem.sample(5, 1)
    transport = small(n_estimators=0, noise=noise, n_steps=50, solver="heun").fit(train.reco, train.truth)
    x = transport.sample(test.reco, 4000).reshape(5, 4000, 2)
    exact = problem.posterior(test.reco)
    assert np.allclose(x.mean(axis=1), exact.mean, atol=0.06)
    assert all(np.allclose(np.cov(draws.T), exact.covariance[0], atol=0.03) for draws in x)


def test_what_is_measured_bends_narrow_directions():
    """The target lies in a curved band narrower than its measurement: a polynomial of all rows finds the band."""
    rng = np.random.default_rng(9)
    radius = 1 + 0.05 * rng.standard_normal((2, 1500))
    angle = rng.normal(np.pi / 2, 0.6, (2, 1500))
    truth = np.stack([radius * np.cos(angle), radius * np.sin(angle), rng.standard_normal((2, 1500))], axis=2)
    reco = truth + 0.2 * rng.standard_normal(truth.shape)
    options = {"noise_budget": 20_000, "random_state": 0}
    widths = [
        np.std(
            np.hypot(*buff.BUFFTransport(**options, smooth_rows=n).fit(reco[0], truth[0]).transform(reco[1])[:, :2].T)
        )
        for n in (5, 100)
    ]
    assert widths[0] < 0.9 * widths[1]


def test_without_noise_every_row_has_one_target_and_all_have_the_right_distribution():
    problem = mixture_1d()
    train, test = problem.sample(8000, 0), problem.sample(4000, 1)
    transport = buff.BUFFTransport(noise=0, random_state=0).fit(train.reco, train.truth)
    x = transport.transform(test.reco)
    draws = transport.sample(test.reco[:50], 4, random_state=7).reshape(50, 4)
    assert (draws == draws[:, :1]).all()
    assert ks_2samp(x[:, 0], test.truth[:, 0]).pvalue > 1e-3
    order = np.argsort(test.reco[:, 0])
    assert np.corrcoef(np.arange(len(order)), np.argsort(np.argsort(x[order, 0])))[0, 1] > 0.99


def test_nothing_is_overfitted_by_the_deterministic_map():
    """Gaussian pairs: the exact map is a line, from which trees must not be drawn by single rows."""
    problem = gaussian_1d()
    train = problem.sample(4000, 0)
    transport = buff.BUFFTransport(noise=0, random_state=0).fit(train.reco, train.truth)
    asked = np.linspace(-2, 2, 200)[:, None]
    x = transport.transform(asked)
    line = asked * train.truth.std() / train.reco.std()
    assert np.sqrt(np.mean((x - line) ** 2)) < 0.06


def test_tables_without_pairs():
    """Own marginals become those of the target, and no row goes further than it must."""
    rng = np.random.default_rng(3)
    source = rng.multivariate_normal([0, 0], [[1, 0.2], [0.2, 1]], 2000)
    target = 2 + rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 2500)
    options = {"n_steps": 6, "noise_budget": 20_000, "random_state": 0}
    transport = buff.BUFFTransport(coupling="transport", **options).fit(source, target)
    x = transport.transform(source)
    assert np.allclose(x.mean(axis=0), 2, atol=0.08)
    assert np.corrcoef(x.T)[0, 1] == pytest.approx(0.8, abs=0.04)
    # optimal transport of Gaussians is the line A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2
    values, vectors = np.linalg.eigh([[1, 0.2], [0.2, 1]])
    line = vectors @ np.diag(np.sqrt([1 - 0.8, 1 + 0.8] / values)) @ vectors.T
    assert np.sqrt(np.mean((x - 2 - source @ line) ** 2)) < 0.2


def test_tables_without_pairs_stay_within_their_condition():
    rng = np.random.default_rng(4)
    near, far = rng.choice(["a", "b"], 2000), rng.choice(["a", "b"], 3000, p=[0.2, 0.8])
    source = rng.normal(size=(2000, 1))
    target = np.where(far == "a", -5, 5)[:, None] + rng.normal(size=(3000, 1))
    transport = small(coupling="transport").fit(source, target, condition=(near, far))
    x = transport.transform(source, condition=near)
    assert ((x[:, 0] < 0) == (near == "a")).mean() > 0.95
    shift = np.where(near == "a", -5, 5)
    assert np.corrcoef(x[:, 0] - shift, source[:, 0])[0, 1] > 0.7


def test_weights_count_like_copies():
    rng = np.random.default_rng(5)
    source = rng.normal(size=(1500, 1))
    target = source + rng.choice([-2, 2], 1500)[:, None]
    copies = np.where(target > source, 3, 1)[:, 0] * rng.integers(0, 2, 1500)
    order = rng.permutation(1500)
    weighted = small(n_estimators=12).fit(source[order], target[order], sample_weight=copies[order])
    copied = small(n_estimators=12).fit(np.repeat(source, copies, 0), np.repeat(target, copies, 0))
    draws = [model.sample(source, 3) for model in (weighted, copied)]
    np.testing.assert_allclose(*draws, rtol=1e-5, atol=1e-5)
    assert (draws[0] - source.repeat(3, axis=0) > 0).mean() == pytest.approx(0.75, abs=0.05)
    pair = (copies, np.ones(1500))
    unpaired = small(coupling="transport").fit(source, target, sample_weight=pair).transform(source)
    assert unpaired.shape == source.shape


def test_rows_that_differ_and_weigh_the_same_stay_as_they_are():
    plain, weighted = (small().fit(SOURCE, TARGET, sample_weight=w) for w in (None, np.full(N, 2.5)))
    np.testing.assert_allclose(plain.sample(SOURCE), weighted.sample(SOURCE), rtol=1e-5, atol=1e-5)


def test_draws_of_a_row_follow_each_other(model):
    draws = model.sample(SOURCE[:20], 5)
    assert draws.shape == (100, 2)
    assert np.array_equal(model.sample(SOURCE[:20], 5, batch_size=7), draws)
    pieces = [model.sample(SOURCE[rows], 5, first_row=rows.start) for rows in (slice(0, 8), slice(8, 20))]
    assert np.array_equal(np.vstack(pieces), draws)
    spread = draws.reshape(20, 5, 2).std(axis=1).mean(axis=0)
    assert (spread < draws.std(axis=0)).all()
    assert not np.array_equal(model.transform(SOURCE, random_state=1), model.transform(SOURCE))


@pytest.mark.parametrize("coupling", ["paired", "transport"])
def test_what_is_transformed_belongs_to_the_row(coupling):
    model = small(coupling=coupling).fit(SOURCE, SOURCE[::-1] + 1)
    rows = np.concatenate([SOURCE[:30], SOURCE[:5]])
    there, order = model.transform(rows), np.random.default_rng(0).permutation(30)
    np.testing.assert_array_equal(model.transform(SOURCE[:30][order]), there[:30][order])
    np.testing.assert_array_equal(np.vstack([model.transform(row[None]) for row in SOURCE[:30]]), there[:30])
    if coupling == "paired":  # with noise, copies have targets of their own
        assert (there[30:] != there[:5]).any(axis=1).all()
        assert not np.array_equal(model.sample(rows), there)


@pytest.mark.parametrize("changes", [{}, {"noise": 0.0}, {"coupling": "transport"}], ids=["noise", "none", "unpaired"])
@pytest.mark.parametrize("conditional", [False, True])
def test_files_copies_and_pickles(changes, conditional, tmp_path):
    c = LABELS if conditional else None
    both = (c, c) if conditional and "coupling" in changes else c
    fitted = small(**changes).fit(SOURCE, TARGET, condition=both)
    x = fitted.sample(SOURCE, 2, condition=c)
    fitted.save(tmp_path / "m.buff")
    for twin in (pickle.loads(pickle.dumps(fitted)), buff.load(tmp_path / "m.buff")):
        assert np.array_equal(twin.sample(SOURCE, 2, condition=c), x)
        assert twin.get_params() == fitted.get_params() | {"device": twin.device}
        with pytest.raises(ValueError, match="X has 1 features, but BUFFTransport is expecting 2"):
            twin.transform(SOURCE[:, :1], condition=c)
    assert (fitted.condition_schema_ is not None) == conditional
    assert clone(fitted).get_params() == fitted.get_params()


def test_frames_and_single_columns():
    frame = pd.DataFrame({"pt": RNG.exponential(size=N), "kind": LABELS})
    truth = pl.DataFrame({"energy": frame["pt"].to_numpy() * 2, "n": RNG.poisson(3, N)})
    fitted = small().fit(frame, truth)
    x = fitted.sample(frame, 2)
    assert (type(x), x.schema, x.height) == (pl.DataFrame, truth.schema, 2 * N)
    assert fitted.feature_names_in_.tolist() == ["pt", "kind"]
    assert np.corrcoef(x["energy"].to_numpy()[::2], frame["pt"])[0, 1] > 0.9
    assert small().fit(frame, truth["energy"]).transform(frame).name == "energy"
    assert small().fit(frame, LABELS).transform(frame).shape == (N,)
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame.rename(columns={"kind": "type"}))
    with pytest.raises(ValueError, match="'kind' holds the unknown value 'tau'"):
        fitted.transform(frame.assign(kind="tau"))


def test_fits_resume_and_plans_cost_nothing(tmp_path):
    plan = small().plan(SOURCE, TARGET)
    assert (plan.n_rows, plan.n_dims, plan.n_conditions) == (N, 2, 2)
    assert small(noise=0).plan(SOURCE, TARGET).n_draws == 1  # another draw would be the same
    fresh = small().fit(SOURCE, TARGET).transform(SOURCE)
    for noise in ("auto", 0.5):  # other noise never reuses trees
        cached = [small(cache_dir=tmp_path, noise=noise).fit(SOURCE, TARGET).transform(SOURCE) for _ in range(2)]
        assert np.array_equal(*cached)
        assert np.array_equal(cached[0], fresh) == (noise == "auto")


@pytest.mark.parametrize(
    ("changes", "data", "error", "message"),
    [
        ({}, (SOURCE, TARGET[:-1]), ValueError, "X has 300 rows and y has 299.*coupling='transport'"),
        ({}, (SOURCE, None), ValueError, "requires y to be passed"),
        ({"noise": -1}, (SOURCE, TARGET), ValueError, r"noise \(or 'auto'\) must lie in \[0, inf\), found -1"),
        ({"smooth_rows": 0}, (SOURCE, TARGET), ValueError, "smooth_rows must be at least 1"),
        ({"noise": "much"}, (SOURCE, TARGET), TypeError, "noise .*'auto'.* must be a number .*'much'"),
        ({"coupling": "independent"}, (SOURCE, TARGET), ValueError, r"one of \['paired', 'transport'\]"),
        ({"coupling": 3}, (SOURCE, TARGET), TypeError, "MinibatchTransport, found 3"),
        ({"coupling": "transport"}, (SOURCE, TARGET[:, :1]), ValueError, "X has 2 columns and y has 1"),
        (
            {"coupling": "transport"},
            (pd.DataFrame(SOURCE, columns=["a", "b"]), pd.DataFrame(TARGET, columns=["a", "c"])),
            ValueError,
            "X has the column 'b' where y has 'c'",
        ),
        ({"coupling": "transport"}, (SOURCE, TARGET * [1, 0]), ValueError, "takes 1 dimensions in X and 0 in y"),
    ],
)
def test_bad_tables(changes, data, error, message):
    with pytest.raises(error, match=message):
        small(**changes).fit(*data)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"condition": LABELS}, TypeError, "condition of unpaired tables must be a pair"),
        ({"sample_weight": np.ones(N)}, TypeError, "sample_weight of unpaired tables must be a pair"),
        ({"condition": (LABELS, np.full(N, "tau"))}, ValueError, "constant, 'tau', when fitted: found e"),
        ({"sample_weight": (None, -np.ones(N))}, ValueError, "negative"),
    ],
)
def test_bad_options_of_tables_without_pairs(options, error, message):
    with pytest.raises(error, match=message):
        small(coupling="transport").fit(SOURCE, TARGET, **options)


def test_bad_requests(model):
    with pytest.raises(ValueError, match="fitted without condition"):
        model.transform(SOURCE, condition=LABELS)
    with pytest.raises(ValueError, match="n_samples must be at least 0"):
        model.sample(SOURCE, -1)
    with pytest.raises(ValueError, match="not fitted"):
        small().transform(SOURCE)
    conditional = small().fit(SOURCE, TARGET, condition=LABELS)
    with pytest.raises(ValueError, match="condition has 3 rows, X has 300"):
        conditional.transform(SOURCE, condition=LABELS[:3])
    with pytest.raises(ValueError, match="the model is conditional"):
        conditional.transform(SOURCE)
    assert conditional.transform(SOURCE, condition="e").shape == (N, 2)
    with pytest.raises(ValueError, match="condition has 3 rows, X has 300"):
        small().fit(SOURCE, TARGET, condition=LABELS[:3])


def test_every_parameter_is_described():
    from inspect import signature

    assert all(name in buff.BUFFTransport.__doc__ for name in signature(buff.BUFFTransport).parameters)
    assert set(buff.BUFF().get_params()) ^ set(buff.BUFFTransport().get_params()) == {
        *("noise", "smooth_rows", "classes", "relations", "atoms", "given")
    }


@pytest.mark.parametrize("policy", ["smooth", "cancel"])
def test_pairs_of_both_signs_have_the_posterior_of_their_sum(policy):
    """Events that cancel lie elsewhere: what is left is the exact problem."""
    problem, rng = gaussian_1d(), np.random.default_rng(6)
    pairs, test = problem.sample(3000, 0), problem.sample(500, 1)
    x, y = (np.concatenate([of, rng.normal(1.5, 1, (3000, 1))]) for of in (pairs.truth, pairs.reco))
    weights = np.concatenate([np.ones(3000), rng.choice([-1.0, 1.0], 3000)])
    options = {"n_steps": 6, "noise_budget": 20_000, "random_state": 0}
    model = buff.BUFFTransport(negative_weights=policy, **options).fit(y, x, sample_weight=weights)
    unsigned = buff.BUFFTransport(**options).fit(y, x, sample_weight=np.abs(weights))
    exact = problem.posterior(test.reco).mean
    miss, before = (
        np.abs(m.sample(test.reco, 50).reshape(500, 50).mean(axis=1) - exact[:, 0]) for m in (model, unsigned)
    )
    assert miss.mean() < 0.5 * before.mean()


def test_weights_of_both_signs_are_averaged_at_fixed_condition():
    """Signs belong to one label: an average over both would lower the other's weights, too."""
    rng = np.random.default_rng(7)
    label = rng.choice(["a", "b"], 4000)
    source, mixed = rng.normal(size=(4000, 1)), rng.random(4000) < 0.6
    target = np.where(mixed, 3.0, 0.0)[:, None] + 0.3 * rng.normal(size=(4000, 1))
    weights = np.where((label == "a") & mixed, rng.choice([-1.0, 1.0], 4000), 1.0)
    model = small(negative_weights="smooth").fit(source, target, condition=label, sample_weight=weights)
    high = [(model.sample(source[:1000], condition=one) > 1.5).mean() for one in ("a", "b")]
    assert high[0] < 0.1
    assert abs(high[1] - 0.6) < 0.08


def test_tables_without_pairs_of_both_signs():
    rng = np.random.default_rng(8)
    target = np.concatenate([rng.normal(2, 1, (1500, 1)), rng.normal(4, 1, (1500, 1))])
    signs = np.concatenate([np.ones(1500), rng.choice([-1.0, 1.0], 1500)])
    source = rng.normal(size=(2000, 1))
    model = small(coupling="transport", negative_weights="smooth").fit(source, target, sample_weight=(None, signs))
    assert abs(model.transform(source).mean() - 2) < 0.25


def test_searches_find_the_better_posterior():
    problem = mixture_1d()
    pairs = problem.sample(2000, 0)
    grid = {"n_estimators": [0, 12], "max_depth": [6]}
    search = GridSearchCV(small(n_steps=6, noise_budget=20_000), grid, cv=2).fit(pairs.reco, pairs.truth[:, 0])
    line, trees = search.cv_results_["mean_test_score"]
    assert search.best_params_["n_estimators"] == 12
    assert trees > line + 0.005
    assert not hasattr(small(coupling="transport"), "score")
    with pytest.raises(ValueError, match="X has 2 rows and y has 3: a target for every source row is needed"):
        search.best_estimator_.score(pairs.reco[:2], pairs.truth[:3, 0])


def test_score_counts_weights_and_conditions(model):
    w = (np.arange(N) % 2).astype(float)
    alone = model.score(SOURCE[1::2], TARGET[1::2])
    assert model.score(SOURCE, TARGET, sample_weight=w) == pytest.approx(alone, abs=0.03)
    labelled = small().fit(SOURCE, TARGET, condition=LABELS)
    assert labelled.score(SOURCE, TARGET, condition=LABELS) == pytest.approx(model.score(SOURCE, TARGET), abs=0.1)


def test_a_verbose_model_shows_what_negative_weights_cost(capsys):
    weights = np.where(np.arange(N) % 4 == 0, -1.0, 1.0)
    small(negative_weights="smooth", verbose=1).fit(SOURCE, TARGET, sample_weight=weights)
    assert (
        f"weights: 25.0% of {N} weights negative, policy 'smooth': effective sample size 75," in capsys.readouterr().err
    )
    small(negative_weights="smooth").fit(SOURCE, TARGET, sample_weight=weights)
    assert "effective" not in capsys.readouterr().err
