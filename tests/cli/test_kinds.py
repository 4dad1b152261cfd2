"""``buff inspect`` and ``buff sample`` for models of every kind."""

import numpy as np
import pytest

import buff as library
from buff.archive.loading import KINDS
from buff.datasets import make_showers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2))


def _jets():
    particles = RNG.exponential(size=(300, 4, 3)) * [0.1, 0.1, 1.0]
    return library.JetBUFF(2, effort=0.005, jet_model=library.BUFF(noise_budget=2000), random_state=0).fit(particles)


def _showers():
    data, few = make_showers(100, "ds1-photons", random_state=0), {"n_estimators": 2}
    angle = {"angle": RNG.uniform(size=100)}
    model = library.ShowerBUFF(rings=few, angles=few, random_state=0)
    return model.fit(data.showers, data.incident_energies, condition=angle)


def _neural(kind):
    pytest.importorskip("torch")
    baselines = pytest.importorskip("buff_baselines")
    return getattr(baselines, kind)(hidden=(4,), n_iterations=2, random_state=0).fit(X)


MODELS = {
    "BUFF": lambda: library.BUFF(n_steps=2, noise_budget=2000, random_state=0).fit(X),
    "BUFFImputer": lambda: library.BUFFImputer(n_estimators=2, random_state=0).fit(np.where(X > 2, np.nan, X)),
    "BUFFTransport": lambda: library.BUFFTransport(n_steps=2, noise_budget=2000, random_state=0).fit(X, X + 1),
    "JetBUFF": _jets,
    "NeuralDiffusion": lambda: _neural("NeuralDiffusion"),
    "NeuralFlow": lambda: _neural("NeuralFlow"),
    "ShowerBUFF": _showers,
    "TreeDensity": lambda: library.TreeDensity(n_estimators=2, random_state=0).fit(X),
    "Unfolder": lambda: library.Unfolder("reweight", n_iterations=1, random_state=0).fit(X, X + 1),
    "UnfoldingResult": lambda: MODELS["Unfolder"]().unfold(0.9 * X),
}
#: What is shown of kinds that hold more or less than one table.
SHOWN = {
    "BUFFImputer": ("x1    continuous",),
    "JetBUFF": ("particles of a jet     4 at most", "radius  "),
    "NeuralFlow": ("parameters of the network",),
    "ShowerBUFF": ("ds1-photons, 5 layers, 368 voxels", "given the condition", "angle  continuous"),
    "TreeDensity": ("order of columns  x0, x1",),
    "UnfoldingResult": ("200 measured events", "Errors hold"),
}
#: What is said where the command draws no events.
REFUSED = {
    "BUFFImputer": "is a BUFFImputer, which fills missing cells",
    "BUFFTransport": "samples for rows of a source table",
    "JetBUFF": "the model learned arrays of particles",
    "ShowerBUFF": "add --showers ENERGIES",
    "Unfolder": "unfolds measured events",
    "UnfoldingResult": "holds unfolded events",
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_inspected_and_sampled_or_says_why_not(buff, tmp_path, kind):
    model, out = tmp_path / "m.buff", tmp_path / "q.csv"
    MODELS[kind]().save(model)
    result = buff("inspect", model)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{model}: {kind}, ")
    settings = () if kind == "UnfoldingResult" else ("random_state",)
    for words in (*settings, *SHOWN.get(kind, ())):
        assert words in result.stdout
    result = buff("sample", model, "-n", 3, "-o", out)
    if kind in REFUSED:
        assert result.exit_code == 1
        assert REFUSED[kind] in result.stderr
        assert len(result.stderr.splitlines()) == 1
    else:
        assert result.exit_code == 0, result.stderr
        assert len(out.read_text().splitlines()) == 4
