"""Functions and pipelines that many tests share. They pickle, because they live in a module."""

import torch

import fireworks as fw


def table(num_rows=23):
    """A source with a tensor of rank 2, ints, floats and text; `n` is the row number."""
    return fw.source(
        fw.Message(
            {
                "x": torch.arange(num_rows * 3, dtype=torch.float32).reshape(num_rows, 3),
                "n": torch.arange(num_rows),
                "w": [float(i) / 7 for i in range(num_rows)],
                "word": [f"word {i}" for i in range(num_rows)],
            }
        )
    )


def counting(num_rows=23):
    """A stream of the same rows' numbers, from a function that begins anew each time."""
    return fw.source(CountingRows(num_rows))


class CountingRows:
    def __init__(self, num_rows):
        self.num_rows = num_rows

    def __call__(self):
        return ({"n": n, "x": torch.tensor([n, -n])} for n in range(self.num_rows))


def double(rows):
    return rows.assign(n=rows["n"] * 2)


def add_noise(rows, generator):
    return rows.assign(noise=torch.rand(len(rows), generator=generator))


def refuses_three(rows):
    if 3 in rows["n"].tolist():
        raise ZeroDivisionError("row 3 is bad")
    return rows


def is_odd(rows):
    return torch.as_tensor(rows.raw("n")) % 2 == 1


def is_noisy(rows):
    return rows["noise"] > 0.4


def total(rows):
    """A result that depends on the whole block: shows which rows a function was called with."""
    return rows.assign(block=torch.full((len(rows),), int(rows["n"].sum())))


def numbers(pipe):
    """The values of column n, item by item."""
    return [n for item in pipe for n in item["n"].tolist()]
