"""Rows beside rows of equal key, as pandas.merge has them, but for null keys."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import (
    ColumnNotFoundError,
    ColumnTypeError,
    ColumnValueError,
    NoRandomAccessError,
    SchemaMismatchError,
    UnknownLengthError,
)
from pipelines import add_noise, counting, is_odd, table, total


def prices():
    """What each n costs; 3 has two prices, 5 has none."""
    n = [3, 0, 1, 3, 2, 4, 6, 7, 8, 20]
    return fw.source({"n": torch.tensor(n), "price": torch.arange(20.0).reshape(10, 2), "name": [f"p{k}" for k in n]})


def discount(rows):
    return rows.assign(price=rows["price"] * 0.5)


def joined(left, right, on="n", **options):
    return fw.Join({"left": left, "right": right}, on, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: joined(table(9), prices()),
        lambda: joined(table(9).map(total), prices().map(discount), how="left", fill={"price": -1.0}),
        lambda: joined(table(9).filter(is_odd), prices().map(add_noise, seed=0)).batch(3),
        lambda: joined(table(9), prices().map(discount)).shuffle(seed=0).map(total).batch(3),
        lambda: joined(counting(9).map(total), prices().map(discount)),
        lambda: joined(table(9).shuffle(seed=0), prices(), how="left", fill={"price": 0.0}).batch(4),
        lambda: joined(table(9), prices().shuffle(seed=0)).map(total),
        lambda: joined(joined(table(9), prices().select("n", "name")), prices().select("n", "price")),
    ],
    ids=["inner", "left", "varying values", "shuffled", "stream", "varying left", "varying right", "twice"],
)
class TestJoin(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


KEYS = {
    "int": st.integers(0, 4),
    "text": st.sampled_from(["a", "b", "c"]),
    "nullable": st.sampled_from([None, 1, 2, 3]),
    "maybe text": st.sampled_from([None, "a", "b"]),
    "float": st.sampled_from([0.5, float("nan"), 2.0]),
}


def key_column(kind, values):
    if kind == "int":
        return torch.tensor(values, dtype=torch.int64)
    if kind == "nullable":
        return pd.array(values, dtype="Int64")
    return pd.array(values, dtype="str") if "text" in kind else np.array(values, dtype="float64")


@st.composite
def two_tables(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3))
    tables = []
    for side in "lr":
        rows = draw(st.lists(st.tuples(*(KEYS[kind] for kind in kinds)), max_size=12))
        columns = {f"k{i}": key_column(kind, [row[i] for row in rows]) for i, kind in enumerate(kinds)}
        columns[f"{side}x"] = torch.arange(2.0 * len(rows)).reshape(len(rows), 2) + (100 if side == "r" else 0)
        columns[f"{side}i"] = np.arange(len(rows))
        tables.append(fw.Message(columns))
    return [f"k{i}" for i in range(len(kinds))], *tables


def by_hand(keys, left, right, how):
    """Pairs of row numbers by two plain loops; None for no partner."""

    def key(message, row):
        values = [message[name].tolist()[row] for name in keys]
        return None if any(value is None or value is pd.NA or value != value for value in values) else tuple(values)

    found = []
    for i in range(len(left)):
        mine = key(left, i)
        partners = [j for j in range(len(right)) if mine is not None and key(right, j) == mine]
        found += [(i, j) for j in partners] or ([(i, None)] if how == "left" else [])
    return found


class TestAsInSql:
    @settings(max_examples=150, deadline=None)
    @given(two_tables(), st.sampled_from(["inner", "left"]))
    def test_pairs_are_those_of_two_plain_loops(self, tables, how):
        keys, left, right = tables
        expected = by_hand(keys, left, right, how)
        fill = {"rx": -1.0, "ri": -1} if how == "left" else None
        for stream in (False, True):
            source = (
                fw.source(left).branch(1)[0] if not stream else fw.source(lambda: iter([left] if len(left) else []))
            )
            rows = joined(source, fw.source(right), keys, how=how, fill=fill).to_message()
            if not expected:
                assert len(rows) == 0
                continue
            assert rows["li"].tolist() == [i for i, _ in expected]
            assert rows["ri"].tolist() == [-1 if j is None else j for _, j in expected]
            partners = [[-1.0, -1.0] if j is None else right["rx"][j].tolist() for _, j in expected]
            assert rows["rx"].tolist() == partners
            assert rows["lx"].tolist() == [left["lx"][i].tolist() for i, _ in expected]
            assert rows.columns == [*keys, "lx", "li", "rx", "ri"]

    @settings(max_examples=60, deadline=None)
    @given(two_tables(), st.sampled_from(["inner", "left"]))
    def test_without_nulls_it_is_what_pandas_merges(self, tables, how):
        keys, left, right = tables
        frames = [message.drop(f"{side}x").to_pandas().dropna() for side, message in (("l", left), ("r", right))]
        for frame in frames:
            for key in keys:
                if isinstance(frame[key].dtype, fw.TensorDtype):
                    frame[key] = np.array(frame[key].tolist(), dtype="int64")
        if not len(frames[0]) or not len(frames[1]):
            return
        expected = frames[0].merge(frames[1], on=keys, how=how)
        rows = joined(
            fw.source(frames[0].reset_index(drop=True)), fw.source(frames[1].reset_index(drop=True)), keys, how=how
        )
        assert rows.to_message()["li"].tolist() == expected["li"].tolist()
        found = rows.to_message()["ri"]
        assert found.isna().tolist() == expected["ri"].isna().tolist()
        assert found.dropna().tolist() == expected["ri"].dropna().tolist()

    def test_columns_of_different_names(self):
        clicks = fw.source({"user": ["a", "b", "a"], "n": [1, 2, 3]})
        users = fw.source({"id": ["b", "a"], "age": [30, 40]})
        both = joined(clicks, users, {"user": "id"})
        assert both.to_message().to_dict() == {"user": ["a", "b", "a"], "n": [1, 2, 3], "age": [40, 30, 40]}
        assert both.known_columns == ["user", "n", "age"]

    def test_the_verb_gives_the_same(self):
        assert list(table(9).join(prices(), on="n")) == list(joined(table(9), prices()))
        assert repr(table(9).join(prices(), on=["n"], how="left", fill={"price": 0})).endswith(
            ", on=['n'], how='left', fill={'price': 0})"
        )

    def test_shuffled_behind_it_is_all_pairs(self):
        whole = joined(table(9), prices()).to_message()
        shuffled = joined(table(9), prices()).shuffle(seed=0).to_message()
        assert sorted(shuffled["price"].tolist()) == sorted(whole["price"].tolist())

    def test_functions_run_behind_orders_and_once_per_row_of_the_right_in_a_block(self):
        seen = []

        def note(rows):
            seen.append(len(rows))
            return rows

        few = fw.source({"k": torch.arange(3), "price": torch.arange(3.0)}).map(note)
        many = fw.source({"k": torch.arange(3000) % 3})
        batches = joined(many, few.map(lambda rows: rows), "k")
        seen.clear()
        assert len(batches.shuffle(seed=0).to_message()) == 3000
        assert set(seen[-3:]) == {3}


class TestLeft:
    def test_types_hold_nulls_whether_one_is_missing_or_not(self):
        right = fw.source({
            "k": [1, 2], "i": np.array([1, 2], dtype="int8"), "u": np.array([1, 2], dtype="uint16"), "b": [True, False],
            "f": [1.5, 2.5], "t": ["x", "y"], "d": pd.to_datetime(["2020-01-01", "2020-01-02"]),
        })  # fmt: skip
        rows = joined(fw.source({"k": [2, 3, 1]}), right, "k", how="left")
        expected = ["int64", "Int8", "UInt16", "boolean", "float64", "str", "datetime64"]
        assert [
            str(field.dtype)[: len(e)] for field, e in zip(rows.to_message().schema, expected, strict=True)
        ] == expected
        assert rows[0].schema == rows[1].schema == rows.to_message().schema
        assert rows.to_message()["i"].isna().tolist() == [False, True, False]
        assert [rows[1][name].isna().tolist() for name in rows[1].columns[1:]] == [[True]] * 6

    def test_fill_keeps_types(self):
        right = fw.source({"k": [1], "i": np.array([1], dtype="int8"), "t": ["x"], "c": pd.Categorical(["u"])})
        rows = joined(
            fw.source({"k": [2, 1]}), right, "k", how="left", fill={"i": -1, "t": "none", "c": "u"}
        ).to_message()
        assert rows.to_dict() == {"k": [2, 1], "i": [-1, 1], "t": ["none", "x"], "c": ["u", "u"]}
        assert str(rows.schema["i"].dtype) == "int8"

    def test_a_tensor_column_without_a_value_is_refused_where_a_row_is_missing(self):
        rows = joined(table(9), prices().select("n", "price"), how="left")
        assert rows[:5]["n"].tolist() == [0, 1, 2, 3, 3]
        with pytest.raises(
            ColumnValueError,
            match=r"join: \{'n': 5\} has no partner, and a tensor column holds no nulls: give 'price' a value to stand for "
            r"it, fill=\{'price': 0\}; or drop such rows, how='inner'\.",
        ):
            rows.to_message()

    @pytest.mark.parametrize(("column", "value"), [("price", "a"), ("name", 7.5), ("price", [1.0, 2.0, 3.0])])
    def test_a_value_that_does_not_fit(self, column, value):
        fill = {"price": 0.0} | {column: value}
        with pytest.raises(ColumnValueError, match=rf"join: fill=\{{'{column}': .*\}} does not fit the column: "):
            joined(table(9), prices(), how="left", fill=fill).to_message()

    def test_a_right_side_without_rows(self):
        right = fw.source({"n": np.arange(0), "price": np.arange(0.0)})
        rows = joined(table(3), right, how="left").to_message()
        assert rows["price"].isna().tolist() == [True] * 3
        assert len(joined(table(3), right).to_message()) == 0


class TestValidate:
    def test_keys_that_repeat(self):
        with pytest.raises(
            ValueError,
            match=r"join: by validate='many_to_one' each key comes once in 'right'; row 3 repeats \{'n': 3\}\.",
        ):
            len(joined(table(9), prices(), validate="many_to_one"))
        with pytest.raises(ValueError, match=r"by validate='one_to_many' each key comes once in 'left'; row 3 repeats"):
            len(joined(prices(), table(9), validate="one_to_many"))
        with pytest.raises(ValueError, match="each key comes once in 'right'; row 3"):
            list(joined(counting(9), prices(), validate="many_to_one"))
        assert len(joined(table(9), prices().skip(1), validate="one_to_one")) == 8

    def test_a_stream_cannot_show_all_its_keys(self):
        with pytest.raises(
            ValueError, match=r"join: validate='one_to_one' needs all keys of 'left' at once; it is a str"
        ):
            joined(counting(9), prices(), validate="one_to_one")


class TestWhatDoesNotFit:
    def test_two_components(self):
        with pytest.raises(
            ValueError, match=r"join: two components are joined at a time; got \['a'\]\. Join the result"
        ):
            fw.Join({"a": table()}, "n")

    def test_batches(self):
        with pytest.raises(TypeError, match=r"join: components must give rows; batched are \['right'\]\. Join first"):
            joined(table(), prices().batch(2))

    def test_keys_are_there(self):
        with pytest.raises(
            ColumnNotFoundError, match=r"join: component 'right': no column 'x'; columns are \['n', 'pr"
        ):
            joined(table(), prices(), "x")
        with pytest.raises(ColumnNotFoundError, match=r"join: fill: no column 'prize'; .*Did you mean 'price'\?"):
            joined(table(), prices(), how="left", fill={"prize": 0})

    @pytest.mark.parametrize("on", [None, [], 3, [1], {"a": 1}])
    def test_on(self, on):
        with pytest.raises(
            TypeError, match="join: on is a column, a list of columns, or a mapping from the left's names"
        ):
            joined(table(), prices(), on)

    def test_arguments(self):
        with pytest.raises(
            ValueError, match=r"join: how is 'inner' or 'left'; got 'right'\. For a right join, exchange"
        ):
            joined(table(), prices(), how="right")
        with pytest.raises(ValueError, match=r"join: validate is one of \['one_to_one', .*; got '1:1'\."):
            joined(table(), prices(), validate="1:1")
        with pytest.raises(ValueError, match=r"join: fill is for what how='left' finds missing"):
            joined(table(), prices(), fill={"price": 0})

    def test_a_stream_on_the_right(self):
        with pytest.raises(NoRandomAccessError, match=r"join: component 'right' must have random access.*or exchange"):
            joined(table(), counting())

    def test_a_stream_has_no_length(self):
        with pytest.raises(
            UnknownLengthError, match=r"Join: a component is a stream or differs by epoch.*Join first, the"
        ):
            len(joined(table().shuffle(seed=0), prices()))

    def test_a_column_of_the_same_name(self):
        with pytest.raises(
            SchemaMismatchError, match=r"Join: column 'x' is in both 'left' and 'right'; select or rename"
        ):
            joined(table(), table())
        late = joined(table(9).map(lambda rows: rows), prices().map(lambda rows: rows.assign(x=rows["price"])))
        with pytest.raises(SchemaMismatchError, match="column 'x' is in both"):
            late.to_message()

    def test_keys_of_different_kinds(self):
        text = fw.source({"n": ["1", "2"], "y": [1, 2]})
        with pytest.raises(
            SchemaMismatchError,
            match=r"join: key 'n' is int64 tensor on the left and str \('n'\) on the right; convert one",
        ):
            len(joined(table(), text))

    def test_a_key_of_several_numbers(self):
        with pytest.raises(ColumnTypeError, match=r"join: key 'x' is float32\[3\] tensor; a key is one value per row"):
            len(joined(table().select("x"), table(), "x"))
