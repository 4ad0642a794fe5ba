"""Columns side by side, row by row: in any order, over batches and streams, and never out of step in silence."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import SchemaMismatchError
from pipelines import add_noise, counting, is_odd, numbers, table, total


def other(rows):
    """The same row numbers under another name."""
    return fw.Message({"m": rows["n"]})


def pair(left, right):
    return fw.Zip({"left": left, "right": right})


def in_step(pipe):
    return all(item["n"].tolist() == item["m"].tolist() for item in pipe)


class TestSideBySide:
    def test_columns_stand_in_the_order_of_the_components(self):
        zipped = pair(table().select("w", "n"), table().select("x"))
        assert zipped.to_message().columns == zipped.known_columns == ["w", "n", "x"]

    def test_rows_are_those_of_the_components(self):
        rows = pair(table().select("n"), table().select("x", "word")).to_message()
        assert rows == table().to_message().select("n", "x", "word")

    def test_a_single_component_is_itself(self):
        assert fw.Zip({"only": table()}).to_message() == table().to_message()

    def test_any_number_of_components(self):
        components = {f"{i}": table().map(lambda rows, i=i: fw.Message({f"c{i}": rows["n"] + i})) for i in range(12)}
        rows = fw.Zip(components).shuffle(seed=0).to_message()
        assert all(torch.equal(rows[f"c{i}"], rows["c0"] + i) for i in range(12))

    def test_columns_whose_names_look_like_marks_survive(self):
        left = fw.source({"0/a": [1, 2], "1/b": [3, 4]})
        right = fw.source({"1/c": [5, 6], "0/": [7, 8]})
        assert pair(left, right).shuffle(seed=0)[:]["0/"].tolist() in ([7, 8], [8, 7])
        assert pair(left, right).to_message().to_dict() == {"0/a": [1, 2], "1/b": [3, 4], "1/c": [5, 6], "0/": [7, 8]}

    def test_a_zip_of_zips(self):
        inner = pair(table().select("n"), table().select("x"))
        assert pair(inner, table().select("word")).batch(4).shuffle(seed=0)[0].columns == ["n", "x", "word"]


class TestInStep:
    def test_shuffled_behind_the_junction(self):
        zipped = pair(table().map(total).select("n", "block"), table().map(other)).shuffle(seed=0).batch(5)
        assert in_step(zipped)
        assert in_step(zipped)
        assert sorted(numbers(zipped)) == list(range(23))

    def test_shuffled_in_each_component_with_one_seed(self):
        zipped = pair(table().shuffle(seed=0), table().map(other).shuffle(seed=0).select("m"))
        assert in_step(zipped)
        assert in_step(zipped.at_epoch(3))

    def test_components_shuffled_with_different_seeds_are_paired_as_they_come(self):
        zipped = pair(table().shuffle(seed=0).select("n"), table().map(other).shuffle(seed=1))
        rows = zipped.to_message()
        assert rows["n"].tolist() == numbers(table().shuffle(seed=0))
        assert rows["m"].tolist() == numbers(table().shuffle(seed=1))

    def test_streams_and_rows_in_any_mixture(self):
        for left in (table().select("n"), counting().select("n")):
            for right in (table().map(other), counting().map(other)):
                assert in_step(pair(left, right).batch(4))
                assert numbers(pair(left, right).batch(4)) == list(range(23))
                assert in_step(pair(left.batch(4), right.batch(4)))

    def test_a_filter_of_unvarying_rows_may_be_a_component(self):
        zipped = pair(table().filter(is_odd).select("n"), table().filter("n", "in", range(1, 23, 2)).map(other))
        assert (len(zipped), in_step(zipped)) == (11, True)

    def test_components_whose_rows_come_in_pieces_of_different_length_stay_in_step(self):
        in_blocks = table(3000).map(total).repeat(1).select("n")
        zipped = pair(in_blocks, table(3000).map(other))
        assert (in_step(zipped.batch(700)), in_step([zipped[900:2900]])) == (True, True)

    def test_long_components_stay_in_step(self):
        long = 40_000
        left = fw.source({"n": torch.arange(long)}).filter("n", ">=", 5)
        right = fw.source({"m": torch.arange(5, long)}).map(lambda rows: rows)
        zipped = pair(left, right)
        assert in_step(zipped.batch(3001))
        assert in_step([zipped[[39_000, 3, 17_000]], zipped[16_000:33_000]])
        streams = pair(left.map(add_noise, seed=0).filter("noise", ">=", 0), right)
        assert in_step(streams.batch(3001))


class TestWhatDoesNotFit:
    def test_unequal_lengths(self):
        with pytest.raises(
            ValueError, match=r"Zip: components must have equal length; got \{'left': 23, 'right': 9\}\."
        ):
            pair(table().select("n"), table(9).select("x"))

    def test_unequal_lengths_behind_a_filter_are_found_with_the_first_rows(self):
        zipped = pair(table().filter(is_odd).select("n"), table().select("x"))
        with pytest.raises(
            ValueError, match=r"Zip: components must have equal length; got \{'left': 11, 'right': 23\}"
        ):
            len(zipped)
        with pytest.raises(ValueError, match="equal length"):
            zipped.to_message()

    @pytest.mark.parametrize("size", [1, 4, 5, 100])
    def test_a_stream_that_ends_early(self, size):
        zipped = pair(counting(9).select("n"), counting().select("x")).batch(size)
        with pytest.raises(
            ValueError, match=r"Zip: components must have equal length; the next parts of them have \{'le"
        ):
            list(zipped)

    def test_rows_before_the_block_in_which_the_shorter_stream_ends_are_given(self):
        zipped = iter(pair(counting(1500).select("n"), counting(3000).select("x")))
        assert [n for _ in range(1024) for n in next(zipped)["n"].tolist()] == list(range(1024))
        with pytest.raises(ValueError, match=r"\{'left': 476, 'right': 1024\} rows"):
            next(zipped)

    def test_batches_of_unequal_length(self):
        with pytest.raises(ValueError, match=r"the next parts of them have \{'left': 4, 'right': 5\} rows"):
            list(pair(table(20).select("n").batch(4), table(25).select("x").batch(5)))
        with pytest.raises(ValueError, match=r"\{'left': 4, 'right': 5\} rows"):
            list(pair(counting(20).select("n").batch(4), counting(25).select("x").batch(5)))

    def test_batched_with_unbatched(self):
        with pytest.raises(
            TypeError, match=r"Zip: components must all give rows or all give batches; batched are \['right'"
        ):
            pair(table(), table().batch(4))

    def test_a_column_of_the_same_name(self):
        with pytest.raises(
            SchemaMismatchError, match=r"Zip: column 'n' is in both 'left' and 'right'; select or rename"
        ):
            pair(table().select("n"), table())

    def test_a_column_of_the_same_name_that_a_function_makes(self):
        zipped = pair(table().select("n"), table().map(lambda rows: rows))
        with pytest.raises(SchemaMismatchError, match="column 'n' is in both"):
            zipped[0]

    def test_a_column_of_the_same_name_in_a_stream(self):
        with pytest.raises(SchemaMismatchError, match="column 'n' is in both"):
            list(pair(counting(), counting()))

    def test_components_without_names(self):
        with pytest.raises(TypeError, match="Zip: components need names"):
            fw.Zip([table(), table()])


class TestThinnedBatches:
    def test_a_filter_behind_batch_is_refused_because_rows_would_stand_beside_others(self):
        thinned = table().select("n").batch(2).filter(lambda rows: rows["n"] % 2 == 0)
        with pytest.raises(ValueError, match=r"filters thin out the batches of \['a'\].*Filter before \.batch"):
            fw.Zip({"a": thinned, "b": table().select("x").batch(2)})

    def test_building_a_zip_of_filtered_rows_reads_nothing(self):
        calls = []

        def note(rows):
            calls.append(len(rows))
            return rows["n"] >= 0

        inner = fw.Zip({"a": table().filter(note).select("n"), "b": table().select("x")})
        fw.Zip({"c": inner, "d": table().select("word")})
        assert calls == []
