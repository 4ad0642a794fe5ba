"""Rows that satisfy a predicate: found once where that is possible, streamed where it is not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

import fireworks as fw
from fireworks.core.expressions import Column, Comparison, Value, parse
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ExpressionError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total


class Odd:
    """A predicate that pickles and has no name of its own."""

    def __call__(self, rows):
        return is_odd(rows)


PIPES = {
    "text": lambda: table().filter("n % 2 == 1 and word != 'word 3'"),
    "text behind batch": lambda: table().batch(4).filter("n > 5 or w < 0.2"),
    "text on a stream": lambda: counting().filter("not (n < 4 or n in [7, 8])"),
    "text behind shuffle": lambda: table().shuffle(seed=0).filter("n between 3 and 9"),
    "arrow": lambda: table().filter(pc.field("n") > 5),
    "arrow behind batch": lambda: table().batch(4).filter(pc.field("w") > 0.5),
    "arrow on a stream": lambda: counting().filter(pc.field("n") > 5),
    "callable": lambda: table().filter(Odd()),
}


@pytest.mark.parametrize("name", PIPES)
class TestFilter(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


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
        "arguments",
        [(5,), (None,), (is_odd, "==", 1), (3, ">", 2), (pc.field("n") > 1, "==", 1), (parse("n > 1"), "==", 1)],
        ids=lambda a: str(len(a)),
    )
    def test_none_of_the_ways(self, arguments):
        with pytest.raises(
            TypeError,
            match=r"filter: expected a text such as 'x >= 0', a function, an expression of pyarrow.compute, or a",
        ):
            table().filter(*arguments)

    def test_it_shows_what_it_compares(self):
        filtered = table().filter("word", "in", ["a"]).filter("n", "between", 1, 2).filter("w", "is not null")
        assert filtered.stages()[1:] == [
            "Filter(word in ['a'])",
            "Filter(n between 1 and 2)",
            "Filter(w is not null)",
        ]

    def test_it_needs_an_input(self):
        with pytest.raises(TypeError, match="Filter has no input; pass it a pipe"):
            fw.Filter(None, "n", ">", 1)

    def test_the_same_condition_shows_alike_however_it_is_written(self):
        ways = [("n >= 3",), ("n", ">=", 3), (parse("n >= 3"),), ("n", ">=", np.int64(3))]
        assert {table().filter(*way).stages()[-1] for way in ways} == {"Filter(n >= 3)"}
        assert {table().filter(*way).expression for way in ways} == {Comparison(">=", Column("n"), Value(3))}
        assert table().filter(is_odd).expression is None
        assert table().filter(pc.field("n") > 3).expression is None
        assert table().filter(pc.field("n") > 3).stages()[-1] == "Filter((n > 3))"


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("n >= 20", [20, 21, 22]),
            ("n < 4 and not (word in ['word 1', 'word 2'] or w is null)", [0, 3]),
            ("n * 2 == n + 5 or n // 4 == 5 and n % 4 > 1", [5, 22]),
            ("20 < n <= 22", [21, 22]),
        ],
    )
    def test_rows_are_kept_where_it_is_true(self, text, kept):
        assert numbers(table().filter(text)) == kept
        assert numbers(table().batch(5).filter(text)) == kept
        assert sorted(numbers(table().shuffle(seed=0).filter(text))) == kept
        assert table().filter(text)(table().to_message())["n"].tolist() == kept

    def test_it_is_the_triple_in_other_words(self):
        column = pd.array([1, None, 3], dtype="Int64")
        data = fw.source({"a": column, "b": [0.5, float("nan"), None]})
        for text, triple in [
            ("a != 1", ("a", "!=", 1)),
            ("b <= 0.5", ("b", "<=", 0.5)),
            ("a not in [1, null]", ("a", "not in", [1, None])),
            ("b is null", ("b", "is null")),
            ("a between 1 and 2", ("a", "between", 1, 2)),
        ]:
            assert data.filter(text).to_message() == data.filter(*triple).to_message()

    def test_unknown_columns_are_found_at_once(self):
        with pytest.raises(ColumnNotFoundError, match=r"filter: no column 'wird'; .* Did you mean 'word'\?"):
            table().filter("n > 3 and wird == 'a'")
        assert table().filter("n > 3 and word == 'a'").known_columns == ["x", "n", "w", "word"]

    def test_what_can_not_be_read_is_an_error_at_once(self):
        with pytest.raises(
            ExpressionError, match=r"(?s)filter: expected .*; got '='\. Did you mean '=='\?\n    n = 3\n      \^"
        ):
            table().filter("n = 3")

    @pytest.mark.parametrize("text", ["n + 1", "3", "n > 1 and -n"])
    def test_what_is_no_condition_is_an_error_at_once(self, text):
        with pytest.raises(
            TypeError, match=r"filter: '.*' is a value, not true or false, and a filter keeps .*; compare it"
        ):
            table().filter(text)

    def test_a_column_that_is_not_boolean_is_an_error_with_the_stage(self):
        with pytest.raises(
            ColumnTypeError, match=r"filter: 'n' is int64 tensor, not true or false, .*; compare it: 'n > 0'"
        ) as caught:
            len(table().filter("n"))
        assert any("In Filter(n), built at" in note for note in caught.value.__notes__)

    def test_types_that_do_not_go_together_are_an_error_with_the_stage(self):
        with pytest.raises(ColumnTypeError, match=r"filter: 'word > 3' makes no sense, for 'word' is str: ") as caught:
            table().batch(4).filter("word > 3")[0]
        assert any("In Filter(word > 3), built at" in note for note in caught.value.__notes__)


ROWS = {
    "n": pd.array([1, None, 3, 4], dtype="Int64"),
    "w": np.array([0.5, float("nan"), -1.0, float("inf")]),
    "x": torch.tensor([0.5, float("nan"), -1.0, 2.0]),
    "word": ["a", None, "b", "c"],
    "row": [0, 1, 2, 3],
}


class TestArrow:
    @pytest.mark.parametrize(
        ("expression", "text"),
        [
            (pc.field("n") != 1, "n != 1"),
            (pc.field("w") != 0.5, "w != 0.5"),
            (~(pc.field("w") > 0), "not w > 0"),
            (pc.field("x") < 1, "x < 1"),
            (pc.field("x").is_null(), "x is null"),
            (~pc.field("w").is_null(), "w is not null"),
            ((pc.field("n") > 1) & (pc.field("word") == "b"), "n > 1 and word == 'b'"),
            ((pc.field("n") > 3) | (pc.field("w") > 0), "n > 3 or w > 0"),
            (pc.field("word").isin(["a", "c"]), "word in ['a', 'c']"),
        ],
        ids=str,
    )
    def test_it_keeps_the_rows_that_the_text_keeps(self, expression, text):
        data = fw.source(ROWS)
        assert data.filter(expression).to_message() == data.filter(text).to_message()
        assert list(data.batch(3).filter(expression)) == list(data.batch(3).filter(text))

    def test_tensors_of_higher_rank_may_stand_beside(self):
        assert numbers(table(5).filter(pc.field("n") > 2)) == [3, 4]

    def test_a_column_that_is_not_there(self):
        with pytest.raises(ColumnNotFoundError, match=r"filter: no column 'wird'; .* Did you mean 'word'\?"):
            len(table().filter(pc.field("wird") == "a"))

    def test_what_is_not_boolean(self):
        with pytest.raises(
            TypeError,
            match=r"filter: the expression '.*n.*' is int64, not true or false, .*; compare it: expression > 0\.",
        ):
            len(table().filter(pc.add(pc.field("n"), pa.scalar(1))))

    def test_what_arrow_can_not_compute(self):
        with pytest.raises(
            ColumnTypeError, match=r"filter: Arrow can't compute '.*': .* Pass a function: filter\(lambda"
        ):
            len(table().filter(pc.field("word") > 3))
