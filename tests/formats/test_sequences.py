"""Objects with a length, datasets, and functions that return rows, as sources."""

import pytest
import torch
from torch.utils.data import Dataset

import fireworks as fw
from fireworks.errors import SchemaMismatchError
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
