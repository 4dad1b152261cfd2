import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

import buff
from buff.datasets import gaussian_1d, gaussian_2d
from buff.errors import Notice
from buff.metrics.chi2 import spoken_replicas
from buff.unfolding.diagnostics import Diagnostics

from .toys import QUICK, quick, shifted

EDGES = np.linspace(-1.5, 1.5, 7)
REPLICAS = {"data": 30, "simulation": 3, "model": 2}


@pytest.fixture(scope="module")
def result():
    simulated, nature = shifted(3000, 1500, 0.0)
    unfolder = quick("conditional", n_replicas=REPLICAS, n_samples=10).fit(simulated.truth, simulated.reco)
    return unfolder.unfold(nature.reco)


@pytest.fixture(scope="module")
def bare():
    pairs = gaussian_2d().sample(2000, 0)
    return quick("reweight", n_iterations=2).fit(pairs.truth, pairs.reco).unfold(pairs.reco[:500])


def test_histogram_is_that_of_weighted_events(result):
    h = result.histogram("x0", EDGES)
    expected = np.histogram(result.events[:, 0], EDGES, weights=result.weights)[0]
    np.testing.assert_allclose(h.values(), expected)
    np.testing.assert_allclose(h.variances(), np.diag(result.covariance(0, EDGES).total))
    assert h.axes[0].name == "x0"


def test_histogram_of_two_columns(bare):
    bins = [np.linspace(-2, 3, 6), np.linspace(-3, 2, 5)]
    h = bare.histogram(["x0", "x1"], bins)
    x = bare.events
    np.testing.assert_allclose(h.values(), np.histogram2d(x[:, 0], x[:, 1], bins, weights=bare.weights)[0])
    change = np.histogram2d(x[:, 0], x[:, 1], bins, weights=bare.further - bare.weights)[0]
    poisson = np.histogram2d(x[:, 0], x[:, 1], bins, weights=bare.weights**2)[0]
    np.testing.assert_allclose(h.variances(), poisson + change**2)


def test_draws_of_one_event_are_no_independent_events():
    simulated, nature = shifted(2000, 400, 0.0)
    result = quick("conditional", n_samples=20).fit(simulated.truth, simulated.reco).unfold(nature.reco)
    h = result.histogram(0, [-9.0, 9.0])
    assert h.variances()[0] == pytest.approx(400)  # and not 400 / 20


def test_automatic_bins_and_bad_ones(bare):
    assert bare.histogram(1, 12).axes[0].size == 12
    with pytest.raises(ValueError, match="no column 'mass'; the columns are x0, x1"):
        bare.histogram("mass")
    with pytest.raises(ValueError, match="bins of 'x0' must be at least two rising edges"):
        bare.histogram("x0", [1.0, 1.0])
    with pytest.raises(ValueError, match="bins are given for 1 columns, but there are 2"):
        bare.histogram(["x0", "x1"], [EDGES])


def test_what_is_no_bin_is_refused_by_name(bare, tmp_path):
    name = bare.columns.names[0]
    for columns, bins, message in (
        ([name, name], 4, "columns must be different ones, at least one"),
        (name, 0, f"bins of '{name}' must be at least 1, found 0"),
        (name, "auto", f"bins of '{name}' must be at least two rising edges or a number of bins, found 'auto'"),
    ):
        with pytest.raises(ValueError, match=message):
            bare.histogram(columns, bins)
    with pytest.raises(ValueError, match=f"units names the column 'foo', which there is not; the columns are {name}"):
        bare.to_yaml(tmp_path, {name: 3}, {"foo": "GeV"})
    with pytest.raises(TypeError, match="bins must be a mapping from column name to its bins, found"):
        bare.to_yaml(tmp_path, [0, 1])


