"""A route that changes while it runs, and that a state remembers."""

import json

import pytest

import fireworks as fw
from fireworks.errors import NoRandomAccessError, SchemaMismatchError, StateError, UnknownLengthError
from pipelines import add_noise, counting, numbers, table, total


def shifted(rows):
    return rows.assign(n=rows["n"] + 100)


def routes(left=None, right=None, **options):
    return fw.Switch({"a": left or table(9), "b": right or table(9).map(shifted)}, **options)


def values(iterator, count):
    return [next(iterator)["n"].tolist()[0] for _ in range(count)]


@pytest.mark.parametrize(
    "make",
    [
        routes,
        lambda: routes(table(9).shuffle(seed=0), active="a").map(total).batch(4),
        lambda: routes(counting(9).map(add_noise, seed=0), counting(9).map(add_noise, seed=0), active="b"),
        lambda: routes(table(9).batch(2), table(9).batch(3)).map(total),
    ],
    ids=["rows", "batched behind", "streams", "batches"],
)
class TestSwitch(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestRouting:
    def test_each_component_keeps_its_place(self):
        switch = routes()
        rows = iter(switch)
        assert values(rows, 3) == [0, 1, 2]
        switch.to("b")
        assert values(rows, 2) == [100, 101]
        switch.active = "a"
        assert values(rows, 2) == [3, 4]
        assert switch.active == "a"

    def test_the_pass_ends_with_the_active_component_and_stays_at_its_end(self):
        switch = routes(table(2))
        rows = iter(switch)
        values(rows, 2)
        assert next(rows, None) is None
        switch.to("b")
        assert next(rows, None) is None
        assert numbers(iter(switch)) == list(range(100, 109))

    def test_batches_switch_from_the_next_batch_on(self):
        switch = routes(table(9).batch(2), table(9).map(shifted).batch(3))
        batches = iter(switch.map(total))
        assert next(batches)["n"].tolist() == [0, 1]
        switch.to("b")
        assert next(batches)["n"].tolist() == [100, 101, 102]

    def test_passes_are_independent_but_follow_the_same_choice(self):
        switch = routes()
        one, other = iter(switch), iter(switch)
        values(one, 3)
        switch.to("b")
        assert values(one, 1) == values(other, 1) == [100]


class TestState:
    @pytest.mark.parametrize("stop", range(8))
    def test_resumed_at_any_item_it_goes_on_with_what_was_chosen(self, stop):
        def run(switch, rows, start, end):
            found = []
            for place in range(start, end):
                if place in {2, 6}:
                    switch.to("b")
                if place == 4:
                    switch.to("a")
                found += values(rows, 1)
            return found

        switch = routes()
        rows = iter(switch)
        begun = run(switch, rows, 0, stop)
        state, chosen = json.loads(json.dumps(rows.state_dict())), json.loads(json.dumps(switch.state_dict()))
        rest = run(switch, rows, stop, 9)
        fresh = routes()
        again = iter(fresh)
        again.load_state_dict(state)
        fresh.load_state_dict(chosen)
        assert begun + run(fresh, again, stop, 9) == [0, 1, 100, 101, 2, 3, 102, 103, 104] == begun + rest

    def test_a_scaffold_saves_it(self, tmp_path):
        switch, fresh = routes(active="b"), routes()
        fw.Scaffold(switch=switch).save(tmp_path)
        fw.Scaffold(switch=fresh).load(tmp_path)
        assert fresh.active == "b"

    def test_a_state_of_other_names_is_refused(self):
        with pytest.raises(StateError, match=r"Switch: the state names 'c'; there are \['a', 'b'\]\."):
            routes().load_state_dict({"active": "c"})


class TestWhatDoesNotFit:
    def test_an_unknown_name(self):
        with pytest.raises(ValueError, match=r"Switch: no component 'aa'; there are \['a', 'b'\]\. Did you mean 'a'\?"):
            routes(active="aa")
        with pytest.raises(ValueError, match="Switch: no component 7"):
            routes().to(7)

    def test_it_is_a_stream(self):
        with pytest.raises(NoRandomAccessError):
            routes()[0]
        with pytest.raises(
            UnknownLengthError, match="Switch: which component is active may change, so the length is not"
        ):
            len(routes())

    def test_other_columns(self):
        with pytest.raises(SchemaMismatchError, match=r"Switch: components must have the same columns; 'b' lacks"):
            routes(right=table(9).select("n"))
