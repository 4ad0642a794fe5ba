import copy
import pickle
from collections import OrderedDict, UserDict

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnLengthError, ColumnNotFoundError, ColumnTypeError, RowIndexError
from message.strategies import messages


@pytest.fixture
def message():
    return fw.Message(
        {
            "x": torch.arange(6.0).reshape(3, 2),
            "n": [1, 2, 3],
            "name": ["ann", "bob", "cid"],
        }
    )


class TestConstruction:
    def test_nothing_makes_an_empty_message(self):
        for empty in (fw.Message(), fw.Message({}), fw.Message(None), fw.Message(pd.DataFrame())):
            assert (len(empty), empty.columns) == (0, [])

    @pytest.mark.parametrize("mapping", [dict, OrderedDict, UserDict])
    def test_columns_keep_the_order_of_the_mapping(self, mapping):
        names = ["z", "a", "m", "B", "b"]
        message = fw.Message(mapping({name: [0] for name in names}))
        assert message.columns == message.keys() == message.schema.names == list(message.to_pandas()) == names

    def test_a_message_of_a_message_is_equal_and_its_own(self, message):
        other = fw.Message(message)
        assert other == message
        assert other["x"] is message["x"]
        other["new"] = [0, 0, 0]
        del other["n"]
        assert message.columns == ["x", "n", "name"]

    def test_the_mapping_that_was_passed_stays_the_callers(self):
        columns = {"x": torch.zeros(2)}
        message = fw.Message(columns)
        message["y"] = [1, 2]
        columns["z"] = [1, 2]
        assert (message.columns, list(columns)) == (["x", "y"], ["x", "z"])

    def test_a_message_of_tensors_without_rows_has_no_rows(self):
        message = fw.Message({"x": torch.zeros(0, 3), "n": []})
        assert len(message) == 0
        assert message["x"].shape == (0, 3)

    def test_unequal_columns_are_an_error_that_names_both_and_their_lengths(self):
        with pytest.raises(
            ColumnLengthError,
            match=r"^Message: columns must have equal length; 'x' has 2 rows, 'late' has 3\.$",
        ):
            fw.Message({"x": [1, 2], "y": torch.zeros(2, 9), "late": torch.zeros(3)})

    @pytest.mark.parametrize("data", ["x", 5, {1}, torch.zeros(2), np.zeros((2, 2))])
    def test_data_that_has_no_names_is_refused(self, data):
        with pytest.raises(TypeError, match=rf"^Message: expected a mapping .* got {type(data).__name__}\."):
            fw.Message(data)

    def test_one_column_without_a_name_is_refused_with_what_to_write(self):
        with pytest.raises(TypeError, match=r"got Tensor\. One column needs a name: fw\.Message\(\{'x': …\}\)\.$"):
            fw.Message(torch.zeros(2))

    def test_a_schema_alone_makes_a_message_of_no_rows(self):
        schema = fw.Schema({"x": (torch.float16, 2, 3), "n": "int8", "day": "datetime64[s, UTC]", "c": "Int64"})
        message = fw.Message(schema=schema)
        assert (len(message), message.schema, message["x"].shape) == (0, schema, (0, 2, 3))
        assert fw.Message(schema={"x": torch.int64}) == fw.Message({"x": torch.zeros(0, dtype=torch.int64)})
        assert fw.Message(schema={}) == fw.Message()
        assert fw.Message([], schema=schema) == message  # no rows, as a query may find none

    def test_no_rows_of_any_message_are_what_its_schema_makes(self, message):
        assert fw.Message(schema=message.schema) == message[:0]

    def test_from_objects_makes_one_row_whatever_the_length_of_the_values(self):
        values = {
            "a": torch.randn(5),
            "r": "howdy",
            "l": [1, 2],
            "n": np.arange(3),
            "d": {"k": 1},
            "f": 1.5,
            "s": torch.tensor(3),
        }
        row = fw.Message.from_objects(values)
        assert (len(row), row.columns, row["a"].shape, row["s"].tolist()) == (1, list(values), (1, 5), [3])
        assert row["a"].data_ptr() == values["a"].data_ptr()
        assert [row[name][0] for name in "rldf"] == ["howdy", [1, 2], {"k": 1}, 1.5]
        assert row["n"][0] is values["n"]
        assert len(fw.Message.from_objects({})) == 0

    @pytest.mark.parametrize("name", [0, None, ("a", "b"), b"x", 1.5])
    def test_a_name_that_is_not_text_is_refused(self, name, message):
        expected = rf"^Message: column names are text; got .* of type {type(name).__name__}\.$"
        for make in (lambda: fw.Message({name: [1]}), lambda: fw.Message.from_objects({name: 1})):
            with pytest.raises(ColumnTypeError, match=expected):
                make()

    @pytest.mark.parametrize("key", [0, slice(1, 2), [0, 1], ["x", "n"]])
    def test_rows_are_not_assigned_or_deleted_in_place(self, key, message):
        before = copy.deepcopy(message)
        with pytest.raises(
            ColumnTypeError, match=r"^Message: assignment sets a column by its name; got .* don't change"
        ):
            message[key] = [1, 2, 3]
        with pytest.raises(ColumnTypeError, match=r"^Message: `del` takes a column's name; got .* keep the others"):
            del message[key]
        assert message == before


