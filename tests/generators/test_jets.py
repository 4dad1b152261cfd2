"""JetBUFF: what goes in comes out alike, exactly where it must, and the same whatever the batches."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

import buff
from buff.datasets import JetClouds, Table
from buff.datasets.table import Column
from buff.generators.jet_rows import KINDS, checked_settings, held_bytes, plan_stages, splitting_rows
from buff.generators.jet_table import KINEMATICS, mirrored
from buff.physics import SplittingTree
from buff.physics.kinematics import axis_offset, invariant_mass
from tests.generators.jet_models import K, N, quick
from tests.physics.clouds import clouds

KIND_NAMES = [kind.name for kind in KINDS]


def test_clouds_look_like_those_that_were_fitted(plain, particles):
    cloud = plain.sample(200)
    assert cloud.shape == (200, K, 3)
    assert cloud.dtype == particles.dtype
    pt = cloud[..., 2]
    assert (np.diff(pt, axis=1) <= 0).all()
    assert np.array_equal((cloud != 0).any(axis=2), pt > 0)
    assert set((pt > 0).sum(1)) <= set((particles[..., 2] > 0).sum(1))
    assert abs(pt.sum(1).mean() / particles[..., 2].sum(1).mean() - 1) < 0.15


def test_no_batch_thread_or_number_changes_a_jet(plain, classed):
    whole = plain.sample(150, random_state=5)
    assert np.array_equal(whole, plain.sample(150, random_state=5, batch_size=17))
    assert np.array_equal(whole[100:], plain.sample(50, random_state=5, first_event=100))
    assert np.array_equal(whole[:20], plain.sample(20, random_state=5))
    plain.set_params(n_jobs=2)
    assert np.array_equal(whole, plain.sample(150, random_state=5, batch_size=40))
    plain.set_params(n_jobs=None)
    first, second = classed.sample(60, random_state=1)[0], classed.sample(60, random_state=1, batch_size=7)[0]
    assert np.array_equal(first, second)
    assert not np.array_equal(whole, plain.sample(150, random_state=6))


def test_files_bring_the_same_jets_back(plain, classed, tmp_path):
    for model in (plain, classed):
        model.save(tmp_path / "jets.buff")
        again = buff.load(tmp_path / "jets.buff")
        one, two = (m.sample(30, random_state=2) for m in (model, again))
        one, two = (x if isinstance(x, tuple) else (x, None) for x in (one, two))
        assert np.array_equal(one[0], two[0])
        assert one[1] == two[1]
        assert again.derived_ == model.derived_


def test_features_agree_with_particles(classed, particles):
    assert classed.derived_ == ("mass", "multiplicity")
    cloud, jets = classed.sample(100)
    assert jets.column_names == ["jet_pt", "mass", "multiplicity", "kind"]
    assert np.array_equal(jets["multiplicity"], (cloud[..., 2] > 0).sum(1))
    assert np.allclose(jets["mass"], invariant_mass(cloud) * jets["jet_pt"].to_numpy())
    assert set(jets["kind"].to_pylist()) == {"q", "t"}
    only = classed.sample(5, condition="t")[1]
    assert only["kind"].to_pylist() == ["t"] * 5


def test_given_features_are_met(classed, jets):
    some = jets.slice(0, 60)
    cloud, back = classed.sample(jets=some, condition=some["kind"].to_numpy())
    assert back["jet_pt"].equals(some["jet_pt"])
    assert np.array_equal((cloud[..., 2] > 0).sum(1), some["multiplicity"])
    many = some["multiplicity"].to_numpy() > 1
    own = invariant_mass(cloud) * some["jet_pt"].to_numpy()
    assert np.allclose(own[many], some["mass"].to_numpy()[many], rtol=1e-3)
    with pytest.raises(ValueError, match="jets lacks the columns"):
        classed.sample(jets=some.select(["mass"]), condition="t")
    with pytest.raises(ValueError, match="the model is conditional, pass"):
        classed.sample(jets=some)
    too_many = some.set_column(2, "multiplicity", pa.array(np.full(60, K + 1)))
    with pytest.raises(ValueError, match=f"multiplicity of jet 0 is {K + 1}, and must be a whole number from 1 to {K}"):
        classed.sample(jets=too_many, condition="t")


def test_masks_and_containers(particles, jets):
    mask = (particles[..., 2:] > 0).astype(np.float32)
    masked = np.concatenate([particles, mask], axis=2).astype(np.float32)
    columns = (Column("jet_pt", "GeV"), Column("jet_class", kind="categorical"), Column("event", kind="integer"))
    table = Table(columns, {"jet_pt": jets["jet_pt"].to_numpy(), "jet_class": np.full(N, "t"), "event": np.arange(N)})
    drawn = quick().fit(JetClouds(masked, table)).sample(40)
    assert isinstance(drawn, JetClouds)
    assert drawn.particles.dtype == np.float32
    assert np.array_equal(drawn.particles[..., 3] > 0, drawn.particles[..., 2] > 0)
    assert drawn.jets.names == ("jet_pt", "jet_class")
    assert drawn.jets.units["jet_pt"] == "GeV"


def test_awkward_arrays():
    ak = pytest.importorskip("awkward")
    cloud = clouds(120, 6, seed=1)
    real = cloud[..., 2] > 0
    columns = [ak.unflatten(cloud[..., j][real], real.sum(1)) for j in range(3)]
    records = ak.zip(dict(zip(("eta", "phi", "pt"), columns, strict=True)))
    drawn = quick().fit(records).sample(20)
    assert drawn.fields == ["eta", "phi", "pt"]
    assert ak.all(drawn.pt > 0)
    same = quick().fit(cloud).sample(20)
    assert np.allclose(ak.to_numpy(ak.fill_none(ak.pad_none(drawn.pt, 6, clip=True), 0)), same[..., 2])
    nested = ak.concatenate([column[..., None] for column in columns], axis=-1)
    assert ak.num(quick().fit(nested).sample(3), axis=2)[0][0] == 3


def test_weights_move_the_sample(particles):
    heavy = particles[..., 2].sum(1) > np.median(particles[..., 2].sum(1))
    weighted = quick().fit(particles, sample_weight=np.where(heavy, 1.0, 0.05)).sample(200)
    assert weighted[..., 2].sum(1).mean() > quick().fit(particles).sample(200)[..., 2].sum(1).mean() + 0.5


def test_numbers_as_conditions(particles):
    total = particles[..., 2].sum(1)
    model = quick(jet_model=None).fit(particles, condition=total)
    low, high = (model.sample(100, condition=float(np.quantile(total, q))) for q in (0.1, 0.9))
    assert high[..., 2].sum(1).mean() > low[..., 2].sum(1).mean() + 1


def test_any_order_duplicates_and_caps(particles):
    mixed = particles[:, np.random.default_rng(1).permutation(K)]
    assert np.allclose(quick().fit(particles).sample(20), quick().fit(mixed).sample(20), atol=1e-6)
    twice = np.concatenate([particles, particles], axis=1)
    assert np.isfinite(quick().fit(twice).sample(20)).all()
    capped = quick(max_particles=3).fit(particles).sample(30)
    assert capped.shape == (30, 3, 3)


def test_single_particles(particles):
    single = particles[:, :1]
    assert (quick().fit(single).sample(50)[..., 2] > 0).all()


def test_plan_and_limits(particles):
    plan = quick().plan(particles)
    assert plan.memory > 0
    with pytest.raises(MemoryError, match="max_memory"):
        quick(max_memory=1000).fit(particles)


def test_plans_count_the_splittings_of_all_kinds(particles):
    rows = splitting_rows(
        SplittingTree(1.0), particles, np.ones(N), np.zeros((N, 2)), None, dict.fromkeys(KIND_NAMES, 10**6), 0
    )
    held = held_bytes(rows, N, dict.fromkeys(KIND_NAMES, 10**6), particles)
    assert held == sum(part.nbytes for part in rows.values()) + particles.nbytes
    ten_times = held_bytes(rows, 10 * N, dict.fromkeys(KIND_NAMES, 10**6), particles)
    assert ten_times == 10 * held
    capped = held_bytes(rows, 10 * N, {name: len(part) for name, part in rows.items()}, particles)
    assert held < capped < 1.3 * held + 10 * particles.nbytes
    settings = checked_settings(quick(max_memory=2**30))
    own, more = (max(plan.memory for plan in plan_stages(rows, settings, k)) for k in (0, held))
    assert more == own + held
    with pytest.raises(MemoryError, match="the fit needs 2,048 MiB"):
        plan_stages(rows, settings, 2**31)


def test_a_killed_fit_resumes(particles, tmp_path):
    first = quick(cache_dir=tmp_path).fit(particles).sample(10)
    assert any(tmp_path.iterdir())
    assert np.array_equal(first, quick(cache_dir=tmp_path).fit(particles).sample(10))
    assert np.array_equal(first, quick().fit(particles).sample(10))


def test_scikit_learn_contract():
    model = quick(effort=0.5, radius=0.4)
    assert clone(model).get_params()["radius"] == 0.4
    assert "effort=0.5" in repr(model)


def test_a_template_restores_what_it_read(particles):
    from buff.generators.jet_clouds import CloudTemplate, read_clouds

    cloud, template = read_clouds(particles.astype(np.float32))
    assert template.restore(cloud).dtype == np.float32
    assert CloudTemplate.from_dict(template.to_dict()) == template
    assert replace(template, n_columns=4).restore(cloud).shape == (N, K, 4)


def test_left_and_right_are_alike_where_the_sample_knows_no_difference():
    cloud = clouds(1500, 4, seed=5, least=2)
    tables = quick().fit(cloud).tables_
    assert tables.mirrors == ("particles.eta", "particles.phi")
    lopsided = cloud + np.where(cloud[..., 2:] > 0, [0.02, 0.0, 0.0], 0.0)
    assert quick().fit(lopsided).tables_.mirrors == ("particles.phi",)
    center = (cloud[..., 1] * cloud[..., 2]).sum(1) / cloud[..., 2].sum(1)
    assert quick().fit(cloud, {"phi_of_jet": center}).tables_.mirrors == ("particles.eta",)
    drawn = quick().fit(cloud).sample(3000)
    eta = (drawn[..., 0] * drawn[..., 2]).sum(1)
    assert abs((eta > 0).mean() - 0.5) < 0.04


def test_eta_and_the_pseudorapidity_of_jets_change_their_signs_together():
    rng = np.random.default_rng(0)
    table = dict(zip(KINEMATICS, rng.standard_normal((len(KINEMATICS), 4000)), strict=True))
    none, eta = np.zeros((4000, 0)), rng.uniform(-2, 2, 4000)
    table["particles.eta"] += eta
    assert mirrored(table, none) == KINEMATICS[1:3]
    assert mirrored(table | {"jets.eta": eta}, none) == ("particles.phi",)
    assert mirrored(table | {"jets.eta": eta}, none, "jets.eta") == ("particles.eta", "jets.eta", "particles.phi")
    narrow = table | {"particles.eta": np.where(table["particles.eta"] > 0, 0.8, 1.0) * table["particles.eta"]}
    for lopsided in (table | {"jets.eta": eta + 0.3}, narrow | {"jets.eta": eta}):
        assert mirrored(lopsided, none, "jets.eta") == ("particles.phi",)


def test_particles_lie_about_the_rapidity_of_their_jet(tmp_path):
    cloud, eta = clouds(1500, 4, seed=6, least=2), np.random.default_rng(0).uniform(-2, 2, 1500)
    real = cloud[..., 2] > 0
    cloud[..., 0] -= np.where(
        real, (cloud[..., 0] * cloud[..., 2]).sum(1, keepdims=True) / cloud[..., 2].sum(1)[:, None], 0
    )
    cloud[..., :2] *= 2
    leaning = cloud.copy()
    leaning[..., 0] += np.where(real, axis_offset(cloud, eta)[:, None], 0.0)
    model = quick().fit(leaning, {"jet_eta": eta})
    assert model.features_.eta == "jet_eta"
    assert abs(model.features_.tilt - 1) < 1e-6
    assert np.allclose(model.features_.centred(leaning, {"jet_eta": eta}), cloud, atol=1e-9)
    again = model.features_.centred(cloud, {"jet_eta": eta}, -1)
    assert np.allclose(again, leaning, atol=1e-9)
    assert not again[~real].any()
    drawn, jets = model.sample(3000)
    centroid = (drawn[..., 0] * drawn[..., 2]).sum(1) / drawn[..., 2].sum(1)
    offset = axis_offset(drawn, jets["jet_eta"])
    assert abs(np.polyfit(offset, centroid, 1)[0] - 1) < 0.2
    assert model.tables_.mirrors == ("particles.eta", "jets.jet_eta", "particles.phi")
    assert abs((np.asarray(jets["jet_eta"]) > 0).mean() - 0.5) < 0.04
    model.save(tmp_path / "jets.buff")
    assert np.array_equal(
        buff.load(tmp_path / "jets.buff").sample(20, random_state=1)[0], model.sample(20, random_state=1)[0]
    )
    assert quick().fit(cloud, {"jet_eta": eta}).features_.tilt == 0
