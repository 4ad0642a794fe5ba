"""MessageCache: what the cache of 2019 did right, and within its bounds whatever is done to it."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import fireworks as fw
from disks import small_disk
from fireworks.errors import ColumnLengthError, RowNotCachedError, SchemaMismatchError

POLICIES = ["pin", "lru", "lfu", "belady"]


def rows_of(numbers):
    """Rows whose every value follows from their number."""
    numbers = np.asarray(numbers, dtype=np.int64)
    return fw.Message(
        {
            "x": torch.from_numpy(np.stack([numbers, -numbers], axis=1)),
            "half": torch.from_numpy(numbers).to(torch.bfloat16),
            "w": numbers / 2,
            "word": pd.array([f"row {n}" * (n % 5) for n in numbers], dtype="str"),
            "kind": pd.Categorical([["a", "b", "c"][n % 3] for n in numbers], categories=["a", "b", "c"]),
            "some": pd.array([None if n % 4 == 0 else n for n in numbers], dtype="Int64"),
        }
    )


def numbers_of(*numbers):
    return fw.Message({"n": torch.tensor(numbers)})


def filled(policy="lru", max_rows=10, **more):
    return fw.MessageCache(max_rows, policy=policy, **more)


def put(cache, rows):
    cache[rows] = numbers_of(*np.arange(rows.stop)[rows].tolist())


# --- what the tests of 2019 ask for -------------------------------------------------------------------------------------


def test_rows_are_set_overwritten_and_deleted():
    cache = fw.MessageCache()
    cache[0] = numbers_of(0)
    put(cache, slice(3, 6))
    assert len(cache) == 4
    put(cache, slice(3, 6))
    assert len(cache) == 4
    del cache[3:5]
    assert cache[5]["n"].tolist() == [5]
    assert list(cache) == [0, 5]
    put(cache, slice(3, 6))
    del cache[5:8]
    assert cache[3:5]["n"].tolist() == [3, 4]
    assert 5 not in cache


def test_what_was_used_longest_ago_is_evicted():
    cache = filled("lru", 9)
    for rows in (slice(2, 5), slice(7, 10), slice(12, 15)):
        put(cache, rows)
        assert cache[rows]["n"].tolist() == list(range(rows.start, rows.stop))
    put(cache, slice(15, 17))
    assert list(cache) == [4, 7, 8, 9, 12, 13, 14, 15, 16]
    cache[[4, 8, 9, 13, 14, 15, 16]]
    put(cache, slice(18, 20))
    assert list(cache) == [4, 8, 9, 13, 14, 15, 16, 18, 19]


def test_what_was_used_least_often_is_evicted():
    cache = filled("lfu", 9)
    for rows, times in ((slice(2, 5), 3), (slice(7, 10), 2), (slice(12, 15), 1)):
        put(cache, rows)
        for _ in range(times):
            cache[rows]
    put(cache, slice(15, 17))
    assert list(cache) == [2, 3, 4, 7, 8, 9, 14, 15, 16]


def test_overwriting_in_a_full_cache_evicts_nothing():
    cache = filled("lru", 4)
    put(cache, slice(0, 4))
    put(cache, slice(2, 4))
    assert list(cache) == [0, 1, 2, 3]
    assert cache.stats.evictions == 0


def test_more_rows_than_fit_keep_what_the_policy_says():
    for policy, kept in (("pin", [0, 1, 2]), ("lru", [2, 3, 4]), ("lfu", [2, 3, 4]), ("belady", [1, 3, 4])):
        cache = filled(policy, 3)
        cache.expect(np.array([4, 3, 1, 0, 2]))
        put(cache, slice(0, 5))
        assert list(cache) == kept, policy


def test_of_a_number_that_comes_twice_the_last_row_stays():
    cache = fw.MessageCache()
    cache[[1, 2, 1]] = numbers_of(10, 20, 30)
    assert cache[[1, 2]]["n"].tolist() == [30, 20]


def test_pinned_rows_stay_for_ever():
    cache = filled("pin", 2)
    put(cache, slice(0, 2))
    put(cache, slice(2, 4))
    assert list(cache) == [0, 1]
    del cache[0]
    put(cache, slice(3, 4))
    assert list(cache) == [1, 3]


def test_belady_compares_what_is_held_with_what_comes():
    cache = filled("belady", 2)
    cache.expect(np.array([5, 6, 7, 6, 5, 7]))
    for row, held in ((5, [5]), (6, [5, 6]), (7, [5, 6]), (6, [5, 6]), (5, [5, 6])):
        mask, _ = cache.look_up(row)
        if not mask[0]:
            cache[row] = numbers_of(row)
        assert list(cache) == held


def test_several_consumers_are_expected_at_once():
    cache = filled("belady", 1)
    cache.expect(np.array([0, 1, 2, 3]), consumer="one")
    cache.expect(np.array([9, 8, 3, 1]), consumer="other")
    cache.look_up(0), cache.look_up(9)
    cache[[2, 8]] = numbers_of(2, 8)
    assert list(cache) == [8]  # of the other, it is next
    cache.look_up(1), cache.look_up(8)
    cache[2] = numbers_of(2)
    assert list(cache) == [2]


# --- in general -------------------------------------------------------------------------------------------------------


class ComparedWithADict(RuleBasedStateMachine):
    """Rows are right, the bounds hold, and what is held agrees, whatever is done."""

    max_rows, max_bytes, policy, disk_bytes = 20, None, "pin", None

    def __init__(self):
        super().__init__()
        self.cache = fw.MessageCache(self.max_rows, self.max_bytes, self.policy, disk_bytes=self.disk_bytes)
        self.put_at = {}

    numbers = st.lists(st.integers(0, 40) | st.sampled_from([2**40, 2**62, 2**63 - 1]), max_size=25)

    @rule(numbers=numbers)
    def put(self, numbers):
        small = [n % 1000 for n in numbers]
        self.cache[numbers] = rows_of(small)
        self.put_at |= dict(zip(numbers, small, strict=True))

    @rule(numbers=numbers)
    def look(self, numbers):
        expected = self.cache.contains(np.array(numbers, dtype=np.int64))
        held, found = self.cache.look_up(np.array(numbers, dtype=np.int64))
        assert (held == expected).all()
        if held.any():
            assert found == rows_of([self.put_at[n] for n, is_held in zip(numbers, held, strict=True) if is_held])

    @rule(numbers=numbers)
    def delete(self, numbers):
        if self.cache.contains(np.array(numbers, dtype=np.int64)).any():
            del self.cache[numbers]
        assert not self.cache.contains(np.array(numbers, dtype=np.int64)).any()

    @rule()
    def clear(self):
        self.cache.clear()
        assert len(self.cache) == 0

    @invariant()
    def bounds_hold(self):
        stats = self.cache.stats
        if self.max_rows:
            assert stats.num_rows - stats.rows_on_disk <= self.max_rows
        if self.max_bytes:
            assert stats.num_bytes <= self.max_bytes
        assert stats.disk_bytes <= (self.disk_bytes or 0)
        held = list(self.cache)
        assert len(held) == len(set(held)) == len(self.cache)
        assert set(held) <= self.put_at.keys()
        if held:
            assert self.cache[held] == rows_of([self.put_at[n] for n in held])


def machine(**bounds):
    case = type("Case", (ComparedWithADict,), bounds).TestCase
    case.settings = settings(
        max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case


TestPinned = machine(policy="pin")
TestLeastRecentlyUsed = machine(policy="lru", max_rows=None, max_bytes=4000)
TestLeastFrequentlyUsed = machine(policy="lfu", disk_bytes=100_000)
TestBelady = machine(policy="belady", max_rows=None, max_bytes=3000, disk_bytes=30_000)
TestOnDisk = machine(policy="lru", max_rows=3, max_bytes=9000, disk_bytes=40_000)


@pytest.mark.parametrize("policy", POLICIES)
@given(rows=st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=30), max_size=10))
@settings(max_examples=20, deadline=None)
def test_a_full_cache_stays_full(policy, rows):
    cache = filled(policy, 7)
    seen = set()
    for some in rows:
        cache[some] = numbers_of(*some)
        seen |= set(some)
        assert len(cache) == min(7, len(seen)) or policy in {"lru", "lfu"}
        assert len(cache) <= 7


def test_any_column_can_be_held():
    message = fw.Message(
        {
            "time": pd.date_range("2020", periods=3, tz="UTC"),
            "day": np.array(["2020-01-01", "2020-01-02", "NaT"], dtype="datetime64[ns]"),
            "list": [[1], [2, 3], []],
            "arrow": pd.array([b"a", b"bc", None], dtype=pd.ArrowDtype(pa.binary())),
            "flag": torch.tensor([True, False, True]),
            "small": torch.tensor([1, 2, 3], dtype=torch.uint16),
            "grad": torch.ones(3, requires_grad=True),
            "wide": torch.zeros(3, 2, 2, dtype=torch.complex64),
        }
    )
    cache = fw.MessageCache()
    cache[[5, 3, 4]] = message
    assert cache[[4, 5, 5]] == message.take([2, 0, 0])
    assert cache[[4, 5]].schema == message.schema


def test_what_is_taken_is_a_copy():
    cache = fw.MessageCache()
    cache[0:2] = numbers_of(1, 2)
    cache[0:2]["n"].zero_()
    assert cache[0:2]["n"].tolist() == [1, 2]


def test_ways_to_name_rows():
    cache = fw.MessageCache()
    put(cache, slice(0, 10))
    for key in ([3, 4], (3, 4), np.array([3, 4], dtype=np.uint8), torch.tensor([3, 4]), range(3, 5), slice(3, 5)):
        assert cache[key]["n"].tolist() == [3, 4]
    assert cache[np.int64(3)]["n"].tolist() == cache[torch.tensor(3)]["n"].tolist() == [3]
    assert cache[1:8:3]["n"].tolist() == [1, 4, 7]
    assert cache[[]]["n"].tolist() == []
    assert 3 in cache
    assert -1 not in cache
    assert cache.contains([[][:]] and [3, 99]).tolist() == [True, False]


def test_rows_that_are_not_held_are_named():
    cache = fw.MessageCache()
    put(cache, slice(0, 3))
    with pytest.raises(
        RowNotCachedError, match=r"^MessageCache: rows \[5, 8\] are not held\. Ask first: cache\.contains"
    ) as e:
        cache[[8, 1, 5, 5]]
    assert e.value.rows == [5, 8]
    with pytest.raises(KeyError, match=r"row \[4\] is not held"):
        cache[4]
    with pytest.raises(KeyError, match=r"rows \[3, 4, 5, 6, 7, 8, 9, 10, 11, 12\] and 7 more are not held"):
        cache[0:20]
    del cache[[1, 77]]
    with pytest.raises(KeyError, match=r"rows \[1, 77\] are not held"):
        del cache[[1, 77]]
    assert cache.stats.misses == 3 + 1 + 17


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        ("a", TypeError, r"MessageCache: rows are named by an int, a slice or a list of ints; got 'a' of type str"),
        ([0.5], TypeError, "rows are named by an int"),
        ([[1]], TypeError, "rows are named by an int"),
        ([True, False], TypeError, "rows are named by an int"),
        ([3, -1], ValueError, r"MessageCache: row numbers are at least 0; got -1\."),
        (np.array([2**63], dtype=np.uint64), ValueError, r"row numbers are below 2\*\*63; got 9223372036854775808"),
        (slice(3, None), ValueError, r"a slice needs an end, and a step of at least 1; got slice\(3, None, None\)"),
        (slice(3, 1, -1), ValueError, "a slice needs an end, and a step of at least 1"),
    ],
)
def test_what_names_no_rows(key, kind, text):
    cache = fw.MessageCache()
    for call in (lambda: cache[key], lambda: cache.__setitem__(key, numbers_of(1)), lambda: cache.contains(key)):
        with pytest.raises(kind, match=text):
            call()


def test_in_asks_for_one_row():
    with pytest.raises(TypeError, match=r"`in` asks for one row number; got list. For many, use contains\(rows\)\."):
        [1] in fw.MessageCache()  # noqa: B015


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"MessageCache: max_rows must be an int of at least 1; got 0\."):
        fw.MessageCache(0)
    with pytest.raises(ValueError, match=r"MessageCache: max_bytes must be a number of bytes"):
        fw.MessageCache(max_bytes="x")
    with pytest.raises(ValueError, match=r"MessageCache: disk_bytes must be a number of bytes"):
        fw.MessageCache(disk_bytes=0)
    with pytest.raises(ValueError, match=r"MessageCache: policy is one of 'pin', .*; got 'LRU'"):
        fw.MessageCache(policy="LRU")
    with pytest.raises(ValueError, match="policy is one of"):
        fw.MessageCache().use_policy("random")


def test_rows_that_do_not_fit_together():
    cache = fw.MessageCache()
    put(cache, slice(0, 3))
    with pytest.raises(ColumnLengthError, match=r"MessageCache: 2 row numbers for 1 rows; there must be as many\."):
        cache[0:2] = numbers_of(1)
    with pytest.raises(TypeError, match=r"MessageCache: rows are put in as a message; got dict\."):
        cache[0] = {"n": [1]}
    with pytest.raises(
        SchemaMismatchError, match=r"the rows have columns \['m'\]; the cache holds rows of columns \['n'\]"
    ):
        cache[9] = fw.Message({"m": [1]})
    with pytest.raises(
        SchemaMismatchError, match=r"column 'n' is float32 tensor; the rows that are held have int64 tensor"
    ):
        cache[9] = fw.Message({"n": torch.ones(1)})
    assert list(cache) == [0, 1, 2]
    cache.clear()
    cache[9] = fw.Message({"m": [1]})
    assert cache[9]["m"].tolist() == [1]


def test_a_row_larger_than_the_cache_is_not_kept():
    cache = fw.MessageCache(max_bytes=1000, policy="lru")
    cache[0] = fw.Message({"t": ["short"]})
    cache[1] = fw.Message({"t": ["long" * 1000]})
    assert 1 not in cache
    assert cache.num_bytes <= 1000


def test_the_policy_can_change():
    cache = filled("pin", 3)
    put(cache, slice(0, 3))
    cache.use_policy("belady")
    cache.expect(np.array([9, 2, 0]))
    put(cache, slice(9, 10))
    assert list(cache) == [0, 2, 9]


def test_rows_are_added_only_where_there_is_room():
    cache = filled("lru", 3)
    put(cache, slice(0, 2))
    cache.add(np.arange(1, 6), numbers_of(11, 12, 13, 14, 15), evict=False)
    assert cache[[0, 1, 2]]["n"].tolist() == [0, 1, 12]
    assert cache.stats.evictions == 0


def test_a_copy_begins_empty():
    cache = filled("lfu", 3, disk_bytes=10_000)
    put(cache, slice(0, 5))
    for other in (copy.copy(cache), copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert len(other) == 0
        assert (other.max_rows, other.policy, other.disk_bytes) == (3, "lfu", 10_000)
        put(other, slice(0, 2))
    assert len(cache) == 5


def test_what_it_says_of_itself():
    cache = filled("lru", 3)
    put(cache, slice(0, 3))
    put(cache, slice(3, 4))
    cache.look_up([0, 1, 2, 3])
    stats = cache.stats
    assert (stats.hits, stats.misses, stats.evictions, stats.num_rows, stats.rate) == (3, 1, 1, 3, 0.75)
    assert (
        repr(cache)
        == f"MessageCache(lru: 75.0% of 4 rows found; 3 rows held, {cache.num_bytes} bytes of memory, 1 evicted)"
    )


def test_threads_may_use_it_together():
    cache = fw.MessageCache(500, policy="lru")
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(150):
            rows = rng.integers(0, 1000, 40)
            held, found = cache.look_up(rows)
            if held.any() and found["n"].tolist() != rows[held].tolist():
                wrong.append(rows)
            cache[rows] = numbers_of(*rows.tolist())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) == 500


# --- on disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_what_leaves_the_memory_is_found_on_disk(policy):
    cache = fw.MessageCache(10, policy=policy, disk_bytes="1MB")
    for start in range(0, 100, 7):
        rows = np.arange(start, min(start + 7, 100))
        cache[rows] = rows_of(rows)
    assert len(cache) == 100
    assert cache.stats.rows_on_disk == 90
    for rows in ([99, 0, 50, 0], np.arange(100)):
        assert cache[rows] == rows_of(rows)
    assert cache.stats.rows_on_disk == 90
    del cache[50:100]
    assert cache[0:50] == rows_of(range(50))
    cache[0:50] = rows_of(range(100, 150))
    assert cache[49] == rows_of([149])


def test_the_folder_on_disk_goes_with_the_cache(tmp_path):
    with fw.scratch_folder(tmp_path):
        cache = fw.MessageCache(1, disk_bytes="1MB")
        cache[0:5] = rows_of(range(5))
        assert any(path.name.startswith("column-") for path in tmp_path.rglob("*"))
        del cache
        assert not list(tmp_path.rglob("column-*"))


def test_a_full_disk_is_gone_on_without(tmp_path):
    with small_disk(tmp_path, 200_000), fw.scratch_folder(tmp_path):
        cache = fw.MessageCache(10, disk_bytes="10MB")
        rows = fw.Message({"n": torch.arange(50_000)})
        with pytest.warns(RuntimeWarning, match=r"MessageCache: rows can't be kept on disk .* goes on in memory alone"):
            cache[0:50_000] = rows
        assert cache[0:10]["n"].tolist() == list(range(10))
        assert len(cache) == 10
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cache[99] = fw.Message({"n": torch.tensor([99])})
        del cache


def test_a_column_that_no_file_can_hold():
    cache = fw.MessageCache(1, disk_bytes="1MB")
    with pytest.raises(TypeError):
        cache[0:2] = fw.Message({"o": pd.Series([object(), object()], dtype=object)})
    cache.clear()
    cache[0] = numbers_of(1)
    assert cache[0]["n"].tolist() == [1]
