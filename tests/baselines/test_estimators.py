"""Neural generators: the surface of BUFF, closed forms, and files."""

import functools
import importlib
import sys
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

torch = pytest.importorskip("torch")

from buff_baselines import BridgeSolver, NeuralDiffusion, NeuralFlow, distill, load  # noqa: E402

from buff.errors import ArchiveError, MissingExtraError, Notice  # noqa: E402
from buff.fields import Guided  # noqa: E402
from buff.grids import TimeGrid, get_grid  # noqa: E402
from buff.paths import Path, get_path  # noqa: E402
from buff.randomness import EventNoise  # noqa: E402
from buff.schedules import Schedule  # noqa: E402
from buff.solvers import SOLVERS, integrate  # noqa: E402

RNG = np.random.default_rng(0)
C = np.array([[1.0, 0.8], [0.8, 1.5]])
X = RNG.multivariate_normal([1, -2], C, 3000)
SMALL = {"hidden": (32, 32), "n_iterations": 500, "batch_size": 256, "learning_rate": 5e-3, "random_state": 0}
PAIRED = {"n_iterations": 300, "batch_size": 128}  # transport is dear
TINY = {"hidden": (8,), "n_iterations": 3, "batch_size": 8, "n_steps": 2, "random_state": 0}
MODELS = {
    "icfm": NeuralFlow("icfm", **SMALL),
    "states": NeuralFlow(frame="none", **SMALL),
    "fm": NeuralFlow("fm", **SMALL),
    "otcfm": NeuralFlow("otcfm", **SMALL | PAIRED),
    "sbcfm": NeuralFlow("sbcfm", noise=0.5, **SMALL | PAIRED),
    "vpcfm": NeuralFlow("vpcfm", **SMALL),
    "edm": NeuralDiffusion("edm", **SMALL),
    "cosine": NeuralDiffusion("cosine", loss_weight="min_snr_v", **SMALL),
    "ddpm v": NeuralDiffusion("ddpm", predicts="v", **SMALL),
}


@functools.cache
def fitted(name):
    return clone(MODELS[name]).fit(X)


@pytest.fixture(scope="module")
def flow():
    return fitted("icfm")


