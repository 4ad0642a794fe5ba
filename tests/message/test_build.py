"""What a message can be made of; Arrow, records and tensordicts have tests of their own."""

import datetime as dt
import decimal
import enum
import types
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError, SchemaMismatchError


class TestRows:
    def test_the_first_row_sets_the_order_of_the_columns(self):
        message = fw.Message([{"b": 1, "a": "x"}, {"a": "y", "b": 2}])
        assert message.columns == ["b", "a"]
        assert message == fw.Message({"b": [1, 2], "a": ["x", "y"]})

    @pytest.mark.parametrize("kind", [list, tuple, iter, lambda rows: (row for row in rows)])
    def test_rows_come_in_a_list_a_tuple_or_an_iterator(self, kind):
        assert fw.Message(kind([{"n": 1}, {"n": 2}])) == fw.Message({"n": [1, 2]})

    @pytest.mark.parametrize("rows", [[], (), iter(())])
    def test_no_rows_make_a_message_without_columns(self, rows):
        assert fw.Message(rows) == fw.Message()

    def test_any_mapping_is_a_row(self):
        rows = [types.MappingProxyType({"n": 1}), {"n": 2}]
        assert fw.Message(rows)["n"].tolist() == [1, 2]

    def test_messages_are_joined(self):
        message = fw.Message({"x": torch.arange(4.0).reshape(2, 2), "n": [1, 2]})
        assert fw.Message(list(message)) == fw.Message([message[:1], message[1:]]) == message

    def test_tensors_are_stacked(self):
        message = fw.Message(
            [{"x": torch.tensor([1.0, 2.0]), "y": torch.tensor(3)}, {"x": torch.zeros(2), "y": torch.tensor(4)}]
        )
        assert message.schema == fw.Schema({"x": (torch.float32, 2), "y": torch.int64})
        assert message["x"].tolist() == [[1.0, 2.0], [0.0, 0.0]]

    def test_tensors_that_are_stacked_keep_their_gradients(self):
        leaf = torch.ones(2, requires_grad=True)
        fw.Message([{"x": leaf}, {"x": leaf * 2}])["x"].sum().backward()
        assert leaf.grad.tolist() == [3.0, 3.0]

    def test_collections_in_a_row_stay_one_object(self):
        first = {"l": [1, 2], "a": np.zeros(3), "s": {1}, "d": {"k": 1}, "t": (1,), "e": []}
        message = fw.Message([first, {"l": [3], "a": np.zeros(2), "s": set(), "d": {}, "t": (), "e": [1]}])
        assert {field.dtype for field in message.schema} == {np.dtype(object)}
        assert all(message[name][0] is first[name] for name in first)

    def test_missing_values_are_what_pandas_makes_of_them(self):
        message = fw.Message([{"n": 1, "s": "a", "t": pd.Timestamp("2020")}, {"n": None, "s": None, "t": None}])
        assert (
            message["n"].isna().tolist()
            == message["s"].isna().tolist()
            == message["t"].isna().tolist()
            == [False, True]
        )
        assert message.schema["s"].dtype == "str"

    def test_numbers_of_numpy_are_numbers_with_or_without_an_array_around_them(self):
        message = fw.Message([{"a": np.float32(1), "b": np.array(1.5)}, {"a": np.float32(2), "b": np.array(2.5)}])
        assert message["a"].tolist() == [1.0, 2.0]
        assert message.schema["b"].dtype == np.float64

    def test_scalars_of_arrow_are_the_values_they_hold(self):
        rows = pa.table({"n": [1, None], "s": ["a", "b"]})
        message = fw.Message([{name: rows[name][i] for name in rows.column_names} for i in range(2)])
        assert message == fw.Message(rows)
        assert fw.Message(rows.to_pylist())["s"].tolist() == ["a", "b"]

    @pytest.mark.parametrize(
        ("row", "text"),
        [
            (1.5, r"got 1\.5 of type float"),
            ("ab", "got 'ab' of type str"),
            ((1, 2), r"got \(1, 2\) of type tuple"),
            (None, "got None of type NoneType"),
            (fw.Message({"n": [1]}), "got Message of 1 row, .* of type Message"),
        ],
    )
    def test_a_row_that_is_no_mapping_is_refused(self, row, text):
        with pytest.raises(TypeError, match=r"Message: each item must be a mapping of one row's values, .*; " + text):
            fw.Message([{"n": 1}, row])

    @pytest.mark.parametrize("other", [{"n": 1}, {"n": 1, "s": "a", "z": 0}, {"n": 1, "t": "a"}, {}])
    def test_rows_with_other_columns_are_refused(self, other):
        with pytest.raises(SchemaMismatchError) as caught:
            fw.Message([{"n": 1, "s": "a"}, {"n": 2, "s": "b"}, other])
        assert str(caught.value) == (
            f"Message: rows must have the same columns; ['n', 's'] came first, then {list(other)}, 2 rows later."
        )

    def test_a_name_that_is_no_text_is_refused(self):
        with pytest.raises(ColumnTypeError, match="column names are text; got 1 of type int"):
            fw.Message([{1: 2}])

    @pytest.mark.parametrize(
        ("second", "text"),
        [
            (torch.zeros(3), r"a tensor of float32, shape \(3,\), on cpu 1 rows later"),
            (torch.zeros(2, dtype=torch.int64), r"a tensor of int64, shape \(2,\), on cpu 1 rows later"),
            (torch.zeros(2, device="meta"), r"a tensor of float32, shape \(2,\), on meta 1 rows later"),
            ([0.0, 0.0], r"\[0\.0, 0\.0\] of type list 1 rows later"),
            (None, "None of type NoneType 1 rows later"),
        ],
    )
    def test_tensors_that_differ_are_refused(self, second, text):
        with pytest.raises(
            ColumnTypeError,
            match=r"column 'x' is a tensor of float32, shape \(2,\), on cpu in the first row and " + text,
        ):
            fw.Message([{"x": torch.zeros(2)}, {"x": second}])

    def test_a_tensor_beside_other_values_is_refused_whichever_comes_first(self):
        with pytest.raises(
            ColumnTypeError, match=r"column 'x' is 1 of type int in the first row and a tensor of .* 2 rows later"
        ):
            fw.Message([{"x": 1}, {"x": 2}, {"x": torch.zeros(2)}])


