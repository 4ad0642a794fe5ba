"""The order is what its definition says: computed here a second time, slowly, from the sentence in the design."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.order import keys as keys_module
from fireworks.order.keys import keys, part_of_order, permutation, random_order

WORDS = st.integers(0, 2**64 - 1)


def slow_keys(seed, stage, epoch, count):
    """Key p is the p-th word of a Philox stream of SeedSequence([seed, *stage, epoch])."""
    name = stage.encode()
    padded = name + bytes(-len(name) % 4)
    words = [int.from_bytes(padded[i : i + 4], "little") for i in range(0, len(padded), 4)]
    stream = np.random.Philox(np.random.SeedSequence([seed, len(name), *words, epoch]))
    return [int(stream.random_raw()) for _ in range(count)]


def slow_order(seed, stage, epoch, count):
    """Return the positions sorted by (key, position)."""
    by_key = slow_keys(seed, stage, epoch, count)
    return sorted(range(count), key=lambda p: (by_key[p], p))


class TestTheDefinition:
    @given(
        seed=WORDS,
        stage=st.text(min_size=1, max_size=12),
        epoch=st.integers(0, 2**40),
        count=st.integers(0, 300),
    )
    def test_an_order_is_the_positions_sorted_by_philox_key_then_position(self, seed, stage, epoch, count):
        assert random_order(seed, stage, epoch, count).tolist() == slow_order(seed, stage, epoch, count)

    def test_orders_never_change_from_version_to_version(self):
        # Written down once: no later NumPy or fireworks may give another order.
        assert random_order(0, "shuffle:0", 0, 8).tolist() == [4, 3, 2, 6, 7, 1, 5, 0]
        assert keys(2**64 - 1, "split:1", 7, 0, 2).tolist() == [900787762572143326, 6202221938985025821]

    def test_names_that_pad_to_the_same_words_draw_differently(self):
        assert keys(0, "a", 0, 0, 4).tolist() != keys(0, "a\0", 0, 0, 4).tolist()

    @given(cuts=st.lists(st.integers(0, 500), max_size=8), seed=WORDS, epoch=st.integers(0, 9))
    def test_keys_computed_in_pieces_of_any_size_are_the_keys_computed_at_once(self, cuts, seed, epoch):
        edges = [0, *sorted(cuts), 500]
        pieces = [keys(seed, "shuffle:0", epoch, start, stop) for start, stop in itertools.pairwise(edges)]
        assert np.concatenate(pieces).tolist() == keys(seed, "shuffle:0", epoch, 0, 500).tolist()

    @given(start=st.integers(0, 2**50), length=st.integers(0, 9))
    def test_keys_far_down_the_stream_are_had_without_those_before(self, start, length):
        stream = np.random.Philox(np.random.SeedSequence([5, 1, ord("s"), 2]))
        stream.advance(start // 4)
        expected = stream.random_raw(length + 4)[start % 4 :][:length]
        assert keys(5, "s", 2, start, start + length).tolist() == expected.tolist()


class TestTheSort:
    @given(st.lists(WORDS, max_size=200))
    def test_it_agrees_with_pythons_stable_sort(self, words):
        expected = sorted(range(len(words)), key=lambda p: (words[p], p))
        assert permutation(np.array(words, dtype=np.uint64)).tolist() == expected

    @settings(max_examples=300)
    @given(
        high=st.lists(st.sampled_from([0, 1, 2**56 - 1]), min_size=2, max_size=200),
        low=st.data(),
    )
    def test_it_agrees_where_words_differ_in_their_low_bits_alone(self, high, low):
        # A sort that puts the position into the low bits of the key would have to put these right.
        words = [(top << 8) | low.draw(st.integers(0, 255)) for top in high]
        expected = sorted(range(len(words)), key=lambda p: (words[p], p))
        assert permutation(np.array(words, dtype=np.uint64)).tolist() == expected

    def test_every_low_bit_counts_in_a_long_run(self):
        words = np.uint64(7 << 32) + np.arange(5000, dtype=np.uint64)[::-1]
        assert permutation(words).tolist() == list(range(4999, -1, -1))

    def test_equal_words_keep_their_positions(self):
        assert permutation(np.full(1000, 2**64 - 1, dtype=np.uint64)).tolist() == list(range(1000))

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_the_smallest_orders(self, count):
        assert permutation(np.arange(count, dtype=np.uint64)).tolist() == list(range(count))

    def test_a_real_order_of_many_rows_is_numpys_stable_argsort(self):
        words = keys(3, "shuffle:0", 0, 0, 300_000)
        assert np.array_equal(permutation(words), np.argsort(words, kind="stable"))


def chi_squared(orders):
    """Return Pearson's statistic of orders of 5 positions against the uniform distribution over all 120."""
    number = {order: n for n, order in enumerate(itertools.permutations(range(5)))}
    counts = np.bincount([number[tuple(order)] for order in orders], minlength=120)
    expected = len(orders) / 120
    return float(((counts - expected) ** 2 / expected).sum())


class TestUniformity:
    LIMIT = scipy.stats.chi2.isf(1e-6, 119)
    EPOCHS = 12_000

    def test_all_orders_of_five_rows_are_equally_likely_over_epochs(self):
        orders = [random_order(0, "shuffle:0", epoch, 5) for epoch in range(self.EPOCHS)]
        assert chi_squared(orders) < self.LIMIT

    def test_all_orders_of_five_rows_are_equally_likely_over_seeds(self):
        orders = [random_order(seed, "shuffle:0", 0, 5) for seed in range(self.EPOCHS)]
        assert chi_squared(orders) < self.LIMIT

    def test_the_statistic_finds_a_shuffle_that_is_a_little_biased(self):
        # The classic mistake: swap each position with any position, instead of with one not yet fixed.
        random = np.random.default_rng(0)

        def naive_swaps():
            order = list(range(5))
            for i in range(5):
                j = random.integers(5)
                order[i], order[j] = order[j], order[i]
            return order

        assert chi_squared([naive_swaps() for _ in range(self.EPOCHS)]) > self.LIMIT


class TestPartOfAnOrder:
    @settings(max_examples=100, deadline=None)
    @given(count=st.integers(1, 3000), data=st.data())
    def test_it_is_a_part_of_the_whole(self, count, data):
        start = data.draw(st.integers(0, count - 1))
        stop = data.draw(st.integers(start + 1, count))
        whole = random_order(5, "shuffle:0", 2, count)
        assert part_of_order(5, "shuffle:0", 2, count, start, stop).tolist() == whole[start:stop].tolist()

    def test_over_more_keys_than_are_made_at_a_time(self, monkeypatch):
        monkeypatch.setattr(keys_module, "_READ_AT_A_TIME", 64)
        whole = random_order(0, "shuffle:0", 0, 1000)
        assert part_of_order(0, "shuffle:0", 0, 1000, 500, 900).tolist() == whole[500:900].tolist()