class TestReading:
    def test_a_tensor_column_is_the_tensor_itself(self):
        tensor = torch.arange(6.0, requires_grad=True).reshape(3, 2)
        assert fw.Message({"x": tensor})["x"] is tensor

    def test_another_column_is_a_series_with_its_name(self, message):
        pd.testing.assert_series_equal(message["n"], pd.Series([1, 2, 3], name="n"))
        pd.testing.assert_series_equal(message["name"], pd.Series(["ann", "bob", "cid"], name="name"))

    def test_a_column_of_objects_that_are_texts_stays_a_column_of_objects(self):
        message = fw.Message({"o": pd.Series(["a", "b"], dtype=object)})
        assert message["o"].dtype == message.to_pandas()["o"].dtype == object

    def test_raw_gives_the_column_as_it_is_stored(self, message):
        assert isinstance(message.raw("n"), np.ndarray)
        assert isinstance(message.raw("name"), pd.api.extensions.ExtensionArray)
        assert message.raw("x") is message["x"]

    def test_a_missing_column_is_a_key_error_that_suggests_the_nearest_name(self, message):
        for ask in (
            lambda: message["names"],
            lambda: message.raw("names"),
            lambda: message[["x", "names"]],
            lambda: message.select("names"),
            lambda: message.drop("names"),
        ):
            with pytest.raises(KeyError) as caught:
                ask()
            assert str(caught.value) == (
                "Message: no column 'names'; columns are ['x', 'n', 'name']. Did you mean 'name'?"
            )

    def test_in_asks_for_columns_and_only_texts_can_be_in(self, message):
        assert "x" in message
        assert "y" not in message
        assert not any(key in message for key in (0, None, ("x",), ["x"]))

    def test_columns_are_not_attributes(self, message):
        with pytest.raises(AttributeError):
            message.name  # noqa: B018
        with pytest.raises(AttributeError):
            message.new = [1, 2, 3]

    def test_it_unpacks_as_a_mapping(self, message):
        assert list(dict(message)) == list({**message}) == ["x", "n", "name"]
        assert dict(message)["x"] is message["x"]

    def test_to_dict_gives_plain_python_values(self, message):
        assert message.to_dict() == {
            "x": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
            "n": [1, 2, 3],
            "name": ["ann", "bob", "cid"],
        }
        assert type(message.to_dict()["n"][0]) is int
        assert fw.Message({"g": torch.ones(1, dtype=torch.bfloat16, requires_grad=True)}).to_dict() == {"g": [1.0]}

    def test_num_bytes_counts_what_the_columns_hold(self):
        message = fw.Message({"x": torch.zeros(10, 3), "n": np.zeros(10, np.int16), "b": torch.zeros(10, dtype=bool)})
        assert message.num_bytes == 10 * (3 * 4 + 2 + 1)


