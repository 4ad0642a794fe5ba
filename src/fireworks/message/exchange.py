"""The ways of a message into other libraries and files, and back; each body is one lazy load by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks._internal.lazy import load

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import torch
    from tensordict import TensorDict

    from fireworks.message.message import Message
    from fireworks.message.schema import Schema


class Exchange:
    """What goes out of a message and comes in."""

    __slots__ = ()

    # --- in memory ------------------------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table that shares memory with the message; ``fw.Message(table)`` is the way back, without loss.

        NumPy columns of numbers and contiguous tensors in main memory are not copied, so write to neither while the table
        is in use. Booleans are copied into bits, tensors of other devices to main memory, bfloat16 and 8-bit floats into
        float32; what they were is noted in the field's metadata. Gradients and devices are not kept.

        Shapes:
            a tensor column ``(rows,)`` becomes plain numbers; ``(rows, *rest)`` the canonical extension type
            ``arrow.fixed_shape_tensor`` of shape ``rest``.

        Raises:
            ColumnTypeError: a column holds what Arrow can't give back; the error names it, and of objects row and value.

        Source:
            the Arrow columnar format with its canonical extension types.

        Example:
            >>> table = fw.Message({"x": torch.zeros(2, 3), "n": [1, 2]}).to_arrow()
            >>> print(table.schema.remove_metadata().field("n"), table.num_rows)
            pyarrow.Field<n: int64> 2
        """
        return load("message.interchange.arrow.table_of")(self)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the message to whatever reads Arrow data: ``pl.DataFrame(message)``, ``duckdb.sql("from message")``, ….

        It is `to_arrow`, except that float16 becomes float32 and categories that are no texts become their values, since
        not everybody reads them. An answer comes back without the notes: with ``fw.Message(answer, schema=message.schema)``
        it has the types of the message again, as far as the other library kept the values.

        Args:
            requested_schema: What the reader would like, as the protocol says; types are cast where Arrow can.

        Raises:
            ColumnTypeError: a column holds what Arrow can't, or has a NUL in its name, at which C would cut it off.

        Source:
            the Arrow PyCapsule interface.
        """
        return load("message.interchange.arrow.reader_of")(self).__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        return load("message.interchange.arrow.reader_of")(self).schema.__arrow_c_schema__()

    def to_polars(self) -> pl.DataFrame:
        """Return a polars frame; ``fw.Message(frame, schema=message.schema)`` is the way back, without loss.

        Memory is shared where polars can. Tensor columns of more than one dimension are polars' extension type
        ``arrow.fixed_shape_tensor``, whose ``ext.storage()`` is an Array; ordered categories of texts are an Enum, others
        a Categorical, categories of numbers the numbers. Without ``schema=``, what polars has no types for comes back as
        the nearest: a tensor of one dimension as a NumPy column, bfloat16 as float32, dates in seconds in milliseconds.

        Raises:
            MissingExtraError: polars is not installed.
            ColumnTypeError: a column holds what Arrow or polars can't.

        Example:
            >>> import polars
            >>> frame = fw.Message({"n": [1, 2, 3], "x": torch.ones(3, 2)}).to_polars().filter(polars.col("n") > 1)
            >>> fw.Message(frame)["x"].shape
            torch.Size([2, 2])
        """
        frame: pl.DataFrame = load("message.interchange.interop.to_polars")(self)
        return frame

    def to_tensordict(self, columns: str | Sequence[str] | None = None) -> TensorDict:
        """Return the tensor columns as a tensordict of batch size ``[rows]`` that shares their memory.

        A dot in a name is part of it: nothing is nested. ``fw.Message(tensordict)`` is the way back, and joins the names
        of nested entries with dots.

        Args:
            columns: A name or names; None for all columns, each of which must be a tensor then.

        Raises:
            MissingExtraError: tensordict is not installed.
            ColumnTypeError: a column is no tensor.
            ColumnNotFoundError: a name is not there.

        Example:
            >>> fw.Message({"x": torch.zeros(4, 3), "n": ["a"] * 4}).to_tensordict("x").batch_size
            torch.Size([4])
        """
        tensordict: TensorDict = load("message.interchange.interop.to_tensordict")(self, columns)
        return tensordict

    def to_records(self) -> np.ndarray[Any, Any]:
        """Return a NumPy array of records, a copy: one record per row, one field per column.

        Tensors and NumPy columns keep their types and come back from ``fw.Message(records)`` as they were, except that a
        tensor of one number per row comes back as a NumPy column, and bfloat16 and the 8-bit floats are float32. All
        other columns are fields of Python objects, None where a value is missing; texts come back from them as texts,
        and ``schema=message.schema`` brings back everything else.

        Shapes:
            a tensor column ``(rows, *rest)`` becomes a field of subarrays of shape ``rest``.

        Raises:
            ColumnTypeError: a column has an empty name, or is a tensor without values that NumPy has, such as on ``meta``.

        Example:
            >>> fw.Message({"n": [1, 2], "x": torch.zeros(2, 3)}).to_records().dtype
            dtype([('n', '<i8'), ('x', '<f4', (3,))])
        """
        return load("message.interchange.plain.to_records")(self)  # type: ignore[no-any-return]

    def to_numpy(self, dtype: Any = None) -> np.ndarray[Any, Any]:
        """Return all columns as one matrix of numbers, as for a regression.

        One column shares its memory if its type is the one asked for, and is read-only then; several are copied.

        Args:
            dtype: A NumPy type of numbers; None takes the narrowest that NumPy has for all columns. Floats may be rounded
                by it; no other value may change.

        Shapes:
            a column of one number per row is one column of the matrix, a tensor ``(rows, *rest)``, or Arrow lists of one
            size, as many as a row has elements; all together ``(rows, elements of a row)``.

        Raises:
            ColumnTypeError: columns hold texts, dates or anything else that is no number.
            ColumnValueError: a value is missing (NaN is a number here), or does not fit the type.

        Example:
            >>> fw.Message({"age": [30, 40], "x": torch.tensor([[0.5, 1.5], [2.5, 3.5]])}).to_numpy()
            array([[30. ,  0.5,  1.5],
                   [40. ,  2.5,  3.5]])
        """
        return load("message.interchange.plain.to_numpy")(self, dtype)  # type: ignore[no-any-return]

    def to_dict(self, orient: str = "list") -> Any:
        """Return the values as plain Python ones; a tensor row is a number or lists of numbers.

        Args:
            orient: ``list`` for columns by name, ``records`` for a list of rows, each a dict; ``dict``, ``index``,
                ``split``, ``tight`` and ``series`` as in `pandas.DataFrame.to_dict`, with rows counted from 0.

        Raises:
            ValueError: ``orient`` is none of these.

        Example:
            >>> fw.Message({"x": torch.zeros(2), "name": ["ann", "bob"]}).to_dict("records")
            [{'x': 0.0, 'name': 'ann'}, {'x': 0.0, 'name': 'bob'}]
        """
        return load("message.interchange.plain.to_dict")(self, orient)

    # --- in files -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the message into one file from which `load` brings back every bit of it.

        The file is whole or not there: it takes the place of an earlier one in one step, and only once it is on the disk.
        Equal messages make equal files. It is a safetensors file, whose tensors are the tensor columns under their names
        and the other columns as an Arrow file; nothing in it is pickled, and reading it runs no code.

        Args:
            path: Where to; the suffix is yours to choose.

        Raises:
            ColumnTypeError: a column holds objects that Arrow can't give back, or a tensor without values of its own; the
                error names column, row and value. Nothing is written then.
            OSError: the disk is full or the folder can't be written; what was there before is still whole.

        Example:
            >>> import tempfile
            >>> message = fw.Message({"x": torch.zeros(2, 3, dtype=torch.bfloat16), "name": ["ann", None]})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     message.save(f"{folder}/rows")
            ...     fw.Message.load(f"{folder}/rows") == message
            True
        """
        load("formats.saved.save_message")(self, path)

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str | None = None) -> Message:
        """Read a message that `save` wrote, checking every byte.

        Args:
            path: The file.
            device: Where the tensors go; None for main memory, wherever they were.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is damaged, cut short, of a newer version, or no file that `save` wrote.
        """
        return load("formats.saved.load_message")(path, device)  # type: ignore[no-any-return]

    def to_parquet(self, path: str | Path, *, index: bool | None = None, **options: Any) -> None:
        """Write the message as Parquet, which pandas, polars, DuckDB, Spark and `read_parquet` read, without loss.

        Tensors are lists of a fixed size to all other readers; what Parquet has no type for is the nearest that it has, and
        noted. Gradients and devices are not kept. The file is whole or not there, as in `save`.

        Args:
            path: Where to.
            index: There for the habit of writing ``index=False``; a message has no index.
            options: As of `pyarrow.parquet.write_table`: ``compression="zstd"``, ``row_group_size=…``. Pages have
                checksums unless told otherwise.

        Raises:
            ColumnTypeError: a column holds what Arrow can't give back; the error names it, and of objects row and value.
            ValueError: ``index`` is true, or an option is none.
            OSError: the file can't be written; what was there before is still whole.

        Example:
            >>> import tempfile
            >>> message = fw.Message({"x": torch.zeros(2, 3), "day": pd.to_datetime(["2020-01-31", None])})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     message.to_parquet(f"{folder}/rows.parquet")
            ...     fw.Message.read_parquet(f"{folder}/rows.parquet") == message
            True
        """
        load("formats.parquet.write_parquet")(self, path, index=index, **options)

    @classmethod
    def read_parquet(cls, path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
        """Read a Parquet file of any origin into memory; one that `to_parquet` wrote comes back as it was.

        Args:
            path: The file.
            columns: A name or names, in the order wanted; None for all. An index that pandas wrote becomes the first
                columns if it says something.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is no Parquet, or damaged.
            ColumnNotFoundError: a name is not there.
        """
        return load("formats.parquet.read_parquet")(path, columns)  # type: ignore[no-any-return]

    def to_feather(self, path: str | Path, *, compression: str | None = "lz4") -> None:
        """Write the message as an Arrow file (Feather), which pandas, polars and `read_feather` read, without loss.

        Args:
            path: Where to.
            compression: ``"lz4"``, ``"zstd"`` or None, which is quickest.

        Raises:
            ColumnTypeError: a column holds what Arrow can't give back; the error names it, and of objects row and value.
            ValueError: the compression is none of these.
            OSError: the file can't be written; what was there before is still whole.
        """
        load("formats.arrow_ipc.write_feather")(self, path, compression=compression)

    @classmethod
    def read_feather(cls, path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
        """Read an Arrow file (Feather), or a stored Arrow stream, of any origin into memory.

        Args:
            path: The file.
            columns: A name or names, in the order wanted; None for all, see `read_parquet`.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is no Arrow file, or damaged.
            ColumnNotFoundError: a name is not there.
        """
        return load("formats.arrow_ipc.read_feather")(path, columns)  # type: ignore[no-any-return]

    def to_csv(
        self, path: str | Path | None = None, *, sep: str = ",", na_rep: str = "", index: bool | None = None
    ) -> str | None:
        r"""Write the message as CSV, or return the text where there is no path.

        ``Message.read_csv(path, schema=message.schema)`` is the way back, without loss. A missing value is an empty field,
        an empty text two quotation marks. Numbers are written with all their digits, dates in ISO 8601, rows of tensors as
        lists in JSON.

        Args:
            path: Where to, in UTF-8; a name that ends in ``.gz``, ``.bz2`` or ``.zst`` makes a compressed file.
            sep: One character between fields.
            na_rep: The text of a missing value; a text that is the same is put in quotation marks.
            index: There for the habit of writing ``index=False``; a message has no index.

        Raises:
            ColumnTypeError: a column holds what text can't give back, such as bytes, or objects that are no text.
            ColumnValueError: a text can't be written as UTF-8, or is missing where it is alone in a line.
            ValueError: ``sep`` or ``na_rep`` would not be read as what it is.
            OSError: the file can't be written; what was there before is still whole.

        Source:
            RFC 4180, with line feeds; what is null and what is empty as in PostgreSQL's COPY.

        Example:
            >>> print(fw.Message({"x": torch.tensor([[1.0, 0.5]]), "name": ["ann"], "age": [None]}).to_csv())
            x,name,age
            "[1.0, 0.5]",ann,
        """
        return load("formats.csv.write_csv")(  # type: ignore[no-any-return]
            self, path, sep=sep, na_rep=na_rep, index=index
        )

    @classmethod
    def read_csv(
        cls, path: str | Path, schema: Schema | Mapping[str, Any] | None = None, *, sep: str = ",", **options: Any
    ) -> Message:
        """Read a CSV file into memory: as `pandas.read_csv` does, or exactly by a schema.

        Args:
            path: The file; one that ends in ``.gz``, ``.bz2`` or ``.zst`` is decompressed.
            schema: The columns of the file and their types: every value is converted without loss, or refused. None lets
                pandas guess.
            sep: The character between fields.
            options: Without a schema those of `pandas.read_csv`; with one ``na_values``, a text or texts that mean a
                missing value where they stand without quotation marks, as an empty field does.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is no CSV: rows of different lengths, bytes that are no text.
            SchemaMismatchError: the columns are not those of the schema.
            ColumnValueError: a value does not fit the schema's type; the error names column, row and value.
            TypeError: there is no such option.
        """
        return load("formats.csv.read_csv")(path, schema, sep=sep, **options)  # type: ignore[no-any-return]

    def to_json(self, path: str | Path | None = None, *, orient: str = "records", lines: bool = False) -> str | None:
        """Write the message as JSON, or return the text where there is no path.

        ``Message.read_json(path, schema=message.schema)`` is the way back, without loss. Missing values and NaN are null,
        infinities ``"Infinity"`` and ``"-Infinity"``, rows of tensors lists, dates text in ISO 8601.

        Args:
            path: Where to, in UTF-8; a name that ends in ``.gz``, ``.bz2`` or ``.zst`` makes a compressed file.
            orient: ``records`` for a list of rows, each an object; ``columns``, ``index`` or ``split`` as in
                `pandas.DataFrame.to_json`, with rows counted from 0.
            lines: One object per line and no list around them, known as JSON Lines; for records.

        Raises:
            ColumnTypeError: a column holds what JSON can't give back, such as bytes or tuples; of objects with row and value.
            ValueError: ``orient`` is none of these.
            OSError: the file can't be written; what was there before is still whole.

        Source:
            RFC 8259; infinities as in the JSON form of Protocol Buffers, version 3.

        Example:
            >>> fw.Message({"x": torch.tensor([[1.0, 0.5]]), "name": ["ann"]}).to_json()
            '[{"x": [1.0, 0.5], "name": "ann"}]'
        """
        return load("formats.json_records.write_json")(  # type: ignore[no-any-return]
            self, path, orient=orient, lines=lines
        )

    @classmethod
    def read_json(
        cls,
        path: str | Path,
        schema: Schema | Mapping[str, Any] | None = None,
        *,
        orient: str = "records",
        lines: bool = False,
    ) -> Message:
        """Read a JSON file into memory: by a schema, or with the types that the values have.

        Without a schema text stays text and nothing is guessed: ``"007"`` is no number and ``"2020-01-31"`` no date.

        Args:
            path: The file; one that ends in ``.gz``, ``.bz2`` or ``.zst`` is decompressed.
            schema: The columns of the file and their types: every value is converted without loss, or refused.
            orient: The shape of the file, see `to_json`. Labels of rows that are no numbers become the column ``index``.
            lines: Whether each line is a row.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is no JSON, or of another shape.
            SchemaMismatchError: the columns are not those of the schema.
            ColumnValueError: a value does not fit the schema's type; the error names column, row and value.
            ValueError: ``orient`` is none of these.
        """
        return load("formats.json_records.read_json")(  # type: ignore[no-any-return]
            path, schema, orient=orient, lines=lines
        )

    def to_npz(self, path: str | Path, *, compressed: bool = False) -> None:
        """Write the message as NumPy's archive of arrays, one per column, for ``numpy.load`` and `read_npz`.

        Tensors and NumPy columns come back as they were, texts and nullable numbers where none is missing. Nothing is
        pickled.

        Args:
            path: Where to; no suffix is added.
            compressed: Whether to compress the arrays.

        Raises:
            ColumnTypeError: a column is of a type that NumPy lacks: bfloat16, categories, objects, dates with a zone.
            ColumnValueError: a value is missing, or a text ends with a NUL; the error names column, row and value.
            OSError: the file can't be written; what was there before is still whole.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     fw.Message({"x": torch.zeros(2, 3), "n": [1, 2]}).to_npz(f"{folder}/rows.npz")
            ...     np.load(f"{folder}/rows.npz")["x"].shape
            (2, 3)
        """
        load("formats.npz.write_npz")(self, path, compressed=compressed)

    @classmethod
    def read_npz(cls, path: str | Path, columns: str | Sequence[str] | None = None) -> Message:
        """Read NumPy's archive of arrays, of any origin, into memory; no pickle in it is ever opened.

        Args:
            path: The file.
            columns: Names of arrays, in the order wanted; None for all. They must have one length.

        Shapes:
            ``(rows,)`` is a NumPy column, unless `to_npz` wrote a tensor; ``(rows, *rest)`` a tensor column.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: it is no such archive, or damaged.
            ColumnNotFoundError: a name is not there.
            ColumnTypeError: an array is pickled, is a single value, or has more than one dimension and no numbers.
            ColumnLengthError: the arrays differ in length.
        """
        return load("formats.npz.read_npz")(path, columns)  # type: ignore[no-any-return]

    def to_excel(self, path: str | Path, sheet_name: str = "Sheet1", *, index: bool | None = None) -> None:
        """Write the message as the one sheet of an Excel file, for people to look at.

        What Excel has no type for is text: rows of tensors are lists in JSON, dates with a zone ISO 8601. A text that
        begins with ``=`` is no formula.

        Args:
            path: Where to.
            sheet_name: The name of the sheet.
            index: There for the habit of writing ``index=False``; a message has no index.

        Raises:
            MissingExtraError: openpyxl is not installed.
            ColumnValueError: a text is longer than a cell holds, or has control characters.
            ValueError: there are more rows or columns than a sheet has, or ``index`` is true.
            OSError: the file can't be written; what was there before is still whole.
        """
        load("formats.excel.write_excel")(self, path, sheet_name, index=index)
