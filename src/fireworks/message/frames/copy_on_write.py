"""The promise that no write through pandas reaches the memory of a message.

pandas copies a block before it writes to it if another living block shares its memory, and it knows of the others by
weak references. The columns of a message lie in no block, so pandas would write straight into them, or begin to as
soon as the last frame on them is gone. Hence every Series and frame that the library hands out, or takes columns from,
is said to share its memory with one block that lives as long as the program does.

pandas has no public way to say so. Everything private that is used for it stands in this file, and
``tests/message/test_copy_on_write.py`` fails where pandas changes it.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

Shared = TypeVar("Shared", bound="pd.DataFrame | pd.Series[Any]")
Lockable = TypeVar("Lockable", bound="np.ndarray[Any, Any] | ExtensionArray")

_IMMORTAL = pd.Series([0])._mgr.blocks[0]  # type: ignore[attr-defined]


def protect(shared: Shared) -> Shared:
    """Return the Series or frame itself; whatever is written to it from now on is written to a copy of the column.

    What is derived from it without a copy (slices, shallow copies, single columns) is protected as well.

    Example:
        >>> numbers = np.array([1.0, 2.0])
        >>> series = protect(pd.Series(numbers, copy=False))
        >>> series.iloc[0] = 9.0
        >>> numbers, series.tolist()
        (array([1., 2.]), [9.0, 2.0])
    """
    for block in shared._mgr.blocks:
        sharers = block.refs.referenced_blocks
        if not any(sharer() is _IMMORTAL for sharer in sharers):  # many messages may be made of one frame
            block.refs.add_reference(_IMMORTAL)
    return shared


def locked(array: Lockable) -> Lockable:
    """Return a view of an array that refuses to be written to.

    pandas hands out the array inside a Series as it is, so that ``series.array[0] = 9`` passes copy-on-write by.
    """
    if isinstance(array, np.ndarray):
        view: Any = array.view()
        view.flags.writeable = False
        return cast("Lockable", view)
    # Dates, categories and texts in NumPy are a shell around a NumPy array; pandas forgets that a shell is read-only
    # when it makes another one, as each frame does, so that what is inside is locked as well.
    inside = getattr(array, "_ndarray", None)
    view = array.view() if inside is None else array._from_backing_data(locked(inside))  # type: ignore[attr-defined]
    return cast("Lockable", lock(view))


def lock(array: Lockable) -> Lockable:
    """Return an ExtensionArray itself, which refuses to be written to from now on; for one that nobody else has."""
    array._readonly = True  # type: ignore[union-attr]  # what pandas itself sets on `Series.values`
    return array
