"""Messages that come back: from the next epoch on, the newest first to stay, and saved."""

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.errors import NoRandomAccessError, SchemaMismatchError, StateError, UnknownLengthError
from pipelines import numbers, table, total


def filled(capacity=12):
    replay = fw.Replay(table(1).schema, capacity=capacity, seed=0)
    replay.send(table(9).to_message(), epoch=0)
    return replay


def of_epoch_one():
    return filled().at_epoch(1)


@pytest.mark.parametrize(
    "make",
    [of_epoch_one, lambda: of_epoch_one().map(total).batch(4), lambda: table(5).mix(of_epoch_one(), seed=0)],
    ids=["rows", "batched behind", "mixed"],
)
class TestReplay(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestBoundary:
    def test_rows_count_from_the_next_epoch_on_and_the_newest_stay(self):
        replay = filled()
        assert numbers(replay.at_epoch(0)) == []
        replay.send(table(23).to_message()[15:])
        rows = numbers(replay.at_epoch(1))
        assert sorted(rows) == sorted([*range(5, 9), *range(15, 23)])
        assert rows != sorted(rows)
        assert sorted(numbers(replay.at_epoch(2))) == sorted(rows) != numbers(replay.at_epoch(2))

    def test_sending_within_an_epoch_changes_nothing_of_it(self):
        replay = filled()
        rows = iter(replay.at_epoch(1))
        begun = [next(rows)["n"].item()]
        replay.send(table(3).to_message())
        assert sorted(begun + numbers(rows)) == list(range(9))
        assert len(numbers(replay.at_epoch(2))) == 12

    def test_many_small_messages(self):
        replay = fw.Replay({"n": torch.int64}, 5, seed=0)
        for n in range(100):
            replay.send({"n": torch.tensor([n])})
        assert sorted(numbers(replay.at_epoch(1))) == [95, 96, 97, 98, 99]
        assert sum(map(len, replay._sent)) <= 10

    def test_no_graph_is_kept_and_other_columns_are_left_out(self):
        replay = fw.Replay({"y": (torch.float32, 1)}, 5, seed=0)
        replay.send({"y": torch.nn.Linear(2, 1)(torch.ones(3, 2)), "z": [1, 2, 3]})
        rows = replay.at_epoch(1).to_message()
        assert (rows.columns, rows["y"].requires_grad) == (["y"], False)

    def test_epochs_gone_by(self):
        replay = filled()
        assert len(numbers(replay.at_epoch(3))) == 9
        with pytest.raises(StateError, match=r"replay: the rows of epoch 2 were let go; it is epoch 3\."):
            list(replay.at_epoch(2))
        with pytest.raises(
            ValueError, match=r"replay: what is sent in epoch 1 counts from epoch 2 on, and epoch 3 was read"
        ):
            replay.send(table(1).to_message(), epoch=1)


class TestState:
    def test_a_scaffold_saves_it(self, tmp_path):
        replay = filled()
        rows = iter(replay.at_epoch(1))
        next(rows)
        replay.send(table(3).to_message())
        fw.Scaffold(replay=replay).save(tmp_path)
        fresh = fw.Replay(table(1).schema, capacity=12, seed=0)
        fw.Scaffold(replay=fresh).load(tmp_path)
        again = iter(fresh.at_epoch(1))
        again.load_state_dict(rows.state_dict())
        assert list(again) == list(rows)
        assert list(fresh.at_epoch(2)) == list(replay.at_epoch(2))

    def test_another_state_is_refused(self):
        with pytest.raises(StateError, match=r"replay: expected a state of version 1; got 7\."):
            filled().load_state_dict({"version": 7})
        with pytest.raises(StateError, match=r"replay: the state has the columns \['n'\] of other types than here"):
            filled().load_state_dict(fw.Replay({"n": "int64"}, 3, seed=0).state_dict())


class TestWhatDoesNotFit:
    def test_arguments(self):
        with pytest.raises(ValueError, match="replay: capacity must be an int of at least 1; got None"):
            fw.Replay({"n": "int64"}, seed=0)
        with pytest.raises(ValueError, match="replay: a seed is needed"):
            fw.Replay({"n": "int64"}, 3)

    def test_what_is_sent(self):
        replay = fw.Replay({"n": "int64"}, 3, seed=0)
        with pytest.raises(SchemaMismatchError, match=r"replay: what is sent lacks \['n'\]; it has \['m'\]\."):
            replay.send({"m": [1]})
        with pytest.raises(
            SchemaMismatchError, match=r"replay: expected the column n: int64; what is sent has n: float64\."
        ):
            replay.send({"n": np.array([0.5])})

    def test_it_is_a_stream(self):
        with pytest.raises(UnknownLengthError, match="Replay: how many rows there are differs by epoch"):
            len(filled())
        with pytest.raises(NoRandomAccessError):
            filled()[0]
