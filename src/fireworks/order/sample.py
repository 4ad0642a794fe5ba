"""Items drawn at random, anew each epoch."""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias, final

import numpy as np

from fireworks._internal.checks import check_count
from fireworks._internal.seeds import check_seed
from fireworks.core.chunk import Span
from fireworks.core.needs import chunk_bytes
from fireworks.core.pipe import Pipe
from fireworks.core.stages import OrderStage, stage_name
from fireworks.errors import ColumnLengthError, ColumnTypeError, ColumnValueError
from fireworks.message.columns import Positions, as_column
from fireworks.message.conversion.convert import as_tensor
from fireworks.message.conversion.exact import numpy_of
from fireworks.message.sample import _log, _smallest, _with_replacement
from fireworks.order.column import require_rows, weights
from fireworks.order.keys import Keys, keys, permutation
from fireworks.order.orders import Orders
from fireworks.order.scatter import PlaceScatter

_POSITION_BYTES = 64  # of each position, while they are drawn and sorted by place

_Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Drawn(OrderStage):
    """Items at positions that a subclass draws by `drawn`, anew each epoch.

    Args:
        input: Rows or batches with random access.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage that keys its draws, in place of the kind and a number.

    Raises:
        ValueError: there is no seed.
        NoRandomAccessError: the input is a stream.
    """

    of_its_role: ClassVar[frozenset[str]] = frozenset({"drawn"})
    random_kind: ClassVar[str | None] = "drawn"
    scatters: bool = True

    def __init__(self, input: Pipe, seed: int, name: str | None) -> None:
        kind = str(self.random_kind)
        self.seed = check_seed(seed, where=kind)
        super().__init__(input)
        self.stage = stage_name(self.upstream, kind, name)
        self._named = "" if name is None else f", name={name!r}"
        self._orders = Orders(self.drawn)

    def drawn(self, epoch: int, num_items: int) -> Positions:
        """Return which of ``num_items`` items are drawn in one epoch, in order."""
        raise NotImplementedError

    @property
    def order_varies(self) -> bool:
        return True

    def scatter(self, num_items: int, epoch: int) -> PlaceScatter:
        """Return the draw as places, which nobody keeps: rows in files are read for the whole epoch at once."""
        return PlaceScatter(self.drawn(epoch, num_items))

    def least_bytes(self) -> int:
        """Return the bytes of a pile as for a shuffle, and of the positions; 0 where the rows are in memory."""
        if not self.upstream.flow.base.reads_in_order:
            return 0
        return 4 * chunk_bytes(self.upstream) + _POSITION_BYTES * len(self)

    def locate(self, span: Span, num_items: int, epoch: int) -> Span:
        order = self._orders.of(epoch, num_items)
        if not isinstance(span, range):
            return order[span]
        if span.start <= len(order) // 2 < span.stop:  # a pass is half through: the next one will be next
            self._orders.expect(epoch + 1, num_items)
        return order[span.start : span.stop]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_orders"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._orders = Orders(self.drawn)


def require_same_rows(input: Pipe, what: str, *, who: str) -> None:
    """Raise a ValueError where what was found out of an input does not hold in every epoch."""
    if input.order_varies:
        raise ValueError(
            f"{who}: the order of its input changes with every epoch ({input!r}), and {what} would be of other rows. "
            f"Put {who} first."
        )


