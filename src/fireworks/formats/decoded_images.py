"""One image file as a tensor, by Pillow; many of them in threads, because Pillow lets others run while it decodes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from fireworks._internal.extras import need

Item = TypeVar("Item")
Result = TypeVar("Result")

MODES = {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 1}
"""How many channels an image has in each mode."""
_ORIENTATION = 0x0112  # the tag of EXIF
_ON_THE_SIDE = frozenset({5, 6, 7, 8})  # orientations by which height and width change places
_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N")
_WIDE = ("I", "F")
_MOST_THREADS = 8


class BadImageError(Exception):
    """What is wrong with an image; the caller knows which file it is."""


def pillow() -> Any:
    """Return Pillow's module of images."""
    return need("PIL.Image", extra="images", user="read_images")


@dataclass(frozen=True)
class Decoder:
    """Turns the bytes of an image file into a tensor.

    The first frame, turned as its EXIF says, converted as ``Image.convert`` does (an alpha channel is left out where the mode
    has none), then resized by bilinear interpolation as ``Image.resize`` does. Of 16 bits per channel 8 are kept, the
    upper ones, unless the mode is ``I;16``.

    Args:
        mode: One of `MODES`.
        size: Height and width; None leaves them.
    """

    mode: str
    size: tuple[int, int] | None

    @property
    def dtype(self) -> torch.dtype:
        """The type of the numbers."""
        return torch.uint16 if self.mode == "I;16" else torch.uint8

    def shape(self, data: bytes) -> tuple[int, int, int]:
        """Return what shape an image will have, from its header.

        Raises:
            BadImageError: it is no image.
        """
        if self.size is not None:
            return *self.size, MODES[self.mode]
        image = _opened(data)
        width, height = image.size
        if _caught(lambda: image.getexif().get(_ORIENTATION)) in _ON_THE_SIDE:
            width, height = height, width
        return height, width, MODES[self.mode]

    def decode(self, data: bytes) -> torch.Tensor:
        """Return an image, shape ``(height, width, channels)``.

        Raises:
            BadImageError: it is no image, or a damaged one.
        """
        image = _opened(data)
        array = _caught(lambda: self._pixels(image))
        return torch.from_numpy(array.reshape(*array.shape[:2], MODES[self.mode]))

    def _pixels(self, image: Any) -> np.ndarray[Any, Any]:
        turned = image  # ours alone, so that it is turned without a copy
        need("PIL.ImageOps", extra="images", user="read_images").exif_transpose(turned, in_place=True)
        if turned.mode in _WIDE:
            raise BadImageError(f"its pixels are 32-bit numbers, mode {turned.mode!r}; save it with 8 or 16 bits")
        if self.mode == "I;16":
            return self._sixteen_bits(turned)
        if turned.mode in _SIXTEEN:  # `convert` would take all that is above 255 for white
            turned = pillow().fromarray((_numbers(turned) >> 8).astype(np.uint8))
        if turned.mode != self.mode:
            turned = turned.convert(self.mode)
        if self.size is not None:
            turned = turned.resize(self.size[::-1], pillow().Resampling.BILINEAR)
        return np.array(turned)

    def _sixteen_bits(self, image: Any) -> np.ndarray[Any, Any]:
        if image.mode not in _SIXTEEN:
            raise BadImageError(f"it has mode {image.mode!r} and no 16 bits of gray; pass mode='L' or 'RGB'")
        pixels = _numbers(image)
        if self.size is not None and pixels.shape != self.size:
            # Pillow resizes numbers of 16 bits by nearest neighbour at best, floats as everything else
            wide = pillow().fromarray(pixels.astype(np.float32)).resize(self.size[::-1], pillow().Resampling.BILINEAR)
            pixels = np.rint(np.asarray(wide)).astype(np.uint16)
        return pixels


def _numbers(image: Any) -> np.ndarray[Any, Any]:
    return np.array(image).astype(np.uint16)


def _opened(data: bytes) -> Any:
    if not data:
        raise BadImageError("it is empty")
    return _caught(lambda: pillow().open(io.BytesIO(data)))


def _caught(work: Callable[[], Result]) -> Result:
    """Do something with Pillow, and turn whatever a damaged file makes of it into `BadImageError`."""
    image = pillow()
    broken = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError)
    more = (struct.error, zlib.error, OverflowError, MemoryError, image.DecompressionBombError)
    try:
        return work()
    except image.UnidentifiedImageError as error:
        raise BadImageError("no format that Pillow knows") from error
    except (*broken, *more) as error:
        raise BadImageError(str(error).strip().rstrip(".") or type(error).__name__) from error


# --- threads ----------------------------------------------------------------------------------------------------------

_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    global _pool  # noqa: PLW0603 (a child process has none of its parent's threads)
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield what a function makes of each item, in their order; threads of one pool work on them at once.

    The first error in the order of the items is raised.
    """
    global _pool  # noqa: PLW0603 (threads are shared by all sources of the process)
    some = list(items)
    if len(some) == 1:
        yield function(some[0])
        return
    pool = _pool
    if pool is None:
        pool = _pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "images of fireworks")
    yield from pool.map(function, some)
