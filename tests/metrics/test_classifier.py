import numpy as np
import pytest

import buff.metrics.classifier as classifier_module
from buff.datasets import SignedWeights
from buff.metrics import c2st
from buff.metrics.classifier import roc_area

BAYES = 0.5839980  # Phi(0.3 / sqrt 2)


def gaussians(n, shift, seed, d=1):
    x, y = np.random.default_rng(seed).normal(size=(2, n, d))
    y[:, 0] += shift
    return x, y


@pytest.mark.parametrize("classifier", ["trees", "mlp"])
def test_mean_shift_reaches_the_bayes_area(classifier):
    test = c2st(*gaussians(6000, 0.3, seed=2), classifier, seeds=1)
    assert BAYES - 0.01 - 3 * test.error < test.value < BAYES + 3 * test.error
    assert test.error < 0.011
    assert test.p_value < 0.01
    assert (test.classifier, len(test.per_seed)) == (classifier, 1)


def test_areas_by_hand():
    # score 2 beats both negatives, score 1 ties with both
    level, positive = np.array([1, 1, 2, 1]), np.array([False, False, True, True])
    assert roc_area(level, positive, np.ones(4)) == pytest.approx(0.75)
    assert roc_area(np.array([0, 1, 2, 0]), positive, np.array([2.0, 1, 1, 1])) == pytest.approx(4 / 6)


@pytest.fixture
def linear(monkeypatch):
    """Least squares in place of the trees: a classifier that fits in no time."""

    def fit_least_squares(problem, categorical):
        def fit_and_score(train, test, seed):
            x = np.column_stack([problem.x, np.ones(len(problem.x))])
            slopes = np.linalg.lstsq(x[train], problem.generated[train].astype(float), rcond=None)[0]
            return x[test] @ slopes

        return fit_and_score

    monkeypatch.setattr(classifier_module, "CLASSIFIERS", {"trees": fit_least_squares})


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_samples_are_not_told_apart(linear, seeds):
    # 1.4 is what DeLong's error alone gives here
    tests = [c2st(*gaussians(100, 0.0, s, d=3), seeds=seeds, n_permutations=60, random_state=s) for s in range(60)]
    pulls = np.array([(test.value - 0.5) / test.error for test in tests])
    assert 0.7 < np.sqrt(np.mean(pulls**2)) < 1.25
    assert np.mean([test.p_value < 0.1 for test in tests]) < 0.2


@pytest.mark.parametrize("shift", [0.4, 1.0])
def test_quoted_error_is_the_spread_over_repeated_draws(linear, shift):
    results = np.array([tuple(c2st(*gaussians(200, shift, s), n_permutations=0, random_state=s)) for s in range(80)])
    assert results[:, 1].mean() == pytest.approx(results[:, 0].std(ddof=1), rel=0.3)


def test_error_falls_as_the_root_of_the_sample_size():
    errors = [c2st(*gaussians(n, 1.0, 5), seeds=1, n_permutations=0).error for n in (200, 3200)]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


def test_weights_undo_a_sampling_bias():
    # rows kept with probability p(x), weighted by 1 / p(x), are the parent sample again
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, 3000, 1))
    keep = 1 / (1 + np.exp(-2 * y[:, 0]))
    kept = rng.random(3000) < keep
    biased = c2st(x, y[kept], seeds=1)
    corrected = c2st(x, y[kept], seeds=1, generated_weights=1 / keep[kept])
    assert biased.value > 0.55
    assert corrected.value == pytest.approx(0.5, abs=4 * corrected.error)


@pytest.mark.parametrize("classifier", ["trees", "mlp"])
def test_missing_values_and_spikes_are_seen(classifier):
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(2, 500, 2))
    y[rng.random(500) < 0.3, 0] = np.nan
    assert c2st(x, y, classifier, seeds=1).value == pytest.approx(0.65, abs=0.07)
    x[rng.random(500) < 0.3, 0] = 0.123
    y[:, 0] = rng.normal(size=500)
    assert c2st(x, y, classifier, seeds=1).value == pytest.approx(0.65, abs=0.07)


