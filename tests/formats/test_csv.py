"""CSV: a schema brings every value back, and everybody reads the file; without one it is read as pandas reads it."""

import contextlib
import gzip
import io
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.arrays import ArrowExtensionArray

import fireworks as fw
from disks import largest_file
from fireworks.errors import ColumnTypeError, ColumnValueError, FileFormatError, SchemaMismatchError
from fireworks.formats import csv
from message.strategies import ARRAYS, messages

REFUSED = {"objects", "bytes", "ragged arrays"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.csv"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of hypothesis."""
    return tmp_path_factory.mktemp("csv") / "rows"


def some_message():
    return fw.Message(
        {
            "x": torch.tensor([[1.0, 0.1], [math.nan, -math.inf]]),
            "n": pd.array([1, None], dtype="Int16"),
            "name": ["ann", None],
            "age": np.array([math.nan, math.inf]),
        }
    )


class TestText:
    def test_what_it_looks_like(self):
        assert some_message().to_csv() == ('x,n,name,age\n"[1.0, 0.1]",1,ann,\n"[null, ""-Infinity""]",,,inf\n')

    def test_what_is_special_is_in_quotation_marks(self):
        texts = ["", None, "a,b", 'say "hi"', "two\nlines", "cr\rcr", "\ufeff", " blank ", "plain"]
        message = fw.Message({"t": texts, "a,b": np.arange(9)})
        assert message.to_csv() == (
            't,"a,b"\n"",0\n,1\n"a,b",2\n"say ""hi""",3\n"two\nlines",4\n"cr\rcr",5\n"\ufeff",6\n blank ,7\nplain,8\n'
        )

    @pytest.mark.parametrize("sep", [";", "\t", "|"])
    def test_with_another_separator(self, sep, path):
        message = fw.Message({"a": ["x,y", f"x{sep}y"], "b": [1, 2]})
        assert message.to_csv(sep=sep) == f'a{sep}b\nx,y{sep}1\n"x{sep}y"{sep}2\n'
        message.to_csv(path, sep=sep)
        assert fw.Message.read_csv(path, message.schema, sep=sep) == message

    def test_with_a_text_for_what_is_missing(self, path):
        message = fw.Message({"t": ["NA", None, ""], "n": [1.0, math.nan, 3.0]})
        assert message.to_csv(na_rep="NA") == 't,n\n"NA",1.0\nNA,NA\n"",3.0\n'
        message.to_csv(path, na_rep="NA")
        assert fw.Message.read_csv(path, message.schema, na_values="NA") == message
        assert fw.Message.read_csv(path, message.schema, na_values=["?", "NA"]) == message

    def test_numbers_have_all_their_digits(self):
        message = fw.Message(
            {"a": [0.1 + 0.2], "b": torch.tensor([0.1]), "c": torch.tensor([2**62]), "d": [True], "e": [1.0]}
        )
        assert message.to_csv() == f"a,b,c,d,e\n0.30000000000000004,0.1,{2**62},True,1.0\n"

    def test_the_empty_message_is_an_empty_line(self, path):
        assert fw.Message().to_csv() == "\n"
        fw.Message().to_csv(path)
        assert fw.Message.read_csv(path, {}) == fw.Message()

    def test_without_a_path_nothing_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert some_message().to_csv(index=False)
        assert list(tmp_path.iterdir()) == []

    def test_the_file_holds_the_text(self, path):
        assert some_message().to_csv(str(path)) is None
        assert path.read_text() == some_message().to_csv()


class TestComesBackBySchema:
    @settings(deadline=None)
    @given(message=messages(max_columns=3))
    def test_any_message(self, message, shared_path):
        message["row number"] = np.arange(len(message))  # else a missing text may be alone in a line
        may_refuse = any(field.dtype == object for field in message.schema)
        with contextlib.suppress(ColumnTypeError) if may_refuse else contextlib.nullcontext():
            message.to_csv(shared_path)
            assert fw.Message.read_csv(shared_path, schema=message.schema) == message

    @pytest.mark.parametrize("num_rows", [0, 7])
    @pytest.mark.parametrize("kind", sorted(ARRAYS.keys() - REFUSED))
    def test_every_kind_of_column_but_a_few(self, kind, num_rows, path):
        message = fw.Message(
            {"number": np.arange(num_rows), "column": ARRAYS[kind](np.random.default_rng(1), num_rows)}
        )
        message.to_csv(path)
        assert fw.Message.read_csv(path, schema=message.schema) == message

    @settings(deadline=None)
    @given(
        texts=st.lists(
            st.none() | st.text(alphabet=st.sampled_from('a",;\n\r\t\ufeff\0 é\u2028N'), max_size=5), min_size=1
        ),
        names=st.lists(
            st.text(alphabet=st.sampled_from('a",\n\r\ufeff\0'), max_size=3), min_size=2, max_size=2, unique=True
        ),
    )
    def test_any_text(self, texts, names, shared_path):
        message = fw.Message({names[0]: pd.array(texts, dtype="str"), names[1]: np.arange(len(texts))})
        message.to_csv(shared_path)
        assert fw.Message.read_csv(shared_path, schema=message.schema) == message

    @settings(deadline=None)
    @given(values=st.lists(st.floats(width=32), min_size=1))
    def test_any_float(self, values, shared_path):
        message = fw.Message(
            {
                "t": torch.tensor(values),
                "rows": torch.tensor(values)[:, None],
                "n": np.array(values),
                "h": torch.tensor(values).half(),
                "b": torch.tensor(values).bfloat16(),
                "z": torch.complex(torch.tensor(values), torch.tensor(values)),
            }
        )
        message.to_csv(shared_path)
        assert fw.Message.read_csv(shared_path, schema=message.schema) == message

    @pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.uint64], ids=str)
    def test_the_ends_of_the_integers(self, dtype, path):
        limits = torch.iinfo(dtype)
        message = fw.Message({"x": torch.from_numpy(np.array([limits.min, limits.max], dtype=str(dtype)[6:]))})
        message["rows"] = message["x"][:, None]
        message.to_csv(path)
        assert fw.Message.read_csv(path, schema=message.schema) == message

    @pytest.mark.parametrize(
        "column", [[1.0, math.nan], pd.array([None, 1], dtype="Int8"), ["", "a"], [None, "NA"]], ids=str
    )
    def test_one_column_alone(self, column, path):
        message = fw.Message({"c": column})
        options = {"na_rep": "-"} if column == [None, "NA"] else {}
        message.to_csv(path, **options)
        assert fw.Message.read_csv(path, message.schema, na_values=options.get("na_rep", ())) == message
        assert len(pd.read_csv(path)) == 2

    def test_a_row_longer_than_a_block_of_arrow(self, path):
        message = fw.Message({"x": torch.randn(2, 100), "t": ["a" * 2**21, "b"]})
        message.to_csv(path)
        assert fw.Message.read_csv(path, schema=message.schema) == message

    def test_line_breaks_in_texts_where_arrow_reads_in_blocks(self, path, monkeypatch):
        monkeypatch.setattr(csv, "_LARGEST_ROW", 150)
        message = fw.Message({"t": ["a\nb\n" * (number % 9) for number in range(200)], "n": np.arange(200)})
        message.to_csv(path)
        assert fw.Message.read_csv(path, schema=message.schema) == message

    @pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
    def test_a_compressed_file(self, suffix, tmp_path):
        path = tmp_path / f"rows.csv{suffix}"
        message = fw.Message({"n": np.arange(1000)})
        message.to_csv(path)
        assert path.stat().st_size < len(message.to_csv()) / 1.5
        assert fw.Message.read_csv(path, message.schema) == message
        assert fw.Message.read_csv(path) == message

    def test_a_mapping_is_a_schema_and_the_order_is_the_schemas(self, path):
        path.write_text('b,a\n1,"[1, 2]"\n')
        message = fw.Message.read_csv(path, {"a": (torch.float32, 2), "b": torch.int8})
        assert message == fw.Message({"a": torch.tensor([[1.0, 2]]), "b": torch.tensor([1], dtype=torch.int8)})

    def test_a_file_of_others_with_everything_in_quotation_marks(self, path):
        path.write_text('"n","t"\r\n"1",""\r\n"","x"\r\n')
        message = fw.Message.read_csv(path, {"n": "Int64", "t": "str"})
        assert message == fw.Message({"n": pd.array([1, None], dtype="Int64"), "t": ["", "x"]})


