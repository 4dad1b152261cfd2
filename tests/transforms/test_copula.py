import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, spearmanr

from buff.errors import ArchiveError
from buff.tables import infer_schema, read
from buff.transforms.copula import MixedCopula

N = 20_000


def table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    energy = rng.choice([256.0, 512.0, 1024.5], n, p=[0.5, 0.3, 0.2])
    particle = np.where(rng.random(n) < 0.2 + 0.5 * (energy == 512), "pion", "photon")
    slope = np.where(particle == "pion", 1.0, -1.0)
    eta = rng.normal(size=n)
    return pd.DataFrame(
        {
            "energy": energy,
            "x": slope * eta + 0.3 * rng.normal(size=n) + energy / 100,
            "particle": particle,
            "eta": eta,
            "year": 2026,
        }
    )


def fitted(frame, weights=None):
    columns = read(frame)
    return MixedCopula.fit(columns, infer_schema(columns), {}, weights)


def drawn(copula, frame, n=N, seed=1):
    normals = np.random.default_rng(seed).standard_normal((n, copula.n_normals))
    return pd.DataFrame(dict(zip(frame.columns, copula.draw(normals), strict=True)))


def test_discrete_columns_are_exact_and_others_follow_their_class():
    frame = table()
    copula = fitted(frame)
    assert copula.discrete == (0, 2)
    draws = drawn(copula, frame)
    expected = frame.groupby(["energy", "particle"]).size() / N
    found = draws.groupby(["energy", "particle"]).size() / N
    assert (abs(found - expected) < 5 * np.sqrt(2 * expected / N)).all()
    for key, part in draws.groupby(["energy", "particle"]):
        truth = frame[(frame["energy"] == key[0]) & (frame["particle"] == key[1])]
        assert ks_2samp(part["x"], truth["x"]).pvalue > 1e-3
        assert spearmanr(part["x"], part["eta"])[0] == pytest.approx(spearmanr(truth["x"], truth["eta"])[0], abs=0.05)
    assert (draws["year"] == 2026).all()


def test_each_row_is_a_function_of_its_normals():
    frame = table(2000)
    copula = fitted(frame)
    normals = np.random.default_rng(0).standard_normal((100, copula.n_normals))
    whole = copula.draw(normals)
    for cuts in ([37], range(1, 100)):
        parts = [copula.draw(part) for part in np.split(normals, cuts)]
        for j, values in enumerate(whole):
            np.testing.assert_array_equal(values, np.concatenate([part[j] for part in parts]))


def test_weights():
    frame = table()
    draws = drawn(fitted(frame, np.where(frame["particle"] == "pion", 3.0, 1.0)), frame)
    p = 3 * (frame["particle"] == "pion").sum()
    assert (draws["particle"] == "pion").mean() == pytest.approx(
        p / (p + (frame["particle"] != "pion").sum()), abs=0.02
    )


def test_numbers_of_many_or_lonely_values_are_not_discrete():
    frame = table(500)
    frame.loc[3, "energy"] = 777.125
    assert fitted(frame).discrete == (2,)
    _, arrays = fitted(frame).to_arrays()
    assert not any(np.any(values == 777.125) for values in arrays.values())


def test_arrays_round_trip():
    frame = table(2000).assign(day=np.datetime64("2026-01-01") + np.arange(2000) % 3, flag=[None, "a"] * 1000)
    copula = fitted(frame)
    record, arrays = copula.to_arrays()
    again = MixedCopula.from_arrays(json.loads(json.dumps(record)), arrays)
    assert again.n_normals == copula.n_normals
    pd.testing.assert_frame_equal(drawn(again, frame, 100), drawn(copula, frame, 100))


@pytest.mark.parametrize(
    ("name", "array"),
    [("cumulative", np.array([0.5, 0.2])), ("copula_of", np.array([9])), ("0/factor", np.eye(7)), ("0/factor", None)],
)
def test_damaged_arrays_are_refused(name, array):
    record, arrays = fitted(table(500)).to_arrays()
    with pytest.raises(ArchiveError, match=name.removeprefix("0/")):
        MixedCopula.from_arrays(record, arrays | {name: array})


def test_copies_of_a_column_stay_copies():
    x = np.random.default_rng(0).normal(size=2000)
    frame = pd.DataFrame({"a": x, "b": x})
    draws = drawn(fitted(frame), frame)
    assert np.corrcoef(draws["a"], draws["b"])[0, 1] > 0.9999
