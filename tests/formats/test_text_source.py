"""Lines of text as a source."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import FileChangedError, FileFormatError, QuarantineWarning
from fireworks.formats import text_reader
from fireworks.formats.compression import packed
from fireworks.formats.text_source import TextSource, read_text

LINES = [f"line {i} é" * (i % 3) for i in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("text")
    (path / "a.txt").write_text("\n".join(LINES[:15]) + "\n")
    (path / "b.txt.gz").write_bytes(packed("\r\n".join(LINES[15:]).encode(), "b.gz"))
    return path


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(text_reader, "_AT_A_TIME", 60)


class TestTextSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "quarantined"])
    def make_pipe(self, folder, request):
        def make():
            if request.param == "quarantined":
                return read_text(folder, on_error="quarantine")
            data = read_text(folder, line_column="line")
            if request.param == "batched":
                return data.batch(7)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(
        st.sampled_from(["a", "é", "\U0001f600", "\n", "\r\n", "\r", "", " ", "\x0b", "\u2028"]), max_size=30
    ),
    size=st.integers(1, 20),
    keep=st.booleans(),
    bom=st.booleans(),
)
def test_lines_are_those_of_python(tmp_path_factory, parts, size, keep, bom):
    path = tmp_path_factory.mktemp("random") / "a.txt"
    path.write_bytes(("\ufeff" * bom + "".join(parts)).encode())
    with path.open(encoding="utf-8-sig", newline="" if keep else None) as file:
        expected = [line if keep else line.removesuffix("\n") for line in file]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_reader, "_AT_A_TIME", size)
        source = read_text(path, keep_ends=keep, line_column="n")
        rows = source.to_message()
    assert rows["text"].tolist() == expected
    assert rows["n"].tolist() == list(range(1, len(expected) + 1))
    assert [source[i]["text"].tolist() for i in range(len(source))] == [[line] for line in expected]


def test_columns_say_where_a_line_stands(folder):
    rows = read_text(folder, column="words", file_column="path", line_column="n").to_message()
    assert rows["words"].tolist() == LINES
    assert rows["n"].tolist() == [*range(1, 16), *range(1, 10)]
    assert rows["path"].tolist() == [str(folder / "a.txt")] * 15 + [str(folder / "b.txt.gz")] * 9
    assert read_text(folder, line_column="n").select("n").to_message()["n"].tolist()[-1] == 9
    assert read_text(folder).fetch(np.array([20, 3]))["text"].tolist() == [LINES[20], LINES[3]]


def test_a_line_that_is_no_text_is_an_error_or_set_aside_or_mended(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n" * 50 + b"b\xff\n" + b"c\n" * 30 + b"\xfe")
    with pytest.raises(
        FileFormatError, match=r"a.txt', line 51: the line is no text in UTF-8; pass the right encoding="
    ):
        read_text(path).to_message()
    assert read_text(path, errors="replace")[50]["text"].tolist() == ["b\ufffd"]
    assert read_text(path, errors="ignore").to_message()["text"].tolist()[50:52] == ["b", "c"]
    source = read_text(path, on_error="quarantine")
    with pytest.warns(QuarantineWarning, match="2 rows"):
        assert source.to_message()["text"].tolist() == ["a"] * 50 + ["c"] * 30
    assert source.quarantined()["line"].tolist() == [51, 82]
    assert source.quarantined()["row"].tolist() == [50, 81]


def test_other_encodings(tmp_path):
    (tmp_path / "a.txt").write_bytes("é\nb\n".encode("utf-16"))
    assert read_text(tmp_path / "a.txt", encoding="utf-16").to_message()["text"].tolist() == ["é", "b"]
    with pytest.raises(FileFormatError, match=r"a.txt' is no text file, or a damaged one: 'ascii' codec"):
        read_text(tmp_path / "a.txt", encoding="ascii").to_message()


def test_an_empty_file_is_no_lines(tmp_path):
    (tmp_path / "a.txt").write_text("")
    assert len(read_text(tmp_path / "a.txt")) == 0
    assert read_text(tmp_path / "a.txt").to_message().columns == ["text"]


def test_a_file_that_changes_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("a\n" * 100)
    source = read_text(tmp_path / "a.txt")
    assert len(source) == 100
    (tmp_path / "a.txt").write_text("b\n" * 101)
    with pytest.raises(FileChangedError, match="has changed"):
        source[3]


def test_arguments_are_checked(folder):
    with pytest.raises(ValueError, match="errors is one of 'strict', 'replace', 'ignore'; got 'drop'"):
        read_text(folder, errors="drop")
    with pytest.raises(ValueError, match="the names of the columns must be different texts; got "):
        read_text(folder, column="a", line_column="a")
    assert read_text(folder).fingerprint() != TextSource(folder, keep_ends=True).fingerprint()
