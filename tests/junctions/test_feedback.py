"""Weights that come back: from the next epoch on, in proportion, and saved."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Events

import fireworks as fw
from fireworks.errors import ColumnValueError, NoRandomAccessError, StateError
from pipelines import add_noise, counting, is_odd, numbers, table, total


def weighted(pipe, **options):
    """A feedback that has got something back, in epochs 0 and 1."""
    feedback = fw.Feedback(pipe, seed=3, **options)
    feedback.send([1, 3], [5.0, 0.0], epoch=0)
    feedback.send([5], [4.0], epoch=1)
    return feedback


@pytest.mark.parametrize(
    "make",
    [
        lambda: fw.Feedback(table(9), seed=0),
        lambda: fw.Feedback(table(9).map(total), seed=0, key="n", num_rows=20).batch(4),
        lambda: fw.Feedback(table(23).filter(is_odd).map(add_noise, seed=1), seed=0).map(total).batch(4),
    ],
    ids=["rows", "batched behind", "maps on both sides"],
)
class TestFeedback(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestDraws:
    def test_at_first_an_epoch_is_every_row_once_in_random_order(self):
        feedback = fw.Feedback(table(), seed=0)
        epochs = [numbers(feedback.at_epoch(epoch)) for epoch in range(3)]
        assert [sorted(epoch) for epoch in epochs] == [list(range(23))] * 3
        assert len(set(map(tuple, epochs))) == 3

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.sampled_from([0.0, 0.25, 1.0, 2.0, 7.5]), min_size=1, max_size=30),
        st.integers(1, 90),
        st.integers(0, 2**64 - 1),
    )
    def test_each_row_comes_in_proportion_to_its_weight(self, weights, num_rows, seed):
        if not sum(weights):
            return
        feedback = fw.Feedback(fw.source({"n": torch.arange(len(weights))}), seed=seed, num_rows=num_rows)
        feedback.send(torch.arange(len(weights)), torch.tensor(weights))
        drawn = feedback.at_epoch(1).to_message()
        counts = np.bincount(drawn["n"], minlength=len(weights))
        exact = num_rows * np.array(weights) / sum(weights)
        assert counts.sum() == len(feedback) == num_rows
        assert (np.abs(counts - exact) < 1 + 1e-9).all()
        assert drawn["row"].tolist() == drawn["n"].tolist()

    def test_the_order_is_uniform_enough(self):
        first = [fw.Feedback(table(4), seed=seed)[0]["n"].item() for seed in range(2000)]
        assert abs(np.bincount(first) - 500).max() < 5 * (2000 * 3 / 16) ** 0.5

    def test_maps_run_behind_the_draw_on_rows_asked_for_together(self):
        seen = []

        def note(rows):
            seen.append(len(rows))
            return rows

        feedback = fw.Feedback(table(5000).map(note), seed=0)
        for _ in feedback.batch(100):
            pass
        assert sum(seen) == 5000


class TestBoundary:
    def test_what_is_sent_in_an_epoch_counts_from_the_next_one_on(self):
        feedback = fw.Feedback(table(8), seed=0)
        rows = iter(feedback)
        begun = [next(rows)["n"].item() for _ in range(3)]
        feedback.send([7], [9.0])
        assert sorted(begun + numbers(rows)) == list(range(8))
        assert numbers(feedback).count(7) > 3

    def test_sending_within_an_epoch_changes_nothing_of_it(self):
        feedback = weighted(table(8))
        before = list(feedback.at_epoch(2))
        feedback.send(torch.arange(8), torch.rand(8))
        assert list(feedback.at_epoch(2)) == before
        assert list(feedback.at_epoch(3)) != before

    def test_weights_that_were_not_sent_stay(self):
        feedback = weighted(table(8))
        assert feedback.weights(2).tolist() == [1, 5, 1, 0, 1, 4, 1, 1]
        assert feedback.weights(1).tolist() == [1, 5, 1, 0, 1, 1, 1, 1]
        assert feedback.weights(0).tolist() == [1] * 8
        assert feedback.weights(7).tolist() == feedback.weights(6).tolist() == [1, 5, 1, 0, 1, 4, 1, 1]

    def test_epochs_that_were_passed_over_have_what_was_sent_before_them(self):
        feedback = fw.Feedback(table(3), seed=0)
        feedback.send([1], [5.0], epoch=0)
        assert feedback.weights(4).tolist() == feedback.weights(3).tolist() == [1, 5, 1]

    def test_the_last_word_counts(self):
        feedback = fw.Feedback(table(4), seed=0)
        feedback.send([2, 2, 3], [9.0, 8.0, 7.0])
        feedback.send([3], [6.0])
        assert feedback.weights(1).tolist() == [1, 1, 8, 6]

    def test_weights_of_old_epochs_are_let_go_and_say_so(self):
        feedback = weighted(table(8))
        assert len(numbers(feedback.at_epoch(6))) == 8
        with pytest.raises(
            StateError, match=r"feedback: the weights of epoch 2 were let go; it is epoch 6, and those of t"
        ):
            list(feedback.at_epoch(2))
        assert sorted(numbers(feedback.at_epoch(0))) == list(range(8))

    def test_nothing_is_sent_to_an_epoch_that_was_read(self):
        feedback = weighted(table(8))
        feedback.at_epoch(4)[0]
        with pytest.raises(
            ValueError, match=r"feedback: what is sent in epoch 3 counts from epoch 4 on, and epoch 4 was"
        ):
            feedback.send([0], [1.0], epoch=3)


class TestKeys:
    def test_a_key_of_ones_own(self):
        feedback = fw.Feedback(table(8), seed=0, key="word")
        feedback.send(["word 2", "word 5"], [0.0, 3.0])
        assert feedback.weights(1).tolist() == [1, 1, 0, 1, 1, 3, 1, 1]
        assert feedback.known_columns == ["x", "n", "w", "word"]

    def test_a_batch_brings_its_keys(self):
        feedback = fw.Feedback(table(8), seed=0)
        batch = next(iter(feedback.batch(4)))
        feedback.send(batch, batch["n"].float() * 10)
        expected = [10.0 * n if n in batch["n"].tolist() else 1.0 for n in range(8)]
        assert feedback.weights(1).tolist() == expected
        assert feedback.known_columns == [*table().known_columns, "row"]

    def test_rows_are_those_of_the_input_behind_a_filter(self):
        feedback = fw.Feedback(table(9).filter(is_odd), seed=0)
        rows = feedback.at_epoch(0).to_message()
        assert rows["n"].tolist() == [2 * row + 1 for row in rows["row"].tolist()]


class TestState:
    @pytest.mark.parametrize("stop", range(9))
    def test_saved_with_an_iterator_it_goes_on_to_the_same_rows(self, stop, tmp_path):
        def send_all(feedback, epoch):
            feedback.send(torch.arange(8), torch.arange(8.0) + epoch, epoch=epoch)

        def next_ones(feedback, rows):
            rest = numbers(rows)
            send_all(feedback, 2)
            return rest, numbers(feedback.at_epoch(3))

        feedback = weighted(table(8))
        rows = iter(feedback.at_epoch(2))
        for _ in range(stop):
            next(rows)
        feedback.send([0], [50.0], epoch=2)
        state = rows.state_dict()
        fw.Scaffold(feedback=feedback).save(tmp_path)
        fresh = fw.Feedback(table(8), seed=3)
        fw.Scaffold(feedback=fresh).load(tmp_path)
        again = iter(fresh.at_epoch(2))
        again.load_state_dict(state)
        assert next_ones(fresh, again) == next_ones(feedback, rows)

    def test_it_pickles_with_its_weights(self):
        feedback = weighted(table(8))
        again = pickle.loads(pickle.dumps(feedback))
        assert list(again.at_epoch(2)) == list(feedback.at_epoch(2))

    def test_another_state_is_refused(self):
        with pytest.raises(StateError, match=r"feedback: the state is of 8 rows; the input has 9 \(Memory"):
            fw.Feedback(table(9), seed=0).load_state_dict(weighted(table(8)).state_dict())
        with pytest.raises(StateError, match=r"feedback: expected a state of version 1; got None\."):
            fw.Feedback(table(9), seed=0).load_state_dict({})


class TestTraining:
    @pytest.mark.parametrize("stop", [1, 5, 6, 11])
    def test_a_run_that_is_resumed_draws_the_same_hard_examples(self, stop, tmp_path):
        def make():
            fw.seed_everything(0)
            data = fw.source(
                {"x": torch.arange(12.0).reshape(12, 1) / 12, "y": (torch.arange(12.0) > 9).reshape(12, 1).float()}
            )
            feedback = fw.Feedback(data, seed=0)
            model = fw.Model(torch.nn.Linear(1, 1), in_columns=["x"], out_columns=["out"])
            trainer = fw.Trainer(
                model,
                feedback.batch(3),
                loss=(torch.nn.functional.mse_loss, "out", "y"),
                optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
                progress=False,
            )
            seen = []

            def send(engine):
                rows = engine.state.output
                seen.append(rows["row"].tolist())
                feedback.send(rows, (rows["out"] - rows["y"]).abs().squeeze(1) + 0.01, epoch=trainer.epoch)

            trainer.engine.add_event_handler(Events.ITERATION_COMPLETED, send)
            return trainer, feedback, seen

        whole, _, expected = make()
        whole.run(max_epochs=4)
        first, feedback, seen = make()

        def interrupt(engine):
            if engine.state.iteration == stop + 1:
                raise KeyboardInterrupt

        first.engine.add_event_handler(Events.ITERATION_STARTED, interrupt)
        with pytest.raises(KeyboardInterrupt):
            first.run(max_epochs=4)
        fw.Scaffold(trainer=first, feedback=feedback).save(tmp_path)
        again, fresh, rest = make()
        fw.Scaffold(trainer=again, feedback=fresh).load(tmp_path)
        again.run(max_epochs=4)
        assert seen + rest == expected
        assert again.history == whole.history


class TestWhatDoesNotFit:
    def test_inputs(self):
        with pytest.raises(NoRandomAccessError, match="feedback needs random access"):
            fw.Feedback(counting(), seed=0)
        with pytest.raises(
            ValueError, match=r"feedback: the order of its input changes with every epoch .*leave the shuf"
        ):
            fw.Feedback(table().shuffle(seed=0), seed=0)
        with pytest.raises(TypeError, match=r"feedback: the input is batched .*batch behind it"):
            fw.Feedback(table().batch(2), seed=0)
        with pytest.raises(ValueError, match="feedback: a seed is needed"):
            fw.Feedback(table())
        with pytest.raises(ValueError, match="feedback: num_rows must be an int of at least 1"):
            fw.Feedback(table(), seed=0, num_rows=0)
        with pytest.raises(
            ValueError, match=r"feedback: the input has a column 'row' already; if its values are all diff"
        ):
            fw.Feedback(fw.source({"row": [1]}), seed=0)

    def test_what_is_sent(self):
        feedback = fw.Feedback(table(4), seed=0)
        with pytest.raises(
            ValueError, match=r"feedback: one weight per row is needed, of shape \(2,\); got \(1,\) for 2 rows"
        ):
            feedback.send([1, 2], [1.0])
        for bad in (-1.0, float("nan"), float("inf")):
            with pytest.raises(
                ColumnValueError, match=rf"a weight is a finite number of at least 0; got {bad} for row 2\."
            ):
                feedback.send([1, 2], [1.0, bad])
        for row in (4, -1, 0.5):
            with pytest.raises(
                ColumnValueError, match=rf"feedback: no row has row {row}; weights are sent for the rows of"
            ):
                feedback.send([row], [1.0])
        with pytest.raises(ColumnValueError, match=r"feedback: no row has word 'word 4'; weights are sent"):
            fw.Feedback(table(4), seed=0, key="word").send(["word 1", "word 4"], [1.0, 1.0])
        with pytest.raises(ValueError, match=r"feedback: each row needs a key of its own; row 1 repeats 7 in 'k'\."):
            fw.Feedback(fw.source({"k": [7, 7]}), seed=0, key="k").send([7], [1.0])
        feedback.send(range(4), np.zeros(4))
        with pytest.raises(ColumnValueError, match=r"feedback: all weights of epoch 1 are 0, so no row can be drawn"):
            list(feedback.at_epoch(1))

    def test_an_input_that_has_grown(self):
        feedback = weighted(table(8))
        object.__setattr__(feedback, "input", table(9))
        with pytest.raises(StateError, match=r"feedback: weights were sent for 8 rows, and the input has 9 now"):
            feedback.weights(2)
