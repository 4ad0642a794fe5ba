"""An error in a user's function arrives with its place: the stage, the line that built it, the rows of the source."""

import re
from pathlib import Path

import pytest
import torch

import fireworks as fw
from fireworks.core.run import Run
from fireworks.core.stages import require_columns
from fireworks.errors import ColumnNotFoundError, NoRandomAccessError
from pipelines import add_noise, counting, double, numbers, table, total

HERE = Path(__file__).name


def fails_on(*bad):
    def check(rows):
        for n in rows["n"].tolist():
            if n in bad:
                raise ZeroDivisionError(f"row {n} is bad")
        return rows

    return check


def notes_of(call):
    with pytest.raises(ZeroDivisionError) as caught:
        call()
    return caught.value.__notes__


class TestErrorsInFunctions:
    def test_the_note_names_stage_line_and_rows(self):
        pipe = table(5).map(fails_on(3))
        place, columns, plan, *_ = notes_of(pipe.to_message)
        line = next(
            n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "map(fails_on(3))" in text
        )
        assert re.fullmatch(
            rf"In Map\(check\), built at .*{HERE}:{line}, on rows \[0, 1, 2, 3, 4\] of the source "
            r"\(block 0 of epoch 0\)\.",
            place,
        )
        assert columns == "The rows came as: x: float32[3] tensor, n: int64 tensor, w: float64, word: str."
        assert plan.startswith("The pipeline: Memory(5 rows: x, n, w, word) → Map(check). Its replay(error) runs")

    def test_only_the_first_ten_rows_are_listed(self):
        place, *_ = notes_of(table(23).map(fails_on(3)).to_message)
        assert "on rows [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] and 13 more of the source" in place

    def test_rows_are_those_of_the_source_behind_a_shuffle_and_a_split(self):
        part = table(40).split(0.5, 0.5, seed=0)[1]
        shuffled = part.shuffle(seed=1)
        bad = numbers(shuffled.at_epoch(0))[9]
        place, *_ = notes_of(lambda: list(shuffled.batch(4).map(fails_on(bad)).at_epoch(0)))
        assert f"on rows {numbers(shuffled.at_epoch(0))[8:12]} of the source" in place

    def test_rows_are_those_of_the_source_behind_repeat_and_on_a_stream(self):
        place, *_ = notes_of(lambda: table(5).repeat(2).filter("n", ">", 2).batch(2).map(fails_on(4)).to_message())
        assert "on rows [3, 4] of the source" in place
        place, *_ = notes_of(lambda: list(counting(30).filter("n", ">", 20).batch(3).map(fails_on(22))))
        assert "on rows [21, 22, 23] of the source" in place

    def test_rows_are_those_of_the_source_inside_a_filter(self):
        filtered = table(30).filter("n", ">", 20).filter(fails_on(22))
        place, *_ = notes_of(lambda: len(filtered))
        assert place.startswith("In Filter(check)")
        assert "on rows [21, 22, 23, 24, 25, 26, 27, 28, 29] of the source" in place

    def test_rows_are_those_of_the_source_inside_a_junction(self):
        left = table(9).split(0.5, 0.5, seed=0)[0].shuffle(seed=0)
        right = table(5).map(lambda rows: fw.Message({"m": rows["n"]}))
        junction = fw.Zip({"left": left.map(fails_on(numbers(left)[0])).select("n"), "right": right})
        place, *_ = notes_of(lambda: junction.map(double)[3])
        assert place.startswith("In Map(check)")
        assert f"on rows {left.to_message()['n'].tolist()} of the source" in place

    @pytest.mark.parametrize(
        "read",
        [
            lambda pipe: pipe[3],
            lambda pipe: pipe.to_message(),
            list,
            lambda pipe: list(pipe.map(double).shuffle(seed=0).batch(2).map(double).repeat(2).at_epoch(1)),
            lambda pipe: pipe(fw.Message({"n": [3]})),
        ],
    )
    def test_the_note_appears_once_however_the_rows_are_read(self, read):
        notes = notes_of(lambda: read(table(5).map(fails_on(3))))
        assert [note for note in notes if note.startswith("In ")] == [notes[0]]
        assert [note for note in notes if note.startswith("The pipeline")] == [notes[2]]

    def test_an_error_in_a_pipe_inside_a_function_is_placed_where_it_happened(self):
        inner = table(5).map(fails_on(3))
        notes = notes_of(table(9).map(inner).to_message)
        assert [note[:14] for note in notes if note.startswith("In ")] == ["In Map(check),"]

    def test_an_error_of_ours_gets_its_place_too(self):
        with pytest.raises(ColumnNotFoundError) as caught:
            table(5).map(double).select("nope").to_message()
        place, *_ = caught.value.__notes__
        assert place.startswith("In Select(nope), built at ")

    def test_stop_iteration_in_a_function_is_an_error_and_not_the_end(self):
        def stops(rows):
            return next(iter([]))

        for pipe in (table().map(stops), counting().map(stops), counting().batch(4).map(stops)):
            with pytest.raises(RuntimeError, match=r"Map\(stops\): the function raised StopIteration") as caught:
                list(pipe)
            assert isinstance(caught.value.__cause__, StopIteration)
            assert caught.value.__notes__[0].startswith("In Map(stops)")


