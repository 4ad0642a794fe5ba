import datetime as dt
import io
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError
from fireworks.message.interchange.arrow import table_of
from fireworks.message.interchange.arrow_tensors import array_of_tensor

TOKYO = "Asia/Tokyo"


def column(array, **metadata):
    """The stored column that a message makes of one Arrow array, with a note of fireworks beside it or none."""
    field = pa.field("x", array.type, metadata={"fireworks": json.dumps(metadata)} if metadata else None)
    table = pa.Table.from_arrays([array], schema=pa.schema([field]))
    return fw.Message(table).raw("x")


def note_of(message, name="x"):
    metadata = message.to_arrow().schema.field(name).metadata or {}
    return json.loads(metadata.get(b"fireworks", b"null"))


def through_bytes(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def address(array, buffer=-1):
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.buffers()[buffer].address + array.offset * 0


def fixed(values, *sizes):
    """Fixed-size lists of lists over a flat array."""
    array = pa.array(values)
    for size in sizes:
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


class TestArraysToArrow:
    @pytest.mark.parametrize(
        "dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "M8[s]", "m8[ns]"]
    )
    def test_an_array_of_numbers_is_not_copied(self, dtype):
        values = np.arange(5).astype(dtype)
        table = fw.Message({"x": values}).to_arrow()
        assert table["x"].chunk(0).buffers()[1].address == values.ctypes.data
        assert table["x"].type == pa.from_numpy_dtype(values.dtype)
        assert table.schema.field("x").metadata is None

    def test_a_slice_of_an_array_is_not_copied(self):
        values = np.arange(5)
        assert fw.Message({"x": values})[2:].to_arrow()["x"].chunk(0).buffers()[1].address == values[2:].ctypes.data

    def test_complex_arrays_are_not_copied(self):
        values = np.array([1 + 2j, 3j])
        array = fw.Message({"x": values}).to_arrow()["x"].chunk(0)
        assert address(array) == values.ctypes.data
        assert array.storage.to_pylist() == [[1.0, 2.0], [0.0, 3.0]]

    def test_nan_is_a_number_and_nat_is_null(self):
        table = fw.Message({"x": np.array([1.0, np.nan]), "t": np.array([0, "NaT"], "M8[s]")}).to_arrow()
        assert [table[name].null_count for name in ("x", "t")] == [0, 1]

    def test_arrays_with_gaps_are_copied_in_order(self):
        values = np.arange(6)
        for view in (values[::2], values[::-1], np.broadcast_to(values[:1], 3), (values * 1j)[::-2]):
            assert fw.Message(fw.Message({"x": view}).to_arrow())["x"].tolist() == view.tolist()

    def test_numbers_that_arrow_lacks_are_refused(self):
        with pytest.raises(
            ColumnTypeError, match=r"column 'x' holds float128, which Arrow has no type for .* with drop"
        ):
            fw.Message({"x": np.zeros(2, dtype=np.longdouble)}).to_arrow()

    def test_a_million_rows_of_numbers_are_shared_whatever_their_type(self):
        num_rows = 1_000_000
        message = fw.Message(
            {
                "a": np.zeros(num_rows),
                "b": np.zeros(num_rows, "i4"),
                "x": torch.zeros(num_rows, 3),
                "y": torch.zeros(num_rows),
            }
        )
        table = message.to_arrow()
        assert [address(table[name].chunk(0)) for name in "ab"] == [message.raw(name).ctypes.data for name in "ab"]
        assert [address(table[name].chunk(0)) for name in "xy"] == [message.raw(name).data_ptr() for name in "xy"]


class TestPandasColumns:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (pd.array(["a", None], dtype="str"), pa.large_string()),
            (pd.array(["a", None], dtype="string"), pa.large_string()),
            (pd.array(["a", None], dtype="string[python]"), pa.string()),
            (pd.array(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)), pa.string()),
            (pd.array([1, None], dtype="Int8"), pa.int8()),
            (pd.array([1, 2], dtype="UInt64"), pa.uint64()),
            (pd.array([1.5, None], dtype="Float32"), pa.float32()),
            (pd.array([True, None], dtype="boolean"), pa.bool_()),
            (pd.array([True, False], dtype="boolean"), pa.bool_()),
            (np.array(["2020", "NaT"], "M8[ms]"), pa.timestamp("ms")),
            (pd.DatetimeIndex(["2020", None], tz=TOKYO).as_unit("s"), pa.timestamp("s", TOKYO)),
            (pd.DatetimeIndex(["2020", None], tz="UTC").as_unit("ns"), pa.timestamp("ns", "UTC")),
            (pd.DatetimeIndex(["2020-01-01T00:00+05:30"]), pa.timestamp("us", "+05:30")),
            (
                pd.Categorical(["b", None], ["b", "z", "a"], ordered=True),
                pa.dictionary(pa.int8(), pa.large_string(), True),
            ),
            (pd.Categorical([3, 1, 3], [3, 2, 1]), pa.dictionary(pa.int8(), pa.int64())),
            (pd.Categorical(pd.array([3, 1], dtype="Int16")), pa.dictionary(pa.int8(), pa.int16())),
            (pd.Categorical(pd.Series(["b", "a"], dtype=object)), pa.dictionary(pa.int8(), pa.string())),
            (pd.Categorical([None, None]), None),
            (pd.Categorical(pd.DatetimeIndex(["2020", None], tz=TOKYO)), None),
            (pd.Categorical([1j, None]), pa.fixed_shape_tensor(pa.float64(), (2,))),
            (pd.cut([0.1, 0.9, np.nan], [0, 0.5, 1]), None),
            (pd.period_range("2020", periods=2, freq="M").array, None),
            (pd.interval_range(0, 2, closed="left").array, None),
            (pd.arrays.SparseArray([0, 0, 3]), pa.int64()),
            (pd.arrays.SparseArray([np.nan, 1.0]), pa.float64()),
            (pd.arrays.SparseArray([True, False], fill_value=True), pa.bool_()),
            (pd.array([Decimal("1.50"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), pa.decimal128(5, 2)),
            (pd.array([{"a": 1}, None], dtype=pd.ArrowDtype(pa.struct([("a", pa.int64())]))), None),
            (pd.array([[1], None], dtype=pd.ArrowDtype(pa.large_list(pa.int64()))), pa.large_list(pa.int64())),
            (pd.array([[1, 2]], dtype=pd.ArrowDtype(pa.list_(pa.int64(), 2))), pa.list_(pa.int64(), 2)),
            (pd.array([1, 2], dtype=pd.ArrowDtype(pa.int64())), pa.int64()),
            (pd.array(["a", None], dtype=pd.ArrowDtype(pa.string())), pa.string()),
            (pd.array(["a", None], dtype=pd.ArrowDtype(pa.string_view())), pa.string_view()),
            (pd.array([1, None], dtype=pd.ArrowDtype(pa.timestamp("s"))), pa.timestamp("s")),
            (pd.array(["a", "b"], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))), None),
            (np.array([1 + 1j]), pa.fixed_shape_tensor(pa.float64(), (2,))),
            (np.array([1 + 1j], np.complex64), pa.fixed_shape_tensor(pa.float32(), (2,))),
        ],
        ids=lambda value: str(getattr(value, "dtype", value)),
    )
    def test_a_column_comes_back_in_its_type(self, values, kind):
        message = fw.Message({"x": values})
        table = message.to_arrow()
        table.validate(full=True)
        if kind is not None:
            assert table.schema.field("x").type == kind
        for way in (table, through_bytes(table), pa.table(message), through_bytes(pa.table(message))):
            back = fw.Message(way)
            assert type(back.raw("x")) is type(message.raw("x"))
            assert back.raw("x").dtype == message.raw("x").dtype
            assert back == message
            if isinstance(values, pd.Categorical):
                assert back.raw("x").categories.equals(values.categories)
                assert back.raw("x").categories.dtype == values.categories.dtype
                assert back.raw("x").categories.name is None
                assert back.raw("x").codes.tolist() == values.codes.tolist()
        empty = fw.Message(pa.table(message[:0]))
        assert empty == message[:0]
        assert empty.raw("x").dtype == message.raw("x").dtype

    @pytest.mark.parametrize(
        "values",
        [
            pd.Categorical(["b", None, "a"], ["b", "z", "a"]),
            pd.Categorical([7, None, 3], [7, 5, 3]),
            pd.Categorical([(1, 2), None, (3,)]),
            pd.cut([0.1, np.nan, 0.9], [0, 0.5, 1]),
        ],
        ids=["texts", "numbers", "tuples", "intervals"],
    )
    def test_categories_come_back_from_chunks_and_from_no_rows(self, values):
        message = fw.Message({"x": values})
        table = message.to_arrow()
        back = fw.Message(pa.concat_tables([table, table.slice(1)]))
        assert back.raw("x").codes.tolist() == [*values.codes, *values.codes[1:]]
        assert back.raw("x").categories.equals(values.categories)
        empty = fw.Message(through_bytes(table_of(message[:0], portable=True)))
        assert empty.raw("x").categories.equals(values.categories)

    def test_null_and_nan_stay_apart(self):
        values = pd.arrays.FloatingArray(np.array([1.0, np.nan, 0.0]), np.array([False, False, True]))
        message = fw.Message({"x": values, "y": pd.arrays.FloatingArray(np.array([np.nan] * 3), np.zeros(3, bool))})
        assert message.to_arrow()["x"].null_count == 1
        back = fw.Message(message.to_arrow())
        assert back.raw("x").isna().tolist() == [False, False, True]
        assert back.raw("y").isna().tolist() == [False, False, False]
        assert np.isnan(back.raw("y").to_numpy(dtype=float)).all()

    def test_text_of_pandas_is_not_copied(self):
        values = pd.array(["a", "b"], dtype="str")
        array = pa.array(values)
        assert fw.Message({"x": values}).to_arrow()["x"].chunk(0).buffers()[2].address == array.buffers()[2].address

    def test_only_what_the_type_alone_does_not_say_is_noted(self):
        plain = {"n": [1, 2], "f": [0.5, np.nan], "s": ["a", None], "b": [True, False], "t": np.array([0, 1], "M8[ns]")}
        assert all(note_of(fw.Message(plain), name) is None for name in plain)
        assert note_of(fw.Message({"x": torch.zeros(1, 3)})) == {"version": 1, "tensor": "float32", "shape": [3]}
        assert note_of(fw.Message({"x": pd.array([1], dtype="Int8")})) == {"version": 1, "pandas": "Int8"}
        sparse = fw.Message({"x": pd.arrays.SparseArray([np.nan, 1.0])})
        assert note_of(sparse) == {"version": 1, "pandas": "Sparse", "fill": None}  # JSON has no NaN

    def test_categories_of_one_type_share_no_other_way(self):
        mixed = fw.Message({"x": pd.Categorical([1, "a"])})
        with pytest.raises(ColumnTypeError, match=r"column 'x' holds 'a' of type str in row 1, which Arrow can't hold"):
            mixed.to_arrow()

    def test_an_array_that_pandas_alone_understands_is_refused(self):
        objects = pd.arrays.SparseArray(np.array([object(), object()], dtype=object))
        with pytest.raises(
            ColumnTypeError, match=r"Message\.to_arrow: column 'x' holds .*, which Arrow has no type for"
        ):
            fw.Message({"x": objects}).to_arrow()


