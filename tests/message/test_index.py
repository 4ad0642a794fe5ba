import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import RowIndexError
from fireworks.message.index import as_rows


def numbered(num_rows):
    return fw.Message(
        {
            "n": torch.arange(num_rows),
            "wide": torch.arange(num_rows * 6).reshape(num_rows, 2, 3),
            "array": np.arange(num_rows),
            "text": pd.array([str(i) for i in range(num_rows)], dtype="str"),
            "nullable": pd.array(range(num_rows), dtype="Int64"),
        }
    )


def rows_of(message):
    """The row numbers, after a check that every column holds the same rows."""
    numbers = message["n"].tolist()
    assert len(message) == len(numbers)
    assert message["wide"].flatten(1).tolist() == [list(range(6 * n, 6 * n + 6)) for n in numbers]
    assert message["array"].tolist() == message["nullable"].tolist() == numbers
    assert message["text"].tolist() == [str(n) for n in numbers]
    return numbers


num_rows_and_positions = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.integers(-n, n - 1), max_size=15))
)
num_rows_and_mask = st.lists(st.booleans(), max_size=12)
AS_POSITIONS = {
    "list": list,
    "tuple": tuple,
    "numpy": lambda p: np.array(p, dtype=np.int64),
    "numpy int8": lambda p: np.array(p, dtype=np.int8),
    "torch": lambda p: torch.tensor(p, dtype=torch.int64),
    "torch int32": lambda p: torch.tensor(p, dtype=torch.int32),
    "series": lambda p: pd.Series(p, dtype="int64", index=range(9, 9 + len(p))),
    "nullable series": lambda p: pd.Series(p, dtype="Int64"),
    "arrow series": lambda p: pd.Series(p, dtype="int64[pyarrow]"),
    "extension array": lambda p: pd.array(p, dtype="Int64"),
    "index": lambda p: pd.Index(p, dtype="int64"),
    "numpy ints in a list": lambda p: [np.int16(i) for i in p],
}
AS_MASK = {
    "list": list,
    "numpy": lambda m: np.array(m, dtype=bool),
    "torch": lambda m: torch.tensor(m, dtype=torch.bool),
    "series": lambda m: pd.Series(m, dtype=bool),
    "nullable series": lambda m: pd.Series(m, dtype="boolean"),
    "arrow series": lambda m: pd.Series(m, dtype="bool[pyarrow]"),
    "extension array": lambda m: pd.array(m, dtype="boolean"),
    "index": lambda m: pd.Index(m, dtype=bool),
    "tensor series": lambda m: fw.Message({"m": torch.tensor(m, dtype=torch.bool)}).to_pandas()["m"],
}


class TestOneRow:
    @pytest.mark.parametrize(
        "kind", [int, np.int64, np.uint8, torch.tensor, np.array, lambda i: torch.tensor(i, dtype=torch.uint8)]
    )
    def test_every_kind_of_int_names_a_row(self, kind):
        assert rows_of(numbered(4)[kind(2)]) == [2]

    @settings(deadline=None, max_examples=25)
    @given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(-n, n - 1))))
    def test_negative_ints_count_from_the_end(self, case):
        num_rows, position = case
        assert rows_of(numbered(num_rows)[position]) == [list(range(num_rows))[position]]

    def test_a_row_keeps_its_leading_dimension(self):
        row = numbered(4)[1]
        assert (row["n"].shape, row["wide"].shape, len(row)) == ((1,), (1, 2, 3), 1)

    @pytest.mark.parametrize("position", [4, -5, 2**40, np.int64(4), torch.tensor(-5)])
    def test_an_int_past_the_end_is_an_index_error_with_the_length(self, position):
        with pytest.raises(RowIndexError, match=rf"^Message: row {int(position)} is past the end; there are 4 rows\.$"):
            numbered(4)[position]

    def test_no_row_is_in_an_empty_message(self):
        for position in (0, -1):
            with pytest.raises(IndexError, match=rf"row {position} is past the end; there are 0 rows"):
                fw.Message()[position]


class TestSlices:
    bounds = st.none() | st.integers(-15, 15)

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 12), bounds, bounds, st.none() | st.integers(-5, 5).filter(bool))
    def test_slices_clamp_as_those_of_python_do(self, num_rows, start, stop, step):
        key = slice(start, stop, step)
        message = numbered(num_rows)
        expected = list(range(num_rows))[key]
        assert rows_of(message[key]) == rows_of(message.take(key)) == expected
        rows = as_rows(key, num_rows)
        assert list(range(num_rows)[rows]) == expected if isinstance(rows, slice) else rows.tolist() == expected

    def test_a_step_of_zero_is_pythons_own_error(self):
        with pytest.raises(ValueError, match="slice step cannot be zero"):
            numbered(3)[::0]

    def test_bounds_may_be_ints_of_numpy_and_torch(self):
        assert rows_of(numbered(5)[np.int64(1) : torch.tensor(3)]) == [1, 2]

    def test_a_range_names_its_numbers(self):
        assert rows_of(numbered(9)[range(7, 0, -3)]) == [7, 4, 1]
        with pytest.raises(RowIndexError, match="row 9 is past the end; there are 9 rows"):
            numbered(9)[range(10)]


