"""Epochs belong to the pipe that iter was called on; positions belong to iterators and can be saved and loaded."""

import json
import threading

import pytest

import fireworks as fw
from fireworks.errors import StateError
from pipelines import add_noise, counting, double, numbers, table


def shuffled(epoch, seed=0, num_rows=23):
    return numbers(table(num_rows).shuffle(seed=seed).at_epoch(epoch))


class TestEpochs:
    def test_each_iter_starts_the_next_epoch(self):
        pipe = table().shuffle(seed=0)
        assert [numbers(pipe) for _ in range(3)] == [shuffled(0), shuffled(1), shuffled(2)]

    def test_an_iterator_that_is_not_read_to_its_end_counts_too(self):
        pipe = table().shuffle(seed=0)
        next(iter(pipe))
        assert iter(pipe).epoch == 1

    def test_the_counter_belongs_to_the_pipe_that_was_iterated_and_to_nothing_upstream(self):
        below = table().shuffle(seed=0)
        above = below.batch(4)
        list(above), list(above)
        assert numbers(below) == shuffled(0)
        assert numbers(above) == shuffled(2)
        assert numbers(below.batch(4)) == shuffled(0)

    def test_nothing_but_iter_counts(self):
        pipe = table().shuffle(seed=0).batch(4)
        pipe[0], pipe[1:], len(pipe), pipe.num_rows, pipe.head(2), pipe.to_message(), repr(pipe), pipe.at_epoch(3)[0]
        list(pipe.at_epoch(7))
        pipe(fw.Message({"n": [1]}))
        assert iter(pipe).epoch == 0

    def test_a_view_of_one_epoch_is_always_that_epoch(self):
        view = table().shuffle(seed=0).at_epoch(2)
        assert [numbers(view) for _ in range(3)] == [shuffled(2)] * 3
        assert view.to_message()["n"].tolist() == view[:]["n"].tolist() == shuffled(2)
        assert numbers(view.at_epoch(5)) == shuffled(2)
        behind = view.batch(5)
        assert numbers(behind) == numbers(behind) == shuffled(2)

    def test_random_access_is_epoch_zero(self):
        pipe = table().shuffle(seed=0)
        list(pipe)
        assert pipe[:]["n"].tolist() == pipe.to_message()["n"].tolist() == shuffled(0)
        assert pipe.get(slice(None), epoch=1)["n"].tolist() == shuffled(1)

    def test_epoch_e_of_a_repetition_is_its_inputs_epochs_from_e_times_n(self):
        pipe = table().shuffle(seed=0).repeat(3)
        assert numbers(pipe) == shuffled(0) + shuffled(1) + shuffled(2)
        assert numbers(pipe) == shuffled(3) + shuffled(4) + shuffled(5)
        nested = table().shuffle(seed=0).repeat(2).repeat(2)
        assert numbers(nested.at_epoch(1)) == shuffled(4) + shuffled(5) + shuffled(6) + shuffled(7)

    @pytest.mark.parametrize("epoch", [-1, True, 1.0, "1", None])
    def test_an_epoch_is_an_int_from_zero(self, epoch):
        with pytest.raises(ValueError, match="at_epoch: epoch must be an int of at least 0; got"):
            table().at_epoch(epoch)


PIPES = {
    "rows": lambda: table().map(add_noise, seed=1).shuffle(seed=0),
    "batches": lambda: table().shuffle(seed=0).batch(4).map(add_noise, seed=1),
    "stream": lambda: counting().map(add_noise, seed=1).batch(4),
    "filtered": lambda: table().shuffle(seed=0).filter("n", ">", 4).repeat(2),
}


class TestState:
    @pytest.mark.parametrize("name", PIPES)
    def test_a_state_is_json_and_holds_no_rows(self, name):
        iterator = iter(PIPES[name]())
        next(iterator)
        state = iterator.state_dict()
        assert json.loads(json.dumps(state)) == state
        assert state.keys() == {"version", "pipe", "epoch", "cursor"}
        assert "word 1" not in json.dumps(state)

    @pytest.mark.parametrize("name", PIPES)
    def test_taking_a_state_reads_nothing(self, name):
        iterator = iter(PIPES[name]())
        next(iterator)
        assert iterator.state_dict() == iterator.state_dict()

    @pytest.mark.parametrize("name", PIPES)
    def test_the_state_at_the_end_is_the_end(self, name):
        iterator = iter(PIPES[name]())
        list(iterator)
        resumed = iter(PIPES[name]())
        resumed.load_state_dict(iterator.state_dict())
        assert next(resumed, None) is None
        assert next(iterator, None) is None

    def test_a_state_can_be_loaded_into_an_iterator_that_is_under_way(self):
        pipe = table().shuffle(seed=0).batch(4)
        iterator = iter(pipe)
        start = iterator.state_dict()
        whole = numbers(iterator)
        iterator.load_state_dict(start)
        assert numbers(iterator) == whole

    def test_loading_sets_the_epoch_counter_to_the_epoch_after(self):
        pipe = table().shuffle(seed=0)
        for _ in range(3):
            running = iter(pipe)
        next(running)
        fresh = table().shuffle(seed=0)
        resumed = iter(fresh)
        resumed.load_state_dict(running.state_dict())
        assert resumed.epoch == 2
        assert numbers(resumed) == shuffled(2)[1:]
        assert numbers(fresh) == shuffled(3)

    def test_a_state_says_where_it_stands_in_items(self):
        iterator = iter(table().batch(4))
        next(iterator), next(iterator)
        assert iterator.state_dict()["cursor"] == {"position": 2}


