"""A pipe into JSON lines: some thousand rows at a time, in one file or in shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fireworks.errors import FireworksError
from fireworks.formats.json_records import write_json
from fireworks.formats.packed_output import METHODS, check_method, packed_output
from fireworks.formats.sink import write_shards
from fireworks.message import Message

if TYPE_CHECKING:
    from fireworks.core.pipe import Pipe

_WHERE = "to_json"


def to_json(
    pipe: Pipe,
    path: str | Path,
    *,
    compression: str | None = None,
    shard_rows: int | None = None,
    shard_bytes: int | str | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write all rows of epoch 0 of a pipe as JSON lines, one object per line; return the paths of the files.

    Rows stream through, and the files are there whole or not at all, as in `to_csv`. ``fw.read_json(path,
    schema=pipe.schema)`` gives the same rows back: what is written is as `Message.to_json` has it.

    Args:
        pipe: Rows, or batches, whose rows are written.
        path: The file; with shards the folder, in which ``part-00000.jsonl``, … are made.
        compression: ``"gzip"``, ``"bz2"`` or ``"zstd"``; if not given what the name of the file says: ``rows.jsonl.gz``.
        shard_rows: Rows of each shard; the last may have fewer.
        shard_bytes: A number, or a text like ``"256MB"``: a shard ends with the rows by which its file has reached it.
        progress: Whether to show a bar, if it takes long and there is a terminal.

    Raises:
        ValueError: an argument is none.
        ColumnTypeError: a column holds what JSON can't give back; it is named.
        FileExistsError: the folder holds something else than such shards.
        OSError: the files can't be written; what was there before is still whole.

    Example:
        >>> import tempfile
        >>> rows = fw.source({"n": torch.arange(2), "word": ["a", None]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (file,) = rows.to_json(f"{folder}/rows.jsonl")
        ...     file.read_text().splitlines()
        ['{"n": 0, "word": "a"}', '{"n": 1, "word": null}']
    """
    is_folder = shard_rows is not None or shard_bytes is not None
    method = check_method(compression, path, is_folder=is_folder, where=_WHERE)
    return write_shards(
        pipe,
        path,
        partial(_write, method=method),
        suffix=".jsonl" + METHODS.get(method or "", ""),
        where=_WHERE,
        shard_rows=shard_rows,
        shard_bytes=shard_bytes,
        progress=progress,
    )


def _write(messages: Iterator[Message], file: BinaryIO, *, method: str | None) -> None:
    row = 0
    with packed_output(file, method) as packed:
        for message in messages:
            try:
                text = write_json(message, lines=True) or ""
            except FireworksError as error:
                error.add_note(f"In {_WHERE}, where row 0 is row {row} of the file.")
                raise
            try:
                packed.write(text.encode())
            except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can only spell
                packed.write(_spelled(text).encode())
            row += len(message)
            packed.flush()


def _spelled(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