class TestPositions:
    @pytest.mark.parametrize("kind", AS_POSITIONS)
    @settings(deadline=None, max_examples=25)
    @given(num_rows_and_positions)
    def test_positions_give_the_rows_in_their_order(self, kind, case):
        num_rows, positions = case
        expected = pd.Series(np.arange(num_rows)).iloc[positions].tolist()
        assert rows_of(numbered(num_rows)[AS_POSITIONS[kind](positions)]) == expected
        assert as_rows(AS_POSITIONS[kind](positions), num_rows).tolist() == expected

    @pytest.mark.parametrize("kind", AS_POSITIONS)
    @pytest.mark.parametrize(("positions", "worst"), [([0, 3], 3), ([-4], -4), ([9, -9], -9)])
    def test_a_position_past_the_end_is_an_index_error_with_the_length(self, kind, positions, worst):
        with pytest.raises(RowIndexError, match=rf"^Message: row {worst} is past the end; there are 3 rows\.$"):
            numbered(3)[AS_POSITIONS[kind](positions)]

    def test_a_huge_unsigned_position_does_not_wrap_around(self):
        with pytest.raises(RowIndexError, match="row 18446744073709551615 is past the end"):
            numbered(3)[np.array([2**64 - 1], dtype=np.uint64)]

    @pytest.mark.parametrize("nothing", [[], (), range(0), np.array([]), torch.tensor([]), pd.Series([], dtype=float)])
    def test_an_empty_list_names_no_rows_and_keeps_the_columns(self, nothing):
        message = numbered(3)[nothing]
        assert rows_of(message) == []
        assert message.schema == numbered(3).schema

    def test_the_rows_are_copies_and_the_key_is_left_alone(self):
        message, key = numbered(3), np.array([-1, 0])
        part = message[key]
        part["n"].zero_()
        part.raw("array")[:] = 0
        assert rows_of(message) == [0, 1, 2]
        assert key.tolist() == [-1, 0]
        positions = np.array([1, 0])
        assert not np.shares_memory(as_rows(positions, 2), positions)

    def test_a_read_only_key_will_do(self):
        key = np.array([2, 0])
        key.flags.writeable = False
        assert rows_of(numbered(3)[key]) == [2, 0]


class TestMasks:
    @pytest.mark.parametrize("kind", AS_MASK)
    @settings(deadline=None, max_examples=25)
    @given(num_rows_and_mask)
    def test_a_mask_keeps_the_rows_that_are_true(self, kind, mask):
        expected = np.arange(len(mask))[np.array(mask, dtype=bool)].tolist()
        assert rows_of(numbered(len(mask))[AS_MASK[kind](mask)]) == expected

    @pytest.mark.parametrize("kind", AS_MASK)
    def test_a_mask_of_another_length_is_an_error(self, kind):
        with pytest.raises(RowIndexError, match=r"^Message: a mask needs one value per row; it has 2, there are 3\.$"):
            numbered(3)[AS_MASK[kind]([True, False])]

    def test_comparisons_of_columns_are_masks(self):
        message = numbered(4)
        assert rows_of(message[message["n"] > 1]) == [2, 3]
        assert rows_of(message[message["text"] != "1"]) == [0, 2, 3]
        assert rows_of(message[message["nullable"] < 2]) == [0, 1]
        assert rows_of(message[message.raw("nullable") < 2]) == [0, 1]
        assert rows_of(message[(message.raw("array") > 0) & (message.raw("array") < 3)]) == [1, 2]

    @pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", "Int64"])
    def test_a_key_with_missing_values_is_an_error(self, dtype):
        with pytest.raises(TypeError, match=r"^Message: a mask or a list of rows can't have missing values; fill them"):
            numbered(3)[pd.Series([1, None, 0], dtype=dtype)]

    def test_a_mask_of_two_dimensions_is_an_error_even_where_its_length_fits(self):
        message = numbered(3)
        with pytest.raises(TypeError, match=r"(?s)^Message: expected a list of ints or booleans; got tensor"):
            message[message["wide"][:, 0] > 3]


class TestNames:
    def test_a_name_gives_the_column_and_a_list_of_names_a_message(self):
        message = numbered(3)
        assert message["n"].tolist() == [0, 1, 2]
        assert message[["text", "n"]].columns == ["text", "n"]
        assert message[np.str_("n")] is message["n"]


class TestRefusals:
    @pytest.mark.parametrize("key", [None, 1.0, True, np.bool_(True), torch.tensor(True), {1}, np.array(1.0), object()])
    def test_what_names_no_row_is_a_type_error(self, key):
        with pytest.raises(
            TypeError,
            match=r"^Message: rows are named by ints, slices, lists, masks or a column name; got .* of type \w+\.$",
        ):
            numbered(3)[key]

    @pytest.mark.parametrize(
        "key", [[0.5], ["n", 0], [0, "n"], ("n", "text"), np.zeros((1, 2), int), torch.zeros(0, 2), [[0, 1]], [None]]
    )
    def test_a_list_of_anything_else_is_a_type_error(self, key):
        with pytest.raises(TypeError, match=r"^Message: expected a list of ints or booleans; got "):
            numbered(3)[key]

    def test_the_error_says_who_was_indexed_and_by_what(self):
        with pytest.raises(RowIndexError, match=r"^Batch: batch 7 is past the end; there are 3 batches\.$"):
            as_rows(7, 3, where="Batch", item="batch")
        with pytest.raises(RowIndexError, match=r"^Batch: a mask needs one value per batch; it has 1, there are 3\.$"):
            as_rows([True], 3, where="Batch", item="batch")
        with pytest.raises(TypeError, match=r"^Batch: a mask or a list of rows can't have missing values"):
            as_rows(pd.Series([None, True], dtype="boolean"), 2, where="Batch", item="batch")
