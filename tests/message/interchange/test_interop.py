import datetime as dt
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings
from tensordict import LazyStackedTensorDict, NonTensorData, NonTensorStack, TensorDict, tensorclass

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, MissingExtraError
from message.strategies import messages, restorable


class TestToPolars:
    @settings(deadline=None, max_examples=100)
    @given(messages())
    def test_a_message_comes_back_with_its_schema(self, message):
        assume(restorable(message))
        assert fw.Message(message.to_polars(), schema=message.schema) == message or not message.columns

    def test_columns_have_the_types_of_polars(self):
        message = fw.Message(
            {
                "x": torch.arange(12.0).reshape(2, 3, 2),
                "v": torch.tensor([1, 2]),
                "h": torch.ones(2).half(),
                "s": ["a", None],
                "i": pd.array([1, None], dtype="Int8"),
                "t": pd.DatetimeIndex(["2020", None], tz="Asia/Tokyo").as_unit("us"),
                "o": pd.Categorical(["low", None], ["low", "high"], ordered=True),
                "u": pd.Categorical(["b", "a"], ["b", "z", "a"]),
                "k": pd.Categorical([7, 3], [3, 5, 7]),
                "m": pd.period_range("2020", periods=2, freq="M"),
            }
        )
        schema = message.to_polars().schema
        assert isinstance(schema["x"], pl.BaseExtension)
        assert message.to_polars()["x"].ext.storage().dtype == pl.Array(pl.Float32, 6)
        assert schema["v"] == schema["k"] == pl.Int64
        assert schema["h"] == pl.Float16
        assert schema["s"] == pl.String
        assert schema["i"] == pl.Int8
        assert schema["t"] == pl.Datetime("us", "Asia/Tokyo")
        assert schema["o"] == pl.Enum(["low", "high"])
        assert schema["u"] == pl.Categorical()
        assert fw.Message(message.to_polars(), schema=message.schema) == message

    def test_values_are_those_of_the_message(self):
        frame = fw.Message({"n": [1, 2], "x": torch.tensor([[1.5, 2.5], [3.5, 4.5]]), "s": ["a", None]}).to_polars()
        assert frame["n"].to_list() == [1, 2]
        assert frame["x"].to_numpy().tolist() == [[1.5, 2.5], [3.5, 4.5]]
        assert frame["s"].to_list() == ["a", None]

    def test_ordered_categories_come_back_without_a_schema(self):
        message = fw.Message({"o": pd.Categorical(["low", None], ["low", "middle", "high"], ordered=True)})
        back = fw.Message(message.to_polars())
        assert back == message
        assert back.raw("o").categories.tolist() == ["low", "middle", "high"]
        empty = fw.Message({"o": pd.Categorical([None], pd.Index([], dtype="str"), ordered=True)})
        assert fw.Message(empty.to_polars(), schema=empty.schema) == empty

    def test_names_that_polars_would_read_as_patterns_are_names(self):
        message = fw.Message({"^.*$": pd.Categorical(["a"], ["a", "b"], ordered=True), "*": [1]})
        assert fw.Message(message.to_polars()) == message

    def test_an_empty_name_is_kept(self):
        message = fw.Message({"": [1], "a": [2]})
        assert message.to_polars().columns == ["", "a"]

    def test_a_frame_may_be_filtered_sorted_and_joined_and_come_back(self):
        message = fw.Message({"n": [3, 1, 2], "x": torch.arange(18.0).reshape(3, 3, 2)})
        frame = message.to_polars()
        assert fw.Message(frame.filter(pl.col("n") > 1)) == message[[0, 2]]
        assert fw.Message(frame.sort("n")) == message[[1, 2, 0]]
        assert fw.Message(pl.concat([frame, frame])) == fw.concat([message, message])
        joined = fw.Message(frame.join(frame.select("n", y="x"), on="n"))
        assert torch.equal(joined["x"], joined["y"])

    def test_a_zone_without_a_name_is_refused(self):
        message = fw.Message({"t": pd.DatetimeIndex(["2020-01-01T00:00+05:30"])})
        with pytest.raises(
            ColumnTypeError, match=r"Message\.to_polars: column 't' has the zone '\+05:30', and polars knows"
        ):
            message.to_polars()

    def test_a_name_with_a_nul_is_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"column 'a\\x00' has a NUL in its name, which ends it in other libraries"
        ):
            fw.Message({"a\0": [1]}).to_polars()

    def test_without_polars_the_error_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "polars", None)
        with pytest.raises(
            MissingExtraError, match=r"Message\.to_polars needs polars, .* pip install 'fireworks-torch\[interop\]'"
        ):
            fw.Message({"n": [1]}).to_polars()


