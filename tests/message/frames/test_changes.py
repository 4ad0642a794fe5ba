import copy

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnLengthError, ColumnTypeError

NAN = float("nan")


@pytest.fixture
def message():
    return fw.Message({"x": torch.tensor([1.0, 2.0, 3.0]), "v": torch.zeros(3, 2), "n": np.array([1, 2, 3])})


class TestInsert:
    @pytest.mark.parametrize("place", [0, 1, 3, np.int64(2)])
    def test_a_column_is_added_at_a_place(self, message, place):
        assert message.insert(place, "new", torch.arange(3)) is None
        expected = ["x", "v", "n"]
        expected.insert(place, "new")
        assert message.columns == list(message.to_pandas()) == expected
        assert message["new"].tolist() == [0, 1, 2]

    def test_messages_that_share_columns_are_not_changed(self, message):
        other, frame = message[:], message.to_pandas()
        message.insert(0, "new", [1, 2, 3])
        assert other.columns == list(frame) == ["x", "v", "n"]

    @pytest.mark.parametrize(
        ("place", "name", "value", "error", "text"),
        [
            (
                0,
                "x",
                [1, 2, 3],
                ValueError,
                r"^Message\.insert: there is a column 'x' already; write message\['x'\] = …\.$",
            ),
            (4, "y", [1, 2, 3], ValueError, r"^Message\.insert: a place is from 0 to 3; got 4\.$"),
            (-1, "y", [1, 2, 3], ValueError, r"^Message\.insert: a place is from 0 to 3; got -1\.$"),
            (0, "y", [1], ColumnLengthError, "column 'y' has 1 rows, the message has 3"),
            (0, "y", 5, ColumnTypeError, "one value per row"),
            (0, 7, [1, 2, 3], ColumnTypeError, "sets a column by its name"),
            ("x", "y", [1, 2, 3], TypeError, "integer"),
        ],
    )
    def test_what_is_refused_changes_nothing(self, message, place, name, value, error, text):
        before = copy.deepcopy(message)
        with pytest.raises(error, match=text):
            message.insert(place, name, value)
        assert message == before


class TestUpdate:
    @pytest.mark.parametrize("convert", [lambda columns: columns, fw.Message, lambda c: fw.Message(c).to_pandas()])
    def test_values_that_are_there_replace_others_row_by_row(self, message, convert):
        other = {"x": torch.tensor([NAN, 20.0, NAN]), "n": [10, 20, 30], "more": [0, 0, 0]}
        assert message.update(convert(other)) is None
        assert message["x"].tolist() == [1.0, 20.0, 3.0]
        assert message["n"].tolist() == [10, 20, 30]
        assert message.columns == list(message.to_pandas()) == ["x", "v", "n"]

    def test_rows_of_frames_are_named_by_number(self, message):
        message.update(pd.DataFrame({"n": [50]}, index=[1]))
        assert message["n"].tolist() == [1, 50, 3]
        message.update(pd.Series([7], index=[0], name="n"))
        assert message["n"].tolist() == [7, 50, 3]

    def test_messages_that_share_columns_and_inputs_are_not_changed(self):
        tensor, array = torch.tensor([1.0, 2.0]), np.array([1, 2])
        message = fw.Message({"x": tensor, "n": array})
        other, frame = fw.Message(message), message.to_pandas()
        message.update({"x": torch.tensor([8.0, 9.0]), "n": [8, 9]})
        assert other["x"].tolist() == frame["x"].tolist() == tensor.tolist() == [1.0, 2.0]
        assert other["n"].tolist() == frame["n"].tolist() == array.tolist() == [1, 2]

    def test_columns_that_are_not_updated_are_the_same_objects(self, message):
        v, n = message["v"], message.raw("n")
        message.update({"x": [5.0, 6.0, 7.0]})
        assert message["v"] is v
        assert message.raw("n") is n

    def test_options_are_those_of_pandas(self, message):
        message.update({"x": [9.0, 9.0, 9.0]}, filter_func=lambda x: x > 2)
        assert message["x"].tolist() == [1.0, 2.0, 9.0]
        message["y"] = [NAN, 1.0, 2.0]
        message.update({"y": [5.0, 5.0, 5.0]}, overwrite=False)
        assert message["y"].tolist() == [5.0, 1.0, 2.0]

    def test_what_is_refused_changes_nothing(self, message):
        before = copy.deepcopy(message)
        with pytest.raises(ValueError, match="overlap"):
            message.update({"n": [7, 8, 9], "x": [7.0, 8.0, 9.0]}, errors="raise")
        assert message == before


class TestResetIndex:
    def test_there_is_nothing_to_reset(self, message):
        for same in (message.reset_index(), message.reset_index(drop=True)):
            assert same == message
            assert same["x"] is message["x"]
        sums = message.groupby("n")[["x"]].sum()
        assert sums.reset_index() == sums

    def test_row_numbers_become_a_column_where_they_are_asked_for(self, message):
        numbered = message[1:].reset_index(names="row")
        assert numbered.columns == ["row", "x", "v", "n"]
        assert numbered["row"].tolist() == [0, 1]
        with pytest.raises(
            ColumnTypeError, match=r"^Message\.reset_index: there is a column 'x' already; choose another name\.$"
        ):
            message.reset_index(names="x")
