"""Whether a way of shuffling is exactly uniform: statistical tests to apply to every path that rows take.

Each takes ``make_pipe(num_rows, seed)``, which returns a shuffled pipe of rows over `sorted_rows(num_rows)`: columns ``n``,
the row number, and ``label``, ten classes in order. Limits are such that a right shuffle fails one run in a million.
"""

import itertools

import numpy as np
import scipy.stats
import torch

import fireworks as fw

ALPHA = 1e-6
CLASSES = 10


def sorted_rows(num_rows):
    """Rows as a table of people comes: sorted by label, the worst case for what shuffles a part at a time."""
    return fw.Message({"n": torch.arange(num_rows), "label": torch.arange(num_rows) * CLASSES // max(1, num_rows)})


def values(pipe, epoch):
    """Read column n of one epoch, row by row or batch by batch."""
    return [n for item in pipe.at_epoch(epoch) for n in item["n"].tolist()]


def chi_squared(orders, num_rows):
    """Return Pearson's statistic of orders against the uniform distribution over all of them, and its limit."""
    numbers = {order: n for n, order in enumerate(itertools.permutations(range(num_rows)))}
    counts = np.bincount([numbers[tuple(order)] for order in orders], minlength=len(numbers))
    expected = len(orders) / len(numbers)
    return float(((counts - expected) ** 2 / expected).sum()), scipy.stats.chi2.isf(ALPHA, len(numbers) - 1)


def assert_every_order_is_equally_likely(make_pipe, *, read=values, epochs=3000, seeds=3000, num_rows=5):
    """Count all 120 orders of five rows, over the epochs of one seed and over seeds.

    Args:
        make_pipe: From the number of rows and a seed to a pipe.
        read: From a pipe and an epoch to the values of column n, where they don't come by iteration.
        epochs: How many orders are drawn from one seed; 0 for none.
        seeds: How many are drawn from seeds that follow each other; 0 for none.
        num_rows: Few.
    """
    pipe = make_pipe(num_rows, 0)
    for name, orders in (
        ("epochs", [read(pipe, epoch) for epoch in range(epochs)]),
        ("seeds", [read(make_pipe(num_rows, seed), 0) for seed in range(seeds)]),
    ):
        if orders:
            found, limit = chi_squared(orders, num_rows)
            assert found < limit, f"over {name}: chi-squared {found:.0f}, limit {limit:.0f}"


def assert_sorted_labels_are_mixed(make_pipe, *, num_rows=20_000, batch_rows=100, seeds=3):
    """Audit some epochs of rows that are sorted by label: the effective batch is the batch, and each row comes once.

    Args:
        make_pipe: From the number of rows and a seed to a pipe of rows.
        num_rows: Enough that what is larger than the memory budget is, where one is set.
        batch_rows: Of one batch.
        seeds: How many.
    """
    for seed in range(seeds):
        audit = make_pipe(num_rows, seed).batch(batch_rows).audit(by="label", epoch=seed)
        assert audit.is_uniform, str(audit)
        assert audit.each_row_once, str(audit)
        assert audit.as_planned is not False, str(audit)
        assert audit["effective batch by label"].low <= 1.1 * batch_rows
        assert audit.effective_batch > 0.8 * batch_rows


def assert_p_values_are_uniform(make_pipe, *, num_rows=2000, batch_rows=50, audits=150):
    """Audit many epochs: a measure's p-values are uniform, as those of a right null distribution of a right shuffle are.

    Args:
        make_pipe: From the number of rows and a seed to a pipe of rows.
        num_rows: Some thousand.
        batch_rows: Of one batch.
        audits: How many epochs.
    """
    batches = make_pipe(num_rows, 0).batch(batch_rows)
    found = {}
    for epoch in range(audits):
        for measure in batches.audit(by="label", epoch=epoch).measures:
            found.setdefault(measure.name, []).append(measure.p)
    assert len(found) == 6
    for name, p in found.items():
        assert scipy.stats.kstest(p, "uniform").pvalue > ALPHA, name
