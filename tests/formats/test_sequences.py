"""Objects with a length, datasets, and functions that return rows, as sources."""

import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

import fireworks as fw
from fireworks.errors import (
    ColumnTypeError,
    FireworksError,
    NoRandomAccessError,
    QuarantineWarning,
    SchemaMismatchError,
)
from fireworks.formats.items import Items
from pipelines import counting, numbers


class Digits(Dataset):
    """A torch dataset of dicts that counts how often it is asked."""

    def __init__(self, num_rows):
        self.num_rows, self.asked = num_rows, []

    def __len__(self):
        return self.num_rows

    def __getitem__(self, row):
        self.asked.append(row)
        return {"image": torch.full((2, 2), float(row)), "n": row}


class Pair(NamedTuple):
    a: int
    b: str


class Many(Dataset):
    """A torch dataset that is asked for many items at once, and counts the calls."""

    def __init__(self, num_rows=23):
        self.num_rows, self.calls = num_rows, []

    def __len__(self):
        return self.num_rows

    def __getitem__(self, row):
        raise AssertionError("asked for one")

    def __getitems__(self, rows):
        self.calls.append(rows)
        return [(torch.tensor([row, row]), row) for row in rows]


class Counting(IterableDataset):
    def __iter__(self):
        return ((np.array([n, -n]), n) for n in range(23))


class Spotty(Dataset):
    """Items of which some raise, and some are no rows."""

    def __len__(self):
        return 23

    def __getitem__(self, row):
        if row in {0, 7}:
            raise ZeroDivisionError(f"no item {row}")
        return {3: 5, 11: {"m": 1}, 12: {"n": torch.zeros(2)}}.get(row, {"n": row})


class SpottyRows:
    def __call__(self):
        return ({0: None, 3: 5, 11: {"m": 1}, 12: {"n": torch.zeros(2)}}.get(row, {"n": row}) for row in range(23))


class TestSequenceSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "many", "batched", "shuffled", "quarantine"])
    def make_pipe(self, request):
        if request.param == "quarantine":
            return lambda: fw.source([{"n": n} for n in range(9)], on_error="quarantine")
        if request.param == "many":
            return lambda: fw.source(Many(), columns=["x", "n"])

        def make():
            data = fw.source([(np.array([n, -n]), n) for n in range(23)], columns=["x", "n"])
            if request.param == "batched":
                return data.batch(4)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


class TestIterableSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "torch", "batched"])
    def make_pipe(self, request):
        if request.param == "torch":
            return lambda: fw.source(Counting(), columns=["x", "n"])
        return lambda: counting() if request.param == "rows" else counting().batch(4)


