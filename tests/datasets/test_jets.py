import numpy as np
import pytest
from scipy.stats import ks_2samp

from buff.datasets import INDEPENDENT_OBSERVABLES, load_jets
from buff.datasets.jets import CLASSES, JET_COLUMNS, JETS_FILE

NAMES = (
    *("mass", "sum_pt", "tau1", "tau2", "tau3", "d12", "d23", "ecf2", "ecf3", "D2", "groomed_mass", "z_g"),
    *("multiplicity", "jet_pt", "jet_class", "event"),
)


@pytest.fixture(scope="module")
def jets():
    return load_jets()


def test_what_ships(jets):
    assert JETS_FILE.stat().st_size <= 3_000_000
    assert jets.columns == JET_COLUMNS
    assert jets.names == NAMES
    assert {name: int((jets["jet_class"] == name).sum()) for name in CLASSES} == dict.fromkeys(CLASSES, 12000)
    assert all(jets[c.name].dtype == np.float32 for c in jets.columns if c.kind == "continuous")
    assert {"generator", "jets", "seeds", "units", "made_by"} <= set(jets.metadata)
    assert all(column.description for column in jets.columns)


def test_values_are_physical(jets):
    values = jets.to_numpy()
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert ((jets["jet_pt"] > 800) & (jets["jet_pt"] < 1600)).all()
    assert ((jets["multiplicity"] >= 1) & (jets["multiplicity"] <= 30)).all()
    assert jets["sum_pt"].max() < 1.3
    assert ((jets["z_g"] == 0) | ((jets["z_g"] > 0.1) & (jets["z_g"] <= 0.5))).all()
    assert (jets["groomed_mass"] <= jets["mass"] * 1.0001).all()
    assert (jets["d23"] <= jets["d12"] * 1.5).mean() > 0.999
    assert (jets["tau3"] <= jets["tau2"] * 1.5).mean() > 0.999


def test_d2_is_the_ratio(jets):
    some = jets.rows(jets["multiplicity"] > 1)
    ratio = some["ecf3"] * some["sum_pt"].astype(float) ** 3 / some["ecf2"].astype(float) ** 3
    np.testing.assert_allclose(some["D2"], ratio, rtol=2e-6)


def mass_in_gev(jets, name, column):
    chosen = jets.rows(jets["jet_class"] == name)
    return chosen[column] * chosen["jet_pt"]


@pytest.mark.parametrize(("name", "peak"), [("w", 80.4), ("z", 91.2), ("t", 80.4)])
def test_groomed_mass_peaks_at_the_boson(jets, name, peak):
    counts, edges = np.histogram(mass_in_gev(jets, name, "groomed_mass"), bins=np.arange(40, 220, 4.0))
    assert abs(edges[counts.argmax()] + 2 - peak) <= 4


def test_top_jets_hold_most_of_the_top_mass(jets):
    mass = mass_in_gev(jets, "t", "mass")
    assert (mass > 172.5).mean() < 0.05
    assert (mass > 100).mean() > 0.6


def test_events(jets):
    for name in CLASSES:
        event = jets["event"][jets["jet_class"] == name]
        assert (np.diff(event) >= 0).all()
        assert 1 < len(event) / len(np.unique(event)) <= 2
    _, first = np.unique(jets["event"], return_index=True)
    assert len({(jets["event"][i], jets["jet_class"][i]) for i in first}) == len(first)
    pairs = {(int(e), c) for e, c in zip(jets["event"], jets["jet_class"], strict=True)}
    assert len(pairs) == len(first)  # a number belongs to one class


def test_halves_agree():
    first, second = load_jets("t").split(0.5, random_state=5)
    assert not set(first["event"]) & set(second["event"])
    for name in INDEPENDENT_OBSERVABLES:
        assert ks_2samp(first[name], second[name]).pvalue > 1e-3, name


def test_choice_of_classes():
    jets = load_jets(("z", "g"), n=5)
    assert list(jets["jet_class"]) == ["z"] * 5 + ["g"] * 5
    assert set(load_jets("w", n=3)["jet_class"]) == {"w"}


@pytest.mark.parametrize("classes", ["h", (), ("t", "t"), "top"])
def test_unknown_classes_are_refused(classes):
    with pytest.raises(ValueError, match="classes are among g, q, t, w, z, each once, got"):
        load_jets(classes)


@pytest.mark.parametrize("n", [0, -1, 20000])
def test_number_is_checked(n):
    with pytest.raises(ValueError, match=f"n lies between 1 and 12000.*got {n}"):
        load_jets("t", n=n)
