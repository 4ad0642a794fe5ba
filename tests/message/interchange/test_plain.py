import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

import fireworks as fw
from fireworks.errors import ColumnTypeError, ColumnValueError
from message.strategies import messages, nan_beside_null

MIXED = {
    "n": [1, 2],
    "x": torch.tensor([[1.5, 2.5], [3.5, 4.5]]),
    "name": ["ann", None],
    "i": pd.array([1, None], dtype="Int64"),
    "t": np.array(["2020-01-01", "NaT"], "M8[s]"),
    "o": pd.Series([(1, 2), None], dtype=object),
}


class TestToDict:
    def test_lists_are_plain_values(self):
        columns = fw.Message(MIXED).to_dict()
        assert columns["n"] == [1, 2]
        assert columns["x"] == [[1.5, 2.5], [3.5, 4.5]]
        assert columns["name"][0] == "ann"
        assert columns["i"] == [1, pd.NA]
        assert columns["t"] == [pd.Timestamp("2020-01-01"), pd.NaT]
        assert columns["o"] == [(1, 2), None]
        assert [type(value) for value in (columns["n"][0], columns["x"][0][0])] == [int, float]
        assert fw.Message(MIXED).to_dict("list") == columns

    def test_records_are_rows(self):
        rows = fw.Message(MIXED).to_dict("records")
        assert rows[0] == {"n": 1, "x": [1.5, 2.5], "name": "ann", "i": 1, "t": pd.Timestamp("2020-01-01"), "o": (1, 2)}
        assert list(rows[1]) == list(MIXED)
        assert len(rows) == 2

    def test_rows_make_the_columns_again(self):
        message = fw.Message({"n": [1, 2], "name": ["ann", "bob"], "ok": [True, False]})
        assert fw.Message(message.to_dict("records")) == fw.Message(message.to_dict()) == message

    @pytest.mark.parametrize("orient", ["dict", "index", "split", "tight"])
    def test_the_other_orients_are_those_of_pandas(self, orient):
        message = fw.Message({"n": [1, 2], "x": [0.5, 1.5], "name": ["ann", "bob"]})
        assert message.to_dict(orient) == message.to_pandas().to_dict(orient)

    @pytest.mark.parametrize("orient", ["dict", "index", "split", "tight"])
    def test_rows_of_tensors_are_lists_in_every_orient(self, orient):
        message = fw.Message({"x": torch.tensor([[1, 2], [3, 4]]), "y": torch.tensor([5, 6])})
        expected = pd.DataFrame({"x": pd.Series([[1, 2], [3, 4]]), "y": [5, 6]}).to_dict(orient)
        assert message.to_dict(orient) == expected

    def test_series_keep_their_types(self):
        message = fw.Message(MIXED)
        series = message.to_dict("series")
        assert {name: column.dtype for name, column in series.items()} == message.to_pandas().dtypes.to_dict()

    def test_a_message_without_columns_has_none(self):
        assert fw.Message().to_dict() == fw.Message().to_dict("dict") == {}
        assert fw.Message().to_dict("records") == []

    def test_an_unknown_orient_is_refused(self):
        with pytest.raises(ValueError, match=r"Message\.to_dict: orient is one of list, records, .*; got 'rows'"):
            fw.Message(MIXED).to_dict("rows")


class TestToRecords:
    def test_fields_have_the_types_of_the_columns(self):
        records = fw.Message(MIXED).to_records()
        assert records.dtype == np.dtype(
            [("n", "i8"), ("x", "f4", 2), ("name", "O"), ("i", "O"), ("t", "M8[s]"), ("o", "O")]
        )
        assert records["n"].tolist() == [1, 2]
        assert records["x"].tolist() == [[1.5, 2.5], [3.5, 4.5]]
        assert records["o"].tolist() == [(1, 2), None]
        assert records["name"].tolist() == ["ann", None]
        assert records["i"].tolist() == [1, None]

    @settings(deadline=None, max_examples=100)
    @given(messages())
    def test_records_with_the_schema_make_the_message_again(self, message):
        kept = [name for name in message.columns if name and not nan_beside_null(message.raw(name))]
        message = message.select(*kept)
        assert fw.Message(message.to_records(), schema=message.schema) == message or not kept

    def test_tensors_and_arrays_come_back_without_a_schema(self):
        message = fw.Message(
            {
                "x": torch.arange(12).reshape(2, 3, 2),
                "c": torch.zeros(2, 1, dtype=torch.complex64),
                "b": torch.tensor([[True], [False]]),
                "z": torch.zeros(2, 0, 3),
                "n": np.array([1, 2], "u2"),
                "t": np.array([0, 1], "M8[ns]"),
                "s": ["a", "b"],
                "k": np.array([1j, 2]),
            }
        )
        assert fw.Message(message.to_records()) == message

    def test_it_is_a_copy(self):
        tensor, array = torch.zeros(2, 2), np.zeros(2)
        records = fw.Message({"x": tensor, "n": array}).to_records()
        records["x"] = records["n"] = 1
        assert tensor.sum() == array.sum() == 0

    def test_short_floats_of_torch_are_float32(self):
        records = fw.Message({"x": torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)}).to_records()
        assert records.dtype == np.dtype([("x", "f4", 2)])
        assert records["x"].tolist() == [[1.0, 1.0], [1.0, 1.0]]

    def test_a_message_without_columns_makes_records_without_fields(self):
        records = fw.Message().to_records()
        assert records.shape == (0,)
        assert fw.Message(records) == fw.Message()

    def test_an_empty_name_is_refused(self):
        with pytest.raises(ColumnTypeError, match=r"Message\.to_records: a column has an empty name, .* rename it"):
            fw.Message({"": [1]}).to_records()

    def test_a_tensor_without_values_is_refused_by_name(self):
        with pytest.raises(ColumnTypeError, match=r"Message\.to_records: column 'x' is no NumPy array: .* meta"):
            fw.Message({"x": torch.zeros(2, device="meta")}).to_records()


