"""JSON: a schema brings every value back, whatever the shape of the file; without one nothing is guessed."""

import contextlib
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from disks import largest_file
from fireworks.errors import ColumnTypeError, ColumnValueError, FileFormatError, SchemaMismatchError
from message.strategies import ARRAYS, messages

REFUSED = {"objects", "bytes", "ragged arrays"}
SHAPES = [{"orient": orient} for orient in ("records", "columns", "index", "split")] + [{"lines": True}]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.json"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("json") / "rows"


def some_message():
    return fw.Message(
        {
            "x": torch.tensor([[1.0, 0.1], [math.nan, -math.inf]]),
            "n": pd.array([1, None], dtype="Int16"),
            "name": ["größe", None],
        }
    )


class TestText:
    @pytest.mark.parametrize(
        ("shape", "text"),
        [
            ({}, '[{"x": [1.0, 0.1], "n": 1, "name": "größe"}, {"x": [null, "-Infinity"], "n": null, "name": null}]'),
            (
                {"lines": True},
                '{"x": [1.0, 0.1], "n": 1, "name": "größe"}\n{"x": [null, "-Infinity"], "n": null, "name": null}\n',
            ),
            (
                {"orient": "columns"},
                (
                    '{"x": {"0": [1.0, 0.1], "1": [null, "-Infinity"]}, "n": {"0": 1, "1": null}, '
                    '"name": {"0": "größe", "1": null}}'
                ),
            ),
            (
                {"orient": "index"},
                '{"0": {"x": [1.0, 0.1], "n": 1, "name": "größe"}, "1": {"x": [null, "-Infinity"], "n": null, "name": null}}',
            ),
            (
                {"orient": "split"},
                (
                    '{"columns": ["x", "n", "name"], "index": [0, 1], '
                    '"data": [[[1.0, 0.1], 1, "größe"], [[null, "-Infinity"], null, null]]}'
                ),
            ),
        ],
        ids=str,
    )
    def test_each_shape(self, shape, text, path):
        assert some_message().to_json(**shape) == text
        assert some_message().to_json(str(path), **shape) is None
        assert path.read_text() == text

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_it_is_the_shape_that_pandas_writes(self, shape):
        frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
        orient = shape.get("orient", "records")
        theirs = frame.to_json(orient=orient, lines=bool(shape.get("lines")))
        ours = fw.Message(frame).to_json(**shape)
        if shape.get("lines"):
            assert [json.loads(line) for line in ours.splitlines()] == [
                json.loads(line) for line in theirs.splitlines()
            ]
        else:
            assert json.loads(ours) == json.loads(theirs)

    def test_half_a_pair_of_surrogates_is_spelled(self, path):
        message = fw.Message({"t": pd.array(["a\ud800", "ü"], dtype="string[python]")})
        message.to_json(path)
        assert path.read_bytes() == b'[{"t": "a\\ud800"}, {"t": "\\u00fc"}]'
        assert fw.Message.read_json(path, message.schema) == message


class TestComesBackBySchema:
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @settings(deadline=None)
    @given(message=messages())
    def test_any_message(self, shape, message, shared_path):
        may_refuse = any(field.dtype == object for field in message.schema)
        with contextlib.suppress(ColumnTypeError) if may_refuse else contextlib.nullcontext():
            message.to_json(shared_path, **shape)
            assert fw.Message.read_json(shared_path, message.schema, **shape) == message

    @pytest.mark.parametrize("num_rows", [0, 7])
    @pytest.mark.parametrize("kind", sorted(ARRAYS.keys() - REFUSED))
    def test_every_kind_of_column_but_a_few(self, kind, num_rows, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), num_rows)})
        message.to_json(path)
        assert fw.Message.read_json(path, schema=message.schema) == message

    @settings(deadline=None)
    @given(values=st.lists(st.floats(), min_size=1))
    def test_any_float(self, values, shared_path):
        message = fw.Message({"t": torch.tensor(values, dtype=torch.float64), "n": np.array(values)})
        with np.errstate(over="ignore"):
            message["f"] = torch.from_numpy(np.array(values).astype(np.float32))[:, None]
        message.to_json(shared_path)
        assert fw.Message.read_json(shared_path, schema=message.schema) == message

    def test_integers_that_no_float_holds(self, path):
        message = fw.Message({"i": [2**63 - 1, -(2**63)], "u": np.array([2**64 - 1, 2**53 + 1], dtype=np.uint64)})
        message.to_json(path)
        assert fw.Message.read_json(path, schema=message.schema) == message

    def test_objects_as_deep_as_they_are(self, path):
        values = [{"a": [1, 0.5, None, {"b": True}]}, [[], {}], 12345678901234567890, "5", 5, None]
        message = fw.Message({"o": pd.Series(values, dtype=object)})
        message.to_json(path)
        column = fw.Message.read_json(path, message.schema)["o"].tolist()
        assert column == values
        assert [type(value) for value in column] == [type(value) for value in values]

    @pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
    @pytest.mark.parametrize("lines", [True, False])
    def test_a_compressed_file(self, suffix, lines, tmp_path):
        path = tmp_path / f"rows.json{suffix}"
        message = fw.Message({"n": np.arange(1000)})
        message.to_json(path, lines=lines)
        assert path.stat().st_size < len(message.to_json()) / 3
        assert fw.Message.read_json(path, message.schema, lines=lines) == message

    def test_a_mapping_is_a_schema_and_a_row_may_lack_what_can_be_missing(self, path):
        path.write_text('[{"b": 1}, {"a": [1, 2], "b": 2}]')
        message = fw.Message.read_json(path, {"a": object, "b": torch.int8})
        assert message["a"].tolist() == [None, [1, 2]]
        assert message["b"].tolist() == [1, 2]

    def test_numbers_as_python_spells_those_that_json_lacks(self, path):
        path.write_text('[{"x": NaN}, {"x": Infinity}, {"x": -Infinity}, {"x": 1e2}]')
        message = fw.Message.read_json(path, {"x": torch.float32})
        assert message == fw.Message({"x": torch.tensor([math.nan, math.inf, -math.inf, 100])})


