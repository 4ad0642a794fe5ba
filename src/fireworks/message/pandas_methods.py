"""Everything that a DataFrame can do, on a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from fireworks._internal.lazy import load

if TYPE_CHECKING:
    from fireworks.message.message import Message


class PandasMethods:
    """The methods of a DataFrame, of which a message takes over all that it has not itself.

    They run on a frame that shares the message's memory; what comes back as a frame becomes a message, a Series or a
    number stays what it is. Arguments may be messages and tensors, and functions get messages (for a frame) and what
    ``message[name]`` gives (for a column), and may return them. In the notebook, ``dir`` and ``help`` know them.

    A message differs from a DataFrame on purpose:

    - It has no index. Rows are numbered from 0, and ``loc`` takes these numbers; what would be an index (the keys of
      ``groupby``, the statistics of ``describe``, the rows of ``pivot_table``) becomes leading columns, called ``index``
      where it has no name and ``g_index`` where ``g`` is taken. ``reset_index`` has nothing to do, and ``index``,
      ``set_index``, ``reindex``, ``sort_index`` and whatever needs an index of times are not there; the error says what
      to write instead.
    - Column names are text: other labels are turned into it, and labels of several parts are joined, ``x_mean``.
    - Nothing changes in place. ``inplace=True`` and assignment through ``loc`` and its kin raise, since they would be
      lost; ``insert`` and ``update`` act on this message, as assigning a column does, and on no other.
    - Columns are not attributes, and ``==`` compares whole messages; there is no other arithmetic between messages
      (``message.add(1)`` is there). ``drop``, ``rename``, ``take``, ``sample``, ``append``, ``items``, ``columns`` and
      ``equals`` are a message's own.
    - One row of a tensor column is one cell: it is missing where any element is NaN, and two are equal where all
      elements are. Sums, means, windows and the like go element by element. ``numeric_only=True`` keeps tensor columns
      of any rank.
    - ``join(other, on="k")`` matches the column ``k`` of both messages; without ``on`` rows meet by their number.
    - A torch dtype in ``astype`` makes a tensor column.
    - Writers leave row numbers out unless told otherwise, and write a row of a tensor as text. ``to_pickle`` and
      ``to_hdf`` are not there: opening what they write runs code.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked for by copy, pickle, NumPy and notebooks, and never one of ours
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}.")
        if hasattr(type(self), name):  # a property of ours has raised an AttributeError: raise that one again
            return object.__getattribute__(self, name)
        return load("message.frames.delegate.attribute")(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *load("message.frames.delegate.public_names")()})

    def describe(
        self,
        percentiles: Sequence[float] | None = None,
        include: Any = None,
        exclude: Any = None,
    ) -> Message:
        """Return statistics of the columns: how many values, mean, standard deviation, least, quantiles, greatest.

        Args:
            percentiles: Between 0 and 1; quartiles unless given.
            include: Types of columns to describe, as in ``DataFrame.select_dtypes``, or ``"all"``; numbers unless
                given, or what there is if there are none.
            exclude: Types to leave out.

        Shapes:
            the column ``statistic`` names the rows; a tensor column ``(rows, *rest)`` of numbers becomes
            ``(statistics, *rest)`` in float64, each element by itself and without its NaNs.

        Raises:
            ValueError: a percentile is outside of 0 to 1, or there are no columns.

        Source:
            ``DataFrame.describe`` of pandas 3; quantiles are interpolated linearly.

        Example:
            >>> message = fw.Message({"v": torch.tensor([[1.0, 10.0], [3.0, 30.0]])})
            >>> message.describe([0.5]).to_dict()["statistic"], message.describe()["v"][1].tolist()
            (['count', 'mean', 'std', 'min', '50%', 'max'], [2.0, 20.0])
        """
        return cast("Message", load("message.frames.statistics.describe")(self, percentiles, include, exclude))

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a column, or the default where there is none of that name."""
        message = cast("Message", self)
        names = key if isinstance(key, list) else [key]
        return message[key] if all(name in message for name in names) else default

    def head(self, n: int = 5) -> Message:
        """Return the first rows, sharing memory; with a negative number, all but the last ones."""
        return cast("Message", self)[:n]

    def tail(self, n: int = 5) -> Message:
        """Return the last rows, sharing memory; with a negative number, all but the first ones."""
        message = cast("Message", self)
        return message[max(len(message) - n, 0) if n >= 0 else -n :]

    def insert(self, loc: int, column: str, value: Any) -> None:
        """Add a column at a place, as assigning it would add it at the end.

        Args:
            loc: How many columns stand before it.
            column: Its name.
            value: One value per row: a tensor, an array, a Series or a list.

        Raises:
            ValueError: there is a column of that name, or no such place.
            ColumnLengthError: it has another number of rows.

        Example:
            >>> message = fw.Message({"x": [1, 2]})
            >>> message.insert(0, "id", torch.arange(2))
            >>> message.columns
            ['id', 'x']
        """
        load("message.frames.changes.insert")(self, loc, column, value)

    def update(self, other: Any, **options: Any) -> None:
        """Replace values by those of another message or frame that are not missing, row by row and column by column.

        The columns are replaced in this message and in no other.

        Args:
            other: What to take values from; columns that are not here are passed over.
            options: Of ``DataFrame.update``: ``overwrite``, ``filter_func``, ``errors``.

        Example:
            >>> message = fw.Message({"x": [1.0, 2.0]})
            >>> message.update({"x": [np.nan, 5.0]})
            >>> message["x"].tolist()
            [1.0, 5.0]
        """
        load("message.frames.changes.update")(self, other, **options)

    def reset_index(self, *, drop: bool = False, names: str | None = None) -> Message:  # noqa: ARG002 (pandas has it)
        """Return the message as it is: what pandas would make columns of are columns already.

        Args:
            drop: Makes no difference; row numbers never become a column unasked.
            names: A name for a leading column of row numbers.

        Raises:
            ColumnTypeError: there is a column of that name.
        """
        return cast("Message", load("message.frames.changes.with_row_numbers")(self, names))
