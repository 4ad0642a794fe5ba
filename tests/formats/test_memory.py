"""What is in memory becomes a source, without a copy; what can't is named."""

import pickle
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnLengthError
from pipelines import table


class TestMessagesAndFrames:
    def test_nothing_is_copied_and_slices_share_memory(self):
        x = torch.zeros(4, 2)
        assert fw.source({"x": x})[1:3]["x"].data_ptr() == x[1:].data_ptr()

    def test_a_frame_a_mapping_and_a_message_are_the_same_source(self):
        frame = pd.DataFrame({"n": [1, 2], "word": ["a", "b"]})
        sources = [fw.source(frame), fw.source(fw.Message(frame)), fw.source({"n": [1, 2], "word": ["a", "b"]})]
        assert len({repr(source) for source in sources}) == 1
        assert all(source.to_message() == fw.Message(frame) for source in sources)

    def test_assigning_a_column_to_the_callers_message_changes_no_pipeline(self):
        message = fw.Message({"n": [1, 2]})
        pipe = fw.source(message)
        message["m"] = [3, 4]
        assert pipe.to_message().columns == ["n"]

    def test_columns_of_unequal_length_are_no_source(self):
        with pytest.raises(ColumnLengthError, match="equal length"):
            fw.source({"x": [1], "y": [1, 2]})

    def test_a_pipe_is_a_source_already(self):
        pipe = table().batch(2)
        assert fw.source(pipe) is pipe


class TestTablesOfOtherLibraries:
    def test_each_becomes_the_message_that_can_be_made_of_it(self):
        frame = pd.DataFrame({"n": [1, 2], "word": ["a", "b"]})
        table = pa.table(frame)
        records = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
        assert fw.source(records).to_message() == fw.Message(records)
        tables = [table, table.to_batches()[0], pl.from_pandas(frame), duckdb.sql("SELECT * FROM frame")]
        for other in tables:
            assert fw.source(other).to_message()["n"].tolist() == [1, 2]
            assert fw.source(other).known_columns == ["n", "word"]

    def test_one_column_takes_the_name_that_is_given(self):
        for column in (
            torch.arange(3),
            np.arange(3),
            pd.Series([0, 1, 2]),
            pa.array([0, 1, 2]),
            pl.Series([0, 1, 2]),
        ):
            assert fw.source(column, columns="n").to_message().to_dict() == {"n": [0, 1, 2]}

    @pytest.mark.parametrize("given", [{"columns": ["n"]}, {"on_error": "quarantine"}])
    def test_what_is_for_items_is_refused(self, given):
        with pytest.raises(ValueError, match=r"is for items that come one by one; a dict has columns already"):
            fw.source({"n": [1, 2]}, **given)


class TestFingerprint:
    def test_equal_content_has_one_fingerprint_and_other_content_another(self):
        columns = {"x": torch.arange(3), "word": ["a", "b", "c"]}
        first = fw.source(columns).fingerprint()
        assert fw.source(fw.Message(columns).to_pandas()).fingerprint() == first
        assert fw.source(columns | {"word": ["a", "b", "d"]}).fingerprint() != first

    def test_it_is_made_once_and_again_after_a_tensor_was_changed(self, monkeypatch):
        x = torch.arange(3)
        source = fw.source({"x": x})
        first = source.fingerprint()
        with monkeypatch.context() as patched:
            patched.setattr("fireworks.formats.memory.ContentHash", None)
            assert source.fingerprint() == first
        x[1] = 7
        assert source.fingerprint() == fw.source({"x": torch.tensor([0, 7, 2])}).fingerprint() != first
        assert pickle.loads(pickle.dumps(source)).fingerprint() == source.fingerprint()

    def test_the_size_is_that_of_the_columns(self):
        assert fw.source({"x": torch.zeros(3, 2), "n": np.arange(3)}).estimated_bytes() == 3 * (8 + 8)


class TestWhatIsNoSource:
    @pytest.mark.parametrize("data", [(n for n in range(3)), iter([{"n": 1}]), {1, 2}], ids=lambda d: type(d).__name__)
    def test_what_can_be_iterated_but_not_begun_anew(self, data):
        with pytest.raises(
            TypeError, match=r"got \w+\. Pass a function that begins it anew.*: fw\.source\(lambda: …\)\."
        ):
            fw.source(data)

    @pytest.mark.parametrize("data", [b"data", 5, None])
    def test_what_holds_no_rows(self, data):
        with pytest.raises(TypeError, match=r"^source: expected a message, a DataFrame, .*; got \w+\.$"):
            fw.source(data)

    @pytest.mark.parametrize(
        "column",
        [np.zeros(3), torch.arange(3), pd.Series([1]), pa.array([1]), pa.chunked_array([[1]]), pl.Series([1])],
        ids=lambda column: type(column).__module__.partition(".")[0] + type(column).__name__,
    )
    def test_one_column_wants_a_name(self, column):
        with pytest.raises(
            TypeError, match=r"source: a \w+ is one column; name it: fw\.source\(\{'x': …\}\), or columns='x'\."
        ):
            fw.source(column)

    @pytest.mark.parametrize(
        ("path", "reader"),
        [("data.csv", "csv"), (Path("data.csv"), "csv"), ("x/a.NPY", "npy"), ("data/", "parquet"), ("a.jsonl", "json")],
    )
    def test_a_file_wants_to_be_read(self, path, reader):
        assert hasattr(fw, f"read_{reader}")
        with pytest.raises(TypeError, match=rf"source: '.*' is the name of a file; read it: fw\.read_{reader}\('"):
            fw.source(path)
