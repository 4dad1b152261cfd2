import numpy as np
import pytest

from buff.metrics import utility
from buff.metrics.downstream import _auc, _f1, _r2


def table(n, seed, noise=0.3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    colour = rng.choice(["red", "blue"], size=n)
    y = x + (colour == "red") + noise * rng.normal(size=n)
    x[rng.random(n) < 0.05] = np.nan
    kind = np.where(y > 0.5, "high", "low")
    return {"x": x, "empty": np.full(n, np.nan), "colour": colour, "y": y, "kind": kind}


@pytest.fixture
def tables():
    return table(600, 0), table(600, 1), table(600, 2)


def test_rows_of_one_law_are_as_useful_as_each_other(tables):
    columns = ["x", "empty", "colour", "y"]
    scores = utility(*tables, "y", "regression", columns=columns)
    difference = scores.synthetic.r2.value - scores.real.r2.value
    assert abs(difference) < 4 * np.hypot(scores.synthetic.r2.error, scores.real.r2.error)
    assert scores.real.r2.value > 0.7
    assert scores.real.auc is None


def test_broken_dependence_is_useless(tables):
    real, synthetic, test = tables
    shuffled = synthetic | {"kind": np.random.default_rng(3).permutation(synthetic["kind"])}
    scores = utility(real, shuffled, test, "kind", "classification", columns=["x", "colour", "kind"])
    assert scores.real.auc.value > 0.9
    assert scores.synthetic.auc.value < 0.65
    assert scores.synthetic.f1.value < scores.real.f1.value - 0.2
    assert "trained on synthetic rows: AUC" in str(scores)


def test_a_class_the_synthetic_rows_lack_counts_against_them():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 1))
    full = np.column_stack([x, np.digitize(x, [-0.5, 0.5])])
    scores = utility(full, full[full[:, 1] > 0], full, 1, "classification")
    assert scores.real.f1.value > 0.95
    assert scores.synthetic.f1.value < 0.7


def test_scores_by_hand():
    truth = np.array([0, 0, 1, 1])
    probability = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    # one of four pairs is in the wrong order
    assert _auc(truth, probability, np.ones(4)) == pytest.approx(0.75)
    assert _f1(truth, probability, np.ones(4)) == pytest.approx(0.5)
    assert _f1(truth, probability, np.array([1.0, 0.0, 0.0, 1.0])) == pytest.approx(1.0)
    assert _r2(np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.ones(2)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("z", "regression", "target must name or number a column"),
        ("kind", "regression", "train_real: target 'kind' holds categories"),
        ("x", "regression", "train_real: target 'x' misses"),
        ("y", "ranking", "classification, regression; found 'ranking'"),
    ],
)
def test_bad_targets(tables, target, task, message):
    with pytest.raises(ValueError, match=message):
        utility(*tables, target, task)


def test_one_class_is_refused(tables):
    real, synthetic, test = tables
    with pytest.raises(ValueError, match="synthetic: target 'kind' has one class only"):
        utility(real, synthetic | {"kind": np.full(600, "low")}, test, "kind", "classification")


def test_the_task_follows_from_the_target():
    rng = np.random.default_rng(0)

    def table():
        x = rng.normal(size=200)
        return {"x": x, "label": np.where(x > 0, "a", "b"), "jets": rng.poisson(1, 200), "y": x + rng.normal(size=200)}

    tables = table(), table(), table()
    for target, classes in (("label", True), ("jets", True), ("y", False)):
        scores = utility(*tables, target, n_bootstrap=0).synthetic
        assert (scores.auc is not None) == classes
        assert (scores.r2 is not None) == (not classes)


def test_ids_predict_nothing_and_every_kind_of_a_schema_goes_in():
    rng = np.random.default_rng(0)

    def table(n):
        x = rng.normal(size=n)
        return {"id": np.arange(n), "phi": rng.uniform(-3, 3, n), "x": x, "y": 2 * x}

    for schema in (None, {"id": "id", "phi": {"kind": "angle", "period": 6.5}, "y": "continuous"}):
        scores = utility(table(300), table(300), table(300), "y", schema=schema)
        assert scores.synthetic.r2.value > 0.9
    with pytest.raises(ValueError, match=r"target must name or number a column \(phi, x, y\); found 'id'"):
        utility(table(300), table(300), table(300), "id")
