"""Showers: energies exact, events stable, files, conditions, bad input."""

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone

import buff
from buff import ShowerBUFF
from buff.archive import write_archive
from buff.datasets import make_showers
from buff.errors import ArchiveError
from buff.physics import Geometry, Layer

FAST = {"rings": {"n_estimators": 4}, "angles": {"n_estimators": 4, "max_depth": 4}, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return make_showers(600, "ds1-photons", random_state=1)


@pytest.fixture(scope="module")
def model(data):
    return ShowerBUFF(**FAST).fit(data.showers, data.incident_energies)


def test_showers_have_the_shape_unit_and_threshold_of_training(model, data):
    showers = model.sample(data.incident_energies)
    assert showers.dtype == np.float32
    assert showers.shape == data.showers.shape
    least = data.showers[data.showers > 0].min()
    assert (showers[showers > 0] >= least * (1 - 1e-6)).all()
    assert (showers >= 0).all()


def test_voxels_sum_up_to_the_energy_that_was_drawn(model):
    energies = np.full(50, 1000.0)
    rings, angles = model.cascade_._walks
    from buff.generators.shower_walk import Walk
    from buff.randomness import EventNoise

    cascade = model.cascade_
    u = EventNoise(3).uniform(50, cascade.n_numbers)
    total = cascade.models["total"].sample(
        np.log2(energies)[:, None].astype(np.float32), np.log10(energies), 0, u[:, 0]
    )
    walked = rings(Walk(energies, [], cascade.threshold), cascade._drawer(u))
    np.testing.assert_allclose(walked.sum(axis=0), total * energies, rtol=1e-12)
    showers = cascade.sample(energies, np.zeros((50, 0)), EventNoise(3))
    np.testing.assert_allclose(showers.sum(axis=1, dtype=float), total * energies, rtol=1e-6)
    assert angles.symmetric


def test_layers_and_zeros_are_those_of_the_training(model, data):
    showers = model.sample(data.incident_energies, random_state=5)
    for a, b in zip(data.layer_bounds[:-1], data.layer_bounds[1:], strict=True):
        truth, drawn = data.showers[:, a:b], showers[:, a:b]
        assert drawn.sum() == pytest.approx(truth.sum(), rel=0.3)
        assert (drawn > 0).mean() == pytest.approx((truth > 0).mean(), rel=0.15, abs=0.01)


def test_an_event_is_the_same_in_any_batch(model):
    energies = np.geomspace(300, 30000, 21)
    whole = model.sample(energies, random_state=4)
    one_by_one = model.sample(energies, random_state=4, batch_size=1)
    np.testing.assert_array_equal(whole, one_by_one)
    np.testing.assert_array_equal(model.sample(energies[7:], random_state=4, first_event=7, batch_size=5), whole[7:])
    assert (model.sample(energies, random_state=6) != whole).any()


def test_files_and_pickles_hold_the_model(model, tmp_path):
    model.save(tmp_path / "model.buff")
    again = buff.load(tmp_path / "model.buff")
    expected = model.sample([500.0, 5000.0], random_state=2)
    np.testing.assert_array_equal(again.sample([500.0, 5000.0], random_state=2), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sample([500.0, 5000.0], random_state=2), expected)
    assert again.geometry_ == model.geometry_
    assert again.energy_range_ == model.energy_range_


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("geometry", lambda geometry: geometry[:2]),
        ("geometry", lambda geometry: [*geometry[:2], [[0, [0.0, 1.0], 10**9]]]),
        ("symmetric", lambda symmetric: "yes"),
        ("threshold", lambda threshold: -1.0),
        ("standards", lambda standards: [standards[0][:1], standards[1]]),
        ("models", lambda models: dict(list(models.items())[1:])),
    ],
)
def test_damaged_files_are_refused(model, tmp_path, part, change):
    archive = model.to_archive()
    cascade = archive.record["cascade"]
    record = archive.record | {"cascade": cascade | {part: change(cascade[part])}}
    write_archive(tmp_path / "model.buff", replace(archive, record=record))
    with pytest.raises(ArchiveError):
        buff.load(tmp_path / "model.buff")


def test_compiled_forests_draw_what_xgboost_draws(model, monkeypatch):
    compiled = model.sample([500.0, 5000.0], random_state=2)
    monkeypatch.setenv("BUFF_BACKEND", "xgboost")
    np.testing.assert_array_equal(model.sample([500.0, 5000.0], random_state=2), compiled)


