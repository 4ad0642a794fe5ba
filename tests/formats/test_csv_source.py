"""CSV files as a source."""

import csv as python_csv
import io
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.budget import Budget
from fireworks.core.expressions import parse
from fireworks.core.source import BadRows
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    FileChangedError,
    FileFormatError,
    QuarantineWarning,
    SchemaMismatchError,
    UnknownLengthError,
)
from fireworks.formats import csv_source, text_reader
from fireworks.formats.compression import packed
from fireworks.formats.csv_source import CsvSource, read_csv
from pipelines import double

NUM_ROWS = 30
SCHEMA = {"x": torch.float32, "n": "int64", "k": "Int64", "word": "str", "day": "datetime64[s]", "ok": "bool"}


def message():
    n = NUM_ROWS
    return fw.Message(
        {
            "x": torch.arange(n, dtype=torch.float32) / 7,
            "n": np.arange(n),
            "k": pd.array([None if i % 9 == 0 else i for i in range(n)], dtype="Int64"),
            "word": [f'say "{i}",\nor' if i % 5 == 0 else f"w{i}" for i in range(n)],
            "day": pd.date_range("2024-01-01", periods=n).to_numpy().astype("M8[s]"),
            "ok": np.arange(n) % 2 == 0,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("csv")
    rows = message()
    rows[:18].to_csv(path / "part-0.csv")
    rows[18:].to_csv(path / "part-1.csv.gz")
    (path / "notes.txt").write_text("not a table")
    return path


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(text_reader, "_AT_A_TIME", 250)
    monkeypatch.setattr(CsvSource, "piece_bytes", 1200)


class TestCsvSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "filtered", "quarantined"])
    def make_pipe(self, folder, request):
        def make():
            if request.param == "quarantined":
                return read_csv(folder, schema=SCHEMA, on_error="quarantine").take(20)
            data = read_csv(folder, schema=SCHEMA).take(22)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            if request.param == "shuffled":
                return data.shuffle(seed=0)
            return data.filter("n > 12").drop("x") if request.param == "filtered" else data

        return make


def write(path, text, **options):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_csv(path, **options)


def test_a_folder_a_pattern_a_list_and_one_file_are_read(folder):
    rows = message()
    assert read_csv(folder, schema=SCHEMA).to_message() == rows
    assert read_csv(str(folder / "part-*"), schema=rows.schema).to_message() == rows
    names = [folder / "part-1.csv.gz", str(folder / "part-0.csv")]
    assert read_csv(names, schema=SCHEMA).to_message() == fw.concat([rows[18:], rows[:18]])
    assert read_csv(folder / "part-0.csv", "n").to_message().to_dict() == {"n": list(range(18))}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.integers(0, NUM_ROWS - 1), min_size=1, max_size=40),
    start=st.integers(0, 30),
    stop=st.integers(0, 30),
)
def test_any_rows_in_any_order_are_those_of_the_message(folder, rows, start, stop):
    source, whole = read_csv(folder, schema=SCHEMA), message()
    assert source.fetch(np.array(rows)) == whole.take(np.array(rows))
    if start < stop:
        assert source.fetch(range(start, stop)) == whole[start:stop]
        assert fw.concat(list(source.scan(range(start, stop), Budget(None)))) == whole[start:stop]
        assert fw.concat(list(source.scan(range(start, stop), Budget(1)))) == whole[start:stop]


def test_only_the_blocks_that_hold_wanted_rows_are_decoded_and_each_once(folder, monkeypatch):
    source = read_csv(folder, schema=SCHEMA)
    assert len(source.blocks) > 4
    decoded = []
    understood = CsvSource.understood
    monkeypatch.setattr(
        CsvSource, "understood", lambda self, piece, data: decoded.append(piece.start) or understood(self, piece, data)
    )
    source.fetch(np.array([0, 1, 17, 0]))
    assert len(decoded) == 2
    source.fetch(np.array([1, 17]))
    assert len(decoded) == 2
    monkeypatch.setattr("fireworks.formats.block_source._KEPT_BYTES", 1)
    source.fetch(np.array([0, 9, 17]))
    assert len(source._kept) == 1


def test_the_budget_is_given_back_when_a_pass_ends_or_breaks_off(folder):
    source, budget = read_csv(folder, schema=SCHEMA), Budget(None)
    scan = source.scan(range(NUM_ROWS), budget)
    next(scan)
    scan.close()
    assert budget.used_bytes == 0
    assert sum(map(len, source.scan(range(NUM_ROWS), budget))) == NUM_ROWS
    assert budget.used_bytes == 0
    assert budget.peak_bytes > 0