class TestIteration:
    def test_rows_are_messages_with_a_leading_dimension_of_one(self, message):
        rows = list(message)
        assert [type(row) for row in rows] == [fw.Message] * 3
        assert [row["x"].shape for row in rows] == [(1, 2)] * 3
        assert fw.concat(rows) == message

    def test_nested_loops_do_not_disturb_each_other(self, message):
        pairs = [(int(a["n"].iloc[0]), int(b["n"].iloc[0])) for a in message for b in message]
        assert pairs == [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)]

    def test_an_iterator_stays_at_its_end(self, message):
        rows = iter(message)
        assert len(list(rows)) == 3
        assert list(rows) == []

    def test_reversed_goes_from_the_last_row(self, message):
        assert [int(row["n"].iloc[0]) for row in reversed(message)] == [3, 2, 1]


class TestAssignment:
    def test_a_column_is_added_last_or_replaced_in_place(self, message):
        message["y"] = torch.zeros(3)
        message["x"] = ["now", "a", "list"]
        assert message.columns == ["x", "n", "name", "y"]
        assert message["x"].tolist() == ["now", "a", "list"]

    def test_a_column_may_change_between_tensor_and_array(self, message):
        message["n"] = torch.tensor([1, 2, 3])
        assert message.schema["n"].is_tensor
        message["n"] = [1, 2, 3]
        assert not message.schema["n"].is_tensor

    def test_messages_that_share_columns_are_not_changed(self, message):
        shares = [
            fw.Message(message),
            message[:],
            message[:2],
            message.select("x", "n", "name"),
            message.drop("name"),
            message.assign(z=[1, 2, 3]),
            message.append({"x": torch.zeros(0, 2), "n": np.zeros(0, int), "name": pd.array([], dtype="str")}),
            fw.concat([message]),
            fw.Message().append(message),
            copy.copy(message),
            copy.deepcopy(message),
            pickle.loads(pickle.dumps(message)),
        ]
        before = [other.columns for other in shares]
        message["added"] = [0, 0, 0]
        message["x"] = [7, 8, 9]
        del message["n"]
        assert [other.columns for other in shares] == before
        assert all(other["x"].shape[1:] == (2,) for other in shares)

    def test_a_change_to_what_shares_columns_does_not_come_back(self, message):
        before = copy.deepcopy(message)
        for other in (copy.copy(message), fw.concat([message]), fw.Message().append(message), message.select("x", "n")):
            other["added"] = [0, 0, 0]
            del other["x"]
        assert message == before

    def test_the_first_column_of_an_empty_message_decides_its_length(self):
        message = fw.Message()
        message["x"] = torch.zeros(4, 2)
        assert len(message) == 4
        with pytest.raises(ColumnLengthError):
            message["y"] = [1]

    def test_a_column_of_another_length_is_refused_and_nothing_changes(self, message):
        before = copy.deepcopy(message)
        with pytest.raises(ColumnLengthError, match=r"^Message: column 'y' has 2 rows, the message has 3\.$"):
            message["y"] = [1, 2]
        with pytest.raises(ColumnLengthError):
            message["x"] = torch.zeros(4)
        with pytest.raises(ColumnTypeError):
            message["x"] = 5
        assert message == before

    def test_without_its_last_column_a_message_has_no_rows(self, message):
        for name in message.columns:
            del message[name]
        assert (len(message), message.columns) == (0, [])
        assert message == fw.Message()
        message["y"] = [1]
        assert len(message) == 1

    def test_deleting_a_missing_column_is_a_key_error(self, message):
        with pytest.raises(ColumnNotFoundError, match=r"no column 'xx'.* Did you mean 'x'\?$"):
            del message["xx"]

    def test_a_change_is_seen_by_the_next_frame(self, message):
        message.to_pandas()
        message["y"] = [1, 2, 3]
        assert list(message.to_pandas()) == ["x", "n", "name", "y"]
        del message["n"]
        assert list(message.to_pandas()) == ["x", "name", "y"]


