"""How the tests of piles write and read them: what they should hold is computed by `Message.take` alone."""

import itertools

import numpy as np

import fireworks as fw
from fireworks.core.buffers import Buffers
from fireworks.spill.piles import PileWriter

KEY = {"key": np.dtype(np.uint64)}


def written(message, piles, folder, *, num_piles, chunks=1, write_bytes=2**20, no_rows=None):
    """Write a message in some chunks; return the piles, and the keys that went with the rows."""
    keys = np.random.default_rng(len(message)).integers(0, 2**63, len(message)).astype(np.uint64)
    writer = PileWriter(
        message[:0] if no_rows is None else no_rows, num_piles, folder, extras=KEY, write_bytes=write_bytes
    )
    bounds = np.linspace(0, len(message), chunks + 1).astype(int)
    for start, stop in itertools.pairwise(bounds):
        part = message if chunks == 1 else message[start:stop]
        writer.write(part, piles[start:stop], {"key": keys[start:stop]})
    return writer.finish(), keys


def there_and_back(message, folder, *, num_piles=3, **options):
    """Check that every pile has its rows, in the order of writing and in another one; return what pile 0 gave."""
    piles = np.random.default_rng(1).integers(0, num_piles, len(message)).astype(np.uint8)
    found, keys = written(message, piles, folder, num_piles=num_piles, **options)
    with found:
        for number in range(num_piles):
            rows = np.flatnonzero(piles == number)
            same(*found.read(number), message.take(rows), keys[rows])
            by_key = np.argsort(keys[rows])
            same(*found.read(number, order_by_key), message.take(rows[by_key]), keys[rows][by_key])
        assert found.counts.tolist() == np.bincount(piles, minlength=num_piles).tolist()
        moved_on(found, message, piles, keys, folder)
        return found.read(0)[0]


def moved_on(found, message, piles, keys, folder):
    """Check that the rows of piles come to others as they are, whatever part of them is moved at a time."""
    rows = np.concatenate([np.flatnonzero(piles == number) for number in range(len(found.counts))])
    others = keys[rows] % 2  # any two piles
    for max_bytes in (1, 10**9):
        writer = None
        for number in range(len(found.counts)):
            for stored, extras in found.stored(number, max_bytes, Buffers()):
                writer = writer or PileWriter(stored, 2, folder, extras=KEY, write_bytes=3000)
                writer.move(stored, (extras["key"] % 2).astype(np.uint8), extras)
        if writer is not None:
            with writer.finish() as moved:
                for number in range(2):
                    here = rows[others == number]
                    same(*moved.read(number), message.take(here), keys[here])


def order_by_key(extras):
    return np.argsort(extras["key"])


def same(message, extras, expected, keys):
    assert message == expected
    assert message.schema == expected.schema
    assert extras["key"].tolist() == keys.tolist()


def table(rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    return fw.Message(
        {
            "n": rng.integers(0, 100, rows),
            "few": [f"kind {i}" for i in rng.integers(0, 5, rows)],
            "many": [f"text {i}" for i in rng.integers(0, 10**9, rows)],
        }
    )
