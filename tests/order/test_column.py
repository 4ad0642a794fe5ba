"""What was read of a column is remembered for the pipe, and read again where the table has grown."""

import numpy as np
import pandas as pd
import torch

import fireworks as fw
from columns_read import Watched
from fireworks.order.column import classes, remembered, times, weights


def test_classes_are_numbered_by_their_first_rows_and_null_is_the_last():
    data = fw.source({"k": ["b", None, "a", "b", "c", None]})
    found = classes(data, "k", 6, who="test")
    assert found.numbers.tolist() == [0, 3, 1, 0, 2, 3]
    assert found.sizes.tolist() == [2, 1, 1, 2]


def test_classes_take_as_few_bytes_as_they_need():
    data = fw.source({"few": [n % 200 for n in range(1000)], "many": range(1000)})
    assert classes(data, "few", 1000, who="test").numbers.dtype == np.uint8
    assert classes(data, "many", 1000, who="test").numbers.dtype == np.uint16


def test_it_reads_once_for_each_use_and_in_pieces():
    source = Watched({"k": torch.arange(40_000) % 7})
    for _ in range(2):
        classes(source, "k", 40_000, who="test")
    assert source.rows_read() == 40_000
    assert max(num_rows for _, num_rows in source.log) < 40_000, "never the whole column at once"
    times(source, "k", 40_000, who="test")
    assert source.rows_read() == 80_000


def test_another_number_of_rows_is_another_answer():
    source = Watched({"k": torch.arange(10)})
    assert len(classes(source, "k", 6, who="test").numbers) == 6
    assert len(classes(source, "k", 10, who="test").numbers) == 10


def test_of_each_kind_the_latest_is_kept():
    data = fw.source({"k": [1]})
    calls = []
    for of in (1, 1, 2, 1):
        remembered(data, "kind", of, lambda of=of: calls.append(of) or of)
    assert calls == [1, 2, 1]


def test_weights_of_a_null_are_nan_and_times_of_dates_are_nanoseconds():
    data = fw.source(
        {"w": pd.array([1, None], dtype="Int64"), "t": pd.to_datetime(["1970-01-01 00:00:01", "1970-01-02 00:00:00"])}
    )
    assert np.isnan(weights(data, "w", 2, who="test")).tolist() == [False, True]
    found = times(data, "t", 2, who="test")
    assert found.of_dates
    assert found.ticks.tolist() == [10**9, 86_400 * 10**9]