class TestOthersRead:
    @pytest.fixture
    def plain(self, path):
        message = fw.Message(
            {"f": [0.1, math.nan, math.inf], "n": pd.array([1, None, 3], dtype="Int64"), "s": ["a,b", None, "größe"]}
        )
        message["x"] = torch.eye(3)
        message.to_csv(path)
        return path

    def test_pandas(self, plain):
        frame = pd.read_csv(plain)
        assert frame["f"].equals(pd.Series([0.1, math.nan, math.inf]))
        assert frame["n"].equals(pd.Series([1, math.nan, 3]))
        assert frame["s"].tolist()[0::2] == ["a,b", "größe"]
        assert frame["s"].isna().tolist() == [False, True, False]
        assert frame["x"][1] == "[0.0, 1.0, 0.0]"

    def test_polars(self, plain):
        polars = pytest.importorskip("polars")
        frame = polars.read_csv(plain)
        assert frame["f"].to_list() == [0.1, None, math.inf]
        assert frame["n"].to_list() == [1, None, 3]
        assert frame["s"].to_list() == ["a,b", None, "größe"]

    def test_duckdb(self, plain):
        duckdb = pytest.importorskip("duckdb")
        rows = duckdb.sql(f"select f, n, s, cast(x as float[])[3] from read_csv('{plain}')").fetchall()
        assert rows == [(0.1, 1, "a,b", 0.0), (None, None, None, 0.0), (math.inf, 3, "größe", 1.0)]