class TestFromRecords:
    def test_a_field_of_arrays_is_a_tensor_of_its_own(self):
        records = np.zeros(2, dtype=[("n", "i4"), ("x", "f4", (2, 3))])
        message = fw.Message(records)
        assert message.schema == fw.Schema({"n": "int32", "x": (torch.float32, 2, 3)})
        message["x"].add_(1)
        message.raw("n")[:] = 1
        assert records["x"].sum() == records["n"].sum() == 0

    def test_texts_bytes_and_the_other_byte_order_are_taken(self):
        records = np.array([("ab", b"c", 1.5, [1, 2])], dtype=[("s", "U3"), ("b", "S2"), ("f", ">f4"), ("x", ">i4", 2)])
        message = fw.Message(records)
        assert message["s"].tolist() == ["ab"]
        assert message["b"].tolist() == [b"c"]
        assert message.schema["f"].dtype == np.dtype("f4")
        assert message["x"].equal(torch.tensor([[1, 2]], dtype=torch.int32))

    def test_a_recarray_and_read_only_records_are_taken(self):
        records = np.rec.array([(1, [2.0, 3.0])], dtype=[("n", "i8"), ("x", "f8", 2)])
        frozen = np.array(records)
        frozen.flags.writeable = False
        expected = fw.Message({"n": [1], "x": torch.tensor([[2.0, 3.0]], dtype=torch.float64)})
        assert fw.Message(records) == fw.Message(frozen) == expected

    def test_a_masked_value_is_missing(self):
        records = np.ma.array(
            [(1, 2.0), (3, 4.0)], mask=[(False, True), (True, False)], dtype=[("n", "i8"), ("f", "f8")]
        )
        message = fw.Message(records)
        assert message["n"].isna().tolist() == [False, True]
        assert message["f"].isna().tolist() == [True, False]

    def test_a_masked_array_in_a_row_is_refused(self):
        records = np.ma.zeros(3, dtype=[("x", "f4", 2)])
        assert fw.Message(records)["x"].equal(torch.zeros(3, 2))
        records["x"][1, 0] = np.ma.masked
        with pytest.raises(ColumnValueError, match="field 'x' is masked in row 1, and a tensor has nothing for that"):
            fw.Message(records)

    @pytest.mark.parametrize("shape", [(), (2, 2)])
    def test_records_of_other_than_one_dimension_are_refused(self, shape):
        with pytest.raises(ColumnTypeError, match="an array of records has one dimension, its rows; got shape"):
            fw.Message(np.zeros(shape, dtype=[("n", "i4")]))

    @pytest.mark.parametrize("kind", ["M8[s]", "U2", "O"])
    def test_arrays_of_what_is_no_number_are_refused(self, kind):
        with pytest.raises(ColumnTypeError, match=r"field 't' holds arrays of .*, and only numbers make a tensor"):
            fw.Message(np.zeros(2, dtype=[("t", kind, 2)]))

    def test_records_within_records_are_refused(self):
        with pytest.raises(ColumnTypeError, match="column 'r' is an array of records"):
            fw.Message(np.zeros(2, dtype=[("r", [("a", "i4")])]))