@parametrize_with_checks([NeuralFlow(**TINY), NeuralDiffusion(**TINY)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", MODELS)
def test_a_gaussian_is_learned(name):
    events = fitted(name).sample(6000, n_steps=20)
    assert np.allclose(events.mean(axis=0), [1, -2], atol=0.15)
    assert np.allclose(np.cov(events.T), C, atol=0.25)


def test_the_diffusion_of_a_bridge_ends_in_the_data():
    bridge = fitted("sbcfm")
    events = bridge.sample(6000, solver="bridge", n_steps=40)
    assert np.allclose(events.mean(axis=0), [1, -2], atol=0.15)
    assert np.allclose(np.cov(events.T), C, atol=0.25)
    # paths have the noise of the bridge: from one start, they end elsewhere
    noise = EventNoise(0)
    x = np.zeros((4000, 2), np.float32)
    ends = integrate(BridgeSolver(), bridge.field_, x, get_grid("uniform", 40), None, noise)
    assert 0.2 < ends.std() < 0.8


@pytest.mark.parametrize("model", [NeuralFlow(**SMALL), NeuralDiffusion(**SMALL)], ids=["flow", "edm"])
def test_velocity_and_denoised_data_are_those_of_a_gaussian(model):
    """u = (t s^2 - (1 - t)) / n^2 x, D = t s^2 / n^2 x with n^2 = t^2 s^2 + (1 - t)^2; scores have s = 1."""
    field = clone(model).fit(RNG.normal(size=(4000, 1))).field_
    x = np.linspace(-1.5, 1.5, 7, dtype=np.float32)[:, None]
    for t in (0.2, 0.5, 0.8):
        n2 = t**2 + (1 - t) ** 2
        u = field(x, t)
        assert np.allclose(u, (2 * t - 1) / n2 * x, atol=0.25)
        assert np.allclose(field.path.at(t).denoised(x, u), t / n2 * x, atol=0.25 * (1 - t) + 1e-6)


def test_numpy_and_tensors_agree(flow):
    x = RNG.normal(size=(100, 2)).astype(np.float32)
    assert np.allclose(flow.field_(x, 0.3), flow.field_(torch.from_numpy(x), 0.3).numpy(), atol=1e-6)


@pytest.mark.parametrize("solver", ["euler", "heun", "rk4", "dpmpp_2m", "unipc3", "edm", "ddpm", "dopri5_adaptive"])
def test_any_sampler_may_be_chosen_after_the_fit(flow, solver):
    steps = 40 if SOLVERS[solver].stochastic or solver == "euler" else 16
    events = flow.sample(4000, solver=solver, n_steps=steps)
    assert np.allclose(np.cov(events.T), C, atol=0.35)


def test_an_event_depends_on_its_number_alone(flow):
    everything = flow.sample(100, random_state=7)
    assert np.allclose(flow.sample(100, random_state=7, batch_size=13), everything, atol=1e-5)
    assert np.allclose(flow.sample(10, random_state=7, first_event=90), everything[90:], atol=1e-5)


def test_labels_are_conditions_and_transport_keeps_them():
    label = RNG.choice(["a", "b"], 2000)
    table = RNG.normal(size=(2000, 1)) + np.where(label == "a", -1, 1)[:, None]
    flow = NeuralFlow("otcfm", **SMALL | PAIRED).fit(table, condition=label)
    for name, mean in (("a", -1), ("b", 1)):
        events = flow.sample(2000, condition=name)
        assert events.mean() == pytest.approx(mean, abs=0.25)
        assert events.std() == pytest.approx(1, abs=0.25)
    events, drawn = flow.sample(500, return_condition=True)
    assert (np.sign(events[:, 0]) == np.where(np.asarray(drawn) == "a", -1, 1)).mean() == pytest.approx(0.84, abs=0.07)


def test_frames_mixed_columns_and_missing_entries_come_back():
    table = pd.DataFrame(
        {"m": RNG.exponential(size=400), "n": RNG.integers(0, 4, 400), "k": RNG.choice(["x", "y"], 400)}
    )
    table.loc[::7, "m"] = np.nan
    flow = NeuralFlow(**TINY).fit(table)
    assert list(flow.feature_names_in_) == ["m", "n", "k"]
    events = flow.sample(50)
    assert list(events.columns) == ["m", "n", "k"]
    assert set(events["n"]) <= {0, 1, 2, 3}
    assert set(events["k"]) <= {"x", "y"}


def test_standardised_columns():
    flow = NeuralFlow(preprocessing="standard", **SMALL).fit(X)
    assert np.allclose(flow.sample(4000).mean(axis=0), [1, -2], atol=0.2)
    with pytest.raises(ValueError, match="'k' holds no numbers"):
        NeuralFlow(preprocessing="standard", **TINY).fit(pd.DataFrame({"k": ["a", "b"] * 5}))


@pytest.mark.parametrize(
    "model", [NeuralFlow(**TINY), NeuralDiffusion(predicts="v", **TINY)], ids=["flow", "diffusion"]
)
def test_files(model, tmp_path):
    label = np.array(["a", "b"])[np.arange(60) % 2]
    fitted = clone(model).fit(X[:60], condition=label)
    fitted.save(tmp_path / "m.buff")
    again = load(tmp_path / "m.buff")
    assert np.array_equal(again.sample(20, random_state=1), fitted.sample(20, random_state=1))
    (tmp_path / "cut.buff").write_bytes((tmp_path / "m.buff").read_bytes()[:-200])
    with pytest.raises(ArchiveError):
        load(tmp_path / "cut.buff")


def test_weights_choose_the_population():
    far = np.vstack([X[:1000], X[:1000] + 50])
    flow = NeuralFlow(**SMALL).fit(far, sample_weight=np.repeat([1.0, 0.0], 1000))
    assert flow.sample(500).max() < 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "diffusion"}, "icfm, fm, otcfm"),
        ({"network": "cnn"}, "mlp, torchcfm"),
        ({"n_iterations": 0}, "n_iterations must be at least 1"),
        ({"ema": 1.0}, "ema must lie"),
        ({"solver": "eule"}, "euler"),
        ({"preprocessing": "minmax"}, "rank, standard"),
        ({"device": "tpu"}, "'auto', 'cpu' or 'cuda'"),
        ({"hidden": (8, 0)}, "every width in hidden must be at least 1"),
        ({"max_seconds": 0}, "max_seconds must be positive"),
        ({"early_stopping": 0}, "early_stopping must be at least 1"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"method": "fm", "noise": 1.5}, r"must lie in \[0, 1\)"),
        ({"method": "sbcfm", "noise": 0}, "must be positive"),
        ({"method": "icfm", "noise": 0.5}, "noise belongs to the methods fm and sbcfm, found 0.5 with 'icfm'"),
        ({"checkpoint": "c.pt", "random_state": None}, "checkpoint needs a random_state"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        NeuralFlow(**TINY | options).fit(X[:50])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": "fast"}, "learning_rate must be a number, found 'fast'"),
        ({"ema": None}, "ema must be a number, found None"),
        ({"max_seconds": "1"}, "max_seconds must be a number"),
        ({"hidden": 8}, "hidden must be a tuple of widths or None, found 8"),
        ({"method": "fm", "noise": "a"}, "noise must be a number"),
    ],
)
def test_settings_of_another_kind(options, message):
    with pytest.raises(TypeError, match=message):
        NeuralFlow(**TINY | options).fit(X[:50])