# --- random tables, beside other readers ---------------------------------------------------------------------------------

cells = st.one_of(
    st.text(st.sampled_from("ab,\"'\n\r;\té∂ 1"), max_size=6), st.none(), st.just(""), st.integers(-5, 5).map(str)
)


def spelled(value, *, bare):
    if value is None:
        return ""
    if bare and value and not set(value) & set(',"\n\r'):
        return value
    return '"' + value.replace('"', '""') + '"'


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    table=st.lists(st.tuples(cells, cells, st.integers(-(10**6), 10**6)), max_size=12),
    bare=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last_end=st.booleans(),
    bom=st.booleans(),
    size=st.integers(1, 40),
)
def test_random_texts_come_back(tmp_path_factory, table, bare, end, last_end, bom, size):
    lines = [",".join([spelled(a, bare=bare), spelled(b, bare=bare), str(n)]) for a, b, n in table]
    text = ("\ufeff" if bom else "") + end.join(["a,b,n", *lines]) + (end if last_end else "")
    path = tmp_path_factory.mktemp("random") / "a.csv"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_reader, "_AT_A_TIME", size)
        source = read_csv(path, schema={"a": "str", "b": "str", "n": "int64"})
        rows = source.to_message()
        assert len(source) == len(table)
    plain = [[None if pd.isna(value) else value for value in rows.raw(name)] for name in ("a", "b", "n")]
    assert list(zip(*plain, strict=True)) == table
    by_python = list(python_csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))[1:]
    assert [[a or "", b or "", str(n)] for a, b, n in table] == by_python


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "i": st.integers(-(2**63), 2**63 - 1),
                "f": st.floats(allow_nan=False, width=64),
                "b": st.booleans(),
                "m": st.one_of(st.none(), st.integers(-9, 9)),
                "t": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_to_csv_wrote_comes_back(tmp_path_factory, rows):
    schema = fw.Schema({"i": "int64", "f": "float64", "b": "bool", "m": "Int64", "t": "str"})
    data = fw.Message({name: [row[name] for row in rows] for name in schema.names}, schema=schema)
    path = tmp_path_factory.mktemp("there-and-back") / "a.csv"
    fw.source(data).to_csv(path)
    assert read_csv(path, schema=schema).to_message() == data


