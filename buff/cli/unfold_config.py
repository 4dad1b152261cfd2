"""The file that ``buff unfold`` reads."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["TEMPLATE", "Config", "ObservableSection", "Output", "SampleSection", "Settings", "read_config"]

TEMPLATE = """\
# buff unfold CONFIG: paths are relative to the folder of this file. Lines that start with "#" are optional.

[simulation]                      # events known at truth and at detector level
file = "simulation.parquet"       # parquet, CSV, HDF5, feather, NPZ or ROOT (file.root:tree)
# weight = "weight"               # column of event weights
# pass_truth = "pass_truth"       # columns of flags: the event passes the selection at this level
# pass_reco = "pass_reco"
# rows = 100000                   # the first rows only

[data]                            # measured events
file = "data.parquet"
# weight = "weight"
# pass_reco = "pass_reco"         # column of flags, if the file has events that fail the selection
# truth = true                    # pseudo-data: the file has the truth columns too, and figures compare with them
# pass_truth = "pass_truth"
# rows = 100000

# [background]                    # events whose weights sum to the background expected among the data
# file = "background.parquet"
# weight = "weight"
# uncertainty = 0.1               # of its normalisation, relative: a source of the errors

# [alternative]                   # another simulation: its difference is a source of the errors, at the cost of a fit
# file = "other_generator.parquet"    # weight, pass_truth and pass_reco are as in [simulation], unless told ("": none)

# [alternative.herwig]            # and others, each a source of the errors under its name
# file = "herwig.parquet"

[observables.mass]                # one section for each column; the name is yours
truth = "truth_mass"              # column of the simulation; leave it out for what is measured only
reco = "reco_mass"                # column of simulation, data and background; leave it out for what is true only
unit = "GeV"
bins = [0, 5, 10, 15, 20, 25, 30, 40, 50]   # rising edges, or a number of bins; 30 unless told

[observables.mult]
truth = "truth_mult"
reco = "reco_mult"
bins = 20                         # whole numbers get 20 bins at most, each with as many whole numbers

[unfolding]
method = "iterated"               # iterated, conditional, bridge or reweight
# iterations = 5                  # until truth moves no more, unless told
# samples = 20                    # draws of truth for each measured event
# replicas = { data = 50, simulation = 10, model = 5 }   # behind covariances; model is seeds; a number is for all.
#                                 # Each replica repeats the unfolding: up to (1 + all replicas) x the time. One run of
#                                 # 3,000 events took 16 s of CPU without and 144 s with replicas = 5.
# negative_weights = "smooth"     # error, smooth or cancel, for weights of both signs
# seed = 0
# jobs = 1

