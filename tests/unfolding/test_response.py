"""Efficiency, fakes, purity and stability of bins, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from buff.unfolding import Unfolder

EDGES = np.array([-1.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=600)
    table = pd.DataFrame({"x": truth, "hidden": rng.normal(size=600)})
    reco = pd.DataFrame({"x": truth + rng.normal(size=600) * 0.3})
    return table, reco, truth > -1.5, reco["x"].to_numpy() > -1.2, rng.uniform(0.5, 1.5, 600)


@pytest.fixture(scope="module")
def result(simulated):
    truth, reco, in_truth, in_reco, w = simulated
    unfolder = Unfolder("reweight", n_iterations=1, random_state=0)
    unfolder.fit(truth, reco, pass_truth=in_truth, pass_reco=in_reco, sample_weight=w)
    return unfolder.unfold(reco[in_reco][:200] + 0.1)


def test_shares_are_those_counted_by_hand(simulated, result):
    truth, reco, in_truth, in_reco, w = simulated
    found = result.response("x", EDGES)
    for i in range(2):
        at_truth, at_reco = ((EDGES[i] <= x) & (x < EDGES[i + 1]) for x in (truth["x"], reco["x"]))
        both = in_truth & in_reco
        assert found.efficiency[i] == pytest.approx(w[at_truth & both].sum() / w[at_truth & in_truth].sum())
        assert found.fakes[i] == pytest.approx(w[at_reco & in_reco & ~in_truth].sum() / w[at_reco & in_reco].sum())
        same = w[at_truth & at_reco & both].sum()
        assert found.matched[i, i] == pytest.approx(same)
        assert found.purity[i] == pytest.approx(same / w[at_reco & both].sum())
        assert found.stability[i] == pytest.approx(same / w[at_truth & both].sum())
    lines = str(found).splitlines()
    assert lines[0].split() == ["x", "efficiency", "fakes", "purity", "stability"]
    assert lines[1].startswith(f"-1 to 0{found.efficiency[0]:>24.3f}")


def test_bins_without_events_have_no_shares(result):
    empty = result.response("x", [50.0, 60.0, 70.0])
    assert np.isnan([empty.efficiency, empty.fakes, empty.purity, empty.stability]).all()


def test_a_column_of_truth_alone_has_no_response(result):
    with pytest.raises(ValueError, match="reco has no column 'hidden', only x: a response needs both"):
        result.response("hidden", EDGES)
