"""Text files as people have them: read as meant, or refused with the option that decides."""

import re
import warnings
from datetime import date

import pytest

from buff.errors import TableNotice
from buff.io import TextOptions, column_names, read_table


def write(folder, text, name="t.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return folder / name


def read(folder, text, notice="", options=None, **more):
    path = write(folder, text, **more)
    if not notice:
        return read_table(path, options=options).to_pydict()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = read_table(path, options=options).to_pydict()
    assert all(one.category is TableNotice and str(one.message).startswith(str(path)) for one in told)
    assert any(re.search(notice, str(one.message)) for one in told)
    return found


@pytest.mark.parametrize(
    ("text", "notice", "expected"),
    [
        ("a;b\n1;2.5\n3;4.5\n", "separated by ';'", {"a": [1, 3], "b": [2.5, 4.5]}),
        ("a;b\n0,5;x\n1,25;y\n", "read as numbers with a decimal comma", {"a": [0.5, 1.25], "b": ["x", "y"]}),
        ("a;b\n1.234,5;x\n1,25;y\n", "decimal comma", {"a": [1234.5, 1.25], "b": ["x", "y"]}),
        ("a\tb\n1\tx\n2\ty\n", r"separated by '\\t'", {"a": [1, 2], "b": ["x", "y"]}),
        ("a|b\n1|x\n2|y\n", r"separated by '\|'", {"a": [1, 2], "b": ["x", "y"]}),
        ("p,q\n$3.50,12.1%\n$4,-\n", "without signs of currency", {"p": [3.5, 4.0], "q": [12.1, None]}),
        ("p\n-$3.50\n€ 2\n7 EUR\n", "without signs of currency", {"p": [-3.5, 2.0, 7.0]}),
        ('p\n"1,234.00"\n"12,345,678.5"\n3\n', "thousands", {"p": [1234.0, 12345678.5, 3.0]}),
        ('p\n"1,234"\n"12,345,678"\n', "thousands", {"p": [1234, 12345678]}),
        ("n,x\n1,2.5\n-,?\n3,n/a\n", "marks such as - and .* missing", {"n": [1, None, 3], "x": [2.5, None, None]}),
        ("d\n31/12/2020\n1/2/2021\n", "day before month", {"d": [date(2020, 12, 31), date(2021, 2, 1)]}),
        ("d\n12/31/2020\n1/2/2021\n", "month before day", {"d": [date(2020, 12, 31), date(2021, 1, 2)]}),
        ("d\n31.12.2020\n-\n", "day before month", {"d": [date(2020, 12, 31), None]}),
        ("z\n01234\n10115\n", "leading zeros: kept as text", {"z": ["01234", "10115"]}),
        (",x\n0,1.5\n1,2.5\n", "first column '' holds row labels", {"x": [1.5, 2.5]}),
        ("Unnamed: 0,x\n0,1.5\n1,2.5\n", "'Unnamed: 0' holds row labels", {"x": [1.5, 2.5]}),
        ("0.5,1.5\n2.5,3.5\n", "there are no names, columns are x0, x1", {"x0": [0.5, 2.5], "x1": [1.5, 3.5]}),
        ("# made by hand\n# on Friday\na,b\n1,2\n", "2 lines that start with # are left out", {"a": [1], "b": [2]}),
    ],
)  # fmt: skip
def test_what_is_read_with_a_notice(tmp_path, text, notice, expected):
    assert read(tmp_path, text, notice) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffa,b\n1,2\n", {"a": [1], "b": [2]}),
        ("0,1\n0.5,1.5\n", {"0": [0.5], "1": [1.5]}),
        ("c\n-\n?\n-\n", {"c": ["-", "?", "-"]}),
        ("c\nyes\n-\n5\n", {"c": ["yes", "-", "5"]}),
        ("c\n0\n10\n", {"c": [0, 10]}),
        ("c,d\nx;y,1\nz,2\n", {"c": ["x;y", "z"], "d": [1, 2]}),
        ("d\n2020-12-31\n", {"d": [date(2020, 12, 31)]}),
        ("c\n1/2\n3/4\n", {"c": ["1/2", "3/4"]}),
    ],
)
def test_what_needs_no_notice(tmp_path, text, expected):
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1;2;3\n1;2\n", "the first line holds ';' and no ',': say which separates columns, --sep ';'"),
        ("a;b\tc\n1;2\t3\n", "say which separates columns, --sep ';'"),
        ('p;q\n"1,234";1\n"5,678";1\n', "column 'p' holds '1,234', which may be a fraction or thousands: say --decimal , or"),
        ("12,15\n1,2\n", r"holds numbers only \(12, 15\): say --no-header, or --header"),
        ("", "the file is empty"),
        ("# nothing\n", "."),
        ("a,b\n1,2\n3\n", "Expected 2 columns, got 1.*--comment '#'; another separator"),
        ("caf\xe9,b\n1,2\n".encode("latin-1"), "not UTF-8 .byte 0xe9 at 3.: say --encoding latin-1"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes: say --encoding utf-16"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::buff.errors.TableNotice")
