"""A junction has named pipes for its components, and says which one is none."""

import pytest

import fireworks as fw
from pipelines import add_noise, table


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
