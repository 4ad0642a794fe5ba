"""JSON lines as a source."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.expressions import parse
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    FileChangedError,
    FileFormatError,
    QuarantineWarning,
)
from fireworks.formats import text_reader
from fireworks.formats.compression import packed
from fireworks.formats.json_source import JsonSource, read_json
from pipelines import double

NUM_ROWS = 30
SCHEMA = {"n": "int64", "x": (torch.float32, 2), "k": "Int64", "w": "str", "l": pd.ArrowDtype(pa.list_(pa.int64()))}


def rows_of(num_rows=NUM_ROWS):
    return [
        {"n": i, "x": [i / 8, -i], "k": None if i % 7 == 0 else i, "w": f'é"{i}"\n', "l": [i] * (i % 3)}
        for i in range(num_rows)
    ]


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("json")
    (path / "a.jsonl").write_text(lines(rows_of()[:18]))
    (path / "b.jsonl.gz").write_bytes(packed(lines(rows_of()[18:]).encode(), "b.jsonl.gz"))
    return path


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(text_reader, "_AT_A_TIME", 300)


def message():
    return fw.Message({name: [row[name] for row in rows_of()] for name in SCHEMA}, schema=fw.Schema(SCHEMA))


def write(path, text, **options):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_json(path, **options)


class TestJsonSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "quarantined"])
    def make_pipe(self, folder, request):
        def make():
            if request.param == "quarantined":
                return read_json(folder, schema=SCHEMA, on_error="quarantine").take(12)
            data = read_json(folder, schema=SCHEMA).take(20)
            if request.param == "batched":
                return data.select("n", "x").map(double).batch(7)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


def test_rows_are_those_of_the_objects(folder):
    assert read_json(folder, schema=SCHEMA).to_message() == message()
    assert read_json(folder, ["w", "n"], schema=SCHEMA).to_message() == message().select("w", "n")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.integers(0, NUM_ROWS - 1), min_size=1, max_size=40))
def test_any_rows_in_any_order(folder, rows):
    assert read_json(folder, schema=SCHEMA).fetch(np.array(rows)) == message().take(np.array(rows))


scalars = st.one_of(st.none(), st.text(max_size=4))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "t": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)),
                "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
                "f": st.floats(allow_nan=False, allow_infinity=False),
                "b": st.booleans(),
                "l": st.lists(st.integers(-5, 5), max_size=3),
                "o": st.fixed_dictionaries({"p": st.integers(0, 3), "q": st.one_of(st.none(), st.just("x"))}),
            }
        ),
        min_size=1,
        max_size=12,
    ),
    size=st.integers(1, 60),
    blank=st.sampled_from(["", "\n", "  \r\n"]),
    last_end=st.booleans(),
    bom=st.booleans(),
    ascii_only=st.booleans(),
)
def test_random_objects_come_back(tmp_path_factory, rows, size, blank, last_end, bom, ascii_only):
    text = ("\ufeff" if bom else "") + ("\n" + blank).join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    path = tmp_path_factory.mktemp("random") / "a.jsonl"
    path.write_bytes((text + "\n" * last_end).encode())
    schema = {
        "t": "str",
        "i": "Int64",
        "f": "float64",
        "b": "bool",
        "l": pd.ArrowDtype(pa.list_(pa.int64())),
        "o": pd.ArrowDtype(pa.struct([("p", pa.int64()), ("q", pa.string())])),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_reader, "_AT_A_TIME", size)
        source = read_json(path, schema=schema)
        found = source.to_message()
        assert len(source) == len(rows)
    for name in ("i", "f", "b", "t"):
        assert [None if pd.isna(value) else value for value in found.raw(name)] == [row[name] for row in rows]
    for name in ("l", "o"):
        assert found.raw(name).tolist() == [row[name] for row in rows]


def test_types_are_found_in_the_first_rows_and_text_stays_text(tmp_path):
    row = {"n": 1, "f": 0.5, "b": True, "d": "2020-01-31", "z": None, "l": [1], "o": {"p": 1, "q": ["2020-01-31"]}}
    other = {**row, "n": None, "l": [1, 2]}
    source = write(tmp_path / "a.jsonl", lines([row, other]))
    assert str(source.schema).splitlines() == [
        "n: Int64",
        "f: float64",
        "b: bool",
        "d: str",
        "z: str",
        "l: list<item: int64>[pyarrow]",
        "o: struct<p: int64, q: list<item: string>>[pyarrow]",
    ]
    assert source.to_message().raw("o").tolist() == [row["o"]] * 2


def test_a_field_that_a_row_lacks_is_missing(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"a": 1, "b": "x"}\n{"b": "y"}\n{}\n')
    assert source.to_message().to_dict() == {"a": [1, pd.NA, pd.NA], "b": ["x", "y", np.nan]}


def test_categories_of_numbers_and_of_texts(tmp_path):
    kinds = {"a": pd.CategoricalDtype([1, 2]), "b": pd.CategoricalDtype(["x", "y"]), "d": "datetime64[s]"}
    source = write(tmp_path / "a.jsonl", '{"a": 2, "b": "y", "d": "2020-01-31"}\n', schema=kinds)
    assert source.to_message()["a"].tolist() == [2]
    assert source.to_message()["b"].tolist() == ["y"]
    assert source.to_message().raw("d").tolist() == np.array(["2020-01-31"], "M8[s]").tolist()
    with pytest.raises(ColumnTypeError, match="categories of column 'a' are not known before the end"):
        write(tmp_path / "a.jsonl", '{"a": 1}\n', schema={"a": "category"})


def test_no_rows(tmp_path):
    assert len(write(tmp_path / "a.jsonl", "\n \n", schema={"a": "int64"})) == 0
    assert read_json(tmp_path / "a.jsonl", schema={"a": "int64"}).to_message().columns == ["a"]
    assert read_json(tmp_path / "a.jsonl").to_message().columns == []


BAD = """{"a": 1, "b": [1]}
{"a": "x", "b": [1]}

