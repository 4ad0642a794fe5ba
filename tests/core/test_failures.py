"""An error says where it happened and takes one back there; bad rows can be set aside instead."""

import pickle
import sys
import traceback
import warnings

import pytest
import torch

import fireworks as fw
from fireworks.core.chunk import Chunk
from fireworks.core.failures import failing_rows, load_debugger, place_of
from fireworks.core.run import Run
from fireworks.errors import (
    NoRandomAccessError,
    QuarantineWarning,
    SchemaMismatchError,
    StageResultError,
    UnknownLengthError,
)
from pipelines import add_noise, counting, double, numbers, refuses_three, table

BAD = {3, 17, 18}


def refuses(rows):
    for n in rows["n"].tolist():
        if n in BAD:
            raise ZeroDivisionError(f"row {n} is bad")
    return rows.assign(n=rows["n"] * 10)


def refuses_seeded(rows, generator):
    return refuses(add_noise(rows, generator))


def only_together(rows):
    if len(rows) > 1:
        raise ZeroDivisionError("too many")
    return rows


def error_of(call):
    with pytest.raises(ZeroDivisionError) as caught:
        call()
    return caught.value


def quietly(call):
    with warnings.catch_warnings(action="ignore", category=QuarantineWarning):
        return call()


class TestTheTraceback:
    def functions(self, error):
        return [(frame.filename.rpartition("/")[2], frame.name) for frame in traceback.extract_tb(error.__traceback__)]

    @pytest.mark.parametrize(
        "read",
        [
            lambda pipe: pipe[3],
            lambda pipe: pipe.to_message(),
            lambda pipe: next(iter(pipe)),
            lambda pipe: pipe(fw.Message({"n": [3]})),
        ],
        ids=["index", "message", "iterate", "call"],
    )
    def test_only_the_users_frames_are_left(self, read):
        error = error_of(lambda: read(table().map(refuses)))
        ours = [name for file, name in self.functions(error) if file != "test_failures.py"]
        assert ours in ([], ["__getitem__"])  # what the user called stays
        assert self.functions(error)[-1] == ("test_failures.py", "refuses")
        (note,) = [note for note in error.__notes__ if "left out" in note]
        assert note.endswith("frames of fireworks are left out; FIREWORKS_TRACEBACK=full shows them.)")

    def test_all_frames_are_there_when_asked_for(self, monkeypatch):
        monkeypatch.setenv("FIREWORKS_TRACEBACK", "full")
        error = error_of(lambda: table().map(refuses).to_message())
        assert "function_chain.py" in {file for file, _ in self.functions(error)}
        assert not any("left out" in note for note in error.__notes__)

    def test_an_error_that_we_raise_on_purpose_leaves_ours_out(self):
        with pytest.raises(StageResultError) as caught:
            table().map(lambda rows: None).to_message()
        assert {file for file, _ in self.functions(caught.value)} == {"test_failures.py"}

    def test_a_mistake_of_ours_keeps_all(self, monkeypatch):
        def breaks(*_):
            raise IndexError("a mistake of ours")

        monkeypatch.setattr("fireworks.core.run.Book.require_same_columns", breaks)
        monkeypatch.setattr("fireworks.core.failures.is_ours", lambda file: not file.endswith("pipelines.py"))
        with pytest.raises(IndexError) as caught:
            table().map(double).to_message()
        assert "function_chain.py" in {file for file, _ in self.functions(caught.value)}

    def test_an_error_from_a_worker_process_leaves_ours_out(self):
        error = error_of(lambda: list(table().batch(5).map(refuses_three, workers=1, backend="process")))
        assert {file for file, _ in self.functions(error)} == {"test_failures.py"}
        assert "in refuses_three" in str(error.__cause__)

    def test_an_error_outside_any_stage_keeps_ours(self):
        def begin():
            raise ZeroDivisionError

        error = error_of(lambda: fw.source(begin).to_message())
        assert "source.py" in {file for file, _ in self.functions(error)}

    def test_a_pass_in_a_pass_is_folded_once(self):
        error = error_of(lambda: table().map(table().map(refuses).__call__).to_message())
        assert sum("left out" in note for note in error.__notes__) == 1


