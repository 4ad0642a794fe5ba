"""A view of an input: indexable, iterable, callable; what it lacks it looks up along its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from fireworks._internal.lazy import load
from fireworks.core.chunk import Chunk, Span, join
from fireworks.core.failures import fold, place_of, replay
from fireworks.core.fluent import Fluent
from fireworks.core.outputs import add_output, outputs_of
from fireworks.core.recursion import MISSING, chain, look_upstream
from fireworks.core.run import Run
from fireworks.core.site import user_line
from fireworks.message import Message, Schema, concat
from fireworks.message.index import Rows, as_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from fireworks.core.flow import Flow
    from fireworks.core.iterable_dataset import PipeIterableDataset
    from fireworks.core.iterator import PipeIterator
    from fireworks.core.map_dataset import PipeDataset
    from fireworks.core.stages import RowStage
    from fireworks.parallel.stats import Stats

# What is worked out from the plan and can be worked out again; it neither travels nor is compared.
_DERIVED = ("_runnable", "flow", "_outputs", "_run")


class Pipe(Fluent, ABC):
    """A view of an input. Items are rows; behind ``batch`` they are batches.

    A pipe is a plan: it holds no position and never changes while it runs. Each ``iter(pipe)`` starts the next epoch
    (0, 1, 2, …) and returns an independent iterator with a state of its own; ``pipe[…]`` is always epoch 0.
    Any public method or attribute that the pipe lacks is looked up along its inputs; see `recursive`.

    Args:
        input: What the pipe reads from; None for a source or a junction.

    Shapes:
        row pipe: ``pipe[3]`` is a message of one row; ``pipe[2:9]``, ``pipe[[5, 1]]`` are messages. Batched pipe:
        ``pipe[3]`` is a batch; ``pipe[2:9]`` is a list of batches.

    Raises:
        TypeError: ``input`` is no pipe; the error names `source`.

    Example:
        >>> pipe = fw.source({"x": torch.arange(5)}).shuffle(seed=0).batch(2)
        >>> len(pipe), pipe.num_rows, [len(batch) for batch in pipe]
        (3, 5, [2, 2, 1])
    """

    of_its_role: ClassVar[frozenset[str]] = frozenset()
    """Names by which a pipe does its own part and no other's; a pipe downstream does not find them."""
    input: Pipe | None
    _run: Run | None  # the latest pass
    random_kind: ClassVar[str | None] = None
    """The kind of a stage that draws, ``shuffle``; with the count of that kind upstream it names the stage in a seed."""

    def __init__(self, input: Pipe | None = None) -> None:
        if input is not None and not isinstance(input, Pipe):
            raise TypeError(
                f"{type(self).__name__}: input must be a pipe; got {type(input).__name__}. Wrap it: fw.source(…)."
            )
        # object.__setattr__: a model is an nn.Module too, and its input must not become its submodule.
        object.__setattr__(self, "input", input)
        object.__setattr__(self, "built_at", user_line())
        object.__setattr__(self, "_epochs_begun", 0)
        object.__setattr__(self, "_run", None)
        if input is not None:
            add_output(input, self)

    @property
    def upstream(self) -> Pipe:
        """The input of a pipe that has one."""
        if self.input is None:
            raise TypeError(f"{type(self).__name__} has no input; pass it a pipe, such as fw.source(…).")
        return self.input

    @property
    def outputs(self) -> list[Pipe]:
        """The pipes that were built on this one, and junctions that use it, as far as they are still there.

        They are noted without being kept alive; a copy, pickled or not, begins with none.

        Example:
            >>> rows = fw.source({"x": torch.arange(4)})
            >>> batches, odd = rows.batch(2), rows.filter("x", "in", [1, 3])
            >>> [output.describe() for output in rows.outputs]
            ['Batch(2)', 'Filter(x in [1, 3])']
        """
        return outputs_of(self)

    # --- what a kind of pipe says of itself -----------------------------------------------------------------------

    @abstractmethod
    def make_flow(self) -> Flow:
        """Return what this pipe runs; made from the input's flow, once."""

    @cached_property
    def flow(self) -> Flow:
        """What this pipe runs."""
        return self.make_flow()

    @property
    def runnable(self) -> Flow:
        """What a pass runs: the flow, optimised to read less; it gives the same. See `explain`."""
        return cast("Flow", load("plan.optimise.runnable")(self))

    @property
    def order_varies(self) -> bool:
        """Whether rows, or their order, differ from epoch to epoch."""
        return self.input is not None and self.input.order_varies

    @property
    def values_vary(self) -> bool:
        """Whether the values of a row differ from epoch to epoch."""
        return self.input is not None and self.input.values_vary

    @property
    def known_columns(self) -> list[str] | None:
        """The names of the columns, where they are known without running anything; else None."""
        return None if self.input is None else self.input.known_columns

    @property
    def guarantee(self) -> str | None:
        """What this stage promises of the order of its items, where it draws one; shown by `explain` and `audit`."""
        return None

    @property
    def computes(self) -> bool:
        """Whether it runs a function on rows, which an error may come from, rather than say where rows stand."""
        return False

    def least_bytes(self) -> int:
        """Return the least memory in which this stage can do its part, 0 where it needs none of its own."""
        return 0

    def named_inputs(self) -> Mapping[str, Pipe]:
        """Return the inputs by name where there are several; see `Junction`."""
        return {}

    @property
    def schema(self) -> Schema:
        """The columns of what comes out here, with their types; functions on the way run on the first rows of epoch 0.

        Example:
            >>> print(fw.source({"x": [1, 2], "t": ["a", "b"]}).tensors("x").select("x").schema)
            x: int64 tensor
        """
        flow = self.flow
        if flow.is_indexable:
            return flow.no_rows().schema
        first = flow.open(Run(0)).read(1)
        return (flow.no_rows() if first is None else first.message).schema

    def describe(self) -> str:
        """Return this stage as text, without its input: ``Shuffle(seed=0)``."""
        return f"{type(self).__name__}()"

    def planned_rows(self) -> tuple[int, int] | None:
        """Return the rows in and out of this stage in every pass, where they were found before the first; else None."""
        return None

    def call(self, message: Message) -> Message:
        """Apply this stage alone to a message; stages of order, batching and repeating let it pass."""
        return message

    # --- as a sequence --------------------------------------------------------------------------------------------

    @property
    def is_batched(self) -> bool:
        """Whether the items are batches rather than rows."""
        return self.flow.is_batched

    @property
    def is_indexable(self) -> bool:
        """Whether any item can be asked for; if not, the pipe is a stream."""
        return self.flow.is_indexable

    @property
    def num_rows(self) -> int:
        """The number of rows of epoch 0, whether they come singly or in batches.

        Raises:
            UnknownLengthError: nobody knows before the end.
        """
        return self.runnable.num_rows_of(range(len(self)), epoch=0)

    def __len__(self) -> int:
        try:
            return self.runnable.num_items()
        except Exception as error:
            fold(error)
            raise

    def __bool__(self) -> bool:
        return True  # a pipe is never "empty" in a condition; its length may cost a whole pass

    def __getitem__(self, key: Rows) -> Any:
        return self.get(key, epoch=0)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Return many items of epoch 0 at once, as ``torch.utils.data.DataLoader`` asks a dataset for a batch."""
        return self.get(list(indices), epoch=0)

    def get(self, key: Rows, epoch: int) -> Any:
        """Return the items at ``key`` in one epoch; ``pipe[key]`` is ``pipe.get(key, epoch=0)``.

        Raises:
            NoRandomAccessError: the pipe is a stream.
            RowIndexError: an item past the end.
            TypeError: the key is a text; a pipe has no columns to take, a message has.
        """
        if isinstance(key, str):
            raise TypeError(
                f"{type(self).__name__}: a pipe is indexed by items, not by columns. Write pipe.select({key!r}) for a "
                f"pipe of that column, or pipe.to_message()[{key!r}] for its values."
            )
        self.flow.require_random_access(type(self).__name__ + "[…]", self)
        item = "batch" if self.is_batched else "row"
        rows = as_rows(key, len(self), where=type(self).__name__, item=item)
        span: Span
        if isinstance(rows, slice):
            span = range(rows.start, rows.stop)
            span = span if rows.step == 1 else np.arange(rows.start, rows.stop, rows.step, dtype=np.int64)
        else:
            span = rows
            if len(span) == 1:
                span = range(int(span[0]), int(span[0]) + 1)
        run = Run(epoch, how="get")
        try:
            chunks = list(self.runnable.pieces(span, run))
        except Exception as error:
            fold(error)
            raise
        if run.book.set_aside:
            self.note_pass(run)
        run.book.report()
        if not self.is_batched:
            return self._rows_of(chunks)
        batches = [chunk.message for chunk in chunks]
        return batches[0] if _is_single(key) else batches

    def _rows_of(self, chunks: list[Chunk]) -> Message:
        return join(chunks).message if chunks else self.runnable.no_rows()

    # --- as an iterable -------------------------------------------------------------------------------------------

    def __iter__(self) -> PipeIterator:
        from fireworks.core.iterator import PipeIterator

        iterator = PipeIterator(self, self._epochs_begun)
        self.next_epoch_is(self._epochs_begun + 1)  # not before: what can't begin is no epoch
        return iterator

    def next_epoch_is(self, epoch: int) -> None:
        """Set which epoch the next ``iter`` starts."""
        object.__setattr__(self, "_epochs_begun", epoch)

    def note_pass(self, run: Run) -> None:
        """Remember the latest pass, here and in every pipe upstream that it goes through, for `stats` and `quarantined`."""
        from fireworks.core.model import upstream_pipes

        light = Run(run.epoch, run.book, run.budget)  # without the memory for gathered rows
        for pipe in upstream_pipes(self):
            object.__setattr__(pipe, "_run", light)

    # --- as a function --------------------------------------------------------------------------------------------

    def __call__(self, message: Message) -> Message:
        """Apply every row stage and model from the source to here to a message; seeded maps use epoch 0."""
        if not isinstance(message, Message):
            message = Message(message)
        try:
            for stage in reversed(list(chain(self))):
                message = stage.call(message)
        except Exception as error:
            fold(error)
            raise
        return message

    # --- as data --------------------------------------------------------------------------------------------------

    def head(self, num_items: int = 5) -> Any:
        """Return the first items of epoch 0: a message of rows, or a list of batches.

        Example:
            >>> fw.source({"x": torch.arange(9)}).head(2)["x"].tolist()
            [0, 1]
        """
        taken = self.at_epoch(0).take(num_items)
        return list(taken) if self.is_batched else taken.to_message()

    def to_message(self) -> Message:
        """Return all rows of epoch 0 as one message; batches are joined."""
        run = Run(0)
        self.note_pass(run)
        cursor = self.runnable.open(run)
        messages = []
        try:
            while (chunk := cursor.read(2**62)) is not None:
                messages.append(chunk.message)
        except Exception as error:
            fold(error)
            raise
        run.book.ended_ns = perf_counter_ns()
        run.book.inside_ns = run.book.ended_ns - run.book.began_ns
        run.book.report()
        full = [message for message in messages if len(message)]
        return concat(full) if full else self.runnable.no_rows()

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows of epoch 0 as a DataFrame; see `Message.to_pandas`.

        Example:
            >>> fw.source({"x": torch.arange(3)}).filter("x", ">", 0).to_pandas()["x"].tolist()
            [1, 2]
        """
        return self.to_message().to_pandas()

    def to_arrow(self) -> pa.Table:
        """Return all rows of epoch 0 as an Arrow table; see `Message.to_arrow`.

        Example:
            >>> fw.source({"x": [1, 2]}).to_arrow().num_rows
            2
        """
        return self.to_message().to_arrow()

    def as_dataset(self) -> PipeDataset:
        """Return the pipe as a map-style dataset of PyTorch with an epoch to set; see `PipeDataset`."""
        return cast("PipeDataset", load("core.map_dataset.PipeDataset")(self))

    def as_iterable_dataset(self) -> PipeIterableDataset:
        """Return the pipe as an iterable dataset of PyTorch, shared among workers; see `PipeIterableDataset`."""
        return cast("PipeIterableDataset", load("core.iterable_dataset.PipeIterableDataset")(self))

    # --- what a pass did ------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return what the latest pass over this pipe did, stage by stage, and what holds it up.

        A pass that is under way may be asked too, from its loop; its iterator has the method as well.

        Raises:
            ValueError: there was no pass yet.

        Example:
            >>> pipe = fw.source({"x": torch.arange(6)}).map(lambda rows: rows.assign(y=rows["x"] * 2)).batch(2)
            >>> batches = list(pipe)
            >>> [(stage.name, stage.rows_out) for stage in pipe.stats().stages]
            [('Memory(6 rows: x)', 6), ('Map(<lambda>)', 6)]
        """
        if self._run is None:
            raise ValueError(f"stats: there was no pass over {self!r} yet; iterate it first.")
        return cast("Stats", load("parallel.stats.stats_of")(self, self._run.book))

    # --- when a row is bad ----------------------------------------------------------------------------------------

    def quarantined(self, stage: str | None = None) -> Message:
        """Return the rows that the latest pass set aside, as they came to the stage that could not work on them.

        Columns ``row`` (its number in the source), ``stage``, ``built_at`` and ``reason`` stand behind the row's own. Rows
        are set aside by stages with ``on_error="quarantine"``; those of a pass that is under way are here already.

        Args:
            stage: A part of a stage's text, ``"Map(parse"``, where several set rows aside; None for all.

        Raises:
            SchemaMismatchError: several stages set rows aside that have different columns; name one.

        Example:
            >>> import warnings
            >>> def parse(rows): return rows.assign(n=[int(text) for text in rows["text"]])
            >>> pipe = fw.source({"text": ["1", "two", "3"]}).map(parse, on_error="quarantine")
            >>> with warnings.catch_warnings(action="ignore"):
            ...     pipe.to_message()["n"].tolist()
            [1, 3]
            >>> pipe.quarantined()[["row", "text", "reason"]].to_dict("records")[0]["row"]
            1
        """
        return Message() if self._run is None else self._run.book.quarantined(stage)

    def replay(self, error: BaseException, *, debugger: Callable[[Any], Any] | None = None) -> Message:
        """Run the rows at which a stage of this pipe failed again, with nothing else, and stop where it fails.

        The rows travel on the error as they came to the stage, so nothing upstream is computed anew. Those that fail
        alone are found by halving; if none does, all rows of the block are run.

        Args:
            error: What a pass over this pipe raised.
            debugger: Called with the traceback, the user's frames alone; Python's own, ``pdb.post_mortem``, if not given.

        Returns:
            What the stage now makes of the rows, where it fails no more.

        Raises:
            ValueError: the error was raised by no stage of this pipe.

        Example:
            >>> def parse(rows): return rows.assign(n=[int(text) for text in rows["text"]])
            >>> pipe = fw.source({"text": ["1", "two", "3"]}).map(parse)
            >>> try: pipe.to_message()
            ... except ValueError as error: found = error
            >>> try: pipe.replay(found, debugger=lambda traceback: print("stopped in", traceback.tb_frame.f_code.co_name))
            ... except ValueError as error: print(error)
            stopped in parse
            invalid literal for int() with base 10: 'two'
        """
        from fireworks.core.model import upstream_pipes

        place = place_of(error)
        if place is not None:
            alike = [stage for stage in upstream_pipes(self) if stage.describe() == place.stage]
            # Built anew in a notebook, the stage may stand in another line.
            alike.sort(key=lambda stage: stage.built_at != place.built_at)
            if alike and alike[0].computes:
                return replay(cast("RowStage", alike[0]), place, debugger)
            if alike:
                raise ValueError(
                    f"replay: {place.stage} is a junction, which runs no function of its own; its error says which "
                    "component differs."
                )
        where = (
            "it comes from no pipeline" if place is None else f"it comes from {place.stage}, built at {place.built_at}"
        )
        raise ValueError(f"replay: no stage of this pipe raised {type(error).__name__}: {where}.")

    # --- recursion ------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "input" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # Python asks here too when a property of ours has raised AttributeError; own_attribute lets that error through.
        own = self.own_attribute(name)
        return look_upstream(self, name) if own is MISSING else own

    def own_attribute(self, name: str) -> Any:
        """Return an attribute that this pipe itself has, or ``MISSING``; nothing upstream is asked.

        An AttributeError from inside a property is a real one, and comes through unchanged.
        """
        if name in self.__dict__ or hasattr(type(self), name):
            return object.__getattribute__(self, name)
        return MISSING

    def identity(self) -> list[str]:
        """Return what a state has to fit: the stages, and the data of all sources upstream, as text."""
        from fireworks.core.model import upstream_pipes
        from fireworks.core.source import Source

        sources = [pipe for pipe in upstream_pipes(self) if isinstance(pipe, Source)]
        marks = [(source.describe(), source.signature()) for source in sources]
        return self.stages() + [f"data of {text}: {mark}" for text, mark in marks if mark is not None]

    def stages(self) -> list[str]:
        """Return what stands from the source to here, as text, one entry per stage."""
        return [pipe.describe() for pipe in reversed(list(chain(self)))]

    def __repr__(self) -> str:
        return " → ".join(self.stages())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _DERIVED} | {"_run": None}


def _is_single(key: object) -> bool:
    return not isinstance(key, (slice, list, tuple, range)) and getattr(key, "ndim", 0) == 0
