"""Other people's stages in a chain of verbs."""

import pytest

import fireworks as fw
from pipelines import table


def test_a_class_or_a_function_with_arguments():
    assert table(4).pipe(fw.Batch, 3, drop_last=True)[0]["n"].tolist() == [0, 1, 2]
    assert table(4).pipe(lambda pipe, n: pipe.take(n), n=2).to_message()["n"].tolist() == [0, 1]


def test_what_is_no_pipe_comes_back_too():
    train, test = table(10).pipe(lambda pipe: pipe.split(0.8, 0.2, seed=0))
    assert (len(train), len(test)) == (8, 2)


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match=r"pipe: expected a class or a function that takes a pipe; got 3 of type int\."):
        table().pipe(3)
    with pytest.raises(
        TypeError, match=r"pipe: list_nothing returned None, so nothing can follow; let it return a pipe"
    ):
        table().pipe(list_nothing)


def list_nothing(pipe):
    list(pipe)