class TestWithoutASchema:
    def read(self, path, value, **shape):
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return fw.Message.read_json(path, **shape)

    def test_values_keep_the_types_that_they_have(self, path):
        rows = [
            {
                "zip": "007",
                "day": "2020-01-31",
                "f": 1.0,
                "i": 2**62 + 1,
                "b": True,
                "l": [1, 2],
                "d": {"k": 1},
                "n": None,
            }
        ] * 2
        message = self.read(path, rows)
        assert message["zip"].tolist() == ["007", "007"]
        assert (
            str(message.schema) == "zip: str\nday: str\nf: float64\ni: int64\nb: bool\nl: object\nd: object\nn: object"
        )
        assert message["i"].tolist() == [2**62 + 1] * 2
        assert message["d"].tolist() == [{"k": 1}] * 2

    def test_what_a_row_lacks_is_missing_and_columns_come_in_order(self, path):
        message = self.read(path, [{"b": 1.5}, {"a": "x", "b": 2.5}, {}])
        assert message == fw.Message({"b": [1.5, 2.5, None], "a": [None, "x", None]})

    def test_floats_are_exact(self, path):
        values = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-500, 500).clip(-290, 290)
        message = fw.Message({"x": values})
        message.to_json(path)
        assert fw.Message.read_json(path) == message

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_what_pandas_writes(self, shape, path):
        frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[7, -3])
        frame.to_json(path, orient=shape.get("orient", "records"), lines=bool(shape.get("lines")))
        assert fw.Message.read_json(path, **shape) == fw.Message({"a": [1, 2], "b": ["x", None]})

    @pytest.mark.parametrize("orient", ["columns", "index", "split"])
    def test_labels_of_rows_become_a_column_if_they_say_something(self, orient, path):
        frame = pd.DataFrame({"a": [1.5, 2.5]}, index=["mean", "std"])
        frame.to_json(path, orient=orient)
        assert fw.Message.read_json(path, orient=orient) == fw.Message({"index": ["mean", "std"], "a": [1.5, 2.5]})

    def test_columns_as_lists(self, path):
        assert self.read(path, {"a": [1, 2], "b": ["x", "y"]}, orient="columns") == fw.Message(
            {"a": [1, 2], "b": ["x", "y"]}
        )

    def test_columns_whose_rows_come_in_other_orders(self, path):
        message = self.read(path, {"a": {"0": 1, "1": 2}, "b": {"1": "y", "0": "x"}}, orient="columns")
        assert message == fw.Message({"a": [1, 2], "b": ["x", "y"]})

    def test_what_polars_writes(self, path):
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame({"a": [1, 2], "b": ["x", None], "c": [[1.5], [2.5, 3.5]]})
        frame.write_json(path)
        expected = fw.Message({"a": [1, 2], "b": ["x", None], "c": [[1.5], [2.5, 3.5]]})
        assert fw.Message.read_json(path) == expected
        frame.write_ndjson(path)
        assert fw.Message.read_json(path, lines=True) == expected

    def test_no_rows(self, path):
        assert self.read(path, []) == fw.Message()
        assert self.read(path, "", lines=True) == fw.Message()
        assert fw.Message.read_json(path, {"x": torch.int8}, lines=True) == fw.Message(schema={"x": torch.int8})

    def test_lines_with_a_mark_of_the_encoding_and_empty_ones(self, path):
        path.write_bytes('\ufeff{"a": "\u2028"}\r\n\r\n{"a": "b"}'.encode())
        assert fw.Message.read_json(path, lines=True) == fw.Message({"a": ["\u2028", "b"]})


