"""The engine from end to end: distributions, stable events, files, resumed fits, bad input."""

import json
import zipfile

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import buff
from buff import BUFF
from buff.boosters import cuda_is_available
from buff.errors import ArchiveError
from buff.training import run as training_run

SMALL = {"n_steps": 6, "noise_budget": 8_000, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1, -2], [[1, 0.7], [0.7, 2]], size=2000)
    return np.column_stack([x, rng.poisson(1, 2000), np.where(rng.random(2000) < 0.3, 0, rng.exponential(size=2000))])


@pytest.fixture(scope="module")
def gen(table):
    return BUFF(**SMALL).fit(table)


@parametrize_with_checks([BUFF(n_steps=3, n_estimators=2, noise_budget=200)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_moments_and_atoms(gen, table):
    made, n = gen.sample(4000, random_state=1), 4000
    error = np.sqrt(table.var(axis=0) * (1 / n + 1 / len(table)))
    assert (abs(made.mean(axis=0) - table.mean(axis=0)) < 5 * error).all()
    assert abs(np.corrcoef(made[:, :2].T)[0, 1] - 0.7 / np.sqrt(2)) < 0.06
    assert set(made[:, 2]) <= set(table[:, 2])
    assert abs((made[:, 3] == 0).mean() - (table[:, 3] == 0).mean()) < 5 * np.sqrt(0.21 / 2000)


def test_two_clusters_keep_their_shares():
    rng = np.random.default_rng(1)
    first = rng.random(1500) < 0.3
    x = np.where(first, -4, 4)[:, None] + rng.normal(size=(1500, 2))
    made = BUFF(**SMALL).fit(x).sample(3000, random_state=2)
    share = (made[:, 0] < 0).mean()
    assert abs(share - first.mean()) < 4 * np.sqrt(0.21 / 3000) + 0.01


@pytest.mark.parametrize("batch_size", [1, 37, 100])
def test_events_do_not_depend_on_batches(gen, batch_size):
    whole = gen.sample(100, random_state=3)
    assert (gen.sample(100, random_state=3, batch_size=batch_size) == whole).all()
    assert (gen.sample(40, random_state=3, first_event=60) == whole[60:]).all()


def test_events_and_trees_do_not_depend_on_workers(gen, table):
    other = clone(gen).set_params(n_jobs=2).fit(table)
    for mine, theirs in zip(gen._flow.models, other._flow.models, strict=True):
        assert (mine.booster is None) == (theirs.booster is None)
        assert mine.booster is None or mine.booster.to_bytes() == theirs.booster.to_bytes()
    assert (other.sample(300, random_state=4, batch_size=50) == gen.sample(300, random_state=4)).all()


def test_seeds(gen, table):
    assert (gen.sample(5) == gen.sample(5)).all()
    assert not (gen.sample(5, random_state=1) == gen.sample(5, random_state=2)).all()
    unseeded = clone(gen).set_params(random_state=None).fit(table[:100])
    assert not (unseeded.sample(5) == unseeded.sample(5)).all()


def test_default_solver_asks_every_trained_node(gen):
    asked = get_calls(gen)
    trained = {round(record.t, 9) for record in gen.nodes_ if record.rounds}
    assert trained <= asked


def get_calls(gen):
    return {round(t, 9) for t in gen._flow.solver.calls(gen._flow.grid)}


@pytest.mark.parametrize("labels", [(1, 2), ("a", "b"), (-1, 0.5), (True, False)])
def test_labels_of_any_type(labels):
    rng = np.random.default_rng(5)
    which = rng.integers(2, size=1200)
    x = (6 * which + rng.normal(size=1200))[:, None]
    gen = BUFF(**SMALL).fit(x, condition=np.array(labels)[which])
    for k, label in enumerate(labels):
        made = gen.sample(400, condition=label, random_state=6)
        assert abs(made.mean() - 6 * k) < 0.4
        assert 0.7 < made.std() < 1.3


def test_continuous_condition_moves_the_mean():
    rng = np.random.default_rng(7)
    c = rng.normal(size=3000)
    gen = BUFF(**SMALL).fit((c + 0.3 * rng.normal(size=3000))[:, None], condition=c)
    made = gen.sample(condition=np.linspace(-1, 1, 500), random_state=8)[:, 0]
    slope, _, r, _, _ = stats.linregress(np.linspace(-1, 1, 500), made)
    assert abs(slope - 1) < 0.15
    assert r > 0.8
    events, drawn = gen.sample(800, random_state=9, return_condition=True)
    assert abs(np.corrcoef(events[:, 0], drawn)[0, 1] - 1 / np.sqrt(1.09)) < 0.05


def test_conditions_that_do_not_fit(gen):
    x, c = np.random.default_rng(0).normal(size=(50, 1)), np.array(["t", "w"] * 25)
    with pytest.raises(ValueError, match="condition has 49 rows, X has 50"):
        BUFF(**SMALL).fit(x, condition=c[:49])
    conditional = BUFF(**SMALL).fit(x, condition=c)
    with pytest.raises(ValueError, match="'q'"):
        conditional.sample(condition="q")
    with pytest.raises(ValueError, match="condition has 3 rows and n_samples is 5"):
        conditional.sample(5, condition=["t", "w", "t"])
    with pytest.raises(ValueError, match="fitted without condition"):
        gen.sample(condition="t")


def test_weights_count_like_rows():
    rng = np.random.default_rng(10)
    x = rng.normal(size=(3000, 1))
    made = BUFF(**SMALL).fit(x, sample_weight=np.exp(x[:, 0])).sample(4000, random_state=11)
    assert abs(made.mean() - 1) < 0.12  # exp(x) N(x; 0, 1) is N(1, 1), up to its norm
    assert abs(made.std() - 1) < 0.12


def test_weights_that_do_not_fit(table):
    with pytest.raises(ValueError, match="1 negative values.*smooth"):
        BUFF(**SMALL).fit(table, sample_weight=np.r_[-1, np.ones(1999)])
    with pytest.raises(ValueError, match="NaN"):
        BUFF(**SMALL).fit(table, sample_weight=np.r_[np.nan, np.ones(1999)])


def test_rows_without_weight_leave_no_trace():
    x = np.r_[np.zeros((20, 1)), np.random.default_rng(0).normal(5, 1, size=(200, 1))]
    made = BUFF(**SMALL).fit(x, sample_weight=np.r_[np.zeros(20), np.ones(200)]).sample(500)
    assert made.min() >= x[20:].min()


def test_save_and_load(gen, tmp_path):
    gen.save(tmp_path / "m.buff")
    again = buff.load(tmp_path / "m.buff")
    assert (again.sample(50, random_state=1) == gen.sample(50, random_state=1)).all()
    assert repr(again.nodes_) == repr(gen.nodes_)
    with zipfile.ZipFile(tmp_path / "m.buff") as file:
        names = file.namelist()
        assert not any(b"pickle" in file.read(name)[:100] for name in names)
        assert all(name == "manifest.json" or name.endswith((".npy", ".ubj")) for name in names)


def test_file_holds_no_training_row(tmp_path):
    x = np.random.default_rng(0).normal(size=(400, 2))
    x[7] = planted = [0.123456789012345, -0.987654321098765]
    BUFF(**SMALL).fit(x).save(tmp_path / "m.buff")
    with zipfile.ZipFile(tmp_path / "m.buff") as file:
        content = b"".join(file.read(name) for name in file.namelist())
    for value in planted:
        assert np.float64(value).tobytes() not in content
        assert repr(value).encode() not in content


def test_files_that_are_no_models(gen, tmp_path):
    path = tmp_path / "m.buff"
    gen.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="cut short"):
        buff.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("manifest.json", json.dumps({"format": 99, "buff": "9.9", "kind": "BUFF", "record": {}}))
    with pytest.raises(ArchiveError, match="format 99 of buff 9.9"):
        buff.load(path)
    with pytest.raises(FileNotFoundError):
        buff.load(tmp_path / "nothing.buff")


def test_killed_fit_resumes_with_the_missing_nodes(table, tmp_path, monkeypatch):
    made, kept = [], training_run.fit_node

    def dies_at_the_third(*task):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(task[2])
        return kept(*task)

    settings = SMALL | {"cache_dir": tmp_path}
    monkeypatch.setattr(training_run, "fit_node", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        BUFF(**settings).fit(table)
    first, made[:] = list(made), []
    monkeypatch.setattr(training_run, "fit_node", lambda *task: made.append(task[2]) or kept(*task))
    resumed = BUFF(**settings).fit(table)
    trained_before = [t for t in first if t > 0]
    assert not set(trained_before) & set(made)
    fresh = BUFF(**SMALL).fit(table)
    assert (resumed.sample(50, random_state=1) == fresh.sample(50, random_state=1)).all()
    made.clear()
    BUFF(**settings | {"max_depth": 3}).fit(table)
    assert len(made) == len(resumed.nodes_)


def test_plan_announces_and_refuses(table):
    gen = BUFF(**SMALL)
    plan = gen.plan(table)
    assert (plan.n_rows, plan.n_draws) == (2000, 4)
    assert plan.cpu_seconds > 0
    assert not hasattr(gen, "nodes_")
    with pytest.raises(MemoryError, match="noise_budget"):
        BUFF(**SMALL, max_memory=10**6).fit(table)


@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
def test_layouts_learn_the_same(table, layout):
    made = BUFF(**SMALL, layout=layout).fit(table).sample(2000, random_state=1)
    assert abs(np.corrcoef(made[:, :2].T)[0, 1] - 0.7 / np.sqrt(2)) < 0.08


def test_early_stopping_keeps_the_best_rounds(table):
    gen = BUFF(**SMALL | {"n_estimators": 60, "early_stopping": 2}).fit(table)
    rounds = [record.rounds for record in gen.nodes_ if record.rounds]
    assert min(rounds) < 60
    assert all(m.booster.rounds == r.rounds for m, r in zip(gen._flow.models, gen.nodes_, strict=True) if m.booster)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"layout": "forest"}, "layout must be one of"),
        ({"device": "tpu"}, "device must be"),
        ({"solver": "heum"}, "unknown solver 'heum'"),
        ({"grid": "squares"}, "squares"),
    ],
)
def test_bad_parameters(table, change, message):
    with pytest.raises(ValueError, match=message):
        BUFF(**SMALL | change).fit(table)