def test_types_that_are_found_are_those_of_pandas(tmp_path):
    frame = pd.DataFrame(
        {
            "i": range(30),
            "f": np.arange(30) / 7,
            "holes": [None if i % 3 else i / 2 for i in range(30)],
            "b": [i % 2 == 0 for i in range(30)],
            "t": [f"t{i}" for i in range(30)],
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_csv(tmp_path / "a.csv").to_message() == fw.Message(pd.read_csv(tmp_path / "a.csv"))


# --- types ---------------------------------------------------------------------------------------------------------------


def test_types_are_found_in_the_first_rows_and_then_fixed(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_source, "_SAMPLE_BYTES", 10)
    monkeypatch.setattr(csv_source, "_MOST_SAMPLE_BYTES", 600)
    text = "n,w,none,hole\n" + "".join(f"{i},x,,{'' if i == 1 else i}\n" for i in range(200)) + "1.5,x,,1\n"
    source = write(tmp_path / "a.csv", text)
    assert str(source.schema) == "n: int64\nw: str\nnone: str\nhole: Int64"
    assert len(source) == 201
    with pytest.raises(ColumnValueError) as caught:
        source.to_message()
    assert str(caught.value) == (
        f"read_csv: '{tmp_path}/a.csv', line 202: column 'n' holds '1.5', which is no int64, the type of the first rows; "
        "mend the file, pass schema={'n': 'float64'}, say, or on_error='quarantine'."
    )
    assert source.select("w").to_message()["w"].tolist() == ["x"] * 201


@pytest.mark.parametrize(
    ("kind", "value", "better"),
    [("int64", "x", "str"), ("int8", "300", "float64"), ("float32", "x", "str"), ("datetime64[s]", "never", "str")],
)
def test_a_value_that_does_not_fit_is_an_error_with_line_column_and_value(tmp_path, kind, value, better):
    good = "2024-01-31" if "date" in kind else "1"
    source = write(tmp_path / "a.csv", f'w,v\n"a\nb",{good}\n\nc,{value}\n', schema={"v": kind})
    with pytest.raises(ColumnValueError) as caught:
        source.to_message()
    assert f"a.csv', line 5: column 'v' holds {value!r}, which is no {kind}, as schema= says; mend" in str(caught.value)
    assert f"schema={{'v': {better!r}}}" in str(caught.value)


@pytest.mark.parametrize(("kind", "better"), [("int64", "Int64"), ("uint8", "UInt8"), ("bool", "boolean")])
def test_a_missing_value_where_the_type_knows_none_is_an_error(tmp_path, kind, better):
    source = write(tmp_path / "a.csv", "w,v\na,1\nc,\n", schema={"v": kind})
    with pytest.raises(
        ColumnValueError, match=rf"line 3: column 'v' has no value, and {kind} knows none, as schema= says"
    ) as caught:
        source.to_message()
    assert f"schema={{'v': {better!r}}}" in str(caught.value)


def test_declared_types_are_what_comes_out(tmp_path):
    text = 'i,h,v,c,m,d,s\n1,0.5,"[1.0, 2.0]",a,,2024-01-31,007\n2,1.5,"[3.0, 4.0]",b,5,,x\n'
    kind = pd.CategoricalDtype(["b", "a"])
    schema = fw.Schema(
        {
            "i": torch.uint8,
            "h": torch.bfloat16,
            "v": (torch.float32, 2),
            "c": kind,
            "m": "Int8",
            "d": pd.ArrowDtype(pa.date32()),
            "s": "str",
        }
    )
    rows = write(tmp_path / "a.csv", text, schema=schema).to_message()
    assert rows.schema == schema
    assert rows["v"].tolist() == [[1, 2], [3, 4]]
    assert rows["s"].tolist() == ["007", "x"]
    assert rows == fw.Message.read_csv(tmp_path / "a.csv", schema=schema)


def test_categories_that_nobody_knows_are_refused(tmp_path):
    with pytest.raises(ColumnTypeError, match=r"categories of column 'a' are not known before the end; name them"):
        write(tmp_path / "a.csv", "a\nx\n", schema={"a": "category"})


# --- how files are written -------------------------------------------------------------------------------------------------


def test_separators_decimals_nulls_quotes_and_lines_before(tmp_path):
    text = "made by hand\n\na;b;c\n1,5;NA;'x;y'\n2,5;7;\"\n"
    source = write(tmp_path / "a.csv", text, separator=";", decimal=",", null_values="NA", quote="'", skip_lines=2)
    assert source.to_message().to_dict() == {"a": [1.5, 2.5], "b": [pd.NA, 7], "c": ["x;y", '"']}
    assert write(tmp_path / "a.tsv", "a\tb\n1,2\t3\n").to_message().to_dict() == {"a": ["1,2"], "b": [3]}
    (tmp_path / "b.tsv.gz").write_bytes(packed(b"a\tb\n1\t3\n", "b.tsv.gz"))
    assert read_csv(tmp_path / "b.tsv.gz").to_message().to_dict() == {"a": [1], "b": [3]}
    rows = write(tmp_path / "q.csv", 'a,b\n"1,"2\n', quote=None).to_message()
    assert rows.to_dict() == {"a": ['"1'], "b": ['"2']}


def test_names_may_be_given(tmp_path):
    assert write(tmp_path / "a.csv", "1,2\n3,4\n", header=["a", "b"]).to_message().to_dict() == {
        "a": [1, 3],
        "b": [2, 4],
    }
    assert len(write(tmp_path / "empty.csv", "", header=["a", "b"])) == 0
    assert write(tmp_path / "bom.csv", "\ufeff1,2\n", header=["a", "b"])[0].to_dict() == {"a": [1], "b": [2]}


def test_other_encodings(tmp_path):
    text = "wörd,n\n" + "".join(f"é{i},{i}\n" for i in range(100))
    for encoding in ("latin-1", "utf-16", "utf-8-sig", "cp1252"):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        source = read_csv(tmp_path / "a.csv", encoding=encoding)
        assert source[[99, 3]].to_dict() == {"wörd": ["é99", "é3"], "n": [99, 3]}


def test_nothing_but_names_is_no_rows(tmp_path):
    for text in ("a,b", "a,b\n", "a,b\r\n\r\n"):
        source = write(tmp_path / "a.csv", text, schema={"a": "int64"})
        assert len(source) == 0
        assert str(source.to_message().schema) == "a: int64\nb: str"


def test_one_column_of_numbers_may_have_missing_values(tmp_path):
    data = fw.Message({"n": pd.array([1, None, 3], dtype="Int64")})
    data.to_csv(tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv").to_message() == data


def test_a_row_longer_than_a_block(tmp_path):
    source = write(tmp_path / "a.csv", "a,b\n" + "x" * 5000 + ',1\n"' + "\n" * 5000 + '",2\n')
    assert source[1].to_dict() == {"a": ["\n" * 5000], "b": [2]}


# --- bad files ---------------------------------------------------------------------------------------------------------------


def test_an_empty_file_is_an_error(tmp_path):
    for text in ("", "\n\n"):
        with pytest.raises(
            FileFormatError, match=r"a.csv' is empty: not even the names of columns are there; leave it"
        ):
            write(tmp_path / "a.csv", text)


def test_names_that_are_no_text_are_an_error(tmp_path):
    with pytest.raises(FileFormatError, match=r"the names of its columns are no text in utf-8: .*pass encoding="):
        write(tmp_path / "a.csv", b"a\xff,b\n1,2\n")


def test_a_column_named_twice_is_an_error(tmp_path):
    with pytest.raises(
        ColumnTypeError, match=r"a.csv' has the column 'a' twice; rename one, or pass all names as header="
    ):
        write(tmp_path / "a.csv", "a,b,a\n")


def test_files_with_other_columns_are_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("b,a\n3,4\n")
    assert read_csv(tmp_path).to_message().to_dict() == {"a": [1, 4], "b": [2, 3]}
    (tmp_path / "c.csv").write_text("a,c\n")
    with pytest.raises(
        SchemaMismatchError, match=r"column 'b' is in '.*a.csv' and not in '.*c.csv'; files that are read"
    ):
        read_csv(tmp_path)
    (tmp_path / "c.csv").write_text("a,b,c\n")
    with pytest.raises(
        SchemaMismatchError, match=r"column 'c' is in '.*c.csv' and not in '.*a.csv'; files that are read"
    ):
        read_csv(tmp_path)


def test_a_value_of_another_type_in_a_later_file_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.csv").write_text("a\nx\n")
    with pytest.raises(
        ColumnValueError, match=r"b.csv', line 2: column 'a' holds 'x', which is no int64, the type of the"
    ):
        read_csv(tmp_path).to_message()


def test_another_number_of_fields_is_an_error(tmp_path):
    with pytest.raises(
        FileFormatError, match=r"a.csv', line 4: 3 fields, and there are 2 columns; mend the line, pass the"
    ):
        write(tmp_path / "a.csv", 'a,b\n"1\n",2\n3,4,5\n')
    for schema in (None, {"a": "int64", "b": "int64"}):  # found when types are looked for, or later
        with pytest.raises(FileFormatError, match=r"line 302: 1 field, and there are 2 columns"):
            write(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 300 + "7\n", schema=schema).to_message()


def test_a_quotation_mark_that_is_never_closed_is_an_error(tmp_path):
    with pytest.raises(
        FileFormatError, match=r"a.csv', line 3: a quotation mark is opened and never closed; mend the line"
    ):
        len(write(tmp_path / "a.csv", 'a,b\n1,2\n"3,4\n5,6\n', schema={"a": "str", "b": "str"}))
    source = write(tmp_path / "a.csv", 'a,b\n1,2\n"3,4\n5,6\n', schema={"a": "str", "b": "str"}, on_error="quarantine")
    with pytest.warns(QuarantineWarning):
        assert source.to_message().to_dict() == {"a": ["1"], "b": ["2"]}
    assert source.quarantined()["line"].tolist() == [3]
    assert source.quarantined()["reason"].tolist() == ["a quotation mark is opened and never closed"]


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    with pytest.raises(ColumnValueError, match=r"line 3: column 'a' holds 'x�', which is no str"):
        write(tmp_path / "a.csv", b"a,b\ny,2\nx\xff,4\n").to_message()


def test_a_file_that_changes_is_an_error(tmp_path):
    source = write(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 1000)
    rows = source.scan(range(1000), Budget(1))
    next(rows)
    (tmp_path / "a.csv").write_text("a,b\n" + "3,4\n" * 1001)
    with pytest.raises(FileChangedError, match=r"a.csv' has changed since the source was made; make the pipe anew"):
        list(rows)
    with pytest.raises(FileChangedError, match=r"has changed"):
        source[999]


def test_a_reader_that_finds_other_rows_is_an_error(tmp_path, monkeypatch):
    source = write(tmp_path / "a.csv", "a,b\n1,2\n3,4\n")
    with pytest.raises(
        FileFormatError, match=r"3 rows begin where 2 are read; it may have changed, or a quotation mark is"
    ):
        source._converted(0, b"1,2\n3,4\n", source._types, 3)


def test_a_block_that_no_row_is_to_blame_for_keeps_its_error(tmp_path, monkeypatch):
    source = write(tmp_path / "a.csv", "a,b\n1,2\n3,4\n")
    monkeypatch.setattr(CsvSource, "bad_rows", lambda *_, **__: [])
    monkeypatch.setattr(CsvSource, "understood", lambda *_: (_ for _ in ()).throw(pa.ArrowInvalid("odd")))
    with pytest.raises(pa.ArrowInvalid, match=r"odd"):
        source.to_message()
    monkeypatch.setattr(source, "on_error", "quarantine")
    with pytest.raises(pa.ArrowInvalid, match=r"odd"):
        list(source.stream(0))


def test_a_first_block_that_arrow_refuses_is_no_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(CsvSource, "_wrong_lengths", lambda *_: [])
    with pytest.raises(FileFormatError, match=r"a.csv' is no CSV file, or a damaged one: CSV parse error"):
        write(tmp_path / "a.csv", "a,b\n1,2,3\n")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"separator": ",,"}, ValueError, "separator is one ASCII character that has no other meaning; got ',,'"),
        ({"separator": '"'}, ValueError, "separator is one ASCII character"),
        ({"quote": ",", "separator": ","}, ValueError, "is one ASCII character that has no other meaning"),
        ({"decimal": ""}, ValueError, "decimal is one ASCII character"),
        ({"null_values": [1]}, ValueError, r"null_values is a text or several; got \[1\]"),
        ({"skip_lines": -1}, ValueError, "skip_lines"),
        ({"header": False}, ValueError, "header is True where the files have the names of the columns, else a list of"),
        ({"header": ["a", "a"]}, ValueError, "header is True"),
        ({"encoding": "x"}, ValueError, "encoding is the name of an encoding of text"),
        ({"on_error": "drop"}, ValueError, "on_error is 'raise' or 'quarantine'; got 'drop'"),
        ({"columns": "c"}, ColumnNotFoundError, "read_csv: no column 'c'"),
        ({"schema": {"c": "str"}}, ColumnNotFoundError, "read_csv: schema: no column 'c'"),
    ],
)
def test_arguments_are_checked(tmp_path, options, error, text):
    with pytest.raises(error, match=text):
        write(tmp_path / "a.csv", "a,b\n1,2\n", **options)