class TestSelecting:
    def test_pop_takes_a_column_out(self, message):
        column = message["x"]
        assert message.pop("x") is column
        assert message.columns == ["n", "name"]
        with pytest.raises(ColumnNotFoundError):
            message.pop("x")

    def test_items_are_what_brackets_give(self, message):
        items = dict(message.items())
        assert list(items) == message.columns
        assert items["x"] is message["x"]
        pd.testing.assert_series_equal(items["n"], message["n"])

    def test_rename_keeps_order_and_memory(self, message):
        renamed = message.rename({"n": "x", "x": "n"})
        assert renamed.columns == ["n", "x", "name"]
        assert renamed["n"] is message["x"]
        assert message.rename(str.upper).columns == ["X", "N", "NAME"]
        assert message.columns == ["x", "n", "name"]

    def test_rename_refuses_what_would_lose_a_column(self, message):
        with pytest.raises(ColumnTypeError, match=r"^Message: after renaming, two columns would be called 'n'\.$"):
            message.rename({"x": "n"})
        with pytest.raises(ColumnNotFoundError):
            message.rename({"y": "z"})
        with pytest.raises(ColumnTypeError, match=r"column names are text; got 1 of type int"):
            message.rename({"x": 1})

    def test_drop_takes_names_as_pandas_does_too(self, message):
        assert message.drop(columns="x") == message.drop("x") == message.drop(columns=["x"])

    def test_pipe_reads_from_left_to_right(self, message):
        assert message.pipe(lambda m, rows, *, last: m[rows : len(m) - last], 1, last=1) == message[1:2]

    def test_a_function_in_assign_sees_the_columns_before_it(self, message):
        result = message.assign(y=lambda m: m["x"].sum(dim=1), z=lambda m: m["y"] * 2)
        assert result["z"].tolist() == [2.0, 10.0, 18.0]

    def test_select_takes_the_named_columns_in_the_order_given(self, message):
        assert message.select("name", "x").columns == ["name", "x"]
        assert message.select("x")["x"] is message["x"]
        assert len(message.select("name")) == 3

    def test_drop_keeps_the_others_in_order(self, message):
        assert message.drop("n").columns == ["x", "name"]
        assert message.drop() == message

    def test_a_message_without_columns_has_no_rows(self, message):
        for nothing in (message.select(), message.drop("x", "n", "name")):
            assert (len(nothing), nothing.columns, nothing == fw.Message()) == (0, [], True)

    def test_assign_adds_and_replaces_in_a_new_message(self, message):
        result = message.assign(y=torch.zeros(3), n=["a", "b", "c"], self=[1, 2, 3])
        assert result.columns == ["x", "n", "name", "y", "self"]
        assert message.columns == ["x", "n", "name"]
        assert message["n"].tolist() == [1, 2, 3]
        assert result["x"] is message["x"]

    def test_assign_refuses_another_length(self, message):
        with pytest.raises(ColumnLengthError, match=r"column 'y' has 1 rows, the message has 3"):
            message.assign(y=[1])


class TestRowsByATensor:
    @pytest.mark.parametrize("device", ["cpu", "meta"])
    def test_positions_are_checked_on_every_device(self, device):
        message = fw.Message({"x": torch.zeros(3, 2, device=device), "y": torch.zeros(3, device=device)})
        assert len(message[torch.tensor([-1, 0, 2, 2])]) == 4
        for past in (3, -4):
            with pytest.raises(RowIndexError, match=rf"^Message: row {past} is past the end; there are 3 rows\.$"):
                message[torch.tensor([0, past])]

    def test_every_kind_of_column_counts_negative_ones_from_the_end(self):
        columns = {"x": torch.arange(5), "v": torch.arange(10).reshape(5, 2), "n": np.arange(5), "t": list("abcde")}
        for name, column in columns.items():
            message = fw.Message({name: column})
            assert message[torch.tensor([-1, 2, -5])] == message[[4, 2, 0]]
        assert fw.Message(columns)[torch.tensor([-1, 2, -5])] == fw.Message(columns)[[4, 2, 0]]

    def test_without_columns_there_is_no_row(self):
        with pytest.raises(RowIndexError, match="there are 0 rows"):
            fw.Message()[torch.tensor([0])]