@final
class Sample(Drawn):
    """Draw items at random, in random order, other ones each epoch; ``.at_epoch(0)`` behind it keeps to one draw.

    It is what `Message.sample` is to a message, with the same definition of who is drawn, and keyed by the seed, the stage
    and the epoch: without replacement each item has a key, and those with the smallest keys come, in the order of the keys; with
    weights the key is an exponential one. With replacement each draw is a word of its own.

    Args:
        input: Rows or batches with random access.
        n: How many items, at least 1.
        frac: How many, as a fraction of the items; rounded as Python rounds.
        replace: Whether an item may be drawn more than once.
        weights: To which chances are proportional: the name of a column, passed over once, or one number per item. None: all alike.
        seed: From 0 to 2**64 - 1.
        name: A name for the stage, in place of ``sample:0``, that keys its draws.

    Raises:
        ValueError: there is no seed; not just one of ``n`` and ``frac``, or it makes no sense; without replacement, there
            are more items to draw than items, or than items of a weight above zero; with weights, the input's rows, order or
            values change by epoch.
        ColumnValueError: a weight is negative, infinite or missing, or all are zero.
        ColumnLengthError: there are more or fewer weights than items.
        NoRandomAccessError: the input is a stream.

    Source:
        without replacement: algorithm A of P. Efraimidis and P. Spirakis, "Weighted random sampling with a reservoir",
        Information Processing Letters 97 (2006), with the exponential of its keys left out. The words are those of `keys`.

    Example:
        >>> data = fw.source({"x": torch.arange(6), "w": [0.0, 0.0, 1.0, 1.0, 1.0, 9.0]})
        >>> Sample(data, 3, seed=0).to_message()["x"].tolist()
        [1, 4, 0]
        >>> Sample(data, frac=2.0, replace=True, weights="w", seed=0).to_message()["x"].tolist()
        [5, 3, 5, 5, 3, 5, 5, 4, 5, 5, 5, 5]
    """

    random_kind: ClassVar[str | None] = "sample"

    def __init__(
        self,
        input: Pipe,
        n: int | None = None,
        *,
        frac: float | None = None,
        replace: bool = False,
        weights: Any = None,
        seed: int,
        name: str | None = None,
    ) -> None:
        self.n, self.frac = _checked_size(n, frac)
        if not isinstance(replace, bool):
            raise TypeError(f"sample: replace is True or False; got {replace!r:.60} of type {type(replace).__name__}.")
        self.replace = replace
        super().__init__(input, seed, name)
        self.weights: str | _Floats | None = None
        if weights is not None:
            require_same_rows(self.upstream, "its weights", who="sample")
            is_column = isinstance(weights, str)
            self.weights = (
                require_rows(self.upstream, "weights", weights, who="sample") if is_column else _as_floats(weights)
            )
        self._chances: tuple[int, _Floats] | None = None  # of how many items
        count = len(self.upstream)
        self._require_enough(count, self.num_items_out(count))

    @property
    def guarantee(self) -> str:
        if self.replace:
            alike = "all items alike" if self.weights is None else "all items in proportion to the weights"
            return f"draws are independent, each of {alike}"
        if self.weights is None:
            return "each sequence of so many items is equally likely"
        return "one item after the other, each of those that are left in proportion to the weights"

    def describe(self) -> str:
        size = f"{self.n}" if self.frac is None else f"frac={self.frac:g}"
        facts = ", replace=True" if self.replace else ""
        if self.weights is not None:
            given = repr(self.weights) if isinstance(self.weights, str) else f"<{len(self.weights)} numbers>"
            facts += f", weights={given}"
        return f"Sample({size}{facts}, seed={self.seed}{self._named})"

    def num_items_out(self, num_items: int) -> int:
        return round(self.frac * num_items) if self.frac is not None else int(self.n or 0)

    def drawn(self, epoch: int, num_items: int) -> Positions:
        count = self.num_items_out(num_items)
        self._require_enough(num_items, count)
        chances = self._chances_of(num_items)
        if self.replace:
            words = keys(self.seed, self.stage, epoch, 0, count)
            return _with_replacement(words, num_items, None) if chances is None else _by_weight(words, chances)
        words = keys(self.seed, self.stage, epoch, 0, num_items)
        if chances is None:
            return _smallest(words, count)
        candidates = np.flatnonzero(chances)
        exponential = -_log((words[candidates] >> np.uint64(11)).astype(np.float64) + 1, -53) / chances[candidates]
        return candidates[_smallest(exponential, count)]

    def _require_enough(self, num_items: int, count: int) -> None:
        chances = self._chances_of(num_items)
        candidates = num_items if chances is None else int(np.count_nonzero(chances))
        if not count and num_items:
            raise ValueError(f"sample: frac={self.frac:g} of {num_items} items is none; take more.")
        if count > candidates and not (self.replace and candidates):
            of_weight = "" if chances is None else " of a weight above zero"
            remedy = "take fewer, or pass replace=True" if candidates else "there is nothing to draw from"
            raise ValueError(f"sample: {count} items can't be drawn from {candidates}{of_weight}; {remedy}.")

    def _chances_of(self, num_items: int) -> _Floats | None:
        """Return the weights, the largest being 1."""
        if self.weights is None:
            return None
        if self._chances is None or self._chances[0] != num_items:
            found, where = self.weights, "weights"
            if isinstance(found, str):
                found, where = weights(self.upstream, found, num_items, who="sample"), f"column {found!r}"
            self._chances = num_items, _chances(found, num_items, where)
        return self._chances[1]

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_chances": None}


def _by_weight(words: Keys, chances: _Floats) -> Positions:
    """Return what `_with_replacement` does, sooner: draws that are looked up in order find their places close together."""
    bounds = np.cumsum(chances)
    order = permutation(words)
    points = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 * bounds[-1]
    drawn = np.empty(len(words), dtype=np.int64)
    drawn[order] = np.searchsorted(bounds, points[order], side="right")
    return drawn


def _checked_size(n: object, frac: object) -> tuple[int | None, float | None]:
    if (n is None) == (frac is None):
        raise ValueError(
            f"sample: n or frac says how many items; pass one of them; got n={n!r:.60} and frac={frac!r:.60}."
        )
    if frac is None:
        return check_count(n, at_least=1, where="sample: n"), None
    if isinstance(frac, bool) or not isinstance(frac, (int, float, np.number)) or not 0 < frac < math.inf:
        raise ValueError(f"sample: frac must be a number above 0; got {frac!r:.60}.")
    return None, float(frac)


def _as_floats(given: Any) -> _Floats:
    tensor = as_tensor("weights", as_column("weights", given), where="sample")
    if tensor.dim() > 1 or tensor.is_complex():
        raise ColumnTypeError(
            f"sample: weights hold {tensor.dtype} in rows of shape {tuple(tensor.shape[1:])}; a weight is one real number "
            "per item."
        )
    return numpy_of(tensor).astype(np.float64)


def _chances(found: _Floats, num_items: int, where: str) -> _Floats:
    if len(found) != num_items:
        raise ColumnLengthError(f"sample: there are {len(found)} weights for {num_items} items.")
    wrong = np.flatnonzero(~((found >= 0) & (found < math.inf)))
    if len(wrong):
        raise ColumnValueError(
            f"sample: {where}, row {wrong[0]} of the input: a weight is a number of at least 0; got {found[wrong[0]]}."
        )
    if len(found) and not found.any():
        raise ColumnValueError(f"sample: {where}: all weights are zero, so nothing can be drawn.")
    return found / float(found.max()) if len(found) else found