def test_bad_rows():
    with pytest.raises(ValueError, match="condition has 3 rows, X has 50"):
        NeuralFlow(**TINY).fit(X[:50], condition=[1, 2, 3])
    with pytest.raises(ValueError, match="50 negative values"):
        NeuralFlow(**TINY).fit(X[:50], sample_weight=-np.ones(50))
    with pytest.raises(ValueError, match=r"shape \(50,\) expected, one weight a row; found \(49,\)"):
        NeuralFlow(**TINY).fit(X[:50], sample_weight=np.ones(49))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_samples": -1}, ValueError, "n_samples must be at least 0"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an integer"),
        ({"first_event": -1}, ValueError, "first_event"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"n_steps": 0}, ValueError, "n_steps"),
        ({"n_steps": 2.7}, TypeError, "n_steps must be an integer, found 2.7"),
        ({"grid": 0}, TypeError, "grid must be increasing times or a TimeGrid, .*: found 0"),
        ({"grid": TimeGrid.uniform(3), "n_steps": 5}, ValueError, "grid has 3 steps and n_steps is 5"),
        ({"condition": [1]}, ValueError, "fitted without condition"),
        ({"solver": "bridge"}, ValueError, "method='sbcfm'"),
        ({"solver": "rk5"}, ValueError, "unknown solver 'rk5'"),
    ],
)
def test_bad_requests(flow, options, error, message):
    with pytest.raises(error, match=message):
        flow.sample(**{"n_samples": 3} | options)


def test_no_events_are_a_table_too(flow):
    assert flow.sample(0).shape == (0, 2)
    conditional = NeuralFlow(**TINY).fit(X[:60], condition=np.arange(60) % 2)
    events, drawn = conditional.sample(0, return_condition=True)
    assert (len(events), len(drawn)) == (0, 0)


@pytest.mark.parametrize("method", ["progressive", "consistency", "consistency_training"])
def test_students_need_few_evaluations(flow, method):
    student = distill(flow, 1, method, n_iterations=200, batch_size=256, learning_rate=2e-3, random_state=0)
    one_step = flow.sample(4000, solver="euler", n_steps=1)
    assert np.cov(one_step.T)[0, 0] < 0.2  # the teacher's first step goes to the mean
    tolerance = 0.6 if method == "consistency_training" else 0.4  # steps between pairs stand in for a teacher's
    assert np.allclose(np.cov(student.sample(4000).T), C, atol=tolerance)


def test_students_are_asked_for_sensibly(flow):
    with pytest.raises(ValueError, match="progressive, consistency"):
        distill(flow, 2, "reflow")
    with pytest.raises(ValueError, match="power of 2"):
        distill(flow, 3)
    with pytest.raises(TypeError, match=r"n_steps must be an integer, found 2\.0"):
        distill(flow, 2.0)
    with pytest.raises(ValueError, match="n_iterations must be at least 1"):
        distill(flow, 2, n_iterations=0)
    with pytest.raises(ValueError, match=r"learning_rate must lie in \(0, 1\), found -1"):
        distill(flow, 2, learning_rate=-1)


def test_a_checkpoint_belongs_to_its_rows(tmp_path):
    model = NeuralFlow(checkpoint=tmp_path / "c.pt", **TINY).fit(X[:50])
    again = clone(model).fit(X[:50])
    assert [r.iteration for r in again.history_] == [3]
    assert np.array_equal(again.sample(5), model.sample(5))
    with pytest.raises(ValueError, match="another training"):
        clone(model).fit(X[50:100])