def test_workers_and_cache_change_nothing(data, model, tmp_path):
    settings = FAST | {"cache_dir": tmp_path / "cache"}
    first = ShowerBUFF(**settings, n_jobs=2).fit(data.showers, data.incident_energies)
    n_files = len(list((tmp_path / "cache").iterdir()))
    again = ShowerBUFF(**settings).fit(data.showers, data.incident_energies)
    assert n_files == first.plan_.n_models
    assert len(list((tmp_path / "cache").iterdir())) == n_files
    expected = model.sample([500.0] * 5)
    np.testing.assert_array_equal(first.sample([500.0] * 5), expected)
    np.testing.assert_array_equal(again.sample([500.0] * 5), expected)


def test_plan_and_memory(data):
    model = ShowerBUFF(**FAST)
    plan = model.plan(data.showers, data.incident_energies)
    assert plan.n_splits == 1 + 4 + 48 + 35 * 9
    assert plan.n_models == 1 + 4 + 48 + 4
    assert plan.cpu_seconds > 0
    assert "models" in str(plan)
    with pytest.raises(MemoryError, match="max_rows"):
        ShowerBUFF(**FAST, max_memory=10**8).fit(data.showers, data.incident_energies)


def test_conditions_and_weights():
    data = make_showers(800, "ds1-photons", energies=(1000.0, 1001.0), random_state=2)
    kind = np.arange(800) % 2
    showers = data.showers * np.where(kind, 1.0, 0.5).astype(np.float32)[:, None]
    model = ShowerBUFF(**FAST).fit(showers, data.incident_energies, condition=kind[:, None])
    low, high = (model.sample(np.full(300, 1000.5), condition=[[k]]).sum() for k in (0, 1))
    assert high / low == pytest.approx(2, rel=0.25)
    with pytest.raises(ValueError, match="condition"):
        model.sample([1000.5])
    weighted = ShowerBUFF(**FAST).fit(showers, data.incident_energies, sample_weight=kind + 0.0)
    assert weighted.sample(np.full(300, 1000.5)).sum() == pytest.approx(showers[kind == 1][:300].sum(), rel=0.1)


def test_symmetry_is_found_out(data):
    lopsided = data.showers.copy()
    geometry = Geometry.of("ds1-photons")
    geometry.split(lopsided)[1][:, :5] *= 0.5
    assert ShowerBUFF(**FAST).fit(data.showers, data.incident_energies).symmetric_
    model = ShowerBUFF(**FAST).fit(lopsided, data.incident_energies)
    assert not model.symmetric_
    drawn = geometry.split(model.sample(data.incident_energies))[1].sum(axis=(0, 2))
    assert drawn[:5].sum() < 0.75 * drawn[5:].sum()


def voxel_table(*layers):
    """A row a voxel: layer, r_min, r_max, alpha_min, alpha_max."""
    rows = []
    for number, edges, n_alpha in layers:
        width = 2 * np.pi / n_alpha
        for k in range(n_alpha):
            start = -np.pi + k * width
            rows += [(number, a, b, start, start + width) for a, b in pairwise(edges)]
    return np.array(rows)


def test_detectors_of_ones_own_are_kept_in_files(tmp_path):
    detector = Geometry.from_voxels(voxel_table((0, (0, 1, 3), 4), (3, (0, 5), 1)), "mine")
    data = make_showers(300, detector, random_state=0)
    model = ShowerBUFF(detector, **FAST)
    assert clone(model).get_params() == model.get_params()
    model.fit(data.showers, data.incident_energies).save(tmp_path / "mine.buff")
    again = buff.load(tmp_path / "mine.buff")
    assert again.geometry_ == detector
    assert again.get_params() == model.get_params()
    assert clone(again).geometry == detector
    drawn = model.sample([1000.0, 2000.0])
    assert drawn.shape == (2, 9)
    np.testing.assert_array_equal(again.sample([1000.0, 2000.0]), drawn)


def test_a_binning_file_gives_the_same_model_as_its_name(data, model, tmp_path):
    Geometry.of("ds1-photons").to_xml(tmp_path / "binning_dataset_1_photons.xml", "photon")
    own = ShowerBUFF(tmp_path / "binning_dataset_1_photons.xml", **FAST).fit(data.showers, data.incident_energies)
    np.testing.assert_array_equal(own.sample([700.0] * 4), model.sample([700.0] * 4))
    own.save(tmp_path / "m.buff")
    (tmp_path / "binning_dataset_1_photons.xml").unlink()
    assert buff.load(tmp_path / "m.buff").geometry_ == own.geometry_


def test_scikit_learn_contract(data):
    model = ShowerBUFF(max_rows=1000, random_state=3)
    assert clone(model).get_params() == model.get_params()
    assert ShowerBUFF(**FAST).fit(data.showers, data.incident_energies[:, None]).sample([]).shape == (0, 368)