def test_whole_numbers_lie_in_the_middle_of_bins():
    rng = np.random.default_rng(0)
    truth = np.column_stack([rng.poisson(30, 1000), rng.normal(size=1000)]).astype(float)
    result = quick("reweight", n_iterations=1).fit(truth, truth[:, 1:]).unfold(truth[:300, 1:])
    for n_bins in (1, 7, 20, 30, 200):
        edges = result.histogram(0, n_bins).axes[0].edges
        np.testing.assert_array_equal(edges % 1, 0.5)
        widths = np.unique(np.diff(edges))
        assert len(widths) == 1
        assert len(edges) - 1 <= n_bins
        low, high = np.quantile(truth[:, 0], [0.01, 0.99])
        assert edges[0] < low
        assert high < edges[-1]
    assert widths == 1
    assert result.histogram(1, 20).axes[0].size == 20


def test_what_is_beyond_and_what_is_inside_are_all(bare):
    beyond = bare.beyond(["x0", "x1"], [EDGES, EDGES])
    assert 0 < beyond == pytest.approx(bare.weights.sum() - bare.histogram(["x0", "x1"], [EDGES, EDGES]).values().sum())
    assert bare.beyond(0, [-1e9, 1e9]) == 0


def test_covariance_of_the_data_is_that_of_resampled_events(result):
    covariance = result.covariance(0, EDGES)
    n = len(result.signal)
    share = np.zeros((n, len(EDGES) - 1))
    cell = np.searchsorted(EDGES, result.events[:, 0], side="right") - 1
    inside = (cell >= 0) & (cell < share.shape[1])
    np.add.at(share, (result.measured_rows[inside], cell[inside]), result.weights[inside])
    exact = share.T @ share  # Poisson weights have variance 1
    assert np.trace(covariance.data) == pytest.approx(np.trace(exact), rel=0.35)
    neighbours = np.sum(covariance.data * np.eye(6, k=1)), np.sum(exact * np.eye(6, k=1))
    assert neighbours[0] == pytest.approx(neighbours[1], rel=0.6)


def test_sources_are_separate_and_add_up(result):
    covariance = result.covariance("x0", EDGES)
    assert list(covariance.of_source) == ["data", "simulation", "model"]
    np.testing.assert_allclose(covariance.total, covariance.data + covariance.simulation + covariance.model)
    assert np.trace(covariance.simulation) > 0 < np.trace(covariance.model)
    np.testing.assert_allclose(np.diag(covariance.correlation), 1)
    assert abs(covariance.correlation).max() <= 1 + 1e-9


def test_no_replicas_no_covariance(bare):
    with pytest.raises(ValueError, match="a covariance needs replicas, found none"):
        bare.covariance(0, EDGES)


def test_replicas_of_one_source_only():
    simulated, nature = shifted(1000, 300, 0.0)
    unfolder = quick("reweight", n_iterations=1, n_replicas={"data": 2}).fit(simulated.truth, simulated.reco)
    result = unfolder.unfold(nature.reco)
    with pytest.warns(Notice, match="2 replicas are few for 6 bins.*chi-squared needs 9"):
        covariance = result.covariance(0, EDGES)
    assert repr(covariance).startswith("Covariance(x0: 6 bins; sources data, regularisation; 2 replicas")
    with pytest.warns(Notice, match="needs 9"):
        result.histogram(0, EDGES)
    with pytest.raises(ValueError, match="no replicas of model, only of data, regularisation"):
        _ = covariance.model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*lie where no simulated event does")