def test_grids_with_parameters_of_their_own(flow):
    dense = get_grid("karras", 6, rho=3.0)
    events = flow.sample(20, random_state=1, grid=dense)
    assert not np.allclose(events, flow.sample(20, random_state=1, grid="karras", n_steps=6))
    by_name, by_value = (
        flow.sample(20, random_state=1, **g)
        for g in ({"grid": "karras", "n_steps": 6}, {"grid": get_grid("karras", 6)})
    )
    assert np.array_equal(by_name, by_value)


def test_guidance_towards_a_class():
    """Guided past its class, a sample overstates it; without a field of no class the network says what it needs."""
    label = np.arange(2000) % 2
    table = RNG.normal(size=(2000, 1)) + np.where(label, 2.0, -2.0)[:, None]
    conditional = NeuralFlow(preprocessing="standard", **SMALL).fit(table, condition=label)
    free = NeuralFlow(preprocessing="standard", **SMALL).fit(table)
    c = conditional._encoder.transform(np.ones(1000, int))
    x0 = EventNoise(0)(np.empty((1000, 1), np.float32))
    fields = (conditional.field_, Guided(conditional.field_, 3.0, free.field_))
    plain, guided = (integrate("heun", field, x0, TimeGrid.uniform(20), c) for field in fields)
    assert guided.mean() > plain.mean() + 0.1
    with pytest.raises(ValueError, match="features of a condition, found 0: condition_encoder_"):
        integrate("heun", Guided(conditional.field_, 3.0), x0, TimeGrid.uniform(5), c)
    with pytest.raises(ValueError, match="guidance = 2 needs a network that knows its events without a condition too"):
        conditional.sample(5, guidance=2)


@pytest.mark.parametrize("kind", [NeuralFlow, NeuralDiffusion])
def test_guidance_of_one_network(kind, tmp_path):
    """0 ignores the condition, 1 follows it, more overstates it; densities are p^(1 - w) p_c^w."""
    label = np.arange(2000) % 2
    table = RNG.normal(size=(2000, 1)) + np.where(label, 1.0, -1.0)[:, None]
    model = kind(condition_dropout=0.2, **SMALL | {"n_iterations": 1000}).fit(table, condition=label)
    free, plain, guided = (model.sample(2000, condition=1, guidance=w, n_steps=10) for w in (0, 1, 2))
    assert abs(free.mean()) < 0.15
    assert free.std() == pytest.approx(table.std(), abs=0.15)
    assert plain.mean() == pytest.approx(1, abs=0.2)
    assert guided.mean() > plain.mean() + 0.3
    always, late = (model.sample(2000, condition=1, guidance=w, n_steps=10) for w in (lambda t: 2.0, lambda t: 1 + t))
    np.testing.assert_array_equal(always, guided)
    assert plain.mean() < late.mean() < guided.mean()
    *_, last = model.trajectory(2000, condition=1, guidance=2, n_steps=10)
    np.testing.assert_allclose(last, guided, atol=1e-5)
    model.save(tmp_path / "m.buff")
    again = load(tmp_path / "m.buff").sample(2000, condition=1, guidance=2, n_steps=10)
    np.testing.assert_array_equal(again, guided)
    x, c = np.zeros((3, 1), np.float32), model.condition_encoder_.transform(np.ones(3, int))
    np.testing.assert_allclose(Guided(model.field_, 0.0)(x, 0.5, c), model.field_(x, 0.5), atol=1e-6)
    with pytest.raises(ValueError, match="students know their condition alone"):
        distill(model)


def test_a_condition_of_another_shape_is_refused():
    label = RNG.normal(size=(50, 2))
    own = torch.nn.Linear(4, 1)

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = own

        def forward(self, x, level, condition):
            return self.layer(torch.cat([x, level, condition], 1))

    for network in ("mlp", Own()):
        hidden = {} if network == "mlp" else {"hidden": None}
        field = NeuralFlow(**TINY | {"network": network} | hidden).fit(X[:50, :1], condition=label).field_
        x = np.zeros((3, 1), np.float32)
        whole = field(x, 0.5, np.ones((3, 2)))
        np.testing.assert_array_equal(field(x, 0.5, np.ones((1, 2))), whole)  # one for all
        with pytest.raises(ValueError, match="takes 2 features of a condition, found 0: condition_encoder_.transform"):
            field(x, 0.5)
        with pytest.raises(ValueError, match="takes 2 features of a condition, found 3"):
            field(x, 0.5, np.ones((3, 3)))
        with pytest.raises(
            ValueError, match=r"the condition has shape \(2,\): 3 states need shape \(3, c\), or \(1, c\)"
        ):
            field(x, 0.5, np.ones(2))


