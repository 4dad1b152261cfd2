"""``buff fit``, ``sample`` and ``evaluate`` with ``--jets``, file to file."""

import numpy as np
import pytest

import buff as library
from buff.datasets import JetClouds, Table, read_jetnet, write_jetnet
from buff.datasets.table import Column
from tests.physics.clouds import clouds

pytest.importorskip("h5py")


def made(n, seed):
    """Jets with everything that files of JetNet hold, of two classes."""
    cloud = clouds(n, 6, seed, least=2)
    cloud[..., 2] /= cloud[..., 2].sum(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    data = {
        "jet_pt": rng.uniform(500, 600, n).astype(np.float32),
        "jet_eta": np.sort(rng.uniform(-1, 1, n)).astype(np.float32),
        "jet_mass": rng.uniform(50, 100, n).astype(np.float32),
        "multiplicity": (cloud[..., 2] > 0).sum(axis=1).astype(np.int32),
        "jet_class": np.where(np.arange(n) % 2, "q", "t"),
    }
    columns = tuple(Column(name, kind="categorical" if name == "jet_class" else "continuous") for name in data)
    masked = np.concatenate([cloud, cloud[..., 2:] > 0], axis=2).astype(np.float32)
    return JetClouds(masked, Table(columns, data))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jets")
    for name, n, seed in (("train", 250, 0), ("test", 100, 1)):
        write_jetnet(folder / f"{name}.hdf5", made(n, seed))
    return folder


def test_files_come_back(files):
    jets, again = made(100, 1), read_jetnet(files / "test.hdf5")
    assert np.array_equal(jets.particles, again.particles)
    assert set(again.jets.names) == set(jets.jets.names)
    assert all(np.array_equal(again.jets[name], jets.jets[name]) for name in jets.jets.names)
    assert len(read_jetnet(files / "test.hdf5", n=7)) == 7
    with pytest.raises(ValueError, match="jets lack jet_pt"):
        write_jetnet(files / "bad.hdf5", JetClouds(jets.particles, jets.jets.select(["jet_class"])))


def test_from_file_to_file(buff, files):
    words = ("--jets", "--steps", 2, "--effort", 0.005, "--seed", 1, "-q", "--condition", "jet_class")
    result = buff("fit", files / "train.hdf5", "-o", files / "jets.buff", *words)
    assert result.exit_code == 0, result.stderr
    assert "250 jets learned" in result.stdout
    result = buff("sample", files / "jets.buff", "-o", files / "new.hdf5", "-n", 150, "--seed", 3)
    assert result.exit_code == 0, result.stderr
    new = read_jetnet(files / "new.hdf5")
    own = library.load(files / "jets.buff").sample(150, random_state=3)
    assert np.array_equal(new.particles, own.particles)
    result = buff("sample", files / "jets.buff", "-o", files / "t.hdf5", "-n", 20, "--jets", "--given", "jet_class=t")
    assert set(read_jetnet(files / "t.hdf5").jets["jet_class"]) == {"t"}, result.stderr
    result = buff("sample", files / "jets.buff", "-o", files / "t.hdf5", "--jets", "--given", "flavour=t")
    assert "no condition 'flavour'; its conditions are ['jet_class']" in result.stderr
    given = ("--condition", files / "test.hdf5")
    result = buff("sample", files / "jets.buff", "-o", files / "matched.hdf5", "--jets", *given)
    assert result.exit_code == 0, result.stderr
    shard = ("--first-event", 30, "-n", 20, *given)
    result = buff("sample", files / "jets.buff", "-o", files / "shard.hdf5", "--jets", *shard)
    assert result.exit_code == 0, result.stderr
    of_shard, of_file = (read_jetnet(files / f"{name}.hdf5").jets for name in ("shard", "test"))
    np.testing.assert_array_equal(of_shard["jet_class"], of_file["jet_class"][30:50])
    matched, asked = (read_jetnet(files / f"{name}.hdf5").jets for name in ("matched", "test"))
    for name in ("jet_pt", "jet_mass", "multiplicity", "jet_class"):
        assert np.array_equal(matched[name], asked[name]), name
    page = files / "jets.html"
    words = ("--jets", "--report", page, "--json", files / "jets.json", "--max-rows", 80)
    result = buff("evaluate", files / "test.hdf5", files / "new.hdf5", *words)
    assert result.exit_code == 0, result.stderr
    assert "W1M x 1e3" in result.stdout
    assert library.metrics.JetReport.load(files / "jets.json")["W1M"].floor is not None
    assert page.read_text().count("<img") >= 8


def test_given_labels_are_read_as_those_of_tables(buff, files):
    """Labels of digits stay texts, commas inside of labels do not cut."""
    jets = made(250, 0)
    names = np.array(["1", "Bonn, DE"])
    table = {name: jets.jets[name] for name in ("jet_pt", "jet_eta", "jet_mass", "multiplicity")}
    table["jet_class"] = names[np.arange(250) % 2]
    columns = tuple(Column(name, kind="categorical" if name == "jet_class" else "continuous") for name in table)
    model = library.JetBUFF(2, effort=0.005, max_odds=None, given_jets=False, random_state=0)
    model.fit(JetClouds(jets.particles, Table(columns, table)), condition="jet_class").save(files / "sites.buff")
    for label in names:
        result = buff("sample", files / "sites.buff", "-o", files / "l.h5", "-n", 5, "--given", f"jet_class={label}")
        assert result.exit_code == 0, result.stderr
        assert set(read_jetnet(files / "l.h5").jets["jet_class"]) == {label}


def test_evaluating_jets_as_a_table_names_the_option(buff, files):
    result = buff("evaluate", files / "test.hdf5", files / "train.hdf5")
    assert result.exit_code == 1
    assert "test.hdf5 holds jets and is no table: add --jets (or, for showers, --showers GEOMETRY)" in result.stderr


def test_what_does_not_go_together(buff, files, folder):
    result = buff("fit", files / "train.hdf5", "-o", files / "x.buff", "--jets", "--rounds", 3)
    assert result.exit_code == 1
    assert "--rounds: for tables" in result.stderr
    result = buff("fit", files / "train.hdf5", "-o", files / "x.buff", "--jets", "--exclude", "eta")
    assert "--exclude: for tables" in result.stderr
    result = buff("fit", folder / "train.parquet", "-o", files / "x.buff", "--effort", 0.5)
    assert "--effort goes with --jets" in result.stderr
    result = buff("sample", folder / "plain.buff", "-o", files / "x.hdf5", "--jets")
    assert "fitted without --jets" in result.stderr
