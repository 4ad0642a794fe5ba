"""The operators of a filter: refused alike in memory and in a database."""

import pytest

from fireworks.core.comparisons import NUM_VALUES, check_comparison, require_list


@pytest.mark.parametrize("comparison", NUM_VALUES)
def test_every_operator_takes_its_number_of_values(comparison):
    check_comparison("x", comparison, (1, 2)[: NUM_VALUES[comparison]])
    with pytest.raises(ValueError, match=rf"filter: 'x' {comparison} takes {NUM_VALUES[comparison]} values; got 3"):
        check_comparison("x", comparison, (1, 2, 3))


@pytest.mark.parametrize(("wrong", "right"), [("=", "=="), ("<>", "!="), ("is nul", "is null"), ("=>", ">=")])
def test_the_nearest_operator_is_named(wrong, right):
    with pytest.raises(ValueError, match=rf"no operator '{wrong}'; .* Did you mean '{right}'\?"):
        check_comparison("x", wrong, (1,))


@pytest.mark.parametrize("values", [3, "text", b"bytes", None])
def test_one_value_is_no_list(values):
    with pytest.raises(TypeError, match=r"delete: 'x' takes a list of values; got"):
        require_list(values, who="delete: 'x'")
