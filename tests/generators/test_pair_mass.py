"""Generated pairs of particles have the peak of their mass."""

import warnings

import numpy as np
import pandas as pd
import pytest

from buff import load
from buff.errors import ExportError, Notice
from buff.export.packed import check_compilable
from buff.tables.relations import PairMass
from buff.tables.relations.pair_mass import pair_momenta

NAMES = ("pt1", "eta1", "phi1", "pt2", "eta2", "phi2")
PAIR = PairMass(*NAMES)


def resonance(n, sharp=0.2):
    """Decays of a narrow peak at 91: neither particle is always the harder one."""
    rng = np.random.default_rng(0)
    eta1, eta2, phi1 = rng.normal(0, 1, n), rng.normal(0, 1, n), rng.uniform(-np.pi, np.pi, n)
    phi2 = (phi1 + rng.normal(np.pi, 0.4, n) + np.pi) % (2 * np.pi) - np.pi
    mass, ratio = rng.normal(91, sharp, n), np.exp(rng.normal(0, 0.3, n))
    pt1, pt2 = pair_momenta(mass, ratio, (eta1, phi1), (eta2, phi2), (0.0, 0.0))
    columns = dict(zip(NAMES, (pt1, eta1, phi1, pt2, eta2, phi2), strict=True))
    return pd.DataFrame(columns).astype(np.float32).assign(charge=rng.choice([-1, 1], n))


def masses(table):
    return PAIR.forward({name: table[name].to_numpy() for name in NAMES})["pt1"]


@pytest.fixture(scope="module")
def fitted(small):
    table = resonance(1500)
    return table, small(relations=["auto", PAIR], n_estimators=8, noise_budget=10_000).fit(table)


def test_generated_pairs_have_the_peak(fitted, small):
    table, model = fitted
    made, plain = model.sample(1500), small(relations=None, n_estimators=8, noise_budget=10_000).fit(table).sample(1500)
    assert (made.dtypes == table.dtypes).all()
    widths = [np.subtract(*np.quantile(masses(events), [0.84, 0.16])) for events in (table, made, plain)]
    assert widths[1] < 1.3 * widths[0] < 10 * widths[0] < widths[2]
    for name in NAMES:
        assert np.quantile(made[name], 0.5) == pytest.approx(
            np.quantile(table[name], 0.5), abs=0.2 * float(table[name].std())
        )


def test_pairs_are_kept_in_files_and_refused_where_they_cannot_be(fitted, small, tmp_path):
    table, model = fitted
    model.save(tmp_path / "m.buff")
    pd.testing.assert_frame_equal(load(tmp_path / "m.buff").sample(20), model.sample(20))
    with pytest.raises(ExportError, match="the relation mass of"):
        check_compilable(model)
    with pytest.raises(ValueError, match="knows no mass of"):
        small(relations=[PAIR], given="any").fit(table)
    with pytest.raises(ValueError, match="relations holds 'all'"):
        small(relations=["all", PAIR]).fit(table)


def test_what_would_be_blurred_is_told(small):
    table = resonance(150)
    with pytest.warns(Notice, match="--pair pt1,eta1,phi1,pt2,eta2,phi2"):
        small(n_estimators=0).fit(table)
    turn = np.random.default_rng(0).uniform(-np.pi, np.pi, 150)
    with pytest.warns(Notice, match='phi look like angles, .*{"phi": "angle"}'):
        small(n_estimators=0).fit(pd.DataFrame({"phi": turn, "x": turn**2}))
    event = np.random.default_rng(0).integers(0, 10**9, 150)
    with pytest.warns(Notice, match="integers that never repeat, up to .*--exclude event"):
        small(n_estimators=0).fit(pd.DataFrame({"event": event, "x": turn}))


def test_rare_labels_of_another_mass_are_told(small):
    table = resonance(1500)
    like_sign = np.arange(1500) < 60
    table = table.rename(columns={"charge": "Q1"}).assign(Q2=lambda t: np.where(like_sign, t["Q1"], -t["Q1"]))
    table.loc[like_sign, ["pt1", "pt2"]] *= 0.4
    model = small(relations=["auto", PAIR], n_estimators=2, noise_budget=2_000)
    with pytest.warns(Notice, match="differs strongly between values of Q1,Q2.*--condition Q1,Q2.*--by Q1,Q2"):
        model.fit(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        model.fit(table.drop(columns="Q2"))