class TestPermuting:
    def test_rows_come_in_the_order_given(self, message):
        assert message.permute([2, 0, 1]) == message.permute(torch.tensor([-1, 0, 1])) == message.take([2, 0, 1])
        assert fw.Message().permute([]) == fw.Message()

    @pytest.mark.parametrize(
        ("order", "text"), [([0, 1], "row 2 is there 0 times"), ([0, 0, 1], "row 0 is there 2 times"), ([], "row 0 is")]
    )
    def test_a_row_missing_or_twice_is_an_error(self, message, order, text):
        with pytest.raises(RowIndexError, match=rf"^Message\.permute: an order has each of the 3 rows once; {text}"):
            message.permute(order)


class TestAppend:
    def test_rows_of_this_message_come_first(self, message):
        both = message.append(message[1:])
        assert both["n"].tolist() == [1, 2, 3, 2, 3]
        assert both["x"][:, 0].tolist() == [0.0, 2.0, 4.0, 2.0, 4.0]
        assert len(message) == 3

    def test_a_mapping_or_a_frame_can_be_appended(self, message):
        for other in (dict(message), message.to_pandas()):
            assert message.append(other) == fw.concat([message, message])

    def test_an_empty_message_is_neutral(self, message):
        assert fw.Message().append(message) == message.append(fw.Message()) == message


class TestEquality:
    @settings(deadline=None, max_examples=60)
    @given(messages())
    def test_a_message_equals_its_deep_copy(self, message):
        assert message == copy.deepcopy(message)
        assert (message != copy.deepcopy(message)) is False
        assert message.equals(message)

    @settings(deadline=None, max_examples=60)
    @given(messages(min_rows=1), st.data())
    def test_another_order_of_columns_is_another_message(self, message, data):
        names = data.draw(st.permutations(message.columns))
        assert (message.select(*names) == message) == (names == message.columns)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (torch.tensor([1.0]), torch.tensor([2.0])),
            (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64)),
            (torch.tensor([1]), torch.tensor([1], dtype=torch.int32)),
            (torch.tensor([1]), torch.tensor([True])),
            (torch.tensor([1.0]), torch.tensor([[1.0]])),
            (torch.tensor([1.0]), np.array([1.0], np.float32)),
            (torch.tensor([float("nan")]), torch.tensor([0.0])),
            (torch.tensor([1 + 2j]), torch.tensor([1 + 3j])),
            (np.array([1]), np.array([1.0])),
            (np.array([1], np.int32), np.array([1])),
            (np.array([1.0]), pd.array([1.0], dtype="Float64")),
            (["1"], [1]),
            (["a"], pd.Categorical(["a"])),
            (["a"], pd.Series(["a"], dtype=object)),
            (["a", None], ["a", "None"]),
            (pd.array([None], dtype="Int64"), pd.array([0], dtype="Int64")),
            (pd.Categorical(["a"], categories=["a"]), pd.Categorical(["a"], categories=["a", "b"])),
            (pd.DatetimeIndex(["2020"], tz="UTC"), pd.DatetimeIndex(["2020"], tz="Asia/Tokyo")),
            (np.array(["2020"], "M8[s]"), np.array(["2020"], "M8[ns]")),
        ],
    )
    def test_another_type_or_value_is_another_message(self, one, other):
        assert fw.Message({"x": one}) != fw.Message({"x": other})
        assert fw.Message({"x": other}) != fw.Message({"x": one})

    @pytest.mark.parametrize(
        "column",
        [
            torch.tensor([1.0, float("nan")]),
            torch.tensor([[float("nan"), 1.0]], dtype=torch.bfloat16),
            torch.tensor([complex(float("nan"), 1)]),
            torch.tensor([0.5, float("nan")]).to(torch.float8_e4m3fn),
            np.array([1.0, np.nan]),
            ["a", None],
            [{"k": 1}, None],
            [np.zeros(2), np.ones(3)],
            [torch.zeros(2), torch.tensor([float("nan")]), None],
            pd.array([1, None], dtype="Int64"),
            pd.Categorical(["a", None]),
            np.array(["NaT", "2020"], "M8[s]"),
        ],
    )
    def test_missing_equals_missing(self, column):
        assert fw.Message({"x": column}) == fw.Message({"x": copy.deepcopy(column)})

    def test_tensors_among_objects_are_compared_by_value(self):
        def ragged(*values):
            return fw.Message({"x": [torch.tensor(values), None]})

        assert ragged(1.0, 2.0) == ragged(1.0, 2.0)
        assert ragged(1.0, 2.0) != ragged(1.0, 3.0)
        assert ragged(1.0, 2.0) != fw.Message({"x": [None, None]})
        assert ragged(1.0) != fw.Message({"x": [1.0, None]}).assign(x=pd.Series([1.0, None], dtype=object))

    def test_other_numbers_of_rows_or_columns_are_unequal(self, message):
        assert message != message[:2]
        assert message != message.drop("x")
        assert fw.Message({"x": []}) != fw.Message()

    @pytest.mark.parametrize("other", [5, None, "x", {"x": [1]}])
    def test_nothing_but_a_message_is_equal(self, other):
        message = fw.Message({"x": [1]})
        assert (message == other) is False
        assert (message != other) is True
        assert message.equals(other) is False

    def test_it_has_no_hash(self, message):
        with pytest.raises(TypeError, match="unhashable type: 'Message'"):
            hash(message)


