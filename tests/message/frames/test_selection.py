import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message.frames.selection import columns_of_numbers, has_tensors, stand_ins


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.zeros(2),
            "v": torch.zeros(2, 3, dtype=torch.int64),
            "h": torch.zeros(2, 2, dtype=torch.bfloat16),
            "b": torch.zeros(2, 2, dtype=torch.bool),
            "n": np.array([1, 2]),
            "ok": [True, False],
            "name": ["ann", "bob"],
            "time": np.array([1, 2], "M8[s]"),
            "wait": np.array([1, 2], "m8[s]"),
            "kind": pd.Categorical(["u", "v"]),
        }
    )


class TestSelectDtypes:
    @pytest.mark.parametrize(
        ("include", "exclude", "names"),
        [
            ("number", None, ["x", "v", "h", "n", "wait"]),
            (["number"], ["timedelta"], ["x", "v", "h", "n"]),
            (["float32"], None, ["x", "h"]),
            ("int64", None, ["v", "n"]),
            (bool, None, ["b", "ok"]),
            (None, "number", ["b", "ok", "name", "time", "kind"]),
            ("category", None, ["kind"]),
            (torch.Tensor, None, ["x", "v", "h", "b"]),
            (None, torch.Tensor, ["n", "ok", "name", "time", "wait", "kind"]),
            (torch.int64, None, ["v"]),
            ([torch.int64, "category"], None, ["v", "kind"]),
            ([torch.Tensor, "int64"], [torch.bool, "float32"], ["v", "n"]),
            (("number", torch.bool), torch.Tensor, ["n", "wait"]),
        ],
    )
    def test_tensors_count_by_their_elements(self, message, include, exclude, names):
        chosen = message.select_dtypes(include, exclude)
        assert chosen.columns == names
        assert chosen == message.select(*names)
        assert message.select_dtypes(include=include, exclude=exclude).columns == names

    def test_nothing_and_the_same_twice_are_refused(self, message):
        with pytest.raises(ValueError, match="at least one of include or exclude must be nonempty"):
            message.select_dtypes()
        with pytest.raises(ValueError, match="include and exclude overlap"):
            message.select_dtypes("number", "number")
        with pytest.raises(
            ValueError, match=r"^Message\.select_dtypes: torch\.int64 can't be in both include and exclude\.$"
        ):
            message.select_dtypes([torch.int64], ["category", torch.int64])


def test_numbers_are_numbers_whatever_the_shape_of_a_row(message):
    assert columns_of_numbers(message) == ["x", "v", "h", "b", "n", "ok"]


def test_stand_ins_have_the_rows_and_types_of_the_tensors(message):
    frame = stand_ins(message)
    assert list(frame) == message.columns
    assert frame.dtypes.astype(str).tolist()[:4] == ["float32", "int64", "float32", "bool"]
    assert np.shares_memory(frame["x"].to_numpy(), message["x"].numpy())
    assert stand_ins(message[:0]).shape == (0, 10)


def test_whether_there_are_tensors(message):
    assert has_tensors(message)
    assert has_tensors(message, ["n", "v"])
    assert not has_tensors(message, ["n", "name"])
