"""Every verb of a pipe, typed and documented where editors and mypy see them.

Each body is one lazy load by name, so that the base of all pipes imports none of the stages built on it. A verb and its
class give the same pipe: ``data.shuffle(seed=0).batch(256)`` is ``Batch(Shuffle(data, seed=0), 256)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fireworks._internal.lazy import load

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow.compute as pc
    import torch

    from fireworks.core.expressions import Expression
    from fireworks.core.pipe import Pipe
    from fireworks.message import Message
    from fireworks.message.index import Rows
    from fireworks.order.audit import OrderAudit
    from fireworks.plan.answer import Answer
    from fireworks.plan.draw import Drawing
    from fireworks.plan.dry_run import Report
    from fireworks.plan.explain import Plan


class Fluent:
    """The verbs of a pipe."""

    def as_written(self) -> Pipe:
        """Return an equal pipe whose passes are not optimised; states fit both. See `fw.optimisation` for all pipes."""
        return cast("Pipe", load("plan.optimise.as_written")(self))

    def at_epoch(self, epoch: int) -> Pipe:
        """Fix the pipe to one epoch, so that all passes over it are equal; see `AtEpoch`."""
        return cast("Pipe", load("core.iterator.AtEpoch")(self, epoch))

    def audit(self, by: str | None = None, *, epoch: int = 0, batch_rows: int | None = None) -> OrderAudit:
        """Measure how well one epoch is mixed, by a column or by the place in the source; see `audit`.

        Args:
            by: A column with one value per row, such as the label.
            epoch: From 0.
            batch_rows: Of a pipe of rows: how many make a batch; 256 if not given.

        Example:
            >>> print(fw.source({"x": torch.arange(50_000)}).shuffle(seed=0).batch(100).audit().verdict)
            mixed as by a uniform order
        """
        return cast("OrderAudit", load("order.audit.audit")(self, by, epoch=epoch, batch_rows=batch_rows))

    def batch(self, num_rows: int, *, drop_last: bool = False) -> Pipe:
        """Group rows into batches; the last may be shorter, and is kept unless ``drop_last``. See `Batch`."""
        return cast("Pipe", load("transforms.batch.Batch")(self, num_rows, drop_last=drop_last))

    def bootstrap(self, seed: int | None = None, *, name: str | None = None) -> Pipe:
        """Draw as many items as there are with replacement, anew each epoch; a seed is needed. See `Bootstrap`."""
        return cast("Pipe", load("order.bootstrap.Bootstrap")(self, seed, name=name))

    def branch(self, count: int, *, max_rows: int = 65_536, timeout_s: float = 60.0) -> tuple[Pipe, ...]:
        """Return several pipes over this one for live consumers; of a stream they share one bounded pass. See `Branch`."""
        return cast(
            "tuple[Pipe, ...]", load("junctions.branch.branch")(self, count, max_rows=max_rows, timeout_s=timeout_s)
        )

    def bucket(
        self,
        by: str | Callable[[Message], Any],
        boundaries: Sequence[float],
        batch_rows: int | Sequence[int],
        *,
        drop_last: bool = False,
    ) -> Pipe:
        """Group rows of similar length into batches; see `Bucket`."""
        return cast("Pipe", load("transforms.bucket.Bucket")(self, by, boundaries, batch_rows, drop_last=drop_last))

    def cache(
        self,
        max_rows: int | None = None,
        max_bytes: int | str | None = None,
        policy: str | None = None,
        *,
        disk_bytes: int | str | None = None,
    ) -> Pipe:
        """Keep rows that were read or computed for the next time, as many as there is room for; see `Cache`."""
        return cast("Pipe", load("cache.cache.Cache")(self, max_rows, max_bytes, policy, disk_bytes=disk_bytes))

    def cast(self, dtypes: Mapping[str, Any] | None = None, /, **more: Any) -> Pipe:
        """Convert columns to other types without loss: ``cast({"my x": torch.float32}, n="int8")``. See `Cast`."""
        return cast("Pipe", load("transforms.cast.Cast")(self, dtypes, **more))

    def concat(self, *others: Pipe) -> Pipe:
        """Hand out all items of this pipe, then those of the others; see `Concat`."""
        return cast("Pipe", load("junctions.concat.Concat")(load("junctions.verbs.named")(self, others, "concat")))

    def cycle(self, *others: Pipe, weights: Sequence[int] | None = None, stop: str = "all") -> Pipe:
        """Take items from this pipe and the others in turn, as many from each as its weight; see `Cycle`."""
        components = load("junctions.verbs.named")(self, others, "cycle")
        return cast("Pipe", load("junctions.cycle.Cycle")(components, weights=weights, stop=stop))

    def draw(self) -> Drawing:
        """Draw the graph from the sources to here; shows in a notebook, and saves as SVG. See `Drawing`."""
        return cast("Drawing", load("plan.draw.draw")(self))

    def drop(self, *columns: str) -> Pipe:
        """Leave the named columns out; see `Drop`."""
        return cast("Pipe", load("transforms.drop.Drop")(self, *columns))

    def dry_run(self, rows: int = 64, *, strict: bool = False, seconds: float = 1.0) -> Report:
        """Send a few rows through every branch and report what a long run would trip over; see `dry_run`.

        Args:
            rows: How many rows are read.
            strict: Raise where an error or a warning is found.
            seconds: Stop checking after so long.
        """
        return cast("Report", load("plan.dry_run.dry_run")(self, rows, strict=strict, seconds=seconds))

    def enumerate(self, column: str = "index", *, start: int = 0) -> Pipe:
        """Add a column with the position of each item, as it is here; see `Enumerate`."""
        return cast("Pipe", load("transforms.enumerate.Enumerate")(self, column, start=start))

    def explain(self, method: str | None = None, *, count: bool = False) -> Plan | Answer:
        """Show what a pass does, before and after optimisation; or which pipe would answer a method call.

        Args:
            method: A name; then the answer says which pipe of the chain has it, and who is asked on the way.
            count: Count rows even where that takes a pass over the data.

        Example:
            >>> print(fw.source({"x": torch.arange(5)}).batch(2).take(1).explain("batch_rows"))
            batch_rows: Batch(2) answers.
            asked: Take(1) - no; Batch(2) - yes
        """
        return cast("Plan | Answer", load("plan.explain.explain")(self, method, count=count))

    def filter(self, predicate: Callable[[Message], Any] | Expression | pc.Expression | str, *comparison: Any) -> Pipe:
        """Keep the rows for which something is true: ``filter("x >= 0 and y is not null")``; see `Filter`.

        A column with an operator will do as well, ``filter("x", ">=", 0)``, or a function, or pyarrow's expression.
        """
        return cast("Pipe", load("transforms.filter.Filter")(self, predicate, *comparison))

    def flatten(self, column: str) -> Pipe:
        """Make one row of each element of a column of lists, the other columns repeated; see `Flatten`."""
        return cast("Pipe", load("transforms.flatten.Flatten")(self, column))

    def gradients(self, *columns: str) -> Pipe:
        """Let autograd follow columns of batches, as leaves; see `Gradients`."""
        return cast("Pipe", load("transforms.gradients.Gradients")(self, *columns))

    def join(
        self,
        other: Pipe,
        on: str | Sequence[str] | Mapping[str, str],
        *,
        how: str = "inner",
        fill: Mapping[str, Any] | None = None,
        validate: str | None = None,
    ) -> Pipe:
        """Put beside each row the rows of the other that have the same key; see `Join`."""
        components = load("junctions.verbs.named")(self, (other,), "join")
        return cast("Pipe", load("junctions.join.Join")(components, on, how=how, fill=fill, validate=validate))

    def kfold(
        self,
        k: int,
        *,
        seed: int | None = None,
        stratify: str | None = None,
        group: str | None = None,
        name: str | None = None,
    ) -> list[tuple[Pipe, Pipe]]:
        """Return k pairs of a training and a validation part; each item is validated once. See `kfold`."""
        return cast(
            "list[tuple[Pipe, Pipe]]",
            load("order.kfold.kfold")(self, k, seed=seed, stratify=stratify, group=group, name=name),
        )

    def label(self, title: str, column: str = "label") -> Pipe:
        """Add a column that holds the same text in every row; see `Label`."""
        return cast("Pipe", load("transforms.label.Label")(self, title, column))

    def label_index(
        self, column: str, classes: Iterable[Any] | None = None, *, fit: Pipe | Message | None = None
    ) -> Pipe:
        """Turn labels into the numbers of their classes, which are given or found in ``fit``; see `LabelIndex`."""
        return cast("Pipe", load("transforms.label_index.LabelIndex")(self, column, classes, fit=fit))

    def map(
        self,
        function: Callable[..., Message],
        *,
        seed: int | None = None,
        name: str | None = None,
        on_error: str = "raise",
        workers: int = 0,
        backend: str = "thread",
        retries: int = 0,
    ) -> Pipe:
        """Run a function over rows, or over batches behind ``batch``; with a seed it gets a generator. See `Map`."""
        options = {"on_error": on_error, "workers": workers, "backend": backend, "retries": retries}
        return cast("Pipe", load("transforms.map.Map")(self, function, seed=seed, name=name, **options))

    def map_rows(
        self,
        function: Callable[..., Any],
        *,
        seed: int | None = None,
        name: str | None = None,
        on_error: str = "raise",
        workers: int = 0,
        backend: str = "thread",
        retries: int = 0,
    ) -> Pipe:
        """Run a function over rows, one dict at a time: the slow way. See `MapRows`."""
        return cast(
            "Pipe",
            load("transforms.map_rows.MapRows")(
                self,
                function,
                seed=seed,
                name=name,
                on_error=on_error,
                workers=workers,
                backend=backend,
                retries=retries,
            ),
        )

    def mix(
        self,
        *others: Pipe,
        seed: int | None = None,
        weights: Sequence[float] | None = None,
        stop: str = "all",
        name: str | None = None,
    ) -> Pipe:
        """Draw each item from this pipe or one of the others at random, by weights; a seed is needed. See `Mix`."""
        components = load("junctions.verbs.named")(self, others, "mix")
        mixed = load("junctions.mix.Mix")(components, seed=seed, weights=weights, stop=stop, name=name)
        return cast("Pipe", mixed)

    def one_hot(self, column: str, classes: Iterable[Any] | int, *, dtype: torch.dtype | None = None) -> Pipe:
        """Turn labels into rows of zeros with a one at their class; see `OneHot`."""
        return cast("Pipe", load("transforms.one_hot.OneHot")(self, column, classes, dtype=dtype))

    def oversample(self, column: str, seed: int | None = None, *, name: str | None = None) -> Pipe:
        """Repeat rows of rare classes until all are equally large; a seed is needed. See `Oversample`."""
        return cast("Pipe", load("order.oversample.Oversample")(self, column, seed, name=name))

    def pad(
        self,
        *columns: str,
        value: float = 0,
        length: int | None = None,
        mask: str | None = None,
        lengths: str | None = None,
        side: str = "right",
        truncate: bool = False,
        dtype: torch.dtype | None = None,
    ) -> Pipe:
        """Turn columns of lists into tensors, short rows filled up; see `Pad`."""
        return cast(
            "Pipe",
            load("transforms.pad.Pad")(
                self,
                *columns,
                value=value,
                length=length,
                mask=mask,
                lengths=lengths,
                side=side,
                truncate=truncate,
                dtype=dtype,
            ),
        )

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return ``function(pipe, *args, **kwargs)``, so that stages of other people chain as the verbs do.

        Raises:
            TypeError: the function can't be called, or returns nothing.

        Example:
            >>> class Reverse(fw.OrderStage):
            ...     def num_items_out(self, num_items): return num_items
            ...     def locate(self, span, num_items, epoch): return num_items - 1 - np.asarray(span)
            >>> fw.source({"x": torch.arange(4)}).pipe(Reverse).batch(3)[0]["x"].tolist()
            [3, 2, 1]
        """
        return load("transforms.chained.chained")(self, function, *args, **kwargs)

    def prefetch(self, num_items: int) -> Pipe:
        """Make items ahead of their consumer, in a thread; see `Prefetch`."""
        return cast("Pipe", load("parallel.prefetch.Prefetch")(self, num_items))

    def progress(self, title: str = "") -> Pipe:
        """Show a bar while a pass runs, if it takes long and there is a terminal; see `Progress`."""
        return cast("Pipe", load("parallel.progress.Progress")(self, title))

    def rebatch(self, num_rows: int, *, drop_last: bool = False) -> Pipe:
        """Group the rows of batches into batches of another size; see `Rebatch`."""
        return cast("Pipe", load("transforms.rebatch.Rebatch")(self, num_rows, drop_last=drop_last))

    def rename(self, names: Mapping[str, str] | None = None, /, **renamed: str) -> Pipe:
        """Give columns other names: ``rename({"my x": "x"}, y="z")``. See `Rename`."""
        return cast("Pipe", load("transforms.rename.Rename")(self, names, **renamed))

    def repeat(self, times: int) -> Pipe:
        """Run several epochs as one; see `Repeat`."""
        return cast("Pipe", load("transforms.repeat.Repeat")(self, times))

    def rows_of(self, epoch: int, batch: Rows) -> Any:
        """Return which rows of the source are in a batch of an epoch, or in several, without reading any; see `rows_of`."""
        return load("order.provenance.rows_of")(self, epoch, batch)

    def sample(
        self,
        n: int | None = None,
        *,
        frac: float | None = None,
        replace: bool = False,
        weights: Any = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Pipe:
        """Draw items at random, in random order, other ones each epoch; a seed is needed. See `Sample`."""
        return cast(
            "Pipe",
            load("order.sample.Sample")(self, n, frac=frac, replace=replace, weights=weights, seed=seed, name=name),
        )

    def select(self, *columns: str) -> Pipe:
        """Keep the named columns; see `Select`."""
        return cast("Pipe", load("transforms.select.Select")(self, *columns))

    def shard(self, rank: int | None = None, world: int | None = None) -> Pipe:
        """Keep one rank's part of each batch; the batches are the same for any number of ranks. See `Shard`."""
        return cast("Pipe", load("order.shard.Shard")(self, rank, world))

    def shuffle(self, seed: int | None = None, *, name: str | None = None) -> Pipe:
        """Put items in an exactly uniform random order, another one each epoch; a seed is needed. See `Shuffle`."""
        return cast("Pipe", load("order.shuffle.Shuffle")(self, seed, name=name))

    def skip(self, num_items: int) -> Pipe:
        """Leave the first items out; see `Skip`."""
        return cast("Pipe", load("transforms.skip.Skip")(self, num_items))

    def slice(self, start: int | None, stop: int | None, step: int = 1) -> Pipe:
        """Keep the items at the positions of a Python slice; see `Slice`."""
        return cast("Pipe", load("transforms.slice.Slice")(self, start, stop, step))

    def split(
        self,
        *sizes: float,
        seed: int | None = None,
        stratify: str | None = None,
        group: str | None = None,
        name: str | None = None,
    ) -> tuple[Pipe, ...]:
        """Split items at random into disjoint parts by fractions that sum to 1, or by counts; a seed is needed. See `split`."""
        return cast(
            "tuple[Pipe, ...]",
            load("order.split.split")(self, *sizes, seed=seed, stratify=stratify, group=group, name=name),
        )

    def split_by_hash(self, column: str, *fractions: float, seed: int | None = None) -> tuple[Pipe, ...]:
        """Split rows by the hash of a key, so that a row stays in its part whatever comes; see `split_by_hash`."""
        return cast("tuple[Pipe, ...]", load("order.by_hash.split_by_hash")(self, column, *fractions, seed=seed))

    def split_by_time(self, column: str, *fractions: float, at: Any = None, gap: Any = None) -> tuple[Pipe, ...]:
        """Split rows into parts that follow each other in time; see `split_by_time`."""
        return cast("tuple[Pipe, ...]", load("order.by_time.split_by_time")(self, column, *fractions, at=at, gap=gap))

    def take(self, num_items: int) -> Pipe:
        """Keep the first items; see `Take`."""
        return cast("Pipe", load("transforms.take.Take")(self, num_items))

    def tap(self, function: Callable[[Message], Any]) -> Pipe:
        """Show the rows to a function as they pass; see `Tap`."""
        return cast("Pipe", load("transforms.tap.Tap")(self, function))

    def tensors(
        self,
        *columns: str,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        non_blocking: bool = False,
    ) -> Pipe:
        """Turn columns into tensors, floating ones to ``dtype`` or torch's default dtype; see `Tensors`."""
        return cast(
            "Pipe",
            load("transforms.tensors.Tensors")(self, *columns, dtype=dtype, device=device, non_blocking=non_blocking),
        )

    def to_csv(
        self,
        path: str | Path,
        *,
        separator: str | None = None,
        null_value: str = "",
        compression: str | None = None,
        shard_rows: int | None = None,
        shard_bytes: int | str | None = None,
        progress: bool = False,
    ) -> list[Path]:
        """Write all rows of epoch 0 as CSV, in one file or a folder of shards; return their paths. See `to_csv`."""
        return load("formats.csv_sink.to_csv")(  # type: ignore[no-any-return]
            self,
            path,
            separator=separator,
            null_value=null_value,
            compression=compression,
            shard_rows=shard_rows,
            shard_bytes=shard_bytes,
            progress=progress,
        )

    def to_feather(
        self,
        path: str | Path,
        *,
        compression: str | None = "lz4",
        batch_rows: int | None = None,
        shard_rows: int | None = None,
        shard_bytes: int | str | None = None,
        progress: bool = False,
    ) -> list[Path]:
        """Write all rows of epoch 0 as Arrow files, in one or a folder of shards; return their paths. See `to_feather`."""
        return load("formats.arrow_sink.to_feather")(  # type: ignore[no-any-return]
            self,
            path,
            compression=compression,
            batch_rows=batch_rows,
            shard_rows=shard_rows,
            shard_bytes=shard_bytes,
            progress=progress,
        )

    def to_json(
        self,
        path: str | Path,
        *,
        compression: str | None = None,
        shard_rows: int | None = None,
        shard_bytes: int | str | None = None,
        progress: bool = False,
    ) -> list[Path]:
        """Write all rows of epoch 0 as JSON lines, in one file or a folder of shards; return their paths. See `to_json`."""
        return load("formats.json_sink.to_json")(  # type: ignore[no-any-return]
            self, path, compression=compression, shard_rows=shard_rows, shard_bytes=shard_bytes, progress=progress
        )

    def to_parquet(
        self,
        path: str | Path,
        *,
        shard_rows: int | None = None,
        shard_bytes: int | str | None = None,
        progress: bool = False,
        row_group_rows: int | None = None,
        compression: str | None = "snappy",
    ) -> list[Path]:
        """Write all rows of epoch 0 as Parquet, in one file or in shards, a few at a time; see `to_parquet`."""
        return cast(
            "list[Path]",
            load("formats.parquet_sink.to_parquet")(
                self,
                path,
                shard_rows=shard_rows,
                shard_bytes=shard_bytes,
                progress=progress,
                row_group_rows=row_group_rows,
                compression=compression,
            ),
        )

    def unbatch(self) -> Pipe:
        """Turn batches back into rows; see `Unbatch`."""
        return cast("Pipe", load("transforms.unbatch.Unbatch")(self))

    def when(self, row: Rows, epoch: int = 0) -> Message:
        """Return in which batches of an epoch a row of the source stands, or several, without reading any; see `when`."""
        return cast("Message", load("order.provenance.when")(self, row, epoch))

    def window(self, num_rows: int, stride: int = 1) -> Pipe:
        """Turn rows into overlapping windows of consecutive rows; see `Window`."""
        return cast("Pipe", load("transforms.window.Window")(self, num_rows, stride=stride))

    def with_budget(self, limit: int | str) -> Pipe:
        """Limit the bytes that are under way in workers and prefetched items; see `WithBudget`."""
        return cast("Pipe", load("parallel.with_budget.WithBudget")(self, limit))

    def zip(self, *others: Pipe) -> Pipe:
        """Put the columns of the others beside those of this pipe, item by item; see `Zip`."""
        return cast("Pipe", load("junctions.zip.Zip")(load("junctions.verbs.named")(self, others, "zip")))
