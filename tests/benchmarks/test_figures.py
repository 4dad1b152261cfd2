from math import nan
from pathlib import Path

import pytest

from benchmarks.case import Bench
from benchmarks.cases import fewsteps, networks, solvers
from benchmarks.figures import curves, draw_costs, draw_few_steps, draw_toys, front, lines, main
from benchmarks.records import FLOOR, Machine, Measurement, Record
from buff.grids import get_grid
from buff.plotting import Quality
from buff.solvers import get_solver


def record(case, *measurements):
    return Record(case.name, "2030-01-01", {}, Machine(2, "any", "3.11", {}), case.quantities, (), (), measurements)


def few():
    """AUC 0.6, 0.62, 0.64 over the seeds for one evaluation and half as far from 0.5 for each further doubling."""
    judged = [
        Measurement(method, seed, {"auc_trees": 0.5 + (0.1 + 0.02 * seed) / nfe, "auc_mlp": nan}, "top jets")
        for method, nfe in (("buff, 10", 10), ("student by velocity, 2", 2), ("student by velocity, 1", 1))
        for seed in range(3)
    ]
    floors = [Measurement(FLOOR, 0, {"auc_trees": 0.5, "auc_mlp": 0.5}, "top jets")]
    toys = [Measurement(method, 0, {"sliced_w1": 20.0}, "moons") for method in (FLOOR, "transport pairs, 4")]
    return record(fewsteps.CASE, *judged, *floors, *toys)


def priced():
    methods = ("buff", "flow network, 1 min", "flow network, 5 min")
    values = {"auc_trees": 0.55, "auc_mlp": 0.56, "train_cpu": 20.0, "sample_cpu": 30.0}
    return record(networks.CASE, *(Measurement(m, 0, values, "top jets") for m in (FLOOR, *methods)))


def test_families_are_ordered_by_evaluations_with_mean_and_spread():
    (full,), students = lines(few(), "top jets", "auc_trees").values()
    assert (full.x, full.y) == (10, pytest.approx(0.512))
    assert [(p.x, p.y, p.y_error) for p in students] == [
        (1, pytest.approx(0.62), pytest.approx(0.02)),
        (2, pytest.approx(0.56), pytest.approx(0.01)),
    ]
    assert lines(few(), "top jets", "auc_mlp") == {}


def test_few_steps_are_drawn_above_the_floor():
    axes = draw_few_steps(few()).axes
    assert [a.get_ylabel() for a in axes] == ["AUC of boosted trees", "AUC of a perceptron"]
    assert axes[0].get_legend_handles_labels()[1] == ["real against real", "independent pairs", "student by velocity"]
    (toy,) = draw_toys(few()).axes
    assert toy.get_title() == "moons"
    assert toy.get_yscale() == "log"


def test_costs_are_drawn_for_what_was_measured():
    axes = draw_costs(priced()).axes
    assert len(axes) == 4
    assert axes[1].get_legend_handles_labels()[1] == ["real against real", "trees", "flow network"]
    assert {text.get_text() for text in axes[0].texts} == {"default", "1 min", "5 min"}


def test_front_keeps_what_nothing_cheaper_beats():
    points = [Quality("a", 4, 0.6, 0), Quality("b", 8, 0.65, 0), Quality("c", 16, 0.55, 0), Quality("d", 4, 0.7, 0)]
    assert [p.name for p in front(points)] == ["a", "c"]


def test_curves_are_means_over_the_seeds_there_are():
    cells = [("euler, 4 steps", 0, 0.7), ("euler, 4 steps", 1, 0.8), ("ab2, 8 steps", 0, 0.6)]
    made = record(solvers.CASE, *(Measurement(m, s, {"nfe": 4, "w1": v}, "trees, uniform grid") for m, s, v in cells))
    known = [("euler", pytest.approx(0.75), True), ("ab2", 0.6, False)]
    for complete, expected in ((False, known), (True, known[:1])):
        found = curves(made, "trees", "w1", complete=complete)
        assert [(p.name, p.value, p.error > 0) for p in found] == expected


def test_every_case_writes_its_figures(tmp_path, capsys):
    for made, names in ((few(), {"fewsteps.png", "fewsteps_toys.png"}), (priced(), {"networks.png"})):
        made.save(tmp_path / "record.json")
        main([str(tmp_path / "record.json"), "--out", str(tmp_path / made.case)])
        assert {path.name for path in (tmp_path / made.case).iterdir()} == names
    Record("jets", "", {}, Machine.here(), ()).save(tmp_path / "record.json")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "record.json")])
    assert "nothing to draw for the case 'jets'" in capsys.readouterr().err


def test_names_of_few_steps_end_with_evaluations():
    for method in (fewsteps.FULL, *fewsteps.PAIRED):
        n = method.options.get("n_steps", 10)
        assert method.name.endswith(f", {get_solver('ab2').nfe(get_grid('uniform', n))}")
    for student in (*fewsteps.students(Path()), *fewsteps.neural_students(Path())):
        assert student.name.endswith(f", {student.n_steps}")
    assert {student.name for student in fewsteps.students(Path())} == set(fewsteps.STUDENTS)
    assert get_solver("heun").nfe(get_grid("uniform", 10)) == int(fewsteps.NETWORK.name.rpartition(", ")[2])


def test_targets_of_few_steps_are_about_what_is_compared():
    compared = {(c.name, c.quantity) for c in fewsteps.CASE.comparisons}
    assert {(target.method, target.quantity) for target in fewsteps.CASE.targets} <= compared


def test_further_seeds_of_solvers_stay_on_the_nodes_of_sixteen_steps():
    full, part = (set(solvers.plans(Bench(Path()), first)) for first in (True, False))
    assert part < full
    nodes = get_grid("uniform", max(solvers.STEPS)).times
    for sampler, grid, n_steps in part:
        assert all(min(abs(t - node) for node in nodes) < 1e-9 for t in solvers.nodes(sampler, grid, n_steps))
