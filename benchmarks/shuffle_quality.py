"""How well shuffles mix rows that come sorted by label: ours, and what other libraries do, simulated row number by row number.

The data is sorted by 10 labels and lies in shards of equal size, as files do. The order of each way is made by NumPy, put on a
pipeline as a stage of its own and measured by `pipe.audit`, which is also what measures ours. The effective batch is how many
rows drawn at random tell as much of the labels as a batch does.

    python benchmarks/shuffle_quality.py [--rows 200000] [--batch 256] [--shards 200] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch

import fireworks as fw

CLASSES = 10
OURS = "fireworks: exact shuffle"
OPEN_SHARDS = 10
Make = Callable[[int, int, np.random.Generator], np.ndarray]


class Ordered(fw.OrderStage):
    """Hands out the items of its input in an order that is given.

    Args:
        input: Rows or batches.
        order: From the number of items to their positions, in the order in which they come.
    """

    def __init__(self, input: fw.Pipe, order: Callable[[int], np.ndarray]) -> None:
        super().__init__(input)
        self._make = order

    def num_items_out(self, num_items: int) -> int:
        return len(self._order(num_items))

    def locate(self, span, num_items: int, epoch: int):  # noqa: ARG002
        order = self._order(num_items)
        return order[span.start : span.stop] if isinstance(span, range) else order[span]

    def _order(self, num_items: int) -> np.ndarray:
        if getattr(self, "_known", None) is None or self._known[0] != num_items:
            self._known = num_items, np.asarray(self._make(num_items), dtype=np.int64)
        return self._known[1]


# --- ways to shuffle: from the number of rows and shards to an order ------------------------------------------------------


def none(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    return np.arange(rows)


def buffer(size: int, stream: Make = none) -> Make:
    """A buffer that is filled first; then each row that is handed out, at random, makes room for the next of the stream."""

    def order(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:
        coming = stream(rows, shards, random).tolist()
        held, rest = coming[:size], coming[size:]
        found = []
        for slot, row in zip(random.integers(len(held), size=len(rest)).tolist(), rest, strict=True):
            found.append(held[slot])
            held[slot] = row
        random.shuffle(held)
        return np.array(found + held)

    return order


def shard_order(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:
    """Shards in random order, each read from its first row to its last."""
    return np.concatenate(_shards(rows, shards, random))


def in_shard(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:
    """Shards in random order, and the rows of each shuffled among themselves."""
    return np.concatenate([random.permutation(part) for part in _shards(rows, shards, random)])


def interleaved(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:
    """Ten shards open at a time, in random order, a row from each in turn."""
    waiting = [part.tolist() for part in _shards(rows, shards, random)][::-1]
    live: list[Iterator[int]] = []
    found: list[int] = []
    while live or waiting:
        while waiting and len(live) < OPEN_SHARDS:
            live.append(iter(waiting.pop()))
        for shard in list(live):
            row = next(shard, None)
            if row is None:
                live.remove(shard)
            else:
                found.append(row)
    return np.array(found)


def blocks(block_rows: int, share: float = 0.05) -> Make:
    """CorgiPile: a buffer of random blocks, shuffled whole and handed out; then the next ones."""

    def order(rows: int, shards: int, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001
        starts = random.permutation(-(-rows // block_rows)) * block_rows
        at_a_time = max(1, int(rows * share) // block_rows)
        found = []
        for first in range(0, len(starts), at_a_time):
            held = (starts[first : first + at_a_time, None] + np.arange(block_rows)).reshape(-1)
            found.append(random.permutation(held[held < rows]))
        return np.concatenate(found)

    return order


def _shards(rows: int, shards: int, random: np.random.Generator) -> list[np.ndarray]:
    parts = np.array_split(np.arange(rows), shards)
    return [parts[number] for number in random.permutation(shards)]


def ways(rows: int) -> dict[str, Make]:
    small, large = rows // 200, rows // 20
    return {
        "not shuffled": none,
        f"buffer of {small:,}": buffer(small),
        f"buffer of {large:,} (5 %)": buffer(large),
        "shard order + shuffle inside of each": in_shard,
        f"shard order + buffer of {small:,}": buffer(small, shard_order),
        f"shard order + buffer of {large:,}": buffer(large, shard_order),
        f"{OPEN_SHARDS} open shards + buffer of {small:,}": buffer(small, interleaved),
        f"{OPEN_SHARDS} open shards + buffer of {large:,}": buffer(large, interleaved),
        f"blocks of {small:,} rows, 5 % at a time": blocks(small),
        f"blocks of {max(1, small // 10):,} rows, 5 % at a time": blocks(max(1, small // 10)),
        f"blocks of {max(1, small // 100):,} rows, 5 % at a time": blocks(max(1, small // 100)),
    }


def sorted_data(rows: int) -> fw.Pipe:
    return fw.source({"label": torch.arange(rows) * CLASSES // rows})


def pipelines(rows: int, shards: int, seed: int) -> dict[str, fw.Pipe]:
    data = sorted_data(rows)
    found = {OURS: data.shuffle(seed=seed)}
    for number, (name, make) in enumerate(ways(rows).items()):
        random = np.random.default_rng([seed, number])
        found[name] = Ordered(data, lambda count, make=make, random=random: make(count, shards, random))
    return found


def classes_seen(pipe: fw.Pipe) -> float:
    return float(np.mean([len(batch["label"].unique()) for batch in pipe.at_epoch(0)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{arguments.rows:,} rows sorted by {CLASSES} labels, {arguments.shards} shards, batches of {arguments.batch}, one "
        "epoch of each:\n"
    )
    width = max(map(len, pipelines(arguments.rows, arguments.shards, arguments.seed)))
    print(f"{'':<{width}}  effective batch  classes seen  neighbours together  as a uniform order?")
    for name, pipe in pipelines(arguments.rows, arguments.shards, arguments.seed).items():
        batches = pipe.batch(arguments.batch)
        audit = batches.audit(by="label")
        near, size = audit["neighbours together"].observed, audit.effective_batch
        answer = "yes" if audit.is_uniform else "no"
        print(f"{name:<{width}}  {size:>15.1f}  {classes_seen(batches):>12.1f}  {near:>19.1f}  {answer}")
    uniform = pipelines(arguments.rows, arguments.shards, arguments.seed)[OURS].batch(arguments.batch).audit(by="label")
    limits = uniform["effective batch"]
    print(f"\nA uniform order has an effective batch of {limits.low:.0f} to {limits.high:.0f} in 95 % of all epochs.")


if __name__ == "__main__":
    main()
