"""The parts of a split are disjoint, complete, in order, of the sizes asked for, and the same in every epoch."""

import gc
import itertools
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, NoRandomAccessError
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


def people(num_rows=60):
    """Rows with a label of three unequal classes, one of them null, and users of several rows each."""
    labels = [("a", "b", "a", None, "a")[n % 5] for n in range(num_rows)]
    return fw.source({"n": range(num_rows), "label": labels, "user": [n * n % 17 for n in range(num_rows)]})


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table(30).split(0.5, 0.5, seed=0)[1],
            lambda: table(30).batch(3).split(0.5, 0.5, seed=0)[0],
            lambda: people(40).split(0.5, 0.5, seed=0, stratify="label")[1],
            lambda: people(40).split(0.5, 0.5, seed=0, group="user")[0].shuffle(seed=1).batch(4),
            lambda: people(40).filter("n", ">", 4).split(10, 7, seed=0, stratify="label")[1],
        ],
        ids=["rows", "batches", "stratified", "grouped", "counts"],
    )
    def make_pipe(self, request):
        return request.param


class TestCounts:
    def test_parts_have_as_many_as_were_asked_for_and_the_rest_is_in_none(self):
        parts = [numbers(part) for part in table(23).split(10, 3, seed=4)]
        order = random_order(4, "split:0", 0, 23).tolist()
        assert parts == [sorted(order[:10]), sorted(order[10:13])]

    def test_counts_of_all_are_the_split_by_fractions_of_these_sizes(self):
        assert numbers(table(20).split(16, 4, seed=0)[1]) == numbers(table(20).split(0.8, 0.2, seed=0)[1])

    def test_they_say_so_in_the_plan(self):
        assert repr(table(20).split(16, 4, seed=0)[1]).endswith("Split(16, 4, seed=0)[1]")

    def test_too_many(self):
        with pytest.raises(ValueError, match=r"split: \[20, 4\] are 24 items, and the input has 23; take fewer\."):
            table(23).split(20, 4, seed=0)

    @pytest.mark.parametrize("sizes", [(0, 3), (-1,)])
    def test_at_least_one(self, sizes):
        with pytest.raises(
            ValueError, match=r"split: counts are at least 1 each; got .* Fractions have a point: 1\.0\."
        ):
            table(23).split(*sizes, seed=0)

    @pytest.mark.parametrize("sizes", [(True, False), (None, 0.5), (0.5, torch.tensor(0.5))])
    def test_no_other_things(self, sizes):
        with pytest.raises(TypeError, match=r"split: a size is a fraction or a count; got .* of type "):
            table(23).split(*sizes, seed=0)

    @pytest.mark.parametrize("number", [2, -1, True, 0.5])
    def test_the_number_of_a_part(self, number):
        with pytest.raises(ValueError, match=r"split: there are parts 0 to 1; got "):
            fw.Part(table(), (0.5, 0.5), number, seed=0)


