"""Which operations give views and which give copies, one by one, and that none changes another message unasked."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.arange(12.0).reshape(6, 2),
            "n": np.arange(6),
            "i": pd.array([0, 1, 2, 3, 4, 5], dtype="Int64"),
            "c": pd.Categorical(list("ababab")),
            "s": pd.array(list("abcdef"), dtype="str"),
        }
    )


def memory(column):
    """Return the addresses of the first byte of a column and of the one behind its last."""
    if isinstance(column, torch.Tensor):
        column = column.detach().numpy()
    if isinstance(column, np.ndarray):
        return np.lib.array_utils.byte_bounds(column)
    if isinstance(column, pd.Categorical):
        return np.lib.array_utils.byte_bounds(column.codes)
    return np.lib.array_utils.byte_bounds(np.asarray(column._data))


def overlapping(one, other):
    """Return the names of the columns that lie in the same memory in both; texts of Arrow can't be written to anyway."""
    shared = []
    for name in one.columns:
        if name in other and name != "s":
            (start, stop), (first, last) = memory(one.raw(name)), memory(other.raw(name))
            shared += [name] if start < last and first < stop else []
    return shared


ALL = ["x", "n", "i", "c"]

VIEWS = {
    "a message of a message": fw.Message,
    "a shallow copy": copy.copy,
    "a row": lambda message: message[2],
    "a row from the end": lambda message: message[-2],
    "a slice": lambda message: message[1:4],
    "a slice with a step": lambda message: message[::2],
    "take of a row": lambda message: message.take(3),
    "take of a slice": lambda message: message.take(slice(1, 4)),
    "rows one by one": lambda message: list(message)[3],
    "select": lambda message: message.select(*message.columns),
    "a list of names": lambda message: message[message.columns],
    "drop": lambda message: message.drop("s"),
    "assign": lambda message: message.assign(new=range(6)),
    "pipe": lambda message: message.pipe(lambda rows: rows),
    "its own schema": lambda message: fw.Message(message, schema=message.schema),
    "the same device": lambda message: message.to("cpu", dtype=torch.float32),
    "the only one to be joined": lambda message: fw.concat([fw.Message(), message]),
    "nothing appended": lambda message: message.append(fw.Message()),
    "there and back through tensors": lambda message: message.to_tensors("n").to_dataframe("n"),
}
COPIES = {
    "a slice that runs backwards": lambda message: message[::-1],
    "a list of rows": lambda message: message[[0, 1, 2]],
    "rows in their order": lambda message: message[list(range(6))],
    "a mask": lambda message: message[message["n"] >= 0],
    "a mask of a tensor": lambda message: message[torch.ones(6, dtype=torch.bool)],
    "take of a list": lambda message: message.take([3]),
    "permute": lambda message: message.permute(range(6)),
    "permute by a slice": lambda message: message.permute(slice(None)),
    "sample": lambda message: message.sample(frac=1.0, seed=0),
    "concat": lambda message: fw.concat([message, message[:0]]),
    "append": lambda message: message.append(message),
    "a batch for a loader": lambda message: message.__getitems__([0, 1]),
    "a deep copy": copy.deepcopy,
    "a pickled message": lambda message: pickle.loads(pickle.dumps(message)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_these_share_every_column_with_the_message(message, name):
    part = VIEWS[name](message)
    assert overlapping(part, message) == ALL
    part["x"][-1] = -1
    assert (message["x"] == -1).sum() == 2  # torch's own meaning of a view: what is written to it is seen by all


@pytest.mark.parametrize("name", COPIES)
def test_these_share_nothing_with_the_message(message, name):
    part = COPIES[name](message)
    assert overlapping(part, message) == []
    part["x"].zero_()
    part.raw("n")[:] = 0
    assert message["x"].sum() == 66
    assert message["n"].sum() == 15


def test_renamed_columns_are_the_same(message):
    renamed = message.rename(str.upper)
    assert all(renamed.raw(name.upper()) is message.raw(name) for name in message.columns)


def test_what_is_converted_shares_memory_where_the_types_allow_it(message):
    tensors = message.to_tensors(["x", "n", "i"])
    assert overlapping(tensors, message) == ALL
    assert tensors["x"] is message["x"]
    assert tensors.raw("c") is message.raw("c")
    frame = tensors.to_dataframe()
    assert frame.raw("n").ctypes.data == message.raw("n").ctypes.data
    assert frame.to_tensors("x")["x"].data_ptr() == message["x"].data_ptr()
    other = message.to(dtype=torch.float64)
    assert overlapping(other, message) == ["n", "i", "c"]
    grown = message.requires_grad_(columns="x")
    assert grown is message


def test_columns_that_are_passed_in_are_shared_and_the_mapping_is_not():
    tensor, array = torch.zeros(2), np.zeros(2)
    columns = {"x": tensor, "n": array}
    message = fw.Message(columns)
    assert message["x"] is tensor
    assert message.raw("n") is array
    columns["y"] = [1, 2]
    assert message.columns == ["x", "n"]


@pytest.mark.parametrize("name", [*VIEWS, *COPIES])
def test_assigning_and_deleting_a_column_of_the_result_never_changes_the_message(message, name):
    before = copy.deepcopy(message)
    part = {**VIEWS, **COPIES}[name](message)
    part = fw.Message(part) if part is message else part
    part["x"] = torch.zeros(len(part))
    part["added"] = range(len(part))
    del part["n"]
    part.pop("i")
    assert message == before


@pytest.mark.parametrize("name", [*VIEWS, *COPIES])
def test_assigning_and_deleting_a_column_of_the_message_never_changes_the_result(message, name):
    part = {**VIEWS, **COPIES}[name](message)
    part = fw.Message(part) if part is message else part
    before = copy.deepcopy(part)
    message["x"] = torch.zeros(6)
    message["added"] = range(6)
    del message["n"]
    message.pop("i")
    message.requires_grad_()
    assert part == before
    assert not part["x"].requires_grad


def test_a_pickled_part_holds_its_own_rows_and_a_repeated_row_once():
    num_rows = 100_000
    message = fw.Message(
        {
            "x": torch.zeros(num_rows, 2),
            "one": torch.ones(1).expand(num_rows),
            "s": pd.array(["text"] * num_rows, dtype="str"),
        }
    )
    for part in (message[5:7], message.select("one")):
        pickled = pickle.dumps(part)
        assert len(pickled) < 3_000
        assert pickle.loads(pickled) == part


def test_no_method_changes_the_message_that_it_is_called_on(message):
    before = copy.deepcopy(message)
    for change in (
        lambda: [operation(message) for operation in {**VIEWS, **COPIES}.values()],
        lambda: message.rename({"x": "z"}),
        lambda: message.to_tensors(["n", "i"], dtype=torch.float32),
        message.to_dataframe,
        lambda: message.to("meta"),
        message.describe,
        lambda: message.sort_values("n", ascending=False),
        lambda: repr(message),
    ):
        change()
        assert message == before


def test_what_is_written_to_a_series_or_a_frame_is_not_seen_by_the_message(message):
    before = copy.deepcopy(message)
    for name in ("n", "i", "s"):
        series = message[name]
        series.iloc[0] = series.iloc[1]
        assert series.iloc[0] == series.iloc[1]
    frame = message.to_pandas()
    frame.iloc[0, 1] = 99
    frame.loc[0, "x"] = 7.0
    frame["new"] = 1
    assert message == before


def test_what_is_written_to_a_series_or_a_frame_that_was_passed_in_is_not_seen_either():
    series, frame = pd.Series([1, 2]), pd.DataFrame({"n": [1, 2]})
    message, other = fw.Message({"n": series}), fw.Message(frame)
    series.iloc[0] = 9
    frame.loc[0, "n"] = 9
    assert message["n"].tolist() == other["n"].tolist() == [1, 2]