# --- rows that are set aside -------------------------------------------------------------------------------------------------


@pytest.fixture
def with_bad_rows(tmp_path):
    lines = [f"{i},w{i}" for i in range(200)]
    lines[3], lines[50], lines[51], lines[199] = "x,w", "50", "51,a,b", ",w"
    return lines, write(
        tmp_path / "a.csv", "n,w\n" + "\n".join(lines) + "\n", schema={"n": "int64"}, on_error="quarantine"
    )


def test_bad_rows_are_set_aside_and_the_rest_keeps_its_numbers(with_bad_rows):
    _, source = with_bad_rows
    with pytest.warns(QuarantineWarning, match=r"4 rows were set aside"):
        rows = source.to_message()
    good = [i for i in range(200) if i not in {3, 50, 51, 199}]
    assert rows["n"].tolist() == good
    aside = source.quarantined()
    assert aside["row"].tolist() == [3, 50, 51, 199]
    assert aside["line"].tolist() == [5, 52, 53, 201]
    assert aside["text"].tolist() == ["x,w", "50", "51,a,b", ",w"]
    assert aside["reason"].tolist() == [
        "column 'n' holds 'x', which is no int64",
        "1 field, and there are 2 columns",
        "3 fields, and there are 2 columns",
        "column 'n' has no value, and int64 knows none",
    ]
    assert not source.is_indexable
    with pytest.raises(
        UnknownLengthError, match=r"sets rows aside that can't be read, so the number of the others is not"
    ):
        len(source)