class TestStratified:
    @given(
        labels=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=12, max_size=80),
        hundredths=HUNDREDTHS,
        seed=st.integers(0, 2**64 - 1),
    )
    def test_each_class_is_shared_out_within_a_row_and_the_parts_keep_order(self, labels, hundredths, seed):
        fractions = [n / 100 for n in whole(hundredths)]
        data = fw.source({"n": range(len(labels)), "label": labels})
        sizes = part_sizes(len(labels), fractions)
        if min(sizes) < 2:  # a part may be empty, and that is an error
            return
        parts = [part.to_message() for part in data.split(*fractions, seed=seed, stratify="label")]
        assert sorted(n for part in parts for n in part["n"].tolist()) == list(range(len(labels)))
        for part in parts:
            assert part["n"].tolist() == sorted(part["n"].tolist())
            for label in set(labels):
                have = sum(labels[n] == label for n in part["n"].tolist())
                of_class = labels.count(label)
                size = sizes[[p is part for p in parts].index(True)]
                assert abs(have - Fraction(of_class * size, len(labels))) < 1

    def test_two_parts_have_the_sizes_of_a_plain_split(self):
        parts = people().split(0.7, 0.3, seed=0, stratify="label")
        assert list(map(len, parts)) == part_sizes(60, [0.7, 0.3])

    def test_who_is_drawn_is_decided_by_the_order_of_the_stage(self):
        order = random_order(3, "split:0", 0, 60).tolist()
        labels = [("a", "b", "a", None, "a")[n % 5] for n in range(60)]
        test = people().split(0.5, 0.5, seed=3, stratify="label")[0]
        expected = []
        for label in dict.fromkeys(labels):
            of_class = [n for n in order if labels[n] == label]
            expected += of_class[: len(of_class) // 2]
        assert test.to_message()["n"].tolist() == sorted(expected)

    def test_null_and_nan_are_one_class(self):
        data = fw.source({"n": range(40), "y": [float("nan") if n % 2 else 1.0 for n in range(40)]})
        assert pd.isna(data.split(0.5, 0.5, seed=0, stratify="y")[0].to_message()["y"]).sum() == 10

    def test_a_class_of_one_row_is_in_one_part(self):
        data = fw.source({"n": range(9), "y": [0] * 8 + [1]})
        assert sum(1 in part.to_message()["y"].tolist() for part in data.split(0.5, 0.5, seed=0, stratify="y")) == 1

    def test_seeds_draw_independently(self):
        drawn = [
            tuple(people().split(0.5, 0.5, seed=seed, stratify="label")[0].to_message()["n"].tolist())
            for seed in range(8)
        ]
        assert len(set(drawn)) == 8


class TestGrouped:
    @given(
        users=st.lists(st.integers(0, 9), min_size=6, max_size=60).filter(lambda users: len(set(users)) >= 3),
        seed=st.integers(0, 2**64 - 1),
    )
    def test_no_group_is_in_two_parts_and_all_rows_are_there(self, users, seed):
        data = fw.source({"n": range(len(users)), "user": users})
        parts = [part.to_message() for part in data.split(0.5, 0.25, 0.25, seed=seed, group="user")]
        assert sorted(n for part in parts for n in part["n"].tolist()) == list(range(len(users)))
        assert all(part["n"].tolist() == sorted(part["n"].tolist()) for part in parts)
        for one, other in itertools.combinations(parts, 2):
            assert not set(one["user"].tolist()) & set(other["user"].tolist())

    def test_sizes_are_near(self):
        source = np.random.default_rng(0)
        data = fw.source({"user": source.integers(0, 500, 5000)})
        assert [len(part) for part in data.split(0.8, 0.2, seed=1, group="user")] == [4000, 1000]

    def test_with_counts_what_is_left_over_has_groups_of_its_own(self):
        parts = [part.to_message() for part in people().split(20, 10, seed=0, group="user")]
        assert not set(parts[0]["user"].tolist()) & set(parts[1]["user"].tolist())
        assert abs(len(parts[0]) - 20) < 12
        assert abs(len(parts[1]) - 10) < 12

    def test_fewer_groups_than_parts(self):
        with pytest.raises(
            ValueError, match=r"split: column 'user' has 1 group, and there are 2 parts, which have no group"
        ):
            fw.source({"user": [3, 3, 3, 3]}).split(0.5, 0.5, seed=0, group="user")

    def test_rows_without_a_group(self):
        data = fw.source({"user": ["a", None, "b", None]})
        with pytest.raises(
            ColumnValueError, match=r"split: column 'user' is null in rows \[1, 3\] of the input.*'is not null'"
        ):
            data.split(0.5, 0.5, seed=0, group="user")
        assert len(data.filter("user", "is not null").split(0.5, 0.5, seed=0, group="user")) == 2

    def test_a_group_beside_classes(self):
        with pytest.raises(
            ValueError, match=r"split: stratify='label' and group='user' ask for two things that exclude"
        ):
            people().split(0.5, 0.5, seed=0, stratify="label", group="user")


class TestWhatIsRead:
    def test_one_column_once_for_all_parts(self):
        source = Watched({"n": torch.arange(50), "label": [n % 3 for n in range(50)], "x": torch.rand(50, 8)})
        parts = source.split(0.5, 0.3, 0.2, seed=0, stratify="label")
        again = source.split(0.9, 0.1, seed=1, stratify="label")
        assert sum(len(part) for part in (*parts, *again)) == 100
        assert source.columns_read() == {"label"}
        assert source.rows_read() == 50

    def test_nothing_without_a_column(self):
        source = Watched({"n": torch.arange(50)})
        assert [len(part) for part in source.split(0.5, 0.5, seed=0)] == [25, 25]
        assert source.rows_read() == 0

    def test_one_column_of_a_parquet_file(self, tmp_path, monkeypatch):
        people(50).to_message().to_parquet(tmp_path / "people.parquet")
        asked = []
        fetch = fw.ParquetSource.fetch

        def watched(self, rows):
            asked.append(self.known_columns)
            return fetch(self, rows)

        monkeypatch.setattr(fw.ParquetSource, "fetch", watched)
        parts = fw.read_parquet(tmp_path / "people.parquet").split(0.5, 0.5, seed=0, group="user")
        assert sum(map(len, parts)) == 50
        assert {tuple(columns) for columns in asked} == {("user",)}

    def test_a_column_that_a_function_makes_is_read_through_it(self):
        source = Watched({"n": torch.arange(50), "x": torch.rand(50)})
        parts = source.map(lambda rows: rows.assign(odd=rows["n"] % 2)).split(0.5, 0.5, seed=0, stratify="odd")
        assert [part.to_message()["odd"].sum().item() for part in parts] in ([13, 12], [12, 13])

    def test_what_is_kept_goes_with_the_pipe(self):
        from fireworks.order.column import _known

        data = people()
        data.split(0.5, 0.5, seed=0, stratify="label")
        assert data in _known
        before = len(_known)
        del data
        gc.collect()
        assert len(_known) < before

    def test_a_pickled_part_carries_no_positions(self):
        part = people(5000).select("label").split(0.5, 0.5, seed=0, stratify="label")[0]
        one = len(pickle.dumps(part))
        assert one < len(pickle.dumps(part.upstream)) + 1000


class TestColumnsThatDecideNothing:
    def test_an_unknown_one(self):
        with pytest.raises(ColumnNotFoundError, match=r"split: no column 'lable'.* Did you mean 'label'\?"):
            people().split(0.5, 0.5, seed=0, stratify="lable")

    def test_no_name(self):
        with pytest.raises(TypeError, match=r"split: stratify is the name of a column; got \[0, 1\] of type list"):
            people().split(0.5, 0.5, seed=0, stratify=[0, 1])

    def test_a_column_of_rows_behind_batch(self):
        with pytest.raises(
            TypeError, match=r"split: column 'label' is of rows, and the items .* Put it before \.batch\."
        ):
            people().batch(4).split(0.5, 0.5, seed=0, stratify="label")

    def test_values_that_change_by_epoch(self):
        with pytest.raises(
            ValueError, match=r"the values of its input change with every epoch .* Split first, then map each"
        ):
            table().map(add_noise, seed=0).split(0.5, 0.5, seed=0, stratify="noise")

    def test_tensors_of_several_numbers(self):
        with pytest.raises(
            ColumnTypeError, match=r"split: column 'x' is a tensor of torch\.float32 in rows of shape \(3,\)"
        ):
            table().split(0.5, 0.5, seed=0, group="x")

    def test_an_order_that_a_sample_draws(self):
        with pytest.raises(ValueError, match=r"changes with every epoch .* Split first, then shuffle each part\."):
            table().sample(10, seed=0).split(0.5, 0.5, seed=0)


class TestLiveTables:
    """What is built on a table keeps to the rows of one query, so that parts stay disjoint while the table grows."""

    @pytest.mark.parametrize(
        "parts_of",
        [
            lambda data: data.split(0.5, 0.5, seed=0, stratify="k"),
            lambda data: data.split(0.5, 0.5, seed=0, group="n"),
            lambda data: data.split_by_time("n", 0.5, 0.5),
            lambda data: data.split_by_hash("n", 0.5, 0.5, seed=0),
            lambda data: [validation for _, validation in data.kfold(3, seed=0)],
        ],
        ids=["stratified", "grouped", "by time", "by hash", "kfold"],
    )
    def test_parts_are_of_one_query(self, parts_of, tmp_path):
        from fireworks.database import TablePipe

        with TablePipe("numbers", tmp_path / "numbers.db") as data:
            data.insert({"n": list(range(20)), "k": [n % 2 for n in range(20)]})
            parts = parts_of(data)
            first = parts[0].to_message()["n"].tolist()
            data.insert({"n": list(range(20, 40)), "k": [0] * 20})
            rest = [n for part in parts[1:] for n in part.to_message()["n"].tolist()]
            assert sorted(first + rest) == list(range(20))


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.split(0.5, 0.5, seed=0, stratify="label")[0],
        lambda data: data.split_by_time("n", 0.5, 0.5)[1],
        lambda data: data.split_by_hash("user", 0.5, 0.5, seed=0)[1],
        lambda data: data.kfold(3, group="user")[1][0],
        lambda data: data.sample(5, seed=0),
        lambda data: data.oversample("label", seed=0),
        lambda data: data.bootstrap(seed=0),
        lambda data: data.batch(4).shard(0, 2),
    ],
)
def test_every_part_and_sample_can_be_explained_drawn_and_tried(make):
    pipe = make(people())
    text = pipe.describe()
    plan = str(pipe.explain())
    assert text in plan
    assert text.partition("(")[0] in str(pipe.draw()._repr_svg_())
    pipe.dry_run(strict=True)
    assert list(pipe.as_written().at_epoch(0)) == list(pipe.at_epoch(0))
