"""What a Message costs over the bare arrays that it holds, beside torch, pandas and tensordict.

Each figure is the median over rounds, in which all ways take turns, of the time of one call; ratios and differences are of
one run. Goals: build of three tensor columns at most 6 us; a slice at most three bare slices + 3 us; 256 rows at most three
bare gathers + 5 us; concat of 64 messages at most 1.2 x torch.cat per column and 1.2 x tensordict; the ways to Arrow
and pandas and back without a copy, under 1 ms for 1,000,000 rows; group means of [N, 32] at most 3 x index_add_ and quicker than pandas.

    python benchmarks/message_costs.py [--rows 1000000] [--rounds 15]
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from measure import seconds

import fireworks as fw

OURS = "fireworks"
WIDTH = 32
GROUPS = 1000
PARTS = 64
PART_ROWS = 4096

Calls = dict[str, Callable[[], object]]


def build(num_rows: int) -> Calls:
    columns = three_columns(num_rows)
    ways: Calls = {OURS: lambda: fw.Message(columns), "a dict of the three": lambda: dict(columns)}
    if importlib.util.find_spec("tensordict"):
        from tensordict import TensorDict

        ways["tensordict"] = lambda: TensorDict(columns, [num_rows])
    return ways


def three_columns(num_rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(num_rows, WIDTH, generator=generator),
        "label": torch.arange(num_rows),
        "weight": torch.rand(num_rows, generator=generator, dtype=torch.float64),
    }


def row_slice(num_rows: int) -> Calls:
    columns, (start, stop) = three_columns(num_rows), (num_rows // 2, num_rows // 2 + 256)
    message = fw.Message(columns)
    ways: Calls = {
        OURS: lambda: message[start:stop],
        "three bare slices": lambda: {name: column[start:stop] for name, column in columns.items()},
    }
    if importlib.util.find_spec("tensordict"):
        held = message.to_tensordict()
        ways["tensordict"] = lambda: held[start:stop]
    return ways


def gather(num_rows: int) -> Calls:
    columns = three_columns(num_rows)
    message = fw.Message(columns)
    index = torch.randint(num_rows, (256,), generator=torch.Generator().manual_seed(1))
    ways: Calls = {
        OURS: lambda: message[index],
        "three bare gathers": lambda: {name: column.index_select(0, index) for name, column in columns.items()},
    }
    if importlib.util.find_spec("tensordict"):
        held = message.to_tensordict()
        ways["tensordict"] = lambda: held[index]
    return ways


def concat(num_rows: int) -> Calls:
    part_rows = min(PART_ROWS, num_rows)
    parts = [{f"c{i}": torch.full((part_rows,), float(part)) for i in range(10)} for part in range(PARTS)]
    messages = [fw.Message(part) for part in parts]
    ways: Calls = {
        OURS: lambda: fw.concat(messages),
        "torch.cat per column": lambda: {name: torch.cat([part[name] for part in parts]) for name in parts[0]},
    }
    if importlib.util.find_spec("tensordict"):
        held = [message.to_tensordict() for message in messages]
        ways["tensordict"] = lambda: torch.cat(held)
    return ways


def to_arrow(num_rows: int) -> Calls:
    message = numbers(num_rows)
    table = message.to_arrow()
    assert address_of(table["x"]) == message["x"].data_ptr(), "to_arrow copied"
    assert address_of(table["label"]) == message["label"].data_ptr(), "to_arrow copied"
    assert address_of(table["w"]) == message.raw("w").ctypes.data, "to_arrow copied"
    return {OURS: message.to_arrow}


def to_pandas(num_rows: int) -> Calls:
    message = numbers(num_rows)
    frame = message.to_pandas()
    assert frame["x"].array.tensor.data_ptr() == message["x"].data_ptr(), "to_pandas copied"
    assert np.shares_memory(frame["w"].to_numpy(), message.raw("w")), "to_pandas copied"
    return {OURS: lambda: fw.Message(message).to_pandas()}  # a message of its own, or the frame would be there already


def from_pandas(num_rows: int) -> Calls:
    frame = pd.DataFrame({f"c{i}": np.arange(num_rows) * float(i) for i in range(4)})
    message = fw.Message(frame)
    assert all(np.shares_memory(message.raw(name), frame[name].to_numpy()) for name in frame), "from_pandas copied"
    return {OURS: lambda: fw.Message(frame)}


def numbers(num_rows: int) -> fw.Message:
    return fw.Message(three_columns(num_rows) | {"w": np.arange(num_rows) / 3})


def address_of(column: object) -> int:
    chunk = column.chunk(0)  # type: ignore[attr-defined]
    while hasattr(chunk, "storage"):
        chunk = chunk.storage
    while hasattr(chunk, "flatten") and chunk.type.num_fields:
        chunk = chunk.flatten()
    return int(chunk.buffers()[1].address)


def group_means(num_rows: int) -> Calls:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num_rows, WIDTH, generator=generator)
    group = torch.randint(GROUPS, (num_rows,), generator=generator)
    message = fw.Message({"group": group, "x": x})
    frame = pd.DataFrame(x.numpy(), columns=[f"x{i}" for i in range(WIDTH)]).assign(group=group.numpy())

    def by_torch() -> torch.Tensor:
        keys, ids, counts = torch.unique(group, return_inverse=True, return_counts=True)
        return torch.zeros(len(keys), WIDTH).index_add_(0, ids, x) / counts[:, None]

    return {
        OURS: lambda: message.groupby("group").mean(),
        "torch: unique + index_add_": by_torch,
        "pandas, 32 columns": lambda: frame.groupby("group").mean(),
    }


# what is measured, the ways, and the goals: "at most factor * peer + extra microseconds"
SUBJECTS: list[tuple[str, Callable[[int], Calls], list[tuple[str | None, float, float]]]] = [
    ("build, 3 tensor columns", build, [(None, 0, 6)]),
    ("slice of 256 rows", row_slice, [("three bare slices", 1, 3)]),
    ("gather of 256 rows", gather, [("three bare gathers", 1, 5)]),
    (
        f"concat of {PARTS} messages, 10 columns of {PART_ROWS}",
        concat,
        [("torch.cat per column", 1.2, 0), ("tensordict", 1.2, 0)],
    ),
    ("to_arrow, no copy", to_arrow, [(None, 0, 1000)]),
    ("to_pandas, no copy", to_pandas, [(None, 0, 1000)]),
    ("from_pandas, no copy", from_pandas, [(None, 0, 1000)]),
    (
        f"group means of [N, {WIDTH}]",
        group_means,
        [("torch: unique + index_add_", 3, 0), ("pandas, 32 columns", 1, 0)],
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for title, make, goals in SUBJECTS:
        took = seconds(make(options.rows), rounds=options.rounds)
        print(f"\n{title}, {options.rows:,} rows")
        for name, each in sorted(took.items(), key=lambda item: item[1]):
            print(f"  {name:28}  {each * 1e6:12,.1f} us  {took[OURS] / each:6.2f} x")
        for peer, factor, extra in goals:
            if peer is not None and peer not in took:
                print(f"  goal: {peer} is not installed")
                continue
            allowed = extra + (factor * took[peer] * 1e6 if peer else 0)
            text = " + ".join([*([f"{factor:g} x {peer}"] if peer else []), *([f"{extra:g} us"] if extra else [])])
            reached = took[OURS] * 1e6 <= allowed
            print(
                f"  goal at most {text}: {took[OURS] * 1e6:,.1f} of {allowed:,.1f} us, {'reached' if reached else 'NOT reached'}"
            )


if __name__ == "__main__":
    main()