def test_a_stream_begins_at_any_row(with_bad_rows):
    _, source = with_bad_rows
    whole = []
    for part in source.stream(0):
        whole += [None] * len(part.message) if isinstance(part, BadRows) else part["n"].tolist()
    assert len(whole) == 200
    for start in (0, 3, 4, 50, 51, 52, 77, 199, 200):
        found = []
        for part in source.stream(start):
            found += [None] * len(part.message) if isinstance(part, BadRows) else part["n"].tolist()
        assert found == whole[start:]


def test_which_rows_are_bad_does_not_depend_on_who_asks(with_bad_rows):
    _, source = with_bad_rows
    assert source.narrowed(["w"]) is source
    assert source.find(parse("n > 3"), lambda rows: np.ones(len(rows), dtype=bool)) is None
    with pytest.warns(QuarantineWarning):
        assert len(source.select("w").filter("w != 'w7'").to_message()) == 195


def test_bad_rows_among_the_first_don_t_hide_the_types(tmp_path):
    source = write(tmp_path / "a.csv", "n,w\n1\n2,x\n3,y,z\n", on_error="quarantine")
    with pytest.warns(QuarantineWarning):
        assert source.to_message().to_dict() == {"n": [2], "w": ["x"]}


# --- as a source -------------------------------------------------------------------------------------------------------------


