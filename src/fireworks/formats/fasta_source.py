"""FASTA files as a source: biological sequences, one row per record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fireworks._internal.checks import check_columns
from fireworks.core.pipe import Pipe
from fireworks.errors import FileFormatError
from fireworks.formats.block_source import Piece
from fireworks.formats.files import Files
from fireworks.formats.lines import Block, Places, Rule, line_ends, rows_in, texts_between, without_ends
from fireworks.formats.text_blocks import Bad, TextBlockSource
from fireworks.formats.text_reader import PACKED
from fireworks.message import Field, Message, Schema
from fireworks.message.interchange.arrow_columns import column_of_array

_WHERE = "read_fasta"
_ENDINGS = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn", ".fas")
_SUFFIXES = tuple(kind + packed for kind in _ENDINGS for packed in ("", *PACKED))
_TEXT: Any = pd.api.types.pandas_dtype("str")
_HEADER, _COMMENT, _FEED, _RETURN = ord(">"), ord(";"), 10, 13
_SPACES = b" \t\v\f"
_ALPHABETS = {
    "dna": "ACGTRYSWKMBDHVN-.",
    "rna": "ACGURYSWKMBDHVN-.",
    "protein": "ACDEFGHIKLMNPQRSTVWYBJOUXZ*-.",
}


def read_fasta(
    path: str | Path | Iterable[str | Path],
    columns: str | Sequence[str] | None = None,
    *,
    alphabet: str | None = None,
    on_error: str = "raise",
) -> Pipe:
    r"""Return a pipe over the records of FASTA files, which are read when they are asked for.

    The columns are ``id``, the first word of the header; ``description``, the rest of it; and ``sequence``, its lines as
    one text, upper and lower case as they are. Lines that begin with ``;`` are comments; spaces inside a sequence are left
    out. Random access and packed files: as in `read_csv`.

    Args:
        path: A file; a folder, for all ``.fasta``, ``.fa``, ``.fna``, ``.faa``, ``.ffn``, ``.frn`` and ``.fas`` in it; a
            pattern; a URL; or a list of these.
        columns: Their names; all if not given.
        alphabet: The letters that a sequence may have, in either case: ``"dna"``, ``"rna"`` or ``"protein"`` for the
            codes of IUPAC with gaps, or a text of the letters. Anything goes if not given.
        on_error: ``"quarantine"`` sets aside the records that can't be read, with file, line, text and reason; the rest
            goes on, as a stream. See `Pipe.quarantined`.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: text before the first header, a record without a sequence, a letter that is none of the alphabet.
        ColumnNotFoundError: no such column.
        ValueError: an argument is none.

    Source:
        Pearson and Lipman 1988; the IUPAC-IUB codes of nucleotides (1984) and amino acids (1983).

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "genes.fasta"
        >>> _ = path.write_text(">a first gene\nACGT\nACG\n>b\nTTga\n")
        >>> fw.read_fasta(path, alphabet="dna").to_message().to_dict()
        {'id': ['a', 'b'], 'description': ['first gene', ''], 'sequence': ['ACGTACG', 'TTga']}
    """
    return FastaSource(path, columns, alphabet=alphabet, on_error=on_error)


@final
class FastaSource(TextBlockSource):
    r"""The records of FASTA files, file after file; see `read_fasta`, which takes the same arguments.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "genes.fasta"
        >>> _ = path.write_text(">a\nAC\nGT\n")
        >>> FastaSource(path, "sequence").to_message()["sequence"].tolist()
        ['ACGT']
    """

    kind: ClassVar[str] = "FASTA"
    puzzled_by: ClassVar[tuple[type[Exception], ...]] = (pa.ArrowException, FileFormatError)

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        columns: str | Sequence[str] | None = None,
        *,
        alphabet: str | None = None,
        on_error: str = "raise",
    ) -> None:
        letters: object = alphabet
        if letters is not None and not (isinstance(letters, str) and letters and letters.isascii()):
            raise ValueError(
                f"{_WHERE}: alphabet is 'dna', 'rna', 'protein' or a text of the letters; got {alphabet!r:.60}."
            )
        self._letters = None if alphabet is None else _ALPHABETS.get(alphabet, alphabet)
        names = check_columns(columns, ["id", "description", "sequence"], where=_WHERE)
        super().__init__(Files(path, where=_WHERE, suffixes=_SUFFIXES), tuple(dict.fromkeys(names)), on_error=on_error)

    @cached_property
    def schema(self) -> Schema:
        """The columns, all of text."""
        return Schema([Field(name, _TEXT) for name in self._columns])

    @cached_property
    def _allowed(self) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        if self._letters is None:
            return None
        allowed = np.zeros(256, dtype=bool)
        allowed[list((self._letters.upper() + self._letters.lower()).encode())] = True
        return allowed

    # --- where records are ----------------------------------------------------------------------------------------

    def blocks_of_file(self, number: int) -> Iterator[tuple[Block, int]]:
        """Yield the blocks of one file, each with the number of its first line."""
        at = begun = self.start_of(number)
        line, lines, num_rows = 1, 0, 0
        before, is_begun, pending = _FEED, False, b""
        for chunk in self.body(number, at):
            if not chunk:
                continue
            heads = _heads(np.frombuffer(chunk, dtype=np.uint8), before)
            before = chunk[-1]
            if (
                not is_begun
            ):  # what stands before the first header is a record, and a bad one, unless it is all comments
                first = int(heads[0]) if len(heads) else len(chunk)
                pending += chunk[:first]
                if _has_text(pending):
                    is_begun, num_rows = True, 1
                elif len(heads):
                    is_begun, begun = True, at + first
                    line += lines + line_ends(chunk[:first])
                    lines = -line_ends(chunk[:first])
                else:
                    pending = pending[pending.rfind(b"\n") + 1 :]
            if len(heads) and at + heads[-1] > begun:
                cut = int(heads[-1])
                lines += line_ends(chunk[:cut])
                yield Block(begun, at + cut, num_rows + len(heads) - 1, lines), line
                line, lines, num_rows, begun = line + lines, line_ends(chunk[cut:]), 1, at + cut
            else:
                num_rows += len(heads)
                lines += line_ends(chunk)
            at += len(chunk)
        if is_begun:
            yield Block(begun, at, num_rows, lines), line

    def places_of(self, data: bytes, number: int = 0) -> tuple[Places, Places]:  # noqa: ARG002
        """Return where each record of a piece begins and ends."""
        starts = _heads(np.frombuffer(data, dtype=np.uint8), _FEED)
        if data and (not len(starts) or starts[0]):
            starts = np.concatenate([[0], starts])
        return starts, np.append(starts[1:], len(data)) if len(starts) else starts

    # --- what they are --------------------------------------------------------------------------------------------

    def understood(self, piece: Piece, data: bytes) -> Message:
        """Return the records of a piece."""
        if not piece.num_rows:
            return self._no_rows[:]
        array = np.frombuffer(data, dtype=np.uint8)
        starts, stops = rows_in(data, Rule())
        stops = without_ends(array, starts, stops)
        first = array[starts]
        is_head, is_comment = first == _HEADER, first == _COMMENT
        heads = np.flatnonzero(is_head)
        if data[0] != _HEADER:
            raise FileFormatError("text before the first header")
        found: dict[str, Any] = {}
        if "sequence" in self._columns:
            found["sequence"] = self._sequences(array, starts, stops, ~(is_head | is_comment), heads)
        if {"id", "description"} & {*self._columns}:
            headers = pc.utf8_trim_whitespace(texts_between(array, starts[heads] + 1, stops[heads]))
            found["id"] = pc.replace_substring_regex(headers, r"(?s)\s.*$", "")
            found["description"] = pc.replace_substring_regex(headers, r"(?s)^\S*\s*", "")
        columns = {name: column_of_array(pa.chunked_array([found[name]]), {}) for name in self._columns}
        return Message._of(columns, len(heads))

    def _sequences(
        self, array: Any, starts: Places, stops: Places, is_sequence: Any, heads: Places
    ) -> pa.LargeStringArray:
        """Return the lines of each record as one text; all that is no line of a sequence is left out at once."""
        lines = texts_between(array, starts[is_sequence], stops[is_sequence], without=_SPACES)
        ends = np.frombuffer(lines.buffers()[1], dtype=np.int64)[: len(lines) + 1]
        before = np.concatenate([[0], np.cumsum(is_sequence)])  # lines of sequences before each line
        offsets = ends[before[np.append(heads, len(is_sequence))]]
        letters = lines.buffers()[2]
        if (offsets[1:] == offsets[:-1]).any():
            raise FileFormatError("a record has no sequence")
        if self._allowed is not None and not self._allowed[np.frombuffer(letters, dtype=np.uint8)].all():
            raise FileFormatError("a letter is none of the alphabet")
        return pa.LargeStringArray.from_buffers(len(heads), pa.py_buffer(np.ascontiguousarray(offsets)), letters)

    def bad_rows(self, piece: Piece, data: bytes, *, only_first: bool) -> Iterator[Bad]:
        """Return the records without a header or a sequence, and those with a letter that is none."""
        starts, stops = self.places_of(data)
        for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
            try:
                self.understood(piece._replace(num_rows=1), data[start:stop])
            except self.puzzled_by:
                yield _bad(row, self._reason(data[start:stop]))
                if only_first:
                    return

    def _reason(self, record: bytes) -> str:
        if not record.startswith(b">"):
            return f"text before the first header: {record.strip().decode(errors='replace')!r:.40}"
        header, *lines = record.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        try:
            header.decode()
            sequence = b"".join(line for line in lines if not line.startswith(b";")).decode().translate(_DROPPED)
        except UnicodeDecodeError:
            return "the record is no text in UTF-8"
        name = (header[1:].decode().split() or [""])[0]
        if not sequence:
            return f"record {name!r} has no sequence"
        letters = (self._letters or "").upper()
        place, letter = next((at, letter) for at, letter in enumerate(sequence) if letter.upper() not in letters)
        return f"record {name!r} has {letter!r} at letter {place + 1}, which is none of {self._letters!r}"


_DROPPED = str.maketrans("", "", _SPACES.decode())


def _bad(row: int, reason: str) -> Bad:
    return Bad(
        row,
        reason,
        lambda place: FileFormatError(f"{_WHERE}: {place}: {reason}; mend the file, or pass on_error='quarantine'."),
    )


def _heads(data: Any, before: int) -> Places:
    """Return where a line begins with ``>``."""
    places = np.flatnonzero(data == _HEADER)
    previous = np.where(places > 0, data[places - 1], before)
    heads: Places = places[(previous == _FEED) | (previous == _RETURN)]
    return heads


def _has_text(data: bytes) -> bool:
    """Tell whether there is a line that is neither blank nor a comment."""
    lines = data.replace(b"\r", b"\n").split(b"\n")
    return any(line.strip() and not line.startswith(b";") for line in lines)