class TestFromPolars:
    def test_each_type_of_polars_has_a_column(self):
        frame = pl.DataFrame(
            {
                "i": pl.Series([1, 2], dtype=pl.Int16),
                "n": pl.Series([1, None], dtype=pl.UInt8),
                "f": pl.Series([1.5, float("nan")]),
                "b": [True, None],
                "s": ["a", None],
                "e": pl.Series(["b", None], dtype=pl.Enum(["z", "b"])),
                "c": pl.Series(["q", "a"], dtype=pl.Categorical),
                "t": pl.Series([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * 2, dtype=pl.Datetime("ms", "UTC")),
                "d": [dt.date(2020, 1, 1), None],
                "u": pl.Series([1, None], dtype=pl.Duration("ns")),
                "a": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
                "aa": pl.Series([[[1], [2]], [[3], [4]]], dtype=pl.Array(pl.Float32, (2, 1))),
                "l": [[1], None],
                "ls": [["x"], None],
                "st": [{"p": 1, "q": "x"}, None],
                "bin": [b"x", None],
            }
        )
        message = fw.Message(frame)
        arrow = pd.ArrowDtype
        assert message.schema == fw.Schema(
            {
                "i": "int16",
                "n": "UInt8",
                "f": "float64",
                "b": "boolean",
                "s": "str",
                "e": pd.CategoricalDtype(["z", "b"], ordered=True),
                "c": pd.CategoricalDtype(["q", "a"]),
                "t": "datetime64[ms, UTC]",
                "d": arrow(pa.date32()),
                "u": "m8[ns]",
                "a": (torch.int8, 2),
                "aa": (torch.float32, 2, 1),
                "l": arrow(pa.large_list(pa.int64())),
                "ls": arrow(pa.large_list(pa.large_string())),
                "st": arrow(pa.struct([("p", pa.int64()), ("q", pa.large_string())])),
                "bin": arrow(pa.large_binary()),
            }
        )
        assert message["aa"].tolist() == [[[1.0], [2.0]], [[3.0], [4.0]]]
        assert message[["l", "ls", "st", "bin"]][::-1].to_dict("records")[1] == {
            "l": [1], "ls": ["x"], "st": {"p": 1, "q": "x"}, "bin": b"x"
        }  # fmt: skip

    def test_a_write_to_a_tensor_leaves_the_frame_alone(self):
        frame = pl.DataFrame({"a": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2))})
        fw.Message(frame)["a"].zero_()
        assert frame["a"].to_list() == [[1, 2], [3, 4]]

    def test_a_series_is_a_column(self):
        message = fw.Message(
            {"n": pl.Series([1, None]), "a": pl.Series([[1.5, 2.5]] * 2, dtype=pl.Array(pl.Float32, 2))}
        )
        message["s"] = pl.Series(["a", "b"])
        assert message.schema == fw.Schema({"n": "Int64", "a": (torch.float32, 2), "s": "str"})

    def test_a_series_alone_needs_a_name_and_a_lazy_frame_must_be_collected(self):
        with pytest.raises(ColumnTypeError, match=r"a Series is one column, which needs a name: fw\.Message"):
            fw.Message(pl.Series([1, 2]))
        with pytest.raises(TypeError, match=r"got LazyFrame\. Collect it first\."):
            fw.Message(pl.LazyFrame({"a": [1]}))