class TestWithoutASchema:
    TEXT = "day,n,t\n2020-02-29,1,a\n,2,\n"

    def test_it_is_as_pandas_reads_it(self, path):
        path.write_text(self.TEXT)
        assert fw.Message.read_csv(path) == fw.Message(pd.read_csv(io.StringIO(self.TEXT)))

    def test_with_the_options_of_pandas(self, path):
        path.write_text(self.TEXT.replace(",", ";"))
        message = fw.Message.read_csv(path, sep=";", parse_dates=["day"], usecols=["day", "n"], nrows=1)
        assert message == fw.Message({"day": pd.to_datetime(["2020-02-29"]), "n": [1]})

    def test_floats_are_exact(self, path):
        values = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-500, 500).clip(-290, 290)
        message = fw.Message({"x": values})
        message.to_csv(path)
        assert fw.Message.read_csv(path) == message

    def test_rows_with_a_field_more_keep_it(self, path):
        path.write_text("a,b\n1,2,3\n4,5,6\n")
        assert fw.Message.read_csv(path) == fw.Message({"index": [1, 4], "a": [2, 5], "b": [3, 6]})

    def test_an_index_that_was_asked_for_becomes_the_first_column(self, path):
        path.write_text("a,b\n1,x\n2,y\n")
        assert fw.Message.read_csv(path, index_col="b") == fw.Message({"b": ["x", "y"], "a": [1, 2]})

    def test_a_compression_that_pandas_knows(self, path):
        path.write_bytes(gzip.compress(b"a\n1\n"))
        assert fw.Message.read_csv(path, compression="gzip") == fw.Message({"a": [1]})

    @pytest.mark.parametrize("option", [{"chunksize": 1}, {"iterator": True}], ids=str)
    def test_no_reader_comes_back(self, option, path):
        path.write_text(self.TEXT)
        with pytest.raises(
            TypeError, match=r"Message.read_csv: a message is read whole, so chunksize and iterator can't"
        ):
            fw.Message.read_csv(path, **option)

    def test_an_unknown_option_is_refused_by_pandas(self, path):
        path.write_text(self.TEXT)
        with pytest.raises(TypeError, match="separated_by"):
            fw.Message.read_csv(path, separated_by=";")


