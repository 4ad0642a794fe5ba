"""Components end to end: every row once, in order, each through its own component's functions."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import SchemaMismatchError, UnknownLengthError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total


def shifted(rows):
    return rows.assign(n=rows["n"] + 100)


def pairs(num_rows):
    """What `counting` streams, with random access."""
    return fw.source({"n": np.arange(num_rows), "x": torch.stack([torch.tensor([n, -n]) for n in range(num_rows)])})


def ends(left, right):
    return fw.Concat({"left": left, "right": right})


@pytest.mark.parametrize(
    "make",
    [
        lambda: ends(table(9), table(7).map(shifted)),
        lambda: ends(table(9).map(add_noise, seed=0), table(7).map(add_noise, seed=0)).shuffle(seed=0),
        lambda: ends(table(9).shuffle(seed=0).map(total), table(7).filter(is_odd).map(total)),
        lambda: ends(table(9).map(total), table(7).map(total)).shuffle(seed=1).batch(4),
        lambda: ends(table(9).batch(4).map(total), table(7).map(total).batch(3)),
        lambda: ends(table(9).batch(4).map(total), table(7).map(total).batch(3)).shuffle(seed=0),
        lambda: ends(table(9).batch(4).filter(is_odd), table(7).batch(3)),
        lambda: ends(counting(9), counting(7).map(double)),
        lambda: ends(counting(9).map(total), pairs(7).map(total)).batch(4),
        lambda: ends(counting(9).batch(4), counting(7).batch(3)).map(total),
        lambda: ends(ends(table(3), table(4)), table(5)).shuffle(seed=0),
    ],
    ids=[
        "rows", "shuffled", "orders inside", "batched behind", "batches", "batches shuffled", "thinned batches",
        "streams", "stream and rows", "streams of batches", "nested",
    ],
)  # fmt: skip
class TestConcat(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestEndToEnd:
    def test_rows_are_those_of_the_components_in_turn(self):
        rows = ends(table(5).map(double), table(4).map(shifted)).to_message()
        assert rows == fw.concat([double(table(5).to_message()), shifted(table(4).to_message())])

    def test_columns_stand_in_the_order_of_the_first(self):
        both = ends(table(3).select("n", "word"), table(3).select("word", "n"))
        assert both.known_columns == both.to_message().columns == both[4].columns == ["n", "word"]

    def test_any_row_can_be_asked_for(self):
        both = ends(table(5), table(4).map(shifted))
        assert both[[8, 0, 5, 4, 8]]["n"].tolist() == [103, 0, 100, 4, 103]
        assert both[4:7]["n"].tolist() == [4, 100, 101]
        assert len(both) == both.num_rows == 9

    def test_an_empty_component_adds_nothing(self):
        both = ends(table(3).take(0), table(3))
        assert both.to_message() == table(3).to_message()
        assert ends(table(3).take(0), table(3).take(0)).to_message() == table(3).take(0).to_message()

    def test_the_verb_gives_the_same(self):
        assert table(3).concat(table(2), table(1)).to_message()["n"].tolist() == [0, 1, 2, 0, 1, 0]

    def test_streams(self):
        both = ends(counting(5), counting(3).map(double)).batch(3)
        assert numbers(both) == [0, 1, 2, 3, 4, 0, 2, 4]
        with pytest.raises(UnknownLengthError, match="stream"):
            len(both)

    def test_each_component_has_its_own_order_of_the_epoch(self):
        left, right = table(8).shuffle(seed=0), table(6).shuffle(seed=1)
        for epoch in range(3):
            both = ends(left, right).at_epoch(epoch)
            assert numbers(both) == numbers(left.at_epoch(epoch)) + numbers(right.at_epoch(epoch))

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 2**32), st.integers(1, 9))
    def test_shuffled_it_is_the_shuffle_of_the_joined_rows(self, lengths, seed, size):
        parts = {f"{k}": fw.source({"n": torch.arange(n) + 1000 * k}) for k, n in enumerate(lengths)}
        joined = torch.cat([torch.arange(n) + 1000 * k for k, n in enumerate(lengths)])
        ours = fw.Concat(parts).shuffle(seed=seed).batch(size)
        assert numbers(ours) == numbers(fw.source({"n": joined}).shuffle(seed=seed).batch(size))


class TestFunctionsBehindOrders:
    def test_a_map_runs_once_per_row_when_shuffled_behind(self):
        seen = []

        def note(rows):
            seen.extend(rows["n"].tolist())
            return rows

        both = ends(table(3000).map(note), table(2000).map(shifted)).shuffle(seed=0).batch(700)
        assert sorted(numbers(both)) == sorted([*range(3000), *range(100, 2100)])
        assert sorted(seen) == list(range(3000))

    def test_no_more_rows_are_asked_of_a_component_than_are_needed(self):
        asked = []

        class Counted(fw.Source):
            schema = fw.Message({"n": torch.zeros(1, dtype=torch.int64)}).schema

            def count(self):
                return 50_000

            def fetch(self, rows):
                asked.append(len(rows))
                return fw.Message({"n": torch.from_numpy(np.asarray(rows, dtype=np.int64))})

        both = ends(Counted().map(lambda rows: rows), Counted()).shuffle(seed=0).batch(256)
        assert len(list(both)) == 391
        assert (sum(asked), len(asked) < 20) == (100_000, True)

    def test_components_with_one_seed_draw_independently(self):
        both = ends(table(9).map(add_noise, seed=0), table(9).map(add_noise, seed=0)).to_message()
        assert not set(both["noise"][:9].tolist()) & set(both["noise"][9:].tolist())

    def test_columns_that_a_component_drops_may_differ(self):
        wide = table(4).map(lambda rows: rows.select("n"))
        narrow = fw.source({"n": torch.arange(3), "other": ["a", "b", "c"]}).select("n")
        assert sorted(numbers(ends(wide, narrow).shuffle(seed=0))) == [0, 0, 1, 1, 2, 2, 3]

    def test_an_error_in_a_component_names_its_own_rows(self):
        def fail(rows):
            raise KeyError("broken")

        with pytest.raises(KeyError) as caught:
            ends(table(3), table(4).map(fail))[5]
        notes = "\n".join(caught.value.__notes__)
        assert "In Map(fail)" in notes
        assert "[0, 1, 2, 3]" in notes

    def test_rows_behind_are_numbered_through(self):
        def fail(rows):
            raise KeyError("broken")

        with pytest.raises(KeyError) as caught:
            ends(table(3), table(4)).map(fail).to_message()
        assert "[0, 1, 2, 3, 4, 5, 6]" in "\n".join(caught.value.__notes__)


class TestWhatDoesNotFit:
    def test_batched_with_unbatched(self):
        with pytest.raises(
            TypeError, match=r"Concat: components must all give rows or all give batches; batched are \["
        ):
            ends(table(), table().batch(4))

    def test_other_columns_are_refused_at_once_where_they_are_known(self):
        with pytest.raises(
            SchemaMismatchError,
            match=r"Concat: components must have the same columns; 'right' lacks \['w', 'word'\], compared with 'left'",
        ):
            ends(table(), table().select("x", "n"))
        with pytest.raises(
            SchemaMismatchError, match=r"'right' lacks \['n'\] and alone has \['m'\], compared with 'left'"
        ):
            ends(fw.source({"n": [1]}), fw.source({"m": [1]}))

    def test_other_types_are_refused_at_once_where_they_are_known(self):
        with pytest.raises(
            SchemaMismatchError,
            match=r"Concat: column 'n' is int32 in 'right' and int64 in 'left'; bring them to one type first",
        ):
            ends(fw.source({"n": [1]}), fw.source({"n": np.array([1], dtype="int32")}).shuffle(seed=0))
        with pytest.raises(
            SchemaMismatchError, match=r"'x' is float32\[2\] tensor in 'right' and float32\[3\] tensor in"
        ):
            ends(fw.source({"x": torch.zeros(2, 3)}), fw.source({"x": torch.zeros(2, 2)}))

    def test_other_types_are_refused_with_the_first_rows_where_a_function_makes_them(self):
        both = ends(table(3).map(lambda rows: rows), table(3).map(lambda rows: rows.assign(n=rows["n"].float())))
        with pytest.raises(
            SchemaMismatchError, match="column 'n' is float32 tensor in 'right' and int64 tensor in 'left'"
        ):
            both.to_message()
        with pytest.raises(SchemaMismatchError) as caught:
            list(both)
        notes = "\n".join(caught.value.__notes__)
        assert "In Concat(left=(" in notes
        assert f"built at {__file__}:" in notes

    def test_other_columns_that_a_function_makes(self):
        with pytest.raises(SchemaMismatchError, match=r"'right' alone has \['m'\], compared with 'left'"):
            ends(table(3), table(3).map(lambda rows: rows.assign(m=rows["n"]))).to_message()

    def test_another_order_of_columns_that_only_functions_know(self):
        both = ends(table(3).map(lambda rows: rows.select("n", "w")), table(3).map(lambda rows: rows.select("w", "n")))
        with pytest.raises(SchemaMismatchError, match=r"'right' has the columns in the order \['w', 'n'\], 'left' in"):
            both.to_message()

    def test_types_of_streams_are_compared_with_the_first_rows(self):
        with pytest.raises(SchemaMismatchError, match=r"'right' lacks \['x'\], compared with 'left'"):
            list(ends(counting(3), counting(3).select("n")))


class TestFiles:
    """Rows of files stand in columns from the beginning, so that a shuffle of more than the memory holds can use the disk."""

    ROWS = 40_000

    @staticmethod
    def message(start, rows):
        numbers = np.arange(start, start + rows)
        return fw.Message(
            {
                "n": torch.from_numpy(numbers),
                "word": [f"word {n % 1000}" for n in numbers],
                "x": torch.from_numpy(numbers[:, None] * np.ones(8)),
            }
        )

    @pytest.fixture
    def both(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("files")
        old, new = self.message(0, self.ROWS), self.message(10**6, self.ROWS // 2)
        pq.write_table(old.to_arrow(), folder / "old.parquet", row_group_size=2000)
        pq.write_table(new.select("x", "word", "n").to_arrow(), folder / "new.parquet", row_group_size=2000)
        files = ends(fw.read_parquet(folder / "old.parquet"), fw.read_parquet(folder / "new.parquet"))
        return files, ends(fw.source(old), fw.source(new))

    def test_are_what_the_same_rows_in_memory_are(self, both):
        files, memory = both
        assert files.to_message() == memory.to_message()
        assert files.known_columns == files.to_message().columns == ["n", "word", "x"]
        assert files[[5, 50_000, 7, 39_999, 40_000]] == memory[[5, 50_000, 7, 39_999, 40_000]]
        assert files[-1] == memory[-1]

    @pytest.mark.parametrize("budget", [None, "8MB"])
    def test_are_shuffled_as_the_same_rows_in_memory(self, both, budget, tmp_path):
        shuffled = [pipe.shuffle(seed=3).batch(500) for pipe in both]
        expected = [list(shuffled[1].at_epoch(epoch)) for epoch in range(2)]
        with fw.memory_budget(budget), fw.scratch_folder(tmp_path):
            for epoch in range(2):
                batches = []
                for batch in shuffled[0].at_epoch(epoch):
                    assert bool(list(tmp_path.iterdir())) == (budget is not None)
                    batches.append(batch)
                assert batches == expected[epoch]

    def test_may_stand_beside_rows_in_memory(self, both):
        files, memory = (ends(pipe, fw.source(self.message(5, 9))) for pipe in both)
        assert list(files.shuffle(seed=0).batch(1000)) == list(memory.shuffle(seed=0).batch(1000))

    def test_with_functions_are_looked_up_where_they_are(self, both):
        files, memory = (ends(pipe.map(double), fw.source(self.message(5, 9))) for pipe in both)
        assert files.shuffle(seed=0).take(20).to_message() == memory.shuffle(seed=0).take(20).to_message()

    @pytest.mark.parametrize("kind", ["mix", "cycle"])
    def test_of_which_some_come_in_turn(self, both, kind, tmp_path):
        fw.source(self.message(0, 500)).to_parquet(tmp_path / "few.parquet")
        made = []
        for few in (fw.read_parquet(tmp_path / "few.parquet"), fw.source(self.message(0, 500))):
            components = {"a": few, "b": fw.source(self.message(900, 400))}
            made.append(fw.Mix(components, seed=0) if kind == "mix" else fw.Cycle(components))
        assert made[0].to_message() == made[1].to_message()
        assert made[0].shuffle(seed=1).to_message() == made[1].shuffle(seed=1).to_message()

    def test_with_another_type_are_refused(self, both, tmp_path):
        other = self.message(0, 50).assign(n=np.arange(50.0))
        fw.source(other).to_parquet(tmp_path / "other.parquet")
        with pytest.raises(SchemaMismatchError, match=r"^Concat: column 'n' is .* in 'right' and .* in 'left'"):
            ends(both[0], fw.read_parquet(tmp_path / "other.parquet")).to_message()
