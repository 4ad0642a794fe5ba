"""A map in workers: the same rows in the same order as without them, errors at their place, books that add up."""

import json
import os
import threading

import pytest
import torch

import fireworks as fw
import worker_functions as functions
from pipelines import add_noise, counting, double, is_noisy, is_odd, numbers, table, total

BACKENDS = ["thread", "process"]

MAKERS = {
    "rows": lambda **where: table().map(double, **where),
    "batched": lambda **where: table().batch(4).map(double, **where),
    "shuffled and batched": lambda **where: table().map(double, **where).shuffle(seed=1).batch(4),
    "seeded": lambda **where: table(3000).map(add_noise, seed=2, **where).batch(500),
    "seeded, behind batch": lambda **where: table().batch(3).map(add_noise, seed=2, **where),
    "a stream of rows": lambda **where: counting(3000).map(total, **where).batch(700),
    "a stream of batches": lambda **where: counting().batch(4).map(add_noise, seed=3, **where),
    "filtered batches": lambda **where: table().batch(4).map(double, **where).filter("n", ">", 6),
    "filtered behind noise": lambda **where: table(3000).map(add_noise, seed=2, **where).filter(is_noisy).batch(99),
    "two maps": lambda **where: table().batch(4).map(double, **where).map(total, **where),
    "two maps with a select between": lambda **where: (
        table().batch(4).map(double, **where).select("n", "x").map(add_noise, seed=3, **where)
    ),
    "behind a barrier": lambda **where: table(3000).map(add_noise, seed=2, **where).batch(50).map(total, **where),
    "repeated": lambda **where: table().map(add_noise, seed=2, **where).shuffle(seed=0).batch(5).repeat(2),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MAKERS)
def test_results_are_the_same_for_0_1_and_4_workers(name, backend):
    alone = list(MAKERS[name]().at_epoch(1))
    for workers in (1, 4):
        assert list(MAKERS[name](workers=workers, backend=backend).at_epoch(1)) == alone


