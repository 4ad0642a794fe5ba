"""Random messages do what plain pandas does with one column per element.

Each tensor column is replaced by plain columns, one per element of a row, before pandas runs; what the message gives is
taken apart in the same way and compared.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw

NUMBERS = [torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8]
EXACT = [torch.int64, torch.int32, torch.uint8, torch.bool]
NAMES = ["x", "y", "", "a b", "größe", "v[0]", "x_y", "mean", "index", "columns"]
many = settings(deadline=None, max_examples=80)


def tensor(rng, num_rows, dtype, rest):
    values = torch.from_numpy(
        rng.integers(0 if dtype in {torch.uint8, torch.bool} else -3, 4, (num_rows, *rest)).astype(float)
    )
    if dtype.is_floating_point:
        values[torch.from_numpy(rng.random(values.shape) < 0.15)] = float("nan")
    return values.to(dtype)


def some(rng, num_rows, values):
    return [values[i] for i in rng.integers(0, len(values), num_rows)]


ARRAYS = {
    "ints": lambda rng, n: rng.integers(-3, 4, n),
    "floats": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, rng.integers(-3, 4, n)),
    "bools": lambda rng, n: rng.random(n) < 0.5,
    "nullable": lambda rng, n: pd.array(some(rng, n, [1, 2, 3, None]), dtype="Int64"),
    "texts": lambda rng, n: pd.array(some(rng, n, ["a", "b", "größe", None]), dtype="str"),
    "categories": lambda rng, n: pd.Categorical(some(rng, n, ["u", "v", None]), categories=["v", "u"]),
    "dates": lambda rng, n: rng.integers(0, 4, n).astype("M8[D]").astype("M8[s]"),
}
OF_NUMBERS = ["ints", "floats", "nullable"]
KEYS = ["ints", "bools", "texts", "dates"]


@st.composite
def columns(draw, rng, num_rows, *, arrays, dtypes, max_rank):
    if draw(st.booleans()):
        rest = draw(st.lists(st.integers(1, 2), max_size=max_rank - 1))
        return tensor(rng, num_rows, draw(st.sampled_from(dtypes)), rest)
    return ARRAYS[draw(st.sampled_from(arrays))](rng, num_rows)


@st.composite
def tables(
    draw,
    *,
    min_rows=0,
    max_rows=9,
    arrays=tuple(ARRAYS),
    dtypes=(*NUMBERS, torch.bool),
    max_columns=4,
    names=tuple(NAMES),
):
    """A message of one to four columns of numbers and, called ``k``, one to sort, group and join by."""
    num_rows = draw(st.integers(min_rows, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=max_columns, unique=True))
    made = {name: draw(columns(rng, num_rows, arrays=arrays, dtypes=dtypes, max_rank=3)) for name in chosen}
    key = draw(columns(rng, num_rows, arrays=KEYS, dtypes=EXACT, max_rank=2))
    place = draw(st.integers(0, len(made)))
    items = list(made.items())
    return fw.Message(dict([*items[:place], ("k", key), *items[place:]]))


def labels(message, *names):
    """The plain columns that stand for columns of a message."""
    found = []
    for name in names:
        shape = message.schema[name].shape
        found += [f"{name}|{i}" for i in range(int(np.prod(shape)))] if shape else [name]
    return found


def apart(message):
    plain = {}
    for name in message.columns:
        column = message.raw(name)
        if isinstance(column, torch.Tensor) and column.dim() > 1:
            flat = column.flatten(1).numpy()
            plain |= {f"{name}|{i}": flat[:, i] for i in range(flat.shape[1])}
        else:
            plain[name] = column.numpy() if isinstance(column, torch.Tensor) else column
    return pd.DataFrame(plain)


def agree(message, expected, *, exactly=True):
    """Compare with a frame of plain columns, whose index says nothing any more."""
    assert isinstance(message, fw.Message)
    found = apart(message)
    expected = expected.reset_index(drop=True)
    assert list(found) == list(expected)
    assert len(message) == len(expected) or not message.columns
    for name in found:
        got, want = found[name], expected[name]
        if not exactly and pd.api.types.is_numeric_dtype(got.dtype) and pd.api.types.is_numeric_dtype(want.dtype):
            got, want = (side.astype("Float64").to_numpy(float, na_value=np.nan) for side in (got, want))
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        else:
            pd.testing.assert_series_equal(got, want, check_dtype=exactly, check_categorical=exactly)


class TestRowsAndColumns:
    @many
    @given(tables(), st.data())
    def test_select(self, message, data):
        names = data.draw(st.lists(st.sampled_from(message.columns), unique=True, min_size=1))
        agree(message[names], apart(message)[labels(message, *names)])
        agree(message.filter(items=names), apart(message[names]))

    @many
    @given(tables(), st.data())
    def test_filter(self, message, data):
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(message), max_size=len(message))), dtype=bool)
        expected = apart(message)[mask]
        for key in (mask, torch.from_numpy(mask), pd.Series(mask), mask.tolist()):
            agree(message[key], expected)
            agree(message.loc[key], expected)
        agree(message.loc[lambda _: mask], expected)

    @many
    @given(tables(arrays=OF_NUMBERS, names=("x", "y", "z")), st.integers(-3, 3))
    def test_query(self, message, bound):
        plain = apart(message)
        for name in set(message.columns) & set(plain.select_dtypes("number")):
            agree(message.query(f"{name} > @bound"), plain.query(f"{name} > @bound"))

    @many
    @given(tables(), st.integers(-12, 12))
    def test_head_and_tail(self, message, n):
        agree(message.head(n), apart(message).head(n))
        agree(message.tail(n), apart(message).tail(n))

    @many
    @given(tables(), st.data())
    def test_sort_values(self, message, data):
        # a row of several numbers is missing where one of them is, and sorts by the first that differs
        sortable = [
            name
            for name in message.columns
            if not (message.schema[name].shape and message.raw(name).is_floating_point())
        ]
        by = data.draw(st.lists(st.sampled_from(sortable), unique=True, min_size=1, max_size=2))
        ascending = data.draw(st.booleans())
        position = data.draw(st.sampled_from(["first", "last"]))
        plain = apart(message)
        expected = plain.sort_values(labels(message, *by), ascending=ascending, na_position=position, kind="stable")
        agree(message.sort_values(by, ascending=ascending, na_position=position, kind="stable"), expected)

    @many
    @given(tables(), st.data(), st.sampled_from(["first", "last", False]))
    def test_drop_duplicates(self, message, data, keep):
        names = data.draw(st.lists(st.sampled_from(message.columns), unique=True, min_size=1))
        expected = apart(message).drop_duplicates(labels(message, *names), keep=keep)
        agree(message.drop_duplicates(names, keep=keep), expected)

    @many
    @given(tables(), st.data())
    def test_concat(self, message, data):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=3)))
        parts = [message[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        agree(fw.concat(parts), pd.concat([apart(part) for part in parts]))

    @many
    @given(tables(arrays=OF_NUMBERS))
    def test_assign(self, message):
        name = message.columns[0]
        assigned = message.assign(new=message[name], twice=lambda rows: rows["new"])
        plain = apart(message)
        for new in ("new", "twice"):
            for label, made in zip(labels(message, name), labels(assigned, new), strict=True):
                plain[made] = plain[label]
        agree(assigned, plain)


class TestGroups:
    @pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "std", "first", "count"])
    @settings(deadline=None, max_examples=40)
    @given(tables(min_rows=1, arrays=OF_NUMBERS, dtypes=NUMBERS))
    def test_aggregates(self, how, message):
        expected = getattr(apart(message).groupby(labels(message, "k")), how)().reset_index()
        agree(getattr(message.groupby("k"), how)(), expected, exactly=False)
        agree(message.groupby("k").agg(how), expected, exactly=False) if how != "count" else None

    @many
    @given(tables(), st.booleans())
    def test_sizes(self, message, sort):
        expected = apart(message).groupby(labels(message, "k"), sort=sort).size()
        assert message.groupby("k", sort=sort).size().tolist() == expected.tolist()

    @many
    @given(tables(min_rows=1, arrays=OF_NUMBERS, dtypes=NUMBERS), st.data())
    def test_by_an_array_in_any_order(self, message, data):
        by = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(message), max_size=len(message))))
        message = message.drop("k").rename(lambda name: f"_{name}")
        expected = apart(message).groupby(by, sort=False).sum().reset_index()
        agree(message.groupby(by, sort=False).sum(), expected, exactly=False)

    @many
    @given(tables())
    def test_iteration_finds_each_row_once(self, message):
        groups = [rows for _, rows in message.groupby("k", dropna=False)]
        expected = [rows for _, rows in apart(message).groupby(labels(message, "k"), dropna=False)]
        assert len(groups) == len(expected)
        for rows, plain in zip(groups, expected, strict=True):
            agree(rows, plain)

    @many
    @given(tables(min_rows=1, arrays=OF_NUMBERS, dtypes=NUMBERS))
    def test_transform(self, message):
        plain = apart(message)
        expected = plain.groupby(labels(message, "k"), dropna=False).transform("sum")
        agree(message.groupby("k", dropna=False).transform("sum"), expected, exactly=False)

    @many
    @given(tables(arrays=OF_NUMBERS, dtypes=NUMBERS), st.integers(1, 4))
    def test_rolling(self, message, window):
        names = [name for name in message.columns if name != "k"]
        expected = apart(message[names]).rolling(window, min_periods=1).mean()
        agree(message[names].rolling(window, min_periods=1).mean(), expected, exactly=False)


class TestMerge:
    @pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_by_one_column(self, how, data):
        left = data.draw(tables(max_columns=2, names=("x", "y")))
        key = left.raw("k")
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        rows = rng.integers(0, max(1, len(left)), 4 if len(left) else 0)
        right = fw.Message(
            {
                "k": left[rows].raw("k"),
                "z": data.draw(columns(rng, len(rows), arrays=list(ARRAYS), dtypes=NUMBERS, max_rank=3)),
            }
        )
        left = left[data.draw(st.integers(0, 2)) :]
        assert isinstance(key, torch.Tensor) == isinstance(right.raw("k"), torch.Tensor)
        expected = apart(left).merge(apart(right), on=labels(left, "k"), how=how)
        agree(left.merge(right, on="k", how=how), expected, exactly=False)

    @many
    @given(tables(max_columns=2, names=("x", "y")), tables(max_columns=2, names=("z", "u")))
    def test_rows_side_by_side(self, left, right):
        right = right.drop("k")
        agree(left.join(right, how="inner"), apart(left).join(apart(right), how="inner"))
