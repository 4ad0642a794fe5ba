"""XXH64 of many texts at once is XXH64 of each."""

import random

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fireworks.order.hashing import xxh64


def hashes(texts, seed=0):
    offsets = np.cumsum([0, *map(len, texts)])
    return xxh64(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets, seed).tolist()


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        # From the specification's own sanity checks and common implementations.
        (b"", 0, 0xEF46DB3751D8E999),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"xxhash", 20141025, 0xB559B98D844E0635),
        (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0, 0x02A2E85470D6FD96),
    ],
)
def test_known_vectors(text, seed, expected):
    assert hashes([text], seed) == [expected]


@given(texts=st.lists(st.binary(max_size=100), max_size=20), seed=st.integers(0, 2**64 - 1))
def test_it_is_what_the_library_xxhash_computes(texts, seed):
    assert hashes(texts, seed) == [xxhash.xxh64_intdigest(text, seed=seed) for text in texts]


def test_long_and_short_texts_side_by_side():
    source = random.Random(0)
    texts = [source.randbytes(source.choice([0, 3, 4, 7, 8, 31, 32, 33, 64, 1000])) for _ in range(500)]
    assert hashes(texts, 7) == [xxhash.xxh64_intdigest(text, seed=7) for text in texts]


def test_no_texts():
    assert hashes([]) == []