def test_weights_with_parameters_go_to_files(tmp_path):
    weight = {"name": "soft_min_snr_poster", "k": 3.0}
    model, other = (NeuralDiffusion(loss_weight=w, **TINY).fit(X[:50]) for w in (weight, "soft_min_snr_poster"))
    assert not np.array_equal(model.sample(5), other.sample(5))
    model.save(tmp_path / "m.buff")
    again = load(tmp_path / "m.buff")
    assert again.loss_weight == weight
    assert np.array_equal(again.sample(5), model.sample(5))
    with pytest.raises(ValueError, match="soft_min_snr has no parameter 'rho'"):
        NeuralDiffusion(loss_weight={"name": "soft_min_snr", "rho": 1.0}, **TINY).fit(X[:50])


def test_trajectories_end_at_the_events(flow):
    first, *_, last = states = list(flow.trajectory(5, random_state=1))
    assert len(states) == flow.n_steps + 1
    assert np.array_equal(last, flow.sample(5, random_state=1))
    assert not np.allclose(first, last)


@pytest.mark.parametrize("kind", [NeuralFlow, NeuralDiffusion])
def test_latents_lead_back_to_the_rows(kind, flow):
    model = flow if kind is NeuralFlow else kind(**SMALL).fit(X)
    model.set_params(n_steps=20)
    z = model.encode(X[:200])
    assert z.shape == (200, 2)
    np.testing.assert_allclose(model.decode(z), X[:200], atol=0.2)


def test_weights_of_both_signs():
    weights = np.where(RNG.random(400) < 0.1, -1.0, 1.0)
    events = NeuralFlow(**TINY, negative_weights="smooth").fit(X[:400], sample_weight=weights).sample(10)
    assert np.isfinite(events).all()
    with pytest.raises(ValueError, match="negative_weights must be one of"):
        NeuralFlow(**TINY, negative_weights="drop").fit(X[:400])


class Residual(torch.nn.Module):
    """A network of a user: states and conditions by separate layers."""

    def __init__(self, d, c=0, width=32, n_outputs=None):
        super().__init__()
        self.state, self.time = torch.nn.Linear(d, width), torch.nn.Linear(1, width)
        self.given = torch.nn.Linear(c, width) if c else None
        self.out = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU())
        self.last = torch.nn.Linear(width, n_outputs or d)

    def forward(self, x, level, condition=None):
        h = self.state(x) + self.time(level)
        return self.last(self.out(h if condition is None else h + self.given(condition)))


class Unconditional(torch.nn.Linear):
    """Takes states and levels alone."""

    def __init__(self):
        super().__init__(3, 2)

    def forward(self, x, level):
        return super().forward(torch.cat([x, level], dim=1))


OWN = {k: v for k, v in SMALL.items() if k != "hidden"}


@pytest.mark.filterwarnings("ignore:after 500 iterations")  # nothing but a Gaussian is there to be learned
@pytest.mark.parametrize("kind", [NeuralFlow, NeuralDiffusion])
def test_a_network_of_ones_own(kind, tmp_path):
    network = Residual(2, width=64)
    before = [p.clone() for p in network.parameters()]
    model = kind(network=network, **OWN).fit(X)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))  # a copy was trained
    events = model.sample(6000, n_steps=20)
    assert np.allclose(events.mean(axis=0), [1, -2], atol=0.15)
    assert np.allclose(np.cov(events.T), C, atol=0.25)
    model.save(tmp_path / "own.buff")
    again = kind.load(tmp_path / "own.buff", Residual(2, width=64))
    np.testing.assert_array_equal(again.sample(50), model.sample(50))
    again.save(tmp_path / "again.buff")
    with pytest.raises(ArchiveError, match=rf"{kind.__name__}\.load\(path, network\) takes it"):
        load(tmp_path / "own.buff")
    with pytest.raises(ArchiveError, match=rf"{kind.__name__}\.load\(path, network\) takes it"):
        kind.load(tmp_path / "own.buff")
    with pytest.raises(ArchiveError, match="does not fit the network Residual"):
        kind.load(tmp_path / "own.buff", Residual(2, width=63))


