"""Every stage knows the user's line that built it, whichever way it was built."""

import inspect
import sys
import types

import fireworks as fw
from fireworks.core import site
from pipelines import double, table

BELOW = table()


def here():
    """The caller's ``file:line``."""
    caller = inspect.currentframe().f_back
    return f"{caller.f_code.co_filename}:{caller.f_lineno}"


def test_a_class_knows_the_line_where_it_was_called():
    pipe, line = fw.Batch(BELOW, 4), here()
    assert pipe.built_at == line


def test_a_fluent_verb_knows_the_line_where_it_was_called():
    built = {
        "at_epoch": (BELOW.at_epoch(0), here()),
        "batch": (BELOW.batch(4), here()),
        "filter": (BELOW.filter("n", ">", 0), here()),
        "map": (BELOW.map(double), here()),
        "repeat": (BELOW.repeat(2), here()),
        "select": (BELOW.select("n"), here()),
        "shuffle": (BELOW.shuffle(seed=0), here()),
        "split": (BELOW.split(0.5, 0.5, seed=0)[1], here()),
        "take": (BELOW.take(2), here()),
        "tensors": (BELOW.tensors("n"), here()),
        "source": (fw.source({"n": [1]}), here()),
        "zip": (fw.Zip({"a": BELOW}), here()),
    }
    assert {verb: pipe.built_at for verb, (pipe, _) in built.items()} == {
        verb: line for verb, (_, line) in built.items()
    }


def test_each_stage_of_a_chain_over_several_lines_knows_its_own():
    start = here()
    pipe = (
        BELOW.map(double)
        .shuffle(seed=0)
        .batch(4)
    )  # fmt: skip
    path, line = start.rsplit(":", 1)
    lines = [f"{path}:{int(line) + offset}" for offset in (2, 3, 4)]
    assert [pipe.input.input.built_at, pipe.input.built_at, pipe.built_at] == lines


def test_a_folder_whose_name_begins_alike_is_the_users(monkeypatch):
    # .../fireworks_extras/stage.py is not ours, though it begins as .../fireworks does.
    theirs = site._PACKAGE.rstrip("/") + "_extras/stage.py"
    module = types.ModuleType("stage_of_theirs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile("def build(pipe):\n    return pipe.take(1)\n", theirs, "exec")
    exec(code, module.__dict__)
    assert module.build(BELOW).built_at == f"{theirs}:2"