@pytest.mark.parametrize(
    ("problem", "method", "column", "edges"),
    [
        (gaussian_1d(), "iterated", 0, EDGES),
        (gaussian_1d(), "reweight", 0, EDGES),
        (gaussian_2d(), "iterated", 1, EDGES - 0.5),
    ],
    ids=["1d", "1d reweight", "2d"],
)
def test_covariance_is_the_spread_of_pseudo_experiments(problem, method, column, edges):
    simulated = problem.sample(6000, 0)
    unfolder = quick(method, n_iterations=2, n_samples=10, n_replicas={"data": 25})
    unfolder.fit(simulated.truth, simulated.reco)
    rng = np.random.default_rng(1)
    measured = [problem.sample(2000, rng).reco for _ in range(2)]
    found = np.mean([np.diag(unfolder.unfold(reco).covariance(column, edges).data) for reco in measured], axis=0)
    unfolder.set_params(n_replicas=0)
    experiments = (problem.sample(rng.poisson(2000), rng).reco for _ in range(50))
    counts = np.array([unfolder.unfold(reco).histogram(column, edges).values() for reco in experiments])
    # each bin's sigma is known to 10 percent from 50 histograms, and about as well from twice 25; there are 6 bins
    assert np.sqrt(found / counts.var(axis=0, ddof=1)).mean() == pytest.approx(1, abs=0.15)


def test_parquet_holds_events_weights_and_replicas(result, tmp_path):
    result.to_parquet(tmp_path / "unfolded.parquet")
    table = pq.read_table(tmp_path / "unfolded.parquet")
    member = np.array(table["member"].to_pylist())
    nominal = member == "nominal"
    np.testing.assert_array_equal(table["x0"].to_numpy()[nominal], result.events[:, 0])
    np.testing.assert_array_equal(table["weight"].to_numpy()[nominal], result.weights)
    np.testing.assert_array_equal(table["measured_row"].to_numpy()[nominal], result.measured_rows)
    assert set(member) == {"nominal", "simulation_0", "simulation_1", "simulation_2", "model_0", "model_1"}
    replica = [r for r in result.replicas if r.source == "data"][29]
    np.testing.assert_array_equal(table["weight_data_29"].to_numpy()[nominal], replica.weights)
    assert table["weight_data_0"].null_count == np.count_nonzero(~nominal)
    assert table.schema.metadata[b"method"] == b"conditional"


def test_yaml_tables(result, tmp_path):
    result.to_yaml(tmp_path / "record", {"x0": EDGES})
    files = sorted(path.name for path in (tmp_path / "record").iterdir())
    covariances = [f"x0_covariance_{source}.yaml" for source in ("data", "model", "simulation", "total")]
    assert files == ["submission.yaml", "x0.yaml", *covariances, "x0_migration.yaml", "x0_response.yaml"]
    submission = (tmp_path / "record" / "submission.yaml").read_text()
    assert re.findall(r'^data_file: "(.+)"', submission, re.M) == [
        "x0.yaml",
        *sorted(covariances, key=lambda f: ["data", "simulation", "model", "total"].index(f.split("_")[-1][:-5])),
        "x0_response.yaml",
        "x0_migration.yaml",
    ]
    table = (tmp_path / "record" / "x0.yaml").read_text()
    both = [float(v) for v in re.findall(r"- value: (.+)", table)]
    values, densities = both[: len(EDGES) - 1], both[len(EDGES) - 1 :]
    np.testing.assert_allclose(densities, np.array(values) / np.diff(EDGES), rtol=2e-5)
    np.testing.assert_allclose(values, result.histogram(0, EDGES).values(), rtol=1e-5)
    lows = [json.loads(line.removeprefix("      - "))["low"] for line in table.splitlines() if '{"low"' in line]
    np.testing.assert_allclose(lows, EDGES[:-1])
    errors = re.findall(r'\{"label": "data statistics", "symerror": (.+)\}', table)[: len(EDGES) - 1]
    np.testing.assert_allclose([float(e) ** 2 for e in errors], np.diag(result.covariance(0, EDGES).data), rtol=2e-5)
    assert (
        "Covariance of the bins of the unfolded distribution of x0: the statistics of the measured events."
        in submission
    )
    matrix = (tmp_path / "record" / "x0_covariance_total.yaml").read_text()
    cells = [float(v) for v in re.findall(r'\{"value": (.+)\}', matrix)]
    np.testing.assert_allclose(cells, result.covariance(0, EDGES).total.ravel(), rtol=1e-5)