class TestWhatAFunctionReturns:
    def test_nothing(self):
        def forgets(rows):
            rows.assign(n=1)

        with pytest.raises(
            TypeError, match=r"Map\(<lambda>\): the function must return a Message; it returned NoneType"
        ):
            table().map(lambda rows: None).to_message()
        with pytest.raises(TypeError, match=r"it returned dict\. Write: return rows\.assign\(column=…\)\."):
            table().map(lambda rows: {"n": rows["n"]}).to_message()

    def test_another_number_of_rows(self):
        message = r"Map\(<lambda>\): 23 rows went in, 22 came out; a row stage keeps rows\. Use filter to drop some\."
        with pytest.raises(ValueError, match=message):
            table().map(lambda rows: rows[1:]).to_message()
        with pytest.raises(ValueError, match=r"4 rows went in, 8 came out"):
            list(counting().batch(4).map(lambda rows: rows.append(rows)))

    def test_a_seeded_function_is_held_to_it_too(self):
        with pytest.raises(TypeError, match=r"Map\(<lambda>, seed=1\): the function must return a Message"):
            table().map(lambda rows, generator: None, seed=1).to_message()


class TestApplyingAPipeToAMessage:
    MESSAGE = fw.Message({"n": list(range(10)), "x": torch.arange(10.0)})

    def test_row_stages_run_and_stages_of_order_let_it_pass(self):
        pipe = table().map(double).shuffle(seed=0).take(3).batch(4).repeat(2).at_epoch(1).select("n")
        assert pipe(self.MESSAGE).to_dict() == {"n": [2 * n for n in range(10)]}

    def test_filters_drop_rows_and_tensors_converts(self):
        result = table().filter("n", ">", 6).tensors("n")(self.MESSAGE)
        assert torch.equal(result["n"], torch.tensor([7, 8, 9]))

    def test_a_mapping_will_do(self):
        assert table().map(double)({"n": torch.tensor([4])})["n"].tolist() == [8]

    def test_seeded_maps_draw_as_in_epoch_zero(self):
        pipe = table(1500).map(add_noise, seed=1)
        next(iter(pipe))
        assert pipe(table(1500).to_message()) == pipe.to_message()

    def test_a_long_message_runs_on_the_grid_and_behind_batch_in_one_piece(self):
        message = fw.Message({"n": list(range(1500))})
        on_grid = table().map(total)(message)["block"].tolist()
        assert on_grid == [sum(range(1024))] * 1024 + [sum(range(1024, 1500))] * 476
        assert table().batch(4).map(total)(message)["block"].tolist() == [sum(range(1500))] * 1500

    def test_a_message_without_rows_comes_back_without_rows(self):
        assert table().map(double).filter("n", ">", 0)(self.MESSAGE[:0]).columns == ["n", "x"]


class TestOrderStages:
    def test_one_of_your_own_is_two_methods(self):
        class Reverse(fw.OrderStage):
            def num_items_out(self, num_items):
                return num_items

            def locate(self, span, num_items, epoch):
                return num_items - 1 - torch.as_tensor(list(span)).numpy()

        assert numbers(Reverse(table(5).map(double))) == [8, 6, 4, 2, 0]
        with pytest.raises(
            NoRandomAccessError,
            match=r"Reverse needs random access, and .* is a stream: Iterable.* can only be read on",
        ):
            Reverse(counting())
        with pytest.raises(NoRandomAccessError, match=r"Reverse needs random access, and its input is a stream\.$"):
            Reverse(table()).open(counting().flow.open(Run(0)), Run(0))


def test_require_columns_says_nothing_where_columns_are_unknown():
    require_columns(counting(), ["whatever"], who="me")
    with pytest.raises(ColumnNotFoundError, match=r"me: no column 'm'; columns are \['x', 'n', 'w', 'word'\]"):
        require_columns(table(), ["m"], who="me")
