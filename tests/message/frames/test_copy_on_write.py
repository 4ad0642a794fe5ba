import contextlib
import copy
import gc

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message.frames import copy_on_write
from fireworks.message.frames.copy_on_write import locked, protect


def columns():
    return {
        "s": torch.tensor([3.0, 1.0, 2.0]),
        "v": torch.arange(6.0).reshape(3, 2),
        "b": torch.tensor([True, False, True]),
        "n": np.array([1, 2, 3]),
        "f": np.array([0.5, 1.5, np.nan]),
        "date": np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[s]"),
        "zone": pd.array(pd.DatetimeIndex(["2020", "2021", "2022"], tz="Asia/Tokyo")),
        "name": pd.array(["ann", "bob", "cid"], dtype="str"),
        "python": pd.array(["ann", "bob", "cid"], dtype="string[python]"),
        "kind": pd.Categorical(["u", "v", "u"]),
        "int": pd.array([1, 2, None], dtype="Int64"),
        "flag": pd.array([True, None, False], dtype="boolean"),
        "arrow": pd.array([1, 2, 3], dtype="int64[pyarrow]"),
        "object": pd.array([(1, 2), "text", None], dtype=object),
    }


@pytest.fixture
def message():
    return fw.Message(columns())


WRITES_TO_A_FRAME = {
    "[]": lambda frame, name, other: frame.__setitem__(name, other),
    "[mask]": lambda frame, name, other: frame.__setitem__(frame["n"] > 1, frame.iloc[[0]]),
    "loc": lambda frame, name, other: frame.loc.__setitem__((1, name), other),
    "loc[mask]": lambda frame, name, other: frame.loc.__setitem__((frame["n"] > 1, name), other),
    "iloc": lambda frame, name, other: frame.iloc.__setitem__((1, frame.columns.get_loc(name)), other),
    "iloc[:]": lambda frame, name, other: frame.iloc.__setitem__((slice(None), frame.columns.get_loc(name)), other),
    "at": lambda frame, name, other: frame.at.__setitem__((1, name), other),
    "iat": lambda frame, name, other: frame.iat.__setitem__((1, frame.columns.get_loc(name)), other),
    "isetitem": lambda frame, name, other: frame.isetitem(frame.columns.get_loc(name), [other] * 3),
    "fillna": lambda frame, name, other: frame.fillna({name: other}, inplace=True),
    "where": lambda frame, name, other: frame.where(
        frame["n"] > 1, frame.iloc[::-1].reset_index(drop=True), inplace=True
    ),
    "update": lambda frame, name, other: frame.update(frame.iloc[::-1].reset_index(drop=True)),
    "sort_values": lambda frame, name, other: frame.sort_values("n", ascending=False, inplace=True),
    "sort then loc": lambda frame, name, other: frame.sort_values("n").loc.__setitem__((1, name), other),
    "a slice": lambda frame, name, other: frame[:].loc.__setitem__((1, name), other),
    "a shallow copy": lambda frame, name, other: frame.copy(deep=False).loc.__setitem__((1, name), other),
    "a selection": lambda frame, name, other: frame[[name]].loc.__setitem__((1, name), other),
    "a frame of it": lambda frame, name, other: pd.DataFrame(frame, copy=False).loc.__setitem__((1, name), other),
    "its transpose": lambda frame, name, other: frame[[name]].T.iloc.__setitem__((0, 0), other),
    "values": lambda frame, name, other: frame[[name]].values.__setitem__((1, 0), other),
    "to_numpy": lambda frame, name, other: frame[[name]].to_numpy().__setitem__((1, 0), other),
    "iterrows": lambda frame, name, other: [row.__setitem__(name, other) for _, row in frame[[name]].iterrows()],
    "eval": lambda frame, name, other: frame.eval("n = n + 1", inplace=True),
    "insert and drop": lambda frame, name, other: (frame.insert(0, "new", 1), frame.drop(columns=name, inplace=True)),
    "a group": lambda frame, name, other: [
        group.loc.__setitem__((group.index[0], name), other) for _, group in frame.groupby("n")
    ],
    "groupby.apply": lambda frame, name, other: frame.groupby("n").apply(
        lambda group: group.loc.__setitem__((group.index[0], name), other) or len(group)
    ),
    "apply": lambda frame, name, other: frame[[name]].apply(lambda column: column.iloc.__setitem__(0, other) or 1),
    "apply over rows": lambda frame, name, other: frame[[name, "n"]].apply(
        lambda row: row.__setitem__(name, other) or 1, axis=1
    ),
}
OTHER = {
    "s": 99.0, "v": 99.0, "b": False, "n": 99, "f": 99.0, "date": pd.Timestamp("1999-01-01"),
    "zone": pd.Timestamp("1999-01-01", tz="Asia/Tokyo"), "name": "zoe", "python": "zoe", "kind": "u", "int": 99,
    "flag": False, "arrow": 99, "object": "zoe",
}  # fmt: skip