@pytest.mark.parametrize("classifier", ["trees", "mlp"])
def test_categories_are_not_numbers(classifier):
    # even against odd codes: no threshold tells them apart
    rng = np.random.default_rng(11)
    x, y = 2.0 * rng.integers(0, 20, size=(2, 1000, 1))
    assert c2st(x, y + 1, classifier, categorical=[0], seeds=1).value > 0.97


@pytest.mark.parametrize("classifier", ["trees", "mlp"])
def test_columns_without_a_value_are_passed_over(classifier):
    x, y = gaussians(60, 3.0, 16, d=2)
    x[:, 1] = y[:, 1] = np.nan
    assert c2st(x, y, classifier, seeds=1).value > 0.9


def test_groups_keep_copies_of_a_row_together():
    # each event is ten equal rows: ungrouped folds let the classifier recognise events
    rng = np.random.default_rng(12)
    x, y = (np.repeat(rng.normal(size=(60, 2)), 10, axis=0) for _ in range(2))
    groups = (np.repeat(np.arange(60), 10), np.repeat(np.arange(60, 120), 10))
    leaking = c2st(x, y, seeds=1)
    grouped = c2st(x, y, seeds=1, groups=groups)
    assert leaking.value > 0.9
    assert abs(grouped.value - 0.5) < 4 * grouped.error
    assert grouped.error > 2 * leaking.error
    assert grouped.p_value > 0.01


def test_paired_groups_are_permuted_inside():
    rng = np.random.default_rng(13)
    x = rng.normal(size=(300, 1))
    test = c2st(x, x + 2.0, seeds=1, groups=(np.arange(300), np.arange(300)))
    assert test.p_value < 0.01


def test_signed_weights_cancel():
    # a third of the rows are negative; the weighted density is that of the other sample, the density of rows is not
    signed = SignedWeights().sample(2400, 0)
    same, other = (density.sample(1500, 1) for density in (SignedWeights().target, SignedWeights().counterterm))
    settings = {"seeds": 1, "n_permutations": 60}
    null = c2st(signed.x, same, real_weights=signed.weight, **settings)
    assert abs(null.value - 0.5) < 4 * null.error < 0.2
    assert null.p_value > 0.1
    naive = c2st(signed.x, same, **settings)
    assert naive.value - 0.5 > 5 * naive.error
    found = c2st(signed.x, other, real_weights=signed.weight, **settings)
    assert found.value - 0.5 > 4 * found.error
    assert found.p_value < 0.05


def test_seed_decides():
    x, y = gaussians(200, 0.2, 14)
    first, again, other = (c2st(x, y, seeds=2, n_permutations=20, random_state=seed) for seed in (4, 4, 5))
    assert first == again
    assert first.per_seed != other.per_seed
    assert len(set(first.per_seed)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classifier": "svm"}, "trees, mlp; found 'svm'"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"n_splits": 30}, "real: 30 folds need 60 rows, found 50"),
        ({"real_weights": np.append(np.ones(26), -np.ones(24))}, "a fold has no positive weight of one of the samples"),
        ({"groups": (np.zeros(3), np.zeros(50))}, r"groups: shapes \(50,\) and \(50,\) expected"),
        ({"groups": (np.zeros(50), 1 + np.arange(50))}, "a fold has no positive weight of one of the samples"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        c2st(*gaussians(50, 0.0, 15), **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["trees", "mlp"])
def test_null_error_and_p_value_over_many_draws(classifier):
    tests = [c2st(*gaussians(250, 0.0, s, d=3), classifier, random_state=s) for s in range(60)]
    pulls = np.array([(test.value - 0.5) / test.error for test in tests])
    assert 0.6 < np.sqrt(np.mean(pulls**2)) < 1.25, pulls
    assert np.mean([test.p_value < 0.05 for test in tests]) < 0.12
