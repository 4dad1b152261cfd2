from math import nan

import pytest

from benchmarks.compare import compare
from benchmarks.records import FLOOR, Comparison, Machine, Measurement, Quantity, Record, Target
from benchmarks.tables import summary


def record(scale=1.0):
    measurements = []
    for seed in range(3):
        measurements += [
            Measurement(FLOOR, seed, {"w1": 2.0, "auc": 0.5}),
            Measurement("ours", seed, {"w1": scale * (3.0 + seed), "auc": 0.52, "seconds": 10.0}),
            Measurement("theirs", seed, {"w1": 8.0, "auc": nan, "seconds": 40.0 + 20 * seed}),
        ]
    return Record(
        "demo",
        "2030-01-01",
        {},
        Machine(2, "any", "3.11", {"numpy": "2"}),
        (Quantity("w1", "W1", "GeV", 2), Quantity("auc", "AUC"), Quantity("seconds", "training", "s", 1)),
        (Comparison("ours", "theirs", "seconds"), Comparison("ours", FLOOR, "auc", "difference")),
        (Target("ours", "auc", 0.51), Target("ours / theirs", "seconds", 0.2)),
        tuple(measurements),
    )


def figure(record, method, quantity):
    return next(f for f in record.figures() if (f.method, f.quantity) == (method, quantity))


def test_figures_have_mean_spread_and_the_floor_beside_them():
    ours = figure(record(), "ours", "w1")
    assert (ours.mean, ours.spread, ours.floor) == (4.0, 1.0, 2.0)
    assert figure(record(), FLOOR, "w1").floor is None


def test_ratios_and_differences_are_taken_seed_by_seed():
    assert figure(record(), "ours / theirs", "seconds").values == (10 / 40, 10 / 60, 10 / 80)
    assert figure(record(), f"ours - {FLOOR}", "auc").mean == pytest.approx(0.02)


def test_targets_are_judged_on_the_mean():
    assert [verdict.met for verdict in record().verdicts()] == [False, True]


def test_a_saved_record_is_the_same_when_loaded(tmp_path):
    record().save(tmp_path / "deep" / "demo.json")
    assert Record.load(tmp_path / "deep" / "demo.json").figures() == record().figures()


def test_summary_shows_every_method_and_what_is_missing():
    lines = summary(record(), markdown=True).splitlines()
    theirs = next(line for line in lines if line.startswith("| theirs"))
    assert [cell.strip() for cell in theirs.split("|")[2:-1]] == ["8.00 ± 0.00", "-", "60.0 ± 20.0"]
    assert any("ours / theirs: training" in line and "yes" in line for line in lines)


def test_compare_divides_the_second_by_the_first():
    line = next(line for line in compare(record(), record(0.5)).splitlines() if line.startswith("ours, W1"))
    assert line.split()[-1] == "0.500"


def test_compare_refuses_another_case():
    other = Record("other", "", {}, Machine.here(), ())
    with pytest.raises(ValueError, match="'demo' and 'other'"):
        compare(record(), other)


def test_parts_of_a_record_are_measured_anew(tmp_path):
    from benchmarks.case import Bench, Case
    from benchmarks.records import Measurement, Quantity
    from benchmarks.run import run

    def measure(bench):
        for seed in bench.seeds:
            for name in filter(bench.wants, ("buff", "copula")):
                yield Measurement(name, seed, {"x": float(seed)})

    case = Case("made", "numbers", (Quantity("x", "x"),), measure)
    old = tuple(Measurement(name, 0, {"x": -1.0}) for name in ("buff", "copula"))
    base = Record("made", "yesterday", {"base": ["before"]}, Machine.here(), (), measurements=old)
    record = run(case, Bench(tmp_path, (0, 1), only=("buff",)), tmp_path / "out.json", [base])
    found = {(m.method, m.seed): m.values["x"] for m in record.measurements}
    assert found == {("buff", 0): 0.0, ("buff", 1): 1.0, ("copula", 0): -1.0}
    assert record.settings["base"] == ["before", "yesterday"]
    run(case, Bench(tmp_path, ()), tmp_path / "joined.json", [base, record])
    assert Record.load(tmp_path / "joined.json").measurements == record.measurements
    assert len(run(case, Bench(tmp_path, (0,)), tmp_path / "all.json").measurements) == 2
