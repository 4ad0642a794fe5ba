"""NumPy's arrays in files of their own, as a source; they are mapped into memory, not read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

from fireworks.core.pipe import Pipe
from fireworks.errors import SchemaMismatchError
from fireworks.formats.files import Files
from fireworks.formats.npy_header import MOST_BYTES, read_npy_header
from fireworks.formats.stored_arrays import Stack, StoredArray
from fireworks.formats.stored_bytes import Mapped, Unpacked
from fireworks.formats.stored_source import ArrayColumn, StoredSource, require_same_arrays, split_fields
from fireworks.message.build import as_name

_WHERE = "read_npy"
_Paths = str | Path | Iterable[str | Path]


def read_npy(path: _Paths | Mapping[str, _Paths], column: str = "x") -> Pipe:
    """Return a pipe over the rows of NumPy's ``.npy`` files, which are mapped into memory, not read.

    Numbers of one dimension are NumPy columns, those of more tensors, texts are texts, and the fields of records columns of
    their own. What is written to rows never reaches the file.

    Args:
        path: A file, a folder, a pattern or a list of these: one column, file after file. Or a mapping from columns
            to these.
        column: The name of the one column.

    Raises:
        OSError: a file can't be read; `FileNotFoundError` where there is none.
        FileFormatError: a file is no NPY file, or a damaged one, or one that was cut short.
        ColumnTypeError: an array holds Python objects, which would run code, or is a single value.
        SchemaMismatchError: the arrays of one column differ in their type or in the shape of a row.
        ColumnLengthError: columns differ in length.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> np.save(folder / "x.npy", np.arange(12.0).reshape(6, 2)); np.save(folder / "y.npy", np.arange(6))
        >>> data = fw.read_npy({"x": folder / "x.npy", "y": folder / "y.npy"})
        >>> data[[4, 1]]["x"].tolist(), data[2:4]["y"].tolist()
        ([[8.0, 9.0], [2.0, 3.0]], [2, 3])
    """
    return NpySource(path, column)


@final
class NpySource(StoredSource):
    """The rows of NumPy's arrays in files; see `read_npy`.

    Args:
        path: Files of one column, or a mapping from columns to files.
        column: The name of the one column.

    Raises:
        TypeError: there is no path, or a column's name is no text.
        FileFormatError: a file is no NPY file, or a damaged one.
        ColumnTypeError: an array holds Python objects, or is a single value.
        SchemaMismatchError: the arrays of one column differ.
        ColumnLengthError: columns differ in length.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for number in range(2): np.save(folder / f"{number}.npy", np.full(3, number))
        >>> NpySource(folder, "n").to_message()["n"].tolist()
        [0, 0, 0, 1, 1, 1]
    """

    def __init__(self, path: _Paths | Mapping[str, _Paths], column: str = "x") -> None:
        paths: Mapping[str, Any] = path if isinstance(path, Mapping) else {column: path}
        if not paths:
            raise ValueError(f"{_WHERE}: the mapping of columns to files is empty; name at least one.")
        every, columns = [], {}
        for name, some in paths.items():
            files = Files(some, where=_WHERE, suffixes=(".npy",))
            every.append(files)
            for field, arrays in _columns_of(as_name(name), files).items():
                if field in columns:
                    raise SchemaMismatchError(
                        f"{_WHERE}: two columns would be called {field!r}; read the records of {name!r} by themselves and "
                        "put them beside the others with fw.Zip."
                    )
                columns[field] = ArrayColumn(field, Stack(arrays), _WHERE)
        super().__init__("Npy", every, columns, where=_WHERE)


def _columns_of(name: str, files: Files) -> dict[str, list[StoredArray]]:
    columns: dict[str, list[StoredArray]] = {}
    for number, file in enumerate(files.names):
        found = split_fields(name, _array(files, number))
        if number and found.keys() != columns.keys():
            raise SchemaMismatchError(
                f"{_WHERE}: {files.names[0]!r} holds the columns {list(columns)} and {file!r} {list(found)}; read them one by "
                "one."
            )
        for field, array in found.items():
            columns.setdefault(field, []).append(array)
    for field, arrays in columns.items():
        require_same_arrays(field, zip(files.names, arrays, strict=True), where=_WHERE)
    return columns


def _array(files: Files, number: int) -> StoredArray:
    with files.open(number, kind="NPY") as file:
        data = file.read(MOST_BYTES)
        size = file.seek(0, 2)
    header = read_npy_header(data, where=_WHERE, name=repr(files.names[number]), num_bytes=size)
    if files.is_local(number):
        return header.stored_in(Mapped(files, number, kind="NPY"))
    return header.stored_in(Unpacked(files, number, partial(files.open, number, kind="NPY"), num_bytes=size))
