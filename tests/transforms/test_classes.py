"""Which class a label is: those that were named, in their order, and no other."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError
from fireworks.transforms.classes import Classes


def classes(*labels):
    return Classes(labels, who="verb")


def positions(labels, column):
    return Classes(labels, who="verb").positions("c", fw.Message({"c": column}).raw("c"), None).tolist()


class TestPositions:
    @pytest.mark.parametrize(
        "column",
        [
            ["b", "a", "b"],
            pd.array(["b", "a", "b"], dtype=object),
            pd.array(["b", "a", "b"], dtype="string[pyarrow]"),
            pd.Categorical(["b", "a", "b"]),
        ],
    )
    def test_of_texts(self, column):
        assert positions(["a", "b"], column) == [1, 0, 1]

    @pytest.mark.parametrize(
        "column",
        [
            np.array([7, 3, 7], dtype=np.int8),
            torch.tensor([7, 3, 7]),
            torch.tensor([7.0, 3.0, 7.0]),
            pd.array([7, 3, 7], dtype="Int64"),
            pd.array([7, 3, 7], dtype="int64[pyarrow]"),
        ],
    )
    @pytest.mark.parametrize(
        "labels", [[3, 7], np.array([3, 7]), torch.tensor([3, 7]), pd.Series([3, 7]), range(3, 8, 4)]
    )
    def test_of_numbers(self, labels, column):
        assert positions(labels, column) == [1, 0, 1]

    def test_of_booleans_and_dates(self):
        assert positions([False, True], torch.tensor([True, False])) == [1, 0]
        days = pd.to_datetime(["2020-01-01", "2021-01-01"])
        assert positions(list(days), days) == [0, 1]

    def test_what_is_no_class_is_named_with_its_rows(self):
        with pytest.raises(
            ColumnValueError,
            match=r"verb: column 'c' holds 'dgo', 'x' in rows 0, 2, 3, which are no classes; classes are \['cat', 'dog'\]\. "
            r"Did you mean 'dog'\?",
        ):
            positions(["cat", "dog"], ["dgo", "cat", "dgo", "x"])
        with pytest.raises(ColumnValueError, match=r"holds None in rows 1"):
            positions(["cat"], pd.array(["cat", None], dtype="string"))
        with pytest.raises(ColumnValueError, match=r"in rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, which"):
            positions([99], range(12))

    def test_a_label_is_one_value(self):
        with pytest.raises(
            ColumnTypeError, match=r"verb: column 'c' is a tensor of \(2,\) per row, and a label is one"
        ):
            positions([1], torch.zeros(3, 2))
        with pytest.raises(ColumnTypeError, match=r"verb: column 'c' holds \[1\], and a label is a text or a number"):
            positions([1], pd.array([[1]], dtype=object))


class TestLabels:
    @pytest.mark.parametrize("labels", ["abc", 3, None])
    def test_they_are_a_list(self, labels):
        with pytest.raises(TypeError, match=r"verb: classes must be a list of labels, such as \['cat', 'dog'\]; got"):
            Classes(labels, who="verb")

    @pytest.mark.parametrize(
        ("labels", "error", "problem"),
        [
            ([], ValueError, "classes must have at least one label"),
            (["a", "b", "a"], ValueError, "classes must be there once each; 'a' is there twice"),
            ([1, 1.0], ValueError, ".*; 1 is there twice"),
            (["a", None], ValueError, "a missing value is no class; got None"),
            ([[1], [2]], TypeError, r"a label is a text, a number or a boolean; got \[1\]"),
        ],
    )
    def test_each_is_a_value_and_there_once(self, labels, error, problem):
        with pytest.raises(error, match=f"verb: {problem}"):
            Classes(labels, who="verb")

    def test_many_are_told_apart_by_a_hash(self):
        many, others = classes(*range(20)), classes(*range(1, 21))
        assert str(classes("a", "b")) == "['a', 'b']"
        assert str(many).startswith("20 classes, ")
        assert str(many) != str(others)
        assert len(many) == 20


class TestFoundIn:
    def test_they_are_sorted(self):
        rows = fw.Message({"c": ["b", None, "a", "b"]})
        assert Classes.found_in(rows, "c", who="verb").labels == ("a", "b")
        assert Classes.found_in(fw.source(rows).batch(2), "c", who="verb").labels == ("a", "b")

    def test_what_is_wrong_is_said(self):
        with pytest.raises(
            TypeError, match=r"verb: fit must be the pipe or the message to find the classes in; got list"
        ):
            Classes.found_in(["a"], "c", who="verb")
        with pytest.raises(ColumnNotFoundError, match="no column 'd'"):
            Classes.found_in(fw.Message({"c": [1]}), "d", who="verb")
        mixed = fw.Message({"c": pd.array([1, "a"], dtype=object)})
        with pytest.raises(TypeError, match=r"verb: column 'c' holds labels that can't be sorted .*name them in order"):
            Classes.found_in(mixed, "c", who="verb")
        with pytest.raises(ValueError, match="verb: classes must have at least one label"):
            Classes.found_in(fw.Message({"c": [None, None]}), "c", who="verb")