class TestRefuses:
    @pytest.mark.parametrize("kind", sorted(REFUSED))
    def test_columns_that_text_would_not_give_back(self, kind, path):
        message = fw.Message({"column": ARRAYS[kind](np.random.default_rng(1), 7)})
        with pytest.raises(
            ColumnTypeError, match=r"Message.to_csv: column 'column' holds .*; convert the column, as with"
        ):
            message.to_csv(path)
        assert not path.exists()

    @pytest.mark.parametrize("value", [5, 0.5, True, ["a"], {"k": 1}], ids=repr)
    def test_objects_that_are_no_text(self, value, path):
        with pytest.raises(
            ColumnTypeError,
            match=r"Message.to_csv: column 'c' holds .* of type \w+ in row 2, which would be read back as text; convert",
        ):
            fw.Message({"c": pd.Series(["a", None, value], dtype=object)}).to_csv(path)

    def test_a_missing_text_that_is_alone(self, path):
        with pytest.raises(
            ColumnValueError,
            match=r"Message.to_csv: column 't', row 1: the text is missing, which in a file of one column is an empty line.*"
            r"na_rep='NA', say, and na_values='NA' to read_csv\.$",
        ):
            fw.Message({"t": ["a", None]}).to_csv(path)

    @pytest.mark.parametrize(
        ("columns", "place"),
        [
            ({"t": pd.array(["a", "\ud800"], dtype="string[python]")}, r"column 't', row 1: '\\ud800'"),
            ({"\udfff": ["a", "b"]}, r"the name of column '\\udfff': '\\udfff'"),
        ],
        ids=["value", "name"],
    )
    def test_a_text_that_is_no_unicode(self, columns, place, path):
        with pytest.raises(ColumnValueError, match=f"Message.to_csv: {place} is no text that UTF-8 can write"):
            fw.Message({"n": [1, 2], **columns}).to_csv(path)

    @pytest.mark.parametrize("sep", ["", "::", '"', "\n", "é"])
    def test_a_separator_that_is_none(self, sep):
        with pytest.raises(
            ValueError, match=r"Message.to_csv: sep is one ASCII character, no quotation mark and no line break; got"
        ):
            some_message().to_csv(sep=sep)
        with pytest.raises(ValueError, match=r"Message.read_csv: sep is one ASCII character"):
            fw.Message.read_csv("rows.csv", {"n": "int64"}, sep=sep)

    @pytest.mark.parametrize("na_rep", ["a,b", '"', "\n"])
    def test_a_text_for_missing_values_that_would_be_quoted(self, na_rep):
        with pytest.raises(
            ValueError, match=r"Message.to_csv: na_rep can't hold the separator, a quotation mark or a line break"
        ):
            some_message().to_csv(na_rep=na_rep)

    def test_an_index(self):
        with pytest.raises(ValueError, match=r"Message.to_csv: a message has no index to write"):
            some_message().to_csv(index=True)

    def test_an_option_beside_a_schema(self, path):
        some_message().to_csv(path)
        with pytest.raises(
            TypeError, match=r"Message.read_csv: with a schema the options are sep and na_values; got \['nrows'\]"
        ):
            fw.Message.read_csv(path, some_message().schema, nrows=1)