def test_a_network_of_ones_own_takes_conditions():
    c = RNG.integers(0, 2, 1500)
    x = RNG.normal(3 * c - 1, 0.5)[:, None]
    model = NeuralFlow(network=Residual(1, 1), **OWN).fit(x, condition=c)
    assert abs(model.sample(2000, condition=1).mean() - 2) < 0.2
    assert abs(model.sample(2000, condition=0).mean() + 1) < 0.2


@pytest.mark.parametrize(
    ("network", "more", "message"),
    [
        (Residual(3), {}, r"must give 2 outputs .* with states of width 2, .*: it raised RuntimeError: mat1"),
        (Unconditional(), {}, r"called as network\(x, level, condition\) .*: it raised TypeError: .* takes 3"),
        (Residual(2, n_outputs=3), {}, r"Residual must give 2 outputs a row, .* found \(2, 3\)"),
        (Residual(2), {"method": "sbcfm"}, r"must give 4 outputs a row"),
        (torch.nn.Flatten(), {}, "Flatten has no parameters"),
        (Residual(2), {"hidden": (3,)}, "hidden belongs to networks by name"),
        ("resnet", {}, "unknown network 'resnet'.* or give a torch.nn.Module"),
    ],
)
def test_networks_that_do_not_fit(network, more, message):
    with pytest.raises(ValueError, match=message):
        NeuralFlow(network=network, **OWN | more).fit(X)


def test_a_class_of_networks_is_no_network():
    with pytest.raises(TypeError, match=r"found the class itself: Residual\(\.\.\.\) makes one"):
        NeuralFlow(network=Residual, **OWN).fit(X)


class Squared(Schedule):
    """alpha = t^2, sigma = 1 - t^2: a schedule of a user."""

    def alpha(self, t):
        return t**2

    def sigma(self, t):
        return 1 - t**2

    def alpha_dot(self, t):
        return 2 * t

    def sigma_dot(self, t):
        return -2 * t

    def time(self, ratio):
        return (1 + ratio) ** -0.5


@pytest.mark.parametrize("path", ["trigonometric", get_path("linear", floor=0.1), Path(Squared())])
def test_a_path_of_ones_own(path, tmp_path):
    model = NeuralFlow(path=path, **SMALL).fit(X)
    events = model.sample(6000, n_steps=20)
    assert np.allclose(np.cov(events.T), C, atol=0.25)
    known = isinstance(path, str) or not isinstance(path.schedule, Squared)
    with nullcontext() if known else pytest.warns(Notice, match="schedule Squared of path is not in the file"):
        model.save(tmp_path / "path.buff")
    for again in (load(tmp_path / "path.buff"), NeuralFlow.load(tmp_path / "path.buff")):
        np.testing.assert_array_equal(again.sample(50), model.sample(50))
    assert again.path == (path if known else None)


def test_the_trigonometric_path_is_that_of_vpcfm():
    named = NeuralFlow(frame="none", path="trigonometric", **TINY).fit(X)
    np.testing.assert_array_equal(named.sample(20), NeuralFlow("vpcfm", **TINY).fit(X).sample(20))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"path": 3}, TypeError, "path must be a name, a Schedule or a Path, found 3"),
        ({"path": "cubic"}, ValueError, "unknown schedule 'cubic'"),
        ({"path": "ve", "method": "fm"}, ValueError, "path belongs to the methods icfm and otcfm"),
        ({"grid": TimeGrid((0, 0.3, 1)), "n_steps": 4}, ValueError, "grid has 2 steps and n_steps is 4: set n_steps=2"),
    ],
)
def test_paths_and_grids_that_do_not_fit(parameters, error, message):
    with pytest.raises(error, match=message):
        NeuralFlow(**TINY | parameters).fit(X)


def test_a_grid_of_ones_own_is_kept(tmp_path):
    grid = TimeGrid((0, 0.3, 1))
    model = NeuralFlow(grid=grid, **TINY).fit(X)
    model.save(tmp_path / "grid.buff")
    again = load(tmp_path / "grid.buff")
    assert again.grid == grid
    np.testing.assert_array_equal(again.sample(20), model.sample(20, grid=grid))


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_packages_that_are_missing_are_named_with_their_extra(package, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "buff_baselines"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed: pip install .*torch\]"):
        importlib.import_module("buff_baselines")
