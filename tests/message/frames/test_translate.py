import functools

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message.frames import translate
from fireworks.message.frames.frame import ROWS
from fireworks.message.frames.translate import Cell


@pytest.fixture
def message():
    return fw.Message({"x": torch.tensor([1.0, 2.0]), "v": torch.arange(4).reshape(2, 2), "n": [1, 2]})


class TestArguments:
    def test_messages_become_frames_with_the_private_index_sharing_memory(self, message):
        frame = translate.argument(message)
        assert list(frame.index.names) == [ROWS]
        assert frame["x"].array.tensor.data_ptr() == message["x"].data_ptr()
        assert message.to_pandas().index.name is None

    def test_tensors_become_numbers_and_arrays(self):
        assert translate.argument(torch.tensor(3)) == 3
        mask = translate.argument(torch.tensor([True, False]))
        assert (mask.dtype, mask.tolist()) == (np.bool_, [True, False])
        assert translate.argument(torch.zeros(2, 3)).shape == (2, 3)
        half = translate.argument(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))
        assert (half.dtype, half.tolist()) == (np.float32, [1.0, 1.0])
        tensor = torch.arange(3.0)
        assert np.shares_memory(translate.argument(tensor), tensor.numpy())

    def test_whatever_is_inside_lists_and_mappings_too(self, message):
        found = translate.argument([message, {"k": (torch.tensor(1), "text")}])
        assert isinstance(found[0], pd.DataFrame)
        assert found[1] == {"k": (1, "text")}

    @pytest.mark.parametrize(
        ("index", "names"),
        [
            (None, [ROWS]),
            ([5, 3], [ROWS]),
            (pd.Index([5, 3], name="k"), ["k"]),
            (["a", "b"], [None]),
            (pd.MultiIndex.from_tuples([(1, 2), (3, 4)]), [None, None]),
        ],
    )
    def test_integers_without_a_name_are_row_numbers(self, index, names):
        for shared in (pd.Series([1, 2], index=index), pd.DataFrame({"x": [1, 2]}, index=index)):
            before = list(shared.index.names)
            assert list(translate.argument(shared).index.names) == names
            assert list(shared.index.names) == before

    def test_anything_else_is_passed_on(self):
        for value in (1, "x", None, slice(2), np.array([1]), pd.Timestamp("2020"), float, np.sqrt, {1, 2}):
            assert translate.argument(value) is value