class TestThePlaceOfAnError:
    def test_it_holds_the_rows_as_they_came(self):
        error = error_of(lambda: list(table().shuffle(seed=1).batch(4).map(double).map(refuses).at_epoch(2)))
        place = place_of(error)
        assert (place.stage, place.epoch) == ("Map(refuses)", 2)
        expected = list(table().shuffle(seed=1).batch(4).map(double).at_epoch(2))[place.block]
        assert place.chunk.message == expected

    def test_it_survives_pickling(self):
        error = pickle.loads(pickle.dumps(error_of(lambda: table().map(refuses).to_message())))
        assert place_of(error).chunk.message == table().to_message()
        assert error.__notes__[0].startswith("In Map(refuses)")

    def test_other_errors_have_none(self):
        assert place_of(ValueError()) is None


class TestReplay:
    def test_only_the_failing_rows_run_again_and_the_debugger_gets_the_users_frames(self):
        pipe = table().map(refuses).batch(4)
        error = error_of(lambda: list(pipe))
        seen = []
        again = error_of(lambda: pipe.replay(error, debugger=seen.append))
        assert place_of(again).chunk.rows.tolist() == sorted(BAD)
        (found,) = seen
        assert [frame.name for frame in traceback.extract_tb(found)] == ["refuses"]

    def test_it_gives_the_rows_once_the_function_is_mended(self, monkeypatch):
        pipe = table().map(refuses)
        error = error_of(pipe.to_message)
        monkeypatch.setattr(sys.modules[__name__], "BAD", set())
        assert pipe.replay(error)["n"].tolist() == [10 * n for n in range(23)]

    def test_all_rows_run_where_none_fails_alone(self):
        pipe = table(5).map(only_together)
        again = error_of(lambda: pipe.replay(error_of(pipe.to_message), debugger=lambda traceback: None))
        assert len(place_of(again).chunk.rows) == 5

    def test_draws_are_those_of_the_pass(self):
        pipe = table().map(add_noise, seed=3).batch(5).map(refuses_seeded, seed=4)
        error = error_of(lambda: list(pipe.at_epoch(1)))
        drawn = []

        def refuses_and_tells(rows, generator):
            drawn.append(torch.rand(1, generator=generator).item())
            raise ZeroDivisionError

        refuses_and_tells.__name__ = "refuses_seeded"
        pipe.function = refuses_and_tells
        error_of(lambda: pipe.replay(error, debugger=lambda traceback: None))
        first = table().batch(5).map(add_noise, seed=4, name="map:1").get(0, epoch=1)["noise"][0].item()
        assert set(drawn) == {first}

    def test_python_debugger_is_the_default(self):
        import pdb  # noqa: T100

        assert load_debugger() is pdb.post_mortem

    def test_a_junction_that_runs_no_function_says_so(self):
        pipe = table().concat(table().map(add_noise, seed=0))
        with pytest.raises(SchemaMismatchError) as caught:
            list(pipe)
        with pytest.raises(
            ValueError, match=r"^replay: Concat\(.*\) is a junction, which runs no function of its own; its"
        ):
            pipe.replay(caught.value)

    def test_an_error_of_another_pipe_is_refused(self):
        error = error_of(table().map(refuses).to_message)
        with pytest.raises(
            ValueError, match=r"replay: no stage of this pipe raised ZeroDivisionError: it comes from Map"
        ):
            table().map(double).replay(error)
        with pytest.raises(ValueError, match=r"raised KeyError: it comes from no pipeline\."):
            table().map(refuses).replay(KeyError())