def test_what_is_refused_with_the_option_to_give(tmp_path, text, message):
    path = write(tmp_path, text)
    if message == ".":
        assert column_names(path) == ["# nothing"]
        return
    with pytest.raises(ValueError, match=rf"t\.csv: .*{message}") as refused:
        read_table(path)
    assert "cut short" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "options", "expected", "encoding"),
    [
        ("a;b\n1;2;3\n", {"sep": ";", "header": False}, None, "utf-8"),
        ('p;q\n"1,234";1\n', {"sep": ";", "decimal": ","}, {"p": [1.234], "q": [1]}, "utf-8"),
        ('p\n"1,234"\n', {"thousands": ","}, {"p": [1234]}, "utf-8"),
        ("p;q\n1.234;1\n", {"sep": ";", "thousands": "."}, {"p": [1234], "q": [1]}, "utf-8"),
        ("p;q\n1 234;1\n", {"sep": ";", "thousands": " "}, {"p": [1234], "q": [1]}, "utf-8"),
        ("p\n1'234.5\n", {"thousands": "'"}, {"p": [1234.5]}, "utf-8"),
        ("café,b\n1,é\n", {"encoding": "latin-1"}, {"café": [1], "b": ["é"]}, "latin-1"),
        ("café,b\n1,é\n", {}, {"café": [1], "b": ["é"]}, "utf-16"),
        ("a,b\n1,2 ! first\n! none\n3,4\n", {"comment": "!"}, {"a": [1, 3], "b": [2, 4]}, "utf-8"),
        ('a,b\n1,"x#y"\n# none\n', {"comment": "#"}, {"a": [1], "b": ["x#y"]}, "utf-8"),
        ("a,b\n-99,void\n3,x\n", {"na_values": ("-99", "void")}, {"a": [None, 3], "b": [None, "x"]}, "utf-8"),
        ("12,15\n1,2\n", {"header": True}, {"12": [1], "15": [2]}, "utf-8"),
        ("12,15\n1,2\n", {"header": False}, {"x0": [12, 1], "x1": [15, 2]}, "utf-8"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::buff.errors.TableNotice")
def test_options_decide(tmp_path, text, options, expected, encoding):
    path = write(tmp_path, text, encoding=encoding)
    if expected is None:
        with pytest.raises(ValueError, match="Expected 2 columns"):
            read_table(path, options=TextOptions(**options))
        return
    assert read_table(path, options=TextOptions(**options)).to_pydict() == expected


@pytest.mark.filterwarnings("ignore::buff.errors.TableNotice")
def test_types_are_found_by_looking_at_all_of_it(tmp_path, monkeypatch):
    from buff.io.text import CsvSource

    monkeypatch.setattr(CsvSource, "block_bytes", 64)
    numbers = "\n".join(["7"] * 200)
    assert read(tmp_path, f"p\n{numbers}\n$3.5\n-\n")["p"] == [7.0] * 200 + [3.5, None]
    assert read(tmp_path, f"p\n{numbers}\n-\n")["p"] == [7] * 200 + [None]
    assert read(tmp_path, f"p\n{numbers}\nword\n")["p"] == ["7"] * 200 + ["word"]
    assert read(tmp_path, f"p\n{numbers}\n007\n")["p"] == ["7"] * 200 + ["007"]


def test_bad_options():
    for bad, message in (
        ({"sep": ";;"}, "sep must be one character"),
        ({"comment": ""}, "comment must be one character"),
        ({"decimal": ";"}, "decimal must be"),
        ({"encoding": "klingon"}, "encoding 'klingon' is unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            TextOptions(**bad)


RAW = "39, State-gov, 7, true\n50, ?, 3, false\n38, State-gov, 7, true\n50, Private, 3, true\n39, Private, 5, false\n"


def test_blanks_after_separators_are_left_out(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_text("age, job, n, yes\n" + RAW)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        table = read_table(path)
    notes = [str(note.message).partition(": ")[2] for note in noted]
    assert notes == [
        "cells start with a blank after ',': blanks around cells are left out",
        "column 'job' holds '?' in 20.00% of its rows: where that is missing, say --na-values '?'",
    ]
    assert table.column_names == ["age", "job", "n", "yes"]
    assert table["job"].to_pylist() == ["State-gov", "?", "State-gov", "Private", "Private"]
    assert table["yes"].to_pylist() == [True, False, True, True, False]
    with pytest.warns(UserWarning, match="blanks around cells"):
        assert read_table(path, options=TextOptions(na_values=("?",)))["job"].null_count == 1


@pytest.mark.filterwarnings("ignore:.*(blanks around cells|holds '\\?')")
def test_a_first_line_of_values_is_no_header(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_text(RAW)
    with pytest.raises(ValueError, match="'39' and 'State-gov' are values of their own columns.*--no-header"):
        read_table(path)
    assert read_table(path, options=TextOptions(header=True)).num_rows == 4
    names = ("age", "job", "n", "yes")
    named = read_table(path, options=TextOptions(names=names))
    assert named.num_rows == 5
    assert tuple(named.column_names) == names
    with pytest.raises(ValueError, match="has 4 columns, and --names are 1"):
        read_table(path, options=TextOptions(names=("age",)))
    # of two files with the same options, one may have the names that the other lacks
    path.write_text("x0,x1\n1,a\n2,b\n")
    with pytest.warns(UserWarning, match="holds the names x0, x1"):
        assert read_table(path, options=TextOptions(header=False)).num_rows == 2
    path.write_text("age,job\n1,a\n2,b\n")
    assert read_table(path, options=TextOptions(names=("age", "job"))).num_rows == 2