def arrow(kind):
    return pd.ArrowDtype(kind)


class TestNaturalColumns:
    @pytest.mark.parametrize(
        ("array", "dtype", "values"),
        [
            (pa.array([1, 2], pa.int32()), "int32", [1, 2]),
            (pa.array([1, None], pa.int32()), "Int32", [1, pd.NA]),
            (pa.array([1, None], pa.uint8()), "UInt8", [1, pd.NA]),
            (pa.array([0.5, np.nan]), "float64", [0.5, np.nan]),
            (pa.array([0.5, None], pa.float32()), "Float32", [0.5, pd.NA]),
            (pa.array([1.5, 2.5], pa.float16()), "float16", [1.5, 2.5]),
            (pa.array([1.5, None], pa.float16()), arrow(pa.float16()), [1.5, pd.NA]),
            (pa.array([True, False]), "bool", [True, False]),
            (pa.array([True, None]), "boolean", [True, pd.NA]),
            (pa.array(["a", None]), "str", ["a", np.nan]),
            (pa.array(["a", None], pa.large_string()), "str", ["a", np.nan]),
            (pa.array(["a", None], pa.string_view()), "str", ["a", np.nan]),
            (pa.array([0, 1], pa.timestamp("s")), "M8[s]", [pd.Timestamp(0), pd.Timestamp("1970-01-01T00:00:01")]),
            (pa.array([0, None], pa.timestamp("ns")), "M8[ns]", [pd.Timestamp(0), pd.NaT]),
            (pa.array([1, None], pa.duration("ms")), "m8[ms]", [pd.Timedelta("1ms"), pd.NaT]),
            (pa.array([0, None], pa.timestamp("us", TOKYO)), f"datetime64[us, {TOKYO}]", [pd.Timestamp(0, tz=TOKYO), pd.NaT]),
            (pa.array([dt.date(2020, 1, 2), None]), arrow(pa.date32()), [dt.date(2020, 1, 2), pd.NA]),
            (pa.array([b"x", None]), arrow(pa.binary()), [b"x", pd.NA]),
            (pa.array([b"x", None], pa.binary_view()), arrow(pa.large_binary()), [b"x", pd.NA]),
            (pa.array([Decimal("1.5")]), arrow(pa.decimal128(2, 1)), [Decimal("1.5")]),
            (pa.array([[1], None]), arrow(pa.list_(pa.int64())), None),
            (pa.array([["x"]], pa.list_(pa.string_view())), arrow(pa.list_(pa.large_string())), None),
            (pa.array([["x"]], pa.large_list(pa.string_view())), arrow(pa.large_list(pa.large_string())), None),
            (pa.array([["x"]], pa.list_(pa.string_view(), 1)), arrow(pa.list_(pa.large_string(), 1)), None),
            (pa.array([[("k", "v")]], pa.map_(pa.string_view(), pa.string_view())), arrow(pa.map_(pa.large_string(), pa.large_string())), None),
            (pa.array([{"a": "x"}], pa.struct([("a", pa.string_view())])), arrow(pa.struct([("a", pa.large_string())])), None),
            (pa.array([{"a": 1}]), arrow(pa.struct([("a", pa.int64())])), [{"a": 1}]),
            (pa.nulls(2), arrow(pa.null()), [pd.NA, pd.NA]),
            (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), arrow(pa.list_(pa.int64(), 2)), None),
            (pa.array([[1, None]], pa.list_(pa.int64(), 2)), arrow(pa.list_(pa.int64(), 2)), None),
            (pa.array([["a", "b"]], pa.list_(pa.string(), 2)), arrow(pa.list_(pa.string(), 2)), None),
            (pa.RunEndEncodedArray.from_arrays([2, 3], [7, 8]), "int64", [7, 7, 8]),
            (pa.array([], pa.int64()), "int64", []),
            (pa.chunked_array([], pa.string()), "str", []),
            (pa.chunked_array([], pa.timestamp("ms")), "M8[ms]", []),
            (pa.chunked_array([[1], [2, None]]), "Int64", [1, 2, pd.NA]),
            (pa.chunked_array([[1], [2]]), "int64", [1, 2]),
        ],
        ids=lambda value: str(getattr(value, "type", value))[:40],
    )  # fmt: skip
    def test_each_type_has_one_column(self, array, dtype, values):
        message = fw.Message(pa.table({"x": array}))
        assert message.raw("x").dtype == dtype
        if values is not None:
            assert message["x"].equals(pd.Series(values, dtype=dtype, name="x"))
        assert len(message[[0] * min(1, len(message))]) == min(1, len(message))  # its rows can be taken
        assert "x" in repr(message)

    def test_numbers_without_nulls_share_arrows_memory_and_are_read_only(self):
        for array in (pa.array([1.5, 2.5]), pa.array([1, 2], pa.timestamp("s")), pa.array([1, 2, 3]).slice(1)):
            values = column(array)
            assert values.ctypes.data == array.buffers()[1].address + array.offset * 8
            with pytest.raises(ValueError, match="read-only"):
                values[0] = 0

    def test_tensors_are_copies_that_may_be_written_to(self):
        array = array_of_tensor(torch.ones(2, 3))
        message = fw.Message(pa.table({"x": array, "y": fixed([1.0, 2.0, 3.0, 4.0], 2)}))
        message["x"].zero_()
        message["y"].zero_()
        assert array.to_numpy_ndarray().tolist() == [[1.0] * 3] * 2
        noted = fw.Message({"x": torch.ones(2)})
        fw.Message(noted.to_arrow())["x"].zero_()
        assert noted["x"].tolist() == [1.0, 1.0]

    def test_nullable_columns_may_be_written_to(self):
        array = pa.array([1, None])
        column(array)[0] = 7
        column(pa.array([1, 2]), version=1, pandas="Int64")[0] = 7
        assert array.to_pylist() == [1, None]

    def test_lists_of_lists_of_one_size_are_a_tensor(self):
        values = column(fixed(range(12), 2, 3))
        assert torch.equal(values, torch.arange(12).reshape(2, 3, 2))

    def test_tensors_with_a_missing_row_keep_their_arrow_type(self):
        kind = pa.fixed_shape_tensor(pa.int64(), (2,))
        array = pa.ExtensionArray.from_storage(kind, pa.array([[1, 2], None], pa.list_(pa.int64(), 2)))
        message = fw.Message(pa.table({"x": array}))
        assert message.schema["x"].dtype == pd.ArrowDtype(kind)
        assert message["x"].isna().tolist() == [False, True]
        assert fw.Message(message.to_arrow()) == message


