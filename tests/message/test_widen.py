"""Columns of different types end to end: the values that pandas and Python expect, in the type that holds them all."""

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fireworks as fw
from fireworks.errors import SchemaMismatchError
from fireworks.message.widen import common_dtype


def joined(*columns):
    return fw.concat([fw.Message({"x": column}) for column in columns])["x"]


def values(column):
    return [None if pd.isna(value) else value for value in column]


class TestNumbers:
    @pytest.mark.parametrize(
        ("dtypes", "widest"),
        [
            (["int8", "int64"], "int64"),
            (["uint8", "int8"], "int16"),
            (["uint32", "int32"], "int64"),
            (["uint8", "uint64"], "uint64"),
            (["float16", "float32"], "float32"),
            (["float32", "float64", "float32"], "float64"),
            (["complex64", "complex128"], "complex128"),
            (["int8", "Int64"], "Int64"),
            (["int64", "Int8"], "Int64"),
            (["UInt8", "Int8"], "Int16"),
            (["Float32", "Float64"], "Float64"),
            (["float16", "Float32"], "Float32"),
            (["float64", "Float32"], "Float64"),
            (["bool", "boolean"], "boolean"),
            (["int8[pyarrow]", "int32[pyarrow]"], "int32[pyarrow]"),
            (["float[pyarrow]", "double[pyarrow]"], "double[pyarrow]"),
        ],
    )
    def test_they_are_brought_to_the_widest_type_of_their_kind(self, dtypes, widest):
        columns = [pd.Series([0, 1, 1], dtype=dtype) for dtype in dtypes]
        for order in itertools.permutations(columns):
            found = joined(*order)
            assert found.dtype == widest
            assert found.tolist() == [0, 1, 1] * len(dtypes)

    def test_the_edges_of_every_type_are_kept(self):
        columns = [np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype) for dtype in ("int8", "uint32", "int64")]
        assert joined(*columns).tolist() == [-(2**7), 2**7 - 1, 0, 2**32 - 1, -(2**63), 2**63 - 1]

    def test_what_is_missing_stays_missing(self):
        assert values(joined(np.array([0.5, np.nan]), pd.array([1.5, None], dtype="Float64"))) == [0.5, None, 1.5, None]
        assert values(joined(np.array([1]), pd.array([None], dtype="Int8"))) == [1, None]
        assert values(joined(pa.array([1, None], pa.int8()), pa.array([2], pa.int16()))) == [1, None, 2]

    @pytest.mark.parametrize(
        "dtypes",
        [
            ["int64", "float64"],
            ["uint64", "int64"],
            ["UInt64", "int8"],
            ["bool", "int8"],
            ["float64", "complex128"],
            ["int64", "int64[pyarrow]"],
            ["Int64", "int64[pyarrow]"],
            ["uint64[pyarrow]", "int64[pyarrow]"],
            ["int64", "Float64"],
            ["int64", "object"],
        ],
    )
    def test_where_no_type_of_the_kind_holds_all_values_there_is_none(self, dtypes):
        for order in (dtypes, dtypes[::-1]):
            assert (
                common_dtype([fw.Message({"x": pd.Series([], dtype=dtype)}).schema["x"].dtype for dtype in order])
                is None
            )
            with pytest.raises(
                SchemaMismatchError, match=r"^concat: column 'x' differs: .* convert one of them first\.$"
            ):
                joined(*(pd.Series([0, 1], dtype=dtype) for dtype in order))


class TestTexts:
    def test_all_of_pandas_go_together_in_the_first_type(self):
        kinds = ["str", "string", pd.StringDtype("python"), pd.StringDtype("pyarrow", na_value=np.nan)]
        for order in itertools.permutations(kinds):
            found = joined(*(pd.array(["a", None], dtype=kind) for kind in order))
            assert found.dtype == order[0]
            assert values(found) == ["a", None] * 4

    def test_those_of_arrow_go_together_in_the_larger_type(self):
        found = joined(pa.array(["a", None]), pa.array(["b"], pa.large_string()))
        assert found.dtype == pd.ArrowDtype(pa.large_string())
        assert values(found) == ["a", None, "b"]


