"""Numbers, dates and durations out of text: what Python, NumPy and pandas print is read back to the same bits."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.texts import dates, durations, in_unit, numbers

DURATIONS = st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000))


def read(text, dtype):
    (value,) = numbers(np.array([text], dtype=object), np.dtype(dtype))
    return value


def refused(function, *args, **options):
    with pytest.raises(MisfitError) as caught:
        function(*args, **options)
    return caught.value


class TestNumbers:
    @given(st.floats(width=16), st.sampled_from(["float16", "float32", "float64", "longdouble"]))
    def test_what_numpy_prints_of_a_small_float_is_read_back(self, value, dtype):
        value = np.dtype(dtype).type(value)
        assert read(str(value), dtype) == value or math.isnan(value)

    @given(st.floats(width=32))
    def test_what_numpy_prints_of_a_float32_is_read_back(self, value):
        assert read(str(np.float32(value)), "float32") == value or math.isnan(value)
        assert read(repr(value), "float32") == value or math.isnan(value)

    @given(st.floats())
    def test_what_python_prints_of_a_float_is_read_back(self, value):
        assert read(repr(value), "float64") == value or math.isnan(value)
        assert read(f"{value:.25g}", "float64") == value or math.isnan(value)

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_integers_are_read_back(self, value):
        assert read(str(value), "int64") == value
        assert read(f"{value}.0", "int64") == value
        assert read(str(Decimal(value).scaleb(-2)) + "e2", "int64") == value

    @given(st.complex_numbers())
    def test_complex_numbers_are_read_back(self, value):
        assert str(read(str(value), "complex128")) == str(np.complex128(value))

    @pytest.mark.parametrize(
        ("text", "dtype", "value"),
        [
            ("18446744073709551615", "uint64", 2**64 - 1),
            ("1e3", "int16", 1000),
            ("-0.0", "int8", 0),
            ("True", "bool", True),
            ("FALSE", "bool", False),
            ("1", "bool", True),
            ("0", "bool", False),
            ("0.1", "float32", np.float32(0.1)),
            ("0.333333343", "float32", np.float32(1 / 3)),  # with nine digits, as `%.9g` prints it
            ("1e22", "float64", 1e22),
            ("2" + "0" * 30, "float64", 2e30),
            ("1180591620717411303424", "float64", 2.0**70),
            ("9007199254740992", "float64", 2.0**53),
            ("0.10000000000000000555", "float64", 0.1),
            ("-Infinity", "float16", -math.inf),
            ("0e5", "float32", 0.0),
            ("(0.1-2j)", "complex64", np.complex64(0.1 - 2j)),
            ("3", "complex64", 3),
        ],
    )
    def test_a_number_may_be_spelled_in_any_way_that_python_reads(self, text, dtype, value):
        assert read(text, dtype) == value

    @pytest.mark.parametrize(
        ("text", "dtype"),
        [
            ("128", "int8"),
            ("-1", "uint64"),
            ("9223372036854775808", "int64"),
            ("1.5", "int64"),
            ("nan", "int64"),
            ("inf", "int64"),
            ("x", "int64"),
            ("", "int64"),
            ("0x10", "int64"),
            ("yes", "bool"),
            ("2", "bool"),
            ("", "float64"),
            ("1,5", "float64"),
            ("abc", "float32"),
            ("9007199254740993", "float64"),  # 2**53 + 1
            ("16777217", "float32"),  # 2**24 + 1
            ("0.333333333", "float32"),
            ("65520", "float16"),
            ("1e39", "float32"),
            ("1e400", "float64"),
            ("1e-400", "float64"),
            ("1+", "complex64"),
            ("(0.3333333333333333+1j)", "complex64"),
            ("(1+0.3333333333333333j)", "complex64"),
        ],
    )
    def test_what_is_no_such_number_or_has_too_many_digits_is_refused(self, text, dtype):
        misfit = refused(numbers, np.array(["1", text, "0"], dtype=object), np.dtype(dtype))
        assert (misfit.position, misfit.value) == (1, text)

    def test_no_texts_are_no_numbers(self):
        for dtype in ("bool", "int8", "float32", "complex64"):
            assert numbers(np.empty(0, dtype=object), np.dtype(dtype)).dtype == dtype


class TestDates:
    @given(st.integers(-(2**62), 2**62), st.sampled_from(["s", "ms", "us", "ns"]))
    def test_what_pandas_prints_is_read_back(self, ticks, unit):
        instant = np.datetime64(ticks % 10**12 if unit == "s" else ticks, unit)
        if not 1 <= pd.Timestamp(instant).year <= 9999:
            return
        for text in (str(pd.Timestamp(instant)), str(instant)):
            assert dates([text], unit, zoned=False)[0] == instant

    def test_an_offset_is_taken_into_account(self):
        texts = ["2020-01-01 00:00:00+09:00", "2019-12-31T15:00:00Z", "2019-12-31T10:00-0500", "20191231T10-05", "NaT"]
        found = dates(texts, "s", zoned=True)
        assert found.dtype == "M8[s]"
        assert (found[:-1] == np.datetime64("2019-12-31T15:00:00")).all()
        assert np.isnat(found[-1])

    def test_texts_of_different_precision_and_range_go_together(self):
        texts = ["0001-01-01", "2020-01-01 00:00:00.123", "9999-12-31T23:59:59.999999"]
        assert dates(texts, "us", zoned=False).astype(str).tolist() == [
            "0001-01-01T00:00:00.000000",
            "2020-01-01T00:00:00.123000",
            "9999-12-31T23:59:59.999999",
        ]
        coarse = dates(["2020-01-01T00:00:00.000000000", "9999-01-01"], "s", zoned=False)
        assert coarse.astype(str).tolist() == ["2020-01-01T00:00:00", "9999-01-01T00:00:00"]

    @pytest.mark.parametrize(
        ("text", "unit", "zoned", "why"),
        [
            ("2020-01-01T00:00:00", "s", True, "has no zone"),
            ("2020-01-01", "s", True, "has no zone"),
            ("2020-01-01T00:00:00Z", "s", False, "has a zone"),
            ("2020-01-01T00:00:00-05", "s", False, "has a zone"),
            ("2020-01-01T00:00:00.5", "s", False, ""),
            ("2020-01-01T00:00:00.0000000001", "ns", False, ""),
            ("9999-01-01", "ns", False, ""),
            ("2020-13-01", "s", False, ""),
            ("now", "s", False, ""),
            ("today", "s", False, ""),
            ("", "s", False, ""),
            ("5", "s", False, ""),
        ],
    )
    def test_what_is_no_such_date_is_refused(self, text, unit, zoned, why):
        first = "2020-01-01T00:00:00" + "Z" * zoned
        misfit = refused(dates, [first, text, first], unit, zoned=zoned)
        assert (misfit.position, misfit.why) == (1, why)
        assert text.removesuffix("Z")[:10] in misfit.value

    def test_a_unit_is_changed_where_no_tick_is_lost(self):
        days = np.array(["2020-01-02", "NaT"], "M8[D]")
        assert in_unit(days, "ns").dtype == "M8[ns]"
        assert in_unit(in_unit(days, "ns"), "D")[0] == days[0]
        assert np.isnat(in_unit(days, "ns")[1])
        assert refused(in_unit, np.array([0, 1500], "m8[ms]"), "s").position == 1
        misfit = refused(in_unit, np.array(["2020", "9999"], "M8[s]"), "ns")
        assert (misfit.position, misfit.value) == (1, "9999-01-01T00:00:00")


class TestDurations:
    @given(st.integers(-(2**63) + 1, 2**63 - 1))
    def test_what_pandas_prints_is_read_back(self, ticks):
        for unit in ("ns", "us", "s"):
            if unit != "s" or abs(ticks) < 2**62:
                duration = np.timedelta64(ticks, unit)
                assert durations([str(pd.Series([duration])[0])], unit)[0] == duration

    @given(DURATIONS)
    def test_what_python_prints_is_read_back(self, duration):
        assert durations([str(duration)], "us")[0] == np.timedelta64(duration)

    @given(DURATIONS)
    def test_what_pandas_prints_in_iso_8601_is_read_back(self, duration):
        exact = pd.Timedelta(duration)
        assert durations([exact.isoformat()], "us")[0] == np.timedelta64(duration)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("1 days", 86_400),
            ("-1 days", -86_400),
            ("-1 days +23:59:59", -1),
            ("-1 days 00:00:01", -86_399),
            ("-00:00:01", -1),
            ("+00:00:01", 1),
            ("100:00:00", 360_000),
            ("P1D", 86_400),
            ("PT1M", 60),
            ("-P1DT1H", -90_000),
        ],
    )
    def test_each_spelling_means_what_pandas_says(self, text, seconds):
        assert durations([text], "s")[0] == np.timedelta64(seconds, "s") == pd.Timedelta(text).to_timedelta64()

    @pytest.mark.parametrize(
        "text", ["", "5", "5.5", "P", "PT", "P1DT", "1 month", "1s", "-", "00:00:00.5", "1:2", "x"]
    )
    def test_what_is_no_duration_or_finer_than_the_unit_is_refused(self, text):
        misfit = refused(durations, ["NaT", text], "s")
        assert (misfit.position, misfit.value) == (1, text)

    def test_what_is_out_of_range_is_refused(self):
        assert refused(durations, ["106752 days"], "ns").position == 0
        assert durations(["106752 days", "NaT"], "us")[0] == np.timedelta64(106_752, "D")