class TestDictionaries:
    def test_a_dictionary_is_a_categorical_with_all_categories_in_order(self):
        array = pa.DictionaryArray.from_arrays(pa.array([2, None, 0], pa.uint32()), ["b", "z", "a"], ordered=True)
        values = column(array)
        assert values.tolist()[0] == "a"
        assert values.codes.tolist() == [2, -1, 0]
        assert list(values.categories) == ["b", "z", "a"]
        assert values.categories.dtype == "str"
        assert values.ordered
        assert not column(pa.array(["a"]).dictionary_encode()).ordered

    def test_chunks_with_different_dictionaries_are_joined(self):
        chunks = [pa.array(texts).dictionary_encode() for texts in (["a", "b"], ["c", "b"], [])]
        values = column(pa.chunked_array(chunks[:2]))
        assert values.tolist() == ["a", "b", "c", "b"]
        assert list(values.categories) == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("dictionary", "categories", "codes"),
        [
            (["a", None, "b"], ["a", "b"], [0, -1, 1, -1]),
            (["a", "b", "a"], ["a", "b"], [0, 1, 0, -1]),
            (["a", None, "a"], ["a"], [0, -1, 0, -1]),
        ],
    )
    def test_a_null_or_a_value_twice_in_the_dictionary_is_no_category(self, dictionary, categories, codes):
        values = column(pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(dictionary)))
        assert list(values.categories) == categories
        assert values.codes.tolist() == codes

    @pytest.mark.parametrize(
        ("values", "dtype"),
        [([5, 7], "int64"), ([0.5], "float64"), ([np.datetime64(0, "us")], "M8[us]"), ([b"x"], arrow(pa.binary()))],
    )
    def test_categories_have_the_natural_type_of_the_values(self, values, dtype):
        found = column(pa.array(values).dictionary_encode())
        assert found.categories.dtype == dtype
        assert found.categories.tolist() == pd.Index(values).tolist()

    def test_an_empty_dictionary_has_no_categories(self):
        values = column(pa.chunked_array([], pa.dictionary(pa.int8(), pa.string())))
        assert len(values) == len(values.categories) == 0

    def test_a_dictionary_of_lists_keeps_its_arrow_type(self):
        array = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1, 2]]))
        assert column(array).dtype == arrow(array.type)