def _bad(showers, energies):
    nan, negative, short = showers.copy(), showers.copy(), showers[:, :-1]
    nan[3, 5], negative[4, 6] = np.nan, -1
    pions = np.zeros((len(showers), 533), np.float32)
    return {
        "not finite.*voxel 5 of shower 3": (nan, energies),
        "negative.*-1.0 in voxel 6 of shower 4": (negative, energies),
        "367 voxels.*has 368": (short, energies),
        "533 voxels.*ds1-pions": (pions, energies),
        "positive, found -5.0 in row 0": (showers, -5 * np.ones(len(showers))),
        "600 showers and 10": (showers, energies[:10]),
        "a row a shower": (showers[:0], energies[:0]),
        "are empty": (0 * showers, energies),
        r"9\d\.\d% of the showers have more than 3 times the energy .*give both in MeV": (showers * 1000, energies),
        "shape \\(n,\\) or \\(n, 1\\), got \\(600, 2\\)": (showers, np.ones((600, 2))),
    }


def test_bad_showers_are_named(data):
    for words, (showers, energies) in _bad(data.showers, data.incident_energies).items():
        with pytest.raises(ValueError, match=words):
            ShowerBUFF(**FAST).fit(showers, energies)


def test_bad_requests_are_named(model, data, tmp_path):
    with pytest.raises(ValueError, match="between .* MeV, where the model was trained; found 1 in row 1"):
        model.sample([1000.0, 1.0])
    with pytest.raises(ValueError, match="finite and positive, found nan in row 1"):
        model.sample([1000.0, np.nan])
    with pytest.raises(ValueError, match="first_event"):
        model.sample([1000.0], first_event=-1)
    with pytest.raises(ValueError, match="symmetry must be True, False or 'auto', found 'yes'"):
        ShowerBUFF(symmetry="yes").fit(data.showers, data.incident_energies)
    with pytest.raises(ValueError, match="max_rows"):
        ShowerBUFF(max_rows=3).fit(data.showers, data.incident_energies)
    with pytest.raises(ValueError, match="not known"):
        ShowerBUFF("ds9").fit(data.showers, data.incident_energies)
    with pytest.raises(ValueError, match="rings has no settings"):
        ShowerBUFF(rings={"trees": 3}).fit(data.showers, data.incident_energies)
    with pytest.raises(ValueError, match="sample_weight"):
        ShowerBUFF(**FAST).fit(data.showers, data.incident_energies, sample_weight=-np.ones(600))
    path = tmp_path / "model.buff"
    model.save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(buff.errors.ArchiveError):
        buff.load(path)


def test_pions_have_empty_layers_and_lost_showers():
    data = make_showers(500, "ds1-pions", random_state=3)
    data.showers[::5, :8] = 0  # layer 0 is often empty
    model = ShowerBUFF("ds1-pions", **FAST).fit(data.showers, data.incident_energies)
    drawn = model.sample(np.resize(data.incident_energies, 1000))
    assert drawn.shape == (1000, 533)
    assert drawn.dtype == np.float32
    lost = (data.showers.sum(axis=1) == 0).mean()
    assert abs((drawn.sum(axis=1) == 0).mean() - lost) < 0.02
    assert (drawn[:, :8].sum(axis=1) == 0).mean() == pytest.approx(
        (data.showers[:, :8].sum(axis=1) == 0).mean(), abs=0.06
    )


def test_layers_that_are_alike_share_models():
    detector = Geometry("stack", tuple(Layer(i, (0, 1, 2, 4), 4) for i in range(10)))
    data = make_showers(400, detector, random_state=0)
    model = ShowerBUFF(detector, **FAST).fit(data.showers, data.incident_energies)
    assert {key for key in model.cascade_.models if key.startswith("rings")} == {"rings/0", "rings/1"}
    drawn = model.sample(np.resize(data.incident_energies, 400))
    profile = [x.sum(axis=(1, 2)).mean() for x in detector.split(drawn)]
    truth = [x.sum(axis=(1, 2)).mean() for x in detector.split(data.showers)]
    np.testing.assert_allclose(profile, truth, rtol=0.35, atol=0.02 * max(truth))


@pytest.mark.slow
def test_dataset_2_runs_end_to_end():
    data = make_showers(120, "ds2", energies=(1000.0, 5000.0), random_state=0)
    settings = FAST | {"max_rows": 5000}
    model = ShowerBUFF("ds2", **settings).fit(data.showers, data.incident_energies)
    drawn = model.sample(data.incident_energies[:30])
    assert drawn.shape == (30, 6480)
    assert np.isfinite(drawn).all()
    assert (drawn > 0).sum(axis=1).mean() == pytest.approx((data.showers > 0).sum(axis=1).mean(), rel=0.3)