@pytest.fixture(scope="module")
def two():
    pairs, other = gaussian_2d().sample(1000, 0), gaussian_2d().sample(1000, 2)
    unfolder, alternative = (
        quick("reweight", n_iterations=1, n_replicas={"data": 16, "model": 2}).fit(p.truth + shift, p.reco)
        for p, shift in ((pairs, 0.0), (other, 0.1))
    )
    return unfolder, alternative, gaussian_2d().sample(400, 1).reco


TWO = {"x0": np.linspace(-1, 3, 5), "x1": np.linspace(-3, 1, 6)}


def test_histograms_side_by_side(two, tmp_path):
    result = two[0].unfold(two[2])
    joint = result.covariance(TWO)
    assert joint.total.shape == (9, 9)
    told = spoken_replicas(joint.n_replicas, 18)
    assert repr(joint) == f"Covariance(x0, x1: 9 bins; sources data, model, regularisation; {told})"
    assert 12 < joint.n_replicas < 40
    for name, rows in (("x0", slice(4)), ("x1", slice(4, None))):
        alone = result.covariance(name, TWO[name])
        np.testing.assert_allclose(joint.counts[rows], alone.counts)
        np.testing.assert_allclose(joint.total[rows, rows], alone.total)
    assert abs(joint.total[:4, 4:]).max() > 0
    result.to_yaml(tmp_path, TWO, {"x0": "GeV"})
    table = (tmp_path / "covariance_total.yaml").read_text()
    cells = [float(v) for v in re.findall(r'\{"value": (-?[\d.e-]+)\}', table)]
    np.testing.assert_allclose(cells, joint.total.ravel(), rtol=1e-5, atol=1e-5)
    assert table.count('{"value": "x0 -1.0 - 0.0 GeV"}') == 18
    assert (
        '{"name": "observables", "values": ["x0", "x1"]}'
        in re.sub(r"\s+", " ", (tmp_path / "submission.yaml").read_text()).replace("- ", "")
        or "observables" in (tmp_path / "submission.yaml").read_text()
    )


def test_replicas_are_asked_for_at_the_unfolding(two):
    unfolder, _, reco = two
    assert unfolder.unfold(reco, n_replicas=0).replicas == ()
    few = unfolder.unfold(reco, n_replicas={"data": 3})
    assert [r.source for r in few.replicas] == ["data"] * 3
    np.testing.assert_array_equal(few.replicas[1].weights, unfolder.unfold(reco).replicas[1].weights)
    with pytest.raises(ValueError, match="n_replicas asks for 3 of model, the fit made 2: fit again"):
        unfolder.unfold(reco, n_replicas={"model": 3})


def test_progress_counts_replicas(two, capsys):
    two[0].set_params(verbose=1).unfold(two[2], n_replicas={"data": 3})
    two[0].set_params(verbose=0)
    assert "3/3" in capsys.readouterr().err


def test_errors_name_the_background(two):
    unfolder, _, reco = two
    background = reco[:100] + 0.1, np.full(100, 0.5)
    with_data, without = (unfolder.unfold(reco, background=background, n_replicas={"data": n}).errors for n in (3, 0))
    assert "hold the statistics of the measured events and of the background (3 replicas, too few to tell)" in with_data
    assert "fluctuations, the statistics of the background" in without
    for errors in (with_data, without):
        assert "the normalisation of the background (see background_uncertainty)" in errors
    assert "background" not in unfolder.unfold(reco, n_replicas=0).errors


