"""The mass of two particles is learned in place of their transverse momenta, and comes back with them."""

import numpy as np
import pandas as pd
import pytest

from buff.tables import read
from buff.tables.relations import Order, PairMass, Relations, Sum, find_relations
from buff.tables.relations.pair_mass import pair_momenta

NAMES = ("pt1", "eta1", "phi1", "pt2", "eta2", "phi2")
PAIR = PairMass(*NAMES)
#: Of muons, and of two particles of which one is slow.
MASSES = [(0.0, 0.0), (0.10566, 0.10566), (30.0, 0.5)]


def resonance(n, seed=0, sharp=0.2, dtype=np.float64):
    """Decays of a narrow peak at 91: neither particle is always the harder one."""
    rng = np.random.default_rng(seed)
    eta1, eta2 = rng.normal(0, 1, (2, n))
    phi1, phi2 = rng.uniform(-np.pi, np.pi, n), rng.normal(np.pi, 0.4, n)
    phi2 = (phi1 + phi2 + np.pi) % (2 * np.pi) - np.pi
    mass, ratio = rng.normal(91, sharp, n), np.exp(rng.normal(0, 0.3, n))
    pt1, pt2 = pair_momenta(mass, ratio, (eta1, phi1), (eta2, phi2), (0.0, 0.0))
    columns = dict(zip(NAMES, (pt1, eta1, phi1, pt2, eta2, phi2), strict=True))
    return pd.DataFrame(columns).astype(dtype).assign(charge=rng.choice([-1, 1], n))


def four_momentum(pt, eta, phi, m):
    p = np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    return np.array([np.sqrt((p**2).sum(axis=0) + m**2), *p])


def masses(table, m1=0.0, m2=0.0):
    one, two = ([table[name].to_numpy(float) for name in part] for part in (NAMES[:3], NAMES[3:]))
    e, *p = four_momentum(*one, m1) + four_momentum(*two, m2)
    return np.sqrt(e**2 - sum(q**2 for q in p))


@pytest.mark.parametrize("given", MASSES)
def test_the_mass_is_that_of_the_momenta_and_the_way_back_is_exact(given):
    table = resonance(500)
    columns = {name: table[name].to_numpy() for name in NAMES}
    pair = PairMass(*NAMES, *given).learn(columns)
    learned = pair.forward(columns)
    np.testing.assert_allclose(learned["pt1"], masses(table, *given), rtol=1e-12)
    back = pair.backward(learned)
    for name in NAMES:
        np.testing.assert_allclose(back[name], columns[name], rtol=1e-11)


def test_relations_take_pairs_apart_and_together():
    columns = read(resonance(300, dtype=np.float32))
    own = Relations.learn([PAIR], columns)
    reduced = own.reduce(columns)
    assert reduced.template.dtypes[0] == "float64"
    for values, before in zip(own.restore(reduced.arrays), columns.arrays, strict=True):
        np.testing.assert_allclose(values, before, rtol=1e-6)
    again = Relations.from_dict(own.to_dict())
    assert repr(again) == repr(own)
    assert "mass of (pt1, eta1, phi1) and (pt2, eta2, phi2)" in repr(own)


def test_others_are_found_beside_a_pair_but_not_of_what_it_replaces():
    table = resonance(400).assign(mev=lambda e: 1000 * e.pt1, double=lambda e: 2 * e.eta1)
    assert [r.kind for r in find_relations(read(table), [PAIR])] == ["pair mass", "scaled"]
    for other in (Order("pt2", "pt1"), PairMass("pt1", "eta1", "phi1", "pt3", "eta3", "phi3"), Sum("s", "pt1", "pt2")):
        with pytest.raises(ValueError, match="which another relation names"):
            Relations.learn([PAIR, other], read(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pt1": np.nan}, "first is row 3: pt1 = nan"),
        ({"pt2": 0.0}, "first is row 3: pt2 = 0.0"),
        ({"phi1": 190.0}, "radians"),
    ],
)
def test_rows_without_a_pair_are_refused(change, message):
    table = resonance(20)
    for name, value in change.items():
        table.loc[3, name] = value
    with pytest.raises(ValueError, match=message):
        Relations.learn([PAIR], read(table))
    table = resonance(20)
    table.loc[3, ["pt2", "eta2", "phi2"]] = table.loc[3, ["pt1", "eta1", "phi1"]].to_numpy()
    with pytest.raises(ValueError, match="does not hold in 1 of 20 rows, the first is row 3"):
        Relations.learn([PAIR], read(table))
    with pytest.raises(ValueError, match="unknown column 'pt2'"):
        Relations.learn([PAIR], read(table.drop(columns="pt2")))
