"""Hit rates against bounds: what an independent simulation in plain Python finds, one request at a time."""

import heapq

import numpy as np
import pytest
import torch

import fireworks as fw

NEVER = 1 << 60
TOLERANCE = 0.01


def best_rate(requests, capacity, warm_up):
    """The hit rate of Belady's rule with the choice not to keep a row, after a warm-up: no policy does better."""
    following, last = [NEVER] * len(requests), {}
    for time in range(len(requests) - 1, -1, -1):
        following[time] = last.get(requests[time], NEVER)
        last[requests[time]] = time
    held, heap, hits = {}, [], 0
    for time, row in enumerate(requests):
        hits += row in held and time >= warm_up
        if row in held or len(held) < capacity:
            held[row] = following[time]
        else:
            while held.get(heap[0][1]) != -heap[0][0]:
                heapq.heappop(heap)
            if -heap[0][0] <= following[time]:
                continue
            del held[heapq.heappop(heap)[1]]
            held[row] = following[time]
        heapq.heappush(heap, (-following[time], row))
    return hits / (len(requests) - warm_up)


def rate_of(cache, batches, warm_up):
    """The rate of a cache that is asked for batches of rows and given what it lacks, after a warm-up in batches."""
    for number, rows in enumerate(batches):
        if number == warm_up:
            before = cache.stats
        held, _ = cache.look_up(rows)
        missing = np.unique(rows[~held])
        cache[missing] = fw.Message({"n": torch.from_numpy(missing)})
    after = cache.stats
    return (after.hits - before.hits) / (after.hits + after.misses - before.hits - before.misses)


def epochs(num_rows, count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(num_rows) for _ in range(count)]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_one_pass_per_epoch(share):
    """(i): pin and Belady reach the share of the rows that is held; LRU gets c + (1 - c) ln(1 - c)."""
    num_rows, batch = 4000, 20
    orders = epochs(num_rows, 4)
    batches = [order[at : at + batch] for order in orders for at in range(0, num_rows, batch)]
    capacity = int(share * num_rows)
    bound = best_rate(np.concatenate(orders).tolist(), capacity, num_rows)
    assert bound == pytest.approx(share, abs=0.02)
    for policy, expected in (
        ("pin", share),
        ("belady", share),
        ("lru", share + (1 - share) * np.log(1 - share)),
    ):
        cache = fw.MessageCache(capacity, policy=policy)
        cache.expect(orders[0], orders[1])
        found = []
        for number, order in enumerate(orders):
            if number:
                cache.expect(order, orders[number + 1] if number + 1 < len(orders) else None)
            cuts = [order[at : at + batch] for at in range(0, num_rows, batch)]
            found.append(rate_of(cache, cuts, 0))
        assert np.mean(found[1:3]) == pytest.approx(expected, abs=TOLERANCE), policy
    assert len(batches) == 4 * num_rows // batch


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_blocks(share):
    """(ii): a source that is read by blocks of 100 rows, asked row by row; held by whole blocks, as the bound has it."""
    num_blocks, in_block = 100, 40
    orders = [order // in_block for order in epochs(num_blocks * in_block, 2)]
    capacity = int(share * num_blocks)
    bound = best_rate(np.concatenate(orders).tolist(), capacity, len(orders[0]))
    assert bound == pytest.approx({0.1: 0.375, 0.25: 0.589, 0.5: 0.797}[share], abs=0.02)
    cache = fw.MessageCache(capacity, policy="belady")
    requests = np.concatenate(orders)
    cache.expect(requests)
    rate = rate_of(cache, [requests[at : at + 1] for at in range(len(requests))], len(orders[0]))
    assert rate == pytest.approx(bound, abs=TOLERANCE)


def test_rows_of_blocks_are_held_singly_which_beats_whole_blocks():
    """(ii) as the pipe does it: of the blocks that are read, the rows stay that are wanted next."""
    num_rows, in_block, share = 20_000, 100, 0.1
    orders = epochs(num_rows, 2)
    cache = fw.MessageCache(int(share * num_rows), policy="belady")
    blocks_read = 0
    for number, order in enumerate(orders):
        cache.expect(order, orders[number + 1] if number + 1 < len(orders) else None)
        for at in range(0, num_rows, 20):
            held, _ = cache.look_up(order[at : at + 20])
            blocks = np.unique(order[at : at + 20][~held] // in_block)
            blocks_read += len(blocks) * (number == 0)
            rows = (blocks[:, None] * in_block + np.arange(in_block)).reshape(-1)
            cache.add(rows, fw.Message({"n": torch.from_numpy(rows)}))
    assert 1 - blocks_read / num_rows >= 0.375 - TOLERANCE


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_weighted_sampling_with_replacement(share):
    """(iii): a tenth of the rows with twenty times the weight."""
    num_rows, count, batch = 5000, 20_000, 10
    weights = np.where(np.arange(num_rows) < num_rows // 10, 20.0, 1.0)
    rng = np.random.default_rng(1)
    requests = rng.choice(num_rows, count, p=weights / weights.sum())
    capacity = int(share * num_rows)
    bound = best_rate(requests.tolist(), capacity, count // 2)
    cache = fw.MessageCache(capacity, policy="belady")
    cache.expect(requests)
    rate = rate_of(cache, requests.reshape(-1, batch), count // batch // 2)
    assert bound - TOLERANCE <= rate <= bound + 2 * TOLERANCE  # rows of one batch are in hand together
    heaviest = np.arange(capacity)
    pinned = fw.MessageCache(capacity)
    pinned[heaviest] = fw.Message({"n": torch.from_numpy(heaviest)})
    by_weight = np.isin(requests[count // 2 :], heaviest).mean()
    assert rate_of(pinned, requests.reshape(-1, batch), count // batch // 2) == pytest.approx(by_weight, abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_four_consumers_in_lock_step(share):
    """(iv): four orders over one cache."""
    num_rows, batch = 3000, 10
    orders = [epochs(num_rows, 3, seed) for seed in range(4)]
    capacity = int(share * num_rows)
    steps = [
        orders[who][epoch][at : at + batch]
        for epoch in range(2)
        for at in range(0, num_rows, batch)
        for who in range(4)
    ]
    bound = best_rate(np.concatenate(steps).tolist(), capacity, 4 * num_rows)
    assert bound == pytest.approx({0.1: 0.361, 0.5: 0.769}[share], abs=0.02)
    cache = fw.MessageCache(capacity, policy="belady")
    found = []
    for epoch in range(2):
        for who in range(4):
            cache.expect(orders[who][epoch], orders[who][epoch + 1], consumer=who)
        half = len(steps) // 2
        found.append(rate_of(cache, steps[epoch * half : (epoch + 1) * half], 0))
    assert found[1] >= bound - TOLERANCE
