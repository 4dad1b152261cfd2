"""``buff unfold``: the file is understood or refused in one line, and what comes out is the library's result."""

import re
import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buff.cli.unfold_config import TEMPLATE, read_config
from buff.datasets import gaussian_2d
from buff.io import TableWriter
from buff.unfolding import Unfolder

NAMES = ("mass", "width")
CONFIG = """
[simulation]
file = "simulation.parquet"
weight = "weight"
pass_reco = "seen"

[data]
file = "data.parquet"
pass_reco = "seen"
truth = true

[observables.mass]
truth = "truth_mass"
reco = "reco_mass"
unit = "GeV"
bins = [-2, -1, 0, 1, 2, 3]

[observables.width]
truth = "truth_width"
reco = "reco_width"
bins = 8

[unfolding]
method = "reweight"
iterations = 5
negative_weights = "smooth"

[output]
folder = "out"
page = "page.html"
"""


def events(n, seed, shift, signed=False):
    problem, rng = gaussian_2d(), np.random.default_rng(seed)
    truth = problem.prior.sample(n, rng) + np.array([shift, 0.0])
    reco = problem.smear(truth, rng)
    weight = rng.choice([1.0, 1.0, 1.0, -1.0], n) if signed else np.ones(n)
    columns = {f"truth_{name}": x for name, x in zip(NAMES, truth.T, strict=True)}
    columns |= {f"reco_{name}": x for name, x in zip(NAMES, reco.T, strict=True)}
    columns |= {"kind": np.repeat("a", n), "never": np.zeros(n, bool), "gaps": np.append(np.nan, np.ones(n - 1))}
    # the first event, the one with a gap, is seen
    return pa.table({**columns, "weight": weight, "seen": (reco[:, 0] > -2) | (np.arange(n) == 0)})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unfold")
    background = events(300, 2, 1.5)
    background = background.append_column("share", pa.array(np.full(300, 0.5)))
    signal = events(2000, 1, 0.4)
    tables = {"simulation": events(4000, 0, 0.0, True), "data": signal, "background": background}
    tables |= {"mixed": pa.concat_tables([signal, events(150, 3, 1.5)]), "nothing": signal.slice(0, 0)}
    for name, table in tables.items():
        with TableWriter(folder / f"{name}.parquet") as out:
            out.write(table)
    return folder


def write(folder, text, name="config.toml"):
    (folder / name).write_text(text)
    return folder / name


def test_template_is_a_configuration_with_every_entry(buff, tmp_path):
    result = buff("unfold", "--template")
    assert (result.exit_code, result.stdout) == (0, TEMPLATE)
    config = read_config(write(tmp_path, TEMPLATE))
    assert config.truth == {"mass": "truth_mass", "mult": "truth_mult"}
    # entries behind "#" are right, too
    lines = [
        line.removeprefix("# ") if "=" in line or line.startswith("# [") else line for line in TEMPLATE.splitlines()
    ]
    everything = write(tmp_path, "\n".join(lines[1:]))
    sections = tomllib.loads(everything.read_text())
    assert {"background", "unfolding"} <= set(sections)
    assert read_config(everything).settings.negative_weights == "smooth"


def test_what_comes_out(buff, home):
    pytest.importorskip("matplotlib")
    result = buff("unfold", "-q", write(home, CONFIG))
    assert result.exit_code == 0, result.stderr
    out = home / "out"
    written = [line for line in result.stdout.splitlines() if line.startswith(str(out))]
    names = {"events.parquet", "hepdata", "convergence.png", "page.html"}
    names |= {f"{name}{what}.png" for name in ("mass", "width") for what in ("", "_refolded", "_migration")}
    assert {path.removeprefix(f"{out}/") for path in written} == names
    unfolded = pq.read_table(out / "events.parquet")
    mean = np.average(unfolded["mass"].to_numpy(), weights=unfolded["weight"].to_numpy())
    simulation, data = (pq.read_table(home / f"{name}.parquet") for name in ("simulation", "data"))
    prior = np.average(simulation["truth_mass"].to_numpy(), weights=simulation["weight"].to_numpy())
    nature = data["truth_mass"].to_numpy().mean()
    assert abs(mean - nature) < 0.5 * abs(prior - nature)
    assert (out / "hepdata" / "submission.yaml").exists()
    page = (out / "page.html").read_text()
    assert page.count("<img") == 7
    assert re.search(r"^ +mass +events +error +statistics +regularisation$\n +-2 to -1 +\d+", result.stdout, re.M)
    assert re.search(
        r"^mass, simulated: efficiency 0\.\d\d to .*fakes 0\.00 .*\(purity least from ", result.stdout, re.M
    )
    for heading in ("mass response", "width response", "stability"):
        assert heading in page
    assert "measured events" in page
    assert re.search(
        r"mass: unfolded beside the truth of the data, chi2/n \d+\.\d/5 \(errors of both; no p-value without",
        result.stdout,
    )
    assert "<pre" not in page  # nothing that does not wrap
    headings, captions = (re.findall(rf"<{tag}>(.+?)</{tag}>", page) for tag in ("h2", "figcaption"))
    assert len(captions) == 7
    assert not set(headings) & set(captions)