def test_another_simulation_is_a_source_of_its_own(two, tmp_path):
    unfolder, alternative, reco = two
    result = unfolder.unfold(reco, alternative=alternative)
    own, other = (u.unfold(reco, n_replicas=0).histogram(0, TWO["x0"]).values() for u in (unfolder, alternative))
    covariance = result.covariance(0, TWO["x0"])
    np.testing.assert_allclose(covariance.alternative, np.outer(other - own, other - own))
    np.testing.assert_allclose(covariance.total, sum(covariance.of_source.values()))
    assert list(covariance.of_source) == ["data", "model", "alternative", "regularisation"]
    assert covariance.n_replicas > unfolder.unfold(reco).covariance(0, TWO["x0"]).n_replicas
    alone = unfolder.unfold(reco, n_replicas=0, alternative=[alternative]).covariance(0, TWO["x0"])
    assert (list(alone.of_source), alone.n_replicas) == (["alternative", "regularisation"], np.inf)
    result.to_parquet(tmp_path / "events.parquet")
    assert "alternative_0" in pq.read_table(tmp_path / "events.parquet")["member"].to_pylist()
    with pytest.raises(TypeError, match="alternative must be an Unfolder fitted to another simulation, found 3"):
        unfolder.unfold(reco, alternative=3)


def test_few_replicas_of_a_small_source_leave_a_chi_squared(two):
    covariance = two[0].unfold(two[2]).covariance(0, TWO["x0"])
    assert covariance.n_replicas_of == {"data": 16, "model": 2}
    assert covariance.n_replicas > 8


def test_results_print(two):
    lines = repr(two[0].unfold(two[2])).splitlines()
    assert lines[0] == "UnfoldingResult(reweight: 1,000 rows, 400 truth events; replicas: 16 of data, 2 of seeds)"
    assert lines[1].split() == ["iteration", "change", "effective", "clipped"]
    assert lines[3] == "400 measured events; all lie where simulated ones do."


def test_yaml_without_replicas(bare, tmp_path):
    bare.to_yaml(tmp_path)
    tables = [f"{name}{what}.yaml" for name in ("x0", "x1") for what in ("", "_migration", "_response")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["submission.yaml", *tables]
    assert '"label": "statistics"' in (tmp_path / "x1.yaml").read_text()
    assert '"label": "regularisation"' in (tmp_path / "x1.yaml").read_text()
    squares = sum(own**2 for own in bare.sigmas(0, EDGES).values())
    np.testing.assert_allclose(squares, bare.histogram(0, EDGES).variances())
    bare.to_yaml(tmp_path, {"x0": EDGES}, {"x0": "GeV"}, {"cmenergies": [13000.0]})
    assert '"units": "1/GeV"' in (tmp_path / "x0.yaml").read_text()
    assert "cmenergies" in (tmp_path / "submission.yaml").read_text()


def test_the_bin_of_a_spike_has_no_density(bare, tmp_path):
    edges = [-1.0, -1e-4, 1e-4, 1.0, 2.0]
    bare.to_yaml(tmp_path, {"x0": edges})
    values = re.findall(r"- value: (.+)|- (\{\"value\".+)", (tmp_path / "x0.yaml").read_text())
    counts = bare.histogram("x0", edges).values()
    found = [float(one) if one else json.loads(other)["value"] for one, other in values]
    np.testing.assert_allclose(found[:4], counts, rtol=2e-5)
    assert found[5] == "-"
    np.testing.assert_allclose([found[4], *found[6:]], (counts / np.diff(edges))[[0, 2, 3]], rtol=2e-5)
    (spike,) = (text.get_text() for text in bare.plot_unfolded("x0", edges).axes[0].texts)
    assert spike.endswith("in this bin")


def test_figures(result, bare):
    figure = result.plot_unfolded(0, EDGES, truth=result.histogram(0, EDGES).values(), unit="GeV")
    assert figure.axes[-1].get_xlabel() == "x0 [GeV]"
    assert result.plot_migration(0, EDGES).axes
    labels = [[text.get_text() for text in r.plot_unfolded(0, EDGES).legends[0].get_texts()] for r in (result, bare)]
    assert "error: data, simulation, seeds" in labels[0]
    assert "error: Poisson of simulated weights, regularisation" in labels[1]
    assert result.plot_correlation(0, EDGES).axes
    lines = bare.plot_convergence().axes[0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), [i.change for i in bare.history])


