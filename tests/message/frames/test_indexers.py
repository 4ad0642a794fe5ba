import copy
import re

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, RowIndexError


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.tensor([3.0, 1.0, 2.0]),
            "v": torch.arange(6.0).reshape(3, 2),
            "n": [4, 2, 3],
            "name": ["ann", "bob", "cid"],
        }
    )


class TestLoc:
    def test_labels_of_rows_are_their_numbers_and_slices_go_to_the_last(self, message):
        assert message.loc[0:1]["n"].tolist() == [4, 2]
        assert message.loc[[2, 0]]["v"].tolist() == [[4.0, 5.0], [0.0, 1.0]]
        assert message.loc[1:, ["v", "n"]].columns == ["v", "n"]
        assert message.loc[:, "v":"n"].columns == ["v", "n"]

    @pytest.mark.parametrize("convert", [lambda mask: mask, np.asarray, pd.Series, list, lambda mask: mask.tolist()])
    def test_masks_of_any_kind(self, message, convert):
        mask = convert(message["x"] > 1)
        assert message.loc[mask, ["name"]].to_dict() == {"name": ["ann", "cid"]}
        assert message.loc[mask]["v"].tolist() == [[0.0, 1.0], [4.0, 5.0]]

    def test_a_function_gets_the_message(self, message):
        assert message.loc[lambda rows: rows["x"] > 1]["n"].tolist() == [4, 3]
        assert message.loc[lambda rows: rows["n"] > 2, "name"].tolist() == ["ann", "cid"]

    def test_one_row_or_column_is_a_series_and_one_cell_its_value(self, message):
        row = message.loc[1]
        assert (row["n"], row["name"], row["v"].tolist()) == (2, "bob", [2.0, 3.0])
        assert row.index.name is None
        column = message.loc[:, "v"]
        assert column.array.tensor.data_ptr() == message["v"].data_ptr()
        assert column.index.name is None
        assert message.loc[2, "name"] == "cid"
        assert message.loc[2, "v"].tolist() == [4.0, 5.0]

    def test_of_one_axis(self, message):
        assert message.loc(axis=1)[["n"]].columns == ["n"]

    def test_slices_share_memory(self, message):
        assert message.loc[1:]["v"].data_ptr() == message["v"][1:].data_ptr()

    def test_what_is_missing_is_a_key_error(self, message):
        with pytest.raises(ColumnNotFoundError, match=r"^Message\.loc: no column 'nam'.* Did you mean 'name'\?$"):
            message.loc[0, "nam"]
        with pytest.raises(KeyError, match="7"):
            message.loc[7]
        with pytest.raises(KeyError) as caught:
            message.loc[[7, 8]]
        assert "ROWS" not in str(caught.value)


class TestILoc:
    def test_positions_of_any_kind(self, message):
        for rows in ([2, 0], np.array([2, 0]), torch.tensor([2, 0]), [-1, 0]):
            assert message.iloc[rows]["n"].tolist() == [3, 4]
        assert message.iloc[1:, [0, 2]].columns == ["x", "n"]
        assert message.iloc[::-1]["v"].tolist() == [[4.0, 5.0], [2.0, 3.0], [0.0, 1.0]]
        assert message.iloc[torch.tensor(1), 3] == "bob"

    def test_past_the_end_is_an_index_error_with_the_numbers(self, message):
        for key in (9, [0, 9], (0, 7)):
            with pytest.raises(
                RowIndexError,
                match=rf"^Message\.iloc: {re.escape(repr(key))} does not fit; there are 3 rows and 4 columns \(.*\)\.$",
            ):
                message.iloc[key]
        with pytest.raises(RowIndexError, match=r"^Message\.iat: \(5, 0\) does not fit"):
            message.iat[5, 0]


class TestOneCell:
    def test_at_and_iat(self, message):
        assert (message.at[1, "n"], message.iat[1, 2]) == (2, 2)
        assert message.at[0, "v"].tolist() == message.iat[0, 1].tolist() == [0.0, 1.0]


class TestAssignment:
    @pytest.mark.parametrize("name", ["loc", "iloc", "at", "iat"])
    def test_it_is_refused_with_what_to_write_instead(self, message, name):
        before = copy.deepcopy(message)
        with pytest.raises(
            TypeError,
            match=rf"^Message\.{name}: an assignment would change a frame that the message is only seen through, and be "
            r"lost; assign a column, as in message\['x'\] = message\['x'\]\.where\(keep, value\) or "
            r"message\['x'\] = torch\.where\(keep, message\['x'\], value\), or take message\.where\(keep, value\) for all "
            r"columns\.$",
        ):
            getattr(message, name)[0, 0] = 5
        assert message == before