class TestTuples:
    def test_parts_are_columns_by_their_place_or_by_name(self):
        items = [(torch.zeros(2), 1), (torch.ones(2), 2)]
        assert fw.source(items).to_message().to_dict() == {"0": [[0.0, 0.0], [1.0, 1.0]], "1": [1, 2]}
        assert fw.source(items, columns=["x", "label"]).known_columns == ["x", "label"]
        assert fw.source(TensorDataset(torch.arange(4.0), torch.arange(4)))[[3, 1]].to_dict() == {
            "0": [3.0, 1.0],
            "1": [3, 1],
        }
        assert fw.source(lambda: iter(items), columns=("x", "label")).to_message()["label"].tolist() == [1, 2]

    def test_named_parts_keep_their_names(self):
        assert fw.source([Pair(1, "x"), Pair(2, "y")]).to_message().to_dict() == {"a": [1, 2], "b": ["x", "y"]}

    def test_arrays_become_tensors(self):
        array = np.arange(3)
        array.flags.writeable = False
        pipe = fw.source([(array, 0)] * 2)
        assert pipe.to_message()["0"].tolist() == [[0, 1, 2]] * 2

    def test_single_values_take_one_name(self):
        assert fw.source([torch.zeros(2), torch.ones(2)], columns="x").to_message()["x"].shape == (2, 2)
        assert fw.source([np.zeros(2)] * 3, columns="x").to_message()["x"].shape == (3, 2)
        assert fw.source(["a", "b"], columns="word")[1].to_dict() == {"word": ["b"]}
        assert fw.source(range(5), columns="n")[[4, 0]].to_dict() == {"n": [4, 0]}
        assert fw.source(lambda: "abc", columns="letter").to_message()["letter"].tolist() == ["a", "b", "c"]

    def test_as_many_names_as_parts(self):
        with pytest.raises(
            SchemaMismatchError, match=r"source: columns names 3 parts, \['a', 'b', 'c'\], and an item has 2"
        ):
            fw.source([(1, 2)], columns=["a", "b", "c"])
        with pytest.raises(SchemaMismatchError, match=r"\['0', '1'\] came first, then \['0'\], 1 rows later"):
            fw.source([(1, 2), (3,)]).to_message()

    def test_names_that_make_no_sense(self):
        with pytest.raises(
            ValueError, match=r"source: columns must be different names, at least one; got \['a', 'a'\]"
        ):
            fw.source([(1, 2)], columns=["a", "a"])
        with pytest.raises(ValueError, match="at least one; got \\[\\]"):
            fw.source([(1, 2)], columns=[])
        with pytest.raises(TypeError, match="source: columns is a name or a list of names; got 5"):
            fw.source([(1, 2)], columns=5)
        with pytest.raises(ColumnTypeError, match="column names are text"):
            fw.source([(1, 2)], columns=[1, 2])
        with pytest.raises(ValueError, match="source: on_error must be 'raise' or 'quarantine'; got 'skip'"):
            fw.source([(1, 2)], on_error="skip")


class TestManyAtOnce:
    def test_one_call_per_fetch(self):
        items = Many()
        pipe = fw.source(items, columns=["x", "n"])
        items.calls.clear()
        assert pipe[[20, 3, 3]].to_dict() == {"x": [[20, 20], [3, 3], [3, 3]], "n": [20, 3, 3]}
        assert items.calls == [[20, 3, 3]]
        assert numbers(pipe) == list(range(23))

    def test_another_number_of_items_is_an_error(self):
        items = Many()
        pipe = fw.source(items)
        items.__class__ = type("Fewer", (Many,), {"__getitems__": lambda self, rows: [(1, 2)]})
        with pytest.raises(ValueError, match="__getitems__ was asked for 2 items and returned 1"):
            pipe[[1, 2]]

    def test_a_pipe_as_a_dataset_gives_messages(self):
        dataset = fw.source({"n": list(range(5))}).as_dataset()
        assert fw.source(dataset)[[4, 1]].to_dict() == {"n": [4, 1]}


