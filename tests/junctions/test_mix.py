"""Draws by weight: every row once, in its component's order, the same for streams and rows in memory."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks._internal.seeds import seed_sequence
from fireworks.errors import NoRandomAccessError, SchemaMismatchError, UnknownLengthError
from fireworks.order.keys import keys
from pipelines import add_noise, counting, is_odd, numbers, table, total


def shifted(rows):
    return rows.assign(n=rows["n"] + 100)


def mixed(left, right, **options):
    return fw.Mix({"left": left, "right": right}, seed=0, **options)


def stream(values):
    """A stream of a column n."""
    return fw.source(Values(values))


class Values:
    def __init__(self, values):
        self.values = values

    def __call__(self):
        return ({"n": torch.tensor(value)} for value in self.values)


def rows(values):
    return fw.source({"n": torch.tensor(values, dtype=torch.int64)})


def drawn_by_hand(lengths, weights, seed, epoch, stop):
    """The mix, one turn at a time in plain Python: (component, item) of each turn."""
    words = np.random.Philox(seed_sequence(seed, "mix:0", epoch))
    live, left, given = list(range(len(lengths))), list(lengths), [0] * len(lengths)
    found = []
    while live:
        word = int(words.random_raw())
        while live:
            shares = [Fraction(str(float(weights[k]))) for k in live]
            bounds = [int(sum(shares[: n + 1]) * 2**64 / sum(shares)) for n in range(len(live) - 1)]
            k = live[sum(word >= bound for bound in bounds)]
            if left[k]:
                found.append((k, given[k]))
                given[k] += 1
                left[k] -= 1
                break
            if stop == "shortest":
                return found
            live.remove(k)
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: mixed(table(9), table(7).map(shifted)),
        lambda: mixed(table(9).map(total).shuffle(seed=0), table(7).filter(is_odd).map(total), weights=[1, 3]).batch(4),
        lambda: mixed(table(9).map(add_noise, seed=0), table(7).map(add_noise, seed=0)).take(12).shuffle(seed=5),
        lambda: mixed(table(9).map(total), table(7).map(total), stop="shortest"),
        lambda: mixed(table(9).batch(2).map(total), table(7).batch(3).map(total)),
        lambda: mixed(table(30).batch(2).map(total), table(30).batch(3).map(total), stop="shortest"),
        lambda: mixed(counting(9).map(total), counting(7).map(shifted).map(total)),
        lambda: mixed(counting(9), counting(7).map(shifted), stop="shortest").map(total).batch(2),
        lambda: mixed(counting(9).batch(2), counting(7).batch(3)),
    ],
    ids=[
        "rows", "orders inside", "orders behind", "shortest", "batches", "batches shortest", "streams",
        "streams shortest", "streams of batches",
    ],
)  # fmt: skip
class TestMix(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestDraws:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.integers(0, 12), min_size=1, max_size=4),
        st.integers(0, 2**64 - 1),
        st.integers(0, 3),
        st.sampled_from(["all", "shortest"]),
        st.data(),
    )
    def test_rows_and_streams_follow_the_draws(self, lengths, seed, epoch, stop, data):
        positive = st.floats(0.01, 100)
        weights = data.draw(st.lists(positive, min_size=len(lengths), max_size=len(lengths)))
        values = [[1000 * k + i for i in range(length)] for k, length in enumerate(lengths)]
        expected = [1000 * k + i for k, i in drawn_by_hand(lengths, weights, seed, epoch, stop)]
        for make in (rows, stream):
            components = {f"{k}": make(part) for k, part in enumerate(values)}
            ours = fw.Mix(components, weights=weights, seed=seed, stop=stop).at_epoch(epoch)
            assert numbers(ours) == expected
            assert numbers(ours.batch(5)) == expected

    def test_proportions_are_those_of_the_weights(self):
        ours = mixed(rows([0] * 30_000), rows([1] * 30_000), weights={"left": 3, "right": 1})
        share = ours[:20_000]["n"].double().mean()
        assert abs(share - 0.25) < 5 * (0.25 * 0.75 / 20_000) ** 0.5

    def test_all_gives_every_row_once_in_the_order_of_its_component(self):
        left, right = table(9).shuffle(seed=3), table(7).map(shifted)
        for epoch in range(3):
            found = numbers(mixed(left, right).at_epoch(epoch))
            assert [n for n in found if n < 100] == numbers(left.at_epoch(epoch))
            assert [n for n in found if n >= 100] == list(range(100, 107))

    def test_each_epoch_and_each_name_draws_anew(self):
        ours = mixed(table(20), table(20).map(shifted))
        named = fw.Mix({"left": table(20), "right": table(20).map(shifted)}, seed=0, name="other")
        assert len({tuple(numbers(ours)) for _ in range(3)} | {tuple(numbers(named.at_epoch(0)))}) == 4

    def test_a_mix_among_the_components_draws_independently(self):
        inner = mixed(rows([0] * 50), rows([1] * 50))
        outer = mixed(inner, rows([2] * 100))
        assert (inner.stage, outer.stage) == ("mix:0", "mix:1")
        assert len(keys(0, outer.stage, 0, 0, 3)) == 3

    def test_shuffled_behind_it_is_all_rows(self):
        both = mixed(table(9), table(7).map(shifted)).shuffle(seed=0).batch(3)
        assert sorted(numbers(both)) == [*range(9), *range(100, 107)]

    def test_the_verb_gives_the_same(self):
        ours = table(5).mix(table(4), seed=1, weights=[1, 2], stop="shortest")
        named = fw.Mix({"0": table(5), "1": table(4)}, seed=1, weights=[1, 2], stop="shortest")
        assert list(ours) == list(named)
        assert repr(ours) == repr(named)
        assert repr(ours).endswith(", weights=[1, 2], seed=1, stop='shortest')")

    def test_batches_come_whole(self):
        both = mixed(table(9).batch(2), table(7).map(shifted).batch(3))
        batches = [batch["n"].tolist() for batch in both]
        assert sorted(map(tuple, batches)) == [
            (0, 1), (2, 3), (4, 5), (6, 7), (8,), (100, 101, 102), (103, 104, 105), (106,),
        ]  # fmt: skip
        assert both.num_rows == 16


class TestStream:
    def test_shortest_has_no_length_and_says_why(self):
        both = mixed(table(9), table(7), stop="shortest")
        with pytest.raises(
            UnknownLengthError, match=r"Mix: with stop='shortest' the draws of an epoch decide how long"
        ):
            len(both)
        with pytest.raises(NoRandomAccessError, match="needs random access"):
            both.split(0.5, 0.5, seed=0)

    def test_a_stream_has_no_length(self):
        with pytest.raises(UnknownLengthError, match=r"Mix: a component is a stream; its length is not known before"):
            len(mixed(counting(9), counting(7)))


class TestArguments:
    def test_a_seed_is_needed(self):
        with pytest.raises(ValueError, match="mix: a seed is needed"):
            table().mix(table())

    @pytest.mark.parametrize(
        ("weights", "kind", "text"),
        [
            (
                {"left": 1},
                ValueError,
                r"mix: give every component a weight, by its name; got \['left'\] for \['left', 'ri",
            ),
            ([1], ValueError, r"mix: 2 components need as many weights; got 1\."),
            (
                "12",
                TypeError,
                r"mix: weights are numbers by name, \{'name': 1, …\}, or one after the other; got '12'\.",
            ),
            ([1, 0], ValueError, r"mix: a weight is a positive number; got 0\. Leave the component out for none\."),
            ([1, float("inf")], ValueError, r"mix: a weight is a positive number; got inf"),
            ([1, "a"], TypeError, r"mix: a weight is a positive number; got 'a' of type str\."),
            ([1, True], TypeError, r"mix: a weight is a positive number; got True of type bool\."),
        ],
    )
    def test_weights(self, weights, kind, text):
        with pytest.raises(kind, match=text):
            mixed(table(), table(), weights=weights)

    def test_stop(self):
        with pytest.raises(ValueError, match=r"mix: stop is 'all' or 'shortest'; got 'longest'\."):
            mixed(table(), table(), stop="longest")

    def test_schemas(self):
        with pytest.raises(SchemaMismatchError, match=r"Mix: components must have the same columns; 'right' lacks"):
            mixed(table(), table().select("n"))

    def test_others_are_needed_and_are_pipes(self):
        with pytest.raises(TypeError, match=r"mix: pass at least one other pipe, as in rows\.mix\(more\)\."):
            table().mix(seed=0)
        with pytest.raises(TypeError, match=r"mix: expected pipes, one by one; got \[Memory.* of type list\. Wrap it"):
            table().mix([table()], seed=0)