WRITES_TO_A_SERIES = {
    "iloc": lambda series, other: series.iloc.__setitem__(1, other),
    "loc": lambda series, other: series.loc.__setitem__(1, other),
    "at": lambda series, other: series.at.__setitem__(1, other),
    "[mask]": lambda series, other: series.__setitem__(pd.Series([False, True, True]), other),
    "fillna": lambda series, other: series.fillna(other, inplace=True),
    "mask": lambda series, other: series.mask(pd.Series([True, False, True]), other, inplace=True),
    "replace": lambda series, other: series.replace({series.iloc[1]: other}, inplace=True),
    "update": lambda series, other: series.update(series[::-1].reset_index(drop=True)),
    "sort_values": lambda series, other: series.sort_values(inplace=True),
    "pop": lambda series, other: series.pop(0),
    "+=": lambda series, other: series.__iadd__(series),
    "out=": lambda series, other: np.add(series, series, out=series),
    "a slice": lambda series, other: series[1:].iloc.__setitem__(0, other),
    "a frame of it": lambda series, other: series.to_frame().iloc.__setitem__((1, 0), other),
    "fillna of nothing": lambda series, other: series.dropna().fillna(other).iloc.__setitem__(0, other),
    "its array": lambda series, other: series.array.__setitem__(1, other),
    "a slice of its array": lambda series, other: series.array[:2].__setitem__(1, other),
    "its values": lambda series, other: series.values.__setitem__(1, other),
    "to_numpy": lambda series, other: series.to_numpy().__setitem__(1, other),
    "np.asarray": lambda series, other: np.asarray(series).__setitem__(1, other),
    "a Series of its array": lambda series, other: pd.Series(series.array, copy=False).iloc.__setitem__(1, other),
}
# What pandas refuses for some types is no write, and one into a temporary copy is lost, which it may warn of.
REFUSALS = (TypeError, ValueError, AttributeError, NotImplementedError, KeyError, AssertionError)
pytestmark = pytest.mark.filterwarnings("ignore")


class TestNoWriteThroughPandasReachesAMessage:
    @pytest.mark.parametrize("write", WRITES_TO_A_FRAME.values(), ids=WRITES_TO_A_FRAME)
    def test_through_a_frame(self, message, write):
        before = copy.deepcopy(message)
        for name in message.columns:
            with contextlib.suppress(REFUSALS):
                write(message.to_pandas(), name, OTHER[name])
        assert message == before
        assert fw.Message(message.to_pandas()) == before

    @pytest.mark.parametrize("write", WRITES_TO_A_SERIES.values(), ids=WRITES_TO_A_SERIES)
    def test_through_a_series(self, message, write):
        before = copy.deepcopy(message)
        for name in message.columns:
            for series in (message.to_pandas()[name], message.loc[:, name], message[[name]].squeeze()):
                with contextlib.suppress(REFUSALS):
                    write(series, OTHER[name])
        assert message == before

    @pytest.mark.parametrize("name", ["s", "v", "n", "f", "date"])
    def test_the_memory_is_shared_all_the_same(self, message, name):
        column = message.raw(name)
        for series in (message.to_pandas()[name], message.loc[:, name]):
            if isinstance(column, torch.Tensor):
                assert series.array.tensor.data_ptr() == column.data_ptr()
            else:
                assert np.shares_memory(series.to_numpy(), column)

    @pytest.mark.parametrize("name", columns())
    def test_what_is_written_is_in_the_frame(self, message, name):
        frame, series = message.to_pandas(), message.to_pandas()[name]
        frame.loc[1, name] = OTHER[name]
        series.iloc[1] = OTHER[name]
        for value in (frame[name].iloc[1], series.iloc[1]):
            assert torch.equal(value, torch.full((2,), 99.0)) if name == "v" else value == OTHER[name]

    def test_a_slice_of_a_message_that_is_gone_still_protects_its_parent(self, message):
        before = copy.deepcopy(message)
        frame, series = message[1:].to_pandas(), message[1:]["n"]
        gc.collect()
        frame.loc[:, ["s", "n"]] = 99
        frame.iloc[0, 1] = 99.0
        series.iloc[0] = 99
        assert message == before

    def test_frames_of_a_message_protect_each_other(self, message):
        one, other = message.to_pandas(), message.to_pandas()
        del message
        gc.collect()
        one.loc[0, "s"] = 99.0
        one["n"] = 0
        assert other["s"].tolist() == [3.0, 1.0, 2.0]
        assert other["n"].tolist() == [1, 2, 3]

    def test_what_a_method_gives_back_is_protected_too(self, message):
        before = copy.deepcopy(message)
        series = message.eval("n")
        series.iloc[0] = 99
        dropped = message.drop_duplicates("n")
        dropped.to_pandas().loc[0, "n"] = 99
        groups = dict(iter(message.groupby("name")["f"]))
        groups["ann"].iloc[0] = 99
        assert (series.iloc[0], groups["ann"].iloc[0]) == (99, 99)
        assert message == before

    def test_functions_may_write_to_what_they_get(self, message):
        def write(column):
            column.iloc[0] = 99
            return column

        before = copy.deepcopy(message)
        assert message[["n", "f"]].apply(write)["n"].tolist() == [99, 2, 3]
        assert message.groupby("name")[["n"]].transform(write)["n"].tolist() == [99, 99, 99]
        assert message == before

    def test_a_column_of_pandas_stays_writable_for_its_owner_alone(self):
        names = pd.array(["ann", "bob"], dtype="str")
        message = fw.Message({"name": names})
        assert not hasattr(names, "__dict__") or not names._readonly
        message["name"].array  # noqa: B018
        names[0] = "zoe"  # an array that was passed in is shared, as documented
        assert message["name"].tolist() == ["zoe", "bob"]