class TestOthersRead:
    @pytest.fixture
    def plain(self):
        return fw.Message({"n": [1, 2], "s": ["a", None], "x": torch.eye(2)})

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_pandas(self, plain, shape):
        text = io.StringIO(plain.to_json(**shape))
        frame = pd.read_json(text, orient=shape.get("orient", "records"), lines=bool(shape.get("lines")))
        assert frame["n"].tolist() == [1, 2]
        assert frame["s"].isna().tolist() == [False, True]
        assert frame["x"].tolist() == [[1, 0], [0, 1]]

    def test_polars(self, plain, path):
        polars = pytest.importorskip("polars")
        plain.to_json(path)
        assert polars.read_json(path)["x"].to_list() == [[1, 0], [0, 1]]
        plain.to_json(path, lines=True)
        assert polars.read_ndjson(path)["s"].to_list() == ["a", None]

    @pytest.mark.parametrize("lines", [True, False])
    def test_duckdb(self, plain, lines, path):
        duckdb = pytest.importorskip("duckdb")
        plain.to_json(path, lines=lines)
        assert duckdb.sql(f"select n, s, x[2] from read_json('{path}')").fetchall() == [(1, "a", 0.0), (2, None, 1.0)]


class TestErrors:
    @pytest.mark.parametrize("kind", sorted(REFUSED))
    def test_columns_that_json_would_not_give_back(self, kind, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
        with pytest.raises(
            ColumnTypeError, match=r"Message.to_json: column 'column' holds .* in row \d, which would be read"
        ):
            message.to_json(path)
        assert not path.exists()

    @pytest.mark.parametrize("orient", ["table", "values", "row", None])
    def test_a_shape_that_there_is_not(self, orient, path):
        for verb in ("to_json", "read_json"):
            with pytest.raises(
                ValueError, match=rf"Message.{verb}: orient is one of records, columns, index, split; got {orient!r}"
            ):
                getattr(some_message(), verb)(path, orient=orient)

    def test_lines_of_anything_but_records(self, path):
        for verb in ("to_json", "read_json"):
            with pytest.raises(ValueError, match=rf"Message.{verb}: only records can be lines; got orient='split'"):
                getattr(some_message(), verb)(path, orient="split", lines=True)

    def test_a_value_that_does_not_fit_names_column_row_and_file(self, path):
        path.write_text('[{"n": 1}, {"n": 1.5}]')
        with pytest.raises(ColumnValueError, match=r"column 'n', row 1: 1\.5 does not fit int64") as caught:
            fw.Message.read_json(path, {"n": "int64"})
        assert str(path) in caught.value.__notes__[0]

    def test_other_columns(self, path):
        path.write_text('[{"n": 1}]')
        with pytest.raises(SchemaMismatchError, match=r"missing are \['m'\] and not in the schema are \['n'\]"):
            fw.Message.read_json(path, {"m": "int64"})

    @pytest.mark.parametrize(
        ("text", "options", "reason"),
        [
            ("", {}, "Expecting value"),
            ('[{"a": 1}', {}, "Expecting ',' delimiter"),
            ('{"a": 1}\n{"a": 2}\n', {}, "Extra data: .*; if each line is a row, pass lines=True"),
            ('{"a": 1}\n{"a"\n', {"lines": True}, "line 2 is no JSON: Expecting ':' delimiter"),
            ("[" * 100_000, {}, "recursion"),
            (b"\xff\xfe\xfa", {}, "codec can't decode"),
            (b"\xff", {"lines": True}, "codec can't decode"),
            ('{"a": 1}', {}, r"shape of orient='records': a list was expected, not {'a': 1}"),
            ("[1, 2]", {}, r"shape of orient='records': an object was expected, not 1"),
            ("[1, 2]", {"orient": "columns"}, r"shape of orient='columns': an object was expected, not \[1, 2\]"),
            ('{"a": 1}', {"orient": "columns"}, r"shape of orient='columns': an object was expected, not 1"),
            ('{"a": 1}', {"orient": "index"}, r"shape of orient='index': an object was expected, not 1"),
            ('{"a": 1}', {"orient": "split"}, r"shape of orient='split': a list was expected, not None"),
            ('{"columns": ["a"], "data": [[1], [2, 3]]}', {"orient": "split"}, "shorter|longer"),
        ],
    )
    def test_what_is_no_json_of_that_shape(self, text, options, reason, path):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(
            FileFormatError, match=rf"Message.read_json: '.*' is no JSON file, or a damaged one: .*({reason})"
        ):
            fw.Message.read_json(path, **options)

    def test_a_missing_file(self, path):
        with pytest.raises(FileNotFoundError, match=r"Message.read_json: '.*' can't be read: there is no such file"):
            fw.Message.read_json(path)

    def test_without_room_the_old_file_stays(self, path):
        some_message().to_json(path)
        with (
            largest_file(50_000),
            pytest.raises(OSError, match=r"Message.to_json: .* can't be written: File too large"),
        ):
            fw.Message({"x": torch.randn(100_000)}).to_json(path)
        assert path.read_text() == some_message().to_json()
