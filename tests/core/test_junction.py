"""A junction has named pipes for its components, and says which one is none."""

import pytest
import torch

import fireworks as fw
from fireworks.errors import StageResultError
from pipelines import add_noise, counting, double, is_odd, numbers, table, total


class First(fw.Junction):
    def make_flow(self):
        return next(iter(self.components.values())).flow


def test_a_junction_is_a_pipe_of_its_components():
    junction = First({"one": table(4), "other": table(9).shuffle(seed=0)})
    assert junction.take(3).to_message() == table(3).to_message()
    assert repr(junction) == f"First(one=({table(4)!r}), other=({table(9).shuffle(seed=0)!r}))"


def test_it_varies_where_a_component_does():
    assert First({"a": table(), "b": table().shuffle(seed=0)}).order_varies
    assert First({"a": table(), "b": table().map(add_noise, seed=0)}).values_vary
    assert not First({"a": table()}).order_varies
    assert not First({"a": table()}).values_vary


def test_without_components_there_is_no_junction():
    with pytest.raises(ValueError, match=r"First: at least one component is needed\."):
        First({})


def test_components_have_names():
    with pytest.raises(TypeError, match=r"First: components need names: \{'name': pipe, …\}; got list\."):
        First([table(), table()])


def test_components_are_pipes():
    with pytest.raises(TypeError, match=r"First: component 'b' must be a pipe; got dict\. Wrap it: fw\.source\(…\)\."):
        First({"a": table(), "b": {"x": [1]}})


def test_the_callers_mapping_can_change_without_harm():
    components = {"a": table()}
    junction = First(components)
    components.clear()
    assert list(junction.components) == ["a"]


class Difference(fw.Junction):
    """What one component's n has more than the other's."""

    def combine(self, messages):
        left, right = messages.values()
        return left.assign(n=left["n"] - right["n"])


def difference(left, right):
    return Difference({"left": left, "right": right})


@pytest.mark.parametrize(
    "make",
    [
        lambda: difference(table(9).map(double), table(9)),
        lambda: difference(table(9).map(total).shuffle(seed=0), table(9).map(double)).shuffle(seed=1).batch(4),
        lambda: difference(counting(9).map(double), counting(9)).batch(4),
        lambda: difference(table(9).batch(2), table(9).map(double).batch(2)).map(total),
    ],
    ids=["rows", "batched behind", "streams", "batches"],
)
class TestOneOfOnesOwn(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestCombine:
    def test_rows_are_combined_in_step(self):
        assert numbers(difference(table(9).map(double), table(9))) == list(range(9))
        assert sorted(numbers(difference(table(9).map(double), table(9)).shuffle(seed=0).batch(4))) == list(range(9))

    def test_unequal_lengths(self):
        with pytest.raises(
            ValueError, match=r"Difference: components must have equal length; got \{'left': 9, 'right': 8\}"
        ):
            difference(table(9), table(8))
        with pytest.raises(
            ValueError, match=r"Difference: components must have equal length; the next parts of them have"
        ):
            list(difference(counting(9), counting(8)))

    def test_thinned_batches(self):
        with pytest.raises(ValueError, match=r"Difference: filters thin out the batches of \['left'\]"):
            difference(table(9).batch(3).filter(is_odd), table(9).batch(3))

    def test_an_error_has_its_place_and_can_be_replayed(self):
        class Fails(fw.Junction):
            def combine(self, messages):
                raise KeyError("broken")

        pipe = Fails({"a": table(4), "b": table(4)}).batch(2)
        with pytest.raises(KeyError) as caught:
            list(pipe)
        assert "In Fails(a=(Memory(4 rows" in "\n".join(caught.value.__notes__)
        with pytest.raises(KeyError, match="broken"):
            pipe.replay(caught.value, debugger=lambda traceback: None)

    @pytest.mark.parametrize(
        ("result", "text"), [(None, "must return a Message"), (table(1).to_message(), "4 rows went in, 1 c")]
    )
    def test_what_it_returns_is_checked(self, result, text):
        class Returns(fw.Junction):
            def combine(self, messages):
                return result

        with pytest.raises(StageResultError, match=text):
            Returns({"a": table(4)}).to_message()

    def test_it_gets_messages_by_name(self):
        seen = {}

        class Looks(fw.Junction):
            def combine(self, messages):
                seen.update(messages)
                return messages["b"]

        assert Looks({"a": table(4), "b": table(4).select("n")}).to_message() == table(4).select("n").to_message()
        assert {name: rows.columns for name, rows in seen.items()} == {"a": ["x", "n", "w", "word"], "b": ["n"]}


def test_a_junction_has_a_rule():
    class Nothing(fw.Junction):
        pass

    with pytest.raises(
        TypeError, match=r"Nothing: a junction writes combine\(messages\), or make_flow\(\) for a rule of a"
    ):
        Nothing({"a": table()})


def test_names_are_text():
    with pytest.raises(TypeError, match=r"First: names of components are text; got 0 of type int\."):
        First({0: table()})


def test_a_tensor_of_each_component():
    class Mean(fw.Junction):
        def combine(self, messages):
            return fw.Message({"x": torch.stack([message["x"] for message in messages.values()]).mean(0)})

    halves = Mean({"a": table(6), "b": table(6).map(lambda rows: rows.assign(x=rows["x"] * 0))}).to_message()
    assert torch.equal(halves["x"], table(6).to_message()["x"] / 2)
