"""A text file is compressed as its name says."""

import bz2
import gzip
import io

import pytest

from fireworks.formats.compression import packed, unpacked

TEXT = b"many words, many words, many words\n" * 100


@pytest.mark.parametrize(
    ("suffix", "unpack"), [(".gz", gzip.decompress), (".BZ2", bz2.decompress), (".csv", bytes), ("", bytes)]
)
def test_others_can_unpack_it(suffix, unpack):
    assert unpack(packed(TEXT, f"rows{suffix}")) == TEXT


@pytest.mark.parametrize("name", ["rows.gz", "rows.csv.zst", "rows.bz2", "rows.gz.csv", "rows"])
def test_it_is_read_back(name):
    assert unpacked(io.BytesIO(packed(TEXT, name)), name).read() == TEXT


def test_equal_texts_make_equal_files():
    assert packed(TEXT, "rows.gz") == packed(TEXT, "rows.gz")
