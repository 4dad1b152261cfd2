import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buff.datasets import load_omnifold, load_zjets

NAMES = ("mass", "width", "mult", "ln_rho", "z_g", "tau21")


def record(seed, n=10):
    """Arrays as in one file of the public record."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for prefix in ("gen", "sim"):
        arrays |= {
            f"{prefix}_jets": rng.uniform(10, 300, (n, 4)),
            f"{prefix}_mults": rng.integers(1, 60, n).astype(float),
            f"{prefix}_widths": rng.uniform(0.01, 0.4, n),
            f"{prefix}_tau2s": rng.uniform(0.001, 0.2, n),
            f"{prefix}_sdms": rng.uniform(1, 50, n),
            f"{prefix}_zgs": rng.uniform(0.1, 0.5, n),
            f"{prefix}_lhas": rng.random(n),
        }
    return arrays


def test_observables_of_the_public_files(tmp_path):
    arrays = record(1)
    arrays["gen_widths"][0] = arrays["gen_tau2s"][0] = arrays["gen_sdms"][1] = 0
    np.savez_compressed(tmp_path / "file.npz", **arrays)
    events = load_omnifold(tmp_path / "file.npz")
    assert events.truth.names == events.reco.names == NAMES
    assert events.truth.units["mass"] == "GeV"
    for table, prefix in ((events.truth, "gen"), (events.reco, "sim")):
        a = {key.removeprefix(f"{prefix}_"): value for key, value in arrays.items() if key.startswith(prefix)}
        np.testing.assert_array_equal(table["mass"], a["jets"][:, 3])
        np.testing.assert_array_equal(table["width"], a["widths"])
        np.testing.assert_array_equal(table["mult"], a["mults"])
        np.testing.assert_array_equal(table["z_g"], a["zgs"])
        rho = np.log(np.maximum(a["sdms"], 0.1) ** 2 / a["jets"][:, 0] ** 2)
        np.testing.assert_allclose(table["ln_rho"], rho)
        ok = a["widths"] > 0
        np.testing.assert_allclose(table["tau21"][ok], a["tau2s"][ok] / a["widths"][ok])
    assert events.truth["tau21"][0] == 0
    assert events.pass_truth.all()
    assert events.pass_reco.all()
    assert events.weight.tolist() == [1.0] * 10


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    for i in (0, 2, 10):
        np.savez(tmp_path / f"Pythia26_Zjet_pTZ-200GeV_{i}.npz", **record(i))
    masses = np.concatenate([record(i)["gen_jets"][:, 3] for i in (0, 2, 10)])
    np.testing.assert_array_equal(load_omnifold(tmp_path).truth["mass"], masses)
    np.testing.assert_array_equal(load_omnifold(tmp_path, n=13).truth["mass"], masses[:13])


def test_a_folder_of_several_generators(tmp_path):
    np.savez(tmp_path / "Herwig_Zjet_pTZ-200GeV_0.npz", **record(5))
    np.savez(tmp_path / "Pythia26_Zjet_pTZ-200GeV_0.npz", **record(6))
    events = load_omnifold(tmp_path, generator="Herwig")
    np.testing.assert_array_equal(events.truth["mass"], record(5)["gen_jets"][:, 3])
    for generator, advice in ((None, "choose one by generator="), ("Sherpa", "'Sherpa' is none of them")):
        with pytest.raises(ValueError, match=f"generators Herwig, Pythia26: {advice}"):
            load_omnifold(tmp_path, generator=generator)


def pairs(n=8):
    rng = np.random.default_rng(3)
    names = ("mass", "width", "mult", "lnrho", "zg", "tau21", "jet_pt")
    return {f"{level}_{name}": rng.random(n) for level in ("truth", "reco") for name in names}


def test_pairs_in_parquet(tmp_path):
    columns = pairs()
    columns["reco_mass"][2] = columns["reco_zg"][2] = np.nan
    flags = {"pass_truth": np.arange(8) != 5, "weight": np.linspace(-1, 1, 8)}
    pq.write_table(pa.table(columns | flags), tmp_path / "pairs.parquet")
    events = load_omnifold(tmp_path / "pairs.parquet")
    np.testing.assert_array_equal(events.truth["ln_rho"], columns["truth_lnrho"])
    np.testing.assert_array_equal(events.reco["z_g"], columns["reco_zg"])
    assert np.flatnonzero(~events.pass_truth).tolist() == [5]
    assert np.flatnonzero(~events.pass_reco).tolist() == [2]
    np.testing.assert_array_equal(events.weight, flags["weight"])
    assert len(load_omnifold(tmp_path / "pairs.parquet", n=3)) == 3


def test_missing_array_and_column(tmp_path):
    arrays = record(1)
    del arrays["sim_zgs"]
    np.savez(tmp_path / "file.npz", **arrays)
    with pytest.raises(ValueError, match="has no array sim_zgs; it has gen_jets"):
        load_omnifold(tmp_path / "file.npz")
    columns = pairs()
    del columns["reco_zg"]
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    with pytest.raises(ValueError, match="has no column reco_z_g or reco_zg; it has truth_mass"):
        load_omnifold(tmp_path / "pairs.parquet")


def test_wrong_shapes(tmp_path):
    np.savez(tmp_path / "file.npz", **record(1) | {"gen_jets": np.ones((10, 3))})
    with pytest.raises(ValueError, match=r"\(N, 4\): pt, y, phi, m; got \(10, 3\)"):
        load_omnifold(tmp_path / "file.npz")
    np.savez(tmp_path / "file.npz", **record(1) | {"gen_mults": np.ones(9)})
    with pytest.raises(ValueError, match=r"holds 10 events by truth_mass, but \{'truth_mult': \(9,\)\}"):
        load_omnifold(tmp_path / "file.npz")


@pytest.mark.parametrize("name", ["file.npz", "file.parquet"])
def test_files_cut_short(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, **record(1))
    else:
        pq.write_table(pa.table(pairs()), path)
    whole = path.read_bytes()
    for size in (0, 50, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=f"{name} is cut short or not"):
            load_omnifold(path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        load_omnifold(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="has no npz file"):
        load_omnifold(tmp_path)
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ValueError, match="text.npz is cut short or not an npz file$"):
        load_omnifold(tmp_path / "text.npz")


def test_shipped_pairs_are_what_their_description_says():
    nominal, alternative = load_zjets(), load_zjets("alternative")
    assert len(nominal) == len(alternative) == 12_000
    for events, mult, mass in ((nominal, 28.0, 22.7), (alternative, 23.6, 20.5)):
        assert events.pass_truth.all()
        assert events.pass_reco.all()
        truth = events.truth
        assert truth["mult"].mean() == pytest.approx(mult, abs=0.4)
        assert truth["mass"].mean() == pytest.approx(mass, abs=0.4)
        assert truth["mult"].dtype.kind == "i"
        assert events.truth.units["mass"] == "GeV"
        # row by row one jet: reco follows truth, and loses constituents
        assert np.corrcoef(truth["width"], events.reco["width"])[0, 1] > 0.9
        assert events.reco["mult"].mean() < truth["mult"].mean()
        assert ((truth["z_g"] == 0) | ((truth["z_g"] > 0.1 - 1e-6) & (truth["z_g"] <= 0.5))).all()


def test_shipped_pairs_refuse_what_there_is_not():
    with pytest.raises(ValueError, match="setting is one of nominal, alternative, got 'herwig'"):
        load_zjets("herwig")
    with pytest.raises(ValueError, match="n is an integer of at least 1, got 2.5"):
        load_zjets(n=2.5)
    with pytest.raises(ValueError, match="between 1 and 12000"):
        load_zjets(n=12_001)