def test_background_and_draws_of_what_was_only_measured(buff, home):
    pytest.importorskip("matplotlib")
    text = (
        CONFIG.replace('weight = "weight"\n', "").replace("data.parquet", "mixed.parquet").replace("truth = true\n", "")
    )
    section = '[background]\nfile = "background.parquet"\nweight = "share"\npass_reco = "seen"\n'
    section += "uncertainty = 0.2\n\n[unfolding]"
    text = text.replace("[unfolding]", section).replace('"out"', '"mixed"').replace('page = "page.html"', "")
    text = text.replace('"reweight"', '"conditional"\nsamples = 2\nreplicas = { data = 2 }').replace(
        "iterations = 5", ""
    )
    result = buff("unfold", "-q", write(home, text, "mixed.toml"))
    assert result.exit_code == 0, result.stderr
    assert "the normalisation of the background (up and down)" in result.stdout
    assert '"label": "background"' in (home / "mixed" / "hepdata" / "mass.yaml").read_text()
    tables = {
        name: pq.read_table(home / f"{name}.parquet").to_pandas() for name in ("mixed", "background", "simulation")
    }
    measured, expected = tables["mixed"]["seen"].sum(), tables["background"].query("seen")["share"].sum()
    unfolded = pq.read_table(home / "mixed" / "events.parquet").to_pandas()
    assert len(unfolded) == 2 * measured
    # efficiencies go with truth, so that their mean over the simulation says it roughly
    seen = tables["simulation"]["seen"].mean()
    assert unfolded["weight"].sum() == pytest.approx((measured - expected) / seen, rel=0.03)
    assert {"weight_data_0", "weight_data_1"} <= set(unfolded)
    assert (home / "mixed" / "mass_correlations.png").exists()
    assert (home / "mixed" / "hepdata" / "mass_covariance_data.yaml").exists()


def test_units_and_what_lies_beyond_the_bins(buff, home):
    result = buff("unfold", "-q", write(home, CONFIG.replace("[-2, -1, 0, 1, 2, 3]", "[-1, 0, 1]"), "beyond.toml"))
    assert result.exit_code == 0, result.stderr
    unfolded = pq.read_table(home / "out" / "events.parquet")
    mass, weight = unfolded["mass"].to_numpy(), unfolded["weight"].to_numpy()
    beyond, total = weight[(mass < -1) | (mass > 1)].sum(), weight.sum()
    assert f"\n{beyond:,.0f} of {total:,.0f} unfolded events lie beyond the bins of mass.\n" in result.stdout
    assert 0.1 < beyond / total < 0.9
    table = (home / "out" / "hepdata" / "mass.yaml").read_text()
    assert '{"name": "mass", "units": "GeV"}' in table
    value = float(re.search(r'"unfolded events beyond the bins", "value": (.+)\}', table)[1])
    assert value == pytest.approx(beyond)
    assert '{"name": "width"}' in (home / "out" / "hepdata" / "width.yaml").read_text()