class TestFunctions:
    @pytest.mark.parametrize(
        ("function", "is_of_user"),
        [
            (lambda x: x, True),
            (torch.mean, True),
            (torch.nn.Identity(), True),
            (functools.partial(torch.sum, dim=0), True),
            (functools.partial(np.mean, axis=0), False),
            (np.mean, False),
            (np.sqrt, False),
            (pd.to_numeric, False),
            (max, False),
            (len, False),
            (float, False),
            (fw.Message, False),
            ("mean", False),
            (None, False),
            (pd.Grouper(key="x"), False),
        ],
    )
    def test_whose_they_are(self, function, is_of_user):
        assert translate.is_of_user(function) is is_of_user

    def test_a_wrapped_function_keeps_its_name(self):
        def span(column):
            return column

        assert translate.argument(span).__name__ == "span"
        assert translate.functions_only([{"x": span}, "mean"], cells=True)[0]["x"].__name__ == "span"
        aggregate = translate.functions_only(pd.NamedAgg("x", span), cells=True)
        assert (aggregate.column, aggregate.aggfunc.__name__) == ("x", "span")

    def test_what_it_is_given(self, message):
        seen = []
        given = translate.wrapped(lambda value: seen.append(value))  # noqa: PLW0108 (a method of a list is a builtin)
        frame = translate.frame_of(message)
        for value in (frame, frame["x"], frame["n"], frame.loc[0], frame[["v"]].iloc[0], 5):
            given(value)
        assert seen[0] == message
        assert seen[1].data_ptr() == message["x"].data_ptr()
        assert seen[2].index.name is None
        assert (seen[3].name, seen[4].name, seen[5]) == (0, 0, 5)
        assert all(isinstance(row, pd.Series) for row in seen[3:5])
        assert seen[4]["v"].tolist() == [0, 1]

    def test_further_arguments_are_translated_if_pandas_made_them(self, message):
        column, other = translate.frame_of(message)["n"], pd.Series([5, 6])
        found = []
        translate.wrapped(lambda *values: found.extend(values))(column, column, other, message)
        assert found[1].index.name is None
        assert found[2] is other
        assert found[3] is message

    def test_what_it_returns(self, message):
        frame = translate.frame_of(message)
        column, row = frame["x"], frame.loc[0]

        def returned(value, source, **options):
            return translate.wrapped(lambda _: value, **options)(source)

        assert returned(torch.tensor(2.5), column) == 2.5
        assert list(returned(message, frame).index.names) == [ROWS]
        assert returned(torch.zeros(2, 3), column).index.name is ROWS
        assert returned(torch.zeros(5), column).index.equals(pd.RangeIndex(5))
        assert returned(torch.tensor([True, False]), frame).tolist() == [True, False]
        assert returned(torch.zeros(2, 2), frame).shape == (2, 2)
        assert isinstance(returned(torch.zeros(2), column, cells=True), Cell)
        assert isinstance(returned(torch.zeros(2), row["n"]), Cell)
        assert list(returned(pd.DataFrame({"y": [1]}), frame).index.names) == [ROWS]
        assert returned("text", column) == "text"

    def test_a_series_of_the_same_rows_is_numbered_like_them(self, message):
        column = translate.frame_of(message)["n"]
        doubled = translate.wrapped(lambda n: n * 2)(column)
        assert doubled.index.name is ROWS
        counted = translate.wrapped(lambda n: n.value_counts())(column)
        assert counted.index.name == "n"
        of_group = translate.wrapped(lambda rows: rows["n"])(translate.frame_of(message).iloc[1:])
        assert of_group.index.tolist() == [1]

    def test_frames_are_refused_where_only_columns_are_wanted(self, message):
        with pytest.raises(TypeError, match=r"^one column at a time$"):
            translate.wrapped(lambda value: value, columns=True)(translate.frame_of(message))


class TestResults:
    def test_frames_become_messages_also_in_tuples_and_lists(self, message):
        frame = translate.frame_of(message)
        assert translate.result(frame, where="Message.head") == message
        both = translate.result((frame, frame["n"]), where="Message.align")
        assert both[0] == message
        assert both[1].index.name is None
        assert translate.result([frame], where="Message.split") == [message]

    def test_series_and_indexes_lose_the_private_name(self, message):
        frame = translate.frame_of(message)
        assert translate.result(frame["n"], where="").index.name is None
        assert translate.result(frame.index, where="").name is None

    def test_anything_else_is_returned_as_it_is(self):
        for value in (5, "x", (1, 2), [3], None, np.array([1])):
            assert translate.result(value, where="") is value

    def test_tensors_of_one_shape_are_stacked(self):
        cells = pd.Series([Cell(torch.zeros(2)), Cell(torch.ones(2))], name="v")
        assert translate.stacked(cells).array.tensor.tolist() == [[0.0, 0.0], [1.0, 1.0]]
        assert translate.stacked(pd.Series([torch.zeros(2), torch.ones(2)])).array.tensor.shape == (2, 2)
        frame = pd.DataFrame({"v": cells, "n": [1, 2]})
        assert translate.result(frame, where="", of_functions=True)["v"].shape == (2, 2)
        assert isinstance(frame["v"].iloc[0], Cell)

    @pytest.mark.parametrize("other", [torch.zeros(3), torch.zeros(2, dtype=torch.int64), None, 1.5])
    def test_others_are_objects(self, other):
        found = translate.stacked(
            pd.Series([Cell(torch.zeros(2)), Cell(other) if isinstance(other, torch.Tensor) else other])
        )
        assert found.dtype == object
        assert found.iloc[0].tolist() == [0.0, 0.0]
        assert found.iloc[1] is other

    def test_objects_without_tensors_stay_as_they_are(self):
        for series in (pd.Series([(1, 2), None]), pd.Series([1, 2])):
            assert translate.stacked(series) is series

    def test_a_message_without_columns_has_no_rows(self):
        assert len(translate.result(pd.DataFrame(index=range(3)), where="Message.select")) == 0
