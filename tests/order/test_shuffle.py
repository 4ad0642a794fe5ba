"""A shuffle mixes as an exact shuffle does, draws independently of its neighbours, and is named by its place."""

import itertools

import numpy as np
import pytest
import scipy.stats
import torch

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from fireworks.order.keys import random_order
from pipelines import add_noise, counting, double, numbers, table


def unchanged(rows):
    return rows


class TestMixing:
    """Effective batch size: the batch times the class variance of an exact shuffle over the observed one."""

    ROWS, CLASSES, BATCH, EPOCHS = 2_000, 10, 256, 200

    def effective_batch(self, orders):
        labels = np.arange(self.ROWS) // (self.ROWS // self.CLASSES)  # sorted by label, the worst case
        share = 1 / self.CLASSES
        # The variance of a class share in a batch drawn without replacement.
        exact = share * (1 - share) / self.BATCH * (self.ROWS - self.BATCH) / (self.ROWS - 1)
        squares = []
        for order in orders:
            batches = labels[order][: self.ROWS // self.BATCH * self.BATCH].reshape(-1, self.BATCH)
            shares = np.stack([(batches == label).mean(axis=1) for label in range(self.CLASSES)])
            squares.append(((shares - share) ** 2).mean())
        return self.BATCH * exact / np.mean(squares)

    def test_batches_of_rows_sorted_by_label_are_as_good_as_their_size(self):
        orders = [random_order(0, "shuffle:0", epoch, self.ROWS) for epoch in range(self.EPOCHS)]
        assert self.effective_batch(orders) == pytest.approx(self.BATCH, rel=0.04)

    def test_the_measure_finds_a_shuffle_buffer(self):
        random = np.random.default_rng(0)

        def buffered(size):
            buffer, order = list(range(size)), []
            for row in range(size, self.ROWS + size):
                slot = random.integers(len(buffer))
                order.append(buffer[slot])
                if row < self.ROWS:
                    buffer[slot] = row
                else:
                    buffer.pop(slot)
            return np.array(order)

        orders = [buffered(self.ROWS // 20) for _ in range(10)]
        assert all(sorted(order) == list(range(self.ROWS)) for order in orders)
        assert self.effective_batch(orders) < self.BATCH / 20


class TestNeighboursAreIndependent:
    ROWS = 10_000

    @pytest.mark.parametrize(
        ("one", "other"),
        [((0, 0), (1, 0)), ((0, 0), (0, 1)), ((0, 1), (1, 0)), ((7, 3), (8, 2)), ((2**64 - 1, 0), (0, 0))],
        ids=lambda seed_and_epoch: "seed {} epoch {}".format(*seed_and_epoch),
    )
    def test_two_orders_have_nothing_in_common(self, one, other):
        first, second = (random_order(seed, "shuffle:0", epoch, self.ROWS) for seed, epoch in (one, other))
        # Ranks of unrelated orders correlate as normal(0, 1/sqrt(n)); equal positions are Poisson(1).
        assert abs(scipy.stats.spearmanr(first, second).statistic) < 5 / np.sqrt(self.ROWS)
        assert (first == second).sum() < scipy.stats.poisson.isf(1e-6, 1)

    def test_two_seeds_share_no_epoch(self):
        def shared(order):
            zero, one = ({tuple(order(seed, epoch)) for epoch in range(5)} for seed in (0, 1))
            return len(zero & one)

        assert shared(lambda seed, epoch: random_order(seed, "shuffle:0", epoch, 50).tolist()) == 0
        # What other libraries do, and why it is not enough: seed 0 epoch 1 is seed 1 epoch 0.
        assert shared(lambda seed, epoch: np.random.default_rng(seed + epoch).permutation(50).tolist()) == 4

    def test_epochs_of_one_pipe_differ_and_can_be_had_again(self):
        pipe = table(50).shuffle(seed=0)
        epochs = [numbers(pipe) for _ in range(4)]
        assert len({tuple(epoch) for epoch in epochs}) == 4
        assert [numbers(pipe.at_epoch(epoch)) for epoch in range(4)] == epochs


class TestStageNames:
    def test_the_order_of_a_pipe_is_that_of_its_stage(self):
        assert numbers(table(30).shuffle(seed=4)) == random_order(4, "shuffle:0", 0, 30).tolist()

    def test_a_second_shuffle_draws_anew(self):
        first, second = random_order(0, "shuffle:0", 0, 30), random_order(0, "shuffle:1", 0, 30)
        assert numbers(table(30).shuffle(seed=0).shuffle(seed=0)) == first[second].tolist()
        assert (first != second).any()

    def test_stages_that_draw_nothing_change_no_order(self):
        plain = table().shuffle(seed=0)
        longer = table().map(unchanged).select("n").filter("n", ">=", 0).take(99).repeat(1).shuffle(seed=0)
        assert numbers(longer.map(unchanged)) == numbers(plain)

    def test_stages_that_draw_otherwise_change_no_order(self):
        part = table(30).split(1.0, seed=0)[0]
        assert numbers(part.map(add_noise, seed=0).shuffle(seed=0)) == numbers(table(30).shuffle(seed=0))

    def test_a_name_keys_the_draws_in_place_of_the_count(self):
        named = table(30).shuffle(seed=0, name="mine")
        assert numbers(named) == random_order(0, "mine", 0, 30).tolist()
        assert numbers(table(30).shuffle(seed=1).shuffle(seed=0, name="shuffle:0")) == [
            numbers(table(30).shuffle(seed=1))[n] for n in numbers(table(30).shuffle(seed=0))
        ]
        assert repr(named).endswith("Shuffle(seed=0, name='mine')")

    def test_two_zipped_branches_shuffled_with_one_seed_stay_aligned(self):
        left = table().select("x").shuffle(seed=0)
        right = table().map(double).select("n").shuffle(seed=0)
        rows = fw.Zip({"left": left, "right": right}).to_message()
        assert torch.equal(rows["x"][:, 0] / 3 * 2, rows["n"].float())

    def test_a_shuffle_behind_a_junction_counts_none_of_its_components(self):
        branches = fw.Zip({"a": table(30).select("n").shuffle(seed=5), "b": table(30).select("x").shuffle(seed=5)})
        below = numbers(table(30).shuffle(seed=5))
        assert numbers(branches.shuffle(seed=0)) == [below[p] for p in random_order(0, "shuffle:0", 0, 30)]

    def test_shuffle_and_split_of_one_seed_draw_independently(self):
        rows = 10_000
        shuffled, split = random_order(0, "shuffle:0", 0, rows), random_order(0, "split:0", 0, rows)
        assert abs(scipy.stats.spearmanr(shuffled, split).statistic) < 5 / np.sqrt(rows)
        half = set(numbers(table(200).split(0.5, 0.5, seed=0)[0]))
        first_hundred = set(numbers(table(200).shuffle(seed=0))[:100])
        assert 30 < len(half & first_hundred) < 70


class TestWhatAShuffleNeeds:
    def test_a_seed(self):
        with pytest.raises(ValueError, match=r"shuffle: a seed is needed, .* pass seed=0, say\."):
            table().shuffle()

    @pytest.mark.parametrize("seed", [-1, 2**64, True, 0.0, "0"])
    def test_a_seed_that_is_an_int_of_64_bits(self, seed):
        with pytest.raises(ValueError, match=r"shuffle: seed must be an int from 0 to 2\*\*64 - 1; got"):
            table().shuffle(seed=seed)

    def test_a_seed_of_numpy_is_a_seed(self):
        assert numbers(table().shuffle(seed=np.int64(3))) == numbers(table().shuffle(seed=3))

    def test_batches_with_random_access(self):
        with pytest.raises(
            NoRandomAccessError, match=r"shuffle of batches needs random access, and Iterable.* is a str"
        ):
            counting().batch(2).shuffle(seed=0)

    def test_an_input(self):
        with pytest.raises(TypeError, match=r"Shuffle has no input; pass it a pipe"):
            fw.Shuffle(None, seed=0)


class TestItems:
    def test_a_shuffle_behind_batch_moves_whole_batches(self):
        batches = [batch["n"].tolist() for batch in table(20).batch(6).shuffle(seed=0)]
        straight = [batch["n"].tolist() for batch in table(20).batch(6)]
        assert batches == [straight[p] for p in random_order(0, "shuffle:0", 0, 4)]
        assert sorted(itertools.chain(*batches)) == list(range(20))

    def test_no_rows_and_one_row(self):
        assert numbers(table(0).shuffle(seed=0)) == []
        assert numbers(table(1).shuffle(seed=0)) == [0]
