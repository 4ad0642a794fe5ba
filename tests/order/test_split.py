"""The parts of a split are disjoint, complete, in order, of the sizes asked for, and the same in every epoch."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from fireworks.order.keys import random_order
from fireworks.order.split import part_sizes
from pipelines import add_noise, counting, numbers, table

HUNDREDTHS = st.lists(st.integers(1, 60), min_size=1, max_size=6).filter(lambda parts: sum(parts) <= 100)


def whole(hundredths):
    """Fill up to 100 hundredths."""
    return [*hundredths, 100 - sum(hundredths)] if sum(hundredths) < 100 else hundredths


def slow_sizes(count, shares):
    """Largest remainders in exact arithmetic: one item at a time to whoever is owed most, the earlier first."""
    owed = [count * share for share in shares]
    sizes = [share.numerator // share.denominator for share in owed]
    while sum(sizes) < count:
        remainders = [share - size for share, size in zip(owed, sizes, strict=True)]
        sizes[remainders.index(max(remainders))] += 1
    return sizes


class TestSizes:
    @given(hundredths=HUNDREDTHS, count=st.integers(0, 10**12))
    def test_sizes_are_those_of_exact_arithmetic(self, hundredths, count):
        parts = whole(hundredths)
        assert part_sizes(count, [n / 100 for n in parts]) == slow_sizes(count, [Fraction(n, 100) for n in parts])

    def test_ties_between_remainders_go_to_the_earlier_part(self):
        # 0.3 as a float is a little less than three tenths; 5 items by 0.3 and 0.7 leave equal remainders all the same.
        for count, first, second in itertools.product(range(40), range(5, 100, 5), range(5, 100, 5)):
            parts = whole([first, second] if first + second < 100 else [first])
            assert part_sizes(count, [n / 100 for n in parts]) == slow_sizes(count, [Fraction(n, 100) for n in parts])

    @given(parts=st.integers(1, 12), count=st.integers(0, 10**12))
    def test_equal_fractions_differ_by_one_item_at_most_and_the_earlier_parts_have_it(self, parts, count):
        sizes = part_sizes(count, [1 / parts] * parts)
        assert sum(sizes) == count
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] - sizes[-1] <= 1

    @given(weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=8), count=st.integers(0, 10**12))
    def test_sizes_add_up_and_none_is_off_by_an_item(self, weights, count):
        fractions = [weight / sum(weights) for weight in weights]
        sizes = part_sizes(count, fractions)
        assert sum(sizes) == count
        for size, fraction in zip(sizes, fractions, strict=True):
            assert abs(size - count * fraction) < 1 + 1e-9 * count


class TestParts:
    @given(hundredths=HUNDREDTHS, count=st.integers(100, 250), seed=st.integers(0, 2**64 - 1))
    def test_parts_are_disjoint_and_complete_and_keep_the_inputs_order(self, hundredths, count, seed):
        fractions = [n / 100 for n in whole(hundredths)]
        parts = [numbers(part.batch(50)) for part in fw.source({"n": range(count)}).split(*fractions, seed=seed)]
        assert sorted(n for part in parts for n in part) == list(range(count))
        assert all(part == sorted(part) for part in parts)
        assert list(map(len, parts)) == part_sizes(count, fractions)

    def test_who_falls_where_is_decided_by_the_order_of_the_stage(self):
        order = random_order(9, "split:0", 0, 23).tolist()
        train, test = table(23).split(0.7, 0.3, seed=9)
        assert numbers(train) == sorted(order[:16])
        assert numbers(test) == sorted(order[16:])

    def test_a_split_is_the_same_in_every_epoch(self):
        part = table().split(0.5, 0.5, seed=0)[1]
        assert len({tuple(numbers(part)) for _ in range(3)}) == 1
        shuffled = part.shuffle(seed=0)
        assert {tuple(sorted(numbers(shuffled))) for _ in range(3)} == {tuple(numbers(part))}

    def test_a_split_of_a_split_draws_anew(self):
        outer = numbers(table(40).split(0.5, 0.5, seed=0)[0])
        inner = numbers(table(40).split(0.5, 0.5, seed=0)[0].split(0.5, 0.5, seed=0)[0])
        chosen = sorted(random_order(0, "split:1", 0, 20)[:10].tolist())
        assert inner == [outer[p] for p in chosen]

    def test_a_name_keys_the_draws_and_is_part_of_the_plan(self):
        named = table().split(0.5, 0.5, seed=0, name="outer")[0]
        assert numbers(named) == sorted(random_order(0, "outer", 0, 23)[:12].tolist())
        assert repr(named).endswith("Split(0.5, 0.5, seed=0, name='outer')[0]")

    def test_a_split_behind_batch_shares_out_whole_batches(self):
        one, other = table(20).batch(4).split(0.6, 0.4, seed=0)
        assert (len(one), len(other)) == (3, 2)
        assert sorted(numbers(one) + numbers(other)) == list(range(20))

    def test_a_split_behind_a_filter_shares_out_what_was_kept(self):
        parts = table(20).filter("n", "<", 7).split(0.5, 0.5, seed=0)
        assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(7))

    def test_one_part_of_everything_is_everything(self):
        assert numbers(table().split(1.0, seed=0)[0]) == list(range(23))


class TestWhatASplitNeeds:
    @pytest.mark.parametrize(
        "fractions", [(), (0.5,), (0.8, 0.3), (1.2, -0.2), (1.0, 0.0), (float("nan"), 1.0)], ids=repr
    )
    def test_positive_fractions_that_sum_to_one(self, fractions):
        with pytest.raises(ValueError, match=r"split: fractions must be positive and sum to 1; got \["):
            table().split(*fractions, seed=0)
        with pytest.raises(ValueError, match=r"split: fractions must be positive and sum to 1; got \["):
            fw.Part(table(), fractions, 0, seed=0)

    def test_a_seed(self):
        with pytest.raises(ValueError, match=r"split: a seed is needed"):
            table().split(0.5, 0.5)

    def test_an_item_in_each_part(self):
        with pytest.raises(ValueError, match=r"split: 3 items by \[0\.9, 0\.1\] leave part 1 empty; give it a larger"):
            table(3).split(0.9, 0.1, seed=0)

    def test_random_access(self):
        with pytest.raises(NoRandomAccessError, match="split needs random access"):
            counting().split(0.5, 0.5, seed=0)

    @pytest.mark.parametrize(
        "below",
        [
            lambda: table().shuffle(seed=0),
            lambda: table().shuffle(seed=0).batch(4),
            lambda: table().shuffle(seed=0).repeat(2),
            lambda: table().batch(4).shuffle(seed=0).map(add_noise, seed=1),
            lambda: fw.Zip({"a": table().select("n"), "b": table().select("x").shuffle(seed=0)}),
        ],
    )
    def test_an_order_that_stays(self, below):
        with pytest.raises(ValueError, match=r"changes with every epoch .* Split first, then shuffle each part\."):
            below().split(0.5, 0.5, seed=0)

    def test_an_order_fixed_to_one_epoch_stays(self):
        parts = table().shuffle(seed=0).at_epoch(3).split(0.5, 0.5, seed=0)
        assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(23))

    def test_values_that_vary_are_no_hindrance(self):
        parts = table().map(add_noise, seed=0).split(0.5, 0.5, seed=0)
        assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(23))


class TestClearRefusals:
    def test_a_list_of_fractions(self):
        with pytest.raises(
            ValueError, match=r"write the fractions one by one, split\(0\.8, 0\.2, seed=0\); got \(\[0\.8, 0\.2\],\)"
        ):
            fw.source({"n": [1, 2]}).split([0.8, 0.2], seed=0)

    def test_no_rows_at_all(self):
        with pytest.raises(
            ValueError, match=r"split: its input has no rows \(Memory\(2 rows: n\) → Filter\(n > 5\)\); insert some"
        ):
            fw.source({"n": [1, 2]}).filter("n", ">", 5).split(0.8, 0.2, seed=0)
