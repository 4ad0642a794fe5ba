"""`fw.train_test_split` takes what scikit-learn's takes, and its parts have the same sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split as their_split

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from pipelines import counting, numbers, table

SIZES = st.none() | st.integers(1, 60) | st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9])


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: fw.train_test_split(table(30), random_state=0)[0],
            lambda: fw.train_test_split(table(30), test_size=8, shuffle=False)[1].batch(3),
        ],
        ids=["drawn", "in order"],
    )
    def make_pipe(self, request):
        return request.param


@given(count=st.integers(2, 60), test_size=SIZES, train_size=SIZES, shuffle=st.booleans())
def test_sizes_and_refusals_are_those_of_scikit_learn(count, test_size, train_size, shuffle):
    ours = {"test_size": test_size, "train_size": train_size, "shuffle": shuffle}
    try:
        theirs = their_split(np.arange(count), **ours, random_state=0 if shuffle else None)
    except ValueError:
        with pytest.raises(ValueError, match="train_test_split: "):
            fw.train_test_split(table(count), **ours, seed=0)
        return
    if not min(map(len, theirs)):  # which scikit-learn lets pass for the test part
        return
    parts = fw.train_test_split(table(count), **ours, seed=0)
    assert [len(part) for part in parts] == [len(part) for part in theirs]
    rows = [numbers(part) for part in parts]
    assert len(set(rows[0] + rows[1])) == len(rows[0]) + len(rows[1])
    if not shuffle:
        assert rows == [part.tolist() for part in theirs]


def test_the_seed_has_two_names():
    by_seed = fw.train_test_split(table(), seed=7)
    by_state = fw.train_test_split(table(), random_state=7)
    assert [numbers(part) for part in by_seed] == [numbers(part) for part in by_state]
    assert [numbers(part) for part in by_seed] == [numbers(part) for part in table().split(17, 6, seed=7)]


def test_stratified_as_there():
    data = fw.source({"label": ["a"] * 30 + ["b"] * 10})
    test = fw.train_test_split(data, test_size=0.2, random_state=0, stratify="label")[1]
    assert sorted(test.to_message()["label"].tolist()) == ["a"] * 6 + ["b"] * 2


def test_fractions_count_as_they_are_written():
    assert len(fw.train_test_split(table(100), test_size=0.07, seed=0)[1]) == 7


def test_parts_of_a_table_that_grows_stay_disjoint(tmp_path):
    from fireworks.database import TablePipe

    with TablePipe("numbers", tmp_path / "numbers.db") as data:
        data.insert({"n": list(range(10))})
        first, rest = fw.train_test_split(data, test_size=0.5, shuffle=False)
        assert first.to_message()["n"].tolist() == list(range(5))
        data.insert({"n": list(range(10, 20))})
        assert rest.to_message()["n"].tolist() == list(range(5, 10))


class TestRefusals:
    def test_no_seed(self):
        with pytest.raises(
            ValueError, match=r"train_test_split: a seed is needed, .* pass random_state=0, say, or shuffle=F"
        ):
            fw.train_test_split(table())

    def test_two_seeds(self):
        with pytest.raises(ValueError, match=r"seed and random_state are two names of one thing; pass one"):
            fw.train_test_split(table(), seed=0, random_state=0)

    def test_classes_without_drawing(self):
        with pytest.raises(ValueError, match=r"stratify='n' draws from each class, so it needs shuffle=True\."):
            fw.train_test_split(table(), shuffle=False, stratify="n")

    def test_no_flag(self):
        with pytest.raises(TypeError, match=r"train_test_split: shuffle is True or False; got 1 of type int\."):
            fw.train_test_split(table(), shuffle=1)

    @pytest.mark.parametrize("size", [0, -1, 0.0, 1.0, 1.5, True, "half", float("nan")])
    def test_sizes_out_of_bounds(self, size):
        with pytest.raises(
            ValueError, match=r"test_size is a fraction between 0 and 1, or a count of at least 1; got "
        ):
            fw.train_test_split(table(), test_size=size, seed=0)

    def test_more_than_there_are(self):
        with pytest.raises(
            ValueError, match=r"test_size=0\.5 and train_size=20 of 23 items are more than there are; take fewer"
        ):
            fw.train_test_split(table(), test_size=0.5, train_size=20, seed=0)
        with pytest.raises(ValueError, match=r"train_test_split: train_size=24 of 23 items are more than there are"):
            fw.train_test_split(table(), train_size=24, seed=0)
        with pytest.raises(ValueError, match=r"test_size=0\.5 and train_size=0\.6 are more than 1 together; take less"):
            fw.train_test_split(table(), test_size=0.5, train_size=0.6, seed=0)

    def test_a_part_without_rows(self):
        with pytest.raises(
            ValueError, match=r"2 items by test_size=0\.9 and train_size=None leave the training part empty"
        ):
            fw.train_test_split(table(2), test_size=0.9, seed=0)
        with pytest.raises(ValueError, match=r"train_size=23 leave the test part empty"):
            fw.train_test_split(table(), train_size=23, seed=0)

    def test_no_pipe(self):
        with pytest.raises(
            TypeError, match=r"train_test_split: expected a pipe; got list\. Wrap it: fw\.source\(…\)\."
        ):
            fw.train_test_split([1, 2, 3], seed=0)

    def test_a_stream(self):
        with pytest.raises(NoRandomAccessError, match="train_test_split needs random access"):
            fw.train_test_split(counting(), seed=0)

    def test_an_order_that_changes(self):
        with pytest.raises(ValueError, match=r"train_test_split: the order of its input changes with every epoch"):
            fw.train_test_split(table().shuffle(seed=0), shuffle=False)
