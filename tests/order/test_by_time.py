"""The parts of a split by time follow each other, and no time is on both sides of a border."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, NoRandomAccessError
from fireworks.order.shares import part_sizes
from pipelines import add_noise, counting, table

DAYS = pd.to_datetime([f"2024-01-{day:02}" for day in (5, 1, 9, 3, 3, 7, 2, 8, 4, 6)])


def days():
    return fw.source({"n": range(10), "when": DAYS})


def dates_of(part):
    return [str(day)[8:10] for day in part.to_message()["when"]]


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: days().split_by_time("when", 0.5, 0.5)[0],
            lambda: days().split_by_time("when", at="2024-01-04")[1].shuffle(seed=0).batch(2),
        ],
        ids=["fractions", "at"],
    )
    def make_pipe(self, request):
        return request.param


class TestAt:
    @pytest.mark.parametrize(
        "at",
        [
            "2024-01-04",
            pd.Timestamp("2024-01-04"),
            pd.Timestamp("2024-01-04").to_pydatetime(),
            dt.date(2024, 1, 4),
            np.datetime64("2024-01-04"),
            pd.Timestamp("2024-01-04 01:00", tz="Europe/Berlin"),
        ],
        ids=str,
    )
    def test_a_row_at_the_border_is_in_the_future(self, at):
        past, future = days().split_by_time("when", at=at)
        assert past.to_message()["n"].tolist() == [1, 3, 4, 6]
        assert future.to_message()["n"].tolist() == [0, 2, 5, 7, 8, 9]

    def test_several_borders(self):
        parts = days().split_by_time("when", at=["2024-01-03", "2024-01-08"])
        assert [part.to_message()["n"].tolist() for part in parts] == [[1, 6], [0, 3, 4, 5, 8, 9], [2, 7]]

    @given(
        times=st.lists(st.integers(-50, 50), min_size=2, max_size=40),
        at=st.integers(-50, 50) | st.floats(-50, 50),
        gap=st.none() | st.integers(0, 20),
    )
    def test_numbers_against_the_rule_in_plain_python(self, times, at, gap):
        past = [n for n, time in enumerate(times) if time < at - (gap or 0)]
        future = [n for n, time in enumerate(times) if time >= at]
        data = fw.source({"n": range(len(times)), "when": times})
        if not past or not future:
            with pytest.raises(ValueError, match="split_by_time: no row falls into part"):
                data.split_by_time("when", at=at, gap=gap)
            return
        parts = data.split_by_time("when", at=at, gap=gap)
        assert [part.to_message()["n"].tolist() for part in parts] == [past, future]

    @pytest.mark.parametrize(
        "column",
        [
            np.array([3, 1, 2], dtype=np.uint8),
            torch.tensor([3.0, 1.0, 2.0]),
            pd.array([3, 1, 2], dtype="Int64"),
            [dt.date(1970, 1, day) for day in (4, 2, 3)],
            np.array([3, 1, 2], dtype="datetime64[D]").astype("datetime64[s]"),
            pd.to_timedelta([3, 1, 2], unit="D"),
        ],
        ids=lambda column: str(getattr(column, "dtype", "dates")),
    )
    def test_any_type_that_is_ordered(self, column):
        data = fw.source({"n": range(3), "when": column})
        assert [part.to_message()["n"].tolist() for part in data.split_by_time("when", 2 / 3, 1 / 3)] == [[1, 2], [0]]

    def test_a_gap_of_days(self):
        past, future = days().split_by_time("when", at="2024-01-06", gap="2 days")
        assert dates_of(past) == ["01", "03", "03", "02"]
        assert dates_of(future) == ["09", "07", "08", "06"]
        assert dates_of(days().split_by_time("when", at="2024-01-06", gap=dt.timedelta(days=2))[0]) == dates_of(past)

    def test_a_gap_before_the_beginning_of_time(self):
        data = fw.source({"when": np.array([-(2**63) + 5, 0], dtype=np.int64)})
        with pytest.raises(ValueError, match="no row falls into part 0"):
            data.split_by_time("when", at=0, gap=2**63)


class TestFractions:
    @given(
        times=st.lists(st.integers(0, 15), min_size=4, max_size=60),
        percent=st.integers(10, 90),
    )
    def test_no_time_is_on_both_sides_and_the_border_is_the_nearest(self, times, percent):
        data = fw.source({"n": range(len(times)), "when": times})
        size = part_sizes(len(times), [percent / 100, 1 - percent / 100])[0]
        try:
            past, future = (part.to_message() for part in data.split_by_time("when", percent / 100, 1 - percent / 100))
        except ValueError:
            return
        assert max(past["when"].tolist()) < min(future["when"].tolist())
        assert sorted(past["n"].tolist() + future["n"].tolist()) == list(range(len(times)))
        assert past["n"].tolist() == sorted(past["n"].tolist())
        possible = [sum(time < border for time in times) for border in {*times, max(times) + 1}]
        assert abs(len(past) - size) == min(abs(one - size) for one in possible)

    def test_among_two_borders_as_near_the_rows_of_one_time_go_to_the_future(self):
        parts = fw.source({"when": [1, 2, 2, 3]}).split_by_time("when", 0.5, 0.5)
        assert [part.to_message()["when"].tolist() for part in parts] == [[1], [2, 2, 3]]

    def test_a_gap_is_taken_from_the_end_of_the_past(self):
        parts = days().split_by_time("when", 0.5, 0.5, gap="1 day")
        assert [dates_of(part) for part in parts] == [["01", "03", "03", "02"], ["05", "09", "07", "08", "06"]]

    def test_three_parts(self):
        parts = fw.source({"when": range(10)}).split_by_time("when", 0.5, 0.3, 0.2)
        assert [part.to_message()["when"].tolist() for part in parts] == [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9]]


def test_one_column_is_read_once():
    source = Watched({"when": list(range(40)), "x": torch.rand(40, 9)})
    source.split_by_time("when", 0.5, 0.3, 0.2)
    source.split_by_time("when", at=7)
    assert source.columns_read() == {"when"}
    assert source.rows_read() == 40


def test_it_names_itself():
    assert days().split_by_time("when", 0.5, 0.5, gap="1 day")[1].describe() == (
        "SplitByTime('when', 0.5, 0.5, gap=1 day)[1]"
    )
    assert days().split_by_time("when", at="2024-01-04")[0].describe() == "SplitByTime('when', at=2024-01-04)[0]"
    assert days().split_by_time("when", at=["2024-01-04", "2024-01-06"])[0].describe() == (
        "SplitByTime('when', at=['2024-01-04', '2024-01-06'])[0]"
    )


class TestRefusals:
    @pytest.mark.parametrize(("fractions", "at"), [((), None), ((0.5, 0.5), "2024-01-04")])
    def test_neither_or_both(self, fractions, at):
        with pytest.raises(ValueError, match=r"split_by_time: pass fractions, .* or at=…, one of the two; got "):
            days().split_by_time("when", *fractions, at=at)

    @pytest.mark.parametrize("fractions", [(0.5,), (0.5, 0.6), (1.5, -0.5), ("a", 0.5), (True,)])
    def test_fractions_of_one(self, fractions):
        with pytest.raises(ValueError, match=r"split_by_time: fractions must be positive numbers with the sum 1; got "):
            days().split_by_time("when", *fractions)

    def test_no_border(self):
        with pytest.raises(ValueError, match=r"split_by_time: at is empty; name at least one time\."):
            days().split_by_time("when", at=[])

    def test_borders_that_do_not_increase(self):
        with pytest.raises(ValueError, match=r"the times in at must increase; got \['2024-01-06', '2024-01-04'\]\."):
            days().split_by_time("when", at=["2024-01-06", "2024-01-04"])

    def test_a_border_that_is_no_time(self):
        with pytest.raises(ValueError, match=r"split_by_time: 'soon' in at is no time that can be read: "):
            days().split_by_time("when", at="soon")
        with pytest.raises(TypeError, match=r"the column holds dates, so at is a date or a text of one; got 2024\."):
            days().split_by_time("when", at=2024)
        with pytest.raises(TypeError, match=r"the column holds dates, so at is a date or a text of one; got NaT\."):
            days().split_by_time("when", at=pd.NaT)
        for at in ("2024-01-04", float("nan"), True):
            with pytest.raises(TypeError, match=r"the column holds numbers, so at is a number; got "):
                days().split_by_time("n", at=at)

    def test_a_gap_that_is_no_length(self):
        with pytest.raises(ValueError, match=r"gap='long' is no length of time that can be read: "):
            days().split_by_time("when", at="2024-01-04", gap="long")
        with pytest.raises(ValueError, match=r"split_by_time: gap must not be negative; got '-1 day'\."):
            days().split_by_time("when", at="2024-01-04", gap="-1 day")
        with pytest.raises(TypeError, match=r"so gap is a length of time such as '7 days' or a timedelta; got 3\."):
            days().split_by_time("when", at="2024-01-04", gap=3)
        with pytest.raises(TypeError, match=r"the column holds numbers, so gap is a number; got '3 days'\."):
            days().split_by_time("n", at=4, gap="3 days")
        with pytest.raises(ValueError, match=r"split_by_time: gap must not be negative; got -3\."):
            days().split_by_time("n", at=4, gap=-3)

    def test_a_part_without_rows(self):
        with pytest.raises(
            ValueError,
            match=r"no row falls into part 1 of SplitByTime\('when', at=2025\)\[1\]; column 'when' goes from 2024-01-01 "
            r"00:00:00 to 2024-01-09 00:00:00, and rows of one time stay together\. Move the border\.",
        ):
            days().split_by_time("when", at="2025")
        with pytest.raises(ValueError, match=r"goes from 0 to 9, .*, or make the gap smaller\."):
            days().split_by_time("n", at=4, gap=30)
        with pytest.raises(ValueError, match="no row falls into part 1"):
            fw.source({"when": [5, 5, 5]}).split_by_time("when", 0.9, 0.1)

    def test_rows_without_a_time(self):
        data = fw.source({"when": pd.to_datetime(["2024", None, "2025", None])})
        with pytest.raises(
            ColumnValueError, match=r"split_by_time: column 'when' is null in rows \[1, 3\] of the input"
        ):
            data.split_by_time("when", at="2025")

    def test_texts(self):
        with pytest.raises(
            ColumnTypeError, match=r"split_by_time: column 'when' is .*, and a time is a date or a number\. Make"
        ):
            fw.source({"when": ["2024", "2025"]}).split_by_time("when", at="2025")

    def test_a_time_beyond_nanoseconds(self):
        data = fw.source({"when": np.array(["2024", "9999"], dtype="datetime64[s]")})
        with pytest.raises(
            ColumnValueError, match=r"column 'when', row 1: a time lies between the years 1678 and 2261"
        ):
            data.split_by_time("when", at="2025")

    def test_no_such_column(self):
        with pytest.raises(ColumnNotFoundError, match=r"split_by_time: no column 'then'"):
            days().split_by_time("then", 0.5, 0.5)

    def test_batches_streams_and_what_changes(self):
        with pytest.raises(TypeError, match=r"split_by_time: column 'when' is of rows"):
            days().batch(2).split_by_time("when", 0.5, 0.5)
        with pytest.raises(NoRandomAccessError, match="split_by_time needs random access"):
            counting().split_by_time("n", 0.5, 0.5)
        with pytest.raises(ValueError, match="split_by_time: the order of its input changes"):
            days().shuffle(seed=0).split_by_time("when", 0.5, 0.5)
        with pytest.raises(ValueError, match="split_by_time: the values of its input change"):
            table().map(add_noise, seed=0).split_by_time("n", 0.5, 0.5)

    def test_no_rows(self):
        with pytest.raises(ValueError, match="split_by_time: its input has no rows"):
            days().filter("n", ">", 99).split_by_time("when", 0.5, 0.5)
