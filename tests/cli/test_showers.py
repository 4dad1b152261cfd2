"""``buff fit``, ``sample`` and ``evaluate`` with ``--showers``, file to file."""

import json

import numpy as np
import pytest

from buff.datasets import load_calochallenge, make_showers, save_calochallenge
from buff.physics import Geometry, Layer

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("showers")
    for name, n, seed, energies in (("train", 400, 0, (900.0, 2100.0)), ("test", 150, 1, (1000.0, 2000.0))):
        data = make_showers(n, "ds1-photons", energies=energies, random_state=seed)
        save_calochallenge(folder / f"{name}.hdf5", data.showers, data.incident_energies)
    return folder


def test_files_have_the_layout_of_the_challenge(files):
    with h5py.File(files / "test.hdf5") as file:
        assert file["showers"].shape == (150, 368)
        assert file["showers"].dtype == np.float32
        assert file["incident_energies"].shape == (150, 1)
        assert file["showers"].compression == "gzip"
    assert len(load_calochallenge(files / "test.hdf5")) == 150


def test_from_file_to_page(buff, files):
    pytest.importorskip("matplotlib")
    result = buff("fit", files / "train.hdf5", "-o", files / "m.buff", "--showers", "ds1-photons", "--seed", 1)
    assert result.exit_code == 0, result.stderr
    assert "400 showers learned" in result.stdout
    test = files / "test.hdf5"
    for name, chunk in (("a", 1000), ("b", 40)):
        words = ("-o", files / f"{name}.hdf5", "--seed", 3, "--chunk", chunk, "--showers")
        result = buff("sample", files / "m.buff", *words, test)
        assert result.exit_code == 0, result.stderr
    a, b = (load_calochallenge(files / f"{name}.hdf5") for name in "ab")
    np.testing.assert_array_equal(a.showers, b.showers)
    words = ("--showers", "ds1-photons", "--train", files / "train.hdf5", "--json", files / "s.json", "--seed", 0)
    result = buff("evaluate", test, files / "a.hdf5", *words, "--report", files / "page.html")
    assert result.exit_code == 0, result.stderr
    scores = json.loads((files / "s.json").read_text())
    assert scores["n_floor"] == 400
    assert 0.3 < scores["values"]["auc trees high"] <= 1
    page = (files / "page.html").read_text()
    assert page.count("<img") == 3
    assert "Average showers" in page


def test_a_detector_of_ones_own_from_its_binning_file(buff, files):
    detector = Geometry("mine", (Layer(0, (0, 1, 3), 4), Layer(2, (0, 5))))
    detector.to_xml(files / "mine.xml")
    for name, seed in (("own", 0), ("own_test", 1)):
        data = make_showers(300, detector, energies=(1000.0, 2000.0), random_state=seed)
        save_calochallenge(files / f"{name}.hdf5", data.showers, np.clip(data.incident_energies, 1010, 1990))
    own, test, model, out = (files / name for name in ("own.hdf5", "own_test.hdf5", "own.buff", "own_out.hdf5"))
    commands = [
        ("fit", own, "-o", model, "--showers", files / "mine.xml", "--seed", 0),
        ("sample", model, "-o", out, "--showers", test, "--seed", 1),
        ("evaluate", test, out, "--showers", files / "mine.xml", "--seed", 0),
    ]
    for words in commands:
        result = buff(*words)
        assert result.exit_code == 0, result.stderr
    assert load_calochallenge(out, geometry=detector).showers.shape == (300, 9)
    assert "of mine" in result.stdout


def test_one_line_says_what_is_wrong(buff, files):
    cases = [
        (("fit", files / "train.hdf5", "-o", files / "x.buff", "--showers", "ds1-pions"), "geometry='ds1-photons'"),
        (("fit", files / "train.hdf5", "-o", files / "x.buff", "--showers", "ds9"), "not known"),
        (("fit", files / "train.hdf5", "-o", files / "x.buff", "--showers", "ds2", "--steps", 3), "--steps"),
    ]
    short = files / "short.hdf5"
    short.write_bytes((files / "train.hdf5").read_bytes()[:5000])
    cases.append((("fit", short, "-o", files / "x.buff", "--showers", "ds1-photons"), "cut short"))
    cases.append((("evaluate", files / "test.hdf5", files / "train.hdf5"), "add --showers GEOMETRY"))
    for words, reason in cases:
        result = buff(*words)
        assert result.exit_code == 1, words
        assert reason in result.stderr
