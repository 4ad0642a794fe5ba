"""Clockwork: as many items of each as its weight, round after round."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import SchemaMismatchError, UnknownLengthError
from pipelines import add_noise, counting, is_odd, numbers, table, total


def shifted(rows):
    return rows.assign(n=rows["n"] + 100)


def stream(values):
    """A stream of a column n."""
    return fw.source(lambda: ({"n": torch.tensor(value)} for value in values))


def rows(values):
    return fw.source({"n": torch.tensor(values, dtype=torch.int64)})


def cycled(left, right, **options):
    return fw.Cycle({"left": left, "right": right}, **options)


def cycled_by_hand(lengths, weights, stop):
    """The cycle, one item at a time in plain Python."""
    left, given, found = list(lengths), [0] * len(lengths), []
    live = [True] * len(lengths)
    while any(live):
        for k, weight in enumerate(weights):
            for _ in range(weight if live[k] else 0):
                if not left[k]:
                    live[k] = False
                    if stop == "shortest":
                        return found
                    break
                found.append((k, given[k]))
                given[k] += 1
                left[k] -= 1
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: cycled(table(9), table(7).map(shifted)),
        lambda: cycled(table(9).map(total).shuffle(seed=0), table(7).filter(is_odd).map(total), weights=[1, 3]).batch(4),
        lambda: cycled(table(9).map(add_noise, seed=0), table(7).map(add_noise, seed=0)).shuffle(seed=5),
        lambda: cycled(table(9).map(total), table(7).map(total), weights=[2, 3], stop="shortest"),
        lambda: cycled(table(9).batch(2).map(total), table(7).batch(3).map(total)),
        lambda: cycled(counting(9).map(total), counting(7).map(shifted).map(total), weights=[2, 1]),
        lambda: cycled(counting(9), counting(7).map(shifted), stop="shortest").map(total).batch(2),
        lambda: cycled(counting(9).batch(2), counting(7).batch(3)),
    ],
    ids=[
        "rows", "orders inside", "orders behind", "shortest", "batches", "streams", "streams shortest",
        "streams of batches",
    ],
)  # fmt: skip
class TestCycle(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestRounds:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.sampled_from(["all", "shortest"]), st.data())
    def test_rows_and_streams_come_in_turn(self, lengths, stop, data):
        weights = data.draw(st.lists(st.integers(1, 5), min_size=len(lengths), max_size=len(lengths)))
        values = [[1000 * k + i for i in range(length)] for k, length in enumerate(lengths)]
        expected = [1000 * k + i for k, i in cycled_by_hand(lengths, weights, stop)]
        for make in (rows, stream):
            ours = fw.Cycle({f"{k}": make(part) for k, part in enumerate(values)}, weights=weights, stop=stop)
            assert numbers(ours) == expected
            assert numbers(ours.batch(5)) == expected
        ours = fw.Cycle({f"{k}": rows(part) for k, part in enumerate(values)}, weights=weights, stop=stop)
        assert len(ours) == len(expected)
        places = data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=6)) if expected else []
        assert ours[places]["n"].tolist() == [expected[place] for place in places]

    def test_three_of_equal_length_take_turns(self):
        ours = rows([0, 1, 2, 3]).cycle(rows([0, 1, 2, 3]), rows([0, 1, 2, 3]))
        assert numbers(ours) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    def test_each_component_has_its_own_order_of_the_epoch(self):
        left, right = table(8).shuffle(seed=0), table(8).map(shifted)
        for epoch in range(3):
            found = numbers(cycled(left, right).at_epoch(epoch))
            assert found[::2] == numbers(left.at_epoch(epoch))
            assert found[1::2] == list(range(100, 108))

    def test_long_components(self):
        ours = cycled(rows(list(range(50_000))), rows(list(range(-50_000, 0))), weights={"left": 3, "right": 2}).batch(
            1000
        )
        assert ours[30]["n"].tolist()[:5] == [18_000, 18_001, 18_002, -38_000, -37_999]

    def test_the_verb_gives_the_same(self):
        ours = table(5).cycle(table(4), weights=[2, 1], stop="shortest")
        assert repr(ours) == repr(fw.Cycle({"0": table(5), "1": table(4)}, weights={"0": 2, "1": 1}, stop="shortest"))
        assert repr(ours).endswith(", weights=[2, 1], stop='shortest')")

    def test_order_does_not_vary_unless_a_component_does(self):
        assert not cycled(table(), table()).order_varies
        assert cycled(table(), table().shuffle(seed=0)).order_varies


class TestWhatDoesNotFit:
    def test_a_stream_has_no_length(self):
        with pytest.raises(UnknownLengthError, match=r"Cycle: a component is a stream; its length is not known before"):
            len(cycled(counting(9), counting(7)))

    def test_weights_are_ints_of_at_least_one(self):
        with pytest.raises(ValueError, match=r"cycle: a weight must be an int of at least 1; got 0\."):
            cycled(table(), table(), weights=[0, 1])
        with pytest.raises(ValueError, match=r"cycle: 2 components need as many weights; got 3\."):
            cycled(table(), table(), weights=[1, 1, 1])

    def test_stop(self):
        with pytest.raises(ValueError, match=r"cycle: stop is 'all' or 'shortest'; got None\."):
            cycled(table(), table(), stop=None)

    def test_schemas(self):
        with pytest.raises(SchemaMismatchError, match=r"Cycle: components must have the same columns; 'right' lacks"):
            cycled(table(), table().select("n"))