class TestCopying:
    @settings(deadline=None, max_examples=60)
    @given(messages())
    def test_pickling_gives_an_equal_message(self, message):
        # torch can't read back its 16-bit unsigned integers from a pickle
        kept = [name for name in message.columns if message.schema[name].dtype != "uint16"]
        message = message.select(*kept)
        assert pickle.loads(pickle.dumps(message)) == message

    def test_pickling_keeps_whether_gradients_are_wanted(self):
        leaf = torch.ones(3, 2, requires_grad=True)
        message = fw.Message({"leaf": leaf, "made": leaf * 2, "plain": torch.ones(3)})
        again = pickle.loads(pickle.dumps(message))
        assert [again[name].requires_grad for name in again.columns] == [True, True, False]

    def test_a_pickled_slice_holds_its_own_rows_only(self):
        num_rows = 100_000
        message = fw.Message(
            {"x": torch.zeros(num_rows), "g": torch.zeros(num_rows, requires_grad=True), "n": np.zeros(num_rows)}
        )
        part = pickle.dumps(message[5:7])
        assert len(part) < 3_000
        assert pickle.loads(part) == message[5:7]

    def test_a_shallow_copy_shares_the_columns_and_nothing_else(self, message):
        other = copy.copy(message)
        assert other["x"] is message["x"]
        other["z"] = [1, 2, 3]
        assert "z" not in message

    def test_a_deep_copy_shares_no_memory(self, message):
        other = copy.deepcopy(message)
        other["x"].zero_()
        other.raw("n")[:] = 0
        assert message["x"].sum() == 15
        assert message["n"].sum() == 6


class TestNoAttributes:
    def test_columns_are_not_attributes(self):
        with pytest.raises(
            AttributeError, match=r"no attribute 'x'\. Columns are not attributes; write message\['x'\]"
        ):
            fw.Message({"x": [1]}).x  # noqa: B018
        with pytest.raises(AttributeError, match=r"'Message' object has no attribute 'y'\.$"):
            fw.Message({"x": [1]}).y  # noqa: B018

    def test_a_frame_is_no_message(self):
        message = fw.Message({"x": torch.arange(2), "s": ["a", "b"]})
        assert (message == message.to_pandas()) is False