class TestWhatWasPassedIn:
    def test_a_frame_is_shared_and_each_side_is_safe_from_the_other(self):
        frame = pd.DataFrame({"n": np.arange(3), "f": np.arange(3.0), "name": ["a", "b", "c"]})
        message = fw.Message(frame)
        assert np.shares_memory(message.raw("f"), frame["f"].to_numpy())
        frame.loc[0, "n"] = 99
        frame["f"] *= 2
        frame.loc[0, "name"] = "zoe"
        assert message.to_dict() == {"n": [0, 1, 2], "f": [0.0, 1.0, 2.0], "name": ["a", "b", "c"]}
        message.raw("n")[1] = 7
        assert frame["n"].tolist() == [99, 1, 2]

    def test_a_frame_of_one_block_is_protected_as_a_whole(self):
        frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
        message = fw.Message(frame)
        frame.iloc[0, 0] = 99.0
        assert message["a"].tolist() == [0.0, 2.0, 4.0]

    def test_a_series_is_shared_and_each_side_is_safe_from_the_other(self):
        series = pd.Series([1, 2, 3])
        message = fw.Message({"n": series})
        assert np.shares_memory(message.raw("n"), series.to_numpy())
        series.iloc[0] = 99
        assert message["n"].tolist() == [1, 2, 3]
        message["n"].iloc[1] = 77
        assert series.tolist() == [99, 2, 3]

    def test_an_array_and_a_tensor_are_shared_and_change_by_their_owner_alone(self):
        array, tensor = np.arange(3.0), torch.arange(3.0)
        message = fw.Message({"f": array, "x": tensor})
        for frame in (message.to_pandas(), message[:2].to_pandas()):
            frame.loc[0, ["f", "x"]] = 99.0
        message["f"].iloc[0] = 99.0
        assert array.tolist() == tensor.tolist() == [0.0, 1.0, 2.0]
        array[1] = tensor[1] = 7.0
        assert message["f"].tolist() == message["x"].tolist() == [0.0, 7.0, 2.0]
        assert array.flags.writeable


class TestWhatPandasKeepsPrivate:
    """These fail where a new pandas keeps its books in another way; then `copy_on_write.py` needs a look."""

    def test_a_block_that_shares_its_memory_is_copied_before_a_write(self):
        block = pd.Series([1.0])._mgr.blocks[0]
        assert not block.refs.has_reference()
        block.refs.add_reference(copy_on_write._IMMORTAL)
        assert block.refs.has_reference()

    def test_references_are_weak_and_the_one_that_is_added_never_dies(self):
        array = np.arange(3.0)
        series = pd.Series(array, copy=False)
        view = series[:]
        assert series._mgr.blocks[0].refs.has_reference()
        del view
        assert not series._mgr.blocks[0].refs.has_reference()
        protect(series)
        gc.collect()
        assert series._mgr.blocks[0].refs.has_reference()
        series.iloc[0] = 9.0
        assert array[0] == 0.0

    def test_protecting_often_adds_one_reference(self):
        frame = pd.DataFrame({"x": [1.0], "n": [1]})
        for _ in range(50):
            assert protect(frame) is frame
        for block in frame._mgr.blocks:
            known = [reference() for reference in block.refs.referenced_blocks]
            assert sum(one is copy_on_write._IMMORTAL for one in known) == 1

    def test_a_written_series_is_its_own_again(self):
        series = protect(pd.Series(np.arange(3.0), copy=False))
        series.iloc[0] = 1.0
        address = series.to_numpy().ctypes.data
        series.iloc[1] = 1.0
        assert series.to_numpy().ctypes.data == address

    @pytest.mark.parametrize("values", [["a", "b"], pd.Categorical(["a", "b"]), pd.array([1, 2]), np.array([1, 2])])
    def test_a_locked_array_refuses_to_be_written_to_and_its_copy_does_not(self, values):
        array = pd.Series(values).array if not isinstance(values, np.ndarray) else values
        view = locked(array)
        with pytest.raises(ValueError, match="read-only"):
            view[0] = view[1]
        with pytest.raises(ValueError, match="read-only"):
            view[:1][0] = view[1]
        for writable in (view.copy(), array):
            writable[0] = view[1]
            assert writable[0] == view[1]