class TestTimes:
    @pytest.mark.parametrize(
        ("coarse", "fine"),
        [
            (np.array(["2020-01-02", "NaT"], "M8[s]"), np.array(["2020-01-02T00:00:00.5"], "M8[ms]")),
            (
                pd.DatetimeIndex(["2020-01-02"], tz="Asia/Tokyo").as_unit("s"),
                pd.DatetimeIndex(["2020-01-02T00:00:00.000000001"], tz="Asia/Tokyo"),
            ),
            (np.array([5, "NaT"], "m8[s]"), np.array([7], "m8[ns]")),
            (pa.array([5], pa.duration("s")), pa.array([7], pa.duration("us"))),
            (pa.array([5], pa.timestamp("s")), pa.array([7], pa.timestamp("ns"))),
            (pa.array([5], pa.timestamp("s", "UTC")), pa.array([7], pa.timestamp("ms", "UTC"))),
        ],
        ids=["dates", "zone", "durations", "arrow durations", "arrow dates", "arrow zone"],
    )
    def test_the_finer_unit_holds_both(self, coarse, fine):
        expected = values(fw.Message({"x": coarse})["x"]) + values(fw.Message({"x": fine})["x"])
        assert joined(coarse, fine).dtype == fw.Message({"x": fine})["x"].dtype
        assert values(joined(coarse, fine)) == expected
        assert values(joined(fine, coarse))[-len(coarse) :] == expected[: len(coarse)]

    def test_a_date_that_a_finer_unit_has_no_room_for_is_named(self):
        with pytest.raises(SchemaMismatchError) as caught:
            joined(np.array(["2020"], "M8[ns]"), np.array(["2020", "9999"], "M8[s]"))
        assert str(caught.value) == (
            "concat: column 'x' is datetime64[s] in message 1 and datetime64[ns] in another, which has no room for "
            "9999-01-01T00:00:00 in row 1; convert one of them first."
        )

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (pd.DatetimeIndex(["2020"], tz="UTC"), pd.DatetimeIndex(["2020"], tz="Asia/Tokyo")),
            (pd.DatetimeIndex(["2020"], tz="UTC"), pd.DatetimeIndex(["2020"])),
            (np.array(["2020"], "M8[s]"), np.array([5], "m8[s]")),
            (pa.array([5], pa.timestamp("s", "UTC")), pa.array([5], pa.timestamp("s"))),
            (pa.array([dt.date(2020, 1, 1)]), pa.array([5], pa.timestamp("s"))),
            (pa.array([dt.date(2020, 1, 1)]), pa.array([dt.date(2020, 1, 1)], pa.date64())),
            (np.array(["2020"], "M8[s]"), pa.array([5], pa.timestamp("s"))),
        ],
    )
    def test_another_zone_or_kind_is_an_error(self, one, other):
        with pytest.raises(SchemaMismatchError, match=r"^concat: column 'x' differs: "):
            joined(one, other)


class TestCategories:
    def test_without_an_order_they_are_joined_as_they_appear(self):
        one = pd.Categorical(["b", None], categories=["c", "b"])
        other = pd.Categorical(["a", "b"], categories=["b", "a"])
        found = joined(one, other, one)
        assert list(found.cat.categories) == ["c", "b", "a"]
        assert values(found) == ["b", None, "a", "b", "b", None]
        assert found.cat.codes.tolist() == [1, -1, 2, 1, 1, -1]

    def test_they_may_be_of_any_one_type(self):
        found = joined(pd.Categorical([2**60 + 1]), pd.Categorical([3, None]))
        assert found.cat.categories.dtype == "int64"
        assert values(found) == [2**60 + 1, 3, None]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (pd.Categorical(["a"], ordered=True), pd.Categorical(["b"], ordered=True)),
            (
                pd.Categorical(["a"], categories=["a", "b"], ordered=True),
                pd.Categorical(["a"], categories=["b", "a"], ordered=True),
            ),
            (pd.Categorical(["a"], ordered=True), pd.Categorical(["a"])),
            (pd.Categorical(["a"]), pd.Categorical([1])),
        ],
    )
    def test_another_order_or_type_is_an_error(self, one, other):
        with pytest.raises(
            SchemaMismatchError, match=r"(?s)^concat: column 'x' differs: .*CategoricalDtype.* in message 0, "
        ):
            joined(one, other)

    def test_one_order_goes_with_itself(self):
        low = pd.Categorical(["low"], categories=["low", "high"], ordered=True)
        high = pd.Categorical(["high"], categories=["low", "high"], ordered=True)
        assert joined(low, high).max() == "high"


@pytest.mark.parametrize("dtype", ["period[M]", "Sparse[int]", "interval[int64, right]"])
def test_a_type_that_stands_alone_goes_with_nothing(dtype):
    alone = fw.Message({"x": pd.Series([], dtype=dtype)}).schema["x"].dtype
    assert common_dtype([alone, np.dtype("int64")]) is None
    assert common_dtype([np.dtype("int64"), alone]) is None
