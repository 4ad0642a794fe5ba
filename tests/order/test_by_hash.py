"""A row's part is decided by its key alone."""

import struct
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from columns_read import Watched
from fireworks.errors import ColumnTypeError, ColumnValueError, NoRandomAccessError
from fireworks.order.by_hash import hash_bounds
from pipelines import counting, table


def users(num_rows=200):
    return fw.source({"n": range(num_rows), "user": [f"user {n % 50}" for n in range(num_rows)]})


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: users(40).split_by_hash("user", 0.5, 0.5, seed=0)[0],
            lambda: users(40).split_by_hash("user", 0.5, 0.5, seed=0)[1].shuffle(seed=0).batch(4),
        ],
        ids=["rows", "shuffled"],
    )
    def make_pipe(self, request):
        return request.param


def part_by_hand(data, fractions, seed):
    """Plain Python, one key at a time, in exact arithmetic."""
    point = Fraction(xxhash.xxh64_intdigest(data, seed=seed), 2**64)
    total = Fraction(0)
    for number, fraction in enumerate(fractions):
        total += Fraction(str(fraction))
        if point < total:
            return number
    return len(fractions) - 1


@given(
    keys=st.lists(st.text(max_size=40), min_size=30, max_size=60, unique=True),
    seed=st.integers(0, 2**64 - 1),
)
def test_texts_against_plain_python(keys, seed):
    fractions = [0.5, 0.3, 0.2]
    expected = [part_by_hand(key.encode(), fractions, seed) for key in keys]
    if set(expected) != {0, 1, 2}:
        return
    parts = fw.source({"n": range(len(keys)), "key": keys}).split_by_hash("key", *fractions, seed=seed)
    for number, part in enumerate(parts):
        assert part.to_message()["n"].tolist() == [n for n, where in enumerate(expected) if where == number]


@given(keys=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=30, max_size=60, unique=True))
def test_numbers_against_plain_python(keys):
    expected = [part_by_hand(struct.pack("<q", key), [0.6, 0.4], 3) for key in keys]
    if set(expected) != {0, 1}:
        return
    part = fw.source({"n": range(len(keys)), "key": keys}).split_by_hash("key", 0.6, 0.4, seed=3)[0]
    assert part.to_message()["n"].tolist() == [n for n, where in enumerate(expected) if where == 0]


def test_pinned():
    """These parts must never change: data sets on disk rely on them."""
    texts = users(20).split_by_hash("user", 0.8, 0.2, seed=0)[1].to_message()["n"].tolist()
    ints = fw.source({"n": range(20)}).split_by_hash("n", 0.8, 0.2, seed=1)[1].to_message()["n"].tolist()
    assert (texts, ints) == (PINNED_TEXTS, PINNED_INTS)


PINNED_TEXTS = [0, 9, 18]
PINNED_INTS = [4, 15, 18]


def test_rows_stay_when_others_come_go_or_change_places():
    source = np.random.default_rng(0)
    keys = source.permutation(1000)
    whole = set(fw.source({"k": keys}).split_by_hash("k", 0.7, 0.3, seed=5)[0].to_message()["k"].tolist())
    some = source.permutation(np.append(keys[:400], np.arange(5000, 6000)))
    again = set(fw.source({"k": some}).split_by_hash("k", 0.7, 0.3, seed=5)[0].to_message()["k"].tolist())
    assert whole & set(keys[:400].tolist()) == again & set(keys[:400].tolist())


@pytest.mark.parametrize(
    "column",
    [
        torch.arange(100, dtype=torch.int16),
        np.arange(100, dtype=np.float32),
        pd.array(range(100), dtype="UInt8"),
        pd.Categorical(range(100)),
    ],
    ids=lambda column: type(column).__name__,
)
def test_the_type_of_the_key_decides_nothing(column):
    expected = fw.source({"n": range(100), "k": range(100)}).split_by_hash("k", 0.5, 0.5, seed=0)[0]
    part = fw.source({"n": range(100), "k": column}).split_by_hash("k", 0.5, 0.5, seed=0)[0]
    assert part.to_message()["n"].tolist() == expected.to_message()["n"].tolist()


