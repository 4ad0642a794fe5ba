import copy
import inspect
import pickle
import re
import traceback

import pytest

from fireworks import errors
from fireworks.errors import (
    BranchBehindError,
    ColumnNotFoundError,
    DryRunError,
    ExpressionError,
    FireworksError,
    MemoryBudgetError,
    WorkerDiedError,
    did_you_mean,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, FireworksError) and value is not FireworksError
]


def made(kind):
    if kind is ColumnNotFoundError:
        return kind("labels", available=["label", "text"], where="Message")
    if kind is ExpressionError:
        return kind("filter: expected a column or a value; got the end.", "x > 1\n and y >", 13)
    facts = {
        BranchBehindError: {"ahead": 0, "behind": 1, "num_rows": 10},
        DryRunError: {"report": None},
        MemoryBudgetError: {"needed_bytes": 1000},
        WorkerDiedError: {"stage": "Map(f)", "rows": [3], "exit_code": -9},
    }
    return kind("batch: num_rows must be at least 1; got 0.", **facts.get(kind, {}))


def raised(error):
    try:
        raise error
    except FireworksError as caught:
        return caught


def test_the_drawing_lists_exactly_the_classes_there_are_with_what_they_are():
    drawing = re.findall(r"^[├└]── (\w+) \(([\w, ]+)\) +\S", errors.__doc__, flags=re.MULTILINE)
    assert drawing == [(kind.__name__, ", ".join(base.__name__ for base in kind.__bases__[1:])) for kind in CLASSES]
    assert errors.__doc__.count("──") == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
class TestEveryError:
    def test_it_is_a_fireworks_error_and_the_builtin_that_people_catch(self, kind):
        ours, *builtins = kind.__bases__
        assert ours is FireworksError
        for builtin in builtins:
            assert builtin.__module__ == "builtins"
            with pytest.raises(builtin):
                raise made(kind)
        with pytest.raises(FireworksError):
            raise made(kind)

    def test_it_says_what_it_is_for(self, kind):
        assert inspect.cleandoc(kind.__doc__).endswith(".")

    @pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
    def test_it_survives_pickle_with_text_facts_and_notes(self, kind, again):
        error = raised(made(kind))
        error.rows = [3, 4]
        error.add_note("in Map(augment) at train.py:41, rows 3 to 4")
        other = again(error)
        assert type(other) is kind
        assert str(other) == str(error)
        assert other.args == error.args
        assert vars(other) == vars(error)
        assert "train.py:41" in "".join(traceback.format_exception(other))

    def test_its_text_is_the_sentence_without_quotes(self, kind):
        assert str(made(kind))[0] not in "'\""


def test_an_expressions_error_shows_the_line_with_a_mark():
    error = made(ExpressionError)
    assert (error.problem, error.text, error.place) == (error.args[0], "x > 1\n and y >", 13)
    assert str(error).splitlines()[1:] == ["     and y >", "           ^"]


class TestColumnNotFound:
    def test_its_facts_are_attributes(self):
        error = made(ColumnNotFoundError)
        assert (error.name, error.available, error.where) == ("labels", ("label", "text"), "Message")

    def test_it_suggests_the_nearest_name(self):
        assert str(made(ColumnNotFoundError)) == (
            "Message: no column 'labels'; columns are ['label', 'text']. Did you mean 'label'?"
        )

    def test_it_suggests_nothing_where_nothing_is_near(self):
        error = ColumnNotFoundError("price", available=["label"], where="select")
        assert str(error) == "select: no column 'price'; columns are ['label']."

    def test_a_name_that_is_not_text_is_shown(self):
        assert str(ColumnNotFoundError(0, available=[], where="Message")) == "Message: no column 0; columns are []."


def test_did_you_mean_names_the_one_nearest():
    assert did_you_mean("shuffler", ["split", "shuffle", "shuffled"]) == " Did you mean 'shuffle'?"
    assert did_you_mean("zebra", ["split"]) == ""
    assert did_you_mean("x", []) == ""
