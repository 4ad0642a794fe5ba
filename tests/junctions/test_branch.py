"""Several live consumers of one pipe: one pass over a stream, a bounded buffer, and a clear word when one starves."""

import gc
import pickle
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import BranchBehindError, NoRandomAccessError, UnknownLengthError
from pipelines import add_noise, counting, is_odd, numbers, table, total


class Counted:
    """A stream that counts how often it was begun and how far it was read."""

    def __init__(self, num_rows):
        self.num_rows, self.begun, self.given = num_rows, 0, 0

    def __call__(self):
        self.begun += 1
        for n in range(self.num_rows):
            self.given += 1
            yield fw.Message({"n": torch.tensor([n])})


def first_of(pipe, **options):
    return pipe.branch(2, **options)[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: first_of(table(9).shuffle(seed=0)),
        lambda: first_of(counting(9)),
        lambda: first_of(counting(9).map(add_noise, seed=0), max_rows=3).map(total).batch(2),
        lambda: first_of(table(23).map(add_noise, seed=0).filter("noise", ">", 0.3)).batch(4),
        lambda: first_of(counting(9).batch(2).map(total)),
        lambda: first_of(counting(9).batch(2).filter(is_odd), max_rows=1),
        lambda: fw.Zip(dict(zip("ab", sides(counting(9)), strict=True))),
    ],
    ids=["rows", "stream", "batched behind", "varying", "batches", "thinned batches", "zipped again"],
)
class TestBranch(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


def sides(stream):
    left, right = stream.branch(2, max_rows=1024)
    return left.select("n"), right.select("x")


class TestRandomAccess:
    def test_any_number_of_consumers_costs_no_buffer(self):
        rows = table(9)
        one, other = rows.branch(2, max_rows=1)
        assert one.flow is rows.flow is other.flow
        assert numbers(one) == numbers(other) == list(range(9))
        assert repr(one).endswith("Branch(0 of 2)")

    def test_one_pipe_may_have_several_consumers_at_once_without_branching(self):
        rows = table(9).shuffle(seed=0).at_epoch(0)
        iterators = [iter(rows) for _ in range(3)]
        got = [[next(iterator)["n"].item() for _ in range(3 * (k + 1))] for k, iterator in enumerate(iterators)]
        whole = numbers(rows)
        assert got == [whole[:3], whole[:6], whole[:9]]


class TestOnePass:
    def test_the_stream_is_read_once_an_epoch(self):
        source = Counted(50)
        one, other, third = fw.source(source).branch(3, max_rows=8)
        for epoch in range(3):
            found = [tuple(int(m["n"]) for m in rows) for rows in zip(one, other, third, strict=True)]
            assert found == [(n, n, n) for n in range(50)]
            assert source.begun - 1 == epoch  # one begin more, to see the columns

    def test_one_may_run_ahead_by_max_rows_and_no_further(self):
        source = Counted(50)
        one, other = fw.source(source).branch(2, max_rows=8)
        ahead, behind = iter(one), iter(other)
        assert [int(next(ahead)["n"]) for _ in range(8)] == list(range(8))
        with pytest.raises(
            BranchBehindError,
            match=r"Branch: branch 0 is asked for more, and branch 1 is 8 rows behind it; max_rows=8\. Read them in step, "
            r"for instance as fw\.Zip; or let it be further behind: branch\(…, max_rows=…\); or read the rows first",
        ) as caught:
            next(ahead)
        assert (caught.value.ahead, caught.value.behind, caught.value.num_rows) == (0, 1, 8)
        assert int(next(behind)["n"]) == 0
        assert int(next(ahead)["n"]) == 8
        assert source.given < 15

    def test_never_more_than_max_rows_are_kept(self):
        one, other = fw.source(Counted(500)).branch(2, max_rows=16)
        ahead, behind = iter(one), iter(other)
        shared = ahead._cursor._reader.shared
        for n in range(480):
            next(ahead)
            if n >= 10:
                next(behind)
            assert shared.num_rows <= 16

    def test_what_everyone_has_read_is_let_go(self):
        one, other = fw.source(Counted(50)).branch(2, max_rows=16)
        ahead, behind = iter(one), iter(other)
        for _ in range(20):
            next(ahead), next(behind)
        assert ahead._cursor._reader.shared.num_rows == 0

    def test_one_that_is_done_or_gone_holds_up_nobody(self):
        one, other = fw.source(Counted(50)).branch(2, max_rows=4)
        ahead, behind = iter(one), iter(other)
        next(behind)
        del behind
        gc.collect()
        assert len(list(ahead)) == 50
        ahead, short = iter(one), other.take(3)
        assert len(list(short)) == 3
        assert len(list(ahead)) == 50

    def test_one_that_has_not_begun_holds_up_nobody_and_misses_nothing(self):
        source = Counted(50)
        one, other = fw.source(source).branch(2, max_rows=8)
        running = iter(one)
        for _ in range(5):
            next(running)
        late = iter(other)
        assert int(next(late)["n"]) == 0
        begun = source.begun
        del late
        for _ in range(30):
            next(running)
        assert running._cursor._reader.shared.num_rows == 0
        too_late = iter(other.at_epoch(0))
        assert [int(row["n"]) for row in too_late] == list(range(50))
        assert source.begun == begun + 1
        assert int(next(running)["n"]) == 35

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 12), st.lists(st.integers(0, 2), max_size=120), st.booleans())
    def test_whoever_reads_what_and_when_gets_the_rows_in_order(self, max_rows, turns, batched):
        stream = counting(23).batch(3) if batched else counting(23)
        expected = [item["n"].tolist() for item in stream]
        iterators = [iter(pipe) for pipe in stream.branch(3, max_rows=max_rows)]
        places = [0, 0, 0]
        for turn in turns:
            item = failed = None
            try:
                item = next(iterators[turn], None)
            except BranchBehindError as error:
                failed = error
            if failed is not None:
                assert failed.ahead == turn
                assert places[failed.behind] == min(places)
            elif item is None:
                assert places[turn] == len(expected)
            else:
                assert item["n"].tolist() == expected[places[turn]]
                places[turn] += 1


