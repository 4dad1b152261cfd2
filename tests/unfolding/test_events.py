import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from buff.datasets import load_zjets
from buff.unfolding.events import Simulation

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(200, 2))
RECO = TRUTH + 0.1 * RNG.normal(size=(200, 2))
ALL = np.ones(200, bool)
FEW = np.arange(200) < 150


def test_rows_are_sorted_into_matched_missed_and_fakes():
    pass_truth, pass_reco = np.arange(200) >= 50, np.arange(200) < 150
    s = Simulation.of(TRUTH, RECO, pass_truth, pass_reco, np.arange(200.0))
    assert s.n_matched == 100
    np.testing.assert_array_equal(s.truth.arrays[0], TRUTH[50:, 0])
    np.testing.assert_array_equal(s.reco.arrays[1], np.concatenate([RECO[50:150, 1], RECO[:50, 1]]))
    np.testing.assert_array_equal(s.weights, np.arange(50.0, 200.0))
    np.testing.assert_array_equal(s.fake_weights, np.arange(50.0))


@pytest.mark.parametrize(
    "container", [np.asarray, pd.DataFrame, pl.DataFrame, lambda x: pa.table(list(x.T), ["a", "b"])]
)
def test_what_fails_is_never_looked_at(container):
    truth, reco = TRUTH.copy(), RECO.copy()
    truth[~FEW], reco[~FEW] = np.nan, np.inf
    as_table = (lambda x: pl.DataFrame(x, schema=["a", "b"])) if container is pl.DataFrame else container
    s = Simulation.of(as_table(truth), as_table(reco), FEW, FEW)
    assert s.n_matched == 150
    assert np.isfinite(s.truth_scores).all()
    np.testing.assert_array_equal(s.reco.arrays[1], RECO[FEW, 1])


def test_nan_in_an_event_that_passes():
    reco = RECO.copy()
    reco[7, 1] = np.nan
    with pytest.raises(ValueError, match="reco: column 'x1' lacks 1 values.*the first in event 7"):
        Simulation.of(TRUTH, reco)
    assert Simulation.of(TRUTH, reco, None, np.arange(200) != 7).n_matched == 199


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TRUTH, RECO[:-1]), "truth has 200 rows, reco 199"),
        ((TRUTH[:, 0], RECO), r"truth must be a table of shape \(events, columns\), found \(200,\)"),
        ((TRUTH, RECO[:, 0].tolist()), r"reco must be a table of shape \(events, columns\), found \(200,\)"),
        ((np.ones_like(TRUTH), RECO), "truth: no column has two values in the events that pass"),
        ((np.where(TRUTH[3, 0] == TRUTH, np.inf, TRUTH), RECO), "truth: column 'x0' contains infinity"),
        ((TRUTH, RECO, ~ALL), "0 of 200 events pass both selections .pass_truth 0, pass_reco 200."),
        ((TRUTH, RECO, FEW, ~FEW), "0 of 200 events pass both"),
        ((TRUTH, RECO, FEW[:5]), r"pass_truth must have shape \(200,\)"),
        ((TRUTH, RECO, None, np.full(200, 2)), "pass_reco must hold booleans, found 2"),
        ((TRUTH, RECO, None, None, np.zeros(200)), "sum must be positive, found 0"),
        ((TRUTH, RECO, None, None, np.full(200, -1.0)), "200 negative values of 200"),
        ((TRUTH, RECO, None, None, np.where(ALL, 1.0, 1.0)[:9]), r"shape \(200,\)"),
        ((TRUTH, RECO, None, None, np.r_[-1.0, np.ones(199)]), "1 negative values of 200, the first -1"),
        ((TRUTH, RECO, None, None, np.r_[np.nan, np.ones(199)]), "1 of 200 values are not finite"),
        (
            (TRUTH, RECO, FEW, None, (~FEW).astype(float)),
            "events that pass both selections: the sum must be positive, found 0",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        Simulation.of(*arguments)


@pytest.mark.parametrize("table", [3, None, "mass"])
def test_no_table(table):
    with pytest.raises(TypeError, match=f"truth must be a table, found {type(table).__name__}"):
        Simulation.of(table, RECO)


def test_tables_of_the_data_sets_are_taken_as_they_are():
    pairs = load_zjets(n=200)
    own, arrow = (Simulation.of(pairs.truth, pairs.reco), Simulation.of(pairs.truth.to_arrow(), pairs.reco.to_arrow()))
    np.testing.assert_array_equal(own.truth.arrays, arrow.truth.arrays)


def test_weights_that_are_no_numbers():
    with pytest.raises(TypeError, match="sample_weight: real numbers expected, found dtype <U1"):
        Simulation.of(TRUTH, RECO, sample_weight=["a"] * 200)


def test_gaps_are_counted_from_the_first_row_given():
    reco = RECO.copy()
    reco[[7, 9], 1] = np.nan
    with pytest.raises(ValueError, match="lacks 1 values in events that pass the selection, the first in event 9:"):
        Simulation.of(TRUTH, reco, None, np.arange(200) > 7)


def test_measured_columns_are_those_of_the_simulation():
    frame = pd.DataFrame(RECO, columns=["mass", "width"])
    s = Simulation.of(TRUTH, frame)
    swapped = s.measured(frame[["width", "mass"]], "reco")
    np.testing.assert_array_equal(swapped.arrays[0], RECO[:, 0])
    with pytest.raises(
        ValueError, match=r"reco has the columns \['mass', 'pt'\], the simulated reco \['mass', 'width'\]"
    ):
        s.measured(frame.rename(columns={"width": "pt"}), "reco")
    with pytest.raises(ValueError, match="give the same columns"):
        s.measured(RECO[:, :1], "reco")
    with pytest.raises(ValueError, match="background: column 'x0' lacks 1"):
        Simulation.of(TRUTH, RECO).measured(np.array([[np.nan, 1.0]]), "background")


def test_resampled_weights_are_poisson():
    s = Simulation.of(TRUTH, RECO, sample_weight=np.full(200, 2.0)).resampled(np.random.default_rng(0))
    assert set(s.weights) <= set(2.0 * np.arange(9))
    assert abs(s.weights.mean() - 2) < 0.5
    assert s.weights.var() == pytest.approx(4, abs=1.5)
