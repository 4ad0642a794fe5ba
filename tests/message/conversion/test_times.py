"""Dates and durations out of every kind of column that can hold them."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fireworks as fw
from fireworks.message.conversion.exact import MisfitError
from fireworks.message.conversion.kinds import NoConversionError
from fireworks.message.conversion.times import dates_of, durations_of

NOON = np.datetime64("2020-01-02T12:00:00", "s")


def stored(value):
    return fw.Message({"x": value}).raw("x")


@pytest.mark.parametrize(
    "value",
    [
        np.array([NOON, "NaT"], "M8[ns]"),
        ["2020-01-02 12:00", None],
        pa.array(["2020-01-02T12:00:00", None]),
        pd.Series([dt.datetime(2020, 1, 2, 12), None], dtype=object),  # noqa: DTZ001 (without a zone is what is meant)
        pd.Series([pd.Timestamp("2020-01-02T12"), pd.NaT], dtype=object),
        pd.Series([NOON, "NaT"], dtype=object),
        pa.array([NOON.item(), None], pa.timestamp("us")),
    ],
    ids=lambda value: str(getattr(value, "dtype", "texts")),
)
def test_dates_without_a_zone_come_in_the_unit_that_is_wanted(value):
    for unit in ("s", "ms", "us", "ns"):
        found = dates_of(stored(value), unit, zoned=False)
        assert found.dtype == f"M8[{unit}]"
        assert found[0] == NOON
        assert np.isnat(found[1])
    with pytest.raises((MisfitError, NoConversionError)):
        dates_of(stored(value), "s", zoned=True)


@pytest.mark.parametrize(
    "value",
    [
        pd.DatetimeIndex(["2020-01-02T21:00", None], tz="Asia/Tokyo"),
        ["2020-01-02T12:00Z", None],
        pd.Series([dt.datetime(2020, 1, 2, 12, tzinfo=dt.UTC), None], dtype=object),
        pa.array([1_577_966_400_000_000, None], pa.timestamp("us", "Asia/Tokyo")),
    ],
    ids=lambda value: str(getattr(value, "dtype", "texts")),
)
def test_dates_with_a_zone_come_in_utc(value):
    found = dates_of(stored(value), "ms", zoned=True)
    assert found[0] == NOON
    assert np.isnat(found[1])
    with pytest.raises((MisfitError, NoConversionError)):
        dates_of(stored(value), "s", zoned=False)


@pytest.mark.parametrize(
    "value",
    [
        np.array([90, "NaT"], "m8[s]"),
        ["00:01:30", None],
        pd.Series([dt.timedelta(seconds=90), pd.NaT], dtype=object),
        pd.Series([np.timedelta64(90, "s"), None], dtype=object),
        pa.array([90, None], pa.duration("s")),
    ],
    ids=lambda value: str(getattr(value, "dtype", "texts")),
)
def test_durations_come_in_the_unit_that_is_wanted(value):
    for unit in ("s", "us"):
        found = durations_of(stored(value), unit)
        assert found.dtype == f"m8[{unit}]"
        assert found[0] == np.timedelta64(90, "s")
        assert np.isnat(found[1])


@pytest.mark.parametrize(
    "read", [lambda column: dates_of(column, "s", zoned=False), lambda column: durations_of(column, "s")]
)
def test_what_is_no_time_is_refused(read):
    with pytest.raises(NoConversionError):
        read(np.arange(2))
    for cells in ([None, 5], [None, "5"], [None, "x"]):
        with pytest.raises(MisfitError) as caught:
            read(stored(pd.Series(cells, dtype=object)))
        assert (caught.value.position, caught.value.value) == (1, cells[1])


def test_a_day_of_arrow_begins_at_midnight():
    assert dates_of(stored(pa.array([dt.date(2020, 1, 2)])), "s", zoned=False)[0] == np.datetime64("2020-01-02")
