"""Every kind of column through its encoder, and three new kinds by the steps that CONTRIBUTING.md names."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import buff
from buff.errors import ArchiveError, ExportError
from buff.metrics import report
from buff.tables import infer_schema, read
from buff.tables.kinds import KINDS, ColumnKind, numbers_of
from buff.transforms import ConditionEncoder
from buff.transforms.encoders import ColumnEncoder, NumberEncoder, RankedEncoder
from buff.transforms.quantile_map import QuantileMap
from buff.transforms.registry import ENCODERS, unpack
from buff.transforms.transformer import encoder_of

RNG = np.random.default_rng(0)
N = 600
VALUES = {
    "constant": np.full(N, 3),
    "continuous": RNG.normal(size=N),
    "integer": RNG.poisson(2, N),
    "datetime": np.datetime64("2024-01-01") + RNG.integers(0, 90, N).astype("m8[D]"),
    "categorical": RNG.choice(["a", "b", "c"], N),
    "boolean": RNG.random(N) < 0.3,
    "positive": RNG.exponential(size=N),
    "logged": RNG.exponential(size=N),
    "money": np.array([f"${v:,.2f}" for v in RNG.exponential(2000.0, N)], dtype=object),
}
QUICK = {"n_steps": 3, "noise_budget": 3000, "n_estimators": 3, "random_state": 0}


@dataclass(frozen=True)
class PositiveEncoder(ColumnEncoder):
    """Logarithms as Gaussian scores: no ranks."""

    type, is_number, is_smooth = "positive", True, True
    name: str
    dtype: str
    mean: float
    width: float

    @classmethod
    def fit(cls, schema, values, weights, n_knots, bandwidth):
        logs = np.log(values)
        return cls(schema.name, values.dtype.str, float(logs.mean()), float(logs.std()))

    def encode(self, values, place=0.5):
        return ((np.log(values) - self.mean) / self.width).astype(np.float32)[:, None]

    def decode(self, z):
        return np.exp(self.mean + self.width * z[:, 0]).astype(self.dtype)


class LoggedEncoder(NumberEncoder):
    """Logarithms by their ranks."""

    type = "logged"

    def to_numbers(self, values):
        return np.log(super().to_numbers(values))

    def restored(self, x):
        return super().restored(np.exp(x))

    def log_stretch(self, values):
        return -np.log(values)


def dollars(text):
    return float(text.removeprefix("$").replace(",", ""))


@dataclass(frozen=True)
class MoneyEncoder(RankedEncoder):
    """Texts like "$1,234.50", by the ranks of their numbers."""

    type, is_number = "money", True
    name: str
    dtype: str
    ranks: QuantileMap

    @classmethod
    def fit(cls, schema, values, weights, n_knots, bandwidth):
        ranks = QuantileMap.fit(
            numbers_of(schema.name, "money", values), weights, n_knots=n_knots, lower=schema.lower, upper=schema.upper
        )
        return cls(schema.name, values.dtype.str, ranks)

    def to_numbers(self, values):
        return numbers_of(self.name, "money", values)

    def restored(self, x):
        return np.array([None if np.isnan(v) else f"${v:,.2f}" for v in x], dtype=object)


@pytest.fixture
def new_kinds(monkeypatch):
    """CONTRIBUTING.md, "a kind of column": the name of the kind, and its encoder."""
    monkeypatch.setitem(KINDS, "positive", ColumnKind("iuf"))
    monkeypatch.setitem(KINDS, "logged", ColumnKind("iuf"))
    monkeypatch.setitem(KINDS, "money", ColumnKind("O", number=dollars))
    monkeypatch.setitem(ENCODERS, "money", MoneyEncoder)
    monkeypatch.setitem(ENCODERS, "positive", PositiveEncoder)
    monkeypatch.setitem(ENCODERS, "logged", LoggedEncoder)


def table(kind):
    return pd.DataFrame({"e": VALUES[kind], "x": VALUES["continuous"]})


def test_every_kind_has_an_encoder():
    assert set(ENCODERS) == set(KINDS)


@pytest.mark.parametrize("order", [None, "onehot"])
@pytest.mark.parametrize("kind", VALUES)
def test_encoders_keep_their_contract(new_kinds, kind, order):
    if order and kind != "categorical":
        pytest.skip("numbers have no order of labels")
    override = {"kind": kind} | ({"order": order} if order else {})
    columns = read(table(kind))
    column = infer_schema(columns, {} if kind == "constant" else {"e": override})[0]
    if encoder_of(column).needs_order:
        column = infer_schema(columns, {"e": {"kind": kind, "order": sorted(set(columns.arrays[0].tolist()))}})[0]
    values = columns.arrays[0]
    encoder = encoder_of(column).fit(column, values, None, 100, 0.0)
    z = encoder.encode(values)
    assert z.dtype == np.float32
    assert z.shape == (N, len(encoder.names))
    assert np.isfinite(z).all()
    back = encoder.decode(z)
    assert back.dtype == values.dtype
    if kind == "money":
        values, back = (np.array([*map(dollars, texts)]) for texts in (values, back))
    if np.dtype(values.dtype).kind == "f":
        assert np.allclose(back, values, rtol=0.2, atol=0.05 * max(1.0, values.std()))
    else:
        assert (back == values).all()
    assert not (encoder.is_number and encoder.is_label)
    assert bool(encoder.levels) == encoder.is_label
    record, arrays = encoder.pack()
    again = unpack(json.loads(json.dumps(record)), arrays)
    assert type(again) is type(encoder)
    assert np.array_equal(again.decode(z), encoder.decode(z))


@pytest.mark.parametrize("kind", ["positive", "logged"])
def test_a_new_kind_is_learned_kept_and_given(new_kinds, tmp_path, kind):
    model = buff.BUFF(**QUICK, schema={"e": kind}).fit(table(kind))
    assert type(model.space_.encoders_[0]) is ENCODERS[kind]
    assert model.space_.smooth.tolist() == [True, True]
    events = model.sample(50)
    assert (events["e"] > 0).all()
    model.save(tmp_path / "m.buff")
    assert buff.load(tmp_path / "m.buff").sample(50).equals(events)
    for form in ("cpp", "onnx"):
        with pytest.raises(ExportError, match=f"column 'e': {ENCODERS[kind].__name__} cannot be exported"):
            model.export(tmp_path / form, format=form)
    conditional = buff.BUFF(**QUICK).fit(table(kind)[["x"]], condition=table(kind)[["e"]])
    assert conditional.sample(3, condition={"e": 2.0}).shape == (3, 1)


def test_encoders_of_one_type_are_refused_when_a_file_is_read(new_kinds, monkeypatch):
    model = buff.BUFF(**QUICK, schema={"e": "positive"}).fit(table("positive"))
    monkeypatch.setitem(ENCODERS, "twin", type("TwinEncoder", (NumberEncoder,), {}))
    with pytest.raises(TypeError, match="TwinEncoder and NumberEncoder are both of type 'number' in files"):
        buff.BUFF.from_archive(model.to_archive())


def test_values_and_bounds_without_a_number_are_refused_when_fitted(new_kinds):
    rows = table("logged")
    with np.errstate(divide="ignore", invalid="ignore"):
        with pytest.raises(ValueError, match=r"column 'e' holds 0.0, for which its kind has no finite number"):
            buff.BUFF(**QUICK, schema={"e": {"kind": "logged", "lower": 0.0}}).fit(rows)
        model = buff.TreeDensity(schema={"e": "logged"}, n_estimators=3, random_state=0).fit(rows)
        rows.loc[5, "e"] = -2.0
        with pytest.raises(ValueError, match=r"column 'e' holds -2.0, for which its kind has no finite number"):
            buff.BUFF(**QUICK, schema={"e": "logged"}).fit(rows)
        with pytest.raises(ValueError, match=r"column 'e' holds -2.0, for which its kind has no finite number"):
            model.score_samples(rows)


@pytest.mark.parametrize("model", [buff.BUFF(**QUICK, given="any"), buff.TreeDensity(), buff.BUFFImputer()])
def test_chains_take_kinds_with_ranks_and_say_so(new_kinds, model):
    with pytest.raises(NotImplementedError, match="column 'e' has no density: PositiveEncoder is no RankedEncoder"):
        model.set_params(schema={"e": "positive"}).fit(table("positive"))
    model.set_params(schema={"e": "logged"}, n_estimators=3).fit(table("logged"))


def test_a_new_kind_with_ranks_is_completed(new_kinds):
    rows = table("logged")
    rows.loc[:20, "x"] = np.nan
    filled = buff.BUFFImputer(schema={"e": "logged"}, n_estimators=3, random_state=0).fit(rows).transform(rows)
    assert not filled.isna().any(axis=None)
    assert (filled["e"] == rows["e"]).all()
    model = buff.BUFF(**QUICK, given="any", schema={"e": "logged"}).fit(table("logged"))
    assert (model.sample(5, given={"x": 0.1})["e"] > 0).all()


def test_densities_of_a_new_kind_are_in_its_own_unit(new_kinds):
    rows = table("logged")
    own, logs = buff.TreeDensity(n_estimators=3, random_state=0), rows.assign(e=np.log(rows["e"]))
    expected = clone(own).fit(logs).score_samples(logs[:50]) - logs["e"][:50]
    found = own.set_params(schema={"e": "logged"}).fit(rows).score_samples(rows[:50])
    assert np.allclose(found, expected, atol=0.02)


def test_an_encoder_of_another_version_names_the_column_and_the_remedy():
    column = {"name": "price", "type": "money", "dtype": "|O"}
    with pytest.raises(ArchiveError, match="column 'price' has an encoder of type 'money'.*the version of buff"):
        unpack(column, {})
    with pytest.raises(ArchiveError, match="column 'price' has an encoder of type"):
        unpack(column | {"type": ["number"]}, {})


def test_a_new_kind_of_text_is_a_number_wherever_it_is_asked(new_kinds, tmp_path):
    rows = table("money")
    model = buff.BUFF(**QUICK, schema={"e": {"kind": "money", "lower": 0}}).fit(rows)
    column = model.schema_[0]
    assert (column.kind, column.lower) == ("money", 0.0)
    assert [float(end) for end in column.summary.split(" .. ")] == pytest.approx(
        [min(map(dollars, rows["e"])), max(map(dollars, rows["e"]))], rel=0.01
    )
    events = model.sample(200)
    assert events["e"].map(dollars).ge(0).all()
    model.save(tmp_path / "m.buff")
    assert buff.load(tmp_path / "m.buff").sample(200).equals(events)
    found = report(rows, events, schema=model.schema_, classifiers=(), floor=False)
    score = next(own for own in found.scores.columns if own.name == "e")
    assert score.kind == "money"
    assert np.isfinite(score.outside)
    rows.loc[:20, "e"] = None
    filled = buff.BUFFImputer(schema={"e": "money"}, n_estimators=3, random_state=0).fit(rows).transform(rows)
    assert filled["e"].map(dollars).ge(0).all()
    assert (filled["e"] == rows["e"])[21:].all()


def test_labels_are_drawn_given_a_number_that_is_written_as_text(new_kinds):
    e = np.random.default_rng(0).uniform(5, 2000, N)
    rows = pd.DataFrame({"e": [f"${v:,.2f}" for v in e], "k": np.where(e < 1000, "low", "high")})
    encoder = ConditionEncoder({"e": "money"}).fit(rows)
    normals = np.random.default_rng(1).standard_normal((500, encoder.n_normals))
    for text, low, high in (("$90.00", 0.0, 0.02), ("$1,000.00", 0.2, 0.8), ("$1,500.00", 0.98, 1.0)):
        drawn = encoder.restore(encoder.complete({"e": text}, normals))
        assert (drawn["e"] == text).all()
        assert low <= (drawn["k"] == "high").mean() <= high  # as a text, "$1,000" is below "$999"
    assert encoder.restore(encoder.complete({"k": "low"}, normals))["e"].map(dollars).lt(1020).mean() > 0.98


def test_texts_that_are_no_numbers_are_named_with_their_column(new_kinds, monkeypatch):
    rows = table("money")
    rows.loc[3, "e"] = "plenty"
    with pytest.raises(ValueError, match="column 'e' holds 'plenty', which is not money"):
        buff.BUFF(**QUICK, schema={"e": "money"}).fit(rows)
    monkeypatch.setitem(KINDS, "money", ColumnKind("O"))
    with pytest.raises(ValueError, match="column 'e' holds .*its kind 'money' does not say for which number"):
        buff.BUFF(**QUICK, schema={"e": "money"}).fit(table("money"))


def test_a_schema_of_an_unknown_kind_is_told_from_the_file(new_kinds, monkeypatch, tmp_path):
    buff.BUFF(**QUICK, schema={"e": "money"}).fit(table("money")).save(tmp_path / "m.buff")
    monkeypatch.delitem(KINDS, "money")
    monkeypatch.delitem(ENCODERS, "money")
    with pytest.raises(ArchiveError, match="column 'e' .*load the file with the version of buff that wrote it"):
        buff.load(tmp_path / "m.buff")
