"""Words for numbers that are read together."""

import numpy as np
import pytest

from buff.metrics import Estimate, report
from buff.metrics.layout import copies_verdict, numbers_in_floors
from buff.metrics.neighbours import Memorisation

NAN = float("nan")


@pytest.mark.parametrize(
    ("near", "expected_near", "share", "error", "copies", "expected", "grade", "words"),
    [
        (0.010, 0.01, 0.50, 0.006, 0, 0.0, "good", "no sign of copies"),
        # leaning to training rows alone is no sign, on whichever side of a line noise puts it
        (0.012, 0.01, 0.543, 0.005, 0, 0.0, "good", "no sign of copies"),
        (0.012, 0.01, 0.552, 0.005, 0, 0.0, "good", "no sign of copies"),
        (0.012, 0.01, 0.560, 0.005, 0, 0.0, "good", "no sign of copies"),
        (0.0135, 0.01, 0.585, 0.005, 0, 0.0, "good", "no sign of copies"),
        # beyond two errors there is a sign, if a small one
        (0.029, 0.01, 0.601, 0.010, 0, 0.0, "fair", "few copies, if any: 1.9% of the rows"),
        (0.015, 0.01, 0.585, 0.005, 0, 0.0, "fair", "few copies, if any: 0.5% of the rows"),
        (NAN, NAN, 0.56, 0.006, 0, 0.0, "good", "no sign of copies"),
        (0.040, 0.01, 0.56, 0.006, 0, 0.0, "fair", "look for copies: at least 2.6% of the rows"),
        (0.160, 0.01, 0.60, 0.006, 0, 0.0, "poor", "look for copies"),
        (0.012, 0.01, 0.80, 0.006, 0, 0.0, "fair", "most rows lean"),
        (0.012, 0.01, 0.75, 0.100, 0, 0.0, "good", "no sign of copies"),
        (0.012, 0.01, 0.50, 0.006, 40, 0.0, "poor", "training rows come back"),
        (0.530, 0.51, 0.50, 0.006, 530, 510.0, "good", "no sign of copies"),
        (0.400, 0.51, 0.50, 0.006, 400, 510.0, "good", "no sign of copies"),
        (0.000, 0.51, 0.50, 0.006, 0, 510.0, "fair", "held-out rows are among those of the training"),
    ],
)
def test_copies_have_a_verdict(near, expected_near, share, error, copies, expected, grade, words):
    uncertain = Estimate(near, 0.022 if near > 0.1 else 0.002)  # that of a thousand rows
    numbers = Estimate(share, error), Estimate(1.0, 0.02), copies, expected, uncertain, expected_near
    verdict = copies_verdict(Memorisation(*numbers))
    assert verdict.grade == grade
    assert words in verdict.words


def test_a_few_equal_rows_by_chance_hide_no_copies():
    numbers = Estimate(0.5, 0.006), Estimate(1.0, 0.02), 0, 6.0, Estimate(0.012, 0.002), 0.01
    assert copies_verdict(Memorisation(*numbers), 10_000).words.startswith("no sign of copies")
    assert "would not show" in copies_verdict(Memorisation(*numbers), 500).words


def test_few_copies_with_noise_are_told_from_none():
    rng = np.random.default_rng(3)
    real, fresh, train = rng.normal(size=(3, 4000, 4))
    settings = {"classifiers": (), "floor": False, "n_bootstrap": 2}
    for share, grade in ((0.0, "good"), (0.002, "good"), (0.03, "fair"), (0.15, "poor")):
        made, n = fresh.copy(), int(share * len(fresh))
        made[:n] = train[:n] + 1e-3 * rng.normal(size=(n, 4))
        verdict = copies_verdict(report(real, made, train=train, **settings).memorisation)
        assert verdict.grade == grade, (share, verdict.words)


def test_the_verdict_stands_below_the_table_where_training_rows_were_given():
    import numpy as np

    real, generated, train = np.random.default_rng(0).normal(size=(3, 200, 2))
    settings = {"classifiers": (), "floor": False, "n_bootstrap": 5, "columns": ["a", "b"]}
    honest, copied = (report(real, rows, train=train, **settings) for rows in (generated, train))
    assert copies_verdict(honest.memorisation).words in str(honest)
    assert "\ncopies: training rows come back\n(100.0% as near as the nearest 3.0% of held-out rows; 100.0% are" in str(
        copied
    )
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


def test_a_long_tail_decides_a_mean_and_is_named():
    rng = np.random.default_rng(0)
    real, made = ({name: rng.normal(size=400) for name in "abc"} | {"d": rng.standard_cauchy(400)} for _ in range(2))
    found = report(real, made, classifiers=(), n_bootstrap=2)
    middle, ruling = numbers_in_floors(found)
    assert ruling == "d"
    assert 0.3 < middle < 3
    assert "(d rules)" in str(found)
    assert "median of numbers" not in str(report({"a": real["a"]}, {"a": made["a"]}, classifiers=(), n_bootstrap=2))
