import pickle

import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message import TensorArray
from fireworks.message.arrays.tensor_index import TensorIndex

ROWS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [0.0, 9.0]])


@pytest.fixture
def index():
    return pd.Index(TensorArray(ROWS), name="v")


@pytest.fixture
def frame():
    return fw.Message({"v": ROWS, "n": [1, 2, 3, 4]}).to_pandas()


def rows(index):
    return index.array.tensor.tolist()


class TestLookingUp:
    def test_rows_of_more_than_one_element_are_found_by_their_values(self, index):
        assert type(index) is TensorIndex
        assert index.get_loc(torch.tensor([3.0, 4.0])) == 1
        assert index.get_loc(torch.tensor([1.0, 2.0])).tolist() == [True, False, True, False]
        assert torch.tensor([3.0, 4.0]) in index
        with pytest.raises(KeyError):
            index.get_loc(torch.tensor([4.0, 3.0]))

    def test_many_rows_are_found_at_once(self, index):
        unique = index.unique()
        assert rows(unique) == [[1.0, 2.0], [3.0, 4.0], [0.0, 9.0]]
        assert unique.get_indexer(unique[::-1]).tolist() == [2, 1, 0]
        assert unique.get_indexer(pd.Index(TensorArray(torch.tensor([[3.0, 4.0], [7.0, 7.0]])))).tolist() == [1, -1]
        assert index.isin(unique[:1]).tolist() == [True, False, True, False]

    def test_numbers_are_found_as_ever(self):
        index = pd.Index(TensorArray(torch.tensor([2.0, 1.0])))
        assert type(index) is pd.Index
        assert index.get_loc(1.0) == 1


class TestSets:
    def test_slices_and_selections_keep_name_and_kind(self, index):
        for part, expected in [
            (index[1:], ROWS[1:]),
            (index[[3, 0]], ROWS[[3, 0]]),
            (index[index.isin(index[:1])], ROWS[[0, 2]]),
        ]:
            assert type(part) is TensorIndex
            assert part.name == "v"
            assert rows(part) == expected.tolist()

    def test_sorting_and_set_operations_go_by_the_first_difference(self, index):
        ordered = index.unique().sort_values()
        assert rows(ordered) == [[0.0, 9.0], [1.0, 2.0], [3.0, 4.0]]
        assert ordered.is_monotonic_increasing
        assert not index.is_unique
        assert rows(ordered[1:].union(ordered[:2])) == rows(ordered)
        assert rows(ordered[1:].intersection(ordered[:2])) == [[1.0, 2.0]]
        assert rows(ordered.difference(ordered[1:2])) == [[0.0, 9.0], [3.0, 4.0]]
        assert rows(ordered.append(ordered[:1])) == [*rows(ordered), [0.0, 9.0]]

    def test_it_survives_pickle(self, index):
        assert pickle.loads(pickle.dumps(index)).equals(index)


class TestFrames:
    def test_rows_can_be_the_index_of_a_frame(self, frame):
        by_row = frame.set_index("v")
        assert rows(by_row.index) == ROWS.tolist()
        assert by_row.reset_index().equals(frame)
        unique = by_row[~by_row.index.duplicated()]
        assert unique.reindex(unique.index[::-1])["n"].tolist() == [4, 2, 1]
        joined = by_row.join(unique.rename(columns={"n": "m"}))
        assert sorted(zip(joined["n"], joined["m"], strict=True)) == [(1, 1), (2, 2), (3, 1), (4, 4)]
        assert (unique["n"] + unique["n"][::-1]).sort_index().tolist() == [8, 2, 4]

    def test_rows_can_be_categories(self, frame):
        column = frame["v"].astype("category")
        assert column.cat.codes.tolist() == [1, 2, 1, 0]
        assert rows(column.cat.categories) == [[0.0, 9.0], [1.0, 2.0], [3.0, 4.0]]
