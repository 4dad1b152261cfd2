import json

import numpy as np
import pandas as pd
import pytest

from buff.errors import ArchiveError
from buff.tables import Schema, Template, infer_schema, read


@pytest.fixture
def columns():
    return read(
        pd.DataFrame(
            {
                "mass": [80.1, 91.2, 125.3, np.nan],
                "count": [1.0, 2.0, np.nan, 5.0],
                "charge": [1, -1, 1, 1],
                "quality": ["loose", "tight", "medium", "tight"],
                "grade": pd.Categorical(["b", "a", "b", "a"], categories=["b", "a"], ordered=True),
                "trigger": [True, False, True, True],
                "when": pd.to_datetime(["2011-03-01", "2011-04-02", "2011-05-03", "2011-05-03"]),
                "took": pd.to_timedelta([1, 2, 3, 4], unit="s"),
                "energy": 13.0,
                "empty": np.nan,
            }
        )
    )


def test_kinds(columns):
    kinds = {column.name: column.kind for column in infer_schema(columns)}
    assert kinds == {
        "mass": "continuous",
        "count": "integer",
        "charge": "integer",
        "quality": "categorical",
        "grade": "categorical",
        "trigger": "boolean",
        "when": "datetime",
        "took": "datetime",
        "energy": "constant",
        "empty": "constant",
    }


def test_defaults_and_overrides(columns):
    schema = infer_schema(
        columns,
        {
            "charge": "categorical",
            "mass": {"lower": 0, "tails": "extrapolate"},
            "quality": {"order": ["loose", "medium", "tight", "never"]},
            "count": {"kind": "continuous", "upper": 9.5},
            "when": {"lower": "2011-01-01"},
        },
        categories="frequency",
    )
    assert schema["charge"].kind == "categorical"
    assert schema["charge"].order == "frequency"
    assert (schema["mass"].lower, schema["mass"].tails) == (0.0, "extrapolate")
    assert schema["quality"].order == ("loose", "medium", "tight")
    assert (schema["count"].kind, schema["count"].upper, schema["count"].tails) == ("continuous", 9.5, "clip")
    assert schema["grade"].order == ("b", "a")
    assert schema["trigger"].order == "lexical"
    assert schema["when"].lower.startswith("2011-01-01")
    assert schema["mass"].missing == 0.25
    unit = np.timedelta64(1, np.datetime_data(columns.arrays[7].dtype)[0])
    upper = infer_schema(columns, {"took": {"upper": np.timedelta64(9000, "ms")}})["took"].upper
    assert upper * unit == np.timedelta64(9, "s")


def test_prints_as_an_aligned_table(columns):
    lines = repr(infer_schema(columns)).split("\n")
    assert len(lines) == 11
    start = lines[0].index("kind")
    assert all(line[start - 1] == " " and line[start] != " " for line in lines)
    assert "3: 'loose', 'medium', 'tight'" in lines[4]
    assert "2011-03 .. 2011-05" in lines[7]


def test_lookup(columns):
    schema = infer_schema(columns)
    assert schema["mass"] == schema[0]
    assert len(schema) == 10
    with pytest.raises(KeyError, match="no column 'weight'; the columns are"):
        schema["weight"]


def test_json_round_trip(columns):
    schema = infer_schema(columns, {"quality": {"order": ("tight", "medium", "loose")}})
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"pt": "integer"}, r"unknown columns \['pt'\]; the columns are \['mass', 'count'"),
        ({"mass": "float"}, "kind of column 'mass' must be one of continuous, integer.*, found 'float'"),
        ({"mass": {"bound": 3}}, r"unknown keys \['bound'\]; the keys are \['kind', 'lower'"),
        ({"mass": {"kind": ["float"]}}, r"kind of column 'mass' must be one of .*, found \['float'\]"),
        ({"mass": {"tails": "heavy"}}, "tails of column 'mass' must be one of clip, extrapolate, found 'heavy'"),
        ({"quality": {"order": "best"}}, "order of column 'quality' must be one of"),
        (
            {"quality": {"order": ["loose", "tight"]}},
            r"order of column 'quality' lacks the levels \['medium'\]",
        ),
        ({"mass": {"order": "lexical"}}, "'mass' is continuous and has no order"),
        ({"mass": "integer"}, "'mass' is not integer: it holds 80.1"),
        ({"mass": "boolean"}, "'mass' is not boolean"),
        ({"mass": "datetime"}, "'mass' holds 80.1 and cannot be datetime"),
        ({"quality": "continuous"}, "'quality' holds 'loose' and cannot be continuous"),
        ({"when": "categorical"}, "'when' holds .* and cannot be categorical"),
        ({"mass": "constant"}, "'mass' is not constant"),
        ({"mass": {"lower": 90}}, "'mass' holds 80.1, below lower = 90"),
        ({"mass": {"upper": 90}}, "'mass' holds 125.3, above upper = 90"),
        ({"mass": {"lower": 3, "upper": 2}}, "lower = 3.0 must be below upper = 2.0"),
        ({"mass": {"upper": np.inf}}, "upper bound of column 'mass' must be finite"),
        ({"when": {"upper": "2011-05-01"}}, "'when' holds 2011-05-03.*above upper"),
        ({"quality": {"lower": 1}}, "'quality' is categorical and takes no lower bound"),
    ],
)
def test_bad_overrides(columns, overrides, message):
    with pytest.raises(ValueError, match=message):
        infer_schema(columns, overrides)


def test_bad_choices(columns):
    with pytest.raises(TypeError, match="schema of column 'mass' must be a kind or a mapping, found 3"):
        infer_schema(columns, {"mass": 3})
    with pytest.raises(ValueError, match="tails must be one of .*found 'none'"):
        infer_schema(columns, tails="none")
    with pytest.raises(ValueError, match=r"categories must be one of lexical.*, found 'ordinal'"):
        infer_schema(columns, categories="ordinal")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "no name"),
        ({"missing": 2.0}, "share of missing values is 2.0"),
    ],
)
def test_schemas_of_files_are_checked(change, message):
    record = infer_schema(read([[0.5], [1.5]])).to_dict()
    assert Schema.from_dict(record).to_dict() == record
    with pytest.raises(ArchiveError, match=message):
        Schema.from_dict([record[0] | change])
    with pytest.raises(ArchiveError, match="lacks kind"):
        Schema.from_dict([{key: value for key, value in record[0].items() if key != "kind"}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["a", "b"]}, "dtypes of columns has 1 entries, not 2"),
        ({"dtypes": [3]}, "dtypes of columns holds 3"),
        ({"schema": None}, "no container"),
    ],
)
def test_templates_of_files_are_checked(change, message):
    template = read([[0.5], [1.5]]).template
    assert Template.from_dict(template.to_dict()) == template
    with pytest.raises(ArchiveError, match=message):
        Template.from_dict(template.to_dict() | change)


def test_two_labels_may_be_a_boolean_and_three_may_not():
    two = infer_schema(read({"flag": ["yes", "no", "yes"]}), {"flag": "boolean"})
    assert two["flag"].kind == "boolean"
    with pytest.raises(ValueError, match="flag"):
        infer_schema(read({"flag": ["yes", "no", "perhaps"]}), {"flag": "boolean"})