def test_nothing_more_than_asked_for(buff, home):
    text = CONFIG.replace('page = "page.html"', 'figures = ""\ntables = ""').replace('"out"', '"less"')
    result = buff("unfold", write(home, text, "less.toml"))
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in (home / "less").iterdir()] == ["events.parquet"]
    assert "4,000 simulated" in result.stderr
    assert "weights negative, policy 'smooth'" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[simulation]", "[simulated]", "sections are simulation, data, background"),
        ('file = "data.parquet"', "", "[data] lacks the entry 'file': see buff unfold --template"),
        ('unit = "GeV"', "unit = 3", "[observables.mass] unit must be of type str, found 3"),
        ('method = "reweight"', 'methods = "reweight"', "[unfolding] entries are method, iterations"),
        ('method = "reweight"', 'method = "omni"', "method must be one of iterated"),
        ('negative_weights = "smooth"', "", "negative values of 4000, the first -1 in row "),
        ('truth = "truth_mass"', 'truth = "mass"', "no column 'mass'; it has truth_mass"),
        ('"reco_width"', '"reco_w"', "no column 'reco_w'; it has truth_mass"),
        (
            "bins = [-2,",
            "bins = [-2, -3,",
            "[observables.mass] bins must be rising edges, found -3 after -2 in [-2, -3",
        ),
        (
            "bins = 8",
            "bins = [8]",
            "[observables.width] bins must be at least two rising edges, all of them numbers, found",
        ),
        (
            "bins = 8",
            "bins = [0, inf]",
            "[observables.width] bins must be at least two rising edges, all of them numbers",
        ),
        ("bins = 8", "bins = 0", "[observables.width] bins must be a whole number of at least 1, or a list of rising"),
        ("bins = 8", 'bins = "8"', "or a list of rising edges, found '8'"),
        (
            "iterations = 5",
            "iterations = -5",
            "[unfolding] iterations must not be negative, or 0 to be chosen, found -5",
        ),
        ("iterations = 5", "seed = -1", "[unfolding] seed must not be negative, found -1"),
        ("iterations = 5", "jobs = 0", "[unfolding] jobs must be at least 1, or -1 for all cores, found 0"),
        ("iterations = 5", "replicas = 1", "[unfolding] replicas of data must be 0 or at least 2, found 1"),
        (
            "iterations = 5",
            "replicas = { dat = 5 }",
            "[unfolding] replicas names data, simulation, model; found ['dat']",
        ),
        ('"smooth"', '"soft"', "[unfolding] negative_weights must be one of error"),
        ('weight = "weight"', "rows = -2", "[simulation] rows must be at least 1, or 0 for all, found -2"),
        (
            "[observables.mass]",
            "[observables.weight]",
            "[observables.weight] has a name that [output] events needs itself",
        ),
        ("[observables.mass]", "[observables.none]\n[observables.mass]", "[observables.none] names no column"),
        ('"truth_mass"', '"kind"', "[observables.mass] truth holds string, which cannot be put in bins"),
        ('reco = "reco_mass"', 'reco = "gaps"', "[data] 1 of 1,978 events that pass lack 'mass'"),
        ('pass_reco = "seen"\ntruth = true', 'pass_reco = "never"', "[data] has no event that passes the selection"),
        ('"page.html"', '"page.pdf"', "[output] page must be a file name that ends in .html, found 'page.pdf'"),
        ('"out"', '"data.parquet"', "[output] folder must be a folder, found the file"),
        ('page = "page.html"', 'figures = "gif"', "[output] figures must be one of png, pdf, svg or empty"),
        ('"page.html"', '""\ntogether = [["mass"]]', "[output] together must be lists of observables, such as"),
        (
            '"page.html"',
            '""\ntogether = [["mass", "pt"]]',
            "[output] together names 'pt': the observables of truth are m",
        ),
        ("[unfolding]", '[alternative.data]\nfile = "data.parquet"\n[unfolding]', "alternative has the name 'data':"),
        ("[data]", "uncertainty = 0.1\n[data]", "[simulation] uncertainty is that of the normalisation of a [back"),
        (
            "[unfolding]",
            '[background]\nfile = "background.parquet"\nuncertainty = 20\n[unfolding]',
            "[background] uncertainty must be from 0 to 1, a share of the background, found 20",
        ),
        ("iterations = 5", "iterations = two", "not TOML"),
        (
            'pass_reco = "seen"\ntruth',
            'pass_reco = "kind"\ntruth',
            "[data] pass_reco, column 'kind', must hold booleans, found 'a'",
        ),
        (
            'pass_reco = "seen"\ntruth',
            'pass_reco = "gaps"\ntruth',
            "[data] pass_reco, column 'gaps', must hold booleans",
        ),
        (
            'pass_reco = "seen"\n\n',
            'pass_truth = "gaps"\n\n',
            "[simulation] pass_truth, column 'gaps', must hold booleans",
        ),
        ('weight = "weight"', 'weight = "kind"', "[simulation] weight: real numbers expected, found dtype"),
        ('"simulation.parquet"', '"nothing.parquet"', "[simulation] nothing.parquet has no events"),
    ],
)
def test_bad_files_are_refused_in_one_line(buff, home, monkeypatch, old, new, message):
    assert old in CONFIG
    monkeypatch.setattr(Unfolder, "fit", lambda *_, **__: pytest.fail("nothing is trained on a bad file"))
    result = buff("unfold", "-q", write(home, CONFIG.replace(old, new, 1), "bad.toml"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.stderr
    assert message in result.stderr


def test_an_observable_of_both_levels_is_needed(buff, home):
    text = CONFIG.replace('truth = "truth_mass"', "").replace('truth = "truth_width"', "")
    result = buff("unfold", write(home, text, "bad.toml"))
    assert result.exit_code == 1
    assert "no observable has a truth column; give one at least" in result.stderr


def test_no_file(buff, tmp_path):
    for words, message in (((), "CONFIG is missing"), ((tmp_path / "none.toml",), "none.toml: no such file")):
        result = buff("unfold", *words)
        assert result.exit_code == 1
        assert message in result.stderr


def test_what_was_learned_unfolds_other_data(buff, home):
    bare = CONFIG.replace('page = "page.html"', 'events = "events.parquet"\ntables = ""\nfigures = ""')
    kept = bare + 'model = "unfolder.buff"\n'
    first = buff("unfold", "-q", write(home, kept, "keep.toml"))
    assert first.exit_code == 0, first.stderr
    model = home / "out" / "unfolder.buff"
    assert first.stdout.splitlines()[-1] == str(model)
    events = (home / "out" / "events.parquet").read_bytes()
    other = bare.replace('file = "simulation.parquet"', 'file = "not_there.parquet"')
    again = buff("unfold", "-q", write(home, other, "again.toml"), "--model", model)
    assert again.exit_code == 0, again.stderr
    assert (home / "out" / "events.parquet").read_bytes() == events
    shown = buff("inspect", model)
    assert shown.exit_code == 0, shown.stderr
    assert "simulated events at truth level" in shown.stdout
    fewer = bare.replace('truth = "truth_width"\n', "")
    refused = buff("unfold", "-q", write(home, fewer, "fewer.toml"), "--model", model)
    assert refused.exit_code != 0
    assert "truth observables ['mass', 'width'], found ['mass']" in refused.stderr


def test_other_bins_from_a_kept_result(buff, home):
    pytest.importorskip("matplotlib")
    bare = CONFIG.replace('page = "page.html"', 'result = "result.buff"').replace('"out"', '"kept"')
    first = buff("unfold", "-q", write(home, bare, "kept.toml"))
    assert first.exit_code == 0, first.stderr
    kept = home / "kept" / "result.buff"
    assert first.stdout.splitlines()[-1] == str(kept)
    other = bare.replace('file = "simulation.parquet"', 'file = "not_there.parquet"').replace('"kept"', '"other"')
    same = buff("unfold", "-q", write(home, other, "same.toml"), "--result", kept)
    assert same.exit_code == 0, same.stderr
    for name in ("events.parquet", "hepdata/mass.yaml"):
        assert (home / "kept" / name).read_bytes() == (home / "other" / name).read_bytes()
    assert (home / "other" / "mass.png").exists()  # its layout differs by a fraction of a pixel with old matplotlib
    assert not (home / "other" / "hepdata" / "mass_width.yaml").exists()
    other += 'together = [["mass", "width"]]\nnormalise = true\n'
    wider = write(home, other.replace("[-2, -1, 0, 1, 2, 3]", "[-2, 0, 3]"), "wider.toml")
    shape = buff("unfold", "-q", wider, "--result", kept)
    assert shape.exit_code == 0, shape.stderr
    assert re.search(r"mass: unfolded beside the shape of the truth of the data, chi2/n \d+\.\d/1 ", shape.stdout)
    table = (home / "other" / "hepdata" / "mass_normalised.yaml").read_text()
    shares = [float(x) for x in re.findall(r"value: (.+)", table)]
    assert shares[0] + shares[1] == pytest.approx(1)
    assert shares[2] == pytest.approx(shares[0] / 2, rel=1e-4)
    assert '{"name": "1/sigma dsigma/d(mass)", "units": "1/GeV"}' in table
    assert (home / "other" / "hepdata" / "mass.yaml").read_text().count('"low"') == 2
    both = (home / "other" / "hepdata" / "mass_width.yaml").read_text()
    assert both.count('"low"') == 2 * 2 * 8
    refused = buff("unfold", "-q", wider, "--model", kept)
    assert refused.exit_code != 0
    assert "holds a UnfoldingResult: --model and --alternative take" in refused.stderr
    assert "goes with neither" in buff("unfold", "-q", wider, "--result", kept, "--model", kept).stderr


def test_an_alternative_has_the_entries_of_the_simulation_unless_told(tmp_path):
    text = CONFIG.replace("[unfolding]", '[alternative]\nfile = "other.parquet"\npass_truth = "kept"\n\n[unfolding]')
    other = read_config(write(tmp_path, text)).samples["alternative"]
    assert (other.file, other.weight, other.pass_reco, other.pass_truth) == ("other.parquet", "weight", "seen", "kept")


def test_an_alternative_is_a_source_of_the_errors(buff, home):
    text = CONFIG.replace('page = "page.html"', 'model = "unfolder.buff"').replace('"out"', '"two"')
    section = '[alternative]\nfile = "mixed.parquet"\nweight = ""\n\n[unfolding]'  # flags as in [simulation]
    both = buff("unfold", "-q", write(home, text.replace("[unfolding]", section), "two.toml"))
    assert both.exit_code == 0, both.stderr
    assert "(1 alternative)" in both.stdout
    assert "simulation (see alternative" not in both.stdout
    table = (home / "two" / "hepdata" / "mass_covariance_alternative.yaml").read_text()
    assert "covariance" in table
    named = section.replace("[alternative]", "[alternative.herwig]")
    text_of_both = text.replace("[unfolding]", named).replace('"two"', '"named"')
    under = buff("unfold", "-q", write(home, text_of_both, "named.toml"))
    assert "(1 alternative: herwig)" in under.stdout, under.stderr
    renamed = (home / "named" / "hepdata" / "mass_covariance_herwig.yaml").read_text()
    assert renamed == table
    assert '"label": "herwig"' in (home / "named" / "hepdata" / "mass.yaml").read_text()
    alone = buff("unfold", "-q", write(home, text, "one.toml"), "--alternative", home / "two" / "unfolder.buff")
    assert "(1 alternative)" in alone.stdout
    model = f"powheg={home / 'two' / 'unfolder.buff'}"
    assert "(1 alternative: powheg)" in buff("unfold", "-q", home / "one.toml", "--alternative", model).stdout
    without = buff("unfold", "-q", write(home, text, "one.toml"))
    assert "For covariances and errors of 8 bins, write replicas = { data = 80, simulation = 10 }" in without.stdout
    assert (
        "Errors hold the Poisson fluctuation of the simulated weights, the difference of further iterations."
        in without.stdout
    )
    assert "the dependence on the simulation (see alternative: none was given)" in without.stdout


def test_closure_and_stress_print_and_draw(buff, home):
    section = '[alternative]\nfile = "mixed.parquet"\nweight = ""\n\n[unfolding]'  # flags as in [simulation]
    config = write(home, CONFIG.replace('"out"', '"closure"').replace("[unfolding]", section), "closure.toml")
    plain = buff("unfold", "-q", config, "--closure", 2)
    assert plain.exit_code == 0, plain.stderr
    assert "measured events or more each, iterations: 5" in plain.stdout
    assert re.search(r"^mass\nbin +truth +bias +\+- +scatter +error +pull +coverage\n-2 to -1 ", plain.stdout, re.M)
    assert (home / "closure" / "closure.png").stat().st_size > 1000
    other = buff("unfold", "-q", config, "--closure", 2, "--stress", "alternative")
    assert other.exit_code == 0, other.stderr
    assert other.stdout != plain.stdout


def test_iterations_are_scanned(buff, home):
    config = write(
        home, CONFIG.replace('"out"', '"scan"').replace("iterations = 5", "replicas = { data = 4 }"), "scan.toml"
    )
    found = buff("unfold", "-q", config, "--scan", 3)
    assert found.exit_code == 0, found.stderr
    assert re.search(r"^mass\n +iteration +moved +refolded +error +correlation +truth\n +1 ", found.stdout, re.M)
    assert found.stdout.count("\n           3 ") == 2
    assert "(4 replicas)" in found.stdout
    assert sorted(path.name for path in (home / "scan").iterdir()) == ["scan.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--closure", 1), "--closure must be at least 2, found 1"),
        (("--stress", "weight"), "--stress bends the pseudo-data of --closure"),
        (("--closure", 2, "--stress", "alternative"), r"needs a section \[alternative\]; the file has none"),
        (("--closure", 2, "--model", "unfolder.buff"), "--closure fits anew"),
        (("--scan", 3, "--result", "result.buff"), "--scan unfolds iteration by iteration: it goes with neither"),
        (("--scan", 0), "--scan must be at least 1, found 0"),
    ],
)
def test_closures_that_cannot_be_made_are_refused(buff, home, options, message):
    found = buff("unfold", "-q", write(home, CONFIG), *options)
    assert found.exit_code != 0
    assert re.search(message, found.stderr)