class TestFailingRows:
    def test_are_found_by_halving(self):
        calls = []

        def compute(chunk, run, block):
            calls.append(len(chunk.rows))
            return Chunk(refuses(chunk.message), chunk.rows)

        chunk = next(table(23).flow.pieces(range(23), Run(0)))
        found = failing_rows(compute, chunk, Run(0), 0)
        assert [position for position, _ in found] == sorted(BAD)
        assert [str(error) for _, error in found] == [f"row {n} is bad" for n in sorted(BAD)]
        assert len(calls) < 23

    def test_no_rows_have_none(self):
        assert failing_rows(lambda *_: 1 / 0, Chunk(fw.Message(), torch.arange(0).numpy()), Run(0), 0) == []


class TestQuarantine:
    def quarantining(self, source=None):
        return (source or table()).map(refuses, on_error="quarantine")

    def test_good_rows_go_on_and_bad_ones_are_set_aside_with_the_reason(self):
        pipe = self.quarantining()
        with pytest.warns(QuarantineWarning) as caught:
            result = pipe.to_message()
        assert result["n"].tolist() == [10 * n for n in range(23) if n not in BAD]
        aside = pipe.quarantined()
        assert aside["row"].tolist() == aside["n"].tolist() == sorted(BAD)
        assert aside["reason"].tolist() == [f"ZeroDivisionError: row {n} is bad" for n in sorted(BAD)]
        assert set(aside["stage"]) == {"Map(refuses, on_error='quarantine')"}
        assert aside["built_at"][0] == pipe.built_at
        assert aside.columns[:4] == ["x", "n", "w", "word"]
        (warning,) = caught
        assert warning.filename == __file__
        assert str(warning.message) == (
            f"3 rows were set aside by Map(refuses, on_error='quarantine'), built at {pipe.built_at}: rows [3, 17, 18] of "
            "the source; the first because of ZeroDivisionError: row 3 is bad. pipe.quarantined() has them all, with the "
            "reasons."
        )

    def test_rows_before_batch_fill_up_and_rows_behind_are_missing_from_their_batch(self):
        full = quietly(lambda: list(self.quarantining().batch(5)))
        assert [len(batch) for batch in full] == [5, 5, 5, 5]
        thin = quietly(lambda: list(self.quarantining(table().batch(5))))
        assert [len(batch) for batch in thin] == [4, 5, 5, 3, 3]
        assert quietly(lambda: self.quarantining(table().batch(5))[3])["n"].tolist() == [150, 160, 190]

    def test_before_batch_it_is_a_stream_that_says_so(self):
        pipe = self.quarantining()
        with pytest.raises(UnknownLengthError, match=r"it sets bad rows aside, so the number of rows .*Put it behind"):
            len(pipe)
        with pytest.raises(NoRandomAccessError):
            pipe.split(0.5, 0.5, seed=0)
        with pytest.raises(UnknownLengthError, match="drops rows of batches"):
            _ = self.quarantining(table().batch(5)).num_rows

    def test_behind_a_shuffle_row_numbers_are_those_of_the_source(self):
        pipe = self.quarantining(table().shuffle(seed=0)).batch(4)
        quietly(lambda: list(pipe))
        assert sorted(pipe.quarantined()["row"].tolist()) == sorted(BAD)

    def test_all_rows_bad(self):
        pipe = table(6).map(lambda rows: 1 / 0, on_error="quarantine")
        assert quietly(pipe.to_message)["n"].tolist() == []
        assert len(pipe.quarantined()) == 6
        batched = table(6).batch(2).map(lambda rows: 1 / 0, on_error="quarantine")
        assert [len(batch) for batch in quietly(lambda: list(batched))] == [0, 0, 0]

    def test_an_error_that_no_row_causes_alone_is_raised(self):
        error = error_of(table(5).map(only_together, on_error="quarantine").to_message)
        assert error.__notes__[0].startswith("In Map(only_together, on_error='quarantine')")

    def test_every_pass_has_its_own(self):
        pipe = self.quarantining()
        assert pipe.quarantined() == fw.Message()
        quietly(lambda: (list(pipe), list(pipe)))
        assert len(pipe.quarantined()) == 3

    def test_a_stream_and_a_resumed_pass(self):
        pipe = self.quarantining(counting()).batch(4)
        whole = quietly(lambda: list(pipe))
        iterator = iter(self.quarantining(counting()).batch(4))
        quietly(lambda: [next(iterator) for _ in range(2)])
        resumed = iter(self.quarantining(counting()).batch(4))
        resumed.load_state_dict(iterator.state_dict())
        assert quietly(lambda: list(resumed)) == whole[2:]

    def test_two_stages_with_other_columns_are_told_apart(self):
        pipe = self.quarantining().map(
            lambda rows: rows.assign(m=1 // (rows["n"] - 50)).select("m"), on_error="quarantine"
        )
        quietly(pipe.to_message)
        assert len(pipe.quarantined()) == 4
        assert pipe.quarantined()["n"].tolist() == [3, 17, 18, 50]

    def test_any_other_word_is_refused(self):
        with pytest.raises(ValueError, match=r"map: on_error is 'raise' or 'quarantine'; got 'skip'\."):
            table().map(refuses, on_error="skip")

    def test_it_is_part_of_the_plan(self):
        assert "on_error='quarantine'" in repr(self.quarantining())


class TestQuarantineKeepsThePromises(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batches", "shuffled", "stream"])
    def make_pipe(self, request, recwarn):
        warnings.simplefilter("ignore", QuarantineWarning)
        inputs = {
            "rows": table,
            "batches": lambda: table().batch(4),
            "shuffled": lambda: table().shuffle(seed=0),
            "stream": counting,
        }
        return lambda: inputs[request.param]().map(refuses, on_error="quarantine").map(double)


class TestWhatAFunctionReturnsForLaterBlocks:
    def test_other_types(self):
        def floats_later(rows):
            return rows.assign(n=rows["n"].double()) if rows["n"][0] > 4 else rows

        with pytest.raises(
            StageResultError,
            match=r"Map\(floats_later\): the function returned column 'n' as torch.float64 after torch.int64 \(block 1, and "
            r"block 0 before it\); return the same columns of the same types for all rows\.",
        ):
            list(table().batch(5).map(floats_later))

    def test_other_columns(self):
        def more_later(rows):
            return rows.assign(m=rows["n"]) if rows["n"][0] > 4 else rows

        with pytest.raises(StageResultError, match=r"column 'm' as torch.int64 after nothing"):
            list(table().batch(5).map(more_later))
        with pytest.raises(StageResultError, match=r"columns \['n', 'w'\] after \['w', 'n'\]"):
            list(table().batch(5).map(lambda rows: rows.select(*(["n", "w"] if rows["n"][0] > 4 else ["w", "n"]))))

    def test_another_length_per_row_is_fine(self):
        ragged = table().batch(5).map(lambda rows: rows.assign(v=torch.zeros(len(rows), int(rows["n"][0]) + 1)))
        assert [batch["v"].shape[1] for batch in ragged] == [1, 6, 11, 16, 21]


def test_numbers_of_a_good_pipe_are_unchanged():
    assert numbers(table().map(double, on_error="raise")) == numbers(table().map(double))


def test_a_block_without_rows_says_nothing_about_the_columns():
    def only_some(rows):
        return rows.assign(m=rows["n"] * 2) if len(rows) else rows.assign(m=[])

    thinned = table().batch(5).filter("n > 7").map(only_some)
    assert [len(batch) for batch in thinned] == [0, 2, 5, 5, 3]
    assert [len(batch) for batch in table().batch(5).filter("n > 7").map(only_some, workers=2)] == [0, 2, 5, 5, 3]