def test_columns_are_pushed_down_and_filters_read_only_theirs(folder, monkeypatch):
    read = []
    table = CsvSource._table
    monkeypatch.setattr(
        CsvSource,
        "_table",
        lambda self, number, data, columns, *rest: (
            read.append(tuple(columns)) or table(self, number, data, columns, *rest)
        ),
    )
    source = read_csv(folder, schema=SCHEMA)
    read.clear()
    assert source.select("n").to_message()["n"].tolist() == list(range(NUM_ROWS))
    assert {*read} == {("n",)}
    read.clear()
    found = source.find(
        parse("n >= 20 and k < 25"), lambda rows: np.asarray(rows["n"] >= 20) & np.asarray(rows["k"].fillna(99) < 25)
    )
    assert {*read} == {("n", "k")}
    assert found.tolist() == [20, 21, 22, 23, 24]
    assert source.narrowed(["k", "n"]).known_columns == ["n", "k"]
    assert source.narrowed(["k", "n"]) is source.narrowed(["n", "k"])
    assert source.narrowed(list(SCHEMA)) is source
    assert source.find(parse("z > 1"), lambda rows: None) is None


def test_it_travels_without_what_it_has_open(folder):
    source = read_csv(folder, schema=SCHEMA)
    assert source[3] == message()[3:4]
    again = pickle.loads(pickle.dumps(source))
    assert again._kept == {}
    assert again._shared.blocks is not None
    assert again[29] == message()[29:]


def test_it_names_itself_and_tells_its_content(folder, tmp_path):
    source = read_csv(folder, schema=SCHEMA)
    assert source.describe() == "Csv(part-0.csv and 1 more: x, n, k, word, day, ok)"
    assert source.fingerprint() == read_csv(folder, schema=SCHEMA).fingerprint() != read_csv(folder).fingerprint()
    assert source.reads_in_order
    assert 0.5 < source.estimated_bytes() / source.to_message().num_bytes < 2
    assert write(tmp_path / "a.csv", "a\n").estimated_bytes() == 0


def test_a_change_is_found_out_of_rows_that_were_kept(tmp_path):
    path = tmp_path / "n.csv"
    path.write_text("n\n1\n2\n")
    source = fw.read_csv(path)
    assert source[1]["n"].tolist() == [2]
    path.write_text("n\n1\n20\n")
    with pytest.raises(fw.errors.FileChangedError, match=r"n\.csv' has changed since the source was made"):
        source[1]


def test_a_short_line_that_is_no_text_is_told_or_set_aside(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 20 + b"\x9f\x8f\xff\n" + b"1,2\n" * 5)
    with pytest.raises(FileFormatError, match=r"a\.csv', line 22: 1 field, and there are 2 columns"):
        fw.read_csv(path).to_message()
    pipe = fw.read_csv(path, on_error="quarantine")
    with pytest.warns(QuarantineWarning):
        assert len(pipe.to_message()) == 25
    assert pipe.quarantined()["row"].tolist() == [20]
