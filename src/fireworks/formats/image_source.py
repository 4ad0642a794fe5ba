"""Images in files as a source: decoded when they are asked for, with the folder's name as the class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np
import pandas as pd
import torch

from fireworks._internal.checks import check_count
from fireworks.core.chunk import Span, as_positions
from fireworks.core.flow import read_rows
from fireworks.core.pipe import Pipe
from fireworks.core.source import BadRows, Source
from fireworks.errors import FileFormatError, did_you_mean
from fireworks.formats.decoded_images import MODES, BadImageError, Decoder, in_threads, pillow
from fireworks.formats.files import Files
from fireworks.message import Field, Message, Schema
from fireworks.message.columns import Column, Positions

_WHERE = "read_images"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")


def read_images(
    path: str | Path | Iterable[str | Path],
    *,
    size: tuple[int, int] | None = None,
    mode: str = "RGB",
    label: str | None = "folder",
    on_error: str = "raise",
) -> Pipe:
    """Return a pipe over image files, which are decoded when they are asked for.

    The columns are ``image``, a tensor; ``label``, the name of the class as a category; and ``path``, below the folder. Images come
    in the order of their paths, the first frame of one that moves, turned as its EXIF says, with colours as
    Pillow converts them.

    Args:
        path: A folder, in which each folder is a class; or a file, a pattern or a list of these.
        size: Height and width to which all are resized. Without it all must have the size of the first.
        mode: ``"RGB"``, ``"L"`` (gray), ``"RGBA"``, or ``"I;16"``, gray as uint16.
        label: ``"folder"``: the name of the first folder below ``path``, and where ``path`` is no folder, of the
            folder that an image is in. None leaves the column out.
        on_error: ``"quarantine"`` to set images aside that can't be decoded; the pipe is a stream then.

    Shapes:
        ``image`` is ``(rows, height, width, channels)``, of uint8 unless the mode is ``"I;16"``.

    Raises:
        MissingExtraError: Pillow is not installed.
        FileNotFoundError: there is no image.
        ValueError: ``size``, ``mode``, ``label`` or ``on_error`` makes no sense, or an image is in no folder of a class.
        FileFormatError: a file is no image, or a damaged one, or of another size.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, colour in {"leaf": "green", "rose": "red"}.items():
        ...     (folder / name).mkdir()
        ...     Image.new("RGB", (8, 6), colour).save(folder / name / "1.png")
        >>> row = fw.read_images(folder)[1]
        >>> row["image"].shape, row["image"][0, 0, 0].tolist(), row["label"][0], row["path"][0]
        (torch.Size([1, 6, 8, 3]), [255, 0, 0], 'rose', 'rose/1.png')
    """
    return ImageSource(path, size=size, mode=mode, label=label, on_error=on_error)


@final
class ImageSource(Source):
    """Image files, one per row; see `read_images`.

    Args:
        path: A folder, a file, a pattern or a list of these.
        size: Height and width to which all are resized.
        mode: What they are converted to.
        label: ``"folder"``, or None for no label.
        on_error: ``"quarantine"`` to set images aside that can't be decoded.

    Raises:
        MissingExtraError: Pillow is not installed.
        FileNotFoundError: there is no image.
        ValueError: an argument makes no sense, or an image is in no folder of a class.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "1.png"
        >>> Image.new("L", (8, 6), 7).save(path)
        >>> ImageSource(path, size=(2, 2), mode="L", label=None).to_message()["image"].flatten().tolist()
        [7, 7, 7, 7]
    """

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        *,
        size: tuple[int, int] | None = None,
        mode: str = "RGB",
        label: str | None = "folder",
        on_error: str = "raise",
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"{_WHERE}: mode must be one of {list(MODES)}; got {mode!r}.{did_you_mean(mode, MODES)}")
        if label not in {"folder", None}:
            raise ValueError(f"{_WHERE}: label must be 'folder' or None; got {label!r}.")
        if on_error not in {"raise", "quarantine"}:
            raise ValueError(f"{_WHERE}: on_error must be 'raise' or 'quarantine'; got {on_error!r}.")
        self._decoder = Decoder(mode, _checked(size))
        self.on_error, self.random_access = on_error, on_error == "raise"
        pillow()
        self._files = Files(path, where=_WHERE, suffixes=_SUFFIXES)
        for number, name in enumerate(self._files.names):
            if self._files.is_local(number) and not Path(name).exists():
                raise FileNotFoundError(f"{_WHERE}: there is no folder or file {name!r}; mend the path.")
        self._columns: tuple[str, ...] = ("image", "path") if label is None else ("image", "label", "path")
        if label is not None:
            self._codes, self._classes = _classes(path, self._files)

    # --- what there is ----------------------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> Schema:
        """The columns; without ``size``, from the header of the first image."""
        image = [] if "image" not in self._columns else [Field("image", self._decoder.dtype, self._shape)]
        others = self._others(np.empty(0, dtype=np.int64))
        return Schema((*image, *Message._of(others, 0).schema.fields))

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        """The shape of all images: of the first, and where bad ones are set aside of the first that can be read."""
        if self._decoder.size is not None:
            return self._decoder.shape(b"")
        for number in range(len(self._files)):
            try:
                return self._decoder.shape(self._read(number))
            except BadImageError as error:
                if self.random_access:
                    raise self._refused(number, error) from error
        raise FileFormatError(f"{_WHERE}: none of the {len(self._files)} files is an image.")

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns."""
        return list(self._columns)

    def describe(self) -> str:
        """Return the source as text, without its folder."""
        first = PurePosixPath(self._files.names[0]).name
        more = f" and {len(self._files) - 1} more" if len(self._files) > 1 else ""
        return f"Images({first}{more}: {', '.join(self._columns)})"

    def count(self) -> int:
        """Return the number of files."""
        return len(self._files) if self.random_access else super().count()

    def require_unchanged(self) -> None:
        """Raise `FileChangedError` where a file is another one than when the source was made."""
        for number in range(len(self._files)):
            self._files.require_unchanged(number)

    def narrowed(self, columns: Sequence[str]) -> ImageSource:
        """Return a source of the same rows with the named columns; without ``image`` nothing is decoded."""
        wanted = tuple(name for name in self._columns if name in set(columns))
        # what can't be decoded is set aside whichever columns are wanted, so the images are looked at
        if not wanted or wanted == self._columns or not self.random_access:
            return self
        narrow = object.__new__(ImageSource)
        narrow.__dict__.update(self.__dict__ | {"_columns": wanted})
        narrow.__dict__.pop("schema", None)
        return narrow

    def fingerprint(self) -> str:
        """Return the SHA-256 of the contents of the files, their paths, and how they are decoded."""
        facts = repr((self._decoder, self._columns, self._files.inside, self._labels_text()))
        return hashlib.sha256(f"{facts}{self._files.fingerprint()}".encode()).hexdigest()

    def _labels_text(self) -> object:
        return (self._codes.tolist(), list(self._classes)) if "label" in self._columns else None

    # --- rows -------------------------------------------------------------------------------------------------------

    def fetch(self, rows: Span) -> Message:
        """Return the images at the given row numbers, in that order; several threads decode them."""
        positions = as_positions(rows)
        stored: dict[str, Column] = {}
        if "image" in self._columns:
            images = torch.empty((len(positions), *self._shape), dtype=self._decoder.dtype)
            list(in_threads(lambda at: images[at].copy_(self._decoded(int(positions[at]))), range(len(positions))))
            stored["image"] = images
        return Message._of(stored | self._others(positions), len(positions))

    def stream(self, start: int) -> Iterator[Message | BadRows]:
        """Yield the images from ``start`` on, and between them those that can't be decoded."""
        size = read_rows(self.schema.row_bytes)
        for first in range(start, len(self._files), size):
            numbers = np.arange(first, min(first + size, len(self._files)), dtype=np.int64)
            good: list[torch.Tensor] = []
            for at, found in enumerate(in_threads(self._tried, numbers.tolist())):
                if isinstance(found, torch.Tensor):
                    good.append(found)
                    continue
                if good:
                    yield self._message(good, numbers[at - len(good) : at])
                    good = []
                yield BadRows(Message._of(self._others(numbers[at : at + 1]), 1), found)
            if good:
                yield self._message(good, numbers[len(numbers) - len(good) :])

    def _message(self, images: list[torch.Tensor], positions: Positions) -> Message:
        return Message._of({"image": torch.stack(images), **self._others(positions)}, len(positions))

    def _others(self, positions: Positions) -> dict[str, Column]:
        """Return the columns beside the image."""
        stored: dict[str, Column] = {}
        if "label" in self._columns:
            stored["label"] = pd.Categorical.from_codes(
                self._codes[positions], dtype=pd.CategoricalDtype(self._classes)
            )
        if "path" in self._columns:
            stored["path"] = pd.array([self._files.inside[number] for number in positions.tolist()], dtype="str")
        return stored

    def _read(self, number: int) -> bytes:
        with self._files.open(number, kind="image") as file:
            return file.read()

    def _decoded(self, number: int) -> torch.Tensor:
        try:
            return self._fitting(self._decoder.decode(self._read(number)))
        except BadImageError as error:
            raise self._refused(number, error) from error

    def _tried(self, number: int) -> torch.Tensor | str:
        """Return an image, or why there is none."""
        try:
            return self._fitting(self._decoder.decode(self._read(number)))
        except BadImageError as error:
            return f"FileFormatError: {self._refused(number, error)}"

    def _fitting(self, image: torch.Tensor) -> torch.Tensor:
        if tuple(image.shape) != self._shape:
            (height, width, _), (first_height, first_width, _) = image.shape, self._shape
            raise BadImageError(
                f"it is {height} pixels high and {width} wide, and the first is {first_height} high and {first_width} wide; "
                f"pass size=({first_height}, {first_width}) to resize all to one size"
            )
        return image

    def _refused(self, number: int, error: BadImageError) -> FileFormatError:
        return FileFormatError(f"{_WHERE}: {self._files.names[number]!r} can't be used: {error}.")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "schema"}


def _checked(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"{_WHERE}: size is a height and a width, such as (224, 224); got {size!r}.")
    height, width = (check_count(side, at_least=1, where=f"{_WHERE}: size") for side in size)
    return height, width


def _classes(path: object, files: Files) -> tuple[np.ndarray[Any, Any], pd.Index[Any]]:
    """Return the class of each file, as a number, and the names of the classes, sorted."""
    names = []
    for file, inside in zip(files.names, files.inside, strict=True):
        below = PurePosixPath(inside).parts[:-1]
        if not below and isinstance(path, (str, Path)) and "://" not in str(path) and Path(path).is_dir():
            raise ValueError(
                f"{_WHERE}: {file!r} is in no folder of a class; move it into one, or pass label=None for images without "
                "labels."
            )
        names.append(below[0] if below else PurePosixPath(file).parent.name)
    classes, codes = np.unique(np.array(names, dtype=object), return_inverse=True)
    return codes, pd.Index(classes.tolist(), dtype="str")