class TestToNumpy:
    def test_each_element_of_a_row_is_one_column(self):
        message = fw.Message({"n": [1, 2], "x": torch.arange(12.0).reshape(2, 3, 2), "ok": [True, False]})
        matrix = message.to_numpy()
        expected = np.column_stack([[1, 2], np.arange(12.0).reshape(2, 6), [1, 0]])
        assert matrix.dtype == np.float64
        assert np.array_equal(matrix, expected)

    @pytest.mark.parametrize(
        ("columns", "dtype"),
        [
            ({"a": np.zeros(2, "f4"), "b": torch.zeros(2)}, "f4"),
            ({"a": np.zeros(2, "i2"), "b": np.zeros(2, "u1")}, "i2"),
            ({"a": np.zeros(2, "i8"), "b": np.zeros(2, "f4")}, "f8"),
            ({"a": np.zeros(2, bool), "b": np.zeros(2, bool)}, "?"),
            ({"a": np.zeros(2, bool), "b": np.zeros(2, "i4")}, "i4"),
            ({"a": np.zeros(2, "c8"), "b": np.zeros(2, "f8")}, "c16"),
            ({"a": torch.zeros(2, dtype=torch.bfloat16)}, "f4"),
            ({"a": pd.array([1, 2], dtype="Int16"), "b": pd.array([1.5, 2], dtype="Float32")}, "f4"),
            ({"a": pd.array([[1, 2], [3, 4]], dtype=pd.ArrowDtype(__import__("pyarrow").list_(__import__("pyarrow").int8(), 2)))}, "i1"),
            ({}, "f8"),
        ],
    )  # fmt: skip
    def test_the_type_is_the_narrowest_for_all(self, columns, dtype):
        message = fw.Message(columns)
        matrix = message.to_numpy()
        assert matrix.dtype == dtype
        assert matrix.ndim == 2
        assert len(matrix) == len(message)

    def test_nan_is_a_number(self):
        assert np.isnan(fw.Message({"a": [1.0, np.nan], "b": [1, 2]}).to_numpy()[1, 0])

    @pytest.mark.parametrize("values", [torch.arange(6.0).reshape(3, 2), torch.arange(3), np.arange(3.0)])
    def test_one_column_is_shared_and_read_only(self, values):
        matrix = fw.Message({"x": values}).to_numpy()
        assert np.shares_memory(matrix, np.asarray(values))
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1
        assert np.asarray(values).flags.writeable

    def test_a_conversion_or_several_columns_are_a_copy(self):
        message = fw.Message({"x": torch.zeros(2), "y": torch.zeros(2)})
        for matrix in (message.to_numpy(), message.select("x").to_numpy("f8"), message.select("x").to_numpy(np.int8)):
            matrix[:] = 1
        assert message["x"].sum() == message["y"].sum() == 0

    def test_floats_are_rounded_by_a_shorter_type(self):
        message = fw.Message({"x": [0.1, np.inf], "n": [1, 2]})
        assert np.array_equal(message.to_numpy("float32"), np.array([[0.1, 1], [np.inf, 2]], dtype="f4"))

    @pytest.mark.parametrize(
        ("columns", "dtype", "text"),
        [
            ({"n": [1, 2**53 + 1], "f": [0.5, 1.5]}, None, r"column 'n', row 1: 9007199254740993 does not fit float64"),
            ({"f": [1.0, 0.5]}, "int64", r"column 'f', row 1: 0\.5 does not fit int64"),
            ({"f": [1.0, np.nan]}, "int64", r"column 'f', row 1: nan does not fit int64"),
            ({"n": [1, 300]}, "int8", r"column 'n', row 1: 300 does not fit int8"),
            (
                {"x": torch.tensor([[1.0, 2.0], [3.0, 4e5]])},
                "float16",
                r"column 'x', row 1: 400000\.0 does not fit float16",
            ),
            ({"c": np.array([1 + 1j])}, "float64", r"column 'c', row 0: \(1\+1j\) does not fit float64"),
        ],
    )
    def test_a_value_that_would_change_is_refused(self, columns, dtype, text):
        with pytest.raises(ColumnValueError, match=r"Message\.to_numpy: " + text):
            fw.Message(columns).to_numpy(dtype)

    def test_a_missing_value_is_refused(self):
        with pytest.raises(ColumnValueError, match=r"Message\.to_numpy: column 'i', row 1: the value is missing"):
            fw.Message({"i": pd.array([1, None], dtype="Int64")}).to_numpy()

    def test_columns_that_are_no_numbers_are_all_named(self):
        with pytest.raises(
            ColumnTypeError, match=r"columns \['name', 't', 'o'\] hold no numbers; convert them, or leave"
        ):
            fw.Message(MIXED).drop("i").to_numpy()

    @pytest.mark.parametrize("dtype", ["str", object, "M8[s]", torch.float32])
    def test_a_type_of_no_numbers_is_refused(self, dtype):
        with pytest.raises(ColumnTypeError, match=r"Message\.to_numpy: dtype is a NumPy type of numbers, .*; got "):
            fw.Message({"n": [1]}).to_numpy(dtype)

    def test_rows_without_elements_have_no_columns(self):
        assert fw.Message({"z": torch.zeros(2, 0, 3)}).to_numpy().shape == (2, 0)
        assert fw.Message({"z": torch.zeros(0, 3), "n": np.zeros(0)}).to_numpy().shape == (0, 4)