class TestErrorsInItems:
    def test_the_item_is_named(self):
        class Fails(Digits):
            def __getitem__(self, row):
                if row == 5:
                    raise ZeroDivisionError("five")
                return super().__getitem__(row)

        with pytest.raises(ZeroDivisionError, match="five") as caught:
            fw.source(Fails(9)).to_message()
        assert "Item 5 of Sequence(Fails of 9 rows) raised it." in caught.value.__notes__

    @pytest.mark.parametrize("make", [Spotty, SpottyRows])
    def test_bad_items_are_set_aside_with_their_rows_and_reasons(self, make):
        bad = {Spotty: [0, 3, 7, 11, 12], SpottyRows: [0, 3, 11, 12]}[make]
        pipe = fw.source(make(), on_error="quarantine")
        with pytest.warns(QuarantineWarning, match=rf"{len(bad)} rows were set aside by"):
            assert numbers(pipe.batch(4)) == [n for n in range(23) if n not in bad]
        with pytest.warns(QuarantineWarning):
            list(pipe)
        aside = pipe.quarantined()
        assert aside["row"].tolist() == bad
        reasons = dict(zip(aside["row"].tolist(), aside["reason"].tolist(), strict=True))
        assert reasons[3].startswith("TypeError: source: each item must be a mapping of one row's values")
        assert reasons[11].startswith("SchemaMismatchError: source: rows must have the same columns; ['n'] came first")
        assert reasons[12].startswith("ColumnTypeError: source: column 'n' is 1 of type int in the first row")
        assert aside["item"].tolist()[1] == "5" or make is Spotty
        with pytest.raises(NoRandomAccessError):
            pipe[0]

    def test_which_items_are_bad_does_not_depend_on_where_a_pass_begins(self):
        for make in (Spotty, SpottyRows):
            with warnings.catch_warnings(action="ignore"):
                whole = list(fw.source(make(), on_error="quarantine"))
                for stop in range(len(whole)):
                    iterator = iter(fw.source(make(), on_error="quarantine"))
                    for _ in range(stop):
                        next(iterator)
                    again = iter(fw.source(make(), on_error="quarantine"))
                    again.load_state_dict(iterator.state_dict())
                    assert list(again) == whole[stop:]

    def test_nothing_but_bad_items(self):
        pipe = fw.source([1, 2], on_error="quarantine")
        assert pipe.schema.names == []
        with pytest.warns(QuarantineWarning, match="2 rows"):
            assert list(pipe) == []

    def test_messages_between_rows(self):
        items = [{"n": 0}, fw.Message({"n": [1, 2]}), {"n": 3}, 4]
        pipe = fw.source(lambda: items, on_error="quarantine")
        with pytest.warns(QuarantineWarning, match=r"rows \[4\] of the source"):
            assert numbers(pipe) == [0, 1, 2, 3]
        pipe = fw.source(items, on_error="quarantine")
        with pytest.warns(QuarantineWarning, match="2 rows were set aside"):
            assert numbers(pipe) == [0, 3]
        assert "an item that is a message can't be set aside row by row" in pipe.quarantined()["reason"][0]

    def test_an_item_that_can_not_even_be_shown(self):
        class Silent:
            def __repr__(self):
                raise RuntimeError("no")

        pipe = fw.source(lambda: [{"n": 1}, Silent()], on_error="quarantine")
        with pytest.raises(TypeError, match="got Silent, whose repr raises RuntimeError of type Silent"):
            fw.source(lambda: [Silent()]).to_message()
        with pytest.warns(QuarantineWarning):
            list(pipe)
        assert pipe.quarantined()["item"][0] == "Silent, whose repr raises RuntimeError"


def test_a_torch_iterable_dataset_is_a_stream_that_begins_anew():
    pipe = fw.source(Counting(), columns=["x", "n"])
    assert numbers(pipe) == numbers(pipe) == list(range(23))
    assert repr(pipe) == "Iterable(Counting)"


class TestSequences:
    def test_a_list_of_dicts(self):
        pipe = fw.source([{"n": n, "word": str(n)} for n in range(5)])
        assert pipe[[4, 1]].to_dict() == {"n": [4, 1], "word": ["4", "1"]}
        assert repr(pipe) == "Sequence(list of 5 rows)"

    def test_tensors_are_stacked(self):
        pipe = fw.source(Digits(3))
        assert pipe.to_message()["image"].shape == (3, 2, 2)
        assert pipe.known_columns == ["image", "n"]

    def test_only_the_items_asked_for_are_read(self):
        digits = Digits(1000)
        pipe = fw.source(digits)
        digits.asked.clear()
        pipe[[7, 900]]
        assert digits.asked == [7, 900]

    def test_items_may_be_messages_of_one_row(self):
        assert numbers(fw.source([fw.Message({"n": [n]}) for n in range(3)])) == [0, 1, 2]

    def test_items_that_are_messages_of_several_rows_are_an_error(self):
        with pytest.raises(ValueError, match=r"Sequence\(list of 2 rows\): fetch was asked for 2 rows and returned 4"):
            fw.source([fw.Message({"n": [1, 2]})] * 2).to_message()

    def test_no_items_are_no_rows(self):
        assert list(fw.source([])) == []
        assert fw.source([]).known_columns == []

    @pytest.mark.parametrize("items", [[1, 2, 3], ["a", "b"]])
    def test_items_that_are_no_mappings_are_an_error_at_once(self, items):
        with pytest.raises(
            TypeError, match=r"source: each item must be a mapping of one row's values, such as \{'x': 1"
        ):
            fw.source(items)

    def test_a_later_item_that_is_no_mapping_is_named(self):
        with pytest.raises(TypeError, match="got 5 of type int"):
            fw.source([{"n": 1}, 5]).to_message()

    @pytest.mark.parametrize("second", [{"n": 1, "m": 2}, {}, {"m": 1}])
    def test_rows_with_other_columns_are_an_error_and_lose_nothing_in_silence(self, second):
        with pytest.raises(
            SchemaMismatchError, match=r"rows must have the same columns; \['n'\] came first, then .* 1 r"
        ):
            fw.source([{"n": 0}, second]).to_message()

    def test_the_order_of_the_keys_is_that_of_the_first_row(self):
        assert Items(None, where="source").message([{"a": 1, "b": 2}, {"b": 4, "a": 3}]).to_dict() == {
            "a": [1, 3],
            "b": [2, 4],
        }