class TestStatesThatDontFit:
    @pytest.mark.parametrize(
        ("saved", "ours", "message"),
        [
            (
                lambda: table().shuffle(seed=0).batch(4),
                lambda: table().shuffle(seed=1).batch(4),
                r"stage 1 was Shuffle\(seed=0\), it is Shuffle\(seed=1\)",
            ),
            (table, lambda: table(9), r"stage 0 was Memory\(23 rows: x, n, w, word\), it is Memory\(9 rows"),
            (lambda: table().batch(4), lambda: table().batch(5), r"stage 1 was Batch\(4\), it is Batch\(5\)"),
            (table, lambda: table().map(double), r"1 stages were saved, there are 2"),
            (
                lambda: table().map(add_noise, seed=0, name="a"),
                lambda: table().map(add_noise, seed=0, name="b"),
                r"stage 1 was Map\(add_noise, seed=0, name='a'\), it is Map\(add_noise, seed=0, name='b'\)",
            ),
            (
                lambda: table().filter("word", "==", "1"),
                lambda: table().filter("word", "==", 1),
                r"stage 1 was Filter\(word == '1'\), it is Filter\(word == 1\)",
            ),
            (
                lambda: fw.Zip({"a": table().select("n"), "b": table().shuffle(seed=0).select("x")}),
                lambda: fw.Zip({"a": table().select("n"), "b": table().shuffle(seed=1).select("x")}),
                r"stage 0 was Zip\(.*seed=0.*\), it is Zip\(.*seed=1",
            ),
        ],
    )
    def test_of_another_pipe(self, saved, ours, message):
        with pytest.raises(
            StateError, match=rf"^PipeIterator: the state is of another pipe: {message}.*Build the pipe"
        ):
            iter(ours()).load_state_dict(iter(saved()).state_dict())

    def test_of_another_version(self):
        state = iter(table()).state_dict() | {"version": 0}
        with pytest.raises(StateError, match=r"expected a state of version 1; got \{'version': 0.*Save it again"):
            iter(table()).load_state_dict(state)

    def test_a_failed_load_changes_nothing(self):
        pipe = table()
        iterator = iter(pipe)
        next(iterator)
        with pytest.raises(StateError):
            iterator.load_state_dict({})
        assert numbers(iterator) == list(range(1, 23))
        assert iter(pipe).epoch == 1


class TestThreads:
    def test_iterators_in_many_threads_don_t_disturb_each_other(self):
        pipe = table(200).map(add_noise, seed=1).shuffle(seed=0).batch(7)
        expected = list(pipe.at_epoch(0))
        found = {}

        def read(name):
            found[name] = list(pipe.at_epoch(0))

        threads = [threading.Thread(target=read, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(found[name] == expected for name in range(6))


class TestPlans:
    def test_a_pipe_names_its_stages_from_the_source_down(self):
        pipe = table().select("n").map(add_noise, seed=1).shuffle(seed=0).batch(4, drop_last=True).take(2).repeat(3)
        assert repr(pipe.at_epoch(1)) == (
            "Memory(23 rows: x, n, w, word) → Select(n) → Map(add_noise, seed=1) → Shuffle(seed=0) → "
            "Batch(4, drop_last=True) → Take(2) → Repeat(3) → AtEpoch(1)"
        )


class TestStatesOfFiles:
    def test_other_data_are_not_gone_on_with(self, tmp_path):
        path = tmp_path / "n.csv"
        path.write_text("n\n" + "\n".join(map(str, range(100))))
        iterator = iter(fw.read_csv(path).shuffle(seed=0).batch(10))
        next(iterator)
        state = iterator.state_dict()
        (tmp_path / "moved").mkdir()
        again = iter(fw.read_csv(path.rename(tmp_path / "moved" / "n.csv")).shuffle(seed=0).batch(10))
        again.load_state_dict(state)
        assert next(again) == next(iterator)
        (tmp_path / "moved" / "n.csv").write_text("n\n" + "\n".join(map(str, range(1, 101))))
        with pytest.raises(
            StateError, match=r"the state is of other data: Csv\(n\.csv: n\) is not as it was\. Bring back"
        ):
            iter(fw.read_csv(tmp_path / "moved" / "n.csv").shuffle(seed=0).batch(10)).load_state_dict(state)
