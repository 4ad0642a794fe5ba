"""A column of any type becomes classes or numbers, the same in every batch, and measures the same."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError

ROWS = 2000
KIND = np.arange(ROWS) // 200
SECONDS = np.arange(ROWS)
DAYS = [dt.date(2000, 1, 1) + dt.timedelta(int(kind)) for kind in KIND]
CLASSES = {
    "ints": KIND,
    "short ints": KIND.astype(np.int8),
    "unsigned": KIND.astype(np.uint16),
    "texts": [f"c{kind}" for kind in KIND],
    "categories": pd.Categorical([f"c{kind}" for kind in KIND]),
    "nullable ints": pd.array(KIND, dtype="Int64"),
    "ints of Arrow": pd.array(KIND, dtype=pd.ArrowDtype(pa.int32())),
    "decimals": pd.array([decimal.Decimal(int(kind)) for kind in KIND], dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
    "days": pd.array(DAYS, dtype=pd.ArrowDtype(pa.date32())),
    "a tensor": torch.tensor(KIND),
    "a tensor of bytes": torch.tensor(KIND, dtype=torch.uint8),
}
NUMBERS = {
    "floats": SECONDS / 7,
    "nullable floats": pd.array(SECONDS / 7, dtype="Float64"),
    "floats of Arrow": pd.array(SECONDS / 7, dtype=pd.ArrowDtype(pa.float64())),
    "a tensor of floats": torch.tensor(SECONDS / 7),
    "many ints": SECONDS,
    "a tensor of many ints": torch.tensor(SECONDS),
    "times": pd.to_datetime(SECONDS, unit="s"),
    "times somewhere": pd.to_datetime(SECONDS, unit="s", utc=True),
    "spans of time": pd.to_timedelta(SECONDS, unit="s"),
    "times of Arrow": pd.array(pd.to_datetime(SECONDS, unit="s"), dtype=pd.ArrowDtype(pa.timestamp("us"))),
}


def measured(column, **options):
    return fw.source({"y": column}).shuffle(seed=0).batch(50).audit(by="y", **options)["effective batch by y"]


class TestKindsOfColumns:
    @pytest.mark.parametrize("name", CLASSES)
    def test_classes_measure_alike(self, name):
        assert measured(CLASSES[name]) == measured(CLASSES["ints"])

    @pytest.mark.parametrize("name", NUMBERS)
    def test_numbers_measure_alike(self, name):
        found, expected = measured(NUMBERS[name]), measured(NUMBERS["floats"])
        assert (found.observed, found.p) == pytest.approx((expected.observed, expected.p))
        assert found.observed != measured(KIND).observed

    @pytest.mark.parametrize("column", [KIND < 5, torch.tensor(KIND < 5), pd.array(KIND < 5, dtype="boolean")])
    def test_truth_values_measure_as_two_classes(self, column):
        assert measured(column) == measured((KIND < 5).astype(np.int64))

    def test_few_floats_measure_as_their_mean(self):
        # Of two values the mean and the share tell the same.
        two = measured((KIND < 5).astype(np.float64))
        assert two.observed == pytest.approx(measured(KIND < 5).observed)

    def test_a_tensor_that_gradients_flow_through(self):
        assert measured(torch.tensor(SECONDS / 7, requires_grad=True)).p == pytest.approx(measured(SECONDS / 7).p)

    def test_a_short_float_is_measured_by_what_it_holds(self):
        expected = measured(torch.tensor(SECONDS / 7).bfloat16().double())
        assert measured(torch.tensor(SECONDS / 7).bfloat16()) == expected

    def test_a_thousand_different_ints_are_classes_and_more_are_numbers(self):
        def source(different):
            return np.arange(4000) % different

        def audit(column):
            return fw.source({"y": column}).shuffle(seed=0).batch(50).audit(by="y")["effective batch by y"]

        assert audit(source(1000)) == audit([f"c{n}" for n in source(1000)])
        assert audit(source(1001)) == audit(source(1001).astype(np.float64))


class TestMissingValues:
    def test_missing_labels_are_a_class_of_their_own(self):
        is_missing = KIND == 3
        texts = [None if gone else f"c{kind}" for kind, gone in zip(KIND, is_missing, strict=True)]
        ints = pd.array(
            [None if gone else int(kind) for kind, gone in zip(KIND, is_missing, strict=True)], dtype="Int64"
        )
        assert measured(texts) == measured(ints) == measured(KIND)

    def test_labels_that_are_missing_in_one_batch_alone(self):
        texts = ["a"] * 999 + [None] + ["b"] * 1000
        assert measured(texts) == measured(["a"] * 999 + ["c"] + ["b"] * 1000)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_number_that_is_missing_is_refused(self, value):
        column = (SECONDS / 7).copy()
        column[703] = value
        text = rf"audit: 'y' must hold finite numbers; row 703 of the source has {value}\. Filter such rows"
        with pytest.raises(ColumnValueError, match=text):
            measured(column)

    def test_a_time_that_is_missing_is_refused(self):
        times = pd.array([None if n == 3 else pd.Timestamp(n, unit="s") for n in SECONDS], dtype="datetime64[ns]")
        with pytest.raises(ColumnValueError, match=r"row 3 of the source has nan\."):
            measured(times)

    def test_one_of_many_ints_that_is_missing_is_refused(self):
        ints = pd.array([None if n == 3 else int(n) for n in SECONDS], dtype="Int64")
        with pytest.raises(
            ColumnValueError, match=r"'y' has more than 1,000 different ints, so their mean is measured"
        ):
            measured(ints)


class TestWhatIsNoLabel:
    @pytest.mark.parametrize(
        ("column", "text"),
        [
            (torch.zeros(ROWS, 3), r"got float32 of shape \(3,\)\. Name another column, or add one with map\."),
            (torch.zeros(ROWS, dtype=torch.complex64), r"got complex64 of shape \(\)\."),
            ([[1, 2]] * ROWS, r"a text or a number; the first has \[1, 2\]\. Name another"),
        ],
    )
    def test_several_values_per_row(self, column, text):
        with pytest.raises(ColumnTypeError, match=r"audit: a row of 'y' must have one value.*" + text):
            measured(column)

    def test_a_column_that_is_not_there(self):
        with pytest.raises(ColumnNotFoundError, match=r"select: no column 'lable'; .* Did you mean 'label'\?"):
            fw.source({"label": KIND}).audit(by="lable")

    def test_a_column_of_one_value_measures_nothing(self):
        audit = fw.source({"y": ["a"] * ROWS}).shuffle(seed=0).audit(by="y")
        assert audit.measures[0].name == "effective batch by source"

    def test_a_pipe_without_rows(self):
        assert fw.source({"y": KIND}).take(0).audit(by="y").measures == ()