class TestThreads(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled and batched", "a stream of batches"])
    def make_pipe(self, request):
        return lambda: MAKERS[request.param](workers=2)


class TestAStreamOfRowsInThreads(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: counting(9).map(double, workers=2)


class TestProcesses(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table(9).batch(3).map(double, workers=1, backend="process")


class TestOrder:
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_a_quick_block_waits_for_a_slow_one_before_it(self, backend):
        pipe = table(24).batch(2).map(functions.slow_if_even, workers=3, backend=backend)
        assert numbers(pipe) == [2 * n for n in range(24)]

    def test_workers_work_at_the_same_time(self):
        together = threading.Barrier(3, timeout=20)  # nobody goes on until three are there

        def meet(rows):
            together.wait()
            return rows

        assert numbers(table(12).batch(4).map(meet, workers=3)) == list(range(12))

    def test_no_more_blocks_are_under_way_than_two_for_each_worker(self):
        begun = []

        def note(rows):
            begun.append(int(rows["n"][0]))
            return rows

        iterator = iter(table(100).batch(1).map(note, workers=2))
        for item in range(50):
            next(iterator)
            assert len(begun) <= item + 1 + 4


class TestWhereItRuns:
    def test_a_single_block_runs_where_it_is_asked_for(self):
        pipe = table().batch(4).map(functions.mark_process, workers=2, backend="process")
        assert pipe[3]["process"].unique().tolist() == [os.getpid()]

    def test_processes_are_others_and_at_most_so_many(self):
        pipe = table().batch(1).map(functions.mark_process, workers=2, backend="process")
        seen = {int(batch["process"][0]) for batch in pipe}
        assert os.getpid() not in seen
        assert 1 <= len(seen) <= 2

    def test_a_process_has_one_thread_of_torch(self):
        pipe = table().batch(4).map(functions.threads_of_torch, workers=1, backend="process")
        assert pipe.to_message()["threads"].unique().tolist() == [1]

    def test_a_process_finds_around_it_what_is_around_the_one_that_sent_it(self, monkeypatch, tmp_path):
        monkeypatch.setenv("FIREWORKS_TEST_SETTING", "here")
        monkeypatch.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
        try:
            rows = table().batch(4).map(functions.look_around, workers=1, backend="process").to_message()
        finally:
            torch.set_default_dtype(torch.float32)
        assert set(rows["setting"]) == {"here"}
        assert set(rows["directory"]) == {str(tmp_path)}
        assert rows["f"].dtype == torch.float64

    def test_what_draws_without_a_seed_differs_between_processes(self):
        pipe = table().batch(2).map(functions.draw_without_seed, workers=2, backend="process")
        drawn = pipe.to_message()["drawn"].tolist()
        assert len(set(drawn)) == len(drawn)

    def test_workers_are_no_part_of_a_state(self):
        make = MAKERS["shuffled and batched"]
        running = iter(make(workers=4))
        items = [next(running) for _ in range(3)]
        state = json.loads(json.dumps(running.state_dict()))
        resumed = iter(make())
        resumed.load_state_dict(state)
        assert items + list(resumed) == list(make().at_epoch(0))

    @pytest.mark.parametrize("name", ["a stream of rows", "a stream of batches"])
    def test_nor_of_that_of_a_stream(self, name):
        for there, here in [(2, 0), (0, 2)]:
            running = iter(MAKERS[name](workers=there))
            items = [next(running) for _ in range(2)]
            resumed = iter(MAKERS[name](workers=here))
            resumed.load_state_dict(json.loads(json.dumps(running.state_dict())))
            assert items + list(resumed) == list(MAKERS[name]().at_epoch(0))


class TestModels:
    def make(self):
        net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
        return fw.Model(net, in_columns=["x"], out_columns=["y"])

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_a_model_works_in_workers(self, backend):
        model = self.make()
        alone = list(table(200).batch(4).map(model))
        assert list(table(200).batch(4).map(model, workers=3, backend=backend)) == alone

    def test_threads_leave_a_model_in_the_mode_that_it_had(self):
        model = self.make()
        for _ in range(5):
            list(table(200).batch(2).map(model, workers=4))
        assert all(module.training for module in model.module.modules())


@pytest.mark.parametrize("backend", BACKENDS)
class TestErrors:
    def test_an_error_comes_at_its_place_with_all_that_it_says_without_workers(self, backend):
        def first_error(**where):
            iterator = iter(table().batch(4).map(functions.fail_at_13, **where))
            items = []
            with pytest.raises(ValueError, match="13 is in the rows") as caught:
                items.extend(iterator)
            return items, caught.value, iterator

        items, error, iterator = first_error(workers=3, backend=backend)
        plain_items, plain, _ = first_error()
        assert [batch["n"].tolist() for batch in items] == [batch["n"].tolist() for batch in plain_items]
        notes = [note.split("built at")[0] for note in error.__notes__]
        assert notes[:2] == [note.split("built at")[0] for note in plain.__notes__][:2]
        assert "on rows [12, 13, 14, 15] of the source" in error.__notes__[0]
        assert "test_map_workers.py:" in error.__notes__[0]
        assert iterator.state_dict()["cursor"] == {"position": 3}

    def test_the_rows_can_be_replayed(self, backend):
        pipe = table().batch(4).map(functions.fail_at_13, workers=2, backend=backend)
        with pytest.raises(ValueError, match="13") as caught:
            list(pipe)
        stops = []
        with pytest.raises(ValueError, match="13"):
            pipe.replay(caught.value, debugger=stops.append)
        assert len(stops) == 1

    def test_a_stream_goes_on_at_the_rows_that_failed(self, backend):
        pipe = counting().batch(4).map(functions.fail_at_13, workers=2, backend=backend)
        iterator = iter(pipe)
        assert [next(iterator)["n"].tolist()[0] for _ in range(3)] == [0, 4, 8]
        for _ in range(2):
            with pytest.raises(ValueError, match="13"):
                next(iterator)

    def test_an_error_of_the_input_comes_behind_the_items_before_it(self, backend):
        pipe = table().batch(4).map(functions.fail_at_13).map(double, workers=2, backend=backend)
        iterator = iter(pipe)
        assert [next(iterator)["n"].tolist()[0] for _ in range(3)] == [0, 8, 16]
        with pytest.raises(ValueError, match="13"):
            next(iterator)

    def test_also_where_the_second_item_is_the_one(self, backend):
        pipe = table().batch(10).map(functions.fail_at_13).map(double, workers=2, backend=backend)
        iterator = iter(pipe)
        assert next(iterator)["n"].tolist() == [2 * n for n in range(10)]
        with pytest.raises(ValueError, match="13"):
            next(iterator)

    def test_other_columns_than_before_are_an_error_at_their_place(self, backend):
        pipe = table().batch(4).map(functions.other_column_from_13_on, workers=3, backend=backend)
        iterator = iter(pipe)
        assert [next(iterator)["n"].tolist()[0] for _ in range(3)] == [0, 4, 8]
        with pytest.raises(fw.errors.StageResultError, match=r"returned column 'other' .* \(block 3, and block 0"):
            next(iterator)

    def test_exit_is_passed_on(self, backend):
        with pytest.raises(SystemExit, match="enough"):
            list(table().batch(4).map(functions.leave, workers=2, backend=backend))


class TestErrorsOfProcesses:
    def test_the_users_frames_come_as_text(self):
        with pytest.raises(ValueError, match="13") as caught:
            list(table().batch(4).map(functions.fail_at_13, workers=2, backend="process"))
        text = str(caught.value.__cause__)
        assert 'raise ValueError("13 is in the rows")' in text
        assert "worker_functions.py" in text
        assert "stages.py" not in text  # ours are folded

    def test_an_error_that_does_not_come_through_pickle_comes_as_text(self):
        with pytest.raises(RuntimeError, match="OwnError: this and that") as caught:
            list(table().batch(4).map(functions.raise_own_error, workers=2, backend="process"))
        assert "on rows [0, 1, 2, 3] of the source" in caught.value.__notes__[0]

    def test_a_result_that_does_not_pickle_is_an_error(self):
        with pytest.raises(
            TypeError, match=r"Map\(unpicklable_result\): its result does not pickle .* backend='thread'"
        ):
            list(table().batch(4).map(functions.unpicklable_result, workers=2, backend="process"))

    def test_gradients_do_not_reach_through(self):
        pipe = table().batch(4).map(functions.with_gradients, workers=2, backend="process")
        expected = r"Map\(with_gradients\): column 'x' requires gradients, which don't reach through another process\. Detach it"
        with pytest.raises(TypeError, match=expected):
            list(pipe)

    def test_neither_do_those_that_come(self):
        pipe = table().batch(4).map(functions.with_gradients).map(double, workers=2, backend="process")
        with pytest.raises(TypeError, match=r"Map\(double\): column 'x' requires gradients"):
            list(pipe)


class TestAccounts:
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_rows_are_counted_as_without_workers(self, backend):
        pipe = table().batch(4).map(double, workers=3, backend=backend).filter("n", ">", 6)
        list(pipe)
        counts = {stage.name: (stage.rows_in, stage.rows_out) for stage in pipe.stats().stages}
        assert counts["Map(double)"] == (23, 23)
        assert counts["Filter(n > 6)"] == (23, 19)

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_bad_rows_are_set_aside_in_order(self, backend):
        def aside(**where):
            pipe = table().batch(4).map(functions.fail_at_13, on_error="quarantine", **where)
            with pytest.warns(fw.errors.QuarantineWarning, match="1 rows were set aside"):
                rows = numbers(pipe)
            return rows, pipe.quarantined().drop(columns="built_at")

        rows, bad = aside(workers=3, backend=backend)
        assert (rows, bad) == aside()
        assert bad["row"].tolist() == [13]

    def test_rows_without_batches_too(self):
        pipe = table(3000).map(functions.fail_at_13, on_error="quarantine", workers=2)
        with pytest.warns(fw.errors.QuarantineWarning, match="1 rows were set aside"):
            assert numbers(pipe) == [n for n in range(3000) if n != 13]


class TestArguments:
    @pytest.mark.parametrize("workers", [-1, 1.5, True, "2"])
    def test_workers_are_counted(self, workers):
        with pytest.raises(ValueError, match=r"map: workers must be an int of at least 0; got"):
            table().map(double, workers=workers)

    def test_a_backend_has_a_name(self):
        with pytest.raises(ValueError, match=r"map: backend is 'thread' or 'process'; got 'fork'\."):
            table().map(double, workers=1, backend="fork")

    def test_only_processes_die(self):
        with pytest.raises(
            ValueError, match=r"map: retries is for workers that can die; pass backend='process' with it"
        ):
            table().map(double, workers=1, retries=1)

    def test_retries_are_counted(self):
        with pytest.raises(ValueError, match=r"map: retries must be an int of at least 0; got -1\."):
            table().map(double, workers=1, backend="process", retries=-1)

    def test_a_function_that_does_not_pickle_is_refused_where_it_is_given(self):
        expected = (
            r"Map\(<lambda>\), built at .*test_map_workers.py:\d+: backend='process' sends the function to other processes, "
            r"and this one does not pickle \(.*\)\. Define it at the level of a module, or pass backend='thread'\."
        )
        with pytest.raises(TypeError, match=expected):
            table().map(lambda rows: rows, workers=1, backend="process")

    def test_threads_take_any_function(self):
        assert numbers(table(3).batch(1).map(lambda rows: rows, workers=1)) == [0, 1, 2]

    def test_they_say_where_they_run(self):
        pipe = table().map(double, workers=3, backend="process")
        assert (pipe.workers, pipe.backend) == (3, "process")
        assert (table().map(is_odd).workers, table().map(is_odd).backend) == (0, "thread")
        assert pipe.stages() == table().map(double).stages()