def test_bad_tables():
    for x, message in [
        (np.empty((0, 2)), "0 sample"),
        (np.ones((1, 2)), "1 sample"),
        (np.array([[1.0, np.inf], [2, 3]]), "column 'x1' contains infinity"),
    ]:
        with pytest.raises(ValueError, match=message):
            BUFF(**SMALL).fit(x)


def test_columns_that_say_nothing():
    x = np.column_stack([np.full(60, 3.0), np.full(60, np.nan)])
    made = BUFF(**SMALL).fit(x).sample(4)
    assert (made[:, 0] == 3).all()
    assert np.isnan(made[:, 1]).all()


def test_huge_values_and_read_only_input():
    x = np.random.default_rng(0).uniform(-1, 1, size=(100, 2)) * [1.7e308, 1]
    x.flags.writeable = False
    assert np.isfinite(BUFF(**SMALL).fit(x).sample(50)).all()


def test_no_events(gen):
    assert gen.sample(0).shape == (0, 4)
    with pytest.raises(ValueError, match="n_samples must be at least 0"):
        gen.sample(-1)


def test_parameters_are_left_alone(table):
    given = {"min_child_weight": 5}
    BUFF(**SMALL, tree_params=given).fit(table)
    assert given == {"min_child_weight": 5}


def test_trajectory_ends_at_the_sample(gen):
    *_, last = gen.trajectory(20, random_state=5)
    assert (last == gen.sample(20, random_state=5)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not cuda_is_available(), reason="needs XGBoost with CUDA, CuPy and a GPU")
def test_gpu_and_cpu_agree(table, tmp_path):
    on_gpu = BUFF(**SMALL, device="cuda").fit(table)
    on_gpu.save(tmp_path / "m.buff")
    on_cpu = buff.load(tmp_path / "m.buff")
    here = on_gpu.sample(500, random_state=1)
    on_cpu._set_flow(on_cpu._flow.base, on_cpu._flow.times, [m.booster for m in on_cpu._flow.models], "cpu")
    assert np.mean(np.isclose(on_cpu.sample(500, random_state=1), here, rtol=1e-3, atol=1e-3)) > 0.99
