"""Folds are those of scikit-learn where nothing is drawn, and of its sizes where something is."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedKFold

import fireworks as fw
from columns_read import Watched
from fireworks.errors import ColumnValueError, NoRandomAccessError
from fireworks.order.keys import random_order
from pipelines import counting, numbers, table


def labelled(num_rows=31):
    return fw.source({"n": range(num_rows), "label": [n * n % 5 for n in range(num_rows)]})


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table(23).kfold(4)[1][0],
            lambda: table(23).kfold(4)[1][1],
            lambda: table(23).kfold(3, seed=0)[2][1].shuffle(seed=0).batch(3),
            lambda: labelled(23).kfold(3, stratify="label")[0][1],
            lambda: labelled(23).kfold(3, seed=1, group="label")[0][0],
            lambda: table(30).batch(4).kfold(2)[1][1],
        ],
        ids=["train", "validation", "shuffled", "stratified", "grouped", "batches"],
    )
    def make_pipe(self, request):
        return request.param


@given(count=st.integers(2, 60), k=st.integers(2, 9))
def test_consecutive_folds_are_those_of_scikit_learn(count, k):
    if k > count:
        return
    folds = table(count).kfold(k)
    for (train, validation), (train_rows, test_rows) in zip(folds, KFold(k).split(np.zeros(count)), strict=True):
        assert train.to_message()["n"].tolist() == train_rows.tolist()
        assert validation.to_message()["n"].tolist() == test_rows.tolist()
        assert (len(train), len(validation)) == (len(train_rows), len(test_rows))


@given(labels=st.lists(st.integers(0, 3), min_size=8, max_size=60), k=st.integers(2, 6))
def test_stratified_folds_are_those_of_scikit_learn(labels, k):
    if max(map(labels.count, labels)) < k:  # which scikit-learn refuses
        return
    folds = fw.source({"n": range(len(labels)), "label": labels}).kfold(k, stratify="label")
    import warnings

    with warnings.catch_warnings(action="ignore"):
        expected = list(StratifiedKFold(k).split(np.zeros(len(labels)), labels))
    for (train, validation), (train_rows, test_rows) in zip(folds, expected, strict=True):
        assert train.to_message()["n"].tolist() == train_rows.tolist()
        assert validation.to_message()["n"].tolist() == test_rows.tolist()


@given(
    labels=st.lists(st.sampled_from(["a", "b", None]), min_size=5, max_size=50),
    k=st.integers(2, 5),
    seed=st.none() | st.integers(0, 2**64 - 1),
)
def test_each_row_is_validated_once_and_classes_differ_by_a_row(labels, k, seed):
    folds = fw.source({"n": range(len(labels)), "label": labels}).kfold(k, seed=seed, stratify="label")
    validated = [fold.to_message()["n"].tolist() for _, fold in folds]
    assert sorted(itertools.chain(*validated)) == list(range(len(labels)))
    assert all(rows == sorted(rows) for rows in validated)
    assert [len(rows) for rows in validated] == [len(part) for part in np.array_split(np.arange(len(labels)), k)]
    for label in set(labels):
        have = [sum(labels[n] == label for n in rows) for rows in validated]
        assert max(have) - min(have) <= 1
    for (train, _), rows in zip(folds, validated, strict=True):
        assert sorted(train.to_message()["n"].tolist() + rows) == list(range(len(labels)))


def test_random_folds_are_pieces_of_the_order_of_the_stage():
    order = random_order(5, "kfold:0", 0, 23).tolist()
    folds = table(23).kfold(3, seed=5)
    assert [numbers(validation) for _, validation in folds] == [
        sorted(order[:8]),
        sorted(order[8:16]),
        sorted(order[16:]),
    ]
    named = table(23).kfold(3, seed=5, name="outer")[0][1]
    assert numbers(named) == sorted(random_order(5, "outer", 0, 23)[:8].tolist())


@given(
    users=st.lists(st.integers(0, 12), min_size=6, max_size=60).filter(lambda users: len(set(users)) >= 4),
    seed=st.none() | st.integers(0, 2**64 - 1),
)
def test_no_group_is_in_both_parts_of_a_fold(users, seed):
    folds = fw.source({"n": range(len(users)), "user": users}).kfold(4, seed=seed, group="user")
    assert sorted(n for _, fold in folds for n in fold.to_message()["n"].tolist()) == list(range(len(users)))
    for train, validation in folds:
        assert not set(train.to_message()["user"].tolist()) & set(validation.to_message()["user"].tolist())


def test_groups_go_to_the_lightest_fold_the_largest_first():
    users = [*"aaaaa", *"bbb", *"ccc", *"d"]
    folds = fw.source({"user": users}).kfold(2, group="user")
    assert [sorted(set(fold.to_message()["user"].tolist())) for _, fold in folds] == [["a", "d"], ["b", "c"]]


def test_one_column_is_read_once_for_all_folds():
    source = Watched({"label": [n % 3 for n in range(40)], "x": torch.rand(40, 9)})
    assert len(source.kfold(5, stratify="label")) == 5
    assert source.columns_read() == {"label"}
    assert source.rows_read() == 40


def test_the_validation_part_of_consecutive_rows_is_a_range():
    fold = table(23).kfold(4)[2][1]
    assert fold.positions(23) == range(12, 18)
    assert fold.locate(np.array([2, 0]), 23, 0).tolist() == [14, 12]


def test_a_table_that_grows(tmp_path):
    from fireworks.database import TablePipe

    with TablePipe("numbers", tmp_path / "numbers.db") as data:
        data.insert({"n": list(range(10))})
        folds = data.kfold(2, stratify="n")
        data.insert({"n": [10]})
        rows = sorted(n for _, fold in folds for n in fold.to_message()["n"].tolist())
        assert rows in (list(range(10)), list(range(11)))


class TestRefusals:
    @pytest.mark.parametrize("k", [1, 0, True, 2.0])
    def test_two_folds_at_least(self, k):
        with pytest.raises(ValueError, match=r"kfold: k must be an int of at least 2; got "):
            table().kfold(k)
        with pytest.raises(ValueError, match=r"kfold: k must be an int of at least 2; got "):
            fw.Fold(table(), k, 0, "train")

    def test_fewer_rows_than_folds(self):
        with pytest.raises(ValueError, match=r"kfold: 4 folds of 3 items leave some empty; make fewer folds\."):
            table(3).kfold(4)

    def test_fewer_groups_than_folds(self):
        with pytest.raises(ValueError, match=r"kfold: column 'user' has 2 groups, and there are 3 parts"):
            fw.source({"user": [1, 1, 2, 2]}).kfold(3, group="user")

    def test_rows_without_a_group(self):
        with pytest.raises(ColumnValueError, match=r"kfold: column 'user' is null in rows \[0\] of the input"):
            fw.source({"user": [None, "a", "b"]}).kfold(2, group="user")

    def test_both_columns(self):
        with pytest.raises(ValueError, match=r"kfold: stratify='label' and group='n' ask for two things"):
            labelled().kfold(2, stratify="label", group="n")

    def test_a_bad_seed(self):
        with pytest.raises(ValueError, match=r"kfold: seed must be an int from 0 to 2\*\*64 - 1; got -1\."):
            table().kfold(2, seed=-1)

    def test_an_order_that_changes(self):
        with pytest.raises(
            ValueError, match=r"kfold: the order of its input changes .* Split first, then shuffle each part"
        ):
            table().shuffle(seed=0).kfold(2)

    def test_a_stream(self):
        with pytest.raises(NoRandomAccessError, match=r"kfold needs random access, and .* is a stream"):
            counting().kfold(2)

    def test_a_part_of_another_name(self):
        with pytest.raises(ValueError, match=r"kfold: a part is 'train' or 'validation'; got 'test'\."):
            fw.Fold(table(), 2, 0, "test")

    def test_a_fold_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"kfold: there are parts 0 to 1; got 2\."):
            fw.Fold(table(), 2, 2, "train")


def test_it_names_itself():
    assert labelled().kfold(3, seed=1, stratify="label", name="f")[1][0].describe() == (
        "KFold(3, seed=1, stratify='label', name='f')[1].train"
    )
    assert labelled().kfold(3, group="label")[2][1].describe() == "KFold(3, group='label')[2].validation"
