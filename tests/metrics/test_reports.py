import json
import re

import numpy as np
import pytest

from buff import BUFF
from buff.errors import ArchiveError
from buff.metrics import Report, correlation_distance, principal_axes, report, utility, wasserstein
from buff.metrics.columns import read_tables
from buff.metrics.floor import floor_scores
from buff.metrics.scores import JUDGES, MEASURES, Scoring, WeightedTable


def jets(n, seed, width=1.0):
    rng = np.random.default_rng(seed)
    x = rng.multivariate_normal(np.zeros(3), 0.5 + 0.5 * np.eye(3), size=n)
    x[:, 0] *= width
    return x


def mixed(n, seed, share=0.5):
    rng = np.random.default_rng(seed)
    pt = rng.exponential(size=n)
    pt[rng.random(n) < 0.1] = np.nan
    return {"pt": pt, "tag": rng.choice(["b", "light"], p=[share, 1 - share], size=n)}


@pytest.fixture(scope="module")
def full():
    names = ["m", "pt", "eta"]
    return report(jets(600, 0), jets(600, 1, width=1.3), train=jets(900, 2), columns=names, seeds=1)


def test_scores_are_those_of_the_single_metrics(full):
    x, y = jets(600, 0), jets(600, 1, width=1.3)
    assert full.scores.wasserstein.value == pytest.approx(wasserstein(x, y).value)
    assert full.scores.correlation.value == pytest.approx(correlation_distance(x, y).value)
    assert [column.name for column in full.scores.columns] == ["m", "pt", "eta"]


def test_floor_is_below_a_wrong_model_and_equal_to_a_right_one(full):
    wrong, floor = full.scores.columns[0], full.floor.columns[0]
    assert wrong.distance.value > 2 * floor.distance.value
    assert full.scores.trees.value > full.floor.trees.value
    names = ["m", "pt", "eta"]
    right = report(jets(600, 0), jets(600, 3), columns=names, classifiers=(), floor=full)
    assert right.floor is full.floor
    with pytest.raises(ValueError, match="floor: a report of the same columns expected; eta, m, pt, x0"):
        report(jets(600, 0), jets(600, 3), classifiers=(), floor=full)
    assert right.scores.wasserstein.value == pytest.approx(full.floor.wasserstein.value, rel=0.6)


def test_memorisation_is_checked_where_training_rows_are_given(full):
    assert full.memorisation.share_closer.value == pytest.approx(0.5, abs=0.1)
    train = jets(600, 2)
    copied = report(jets(600, 0), train, train=train, classifiers=(), floor=False)
    assert copied.memorisation.copies == 600
    assert report(jets(50, 0), train, classifiers=(), floor=False).memorisation is None


def test_text_is_aligned_and_complete(full):
    text = str(full)
    size, whole, verdict, columns = text.split("\n\n")
    assert size == "600 generated against 600 real rows"
    assert verdict.startswith("no sign of copies")
    for block in (whole, columns):
        head, rule, *rows = block.split("\n")
        assert set(rule) == {"-"}
        assert all(len(row) <= len(rule) for row in rows)
        # the floors end in one column
        found = [list(re.finditer(r"± \S+", row)) for row in rows if row.count("±") > 1][:3]
        ends = {matches[1].end() for matches in found}
        assert len(ends) == 1, block
        assert head.index("floor") < max(ends)
    assert re.search(r"AUC, MLP +0\.\d+ ± 0\.\d+ .* p 0\.\d+", text)


def test_html_holds_every_cell_and_escapes(full):
    html = full._repr_html_()
    measured = [name for name in (*MEASURES, *JUDGES) if getattr(full.scores, name) is not None]
    # the median in floors, what is measured, four lines on training rows; three columns; two heads
    assert html.count("<tr>") == 1 + len(measured) + 4 + 3 + 2
    assert str(full.scores.wasserstein) in html
    named = report(jets(20, 0), jets(20, 1), columns=["<m>", "a&b", "c"], classifiers=(), floor=False)
    assert "&lt;m&gt;" in named._repr_html_()
    assert "<m>" not in named._repr_html_()


