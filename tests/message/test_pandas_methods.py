import copy
import inspect
import pickle
import pydoc
import rlcompleter

import pandas as pd
import pytest

import fireworks as fw
from message.strategies import message_of_all_ranks

NAN = float("nan")


@pytest.fixture
def message():
    return message_of_all_ranks()


@pytest.fixture
def numbers(message):
    return message.drop("g")


class TestAttributes:
    def test_every_method_of_a_frame_is_there_with_its_docstring_and_signature(self, message):
        for name in ("sort_values", "groupby", "merge", "query", "to_string"):
            method, of_frames = getattr(message, name), getattr(pd.DataFrame, name)
            assert method.__doc__ == of_frames.__doc__
            assert method.__name__ == name
            assert method.__self__ is message
            expected = list(inspect.signature(of_frames).parameters)[1:]
            assert list(inspect.signature(method).parameters) == expected

    def test_dir_lists_them_once_beside_its_own(self, message):
        names = dir(message)
        assert len(set(names)) == len(names)
        assert {"groupby", "loc", "pivot_table", "T", "to_html", "plot", "describe", "columns", "to_tensors"} <= set(
            names
        )
        assert not {"index", "set_index", "to_pickle", "attrs"} & set(names)

    def test_help_and_completion_know_them(self, message):
        assert "Sort by the values along either axis." in pydoc.render_doc(message.sort_values)
        completer = rlcompleter.Completer({"message": message})
        assert "message.sort_values(" in completer.attr_matches("message.sort_")
        assert completer.attr_matches("message.set_ind") == []

    def test_every_public_name_of_a_frame_is_there_or_says_what_to_write(self, message):
        for name in dir(pd.DataFrame):
            if name.startswith("_") or name == "sparse":
                continue
            assert hasattr(message, name) == (name in dir(message))
            if not hasattr(message, name):
                with pytest.raises(AttributeError, match=rf"^'Message' object has no attribute '{name}'\. [A-Z].*\.$"):
                    getattr(message, name)

    def test_an_accessor_that_is_registered_later_is_there_too(self, message):
        @pd.api.extensions.register_dataframe_accessor("shop")
        class Shop:
            def __init__(self, frame):
                self.frame = frame

            def total(self):
                return self.frame["n"].sum()

        try:
            assert message.shop.total() == 10
        finally:
            del pd.DataFrame.shop
            pd.DataFrame._accessors.discard("shop")

    def test_a_missing_name_is_an_attribute_error_with_the_nearest_one(self, message):
        with pytest.raises(
            AttributeError, match=r"^'Message' object has no attribute 'sort_value'\. Did you mean 'sort_values'\?$"
        ):
            message.sort_value  # noqa: B018
        with pytest.raises(AttributeError, match=r"^'Message' object has no attribute 'qzxj'\.$"):
            message.qzxj  # noqa: B018
        with pytest.raises(AttributeError, match=r"^'Message' object has no attribute '__array__'\.$"):
            message.__array__  # noqa: B018

    def test_columns_are_not_attributes(self, message):
        with pytest.raises(
            AttributeError,
            match=r"^'Message' object has no attribute 'v'\. Columns are not attributes; write message\['v'\]\.$",
        ):
            message.v  # noqa: B018

    def test_an_attribute_error_inside_a_property_comes_through(self, message, monkeypatch):
        def fail(self):
            raise AttributeError("from inside")

        monkeypatch.setattr(fw.Message, "num_bytes", property(fail))
        with pytest.raises(AttributeError, match=r"^from inside$"):
            message.num_bytes  # noqa: B018

    def test_copy_and_pickle_find_nothing_of_pandas(self, message):
        for other in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
            assert other == message
        assert not any(hasattr(message, name) for name in ("__array__", "__dataframe__", "_repr_latex_", "_mgr"))

    def test_what_is_not_yet_made_has_no_attributes(self):
        bare = fw.Message.__new__(fw.Message)
        for name in ("_columns", "_anything", "__deepcopy__"):
            assert not hasattr(bare, name)

    def test_shape_and_types(self, message):
        assert (message.shape, message.size, message.ndim, message.empty) == ((4, 5), 20, 2, False)
        assert message.dtypes.astype(str).to_dict() == {
            "g": "str", "x": "tensor[float32]", "v": "tensor[float32, 2]", "w": "tensor[int64, 2, 2]", "n": "int64",
        }  # fmt: skip
        assert fw.Message().empty


class TestOwnMethods:
    def test_head_and_tail_share_memory(self, message):
        assert message.head(2)["v"].data_ptr() == message["v"].data_ptr()
        for n in (0, 1, 3, 9, -1, -3, -9):
            frame = pd.DataFrame({"n": message["n"]})
            assert message.head(n)["n"].tolist() == frame.head(n)["n"].tolist()
            assert message.tail(n)["n"].tolist() == frame.tail(n)["n"].tolist()
        assert (len(message.head()), len(message.tail())) == (4, 4)

    def test_get(self, message):
        assert message.get("v") is message["v"]
        assert message.get(["v", "n"]).columns == ["v", "n"]
        assert message.get("nope") is None
        assert message.get(["v", "nope"], 5) == 5
