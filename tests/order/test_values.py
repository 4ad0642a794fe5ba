"""A key hashes by its value, whatever type holds it."""

import datetime as dt
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnTypeError
from fireworks.message.columns import as_column
from fireworks.order.values import hashes_of, values_of


def hashes(column, seed=0):
    return hashes_of(values_of("k", as_column("k", column), who="test"), seed).tolist()


def nulls(column):
    return values_of("k", as_column("k", column), who="test").is_null.tolist()


def by_hand(*data, seed=0):
    return [xxhash.xxh64_intdigest(one, seed=seed) for one in data]


def instant(seconds, nanoseconds=0):
    return struct.pack("<qI", seconds, nanoseconds)


class TestNumbers:
    @given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
    def test_whole_numbers_are_eight_bytes(self, numbers):
        assert hashes(np.array(numbers, dtype=np.int64)) == by_hand(*(struct.pack("<q", n) for n in numbers))

    @pytest.mark.parametrize(
        "column",
        [
            np.array([0, 1, 100], dtype=kind)
            for kind in ("int8", "int16", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64")
        ]
        + [
            torch.tensor([0, 1, 100], dtype=kind)
            for kind in (torch.int8, torch.int64, torch.float32, torch.bfloat16, torch.float16)
        ]
        + [
            pd.array([0, 1, 100], dtype="Int16"),
            pd.array([0, 1, 100], dtype="Float32"),
            pd.Categorical([0, 1, 100]),
            pd.array([0, 1, 100], dtype=pd.ArrowDtype(pa.uint16())),
            pd.array([0, 1, 100], dtype=pd.ArrowDtype(pa.float32())),
            pd.Series([0, 1, 100], dtype=object),
        ],
        ids=lambda column: f"{type(column).__name__} {column.dtype}",
    )
    def test_a_number_is_a_number_in_any_type(self, column):
        assert hashes(column) == by_hand(*(struct.pack("<q", n) for n in (0, 1, 100)))

    def test_true_and_false_are_one_and_zero(self):
        expected = by_hand(struct.pack("<q", 1), struct.pack("<q", 0))
        for column in (np.array([True, False]), torch.tensor([True, False]), pd.array([True, False], dtype="boolean")):
            assert hashes(column) == expected

    def test_fractions_are_doubles_and_whole_doubles_are_integers(self):
        values = [0.5, -0.0, 2.0**63, -(2.0**63), 2.0**64, float("inf"), 1e300]
        data = [
            struct.pack("<d", 0.5),
            struct.pack("<q", 0),
            struct.pack("<Q", 2**63),
            struct.pack("<q", -(2**63)),
            struct.pack("<d", 2.0**64),
            struct.pack("<d", float("inf")),
            struct.pack("<d", 1e300),
        ]
        assert hashes(np.array(values)) == by_hand(*data)
        assert hashes(np.array([2**63, 2**64 - 1], dtype=np.uint64)) == by_hand(
            struct.pack("<Q", 2**63), struct.pack("<Q", 2**64 - 1)
        )
        assert hashes(np.array([0.1], dtype=np.float32)) == by_hand(struct.pack("<d", float(np.float32(0.1))))

    def test_nan_is_null(self):
        assert nulls(np.array([1.0, float("nan")])) == [False, True]
        assert nulls(pd.array([1, None], dtype="Int8")) == [False, True]
        assert hashes(np.array([float("nan"), 3.0]))[1] == by_hand(struct.pack("<q", 3))[0]


class TestTexts:
    @pytest.mark.parametrize(
        "column",
        [
            ["ann", "", "zoë"],
            pd.Series(["ann", "", "zoë"], dtype=object),
            pd.Categorical(["ann", "", "zoë"]),
            pd.array(["ann", "", "zoë"], dtype="string[python]"),
            pd.array(["ann", "", "zoë"], dtype=pd.ArrowDtype(pa.large_string())),
            pd.array(["ann", "", "zoë"], dtype=pd.ArrowDtype(pa.string_view())),
            pd.array(["ann", "", "zoë"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
        ],
        ids=str,
    )
    def test_a_text_is_its_utf8_in_any_type(self, column):
        assert hashes(column, 5) == by_hand(b"ann", b"", "zoë".encode(), seed=5)

    def test_bytes_are_themselves(self):
        assert hashes([b"a\0b", b""]) == by_hand(b"a\0b", b"")

    def test_a_slice_of_texts_begins_where_it_begins(self):
        message = fw.Message({"k": ["ann", None, "bob", "cid"]})
        part = message[1:]
        assert nulls(part.raw("k")) == [True, False, False]
        assert hashes(part.raw("k"))[1:] == by_hand(b"bob", b"cid")

    def test_categories_with_null_and_in_another_order(self):
        column = pd.Categorical(["b", None, "a"], categories=["z", "b", "a"])
        assert nulls(column) == [False, True, False]
        assert [hashes(column)[0], hashes(column)[2]] == by_hand(b"b", b"a")

    def test_nothing_but_null(self):
        assert nulls(pd.Categorical([None, None])) == [True, True]
        assert nulls(pd.Series([None, None], dtype=object)) == [True, True]
        assert nulls(pd.array([None, None], dtype=pd.ArrowDtype(pa.string()))) == [True, True]


class TestDates:
    def test_an_instant_is_seconds_and_nanoseconds_in_any_unit(self):
        expected = by_hand(instant(1577836800), instant(-1, 0))
        times = np.array(["2020-01-01", "1969-12-31T23:59:59"], dtype="datetime64[s]")
        for unit in ("s", "ms", "us", "ns"):
            assert hashes(times.astype(f"datetime64[{unit}]")) == expected
        in_berlin = pd.to_datetime(["2020-01-01 01:00:00", "1970-01-01 00:59:59"]).tz_localize("Europe/Berlin")
        assert hashes(in_berlin) == expected

    def test_a_day_is_its_midnight(self):
        expected = by_hand(instant(1577836800))
        assert hashes([dt.date(2020, 1, 1)]) == expected
        assert hashes(pd.array([dt.date(2020, 1, 1)], dtype=pd.ArrowDtype(pa.date32()))) == expected
        assert (
            hashes(pd.array([pd.Timestamp("2020-01-01").to_pydatetime()], dtype=pd.ArrowDtype(pa.date64()))) == expected
        )

    def test_what_lies_before_1970_rounds_down(self):
        assert hashes(np.array([-1], dtype="datetime64[ns]")) == by_hand(instant(-1, 999_999_999))

    def test_durations_and_null(self):
        column = pd.to_timedelta([1.5, None], unit="s")
        assert hashes(column)[0] == by_hand(instant(1, 500_000_000))[0]
        assert nulls(column) == [False, True]


class TestRefusals:
    def test_several_values_per_row(self):
        with pytest.raises(
            ColumnTypeError, match=r"test: column 'k' is a tensor of torch\.float32 in rows of shape \(2,\)"
        ):
            hashes(torch.zeros(3, 2))
        with pytest.raises(
            ColumnTypeError, match=r"test: column 'k' is .*; it takes one number, text or date per row\. Make"
        ):
            hashes([[1], [2]])

    def test_values_of_several_types(self):
        with pytest.raises(ColumnTypeError, match=r"test: column 'k' takes one number, text or date per row\. .*row 1"):
            hashes(pd.Series(["a", 1], dtype=object))
