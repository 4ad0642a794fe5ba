"""Row groups of Parquet files, decoded: whole or piece by piece, with an error that says which one is bad."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fireworks.errors import FileFormatError, FireworksError
from fireworks.formats.files import Files

_KEPT_FOOTERS = 16
_BUFFER_BYTES = 2**16  # of compressed bytes of each column, where a row group is not read whole
BROKEN = (pa.ArrowException,)


class Group(NamedTuple):
    """One row group of one file."""

    file: int
    number: int
    num_rows: int
    statistics: dict[str, tuple[Any, Any]]
    stored_bytes: dict[str, int]
    """Bytes of each column, uncompressed, as Parquet encodes it."""


class GroupReader:
    """Decodes row groups. May be shared by threads; each read opens the file.

    Args:
        files: Where the row groups are.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._footers: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def keep_footer(self, file: int, footer: Any) -> None:
        """Keep a footer that was read, so that it need not be parsed again for each row group; the last few stay."""
        with self._lock:
            self._footers[file] = footer
            while len(self._footers) > _KEPT_FOOTERS:
                self._footers.popitem(last=False)

    def whole(self, group: Group, columns: Sequence[str], *, use_threads: bool) -> Any:
        """Return columns of a row group as a table.

        Args:
            group: Which.
            columns: Names of the file's columns.
            use_threads: Whether Arrow's own threads decode several columns at a time.

        Raises:
            FileFormatError: it is damaged.
            FileChangedError: the file is not the one that it was.
        """
        with self._opened(group) as reader:
            return reader.read_row_group(group.number, columns=list(columns), use_threads=use_threads)

    def pieces(self, group: Group, columns: Sequence[str], num_rows: int, *, use_threads: bool) -> Generator[Any]:
        """Yield columns of a row group as tables of at most so many rows, without ever holding all of it."""
        with self._opened(group, buffer_size=_BUFFER_BYTES, pre_buffer=False) as reader:
            batches = reader.iter_batches(
                num_rows, row_groups=[group.number], columns=list(columns), use_threads=use_threads
            )
            for batch in batches:
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _opened(self, group: Group, **options: Any) -> Iterator[Any]:
        files, number = self.files, group.file
        files.require_unchanged(number)
        try:
            with self._stream(number) as stream:
                with self._lock:
                    footer = self._footers.get(number)
                reader = pq.ParquetFile(stream, metadata=footer, page_checksum_verification=True, **options)
                if footer is None:
                    self.keep_footer(number, reader.metadata)
                yield reader
            if files.is_local(number):
                files.require_unchanged(number)  # not while it was read either
        except FireworksError:
            raise
        except (*BROKEN, OSError) as error:
            files.require_unchanged(number)
            if not isinstance(error, BROKEN) and error.errno is not None:  # of the system, not of Arrow
                name = files.names[number]
                raise OSError(
                    error.errno, f"{files.where}: {name!r} can't be read: {error.strerror or error}"
                ) from error
            raise FileFormatError(
                f"{files.where}: row group {group.number} of {files.names[number]!r} ({group.num_rows} rows) is damaged: "
                f"{str(error).strip().rstrip('.')}. Write the file again, or set such rows aside: on_error='quarantine'."
            ) from error

    @contextmanager
    def _stream(self, number: int) -> Iterator[Any]:
        if self.files.is_local(number):
            with pa.OSFile(self.files.names[number]) as file:  # reads without Python's lock
                yield file
        else:
            with self.files.open(number, kind="Parquet", check=False) as file:
                yield file

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["files"])  # type: ignore[misc]