def test_saved_report_comes_back(full, tmp_path):
    full.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == full
    part = report(mixed(80, 0), mixed(80, 1), classifiers=(), floor=False)
    part.save(tmp_path / "part.json")
    loaded = Report.load(tmp_path / "part.json")
    # nan differs from itself
    assert repr(loaded) == repr(part)
    record = json.loads((tmp_path / "part.json").read_text())
    assert record["scores"]["columns"][1]["separation"]["value"] is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '"text"', '{"format": "buff report 9"}', '{"format": "buff report 1"}'],
)
def test_files_that_are_no_report(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(ArchiveError, match=r"report\.json is not a buff report"):
        Report.load(path)


def test_mixed_tables():
    wrong = mixed(500, 1, share=0.8)
    result = report(mixed(500, 0), wrong, train=mixed(500, 2), seeds=1, classifiers=["trees"])
    assert [(column.name, column.kind) for column in result.scores.columns] == [
        ("pt", "continuous"),
        ("pt", "missing"),
        ("tag", "categorical"),
    ]
    pt, missing, tag = result.scores.columns
    assert tag.distance.value == pytest.approx(0.3, abs=0.1)
    assert missing.distance.value < 0.05
    assert np.isnan(tag.separation.value)
    assert pt.separation.value < 0.1
    assert result.scores.trees.value == pytest.approx(0.65, abs=0.06)
    assert result.scores.mlp is None
    assert len(result.floor.columns) == 3
    assert result.scores.variation.value == pytest.approx((tag.distance.value + missing.distance.value) / 2)


def test_a_column_missing_on_one_side_is_no_error():
    real = {"a": np.arange(9.0), "b": np.arange(9.0)}
    generated = real | {"b": np.full(9, np.nan)}
    scores = report(real, generated, classifiers=(), floor=False).scores
    assert np.isnan(scores.columns[1].distance.value)
    assert scores.columns[2].distance.value == 1.0
    assert scores.wasserstein.value == 0.0


def test_values_all_outside_are_fully_separated():
    scores = report(np.arange(9.0), np.arange(9.0) + 100, classifiers=(), floor=False).scores
    assert (scores.columns[0].separation.value, scores.columns[0].outside) == (1.0, 1.0)
    assert scores.correlation is None


def test_weights_reach_every_score():
    # half of the generated rows are wrong, and have no weight
    x, y = jets(300, 0), np.concatenate([jets(300, 1), jets(300, 2) + 5])
    weights = np.repeat([1.0, 0.0], 300)
    weighted = report(x, y, generated_weights=weights, seeds=1, floor=False, classifiers=["trees"]).scores
    plain = report(x, y[:300], seeds=1, floor=False, classifiers=["trees"]).scores
    for name in ("wasserstein", "sliced", "correlation"):
        assert getattr(weighted, name).value == pytest.approx(getattr(plain, name).value)
    assert weighted.columns[0].separation.value == pytest.approx(plain.columns[0].separation.value)
    assert weighted.trees.value == pytest.approx(0.5, abs=5 * weighted.trees.error)


def test_few_signed_weights_leave_the_classifiers_out():
    w = np.where(np.arange(60) % 3 == 0, -1.0, 1.0)
    result = report(jets(60, 0), jets(60, 1), real_weights=w)
    assert result.scores.trees is None
    assert result.floor.wasserstein.value > 0


def test_signed_weights_reach_every_score():
    # rows of a wrong kind, half of them with weight 1 and half with weight -1, are not there
    x, wrong = jets(400, 0), jets(200, 2) + 5
    y, w = np.concatenate([jets(400, 1), wrong, wrong]), np.repeat([1.0, 1.0, -1.0], [400, 200, 200])
    signed = report(x, y, generated_weights=w, floor=False, classifiers=()).scores
    plain = report(x, y[:400], floor=False, classifiers=()).scores
    for name in ("wasserstein", "sliced", "correlation"):
        assert getattr(signed, name).value == pytest.approx(getattr(plain, name).value)
    assert signed.columns[0].separation.value == pytest.approx(plain.columns[0].separation.value)
    apart = np.concatenate([jets(400, 1), wrong, jets(200, 3) + 5])
    test = report(x, apart, generated_weights=w, seeds=1, floor=False, classifiers=["trees"]).scores.trees
    assert test.value == pytest.approx(0.5, abs=4 * test.error)


def test_floor_from_halves_is_scaled_to_the_sizes_compared():
    rng = np.random.default_rng(5)
    scoring = Scoring((), 1, 10_000, 0, directions=0)

    def floor(n_pool, n):
        columns = WeightedTable(*_read(jets(n_pool, 6)))
        return floor_scores(columns, n, n, scoring, rng, n_repeats=10).wasserstein.value

    assert floor(1000, 1000) == pytest.approx(floor(4000, 1000), rel=0.25)


def _read(x):
    return read_tables({"real": x})[0], np.ones(len(x))


def test_one_seed_one_report():
    first, again, other = (report(jets(80, 0), jets(80, 1), classifiers=(), random_state=seed) for seed in (1, 1, 2))
    assert str(first) == str(again)
    assert str(first) != str(other)
    assert first.scores.wasserstein.value == other.scores.wasserstein.value


def test_unknown_classifier():
    with pytest.raises(
        ValueError, match="classifiers must be among trees, mlp, trees_principal, mlp_principal; found 'svm'"
    ):
        report(jets(20, 0), jets(20, 1), classifiers=["svm"])


def test_principal_axes_show_what_narrow_directions_hide():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    tied, loose = (np.column_stack([x, x.sum(axis=1) + width * rng.normal(size=2000)]) for width in (0.05, 0.15))
    found = report(tied, loose, classifiers=["trees", "trees_principal"], seeds=1, floor=False, n_bootstrap=0).scores
    assert found.trees.value + 0.03 < found.trees_principal.value
    assert found.mlp_principal is None
    assert "AUC, boosted trees, principal axes" in str(report(x, x, classifiers=["trees_principal"], floor=False))


def test_principal_axes_are_white_and_leave_constants_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) @ [[1, 0.9], [0, 0.1]]
    x = np.column_stack([x, x[:, 0], np.ones(500)])
    z, other = principal_axes(x, x[:10])
    assert z.shape == (500, 2)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(other, z[:10])


