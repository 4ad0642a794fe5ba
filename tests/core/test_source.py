"""A source of one's own is two methods; what it forgets or gets wrong is said."""

import warnings

import numpy as np
import pytest
import torch

import fireworks as fw
from fireworks.core.run import Run
from fireworks.core.source import BadRows
from fireworks.errors import UnknownLengthError
from fireworks.testing import PipeContract
from pipelines import add_noise, numbers

SCHEMA = fw.Message({"n": [0]}).schema


class Squares(fw.Source):
    schema = SCHEMA

    def count(self):
        return 12

    def fetch(self, rows):
        return fw.Message({"n": np.asarray(rows, dtype=np.int64) ** 2})


class Primes(fw.Source):
    schema = SCHEMA
    random_access = False

    def stream(self, start):
        found = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
        yield fw.Message({"n": found})[start:4]
        yield fw.Message({"n": []})
        yield fw.Message({"n": found})[max(4, start) :]


class TestRandomAccess(PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: Squares().map(add_noise, seed=0).shuffle(seed=0).batch(5)


class TestStream(PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: Primes().map(add_noise, seed=0).batch(3)


def test_its_columns_are_known_without_reading():
    with pytest.raises(KeyError, match=r"select: no column 'm'; columns are \['n'\]"):
        Squares().select("m")


def test_a_stream_may_come_in_pieces_of_any_length_even_none():
    assert numbers(Primes().batch(4)) == numbers(Primes()) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]


class TestWhatIsForgotten:
    def test_fetch(self):
        class Lazy(fw.Source):
            schema = SCHEMA

            def count(self):
                return 3

        with pytest.raises(NotImplementedError, match=r"Lazy has random_access = True, so it must write fetch\(\)"):
            Lazy()[0]

    def test_stream(self):
        class Lazy(fw.Source):
            schema = SCHEMA
            random_access = False

        with pytest.raises(NotImplementedError, match=r"Lazy has random_access = False, so it must write stream\(\)"):
            list(Lazy())

    def test_count(self):
        class Lazy(fw.Source):
            schema = SCHEMA

            def fetch(self, rows):
                return fw.Message({"n": np.asarray(rows)})

        with pytest.raises(UnknownLengthError, match=r"Lazy\(\) is a stream; its length is not known before its end"):
            len(Lazy())

    def test_schema(self):
        class Lazy(fw.Source):
            pass

        with pytest.raises(TypeError, match=r"abstract .* '?schema"):
            Lazy()


def test_fetching_another_number_of_rows_is_an_error():
    class Short(Squares):
        def fetch(self, rows):
            return super().fetch(rows)[1:]

    with pytest.raises(ValueError, match=r"Short\(\): fetch was asked for 12 rows and returned 11\."):
        Short().to_message()


class TestHowMuchIsRead:
    def test_wide_rows_are_read_a_few_at_a_time(self):
        asked = []

        class Images(fw.Source):
            schema = fw.Message({"x": torch.zeros(1, 512, 512)}).schema

            def count(self):
                return 10_000

            def fetch(self, rows):
                asked.append(len(rows))
                return fw.Message({"x": torch.zeros(len(rows), 1)})

        next(iter(Images().batch(2)))
        next(iter(Images().shuffle(seed=0).batch(2)))
        assert max(asked) <= 8  # 1 MB a row

    def test_an_empty_slice_reads_and_computes_nothing(self):
        calls = []

        def note(rows):
            calls.append(len(rows))
            return rows

        pipe = fw.source({"n": torch.arange(10)}).map(note)
        assert list(pipe.flow.pieces(range(5, 5), Run(0))) == []
        assert calls == []


class Growing(fw.Source):
    """A live table: it has more rows each time it is asked."""

    schema = fw.Message({"n": [0]}).schema
    rows = 100

    def count(self):
        return self.rows

    def fetch(self, rows):
        return fw.Message({"n": np.asarray(rows)})


class TestASourceThatGrows:
    @pytest.mark.parametrize(
        "build",
        [
            lambda source: source.split(0.5, 0.5, seed=0)[0],
            lambda source: source.split(0.5, 0.5, seed=0)[1].shuffle(seed=1),
            lambda source: source.filter("n", ">=", 50),
            lambda source: source.filter("n", ">=", 50).split(0.5, 0.5, seed=0)[0].batch(7),
        ],
        ids=["part", "shuffled part", "filter", "part of a filter"],
    )
    def test_length_and_rows_agree_before_and_after(self, build):
        source = Growing()
        pipe = build(source)
        for rows in (100, 200, 150):
            source.rows = rows
            fresh = build(source)
            assert len(pipe) == len(list(pipe)) == len(fresh)
            assert pipe.to_message() == fresh.to_message()


def test_a_source_that_says_nothing_reads_everything_and_finds_nothing():
    source = fw.source([{"n": 1, "m": 2}, {"n": 3, "m": 4}])
    assert source.narrowed(["n"]) is source
    assert source.find(None, None) is None
    assert source.filter("n > 1").select("m").to_message()["m"].tolist() == [4]


def test_a_source_in_memory_hands_out_fewer_columns():
    source = fw.source({"a": [1, 2], "b": [3, 4]})
    assert source.narrowed(["b"]).to_message().columns == ["b"]


class InOrder(fw.Source):
    """Gives whatever it is told to."""

    reads_in_order = True
    schema = fw.Message({"n": [0]}).schema

    def __init__(self, lengths):
        super().__init__()
        self.lengths = lengths

    def count(self):
        return 20_000

    def fetch(self, rows):
        return fw.Message({"n": np.asarray(rows)})

    def scan(self, rows, budget):
        start = rows.start
        for length in self.lengths:
            yield fw.Message({"n": np.arange(start, start + length)})
            start += length


class TestScan:
    def test_rows_come_with_their_numbers(self):
        chunks = list(InOrder([9_000, 11_000]).flow.pieces(range(20_000), Run(0)))
        assert [len(chunk.rows) for chunk in chunks] == [9_000, 11_000]
        assert all(chunk.message["n"].tolist() == chunk.rows.tolist() for chunk in chunks)

    def test_too_few_are_an_error(self):
        with pytest.raises(
            ValueError, match=r"InOrder\(\): scan was asked for rows 0 to before 20000 and returned them only to 9000"
        ):
            list(InOrder([9_000]))

    def test_too_many_are_an_error(self):
        with pytest.raises(ValueError, match=r"scan was asked for rows 0 to before 20000 and returned more, to 20001"):
            list(InOrder([9_000, 11_001]))

    def test_a_few_rows_are_fetched(self):
        assert InOrder([])[5:7]["n"].tolist() == [5, 6]

    def test_what_a_function_makes_has_no_fingerprint(self):
        with pytest.raises(
            TypeError, match=r"InOrder\(\): its content has no fingerprint, because it is made by a function"
        ):
            InOrder([]).fingerprint()


class WithBadRows(fw.Source):
    random_access = False
    on_error = "quarantine"
    schema = fw.Message({"n": [0]}).schema

    def stream(self, start):
        parts = [
            fw.Message({"n": [0, 1]}),
            BadRows(fw.Message({"line": ["2, oops", "3"]}), "no number"),
            fw.Message({"n": [4, 5]}),
        ]
        row = 0
        for part in parts:
            length = len(part.message if isinstance(part, BadRows) else part)
            skipped = max(start - row, 0)
            if skipped < length:
                yield BadRows(part.message[skipped:], part.reason) if isinstance(part, BadRows) else part[skipped:]
            row += length


class TestBadRows:
    def test_they_are_set_aside_with_their_numbers(self):
        pipe = WithBadRows().batch(3)
        with pytest.warns(fw.errors.QuarantineWarning, match=r"2 rows were set aside by WithBadRows\(\)"):
            assert [batch["n"].tolist() for batch in pipe] == [[0, 1, 4], [5]]
        aside = pipe.quarantined()
        assert aside["row"].tolist() == [2, 3]
        assert aside["line"].tolist() == ["2, oops", "3"]
        assert pipe.stats().stages[0].set_aside == 2

    def test_row_numbers_behind_them_go_on(self):
        cursor = WithBadRows().flow.open(Run(0))
        rows = []
        while (chunk := cursor.read(2)) is not None:
            rows += chunk.rows.tolist()
        assert rows == [0, 1, 4, 5]

    def test_a_pass_is_resumed_behind_them(self):
        with pytest.warns(fw.errors.QuarantineWarning):
            whole = [batch["n"].tolist() for batch in WithBadRows().batch(1)]
        for stop in range(5):
            iterator = iter(WithBadRows().batch(1))
            for _ in range(stop):
                next(iterator)
            again = iter(WithBadRows().batch(1))
            again.load_state_dict(iterator.state_dict())
            with warnings.catch_warnings(action="ignore"):
                assert [batch["n"].tolist() for batch in again] == whole[stop:]
