"""Words for numbers that are read together."""

import numpy as np
import pytest

from buff.metrics import Estimate, report
from buff.metrics.layout import copies_verdict
from buff.metrics.neighbours import Memorisation

NAN = float("nan")


@pytest.mark.parametrize(
    ("share", "error", "ratio", "copies", "expected", "grade", "words"),
    [
        (0.50, 0.006, 1.00, 0, 0.0, "good", "no closer"),
        (0.51, 0.006, 1.00, 0, 0.0, "good", "no closer"),
        (0.545, 0.006, 1.00, 0, 0.0, "good", "as trees are: no sign of copies"),
        (0.56, 0.006, NAN, 0, 0.0, "good", "as trees are: no sign of copies"),
        (0.59, 0.006, 1.00, 0, 0.0, "fair", "look for copies"),
        (0.50, 0.006, 0.50, 0, 0.0, "fair", "look for copies"),
        (0.65, 0.006, 1.00, 0, 0.0, "poor", "training rows come back"),
        (0.65, 0.100, 1.00, 0, 0.0, "good", "no closer"),
        (0.50, 0.006, 1.00, 40, 0.0, "poor", "training rows come back"),
        (0.50, 0.006, 1.00, 530, 510.0, "good", "no closer"),
        (0.50, 0.006, NAN, 400, 510.0, "good", "no closer"),
        (0.50, 0.006, NAN, 0, 510.0, "fair", "held-out rows are among those of the training"),
    ],
)
def test_copies_have_a_verdict(share, error, ratio, copies, expected, grade, words):
    verdict = copies_verdict(Memorisation(Estimate(share, error), Estimate(ratio, 0.02), copies, expected))
    assert verdict.grade == grade
    assert words in verdict.words


def test_the_verdict_stands_below_the_table_where_training_rows_were_given():
    import numpy as np

    real, generated, train = np.random.default_rng(0).normal(size=(3, 200, 2))
    settings = {"classifiers": (), "floor": False, "n_bootstrap": 5, "columns": ["a", "b"]}
    honest, copied = (report(real, rows, train=train, **settings) for rows in (generated, train))
    assert copies_verdict(honest.memorisation).words in str(honest)
    assert "\ncopies: training rows come back\n(100.0% are nearer to a training row" in str(copied)
    assert "copies: training rows come back" in copied._repr_html_()
    assert "held-out rows are among those of the training" in str(report(real, generated, train=real, **settings))
    assert "nearer to a training row" not in str(report(real, generated, **settings))


def test_latex_takes_names_literally():
    x = {"p_T^2 & 50%": np.arange(50.0), "c": np.repeat(["a", "b"], 25)}
    made = report(x, x, classifiers=(), n_bootstrap=5)
    text = made.to_latex()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"p\_T\^{}2 \& 50\% & integer" in text
    assert "±" not in text


def test_a_data_frame_of_all_numbers():
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x, y = ({"x": rng.normal(size=80), "c": rng.choice(["a", "b"], 80)} for _ in range(2))
    made = report(x, y, classifiers=("trees",), seeds=1, n_bootstrap=5)
    frame = made.to_pandas().set_index(["level", "name", "metric"])
    assert frame.loc[("table", "", "trees"), "value"] == made.scores.trees.value
    assert frame.loc[("column", "x", "wasserstein"), "floor"] == made.floor.columns[0].distance.value
    assert frame.loc[("pair", "x, c", "association"), "value"] == made.scores.pairs[0].difference.value