[output]
folder = "unfolded"
events = "events.parquet"         # unfolded events with their weights; "" for none
tables = "hepdata"                # folder of tables in the format of HEPData; "" for none
# together = [["mass", "mult"]]   # observables that have tables together, too, one axis each
# normalise = true                # 1/sigma dsigma/dx: in figures, and tables of its own with its covariances
# keywords = { reactions = ["P P --> JET X"], cmenergies = [13000.0] }   # of the tables
figures = "png"                   # png, pdf or svg; "" for none
# page = "unfolded.html"          # a page with all figures
# model = "unfolder.buff"         # what was learned, with the simulated events, for --model and buff.load
# result = "result.buff"          # what came out, for other bins and figures by --result, and for buff.load
"""


@dataclass(frozen=True)
class SampleSection:
    """A table of events."""

    file: str
    weight: str = ""
    pass_truth: str = ""
    pass_reco: str = ""
    truth: bool = False
    rows: int = 0
    uncertainty: float = 0.0


@dataclass(frozen=True)
class ObservableSection:
    """A quantity, and where it stands at both levels."""

    truth: str = ""
    reco: str = ""
    unit: str = ""
    bins: Any = 30


@dataclass(frozen=True)
class Settings:
    """How to unfold; 0 leaves the choice to :class:`buff.Unfolder`."""

    method: str = "iterated"
    iterations: int = 0
    samples: int = 0
    replicas: Any = 0
    negative_weights: str = "error"
    seed: int = 0
    jobs: int = 1


@dataclass(frozen=True)
class Output:
    """What to write."""

    folder: str
    events: str = "events.parquet"
    tables: str = "hepdata"
    figures: str = "png"
    page: str = ""
    model: str = ""
    result: str = ""
    together: Any = ()
    normalise: bool = False
    keywords: Any = None

    @property
    def binned(self) -> bool:
        """Whether anything of it needs bins."""
        return bool(self.tables or self.figures or self.page)


@dataclass(frozen=True)
class Config:
    """All of it."""

    home: Path
    simulation: SampleSection
    data: SampleSection
    background: SampleSection | None
    alternatives: Mapping[str, SampleSection]
    observables: Mapping[str, ObservableSection]
    settings: Settings
    output: Output

    @property
    def samples(self) -> dict[str, SampleSection]:
        """Tables by their sections."""
        further = {"background": self.background} if self.background else {}
        return {"simulation": self.simulation, "data": self.data, **further, **self.alternatives}

    @property
    def truth(self) -> dict[str, str]:
        """Columns of truth by the names of their observables."""
        return {name: o.truth for name, o in self.observables.items() if o.truth}

    @property
    def reco(self) -> dict[str, str]:
        """Columns of reco by the names of their observables."""
        return {name: o.reco for name, o in self.observables.items() if o.reco}


_SECTIONS = ("simulation", "data", "background", "alternative", "observables", "unfolding", "output")
#: Entries that another simulation takes from the first.
_INHERITED = ("weight", "pass_truth", "pass_reco")
_FIGURES = ("", "png", "pdf", "svg")


def read_config(path: Path) -> Config:
    """Read and check a file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError, TypeError
        Not TOML, a section or an entry that is missing, unknown or of the wrong type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML ({error})") from error
    _known(content, _SECTIONS, f"{path}: sections")
    _required(content, ("simulation", "data", "observables", "output"), str(path), "section")
    if not isinstance(content["observables"], Mapping):
        raise TypeError(f"{path}: write observables as sections [observables.NAME]; found {content['observables']!r}")
    observables = {
        name: _record(ObservableSection, entry, f"observables.{name}") for name, entry in content["observables"].items()
    }
    background = content.get("background")
    config = Config(
        path.parent,
        _record(SampleSection, content["simulation"], "simulation"),
        _record(SampleSection, content["data"], "data"),
        None if background is None else _record(SampleSection, background, "background"),
        _alternatives(content.get("alternative"), content["simulation"]),
        observables,
        _record(Settings, content.get("unfolding", {}), "unfolding"),
        _record(Output, content["output"], "output"),
    )
    for level, columns in (("truth", config.truth), ("reco", config.reco)):
        if not columns:
            raise ValueError(f"{path}: no observable has a {level} column; give one at least")
    if config.output.figures not in _FIGURES:
        raise ValueError(f"[output] figures must be one of png, pdf, svg or empty, found {config.output.figures!r}")
    return config


def _alternatives(given: Any, simulation: Any) -> dict[str, SampleSection]:
    """Other simulations by section, one without a name and those with one; what they lack is as in the first."""
    if given is None:
        return {}
    entries = given if isinstance(given, Mapping) else {}
    sections: dict[str, Any] = {f"alternative.{k}": own for k, own in entries.items() if isinstance(own, Mapping)}
    alone = {k: own for k, own in entries.items() if not isinstance(own, Mapping)}
    if alone or not sections:
        sections["alternative"] = alone if isinstance(given, Mapping) else given
    inherited = {name: simulation[name] for name in _INHERITED if name in simulation}
    return {
        section: _record(SampleSection, inherited | dict(own) if isinstance(own, Mapping) else own, section)
        for section, own in sections.items()
    }


def _record(kind: Any, entries: Any, section: str) -> Any:
    if not isinstance(entries, Mapping):
        raise TypeError(f"[{section}] must be a section, found {entries!r}")
    known = {f.name: f for f in fields(kind)}
    _known(entries, known, f"[{section}] entries")
    _required(entries, [name for name, f in known.items() if f.default is MISSING], f"[{section}]", "entry")
    for name, value in entries.items():
        wanted: Any = known[name].type
        if (wanted in (str, int, bool) and type(value) is not wanted) or (
            wanted is float and type(value) not in (int, float)
        ):
            raise TypeError(f"[{section}] {name} must be of type {wanted.__name__}, found {value!r}")
    return kind(**entries)


def _known(entries: Any, names: Any, what: str) -> None:
    for name in entries:
        if name not in names:
            raise ValueError(f"{what} are {', '.join(names)}; found {name!r}")


def _required(entries: Any, names: Any, where: str, what: str) -> None:
    for name in names:
        if name not in entries:
            raise ValueError(f"{where} lacks the {what} {name!r}: see buff unfold --template")