class TestObjects:
    @pytest.mark.parametrize(
        "value",
        [
            [1, 2],
            (),
            {"a": 1},
            {1, 2},
            frozenset(),
            np.zeros(3),
            np.ma.array([1]),
            np.array(5),
            pd.Series([1, 2]),
            pd.DataFrame({"a": [1]}),
            pd.Index([1]),
            pd.array([1, 2]),
            pa.array([1, 2]),
            range(3),
            enum.Enum("Colour", "red").red,
            uuid.UUID(int=1),
            decimal.Decimal(1),
            dt.date(2020, 1, 1),
            b"ab",
            fw.Message({"a": [1, 2]}),
            object(),
            None,
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_value_stays_one_value_whatever_its_length(self, value):
        row = fw.Message.from_objects({"x": value, "n": 1})
        assert len(row) == 1
        assert row.raw("x")[0] is value
        assert row.schema["x"].dtype == object

    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (1, "int64"),
            (1.5, "float64"),
            (True, "bool"),
            ("ab", "str"),
            (np.float32(1), "float32"),
            (pd.Timestamp("2020", tz="UTC"), "datetime64[us, UTC]"),
            (pd.Period("2020-01", "M"), "period[M]"),
            (pa.scalar(7), "int64"),
        ],
    )
    def test_a_scalar_has_the_type_that_pandas_gives_it(self, value, dtype):
        assert fw.Message.from_objects({"x": value}).schema["x"].dtype == dtype

    def test_a_tensor_gains_a_row(self):
        tensor = torch.zeros(5)
        row = fw.Message.from_objects({"x": tensor, "y": torch.tensor(1)})
        assert row["x"].shape == (1, 5)
        assert row["y"].shape == (1,)
        assert row["x"].data_ptr() == tensor.data_ptr()

    def test_nothing_makes_a_message_without_columns(self):
        assert fw.Message.from_objects({}) == fw.Message()

    def test_a_name_that_is_no_text_is_refused(self):
        with pytest.raises(ColumnTypeError, match="column names are text; got 1 of type int"):
            fw.Message.from_objects({1: 2})


class TestAnythingElse:
    def test_any_mapping_makes_columns(self):
        assert fw.Message(types.MappingProxyType({"n": [1, 2]})) == fw.Message({"n": [1, 2]})
        with pytest.raises(ColumnTypeError, match="column names are text; got 1 of type int"):
            fw.Message(types.MappingProxyType({1: [1, 2]}))

    @pytest.mark.parametrize("data", [1, "abc", b"ab", {1, 2}, object(), len])
    def test_what_has_no_columns_is_refused(self, data):
        with pytest.raises(
            TypeError, match=rf"expected a mapping from names to columns, rows, .* got {type(data).__name__}\.$"
        ):
            fw.Message(data)

    @pytest.mark.parametrize("data", [torch.zeros(2), np.zeros(2), pd.Index([1, 2]), pa.array([1, 2])])
    def test_one_column_needs_a_name(self, data):
        with pytest.raises(
            TypeError, match=rf"got {type(data).__name__}\. One column needs a name: fw\.Message\(\{{'x': …\}}\)"
        ):
            fw.Message(data)

    def test_a_series_needs_a_name_too(self):
        with pytest.raises(ColumnTypeError, match="a Series is one column, which needs a name"):
            fw.Message(pd.Series([1, 2]))

    def test_what_is_lazy_must_be_collected_first(self):
        class Lazy:
            def collect(self):
                """Run the query."""

        with pytest.raises(TypeError, match=r"got Lazy\. Collect it first\."):
            fw.Message(Lazy())

    def test_a_schema_alone_makes_columns_of_no_rows(self):
        schema = fw.Schema(
            {
                "x": (torch.float16, 2, 3),
                "n": "Int8",
                "k": pd.CategoricalDtype(["a"]),
                "t": "datetime64[s, UTC]",
                "o": object,
            }
        )
        message = fw.Message(schema=schema)
        assert len(message) == 0
        assert message.schema == schema
