"""Hit rates of the cache beside the bounds, at the sizes of the specification, and what a look-up costs over a bare gather.

Rates are of the last epoch: (i) one pass per epoch, (ii) whole blocks of 100 rows, (iii) a tenth of the rows drawn with 20
times the weight (four epochs ahead, as the pipe looks where rows repeat), (iv) four orders in lock step. The numbers to reach are those of Belady's rule, or the share that is held.

    python benchmarks/cache.py [--rows 100000] [--batch 64] [--rounds 2000]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterable

import numpy as np
import torch

import fireworks as fw

GOAL_TIMES = 2.0
BOUNDS = {
    "(i) one pass per epoch": {0.1: 0.1, 0.25: 0.25, 0.5: 0.5, 0.75: 0.75, 0.9: 0.9},
    "(ii) blocks of 100 rows": {0.1: 0.375, 0.25: 0.589, 0.5: 0.797},
    "(iii) weights, with replacement": {0.05: 0.565, 0.1: 0.719, 0.5: 0.931},
    "(iv) four orders in lock step": {0.1: 0.361, 0.5: 0.769},
}
Steps = list[np.ndarray]


def rate(cache: fw.MessageCache, steps: Iterable[np.ndarray]) -> float:
    """Ask for rows, put in what is missing, and return how much was found."""
    before = cache.stats
    for rows in steps:
        held, _ = cache.look_up(rows)
        missing = np.unique(rows[~held])
        cache[missing] = fw.Message({"n": torch.from_numpy(missing)})
    after = cache.stats
    hits, misses = after.hits - before.hits, after.misses - before.misses
    return hits / (hits + misses)


def cut(rows: np.ndarray, batch: int) -> Steps:
    return [rows[at : at + batch] for at in range(0, len(rows), batch)]


def one_pass(num_rows: int, share: float, policy: str, batch: int) -> float:
    rng = np.random.default_rng(0)
    orders = [rng.permutation(num_rows) for _ in range(4)]
    cache = fw.MessageCache(int(share * num_rows), policy=policy)
    for order, then in itertools.pairwise(orders):
        cache.expect(order, then)
        found = rate(cache, cut(order, batch))
    return found


def blocks(num_rows: int, share: float) -> float:
    """Row by row, because that is how the bound counts; a hundredth of the rows is enough for it."""
    rng = np.random.default_rng(0)
    num_rows = min(num_rows, 20_000)
    orders = [rng.permutation(num_rows) // 100 for _ in range(3)]
    cache = fw.MessageCache(int(share * num_rows) // 100, policy="belady")
    for order, then in itertools.pairwise(orders):
        cache.expect(order, then)
        found = rate(cache, cut(order, 1))
    return found


def weighted(num_rows: int, share: float, batch: int) -> float:
    rng = np.random.default_rng(0)
    weights = np.where(np.arange(num_rows) < num_rows // 10, 20.0, 1.0)
    draws = [rng.choice(num_rows, num_rows, p=weights / weights.sum()) for _ in range(14)]
    cache = fw.MessageCache(int(share * num_rows), policy="belady")
    found = []
    for epoch in range(10):
        cache.expect(draws[epoch], np.concatenate(draws[epoch + 1 : epoch + 5]))
        found.append(rate(cache, cut(draws[epoch], batch)))
    return float(np.mean(found[5:]))


def lock_step(num_rows: int, share: float, batch: int) -> float:
    rng = np.random.default_rng(0)
    orders = [[rng.permutation(num_rows) for _ in range(3)] for _ in range(4)]
    cache = fw.MessageCache(int(share * num_rows), policy="belady")
    for epoch in range(2):
        for number, of_one in enumerate(orders):
            cache.expect(of_one[epoch], of_one[epoch + 1], consumer=number)
        steps = zip(*(cut(of_one[epoch], batch) for of_one in orders), strict=True)
        found = rate(cache, (rows for step in steps for rows in step))
    return found


def look_up_times(num_rows: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least microseconds of a bare gather of 256 rows of three columns, and of a look-up, by kind of row number."""
    rng = np.random.default_rng(0)
    columns = {"x": torch.rand(num_rows, 8), "y": torch.rand(num_rows), "z": torch.arange(num_rows)}
    found = {}
    for name, highest in (("row numbers 0, 1, 2, …", num_rows), ("row numbers up to 2**60", 2**60)):
        rows = np.arange(num_rows) if highest == num_rows else np.unique(rng.integers(0, highest, num_rows))
        cache = fw.MessageCache(num_rows, policy="pin")
        cache[rows] = fw.Message({key: column[: len(rows)] for key, column in columns.items()})
        bare = ours = float("inf")
        for _ in range(rounds):
            at = rng.integers(0, len(rows), 256)
            index, asked = torch.from_numpy(at), rows[at]
            start = time.perf_counter()
            for column in columns.values():
                column.index_select(0, index)
            between = time.perf_counter()
            cache[asked]
            bare, ours = min(bare, between - start), min(ours, time.perf_counter() - between)
        found[name] = bare * 1e6, ours * 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2000)
    given = parser.parse_args()

    print(f"{'hit rate':<34}{'held':>6}{'bound':>8}{'ours':>8}   policy")
    for name, bounds in BOUNDS.items():
        for share, bound in bounds.items():
            if name.startswith("(i) "):
                for policy in ("pin", "belady"):
                    ours = one_pass(given.rows, share, policy, given.batch)
                    print(f"{name:<34}{share:>6}{bound:>8.3f}{ours:>8.3f}   {policy}", flush=True)
                lru = one_pass(given.rows, share, "lru", given.batch)
                print(
                    f"{name:<34}{share:>6}{share + (1 - share) * np.log(1 - share):>8.3f}{lru:>8.3f}   lru", flush=True
                )
                continue
            if name.startswith("(ii) "):
                ours = blocks(given.rows, share)
            elif name.startswith("(iii) "):
                ours = weighted(given.rows, share, given.batch)
            else:
                ours = lock_step(given.rows, share, given.batch)
            print(f"{name:<34}{share:>6}{bound:>8.3f}{ours:>8.3f}   belady", flush=True)
    print("goal: within 0.01 of the bound\n")

    for name, (bare, ours) in look_up_times(given.rows, given.rounds).items():
        print(f"256 rows, {name}: bare gather {bare:.1f} us, look-up {ours:.1f} us, {ours / bare:.2f}x")
    print(f"goal: at most {GOAL_TIMES:.1f}x")


if __name__ == "__main__":
    main()