def test_diagnostics_print(result):
    text = str(result.diagnostics)
    assert text.splitlines()[:5] == [
        "1,500 measured events; all lie where simulated ones do.",
        "100.0% of their weight is signal: neither background nor failing the selection of truth.",
        "The relative statistical error of the signal is that of 1,500 events of equal weight.",
        "No correction for efficiency reached its limit.",
        "0.0% of the unfolded weight is seen 5 times more rarely than on average.",
    ]
    agree = r"Refolded events agree with measured ones in every column, worst in x0: chi2/n \d+\.\d/20\."
    assert re.fullmatch(agree, text.splitlines()[5])
    off = str(Diagnostics(1500, 2, 0.9, 0.012, 1200.0, least_efficiency=0.01))
    assert "2 of them where no simulated one lies" in off
    assert "1.20% of the unfolded events are seen less than once in 100" in off


def test_replicas_share_what_they_can(result):
    own = {r.source: r.events is not None for r in result.replicas}
    assert own == {"data": False, "simulation": True, "model": True}
    assert QUICK["noise_budget"] < 50_000


@pytest.mark.parametrize("method", ["iterated", "reweight"])
@pytest.mark.parametrize("n", [None, 1, 2])
def test_regularisation_is_the_difference_of_further_iterations(method, n):
    simulated, nature = shifted(1500, 600, 0.5)
    unfolder = quick(method, n_iterations=n).fit(simulated.truth, simulated.reco)
    result = unfolder.unfold(nature.reco)
    further = unfolder.unfold(nature.reco, n_iterations=2 * n if n else 10)
    np.testing.assert_array_equal(result.further, further.weights)
    change = (further.histogram(0, EDGES).values() - result.histogram(0, EDGES).values()) ** 2
    with_replicas = unfolder.unfold(nature.reco, n_replicas={"data": 10}).covariance(0, EDGES)
    np.testing.assert_allclose(np.diag(with_replicas.regularisation), change, atol=1e-9)
    assert (result.histogram(0, EDGES).variances() >= change).all()
    assert "the difference of further iterations" in result.errors


def test_the_prior_that_one_iteration_keeps_is_named():
    simulated, nature = shifted(1000, 300, 0.5)
    result = quick("conditional").fit(simulated.truth, simulated.reco).unfold(nature.reco)
    assert result.further is None
    assert "do not hold" in result.errors
    assert "what another number of iterations changes" in result.errors


def test_an_alternative_that_lost_its_weights_is_refused(tmp_path):
    pairs, rng = gaussian_2d().sample(1000, 0), np.random.default_rng(0)
    unfolder = quick("reweight", n_iterations=1)
    unfolder.fit(pairs.truth, pairs.reco, sample_weight=rng.uniform(0.5, 1.5, 1000))
    other = quick("reweight").fit(pairs.truth + 0.1, pairs.reco)
    other.save(tmp_path / "other.buff")
    for alternative in (other, buff.load(tmp_path / "other.buff")):
        with pytest.raises(ValueError, match="alternative was fitted without sample_weight, the unfolder with weights"):
            unfolder.unfold(pairs.reco[:300], alternative=alternative)
    told = quick("reweight").fit(pairs.truth + 0.1, pairs.reco, sample_weight=np.ones(1000))
    assert [r.source for r in unfolder.unfold(pairs.reco[:300], alternative=told).replicas] == ["alternative"]
    assert other.unfold(pairs.reco[:300], alternative=unfolder).replicas  # those of the alternative alone count


@pytest.mark.parametrize(("truth", "error"), [(np.ones(5), 0.0), (1.0, 0.0), (np.ones(6), np.ones(7))])
def test_a_truth_of_another_shape_is_refused(bare, truth, error):
    name = "truth" if np.shape(truth) != (6,) else "truth_error"
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(6,\), one value a bin; found"):
        bare.chi2(0, EDGES, truth, error)
    assert bare.chi2(0, EDGES, list(range(6)), 2.0).n == 6