class TestErrors:
    SCHEMA = fw.Schema({"n": torch.int64, "t": "str"})

    def read(self, path, text, **options):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return fw.Message.read_csv(path, self.SCHEMA, **options)

    def test_a_value_that_does_not_fit_names_column_row_and_file(self, path):
        with pytest.raises(ColumnValueError, match="column 'n', row 1: 'x' does not fit int64 tensor") as caught:
            self.read(path, "n,t\n1,a\nx,b\n")
        assert caught.value.__notes__ == [f"In {str(path)!r}; the first row below the names is row 0."]

    def test_a_missing_value_where_there_can_be_none(self, path):
        with pytest.raises(ColumnValueError, match="column 'n', row 0: the value is missing"):
            self.read(path, "n,t\n,a\n")

    @pytest.mark.parametrize("dtype", [torch.float64, "float64", "Float64"], ids=str)
    @pytest.mark.parametrize("text", ["9007199254740993", "1e400", "1e-400", "0x10", "x", "-1e999"])
    def test_no_digit_of_a_float_is_lost(self, text, dtype, path):
        path.write_text(f"n\n0.5\n{text}\n")
        with pytest.raises(ColumnValueError, match=f"column 'n', row 1: '{text}' does not fit"):
            fw.Message.read_csv(path, {"n": dtype})

    @pytest.mark.parametrize("text", ["9223372036854775808", "0x10", "1.5", "nan"])
    def test_no_digit_of_an_integer_is_lost(self, text, path):
        path.write_text(f"n\n1\n{text}\n")
        with pytest.raises(ColumnValueError, match=f"column 'n', row 1: '{text}' does not fit int64"):
            fw.Message.read_csv(path, {"n": torch.int64})

    def test_numbers_as_others_spell_them(self, path):
        path.write_text("i,f\n1.0,+0.5\n+1, 1e2\n1e2,Infinity\n")
        message = fw.Message.read_csv(path, {"i": torch.int8, "f": torch.float64})
        assert (message["i"].tolist(), message["f"].tolist()) == ([1, 1, 100], [0.5, 100, math.inf])

    def test_other_columns(self, path):
        with pytest.raises(SchemaMismatchError, match=r"missing are \['t'\] and not in the schema are \['u'\]"):
            self.read(path, "n,u\n1,a\n")

    def test_a_column_that_is_there_twice(self, path):
        with pytest.raises(ColumnTypeError, match=r"Message.read_csv: '.*' has the column 'n' twice; rename one"):
            self.read(path, "n,n\n1,2\n")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("", "Empty CSV file"), ("n,t\n1\n", "Expected 2 columns, got 1"), (b"n,t\n1,\xff\n", "UTF8")],
        ids=["empty", "ragged", "no text"],
    )
    def test_what_is_no_csv(self, text, reason, path):
        with pytest.raises(
            FileFormatError, match=rf"Message.read_csv: '.*' is no CSV file, or a damaged one: .*{reason}"
        ):
            self.read(path, text)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"", "No columns to parse"),
            (b"a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
            (b"a\n\xff\n", "utf-8"),
        ],
        ids=["empty", "ragged", "no text"],
    )
    def test_what_is_no_csv_for_pandas(self, text, reason, path):
        path.write_bytes(text)
        with pytest.raises(
            FileFormatError, match=rf"Message.read_csv: '.*' is no CSV file, or a damaged one: .*{reason}"
        ):
            fw.Message.read_csv(path)

    @pytest.mark.parametrize("schema", [None, SCHEMA], ids=["pandas", "schema"])
    def test_a_missing_file(self, schema, path):
        with pytest.raises(FileNotFoundError, match=r"Message.read_csv: '.*' can't be read: there is no such file"):
            fw.Message.read_csv(path, schema)

    def test_without_room_the_old_file_stays(self, path):
        some_message().to_csv(path)
        with largest_file(50_000), pytest.raises(OSError, match=r"Message.to_csv: .* can't be written: File too large"):
            fw.Message({"x": torch.randn(100_000)}).to_csv(path)
        assert path.read_text() == some_message().to_csv()


def test_categories_and_types_of_arrow_hold_empty_texts_too(path):
    message = fw.Message(
        {
            "c": pd.Categorical(["", None, "a"], categories=["a", ""]),
            "t": ArrowExtensionArray(pa.array(["", None, "a"], type=pa.large_string())),
            "v": ArrowExtensionArray(pa.array(["", None, "a"]).dictionary_encode()),
            "o": pd.Series(["", None, "a"], dtype=object),
        }
    )
    message.to_csv(path)
    assert fw.Message.read_csv(path, message.schema) == message