class TestEpochs:
    def test_each_epoch_has_a_pass_of_its_own(self):
        noisy = counting(9).map(add_noise, seed=0)
        one, other = noisy.branch(2)
        first, second = iter(one), (iter(other), iter(other))[1]
        assert [row["noise"].item() for row in first] == [row["noise"].item() for row in noisy.at_epoch(0)]
        assert [row["noise"].item() for row in second] == [row["noise"].item() for row in noisy.at_epoch(1)]


class TestThreads:
    def test_readers_in_threads_wait_for_each_other(self):
        source = Counted(3000)
        branches = fw.source(source).branch(3, max_rows=64)
        begun = source.begun
        found = [[], [], []]
        iterators = [iter(pipe.batch(size)) for pipe, size in zip(branches, (7, 50, 64), strict=True)]

        def consume(place):
            found[place] += [n for batch in iterators[place] for n in batch["n"].tolist()]

        threads = [threading.Thread(target=consume, args=(k,)) for k in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [list(range(3000))] * 3
        assert source.begun == begun + 1

    def test_one_that_does_not_read_on_is_named_after_the_timeout(self):
        one, other = fw.source(Counted(50)).branch(2, max_rows=4, timeout_s=0.2)
        behind = iter(other)
        thread = threading.Thread(target=next, args=(behind,))
        thread.start()
        thread.join()
        began = time.monotonic()
        with pytest.raises(BranchBehindError, match=r"branch 1 is 4 rows behind it and has read nothing for 0\.2 s"):
            list(one)
        assert time.monotonic() - began < 5

    def test_one_that_is_dropped_in_another_thread_is_waited_for_no_longer(self):
        one, other = fw.source(Counted(50)).branch(2, max_rows=4)
        held = [iter(other)]
        thread = threading.Thread(target=lambda: (next(held[0]), time.sleep(0.3), held.clear()))
        thread.start()
        while not held or held[0]._cursor._reader.item == 0:
            time.sleep(0.001)
        assert len(list(one)) == 50
        thread.join()


class TestState:
    def test_a_branch_resumed_alone_reads_from_its_own_place(self):
        one, other = counting(20).branch(2, max_rows=8)
        ahead, behind = iter(one), iter(other)
        for _ in range(7):
            next(ahead)
        for _ in range(3):
            next(behind)
        states = pickle.loads(pickle.dumps([ahead.state_dict(), behind.state_dict()]))
        one, other = counting(20).branch(2, max_rows=8)
        again, late = iter(one), iter(other)
        again.load_state_dict(states[0])
        late.load_state_dict(states[1])
        assert numbers(late) == list(range(3, 20))
        assert numbers(again) == list(range(7, 20))

    def test_going_back_within_what_is_kept_stays_in_the_shared_pass(self):
        source = Counted(20)
        one, other = fw.source(source).branch(2, max_rows=8)
        ahead, behind = iter(one), iter(other)
        place = ahead.place()
        begun = [int(next(ahead)["n"]) for _ in range(5)]
        count = source.begun
        ahead.move_to(place)
        assert [int(next(ahead)["n"]) for _ in range(5)] == begun
        assert source.begun == count
        assert int(next(behind)["n"]) == 0

    def test_a_stream_that_fails_goes_on_for_everyone(self):
        fails = [True]

        def rows():
            for n in range(6):
                if n == 3 and fails[0]:
                    raise OSError("the network")
                yield fw.Message({"n": [n]})

        one, other = fw.source(rows).branch(2)
        first, second = iter(one), iter(other)
        for _ in range(3):
            next(first), next(second)
        for iterator in (first, second):
            with pytest.raises(OSError, match="the network"):
                next(iterator)
        fails[0] = False
        assert [row["n"].tolist() for row in first] == [row["n"].tolist() for row in second] == [[3], [4], [5]]


class TestArguments:
    def test_counts(self):
        with pytest.raises(ValueError, match="branch: count must be an int of at least 1; got 0"):
            table().branch(0)
        with pytest.raises(ValueError, match="branch: max_rows must be an int of at least 1; got 0"):
            table().branch(2, max_rows=0)
        with pytest.raises(ValueError, match=r"branch: timeout_s must be a positive number of seconds; got 0\."):
            table().branch(2, timeout_s=0)

    def test_a_stream_stays_one(self):
        one, _ = counting().branch(2)
        with pytest.raises(NoRandomAccessError):
            one[0]
        with pytest.raises(UnknownLengthError):
            len(one)
        assert repr(one).endswith("Branch(0 of 2, max_rows=65536)")