class TestToTensordict:
    def test_tensors_are_shared(self):
        message = fw.Message({"x": torch.zeros(3, 2), "a.b": torch.zeros(3, dtype=torch.int64)})
        entries = message.to_tensordict()
        assert entries.batch_size == torch.Size([3])
        assert entries["x"].data_ptr() == message["x"].data_ptr()
        assert set(entries.keys()) == {"x", "a.b"}
        assert fw.Message(entries) == message

    def test_columns_are_chosen_by_name(self):
        message = fw.Message({"x": torch.zeros(3), "y": torch.ones(3), "n": [1, 2, 3]})
        assert list(message.to_tensordict("y").keys()) == ["y"]
        assert list(message.to_tensordict(["y", "x"]).keys()) == ["y", "x"]
        with pytest.raises(ColumnNotFoundError, match="no column 'z'"):
            message.to_tensordict("z")

    def test_gradients_go_along(self):
        message = fw.Message({"x": torch.ones(2, requires_grad=True)})
        message.to_tensordict()["x"].sum().backward()
        assert message["x"].grad.tolist() == [1.0, 1.0]

    def test_a_message_without_columns_is_an_empty_tensordict(self):
        assert fw.Message().to_tensordict().batch_size == torch.Size([0])

    def test_other_columns_are_all_named(self):
        message = fw.Message({"x": torch.zeros(2), "n": [1, 2], "s": ["a", "b"]})
        with pytest.raises(
            ColumnTypeError,
            match=r"to_tensordict: columns \['n', 's'\] are no tensors; convert them with to_tensors, or name",
        ):
            message.to_tensordict()

    def test_without_tensordict_the_error_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensordict", None)
        with pytest.raises(MissingExtraError, match=r"Message\.to_tensordict needs tensordict, .*\[interop\]"):
            fw.Message({"x": torch.zeros(1)}).to_tensordict()


class TestFromTensordict:
    def test_nested_entries_are_named_with_dots_and_shared(self):
        entries = TensorDict({"x": torch.zeros(3, 2), "n": {"a": torch.ones(3), "m": {"b": torch.arange(3)}}}, [3])
        message = fw.Message(entries)
        assert message.columns == ["x", "n.a", "n.m.b"]
        assert message["n.m.b"].data_ptr() == entries["n", "m", "b"].data_ptr()

    def test_a_second_batch_dimension_is_one_of_the_rows(self):
        message = fw.Message(TensorDict({"x": torch.zeros(3, 4, 2)}, [3, 4]))
        assert message.schema == fw.Schema({"x": (torch.float32, 4, 2)})

    def test_entries_that_are_no_tensors_are_columns_of_values(self):
        entries = TensorDict(
            {
                "x": torch.zeros(3),
                "s": NonTensorStack("x", "y", "z"),
                "one": NonTensorData("same", batch_size=[3]),
                "n": {"objects": NonTensorStack({"a": 1}, None, {"a": 2})},
            },
            [3],
        )
        message = fw.Message(entries)
        assert message["s"].tolist() == ["x", "y", "z"]
        assert message["one"].tolist() == ["same"] * 3
        assert message["n.objects"].tolist() == [{"a": 1}, None, {"a": 2}]

    def test_a_tensorclass_is_one_too(self):
        @tensorclass
        class Pair:
            left: torch.Tensor
            label: str

        message = fw.Message(Pair(torch.arange(2), "a", batch_size=[2]))
        assert message["left"].tolist() == [0, 1]
        assert message["label"].tolist() == ["a", "a"]

    def test_tensordicts_that_are_stacked_lazily_are_read(self):
        parts = [TensorDict({"x": torch.full((2,), i)}, []) for i in range(3)]
        assert fw.Message(LazyStackedTensorDict(*parts))["x"].tolist() == [[0, 0], [1, 1], [2, 2]]

    def test_a_lazy_stack_of_different_shapes_is_refused(self):
        parts = [TensorDict({"x": torch.zeros(size)}, []) for size in (2, 3)]
        with pytest.raises(
            ColumnTypeError, match="tensors of the tensordict's entry 'x' differ in shape from row to row; pad"
        ):
            fw.Message(LazyStackedTensorDict(*parts))

    def test_a_tensordict_without_a_batch_dimension_is_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"a tensordict needs a batch dimension, .* pass data\.unsqueeze\(0\)"
        ):
            fw.Message(TensorDict({"x": torch.zeros(2)}, []))

    def test_two_entries_of_one_name_are_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"the tensordict has two entries for column 'a\.b'; rename one of them"
        ):
            fw.Message(TensorDict({"a.b": torch.zeros(2), "a": {"b": torch.zeros(2)}}, [2]))

    def test_a_tensordict_of_no_entries_makes_no_columns(self):
        assert fw.Message(TensorDict({}, [3])) == fw.Message()


def test_dates_in_seconds_are_milliseconds_in_polars_and_come_back_by_the_schema():
    message = fw.Message({"t": np.array([0, 1], "M8[s]")})
    assert fw.Message(message.to_polars()).schema["t"].dtype == "M8[ms]"
    assert fw.Message(message.to_polars(), schema=message.schema) == message