[1]
{"a": 2, "c": 3}
{"b": [1]}
{"a": 1.5, "b": []}
{"a": 1, "a": 2}
nonsense
{"a": 3}{"a": 4}
{"a": 5, "b": 7}
{"a": 6, "b": [2]}"""


def test_bad_lines_are_set_aside_with_their_reasons(tmp_path):
    schema = {"a": "int64", "b": pd.ArrowDtype(pa.list_(pa.int64()))}
    first = '{"a": 0, "b": []}\n' * 300
    (tmp_path / "a.jsonl").write_text(first)
    (tmp_path / "b.jsonl").write_text(BAD)
    source = read_json(tmp_path, schema=schema, on_error="quarantine")
    with pytest.warns(QuarantineWarning, match="9 rows"):
        assert source.to_message()["a"].tolist() == [0] * 300 + [1, 6]
    aside = source.quarantined()
    assert aside["line"].tolist() == [2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert aside["row"].tolist() == [301, 302, 303, 304, 305, 306, 307, 308, 309]
    reasons = aside["reason"].tolist()
    assert reasons[:6] == [
        "column 'a' holds \"x\", which is no int64",
        "it is no object, but [1]",
        "the field 'c' is none of the first rows",
        "column 'a' has no value, and int64 knows none",
        "column 'a' holds 1.5, which is no int64",
        "it has the field 'a' twice",
    ]
    assert reasons[6].startswith("it is no JSON: Expecting value")
    assert reasons[7].startswith("it is no JSON: Extra data")
    assert reasons[8] == "column 'b' holds 7, which is no list<item: int64>[pyarrow]"


@pytest.mark.parametrize(
    ("line", "error", "text"),
    [
        (
            '{"a": "x"}',
            ColumnValueError,
            r"line 301: column 'a' holds \"x\", which is no int64, the type of the first rows; ",
        ),
        ('{"a": null}', ColumnValueError, r"column 'a' has no value, and int64 knows none, .*schema=\{'a': 'Int64'\}"),
        ("[1]", FileFormatError, r"line 301: it is no object, but \[1\]; each line is to be one object: mend the line"),
        (
            '{"a": 1, "z": 2}',
            FileFormatError,
            r"the field 'z' is none of the first rows, which have a; declare it by schema=",
        ),
        ('{"a": 1}{"a": 2}', FileFormatError, r"line 301: it is no JSON: Extra data"),
    ],
)
def test_a_bad_line_is_an_error(tmp_path, monkeypatch, line, error, text):
    monkeypatch.setattr("fireworks.formats.json_source._SAMPLE_BYTES", 10)
    source = write(tmp_path / "a.jsonl", '{"a": 1}\n' * 300 + line + "\n")
    with pytest.raises(error, match=text):
        source.to_message()


def test_with_names_other_fields_are_not_looked_at(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"a": 1}\n{"a": 2, "z": 3}\n', columns="a", schema={"a": "int64"})
    assert source.to_message()["a"].tolist() == [1, 2]


def test_a_bad_first_line_is_an_error_or_hides_no_types(tmp_path):
    with pytest.raises(FileFormatError, match=r"a.jsonl', line 1: it is no JSON"):
        write(tmp_path / "a.jsonl", 'x\n{"a": 1}\n')
    with pytest.warns(QuarantineWarning):
        assert read_json(tmp_path / "a.jsonl", on_error="quarantine").to_message()["a"].tolist() == [1]


def test_a_line_that_only_fails_with_others_is_told(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"a": 1}\n')
    bad = source._bad(0, b'{"a": 1}', lambda rows, names: True)
    assert bad.reason == "it can't be read together with other lines"


def test_a_column_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ColumnNotFoundError, match="read_json: schema: no column 'b'"):
        write(tmp_path / "a.jsonl", '{"a": 1}\n', schema={"b": "str"})
    with pytest.raises(ColumnNotFoundError, match="read_json: no column 'b'"):
        write(tmp_path / "a.jsonl", '{"a": 1}\n', columns=["b"])


def test_a_file_that_changes_is_an_error(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"a": 1}\n' * 100)
    assert source[50]["a"].tolist() == [1]
    (tmp_path / "a.jsonl").write_text('{"a": 2}\n' * 101)
    with pytest.raises(FileChangedError, match="has changed since the source was made"):
        source[99]


def test_a_row_longer_than_a_block(tmp_path):
    text = "x" * 5000
    assert write(tmp_path / "a.jsonl", lines([{"a": text}, {"a": "y"}]))[0]["a"].tolist() == [text]


def test_filters_read_only_their_columns(folder):
    source = read_json(folder, schema=SCHEMA)
    assert source.find(parse("n < 3"), lambda rows: np.asarray(rows["n"]) < 3).tolist() == [0, 1, 2]
    assert source.filter("n >= 28").select("w").to_message()["w"].tolist() == ['é"28"\n', 'é"29"\n']
    assert source.describe() == "Json(a.jsonl and 1 more: n, x, k, w, l)"
    assert isinstance(source, JsonSource)
