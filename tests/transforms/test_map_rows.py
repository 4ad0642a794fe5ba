"""A function over one row at a time: what it gets, what it may return, and what keys its draws."""

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks._internal.seeds import block_generator
from fireworks.errors import ColumnTypeError, ColumnValueError, StageResultError
from pipelines import add_noise, counting, double, table


def longer(row):
    return {**row, "n": row["n"] * 2, "length": float(row["x"].sum())}


def noisy(row, generator):
    return {"n": row["n"], "noise": torch.rand(2, generator=generator)}


def as_message(row):
    return fw.Message({"n": row["n"].reshape(1), "word": [row["word"].upper()]})


def fails_at_5(row):
    if int(row["n"]) == 5:
        raise ValueError("five")
    return row


PIPES = {
    "rows": lambda: table().map_rows(longer),
    "messages": lambda: table().map_rows(as_message),
    "batches": lambda: table().batch(4).map_rows(longer),
    "batches, some empty": lambda: table().batch(2).filter("n > 5").map_rows(longer),
    "stream": lambda: counting().map_rows(both_ways),
    "seeded": lambda: table().map_rows(noisy, seed=1),
    "seeded behind batch": lambda: table().batch(4).map_rows(noisy, seed=1),
    "seeded stream": lambda: counting().map_rows(noisy, seed=1),
    "behind map and shuffle": lambda: table().map(double).map_rows(longer).shuffle(seed=0),
    "two threads": lambda: table().map_rows(longer, workers=2),
    "quarantine": lambda: table().map_rows(fails_at_5, on_error="quarantine"),
}


def both_ways(row):
    return {"both": torch.cat([row["x"], row["x"]]), "n": row["n"]}


