"""FASTA records as a source."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, FileChangedError, FileFormatError, QuarantineWarning
from fireworks.formats import text_reader
from fireworks.formats.compression import packed
from fireworks.formats.fasta_source import FastaSource, read_fasta

RECORDS = [(f"id{i}", f"a description {i}" if i % 2 else "", "ACGTn" * (i % 4 + 1)) for i in range(22)]


def fasta(records, width=7, end="\n"):
    lines = []
    for name, description, sequence in records:
        lines.append(f">{name} {description}" if description else f">{name}")
        lines += [sequence[at : at + width] for at in range(0, len(sequence), width)]
    return end.join([*lines, ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fasta")
    (path / "a.fasta").write_text(fasta(RECORDS[:13]))
    (path / "b.fa.gz").write_bytes(packed(fasta(RECORDS[13:], end="\r\n").encode(), "b.gz"))
    return path


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(text_reader, "_AT_A_TIME", 60)


class TestFastaSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batched", "shuffled", "quarantined"])
    def make_pipe(self, folder, request):
        def make():
            if request.param == "quarantined":
                return read_fasta(folder, on_error="quarantine")
            data = read_fasta(folder, alphabet="dna")
            if request.param == "batched":
                return data.batch(7)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


def parsed_by_hand(text):
    """The records, line by line in plain Python."""
    records = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line.startswith(">"):
            name, _, description = line[1:].strip().partition(" ")
            records.append([name, description.strip(), ""])
        elif not line.startswith(";") and records:
            records[-1][2] += line.replace(" ", "").replace("\t", "")
    return records


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    head=st.sampled_from(["", "; a comment\n", "\n\n", "\ufeff"]),
    records=st.lists(
        st.tuples(
            st.sampled_from(["a", "b desc", "é  two words ", " c"]),
            st.lists(st.sampled_from(["ACGT", "ac gt\t", "", "; > no", "n>n"]), max_size=4),
        ),
        max_size=8,
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last_end=st.booleans(),
    size=st.integers(1, 40),
)
def test_records_are_those_of_plain_python(tmp_path_factory, head, records, end, last_end, size):
    text = (
        head
        + end.join(end.join([f">{name}", *lines, "TT"]) for name, lines in records)
        + end * (last_end and bool(records))
    )
    path = tmp_path_factory.mktemp("random") / "a.fa"
    path.write_bytes(text.encode())
    expected = parsed_by_hand(text.removeprefix("\ufeff"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_reader, "_AT_A_TIME", size)
        source = read_fasta(path)
        assert len(source) == len(expected)
        rows = source.to_message()
        ones = [source[i] for i in range(len(source))]
    assert [list(row) for row in zip(rows["id"], rows["description"], rows["sequence"], strict=True)] == expected
    assert [one["sequence"].tolist() for one in ones] == [[sequence] for _, _, sequence in expected]


def test_columns_are_those_that_are_asked_for(folder):
    rows = read_fasta(folder).to_message()
    assert list(zip(rows["id"], rows["description"], rows["sequence"], strict=True)) == RECORDS
    assert read_fasta(folder, ["sequence", "id"]).to_message().columns == ["sequence", "id"]
    assert read_fasta(folder, "id").fetch(np.array([20, 3]))["id"].tolist() == ["id20", "id3"]
    with pytest.raises(ColumnNotFoundError, match="read_fasta: no column 'name'"):
        read_fasta(folder, "name")


BAD = "junk\n>a\nACGT\n>empty\n;ACGT\n\n>odd one\nAC\nGJT\n>c\nacgt\n"


def test_bad_records_are_set_aside(tmp_path):
    (tmp_path / "a.fa").write_bytes(BAD.encode() + b">\xff\nA\n>d\nA\xff\n")
    source = read_fasta(tmp_path / "a.fa", alphabet="dna", on_error="quarantine")
    with pytest.warns(QuarantineWarning, match="5 rows"):
        assert source.to_message()["id"].tolist() == ["a", "c"]
    aside = source.quarantined()
    assert aside["row"].tolist() == [0, 2, 3, 5, 6]
    assert aside["line"].tolist() == [1, 4, 7, 12, 14]
    assert aside["reason"].tolist() == [
        "text before the first header: 'junk'",
        "record 'empty' has no sequence",
        "record 'odd' has 'J' at letter 4, which is none of 'ACGTRYSWKMBDHVN-.'",
        "the record is no text in UTF-8",
        "the record is no text in UTF-8",
    ]


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        (BAD, {}, "a.fa', line 1: text before the first header: 'junk'; mend the file, or pass on_error="),
        (BAD[5:], {}, "line 3: record 'empty' has no sequence"),
        (">a\n" + "A" * 500 + "\nX\n", {"alphabet": "rna"}, "line 1: record 'a' has 'X' at letter 501"),
        (">a\nAc\n>b\nG\n", {"alphabet": "ac"}, "line 3: record 'b' has 'G' at letter 1, which is none of 'ac'"),
        ("no header at all\n" * 20, {}, "line 1: text before the first header: "),
    ],
)
def test_a_bad_record_is_an_error(tmp_path, text, options, error):
    (tmp_path / "a.fa").write_text(text)
    with pytest.raises(FileFormatError, match=error):
        read_fasta(tmp_path / "a.fa", **options).to_message()


def test_line_numbers_count_comments_before_the_first_header(tmp_path):
    (tmp_path / "a.fa").write_text("; one\n\n" * 30 + ">a\nA\n>b\n")
    with pytest.raises(FileFormatError, match="line 63: record 'b' has no sequence"):
        read_fasta(tmp_path / "a.fa").to_message()


def test_nothing_but_comments_is_no_records(tmp_path):
    for text in ("", "; only\n", "\n\n"):
        (tmp_path / "a.fa").write_text(text)
        assert len(read_fasta(tmp_path / "a.fa")) == 0
        assert read_fasta(tmp_path / "a.fa").to_message().columns == ["id", "description", "sequence"]


def test_a_file_that_changes_is_an_error(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nA\n" * 100)
    source = FastaSource(tmp_path / "a.fa")
    assert len(source) == 100
    (tmp_path / "a.fa").write_text(">a\nA\n" * 101)
    with pytest.raises(FileChangedError, match="has changed"):
        source[3]


def test_the_alphabet_is_text(folder):
    for bad in ("", "é", 3):
        with pytest.raises(ValueError, match="alphabet is 'dna', 'rna', 'protein' or a text of the letters; got "):
            read_fasta(folder, alphabet=bad)