def test_another_process_gives_the_same():
    code = (
        "import fireworks as fw; data = fw.source({'user': [f'user {n}' for n in range(99)], 'n': range(99)}); "
        "print(data.split_by_hash('user', 0.5, 0.5, seed=9)[1].to_message()['n'].tolist())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    data = fw.source({"user": [f"user {n}" for n in range(99)], "n": range(99)})
    assert there == str(data.split_by_hash("user", 0.5, 0.5, seed=9)[1].to_message()["n"].tolist())


def test_sizes_are_the_fractions_on_average_and_seeds_are_independent():
    data = fw.source({"k": range(20_000)})
    chosen = []
    for seed in (0, 1):
        part = data.split_by_hash("k", 0.9, 0.1, seed=seed)[1]
        assert abs(len(part) - 2000) < 4 * (20_000 * 0.09) ** 0.5
        chosen.append(set(part.to_message()["k"].tolist()))
    assert abs(len(chosen[0] & chosen[1]) - 200) < 4 * (20_000 * 0.0099) ** 0.5


def test_a_key_is_on_one_side():
    one, other = users().split_by_hash("user", 0.6, 0.4, seed=2)
    assert not set(one.to_message()["user"].tolist()) & set(other.to_message()["user"].tolist())


def test_bounds_in_exact_arithmetic():
    assert hash_bounds([1.0]).tolist() == []
    assert hash_bounds([0.1, 0.2, 0.7]).tolist() == [-(-(2**64) // 10), -(-3 * 2**64 // 10)]


def test_one_column_is_read_once():
    source = Watched({"k": list(range(40)), "x": torch.rand(40, 9)})
    source.split_by_hash("k", 0.5, 0.3, 0.2, seed=0)
    assert source.columns_read() == {"k"}
    assert source.rows_read() == 40


def test_it_names_itself():
    assert users().split_by_hash("user", 0.6, 0.4, seed=2)[1].describe() == "SplitByHash('user', 0.6, 0.4, seed=2)[1]"


class TestRefusals:
    @pytest.mark.parametrize("fractions", [(), (0.5,), (0.5, 0.6), (1.5, -0.5), ("a", 1.0), (True,)])
    def test_fractions_of_one(self, fractions):
        with pytest.raises(ValueError, match=r"split_by_hash: fractions must be positive numbers with the sum 1; got "):
            users().split_by_hash("user", *fractions, seed=0)

    def test_a_seed(self):
        with pytest.raises(ValueError, match="split_by_hash: a seed is needed"):
            users().split_by_hash("user", 0.5, 0.5)

    def test_rows_without_a_key(self):
        with pytest.raises(ColumnValueError, match=r"split_by_hash: column 'k' is null in rows \[1\] of the input"):
            fw.source({"k": ["a", None, "b"]}).split_by_hash("k", 0.5, 0.5, seed=0)

    def test_a_part_without_rows(self):
        with pytest.raises(
            ValueError, match=r"split_by_hash: no key of 1 rows falls into part \d of \[0\.5, 0\.5\]; give it"
        ):
            fw.source({"k": ["a"]}).split_by_hash("k", 0.5, 0.5, seed=0)

    def test_several_values_per_row(self):
        with pytest.raises(ColumnTypeError, match=r"split_by_hash: column 'x' is a tensor"):
            table().split_by_hash("x", 0.5, 0.5, seed=0)

    def test_batches_streams_and_what_changes(self):
        with pytest.raises(TypeError, match=r"split_by_hash: column 'user' is of rows"):
            users().batch(2).split_by_hash("user", 0.5, 0.5, seed=0)
        with pytest.raises(NoRandomAccessError, match="split_by_hash needs random access"):
            counting().split_by_hash("n", 0.5, 0.5, seed=0)
        with pytest.raises(ValueError, match="split_by_hash: the order of its input changes"):
            users().shuffle(seed=0).split_by_hash("user", 0.5, 0.5, seed=0)
