"""Every path of a shuffle is exactly uniform; what others do instead is found out by the same tests."""

import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import fireworks as fw
from order.uniformity import (
    assert_every_order_is_equally_likely,
    assert_p_values_are_uniform,
    assert_sorted_labels_are_mixed,
    chi_squared,
    sorted_rows,
)


def in_memory(num_rows, seed):
    return fw.source(sorted_rows(num_rows)).shuffle(seed=seed)


def behind_a_filter(num_rows, seed):
    return fw.source(sorted_rows(num_rows)).filter("n >= 0").map(unchanged).shuffle(seed=seed)


def of_batches_of_one(num_rows, seed):
    return fw.source(sorted_rows(num_rows)).batch(1).shuffle(seed=seed).unbatch()


def of_a_concat(num_rows, seed):
    data = fw.source(sorted_rows(num_rows))
    return data.take(2).concat(data.skip(2)).shuffle(seed=seed)


def of_a_stream(num_rows, seed):
    return fw.source(lambda: iter([sorted_rows(num_rows)])).shuffle(seed=seed)


def unchanged(rows):
    return rows


@pytest.fixture
def of_parquet(tmp_path):
    def make(num_rows, seed):
        path = tmp_path / f"{num_rows}.parquet"
        if not path.exists():
            sorted_rows(num_rows).to_parquet(path, row_group_size=max(2, num_rows // 7))
        return fw.read_parquet(path).shuffle(seed=seed)

    return make


PATHS = [in_memory, behind_a_filter, of_batches_of_one, of_a_concat, of_a_stream]


class TestEveryOrder:
    @pytest.mark.parametrize("make_pipe", PATHS, ids=lambda make: make.__name__)
    def test_of_five_rows_is_equally_likely(self, make_pipe):
        draws = 3000 if make_pipe is in_memory else 960
        assert_every_order_is_equally_likely(make_pipe, epochs=draws, seeds=draws)

    def test_of_a_parquet_file(self, of_parquet):
        assert_every_order_is_equally_likely(of_parquet, epochs=960, seeds=0)

    def test_of_a_dataloader(self):
        def read(pipe, epoch):
            dataset = pipe.as_dataset()
            dataset.set_epoch(epoch)
            return [n for batch in DataLoader(dataset, batch_size=2) for n in batch["n"].tolist()]

        assert_every_order_is_equally_likely(in_memory, read=read, epochs=960, seeds=0)

    def test_of_a_dataloader_that_iterates(self):
        def read(pipe, epoch):
            dataset = pipe.batch(2).as_iterable_dataset()
            dataset.set_epoch(epoch)
            return [n for batch in DataLoader(dataset, batch_size=None) for n in batch["n"].tolist()]

        assert_every_order_is_equally_likely(in_memory, read=read, epochs=960, seeds=0)


class TestSortedLabels:
    @pytest.mark.parametrize("make_pipe", PATHS, ids=lambda make: make.__name__)
    def test_are_mixed(self, make_pipe):
        assert_sorted_labels_are_mixed(make_pipe, num_rows=10_000)

    def test_of_a_parquet_file(self, of_parquet):
        assert_sorted_labels_are_mixed(of_parquet)

    @pytest.mark.parametrize("make_pipe", [in_memory, of_a_stream], ids=lambda make: make.__name__)
    def test_are_mixed_as_by_chance_in_every_epoch(self, make_pipe):
        assert_p_values_are_uniform(make_pipe)


class TestTheTestsFindAWrongShuffle:
    class ByPairs(fw.OrderStage):
        """Shuffles pairs of rows, and the two of each pair: uniform at every place, and yet not an exact shuffle."""

        def __init__(self, input, seed):
            super().__init__(input)
            self.seed = seed

        def num_items_out(self, num_items):
            return num_items

        def locate(self, span, num_items, epoch):
            random = np.random.default_rng([self.seed, epoch])
            pairs = random.permuted(np.arange(num_items - num_items % 2).reshape(-1, 2), axis=1)
            rest = [[n] for n in range(num_items - num_items % 2, num_items)]
            parts = [*pairs.tolist(), *rest]
            order = [n for part in random.permutation(len(parts)) for n in parts[part]]
            return np.array(order, dtype=np.int64)[np.asarray(span)]

    def by_pairs(self, num_rows, seed):
        return self.ByPairs(fw.source(sorted_rows(num_rows)), seed)

    def test_by_counting_orders(self):
        with pytest.raises(AssertionError, match=r"over epochs: chi-squared \d+, limit \d+"):
            assert_every_order_is_equally_likely(self.by_pairs, epochs=960, seeds=0)

    def test_by_the_audit(self):
        with pytest.raises(AssertionError, match=r"NOT mixed as by a uniform order: see .*neighbours together"):
            assert_sorted_labels_are_mixed(self.by_pairs, num_rows=10_000)

    def test_by_p_values(self):
        with pytest.raises(AssertionError, match="effective batch by label"):
            assert_p_values_are_uniform(self.by_pairs, audits=40)

    def test_chi_squared_is_that_of_scipy(self):
        import scipy.stats

        orders = [tuple(torch.randperm(3, generator=torch.Generator().manual_seed(n)).tolist()) for n in range(100)]
        counts = [orders.count(order) for order in itertools.permutations(range(3))]
        assert chi_squared(orders, 3)[0] == pytest.approx(scipy.stats.chisquare(counts).statistic)