class TestStreams:
    def test_each_pass_begins_anew(self):
        pipe = counting(5)
        assert numbers(pipe) == numbers(pipe) == [0, 1, 2, 3, 4]

    def test_messages_and_rows_may_be_mixed(self):
        def mixed():
            yield {"n": 0}
            yield fw.Message({"n": [1, 2, 3]})
            yield {"n": 4}
            yield {"n": 5}

        assert numbers(fw.source(mixed).batch(4)) == [0, 1, 2, 3, 4, 5]

    def test_a_long_stream_of_rows_is_read_as_it_is_asked_for(self):
        read = []

        def rows():
            for n in range(10**9):
                read.append(n)
                yield {"n": n}

        assert fw.source(rows).take(3).to_message()["n"].tolist() == [0, 1, 2]
        assert len(read) <= 2 * 1024

    def test_its_columns_are_not_known_before_it_is_read(self):
        assert counting().known_columns is None
        assert counting().select("anything")

    def test_a_function_may_return_the_same_list_each_time(self):
        rows = [{"n": 1}, {"n": 2}]
        pipe = fw.source(lambda: rows)
        assert numbers(pipe) == numbers(pipe) == [1, 2]

    def test_a_function_that_returns_one_iterator_again_and_again_is_an_error(self):
        once = ({"n": n} for n in range(5))
        pipe = fw.source(lambda: once)
        assert numbers(pipe) == [0, 1, 2, 3, 4]
        with pytest.raises(TypeError, match=r"Iterable\(<lambda>\): the function returned the same generator twice"):
            list(pipe)

    def test_no_row_is_lost_to_a_look_at_the_schema(self):
        once = ({"n": n} for n in range(5))
        with pytest.raises(TypeError, match="make a new one in it"):
            list(fw.source(lambda: once).map(lambda rows: rows))

    def test_an_item_that_is_no_row_is_an_error(self):
        with pytest.raises(TypeError, match=r"source: each item must be a mapping .* got 0 of type int"):
            list(fw.source(lambda: range(3)))


class TestTypesOfAStream:
    """They are those of the first rows, wherever rows are cut."""

    def test_later_rows_are_brought_to_them(self):
        stream = fw.source(lambda: ({"x": 0.5 if n < 1 else n} for n in range(3000)))
        kinds = {str(batch.schema) for batch in stream.batch(100)}
        assert len(kinds) == 1
        assert [x for batch in stream.batch(700) for x in batch["x"].tolist()][-1] == 2999.0

    @pytest.mark.parametrize("value", [None, 2.5, "text"])
    def test_what_does_not_fit_is_an_error_that_says_so(self, value):
        stream = fw.source(lambda: ({"n": n if n != 1500 else value} for n in range(4000)))
        for size in (100, 128):
            with pytest.raises(FireworksError) as caught:
                list(stream.batch(size))
            assert any("has the types of its first rows; rows 1024 to 2047" in note for note in caught.value.__notes__)
