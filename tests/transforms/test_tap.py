"""A look at rows changes nothing."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnValueError
from pipelines import add_noise, counting, double, table, total


def look(rows):
    return len(rows)


PIPES = {
    "rows": lambda: table().tap(look),
    "batches": lambda: table().batch(4).tap(look),
    "stream": lambda: counting().tap(look),
    "batched stream": lambda: counting().batch(4).tap(look),
    "between maps and shuffles": lambda: table().map(total).tap(look).shuffle(seed=0).map(add_noise, seed=1).tap(look),
}


@pytest.mark.parametrize("name", PIPES)
class TestTap(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


def test_every_row_is_seen_once_in_a_pass():
    seen = []
    list(table().tap(lambda rows: seen.extend(rows["n"].tolist())).batch(4))
    assert seen == list(range(23))


def test_behind_batch_it_sees_each_batch_whole():
    seen = []
    list(table(9).batch(4).tap(lambda batch: seen.append(batch["n"].tolist())))
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_neither_draws_nor_blocks_of_others_change():
    plain = table(1500).map(add_noise, seed=1).map(total).map(add_noise, seed=1)
    tapped = table(1500).tap(look).map(add_noise, seed=1).tap(look).map(total).map(add_noise, seed=1).tap(look)
    assert list(tapped.at_epoch(2).batch(100)) == list(plain.at_epoch(2).batch(100))
    shuffled = table().tap(look).shuffle(seed=0).tap(look).shuffle(seed=0)
    assert list(shuffled) == list(table().shuffle(seed=0).shuffle(seed=0))
    assert table().tap(look).known_columns == ["x", "n", "w", "word"]
    assert table().tap(look).flow.grid == 0


def test_what_it_returns_and_assigns_is_ignored():
    def assigns(rows):
        rows["n"] = rows["n"] * 100
        return "anything"

    assert table().tap(assigns).to_message() == table().to_message()
    assert table().tap(assigns)(table().to_message()) == table().to_message()


def test_a_change_in_place_is_an_error():
    with pytest.raises(ColumnValueError, match=r"Tap\(.*\): column 'n' was changed in place"):
        fw.source({"n": torch.arange(5)}).tap(lambda rows: rows["n"].add_(1)).to_message()
    with pytest.raises(ColumnValueError, match="changed in place"):
        table().map(double).tap(lambda rows: rows["x"].zero_())(table().to_message())


def test_an_error_in_it_comes_through_with_its_place():
    with pytest.raises(ZeroDivisionError) as caught:
        table().tap(lambda rows: 1 / 0).to_message()
    assert any("In Tap(<lambda>), built at" in note for note in caught.value.__notes__)


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match=r"tap: expected a function; got 'look' of type str\."):
        table().tap("look")
    with pytest.raises(TypeError, match="Tap has no input; pass it a pipe"):
        fw.Tap(None, look)
