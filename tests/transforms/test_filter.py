"""Rows that satisfy a predicate: found once where that is possible, streamed where it is not."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total

ODD = list(range(1, 23, 2))


class TestWhatIsKept:
    def test_rows_for_which_a_function_is_true(self):
        assert numbers(table().filter(is_odd)) == ODD
        assert numbers(counting().filter(is_odd)) == ODD

    def test_rows_whose_column_compares(self):
        assert numbers(table().filter("word", "in", ["word 3", "word 5"])) == [3, 5]

    def test_several_filters_keep_what_all_of_them_keep(self):
        assert numbers(table().filter(is_odd).filter("n", ">", 9).filter("n", "<=", 15)) == [11, 13, 15]

    def test_behind_batch_each_batch_is_thinned_out_and_may_be_left_empty(self):
        batches = [batch["n"].tolist() for batch in table(9).batch(3).filter("n", "between", 3, 6)]
        assert batches == [[], [3, 4, 5], [6]]

    def test_everything_and_nothing(self):
        assert numbers(table().filter("n", ">=", 0)) == list(range(23))
        assert len(table().filter("n", "<", 0)) == 0

    def test_row_maps_before_it_run_behind_it(self):
        rows = table(6).map(total).filter("n", ">", 3).to_message()
        assert rows["block"].tolist() == [4 + 5] * 2


class TestRandomAccess:
    def test_kept_rows_are_found_in_one_pass_and_remembered(self):
        calls = []

        def predicate(rows):
            calls.append(len(rows))
            return is_odd(rows)

        pipe = table(2500).filter(predicate)
        assert calls == []
        assert (len(pipe), pipe[3]["n"].tolist(), pipe.batch(4)[1]["n"].tolist()) == (1250, [7], [9, 11, 13, 15])
        list(pipe)
        assert calls == [1024, 1024, 452]

    @pytest.mark.parametrize(
        ("pipe", "indexable"),
        [
            (lambda: table().map(double).filter(is_odd), True),
            (lambda: table().split(0.5, 0.5, seed=0)[0].filter(is_odd), True),
            (lambda: table().shuffle(seed=0).at_epoch(1).filter(is_odd), True),
            (lambda: table().map(add_noise, seed=0).at_epoch(1).filter("noise", ">", 0.5), True),
            (lambda: table().repeat(2).filter(is_odd), True),
            (lambda: table().shuffle(seed=0).filter(is_odd), False),
            (lambda: table().map(add_noise, seed=0).filter(is_odd), False),
            (lambda: table().shuffle(seed=0).repeat(2).filter(is_odd), False),
            (lambda: counting().filter(is_odd), False),
        ],
    )
    def test_only_where_the_input_is_the_same_in_every_epoch(self, pipe, indexable):
        assert pipe().is_indexable is indexable

    def test_a_filter_of_a_fixed_epoch_keeps_that_epochs_rows(self):
        noisy = table().map(add_noise, seed=0)
        kept = noisy.at_epoch(2).filter("noise", ">", 0.5)
        expected = [row["n"].item() for row in noisy.at_epoch(2) if row["noise"] > 0.5]
        assert numbers(kept) == kept[:]["n"].tolist() == expected

    def test_its_length_is_not_known_where_it_is_a_stream(self):
        with pytest.raises(
            TypeError, match=r"Filter\(is_odd\): its input changes with every epoch .* Filter before shuf"
        ):
            len(table().shuffle(seed=0).filter(is_odd))


class TestWhatAFunctionAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            lambda rows: torch.tensor([True, False, True]),
            lambda rows: np.array([True, False, True]),
            lambda rows: [True, False, True],
            lambda rows: pd.Series([True, False, True]),
            lambda rows: pd.Series([True, None, True], dtype="boolean"),
            lambda rows: pd.Series([True, None, True], dtype="bool[pyarrow]"),
            lambda rows: pd.array([True, None, True], dtype="boolean"),
            lambda rows: pd.Series([True, False, True], index=[7, 8, 9]),
        ],
    )
    def test_one_boolean_per_row_of_any_kind_null_being_unknown(self, answer):
        assert numbers(table(3).filter(answer)) == [0, 2]

    @pytest.mark.parametrize(
        ("answer", "got"),
        [
            (lambda rows: None, r"object of shape \(\)"),
            (lambda rows: True, r"bool of shape \(\)"),
            (lambda rows: rows["n"], r"int64 of shape \(3,\)"),
            (lambda rows: rows["n"][:2] > 0, r"bool of shape \(2,\)"),
            (lambda rows: rows["x"] > 0, r"bool of shape \(3, 3\)"),
            (lambda rows: ["yes", "no", "yes"], r"<U3 of shape \(3,\)"),
            (lambda rows: np.array([True, None, True]), r"object of shape \(3,\)"),
        ],
    )
    def test_anything_else_is_an_error(self, answer, got):
        message = rf"filter: the function must answer one boolean per row, shape \(3,\); got {got}"
        with pytest.raises(TypeError, match=message):
            table(3).filter(answer).to_message()
        with pytest.raises(TypeError, match="one boolean per row"):
            list(counting(3).map(lambda rows: rows.assign(x=rows["x"].repeat(1, 2)[:, :3])).filter(answer))

    def test_rows_in_place_of_booleans_are_an_error(self):
        with pytest.raises(TypeError, match=r"one boolean per row; got a Message\. Write: return rows\['x'\] > 0\."):
            len(table().filter(lambda rows: rows[rows["n"] > 3]))


class TestHowItIsWritten:
    def test_an_unknown_column_is_an_error_at_once(self):
        with pytest.raises(ColumnNotFoundError, match=r"filter: no column 'wird'; .* Did you mean 'word'\?"):
            table().shuffle(seed=0).filter("wird", "==", "a")

    def test_behind_a_function_an_unknown_column_is_an_error_with_the_first_rows(self):
        with pytest.raises(ColumnNotFoundError, match="no column 'wird'"):
            len(table().map(double).filter("wird", "==", "a"))

    @pytest.mark.parametrize(
        "arguments", [("n > 5",), (5,), (None,), (is_odd, "==", 1), (3, ">", 2)], ids=lambda a: str(len(a))
    )
    def test_neither_a_function_nor_a_comparison(self, arguments):
        with pytest.raises(
            TypeError, match=r"filter: expected a function, or a column, an operator and values as in fil"
        ):
            table().filter(*arguments)

    def test_it_shows_what_it_compares(self):
        filtered = table().filter("word", "in", ["a"]).filter("n", "between", 1, 2).filter("w", "is not null")
        assert filtered.stages()[1:] == [
            "Filter(word in ['a'])",
            "Filter(n between 1 2)",
            "Filter(w is not null)",
        ]

    def test_it_needs_an_input(self):
        with pytest.raises(TypeError, match="Filter has no input; pass it a pipe"):
            fw.Filter(None, "n", ">", 1)
