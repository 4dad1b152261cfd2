"""JetBUFF refuses what cannot be meant, naming it, and takes what can be."""

import numpy as np
import pyarrow as pa
import pytest

from tests.generators.jet_models import N, quick
from tests.physics.clouds import clouds


def test_padding_may_hold_anything(particles):
    padding = particles[..., 2:] == 0
    assert np.array_equal(
        quick().fit(particles).sample(5), quick().fit(np.where(padding, [9.0, np.nan, 0], particles)).sample(5)
    )
    masked = np.concatenate([particles, ~padding], axis=2)
    assert np.array_equal(quick().fit(particles).sample(5), quick().fit(masked).sample(5)[..., :3])


@pytest.mark.filterwarnings("ignore:condition")
def test_masses_that_no_jet_can_have(classed, jets):
    given = {"jet_pt": [550.0, 550.0], "mass": [1e8, 100.0], "multiplicity": [1, 4]}
    cloud, table = classed.sample(jets=given, condition="t")
    assert np.isfinite(cloud).all()
    assert table["mass"].to_pylist() == pytest.approx([0.0, 100.0], abs=1e-3)
    far = classed.sample(jets=given | {"multiplicity": [4, 4]}, condition="t")[0]
    assert np.isfinite(far).all()


def test_few_and_equal_jets(particles):
    assert np.isfinite(quick().fit(particles[:2]).sample(5)).all()
    same = np.repeat(particles[:1], 20, axis=0)
    assert np.allclose(quick().fit(same).sample(5), same[:5], atol=0.05)


def spoilt(change):
    cloud = clouds(20, 4, seed=2, least=4)
    change(cloud)
    return cloud


def put(index, value):
    return lambda cloud: cloud.__setitem__(index, value)


BAD = [
    (spoilt(put((3, 1, 0), np.nan)), "1 are not finite, the first is particle 1 of jet 3"),
    (spoilt(put((1, 2, 2), np.inf)), "1 are not finite, the first is particle 2 of jet 1"),
    (spoilt(put((2, 0, 2), -1.0)), "of negative pT, the first is particle 0 of jet 2"),
    (spoilt(put((5, slice(None)), 0.0)), "1 jets have none, the first is jet 5"),
    (np.zeros((5, 4)), "shape"),
    (np.zeros((5, 4, 5)), r"found \(5, 4, 5\)"),
    (np.zeros((0, 4, 3)), "no jets"),
    (np.concatenate([clouds(9, 4), np.ones((9, 4, 1))], axis=2), "unmasked but without pT"),
    (np.concatenate([clouds(9, 4), np.zeros((9, 4, 1))], axis=2), "masked as padding"),
    (clouds(1, 4), "2 jets are the least"),
    (np.concatenate([clouds(9, 4), np.full((9, 4, 1), np.nan)], axis=2), "masked as padding"),
    (
        spoilt(put((4, 1, 1), 2 * np.pi)),
        "1 are farther than 3.14 in phi from their jet, the first is particle 1 of jet 4",
    ),
    (spoilt(put((4, 1, 0), -1e6)), "1 are farther than 10 in eta from their jet"),
    (clouds(9, 4) * [1, 1, 1e200], r"the pT of jet 0 sums to .*e\+199, and must lie between"),
    (clouds(9, 4) * [1, 1, 1e-200], "choose another unit"),
    ([[[0, 0, 1.0]], [[0, 0, 1.0], [0, 0.1, 1.0]]], "jets of different lengths are padded"),
]


@pytest.mark.parametrize(("cloud", "message"), BAD)
def test_bad_particles(cloud, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(cloud)


def test_bad_calls(particles, jets, classed, plain):
    with pytest.raises(TypeError, match="numbers"):
        quick().fit(np.full((3, 2, 3), "a"))
    with pytest.raises(ValueError, match="jets has 299 rows and particles has 300"):
        quick().fit(particles, jets.slice(1))
    wrong = jets.set_column(2, "multiplicity", pa.array(np.full(N, 3)))
    with pytest.raises(ValueError, match="jets contradict particles: multiplicity of jet"):
        quick().fit(particles, wrong)
    with pytest.raises(ValueError, match="condition names the columns"):
        quick().fit(particles, jets, condition="flavour")
    with pytest.raises(ValueError, match="condition has 5 rows"):
        quick().fit(particles, condition=np.arange(5))
    with pytest.raises(ValueError, match="radius=0.01: "):
        quick(radius=0.01).fit(particles)
    with pytest.raises(ValueError, match="unknown kinds \\['baby'\\]"):
        quick(stages={"baby": {}}).fit(particles)
    for changes, message in (
        ({"effort": -1}, "effort must lie"),
        ({"effort": True}, "effort must be a number"),
        ({"max_particles": 0}, "max_particles must be at least 1"),
        ({"max_particles": 2.5}, "max_particles must be an integer"),
        ({"radius": np.inf}, "radius must lie in"),
        ({"exponent": np.nan}, "exponent must lie in"),
        ({"stages": {"kids": {"trees": 3}}}, r"stages\['kids'\] has the unknown settings \['trees'\]"),
        ({"stages": {"kids": 3}}, r"stages\['kids'\] must be a mapping"),
        ({"stages": {"kids": {"n_estimators": -1}}}, r"n_estimators of stages\['kids'\] must be at least 0"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            quick(**changes).fit(particles)
    for pt, message in ((0.0, "jet_pt of jet 7 is 0.0, and must be positive"), (np.nan, "jet_pt of jet 7 is nan")):
        with pytest.raises(ValueError, match=message):
            quick().fit(particles, {"jet_pt": np.where(np.arange(N) == 7, pt, 500.0)})
    given = {name: jets[name][:2].to_pylist() for name in ("jet_pt", "mass", "multiplicity")}
    for change, message in (
        ({"mass": [np.inf, 1.0]}, "column 'mass' contains infinity"),
        ({"mass": [1.0, -1.0]}, "mass of jet 1 is -1.0"),
        ({"jet_pt": [500.0, np.inf]}, "column 'jet_pt' contains infinity"),
        ({"jet_pt": ["a", "b"]}, "jet_pt must be numbers"),
        ({"multiplicity": [0, 2]}, "multiplicity of jet 0 is 0, and must be a whole number"),
        ({"multiplicity": [2, np.nan]}, "multiplicity of jet 1 is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            classed.sample(jets=given | change, condition="t")
    with pytest.raises(ValueError, match="unknown value 'z'"):
        classed.sample(3, condition="z")
    with pytest.raises(ValueError, match="fitted without condition"):
        plain.sample(3, condition="t")
    with pytest.raises(ValueError, match="fitted without features of jets"):
        plain.sample(jets=jets)
