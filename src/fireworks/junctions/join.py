"""Two inputs, row beside row of equal key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from fireworks.core.chunk import Chunk, Span, as_positions, groups, join, numbered
from fireworks.core.cursor import BlockCursor, Cursor
from fireworks.core.failures import note_place
from fireworks.core.flow import Base, Flow, block_rows, read_rows
from fireworks.core.junction import Junction
from fireworks.core.origins import Origins
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.core.stages import RowStage
from fireworks.errors import ColumnNotFoundError, NoRandomAccessError, UnknownLengthError
from fireworks.junctions.assorted import COLUMN, Assorted
from fireworks.junctions.key_index import KeyIndex
from fireworks.junctions.missing_rows import with_missing
from fireworks.junctions.side_by_side import claim, unmarked
from fireworks.message import Message
from fireworks.message.columns import Positions

INNER, LEFT = "inner", "left"
_VALIDATE = {
    "one_to_one": (True, True),
    "one_to_many": (True, False),
    "many_to_one": (False, True),
    "many_to_many": (False, False),
}


@final
class Join(Junction):
    """Put beside each row of the first component the rows of the second that have the same key.

    Rows come in the order of the first component; several of one key in the second come in its order. The columns are
    those of the first, then those of the second without its keys. A null key equals nothing, as in SQL.

    Which row stands beside which is found in one pass over the key columns of both, and remembered, 16 bytes a row; then
    there is random access, orders behind reach through, and functions of both sides run behind them. Where a component
    is a stream, or differs by epoch, the join is a stream; then the second must still have random access. Join first and
    shuffle behind to keep random access.

    Args:
        components: Two pipes of rows by name; the first is the left one.
        on: The key: a column, several, or a mapping from the left's names to the right's.
        how: ``"inner"`` leaves rows of the left without a partner out; ``"left"`` keeps them, and what is missing of the
            right is null. Every column of the right is then of a type that holds nulls, and a tensor column needs ``fill``.
        fill: With ``how="left"``: values, by column of the right, for what is missing; such a column keeps its type.
        validate: ``"one_to_one"``, ``"many_to_one"``, ``"one_to_many"``: what the keys must be; checked once.

    Raises:
        ValueError: there are not two components; an argument is none of its values; keys repeat against ``validate``.
        TypeError: a component is batched.
        ColumnNotFoundError: a key, or a column of ``fill``, is not there.
        ColumnTypeError: a key is a tensor of several numbers per row.
        SchemaMismatchError: the keys of the two are of different kinds, or both have a column of one name.
        ColumnValueError: with ``how="left"``, a row of a tensor column without ``fill`` is missing.
        NoRandomAccessError: the second component is a stream.

    Source:
        Joins as in SQL-92 and ``pandas.merge``; differs from the latter in null keys, which there equal each other.

    Example:
        >>> clicks = fw.source({"user": ["ann", "bob", "ann"], "n": [1, 2, 3]})
        >>> users = fw.source({"user": ["ann", "cid"], "x": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
        >>> Join({"clicks": clicks, "users": users}, on="user").to_message()["x"].tolist()
        [[1.0, 2.0], [1.0, 2.0]]
        >>> Join({"clicks": clicks, "users": users}, on="user", how="left", fill={"x": 0.0})[1]["x"]
        tensor([[0., 0.]])
    """

    length_needs_a_pass: ClassVar[bool] = True

    def __init__(
        self,
        components: Mapping[str, Pipe],
        on: str | Sequence[str] | Mapping[str, str],
        *,
        how: str = INNER,
        fill: Mapping[str, Any] | None = None,
        validate: str | None = None,
    ) -> None:
        if how not in {INNER, LEFT}:
            raise ValueError(f"join: how is 'inner' or 'left'; got {how!r}. For a right join, exchange the components.")
        if validate is not None and validate not in _VALIDATE:
            raise ValueError(f"join: validate is one of {list(_VALIDATE)}; got {validate!r}.")
        if fill and how != LEFT:
            raise ValueError("join: fill is for what how='left' finds missing; with how='inner' nothing is.")
        self.how, self.fill, self.validate = how, dict(fill or {}), validate
        self.left_on, self.right_on = _keys(on)
        super().__init__(components)

    def check_components(self) -> None:
        components = self.components
        if len(components) != 2:
            raise ValueError(
                f"join: two components are joined at a time; got {list(components)}. Join the result again."
            )
        (left_name, left), (right_name, right) = components.items()
        batched = [name for name, pipe in components.items() if pipe.is_batched]
        if batched:
            raise TypeError(f"join: components must give rows; batched are {batched}. Join first, then batch.")
        for name, pipe, keys in ((left_name, left, self.left_on), (right_name, right, self.right_on)):
            for key in keys:
                if pipe.known_columns is not None and key not in pipe.known_columns:
                    raise ColumnNotFoundError(key, available=pipe.known_columns, where=f"join: component {name!r}")
        if right.known_columns is not None:
            for column in self.fill:
                if column not in right.known_columns or column in self.right_on:
                    others = [name for name in right.known_columns if name not in self.right_on]
                    raise ColumnNotFoundError(column, available=others, where="join: fill")
        if not right.is_indexable:
            raise NoRandomAccessError(
                f"join: component {right_name!r} must have random access, so that its rows can be found by key; it is a "
                f"stream: {right!r}. Read it first: fw.source(pipe.to_message()); or exchange the components."
            )
        if self.validate is not None and _VALIDATE[self.validate][0] and not self.has_pairs:
            raise ValueError(
                f"join: validate={self.validate!r} needs all keys of {left_name!r} at once; it is a stream or differs by "
                "epoch."
            )
        self._joined_columns([left.known_columns or [], right.known_columns or []])

    @property
    def has_pairs(self) -> bool:
        """Whether the rows that stand side by side are the same in every epoch, so that they can be remembered."""
        return all(
            pipe.is_indexable and not pipe.order_varies and not pipe.values_vary for pipe in self.components.values()
        )

    def _joined_columns(self, columns: Sequence[Sequence[str]]) -> list[str]:
        owners: dict[str, str] = {}
        for name, mine in zip(self.components, columns, strict=True):
            is_right = mine is columns[1]
            for column in mine:
                if not (is_right and column in self.right_on):
                    claim(owners, column, name, who="Join")
        return list(owners)

    @property
    def known_columns(self) -> list[str] | None:
        left, right = (component.known_columns for component in self.components.values())
        return None if left is None or right is None else self._joined_columns([left, right])

    def options(self) -> str:
        on = dict(zip(self.left_on, self.right_on, strict=True))
        keys: object = self.left_on if self.left_on == self.right_on else on
        fill = f", fill={self.fill!r}" if self.fill else ""
        return f", on={keys!r}, how={self.how!r}{fill}"

    def make_flow(self) -> Flow:
        left, right = self.components.values()
        if self.has_pairs:
            base = _Paired(_Pairs(self, left, right), _bare(left.flow), _bare(right.flow))
            return Flow(base, stages=(_JoinRows(self, left.flow, right.flow),))
        return Flow(_JoinedStream(self, left.flow, right.flow, _RightKeys(self, right)))

    # --- what becomes of rows that were found --------------------------------------------------------------------

    def put_together(self, left: Message, right: Message, place: Positions) -> Message:
        """Return rows of the left with those of the right at ``place``, -1 where one is missing."""
        stored: dict[str, Any] = {}
        self._joined_columns([left.columns, right.columns])
        stored.update(left._columns)
        partners = right.drop(*(name for name in self.right_on if name in right))
        if self.how == LEFT:
            keys = left.select(*self.left_on)
            partners = with_missing(partners, place, self.fill, keys)
        else:
            partners = partners.take(place)
        stored.update(partners._columns)
        return Message._of(stored, len(left))

    def found(self, index: KeyIndex, keys: Message) -> tuple[Positions, Positions]:
        """Return pairs of a left row and a right row, in the order of the left; -1 for none where the join keeps it."""
        left, right = index.match(keys, self.left_on)
        if self.how == INNER:
            return left, right
        is_single = np.ones(len(keys), dtype=bool)
        is_single[left] = False
        single = np.flatnonzero(is_single)
        order = np.argsort(np.concatenate([left, single]), kind="stable")
        return np.concatenate([left, single])[order], np.concatenate([right, np.full(len(single), -1)])[order]

    def index_of(self, pipe: Pipe, keys: Sequence[str], name: str, *, is_unique: bool) -> KeyIndex:
        """Return an index of a component's keys, after a look for one that repeats."""
        read = pipe.select(*keys).to_message()
        index = KeyIndex(read if read.columns else Message({key: [] for key in keys}), keys, who="join")
        again = index.first_repeated() if is_unique else None
        if again is not None:
            key = {column: read[again : again + 1][column].tolist()[0] for column in keys}
            raise ValueError(
                f"join: by validate={self.validate!r} each key comes once in {name!r}; row {again} repeats {key}."
            )
        return index


def _bare(flow: Flow) -> Flow:
    return Flow(flow.base, flow.orders)


def _keys(on: Any) -> tuple[list[str], list[str]]:
    names = {on: on} if isinstance(on, str) else on
    pairs = dict(names) if isinstance(names, Mapping) else {n: n for n in names} if _is_list(names) else {}
    if not pairs or not all(isinstance(name, str) for pair in pairs.items() for name in pair):
        raise TypeError(
            "join: on is a column, a list of columns, or a mapping from the left's names to the right's; "
            f"got {on!r:.60} of type {type(on).__name__}."
        )
    return list(pairs), list(pairs.values())


def _is_list(names: object) -> bool:
    return isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)


class _Found(NamedTuple):
    """Which row of the left stands beside which of the right."""

    lengths: tuple[int, int]
    left: Positions
    right: Positions


class _Pairs:
    """The rows that stand side by side, found once."""

    def __init__(self, joined: Join, left: Pipe, right: Pipe) -> None:
        self._join, self._left, self._right = joined, left, right
        self._found: _Found | None = None

    def found(self) -> _Found:
        """Return them; a live table may have grown since the last time."""
        lengths = len(self._left), len(self._right)
        if self._found is None or self._found.lengths != lengths:
            joined = self._join
            left_once, right_once = _VALIDATE[joined.validate or "many_to_many"]
            left_name, right_name = joined.components
            index = joined.index_of(self._right, joined.right_on, right_name, is_unique=right_once)
            if left_once:
                joined.index_of(self._left, joined.left_on, left_name, is_unique=True)
            keys = self._left.select(*joined.left_on).to_message()
            pairs = joined.found(index, keys if keys.columns else Message({key: [] for key in joined.left_on}))
            self._found = _Found(lengths, *pairs)
        return self._found


def _as_span(positions: Positions) -> Span:
    """Return positions as a range if they are one, which a source may answer with a view."""
    if len(positions) and int(positions[-1] - positions[0]) == len(positions) - 1 and (np.diff(positions) == 1).all():
        return range(int(positions[0]), int(positions[-1]) + 1)
    return positions


class _Paired(Base):
    """The rows of both components before their row stages."""

    def __init__(self, pairs: _Pairs, left: Flow, right: Flow) -> None:
        self._pairs, self._left, self._right = pairs, left, right

    @property
    def row_bytes(self) -> int:
        return self._left.base.row_bytes + self._right.base.row_bytes

    def num_items(self) -> int:
        return len(self._pairs.found().left)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self._left.rows_at(self._pairs.found().left[as_positions(span)], epoch)

    def num_source_rows(self) -> int | None:
        return self._left.base.num_source_rows()

    def no_rows(self) -> Message:
        nothing = np.empty(0, dtype=np.int64)
        return _travelling(Chunk(self._left.no_rows(), nothing), Chunk(self._right.no_rows(), nothing), nothing).message

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        pairs = self._pairs.found()
        for group in groups(span, read_rows(self.row_bytes)):
            here: Any = slice(group.start, group.stop) if isinstance(group, range) else as_positions(group)
            left = join(list(self._left.pieces(_as_span(pairs.left[here]), run)))
            wanted, place = np.unique(pairs.right[here], return_inverse=True)
            if len(wanted) and wanted[0] < 0:
                wanted, place = wanted[1:], place - 1
            read = list(self._right.pieces(_as_span(wanted), run)) if len(wanted) else []
            right = join(read) if read else Chunk(Message(), np.empty(0, dtype=np.int64))
            yield _travelling(left, right, place.astype(np.int64))

    def open(self, run: Run) -> Cursor:  # noqa: ARG002
        raise NoRandomAccessError("Join: it has random access.")


def _travelling(left: Chunk, right: Chunk, place: Positions) -> Chunk:
    """Return rows of both sides as one message: the left's columns, marked, and for the right where its row is."""
    stored: dict[str, Any] = {f"0/{name}": column for name, column in left.message._columns.items()}
    stored[COLUMN] = Assorted([(1, right)], np.zeros(len(place), dtype=np.int64), place)
    return Chunk(Message._of(stored, len(place)), left.rows)


class _JoinRows(RowStage):
    """Runs the row stages of both sides on their rows, then puts them side by side."""

    def __init__(self, joined: Join, left: Flow, right: Flow) -> None:
        super().__init__(None)
        self._join, self._left, self._right = joined, left, right
        self.on_grid = any(stage.on_grid for flow in (left, right) for stage in flow.stages)  # type: ignore[misc]
        self._nothing: Message | None = None

    def describe(self) -> str:
        return self._join.describe()

    def transform(self, rows: Message) -> Message:
        return self.process(numbered(rows), Run(0), 0).message

    def process(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        column = chunk.message.raw(COLUMN)
        assert isinstance(column, Assorted)  # noqa: S101 (nothing else gives this column)
        left = self._left.run_stages(Chunk(unmarked(0, chunk.message), chunk.rows), run, block)
        right, place = self._partners(column, run, block)
        try:
            return Chunk(self._join.put_together(left.message, right, place), left.rows)
        except Exception as error:
            note_place(error, self._join, left, run, block)
            raise

    def _partners(self, column: Assorted, run: Run, block: int) -> tuple[Message, Positions]:
        """Return each row of the right that is needed here, once, and the place of each row's partner among them."""
        is_there = column.place >= 0
        if not is_there.any():
            if self._nothing is None:
                self._nothing = self._right.no_rows()
            return self._nothing, np.full(len(column), -1)
        part, at = column.part[is_there], column.place[is_there]
        size = int(at.max()) + 1
        wanted, slot = np.unique(part * size + at, return_inverse=True)
        ((_, _, rows),) = Assorted(column.parts, wanted // size, wanted % size).by_component()
        place = np.full(len(column), -1)
        place[is_there] = slot.reshape(-1)
        return self._right.run_stages(rows, run, block).message, place


class _RightKeys:
    """The index of the right's keys: of each epoch where they differ, else found once."""

    def __init__(self, joined: Join, right: Pipe) -> None:
        self._join, self._right = joined, right
        self._varies = right.order_varies or right.values_vary
        self._found: tuple[int, int, KeyIndex] | None = None

    def index(self, epoch: int) -> KeyIndex:
        """Return the index for an epoch."""
        asked = epoch if self._varies else 0, len(self._right)
        if self._found is None or self._found[:2] != asked:
            name = list(self._join.components)[1]
            is_unique = _VALIDATE[self._join.validate or "many_to_many"][1]
            right = self._right.at_epoch(epoch)
            self._found = *asked, self._join.index_of(right, self._join.right_on, name, is_unique=is_unique)
        return self._found[2]


class _JoinedStream(Base):
    """The rows of a stream, each with its partners."""

    is_indexable = False

    def __init__(self, joined: Join, left: Flow, right: Flow, keys: _RightKeys) -> None:
        self._join, self._left, self._right, self._keys = joined, left, right, keys

    @property
    def row_bytes(self) -> int:
        return self._left.base.row_bytes + self._right.base.row_bytes

    def num_items(self) -> int:
        raise UnknownLengthError(
            "Join: a component is a stream or differs by epoch, so the number of rows is not known before the end. "
            "Join first, then shuffle."
        )

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError("Join is a stream here.")

    def open(self, run: Run) -> Cursor:
        size = block_rows(self.row_bytes)
        return BlockCursor(self._left.open(run), size, lambda chunk, block: self._with_partners(chunk, run, block))

    def _with_partners(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        try:
            left, right = self._join.found(self._keys.index(run.epoch), chunk.message.select(*self._join.left_on))
            wanted, place = np.unique(right, return_inverse=True)
            if len(wanted) and wanted[0] < 0:
                wanted, place = wanted[1:], place - 1
            read = list(self._right.pieces(_as_span(wanted), run)) if len(wanted) else []
            partners = join(read).message if read else self._right.no_rows()
            rows = chunk.take(left)
            return Chunk(self._join.put_together(rows.message, partners, place.astype(np.int64)), rows.rows)
        except Exception as error:
            note_place(error, self._join, chunk, run, block)
            raise