def with_ids(n, seed, start=1):
    rng = np.random.default_rng(seed)
    names = np.array([f"{rng.integers(2**60):015x}" for _ in range(n)], object)
    return {"row": np.arange(start, start + n), "name": names, "x": rng.normal(size=n), "y": rng.normal(size=n)}


@pytest.mark.parametrize("shuffled", [False, True])
def test_ids_hide_no_copies(shuffled):
    train, real = with_ids(1500, 0), with_ids(1500, 1, 1501)
    order = np.random.default_rng(5).permutation(1500) if shuffled else np.arange(1500)
    train = {name: values[order] for name, values in train.items()}
    copies = train | {"row": np.arange(5000, 6500), "name": with_ids(1500, 3)["name"]}
    found = report(real, copies, train=train, classifiers=(), floor=False)
    assert (found.memorisation.copies, found.memorisation.share_closer.value) == (1500, 1.0)
    assert [column.name for column in found.scores.columns] == ["x", "y"]
    assert set(found.left_out) == {"row", "name"}
    text = str(found)
    assert "not compared: 'row' rises in every one of" in text
    assert "'name' has 1500 different texts in 1500 rows and is taken for an id" in text
    assert "not compared" in found._repr_html_()
    again = Report.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.left_out == found.left_out
    kept = report(real, copies, schema={"row": "integer", "name": "drop"}, classifiers=(), floor=False)
    assert [column.name for column in kept.scores.columns] == ["row", "x", "y"]
    assert kept.left_out == {"name": "is dropped"}


def test_columns_of_few_rows_are_no_ids_where_more_rows_repeat_them():
    rng = np.random.default_rng(0)
    real, made = ({"zip": rng.integers(0, 400, n).astype(str).astype(object)} for n in (5000, 60))
    assert not report(real | {"x": np.zeros(5000)}, made | {"x": np.zeros(60)}, classifiers=(), floor=False).left_out


def test_every_kind_of_a_schema_goes_in():
    rng = np.random.default_rng(0)

    def table(n, turn=0.0):
        phi = (rng.normal(3.1 + turn, 0.3, n) + np.pi) % (2 * np.pi) - np.pi
        return {"id": rng.permutation(n), "phi": phi, "lat": rng.normal(size=n), "lon": rng.normal(size=n)} | {
            "day": rng.integers(0, 1000, n).astype("M8[D]"),
            "junk": rng.normal(size=n),
        }

    schema = {"id": "id", "phi": "angle", "junk": "drop", "lon": {"kind": "coordinate", "beside": "lat"}}
    found = report(table(2000), table(2000), train=table(2000), schema=schema, classifiers=(), n_bootstrap=2)
    assert [column.kind for column in found.scores.columns] == ["angle", "continuous", "continuous", "datetime"]
    assert found.left_out == {"id": "is an id", "junk": "is dropped"}
    turned = report(table(2000), table(2000, turn=0.1), schema=schema, classifiers=(), floor=False)
    # in standard deviations of the angle on its circle, and not of one that jumps at pi
    assert turned.scores.columns[0].distance.value == pytest.approx(0.33, abs=0.08)


def test_the_schema_of_a_model_goes_in_as_it_is():
    rng = np.random.default_rng(0)
    n = 400
    real = {"id": [f"K{i:05d}" for i in rng.permutation(n)], "phi": rng.uniform(-3, 3, n), "x": rng.normal(size=n)}
    real |= {"junk": rng.normal(size=n), "one": np.ones(n)}
    schema = {"id": "id", "phi": {"kind": "angle", "period": 7.0}, "junk": "drop"}
    gen = BUFF(schema=schema, n_steps=3, n_estimators=3, noise_budget=2000, n_jobs=1, random_state=0).fit(real)
    made = gen.sample(n)
    for known in (gen.schema_, schema):
        found = report(real, made, train=real, schema=known, classifiers=(), n_bootstrap=2)
        assert [column.name for column in found.scores.columns] == ["phi", "x", "one"]
        assert set(found.left_out) == {"id", "junk"}
    assert utility(real, made, real, "x", schema=gen.schema_).synthetic.r2 is not None
    with pytest.raises(ValueError, match="differ in columns: junk"):
        report(real, made, classifiers=())
