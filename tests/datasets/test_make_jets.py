import sys

import numpy as np
import pytest

from buff.datasets.jets import load_jets
from buff.datasets.table import Table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def make_jets():
    for package in ("pythia8mc", "fastjet", "awkward"):
        pytest.importorskip(package, reason=f"generating jets needs {package}")
    from buff.datasets import make_jets

    return make_jets


@pytest.fixture(scope="module")
def w_jets(make_jets):
    return list(make_jets.generate("w", 60, seed=1, batch=20))


def test_jets_are_as_selected(w_jets):
    particles = np.concatenate([jets.particles for jets in w_jets])
    jet_pt = np.concatenate([jets.jet_pt for jets in w_jets])
    event = np.concatenate([jets.event for jets in w_jets])
    eta, phi, pt, mask = np.moveaxis(particles, -1, 0)
    assert particles.shape == (60, 30, 4)
    assert particles.dtype == np.float32
    assert ((jet_pt > 800) & (jet_pt < 1600)).all()
    assert (np.diff(pt, axis=1) <= 0).all()
    assert ((pt > 0) == (mask == 1)).all()
    assert (particles[mask == 0] == 0).all()
    assert (pt * jet_pt[:, None])[mask == 1].min() > 0.2
    assert np.hypot(eta, phi).max() < 1
    assert (np.diff(event) >= 0).all()
    assert event.max() < 20 * len(w_jets)
    # the particles add up to the jet, but for the few that are left out
    assert 0.7 < np.sum(pt, axis=1).min() <= np.sum(pt, axis=1).max() < 1.2
    np.testing.assert_allclose((pt * phi).sum(axis=1), 0, atol=0.06)


def test_table(make_jets, w_jets):
    table = make_jets.observables_table("w", w_jets, first_event=1000)
    shipped = load_jets("w")
    assert table.columns == shipped.columns
    assert table["event"].min() >= 1000
    mass = table["mass"] * table["jet_pt"]
    assert 65 < np.median(mass) < 95


@pytest.mark.slow
def test_command_reproduces_what_ships(make_jets, tmp_path, capsys):
    import pyarrow.parquet as pq

    out = tmp_path / "jets.parquet"
    make_jets.main(["--jets", "30", "--classes", "t", "z", "--out", str(out)])
    assert "z: 30 jets" in capsys.readouterr().out
    made = Table.from_arrow(pq.read_table(out))
    for name in "tz":
        ours, shipped = made.rows(made["jet_class"] == name), load_jets(name, n=30)
        columns = [column for column in made.names if column not in ("event", "jet_class")]
        np.testing.assert_allclose(ours.to_numpy(columns), shipped.to_numpy(columns), rtol=1e-5, atol=1e-7)
    assert len(set(made["event"][made["jet_class"] == "t"]) & set(made["event"][made["jet_class"] == "z"])) == 0


def test_a_missing_generator_is_named(monkeypatch):
    from buff.datasets import make_jets

    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(ImportError, match=r"pythia8mc is not installed: pip install .*\[pythia\]"):
        next(make_jets.generate("t", 1, seed=1))
