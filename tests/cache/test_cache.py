"""The Cache pipe: the same rows with any size, and fewer calls of what stands before it."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import FileChangedError, MemoryBudgetError, RowIndexError
from pipelines import counting, double, table, total


class TestCacheOfRows(fw.testing.PipeContract):
    @pytest.fixture(params=[None, 1, 7, 100])
    def make_pipe(self, request):
        return lambda: table().map(double).cache(max_rows=request.param)


class TestCacheBehindWhichRowsAreShuffled(fw.testing.PipeContract):
    @pytest.fixture(params=["pin", "lru", "lfu", "belady", None])
    def make_pipe(self, request):
        return lambda: table().map(total).cache(9, policy=request.param).shuffle(seed=1).batch(4).map(total)


class TestCacheWithinAFewBytes(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table().filter("n", ">", 2).cache(max_bytes=700, disk_bytes=20_000).batch(3)


class TestCacheOfAStream(fw.testing.PipeContract):
    @pytest.fixture(params=[None, 5])
    def make_pipe(self, request):
        return lambda: counting().cache(request.param)


class TestCacheOfAStreamThatIsShuffled(fw.testing.PipeContract):
    @pytest.fixture(params=[None, 5])
    def make_pipe(self, request):
        return lambda: counting().map(total).cache(request.param).shuffle(seed=2).batch(5)


class Counting:
    """A function of a map that notes the rows that it is called with."""

    def __init__(self):
        self.seen = []

    def __call__(self, rows):
        self.seen += rows["n"].tolist()
        return rows.assign(y=rows["n"] * 2)


def many(num_rows=5000):
    return fw.source(
        {"n": torch.arange(num_rows), "x": torch.rand(num_rows, 3, generator=torch.Generator().manual_seed(0))}
    )


# --- what is spared ---------------------------------------------------------------------------------------------------


def test_what_has_room_is_computed_once():
    function = Counting()
    pipe = many().map(function).cache(max_bytes="10MB")
    shuffled = pipe.shuffle(seed=0).batch(64)
    for _ in range(3):
        assert sorted(n for batch in shuffled for n in batch["n"].tolist()) == list(range(5000))
    assert sorted(pipe.to_message()["y"].tolist()) == list(range(0, 10_000, 2))
    assert sorted(function.seen) == list(range(5000))
    stats = shuffled.cache_stats()  # found along the inputs
    assert stats.rows_read == stats.num_rows == 5000
    assert str(stats).startswith(f"{stats.rate:.1%} of 20,000 rows found; 5,000 rows held")


def test_a_block_is_computed_once_for_all_who_ask_for_its_rows():
    function = Counting()
    pipe = many(4096).map(function).cache()
    for row in (0, 5, 1023, 1024, 7):
        pipe[row]
    assert len(function.seen) == 2048


def test_a_pass_in_order_reads_on_and_computes_nothing_twice():
    function = Counting()
    pipe = many().map(function).cache(max_rows=100)
    assert pipe[4000:4010]["n"].tolist() == list(range(4000, 4010))
    function.seen.clear()
    assert pipe.to_message()["n"].tolist() == list(range(5000))
    assert sorted(set(function.seen)) == sorted(function.seen)


def test_two_pipes_share_what_one_of_them_had_computed():
    function = Counting()
    cached = many().map(function).cache()
    one, other = cached.select("n"), cached.filter("y", ">", 100).select("x")
    assert one.to_message().columns == ["n"]
    assert len(other.to_message()) == 4949
    assert sorted(function.seen) == list(range(5000))


def test_two_passes_at_once_compute_nothing_twice():
    function = Counting()
    cached = many(50_000).map(function).cache()
    for one, other in zip(cached.batch(100), cached.batch(100), strict=True):
        assert one == other
    assert len(function.seen) == 50_000


def test_threads_share_it():
    function = Counting()
    cached = many(20_000).map(function).cache()
    found = {}

    def consume(seed):
        found[seed] = cached.shuffle(seed=seed).to_message()

    threads = [threading.Thread(target=consume, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, rows in found.items():
        assert rows == many(20_000).map(Counting()).shuffle(seed=seed).to_message()
    assert len(function.seen) == 20_000


def test_a_small_cache_computes_blocks_about_as_often_as_its_share_makes_needed():
    """Each sweep over the blocks keeps the rows that are wanted next: about one sweep per share of the rows."""
    function = Counting()
    num_rows, share = 60_000, 4
    pipe = many(num_rows).map(function).cache(max_rows=num_rows // share).shuffle(seed=0).batch(100)
    expected = many(num_rows).map(Counting()).shuffle(seed=0).batch(100)
    for batch, other in zip(pipe, expected, strict=True):
        assert batch == other
    assert len(function.seen) <= (share + 1) * num_rows


def test_pinned_rows_are_hit_as_often_as_any_policy_can():
    source = fw.source(list({"n": n} for n in range(3000)))  # noqa: C400
    pipe = source.cache(1500, policy="pin").shuffle(seed=0)
    for _ in range(2):
        list(pipe.batch(50))
    first = pipe.cache_stats()
    list(pipe.at_epoch(2).batch(50))
    after = pipe.cache_stats()
    assert after.hits - first.hits == 1500
    assert after.misses - first.misses == 1500


def test_a_file_that_is_decoded_is_read_once_in_its_order(tmp_path):
    frame = pd.DataFrame({"n": np.arange(60_000), "t": [f"text {n}" for n in range(60_000)]})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "a.parquet", row_group_size=10_000)
    source = fw.read_parquet(tmp_path / "a.parquet")
    asked = []
    fetch, scan = type(source).fetch, type(source).scan
    try:
        type(source).fetch = lambda self, rows: (asked.append(("fetch", len(rows))), fetch(self, rows))[1]
        type(source).scan = lambda self, rows, budget: (asked.append(("scan", len(rows))), scan(self, rows, budget))[1]
        pipe = source.cache(max_bytes="40MB").shuffle(seed=0)
        for epoch in range(2):
            assert sorted(pipe.at_epoch(epoch).to_message()["n"].tolist()) == list(range(60_000))
    finally:
        type(source).fetch, type(source).scan = fetch, scan
    assert ("scan", 60_000) in asked
    assert all(kind == "scan" or rows < 100 for kind, rows in asked)


def test_a_file_larger_than_the_cache_is_shuffled_all_the_same(tmp_path):
    frame = pd.DataFrame({"n": np.arange(60_000), "t": [f"text {n}" for n in range(60_000)]})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "a.parquet", row_group_size=10_000)
    source = fw.read_parquet(tmp_path / "a.parquet")
    pipe = source.cache(max_rows=6000).shuffle(seed=0)
    for epoch in range(2):
        assert pipe.at_epoch(epoch).to_message() == source.shuffle(seed=0).at_epoch(epoch).to_message()


# --- the same rows ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    num_rows=st.integers(1, 60),
    max_rows=st.none() | st.integers(1, 70),
    max_bytes=st.none() | st.integers(1, 8000),
    policy=st.sampled_from([None, "pin", "lru", "lfu", "belady"]),
    on_disk=st.booleans(),
    is_stream=st.booleans(),
    asked=st.lists(st.lists(st.integers(0, 1000), max_size=8), max_size=6),
)
def test_rows_are_the_same_with_any_cache(num_rows, max_rows, max_bytes, policy, on_disk, is_stream, asked):
    def plain():
        return (counting(num_rows) if is_stream else table(num_rows)).map(total)

    whole = plain().to_message()
    pipe = plain().cache(max_rows, max_bytes, policy, disk_bytes=50_000 if on_disk else None)
    for rows in asked:
        if rows:
            inside = [row % num_rows for row in rows]
            assert pipe[inside] == whole.take(inside)
    for epoch in (0, 1):
        assert pipe.to_message() == whole
        order = fw.source({"at": torch.arange(num_rows)}).shuffle(seed=4).at_epoch(epoch).to_message()["at"]
        assert pipe.shuffle(seed=4).at_epoch(epoch).to_message() == whole.take(order)
    assert list(pipe.repeat(2)) == 2 * list(whole)


def test_row_numbers_are_those_of_the_source():
    pipe = many(100).filter("n", ">", 49).cache(10)

    def refuses(rows):
        if 60 in rows["n"].tolist():
            raise ValueError("no")
        return rows

    list(pipe)
    with pytest.raises(ValueError, match="no") as caught:
        pipe.map(refuses).to_message()
    assert "row" in "".join(caught.value.__notes__)


def test_columns_are_not_left_unread_below_a_cache_that_others_share():
    cached = table().cache()
    assert cached.select("n").to_message().columns == ["n"]
    assert cached.select("word").to_message()["word"].tolist() == [f"word {i}" for i in range(23)]


def test_a_state_loads_with_a_cache_of_another_size():
    first = iter(many(50).cache(3).shuffle(seed=1).batch(7))
    next(first)
    other = iter(many(50).cache(max_bytes="1MB", policy="lru").shuffle(seed=1).batch(7))
    other.load_state_dict(first.state_dict())
    assert list(other) == list(first)


def test_a_copy_begins_empty():
    pipe = table().cache()
    pipe.to_message()
    for other in (pickle.loads(pickle.dumps(pipe)), copy.deepcopy(pipe)):
        assert other.cache_stats().num_rows == 0
        assert other.to_message() == pipe.to_message()


def test_an_empty_input_stays_empty():
    pipe = table().filter("n", ">", 99).cache()
    assert len(pipe) == 0
    assert pipe.to_message().columns == ["x", "n", "w", "word"]


def test_a_message_passes_by():
    message = table(3).to_message()
    assert table().map(double).cache()(message) == double(message)


# --- streams ----------------------------------------------------------------------------------------------------------


class Begun:
    """A stream that notes how far it was read, and how often it was begun."""

    def __init__(self, num_rows):
        self.num_rows, self.begun, self.read = num_rows, 0, 0

    def __call__(self):
        self.begun += 1
        for start in range(0, self.num_rows, 1000):
            stop = min(start + 1000, self.num_rows)
            self.read += stop - start
            yield fw.Message({"n": torch.arange(start, stop)})


def test_a_stream_is_read_no_further_than_asked():
    stream = Begun(100_000)
    pipe = fw.source(stream).cache()
    assert pipe[10]["n"].tolist() == [10]
    assert pipe[5]["n"].tolist() == [5]  # held: not begun anew, as the library of 2019 did
    assert pipe[[7, 2, 2]]["n"].tolist() == [7, 2, 2]
    assert (stream.begun, stream.read) == (2, 2000)  # once of it for the columns
    assert len(pipe) == 100_000
    assert pipe[-1]["n"].tolist() == [99_999]
    assert stream.begun == 2


def test_a_small_cache_of_a_stream_reads_it_once_more_for_rows_behind():
    stream = Begun(5000)
    pipe = fw.source(stream).cache(10)
    assert pipe[4000]["n"].tolist() == [4000]
    assert stream.begun == 2  # once of it for the columns
    assert pipe[20]["n"].tolist() == [20]
    assert stream.begun == 3
    assert pipe[[4990, 3, 1700, 3]]["n"].tolist() == [4990, 3, 1700, 3]


def test_a_row_past_the_end_of_a_stream():
    pipe = fw.source(Begun(20)).cache()
    with pytest.raises(RowIndexError, match=r"Cache: row 21 is past the end; there are 20 rows\."):
        pipe[21]
    assert len(pipe) == 20
    with pytest.raises(RowIndexError, match="past the end"):
        pipe[20]


def test_counting_a_stream_evicts_nothing():
    stream = Begun(5000)
    pipe = fw.source(stream).cache(10, policy="lru")
    pipe[3]
    held = pipe.cache_stats().evictions
    len(pipe)
    assert pipe.cache_stats().evictions == held


def test_rows_that_a_stream_sets_aside_are_reported_once():
    def parse(rows):
        return rows.assign(n=torch.tensor([int(text) for text in rows["text"]]))

    pipe = fw.source({"text": ["1", "two", "3"]}).map(parse, on_error="quarantine").cache(1)
    with pytest.warns(fw.errors.QuarantineWarning, match="1 rows were set aside"):
        assert pipe.to_message()["n"].tolist() == [1, 3]
    assert pipe.to_message()["n"].tolist() == [1, 3]


# --- what can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_rows": 0}, r"cache: max_rows must be an int of at least 1; got 0\."),
        ({"max_bytes": "lots"}, r"cache: max_bytes must be a number of bytes of at least 1, or a text such as '2GB'"),
        ({"disk_bytes": -1}, r"cache: disk_bytes must be a number of bytes"),
        ({"policy": "lrv"}, r"cache: policy is one of 'pin', 'lru', 'lfu', 'belady'; got 'lrv'\. Did you mean 'lru'\?"),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        table().cache(**arguments)


def test_batches_are_not_cached():
    with pytest.raises(
        ValueError, match=r"cache: it keeps rows, and the items of .* are batches. Put it before .batch"
    ):
        table().batch(2).cache()


@pytest.mark.parametrize(
    "make", [lambda: table().shuffle(seed=0), lambda: table().map(lambda rows, generator: rows, seed=1)]
)
def test_what_differs_from_epoch_to_epoch_is_not_cached(make):
    with pytest.raises(ValueError, match=r"cache: .* differs from epoch to epoch, .* \.at_epoch\(0\)\.cache\(\)"):
        make().cache()
    pipe = make().at_epoch(0)
    assert pipe.cache().to_message() == pipe.to_message()


def test_an_error_above_leaves_it_usable():
    class Fails:
        is_broken = True

        def __call__(self, rows):
            if self.is_broken and 3000 in rows["n"].tolist():
                raise ZeroDivisionError("broken")
            return rows

    for make in (many, lambda: fw.source(Begun(5000))):
        function = Fails()
        pipe = make().map(function).cache()
        with pytest.raises(ZeroDivisionError, match="broken"):
            pipe.to_message()
        assert pipe[10]["n"].tolist() == [10]
        function.is_broken = False
        assert pipe.to_message()["n"].tolist() == list(range(5000))


def test_ctrl_c_leaves_it_usable():
    class Interrupts:
        is_pressed = True

        def __call__(self, rows):
            if self.is_pressed and 3000 in rows["n"].tolist():
                self.is_pressed = False
                raise KeyboardInterrupt
            return rows

    for make in (many, lambda: fw.source(Begun(5000))):
        pipe = make().map(Interrupts()).cache(1000, policy="lru")
        with pytest.raises(KeyboardInterrupt):
            pipe.to_message()
        assert pipe.to_message()["n"].tolist() == list(range(5000))


def test_a_file_that_changes_is_an_error_and_what_is_kept_stays():
    class Changing(fw.Source):
        schema = fw.Message({"n": [0]}).schema
        has_changed = False

        def count(self):
            return 100

        def fetch(self, rows):
            if self.has_changed:
                raise FileChangedError("a.csv has changed")
            return fw.Message({"n": np.asarray(rows)})

    source = Changing()
    pipe = source.cache(10)
    assert pipe[5]["n"].tolist() == [5]
    source.has_changed = True
    assert pipe[5]["n"].tolist() == [5]
    with pytest.raises(FileChangedError, match=r"a\.csv has changed"):
        pipe.to_message()


def test_a_stream_that_is_shorter_the_second_time():
    stream = Begun(5000)
    pipe = fw.source(stream).cache(1)
    assert len(pipe) == 5000
    stream.num_rows = 100
    with pytest.raises(
        ValueError, match=r"Cache: the stream ended before row 4000; when it was read before it had 5000"
    ):
        pipe[4000]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_it_takes_a_quarter_of_the_budget():
    with fw.memory_budget("1MB") as budget:
        pipe = many(20_000).cache()
        assert pipe.shuffle(seed=0).to_message()["n"].sum() == many(20_000).to_message()["n"].sum()
        stats = pipe.cache_stats()
        assert 100_000 < stats.num_bytes <= 250_000
        assert budget.used_bytes >= stats.num_bytes
        pipe.clear_cache()
        assert pipe.cache_stats().num_rows == 0
        before = budget.used_bytes
        assert before < 250_000


def test_its_memory_is_given_back_with_it():
    with fw.memory_budget("10MB") as budget:
        pipe = many(2000).cache()
        list(pipe.batch(100))
        assert budget.used_bytes > 40_000
        del pipe
        import gc

        gc.collect()
        assert budget.used_bytes == 0


def test_a_cache_larger_than_the_budget_is_named_before_the_run():
    with fw.memory_budget("1MB"), pytest.raises(MemoryBudgetError, match=r"of it for Cache\(\)"):
        next(iter(many().cache(max_bytes="2MB")))


@pytest.mark.parametrize("policy", ["pin", "lru", "lfu", "belady"])
def test_it_keeps_to_its_bytes(policy):
    pipe = many().cache(max_bytes=30_000, policy=policy).shuffle(seed=0)
    for batch in pipe.batch(100):
        assert len(batch) == 100
        assert pipe.cache_stats().num_bytes <= 30_000