class TestExtensionTypes:
    def test_periods_and_intervals_of_pandas_come_back_without_a_note(self):
        periods = pd.period_range("2020", periods=2, freq="Q").array
        intervals = pd.interval_range(0, 2).array
        message = fw.Message({"p": periods, "i": intervals})
        assert note_of(message, "p") is note_of(message, "i") is None
        assert fw.Message(message.to_arrow()) == message

    def test_other_extension_types_keep_their_arrow_type(self):
        array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None], pa.binary(16)))
        assert column(array).dtype == arrow(pa.uuid())


class TestOneColumn:
    def test_an_arrow_array_of_tensors_is_a_tensor_column(self):
        array = array_of_tensor(torch.arange(6).reshape(2, 3))
        message = fw.Message({"x": array, "y": pa.chunked_array([array.slice(0, 1), array.slice(1)])})
        assert message["x"].tolist() == message["y"].tolist() == [[0, 1, 2], [3, 4, 5]]

    def test_any_other_arrow_array_keeps_its_type(self):
        message = fw.Message({"x": pa.array([1, 2]), "y": fixed([1, 2], 1)})
        assert [field.dtype for field in message.schema] == [arrow(pa.int64()), arrow(pa.list_(pa.int64(), 1))]


class TestNotes:
    @pytest.mark.parametrize(
        ("array", "note", "dtype"),
        [
            (pa.array(["a"]), {"tensor": "float32", "shape": []}, "str"),
            (pa.array([1, None]), {"tensor": "int64", "shape": []}, "Int64"),
            (pa.array([1, 2]), {"tensor": "int32", "shape": []}, "int64"),
            (pa.array([1.0, 2.0], pa.float32()), {"tensor": "int8", "shape": []}, "float32"),
            (pa.array([0.1], pa.float32()), {"tensor": "bfloat16", "shape": []}, "float32"),
            (pa.array([[1]]), {"tensor": "float32", "shape": [0]}, arrow(pa.list_(pa.int64()))),
            (
                pa.array([[], None], pa.list_(pa.int64())),
                {"tensor": "int64", "shape": [0]},
                arrow(pa.list_(pa.int64())),
            ),
            (pa.array(["a"]), {"numpy": "complex128"}, "str"),
            (pa.array(["a"]), {"pandas": "Int64"}, "str"),
            (pa.array([1.5]), {"pandas": "Int64"}, "float64"),
            (pa.array([1]), {"pandas": "string", "storage": "python", "missing": "NA"}, "int64"),
            (pa.array(["a"]), {"pandas": "category", "of": None}, "str"),
            (pa.array(["a"]), {"pandas": "Sparse", "fill": 0}, "str"),
            (pa.array([1]), {"objects": "tuple", "missing": "None"}, "int64"),
            (pa.array([1]), {"objects": "array", "missing": "None", "of": None}, "int64"),
            (pa.array([["a"]]), {"objects": "array", "missing": "None", "of": None}, arrow(pa.list_(pa.string()))),
        ],
    )
    def test_a_note_that_the_data_no_longer_fits_is_passed_over(self, array, note, dtype):
        assert column(array, version=1, **note).dtype == dtype

    def test_a_tensor_of_another_shape_than_noted_is_the_one_that_is_there(self):
        values = column(array_of_tensor(torch.zeros(2, 3)), version=1, tensor="float32", shape=[4])
        assert values.shape == (2, 3)

    def test_a_tensor_that_was_permuted_since_has_the_shape_it_has_now(self):
        kind = pa.fixed_shape_tensor(pa.int64(), (2, 3), permutation=[1, 0])
        array = pa.ExtensionArray.from_storage(kind, fixed(range(6), 6))
        values = column(array, version=1, tensor="int64", shape=[2, 3])
        assert values.tolist() == [[[0, 3], [1, 4], [2, 5]]]

    def test_a_flattened_tensor_gets_its_noted_shape_back(self):
        values = column(fixed(range(12), 6), version=1, tensor="int64", shape=[2, 3])
        assert torch.equal(values, torch.arange(12).reshape(2, 2, 3))

    def test_values_that_are_none_of_the_noted_categories_are_kept(self):
        message = fw.Message({"x": pd.Categorical([3, 1], [3, 2, 1])})
        table = pa.table(message)
        changed = table.set_column(0, table.schema.field(0), pa.array([3, 9]))
        assert fw.Message(changed) == fw.Message({"x": [3, 9]})