@pytest.mark.filterwarnings("ignore::fireworks.errors.QuarantineWarning")
@pytest.mark.parametrize("name", PIPES)
class TestMapRows(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


class TestWhatItGets:
    def test_a_dict_of_the_rows_values(self):
        seen = []
        data = {
            "x": torch.arange(4).reshape(2, 2),
            "n": np.array([1, 2], dtype=np.int8),
            "maybe": pd.array([None, 2], dtype="Int64"),
            "word": ["a", None],
            "day": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        }
        fw.source(data).map_rows(lambda row: seen.append(row) or row).to_message()
        assert [type(row) for row in seen] == [dict, dict]
        assert torch.equal(seen[1]["x"], torch.tensor([2, 3]))
        assert [row["n"] for row in seen] == [1, 2]
        assert type(seen[0]["n"]) is int
        assert [row["maybe"] for row in seen] == [None, 2]
        assert [row["word"] for row in seen] == ["a", None]
        assert seen[0]["day"] == pd.Timestamp("2020-01-01")

    def test_rows_come_in_order_once_each(self):
        seen = []
        list(table().map_rows(lambda row: seen.append(int(row["n"])) or row).batch(4))
        assert seen == list(range(23))

    def test_the_dict_may_be_changed_and_a_tensor_may_not(self):
        def changes(row):
            row["n"] = -row["n"]
            return row

        assert table(3).map_rows(changes).to_message()["n"].tolist() == [0, -1, -2]
        data = table(3)
        with pytest.raises(ColumnValueError, match=r"MapRows\(.*\): column 'x' was changed in place"):
            data.map_rows(lambda row: {"x": row["x"].add_(1)}).to_message()


class TestWhatItReturns:
    def test_it_is_what_plain_python_makes_of_the_rows(self):
        rows = table().map_rows(longer).to_message()
        assert rows.columns == ["x", "n", "w", "word", "length"]
        assert rows["length"].tolist() == [float(x.sum()) for x in table().to_message()["x"]]
        assert rows["n"].tolist() == [2 * n for n in range(23)]
        assert rows["x"].shape == (23, 3)

    @pytest.mark.parametrize(
        "column",
        [
            np.array([1, 2], dtype=np.int8),
            pd.array([1, None], dtype="Int16"),
            pd.array(["a", None], dtype="string[pyarrow]"),
            pd.Categorical(["b", "a"], categories=["b", "a", "c"]),
            pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin"),
            pd.array([1.5, None], dtype="float[pyarrow]"),
            torch.tensor([[True], [False]]),
        ],
        ids=lambda column: str(column.dtype),
    )
    def test_columns_that_pass_keep_their_types(self, column):
        source = fw.source({"c": column})
        assert source.map_rows(dict).to_message() == source.to_message()

    def test_values_that_do_not_fit_the_old_type_get_a_new_one(self):
        rows = (
            fw.source({"n": np.array([1, 2], dtype=np.int8)}).map_rows(lambda row: {"n": row["n"] * 1000}).to_message()
        )
        assert rows["n"].tolist() == [1000, 2000]
        rows = fw.source({"n": [1, 2]}).map_rows(lambda row: {"n": str(row["n"])}).to_message()
        assert rows["n"].tolist() == ["1", "2"]

    @pytest.mark.parametrize(
        ("column", "value", "dtype"),
        [
            (np.array([1, 2], dtype=np.int8), 2.0, "float64"),
            (np.array([1, 2], dtype=np.int8), True, "bool"),
            (np.array([1.0, 2.0], dtype=np.float32), 1, "int64"),
            (np.array([True, False]), 1, "int64"),
            (np.array([1, 2], dtype=np.int8), np.int64(3), "int8"),
            (np.array([1.0, 2.0], dtype=np.float32), np.float64(0.5), "float32"),
            (pd.array([1, None], dtype="Int8"), None, "Int8"),
        ],
    )
    def test_values_of_another_kind_have_their_own_type_whatever_they_are(self, column, value, dtype):
        rows = fw.source({"c": column}).map_rows(lambda row: {"c": value}).to_message()
        assert rows["c"].dtype == dtype

    @pytest.mark.parametrize("result", [None, 3, [1], "row", {}])
    def test_anything_else_than_a_row_is_an_error(self, result):
        with pytest.raises(
            StageResultError, match=r"MapRows\(.*\): the function must return a row, a mapping of values; it returned"
        ):
            table().map_rows(lambda row: result).to_message()

    def test_a_message_has_one_row(self):
        with pytest.raises(StageResultError, match=r"must return one row; it returned a message of 2 rows"):
            table().map_rows(lambda row: fw.Message({"n": [1, 2]})).to_message()

    def test_columns_are_the_same_for_all_rows(self):
        with pytest.raises(
            StageResultError,
            match=r"returned a mapping of \['n'\] for the first row and a mapping of \['m'\] 3 rows later; return the same",
        ):
            table().map_rows(lambda row: {"n" if row["n"] < 3 else "m": 1}).to_message()
        with pytest.raises(
            StageResultError, match=r"a mapping of \['n'\] for the first row and a message of \['n'\] 1 rows"
        ):
            table().map_rows(lambda row: fw.Message({"n": [1]}) if row["n"] else {"n": 1}).to_message()

    def test_types_are_the_same_in_all_blocks(self):
        with pytest.raises(StageResultError, match=r"the function returned column 'n' as .* after"):
            list(table(1500).map_rows(lambda row: {"n": 1 if row["n"] < 1024 else "a"}).batch(100))

    def test_tensors_have_one_shape(self):
        with pytest.raises(ColumnTypeError, match=r"MapRows\(.*\): column 'x' is a tensor of float32, shape \(0,\)"):
            table().map_rows(lambda row: {"x": row["x"][: int(row["n"])]}).to_message()

    def test_an_empty_batch_keeps_the_columns_that_it_has(self):
        batches = table(4).batch(2).filter("n > 1").map_rows(longer)
        assert [(len(batch), batch.columns[-1]) for batch in batches] == [(0, "word"), (2, "length")]


class TestDraws:
    def test_the_rows_of_a_block_draw_from_the_blocks_generator(self):
        pipe = table(1500).map_rows(noisy, seed=5)
        for epoch in range(2):
            noise = torch.cat([row["noise"] for row in pipe.at_epoch(epoch)])
            for block, (start, stop) in enumerate([(0, 1024), (1024, 1500)]):
                generator = block_generator(5, "map_rows:0", epoch, block)
                expected = torch.stack([torch.rand(2, generator=generator) for _ in range(stop - start)])
                assert torch.equal(noise[start:stop], expected)

    def test_another_maps_draws_do_not_count(self):
        first = table().map_rows(noisy, seed=5).to_message()
        assert table().map(add_noise, seed=5).map_rows(noisy, seed=5).to_message() == first
        assert table().map_rows(noisy, seed=5, name="other").to_message() != first

    def test_it_says_that_it_draws(self):
        assert table().map_rows(noisy, seed=5).values_vary
        assert not table().map_rows(longer).values_vary
        named = table().map_rows(noisy, seed=5, name="x", on_error="quarantine")
        assert named.stages()[-1] == "MapRows(noisy, seed=5, name='x', on_error='quarantine')"


def test_bad_rows_are_set_aside():
    pipe = table().map_rows(fails_at_5, on_error="quarantine")
    with pytest.warns(fw.errors.QuarantineWarning, match=r"1 rows were set aside by MapRows\(fails_at_5"):
        assert pipe.to_message()["n"].tolist() == [n for n in range(23) if n != 5]


def test_pipe_of_a_message():
    assert table().map_rows(longer)(table().to_message()) == table().map_rows(longer).to_message()


def test_processes_give_the_same_rows():
    assert table().map_rows(longer, workers=1, backend="process").to_message() == table().map_rows(longer).to_message()
    with pytest.raises(TypeError, match="does not pickle"):
        table().map_rows(lambda row: row, workers=1, backend="process")


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match=r"map_rows: expected a function; got 5 of type int\."):
        table().map_rows(5)
    with pytest.raises(ValueError, match="map_rows: seed must be an int from 0 to"):
        table().map_rows(noisy, seed=-1)
    with pytest.raises(ValueError, match="map_rows: on_error is 'raise' or 'quarantine'; got 'skip'"):
        table().map_rows(longer, on_error="skip")
    with pytest.raises(ValueError, match="map_rows: workers must be an int of at least 0"):
        table().map_rows(longer, workers=-1)
    with pytest.raises(TypeError, match="MapRows has no input; pass it a pipe"):
        fw.MapRows(None, longer)
