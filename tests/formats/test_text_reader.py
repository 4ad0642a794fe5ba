"""The bytes of text files."""

import bz2
import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireworks.errors import FileChangedError, FileFormatError
from fireworks.formats import text_reader
from fireworks.formats.compression import packed
from fireworks.formats.files import Files
from fireworks.formats.text_reader import TextReader, check_encoding

TEXT = "".join(f"line {i} é ∂ \U0001f600\r\n" for i in range(300))


def reader_of(path, **options):
    return TextReader(Files(path, where="read_test", suffixes=()), kind="test", **options)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for name in ("a.txt", "a.txt.gz", "a.txt.bz2", "a.txt.zst"):
        (folder / name).write_bytes(packed(TEXT.encode(), name))
    (folder / "wide.txt").write_bytes(TEXT.encode("utf-16"))
    return folder


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.bz2", "a.txt.zst", "wide.txt"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(places=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 900)), min_size=1, max_size=8))
def test_any_piece_is_that_of_the_text(paths, name, places, monkeypatch):
    monkeypatch.setattr(text_reader, "_AT_A_TIME", 100)
    whole = TEXT.encode()
    with reader_of(paths / name, encoding="utf-16" if name == "wide.txt" else "utf-8") as reader:
        for start, length in places:
            stop = min(start + length, len(whole))
            assert reader.read(0, min(start, stop), stop) == whole[min(start, stop) : stop]


def test_no_chunk_ends_between_a_return_and_a_feed(paths, monkeypatch):
    for size in (1, 7, 100):
        monkeypatch.setattr(text_reader, "_AT_A_TIME", size)
        chunks = list(reader_of(paths / "a.txt").chunks(0))
        assert b"".join(chunks) == TEXT.encode()
        assert not any(chunk.endswith(b"\r") for chunk in chunks)


def test_a_packed_file_that_is_cut_short_is_an_error(tmp_path):
    for name, data in (("a.gz", gzip.compress(TEXT.encode())), ("a.bz2", bz2.compress(TEXT.encode()))):
        (tmp_path / name).write_bytes(data[:-30])
        with pytest.raises(FileFormatError, match=f"read_test: .*{name}' is no test file, or a damaged one: "):
            list(reader_of(tmp_path / name).chunks(0))
        with reader_of(tmp_path / name) as reader, pytest.raises(FileFormatError, match="damaged"):
            reader.read(0, 0, 10**6)


def test_bytes_that_are_no_text_in_the_encoding_are_an_error(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\xff")
    with pytest.raises(FileFormatError, match=r"a.txt' is no test file, or a damaged one: 'ascii' codec can't decode"):
        list(reader_of(tmp_path / "a.txt", encoding="ascii").chunks(0))
    assert list(reader_of(tmp_path / "a.txt", encoding="ascii", errors="ignore").chunks(0)) == [b"a"]


def test_a_file_that_changes_between_two_reads_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("some text")
    with reader_of(path) as reader:
        assert reader.read(0, 0, 4) == b"some"
        path.write_text("another")
        with pytest.raises(FileChangedError, match="has changed since the source was made"):
            reader.read(0, 4, 9)


def test_a_file_that_ends_early_without_another_stamp_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("some text")
    with reader_of(path) as reader, pytest.raises(FileChangedError, match="ends before it did when it was first read"):
        reader.read(0, 0, 100)


def test_an_encoding_is_one_of_text():
    for bad in ("nonsense", "hex", 3):
        with pytest.raises(ValueError, match="here: encoding is the name of an encoding of text"):
            check_encoding(bad, where="here")
    assert check_encoding("utf-8-sig", where="here") == "utf-8"
