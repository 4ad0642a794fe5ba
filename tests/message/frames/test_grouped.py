import copy
import inspect

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError

NAN = float("nan")
TIMES = pd.date_range("2020-01-01", periods=6, freq="12h")


@pytest.fixture
def message():
    return fw.Message(
        {
            "g": ["a", "b", "a", "c", "b", "a"],
            "x": torch.tensor([3.0, 1.0, 2.0, NAN, 5.0, 4.0]),
            "v": torch.arange(12.0).reshape(6, 2),
            "w": torch.arange(24).reshape(6, 2, 2),
            "n": np.array([4, 2, 3, 1, 6, 5]),
            "t": TIMES,
        }
    )


ROWS = {"a": [0, 2, 5], "b": [1, 4], "c": [3]}


class TestGroups:
    def test_results_are_messages_with_the_key_first(self, message):
        for how in ("mean", "sum", "min", "max", "first", "last", "std", "median"):
            found = getattr(message.groupby("g"), how)(
                **({} if how in {"first", "last", "min", "max"} else {"numeric_only": True})
            )
            assert isinstance(found, fw.Message)
            assert found.columns[:5] == ["g", "x", "v", "w", "n"]
            assert found["g"].tolist() == ["a", "b", "c"]
            for row, rows in enumerate(ROWS.values()):
                values = message["v"][rows].numpy()
                expected = (
                    values[0 if how == "first" else -1]
                    if how in {"first", "last"}
                    else getattr(pd.DataFrame(values), how)()
                )
                np.testing.assert_allclose(found["v"][row], expected)

    def test_a_mean_of_tensors_of_every_rank(self, message):
        means = message.groupby("g")[["x", "v", "w"]].mean()
        assert means["x"].tolist()[:2] == [3.0, 3.0]
        for row, rows in enumerate(ROWS.values()):
            assert torch.equal(means["v"][row], message["v"][rows].mean(0))
            assert torch.equal(means["w"][row], message["w"][rows].double().mean(0))

    def test_no_tensor_is_copied_on_the_way_to_pandas(self, message):
        groups = message.groupby("g")
        array = groups._pandas.obj["v"].array
        assert array.tensor.data_ptr() == message["v"].data_ptr()

    def test_counts_go_element_by_element_and_sizes_by_row(self):
        message = fw.Message({"g": [1, 1, 2], "v": torch.tensor([[1.0, NAN], [2.0, 3.0], [NAN, NAN]])})
        assert message.groupby("g").count()["v"].tolist() == [[2, 1], [0, 0]]
        assert message.groupby("g").size().to_dict() == {1: 2, 2: 1}
        assert message.groupby("g", as_index=False).size().to_dict() == {"g": [1, 2], "size": [2, 1]}

    @pytest.mark.parametrize(
        "how",
        [
            "quantile",
            "skew",
            "kurt",
            "idxmax",
            "diff",
            "rank",
            "pct_change",
            "ffill",
            "bfill",
            "cumsum",
            "shift",
            "sem",
            "corr",
        ],
    )
    def test_each_element_is_computed_by_itself(self, message, how):
        found = getattr(message.drop("t", "x").groupby("g"), how)()
        flat = pd.DataFrame(message["v"].numpy())
        expected = getattr(flat.groupby(np.array(message["g"])), how)()
        if how == "corr":
            rows = np.isin(found["index"].to_numpy(), ["v[0]", "v[1]"])
            np.testing.assert_allclose(found["v"].numpy()[rows], expected.to_numpy())
        else:
            np.testing.assert_allclose(found["v"].numpy(), expected.to_numpy())
        assert ("g" in found) == (len(found) != 6)

    def test_keys_by_several_columns(self, message):
        sums = message.groupby(["g", "n"]).sum(numeric_only=True)
        assert sums.columns == ["g", "n", "x", "v", "w"]
        assert len(sums) == 6
        kept = message.groupby(["g", "n"], as_index=False)[["v"]].sum()
        assert kept.columns == ["g", "n", "v"]

    def test_keys_that_are_tensors_stay_tensors(self):
        message = fw.Message(
            {"k": torch.tensor([1, 0, 1]), "r": torch.tensor([[1, 2], [1, 1], [1, 2]]), "n": [1, 2, 3]}
        )
        by_number, by_row = message.groupby("k")[["n"]].sum(), message.groupby("r")[["n"]].sum()
        assert (by_number["k"].tolist(), by_number["n"].tolist()) == ([0, 1], [2, 4])
        assert (by_row["r"].tolist(), by_row["n"].tolist()) == ([[1, 1], [1, 2]], [2, 4])

    @pytest.mark.parametrize(
        "by",
        [
            np.array([0, 1, 0, 1, 0, 1]),
            torch.tensor([0, 1, 0, 1, 0, 1]),
            pd.Series([0, 1, 0, 1, 0, 1]),
            lambda row: row % 2,
            {0: 0, 1: 1, 2: 0, 3: 1, 4: 0, 5: 1},
            [lambda row: row % 2],
        ],
    )
    def test_keys_without_a_name_are_called_index(self, message, by):
        sums = message.groupby(by)[["n", "v"]].sum()
        assert sums.columns == ["index", "n", "v"]
        assert (sums["index"].tolist(), sums["n"].tolist()) == ([0, 1], [13, 8])

    def test_a_key_whose_name_is_taken_is_not_lost(self, message):
        counts = message.groupby("g").agg({"g": "count", "n": "sum"})
        assert counts.to_dict() == {"g_index": ["a", "b", "c"], "g": [3, 2, 1], "n": [12, 8, 1]}
        index = message.assign(index=[0] * 6).groupby(lambda row: row % 2)[["index"]].sum()
        assert index.columns == ["index_index", "index"]

    def test_keys_with_a_name_of_their_own(self, message):
        assert message.groupby(message["n"].rename("m") > 3)[["v"]].sum().columns == ["m", "v"]
        monthly = message.groupby(pd.Grouper(key="t", freq="1D"))[["v"]].sum()
        assert monthly.columns == ["t", "v"]
        assert monthly["v"].tolist() == [[2.0, 4.0], [10.0, 12.0], [18.0, 20.0]]

    def test_a_categorical_key_keeps_its_categories(self, message):
        kinds = message.assign(g=pd.Categorical(message["g"], categories=["c", "a", "b", "z"]))
        sums = kinds.groupby("g", observed=False)[["n"]].sum()
        assert sums["g"].tolist() == ["c", "a", "b", "z"]
        assert sums.schema["g"].dtype == "category"
        assert sums["n"].tolist() == [1, 12, 8, 0]

    def test_missing_keys(self):
        message = fw.Message({"g": ["a", None, "a"], "v": torch.tensor([[1.0], [2.0], [4.0]])})
        assert message.groupby("g").sum()["v"].tolist() == [[5.0]]
        assert message.groupby("g", dropna=False).sum()["v"].tolist() == [[5.0], [2.0]]

    def test_numeric_only_keeps_tensors_and_leaves_out_texts(self, message):
        assert message.groupby("n").mean(numeric_only=True).columns == ["n", "x", "v", "w"]
        assert message.groupby("n")[["g", "v"]].mean(numeric_only=True).columns == ["n", "v"]

    def test_messages_of_no_rows_have_groups_of_none(self, message):
        none = message[:0].groupby("g")
        assert (len(none), none.ngroups, list(none)) == (0, 0, [])
        assert none.sum(numeric_only=True)["v"].shape == (0, 2)


class TestLookingAtGroups:
    def test_iteration_gives_messages(self, message):
        groups = dict(iter(message.groupby("g")))
        assert {key: rows["n"].tolist() for key, rows in groups.items()} == {"a": [4, 3, 5], "b": [2, 6], "c": [1]}
        assert all(rows.columns == message.columns for rows in groups.values())
        assert groups["a"] == message[[0, 2, 5]]
        assert [key for key, _ in message.groupby(["g"])] == [("a",), ("b",), ("c",)]

    def test_iteration_over_one_column_gives_what_the_message_gives(self, message):
        tensors = dict(iter(message.groupby("g")["w"]))
        assert {key: tensor.tolist() for key, tensor in tensors.items()} == {
            key: message["w"][rows].tolist() for key, rows in ROWS.items()
        }
        series = dict(iter(message.groupby("g")["n"]))
        assert series["a"].tolist() == [4, 3, 5]
        assert series["a"].index.name is None

    def test_groups_by_key(self, message):
        groups = message.groupby("g")
        assert (groups.ngroups, len(groups)) == (3, 3)
        assert {key: rows.tolist() for key, rows in groups.groups.items()} == ROWS
        assert all(rows.name is None for rows in groups.groups.values())
        assert {key: rows.tolist() for key, rows in groups.indices.items()} == ROWS
        assert groups.get_group("a") == message[[0, 2, 5]]
        assert groups["v"].get_group("b").tolist() == message["v"][[1, 4]].tolist()
        with pytest.raises(KeyError, match="z"):
            groups.get_group("z")

    def test_rows_of_each_group(self, message):
        groups = message.groupby("g")
        assert groups.head(1)["n"].tolist() == [4, 2, 1]
        assert groups.tail(1)["n"].tolist() == [1, 6, 5]
        assert groups.nth(1)["n"].tolist() == [3, 6]
        assert groups.nth(slice(2))["n"].tolist() == [4, 2, 3, 1, 6]
        assert groups.nth([0, -1])["n"].tolist() == [4, 2, 1, 6, 5]
        assert groups["v"].nth(0).array.tensor.tolist() == message["v"][[0, 1, 3]].tolist()
        assert len(groups.sample(n=1, random_state=0)) == 3

    def test_series_of_rows_can_be_assigned(self, message):
        message["mean"] = message.groupby("g")["v"].transform("mean")
        assert message["mean"].shape == (6, 2)
        assert message["mean"][0].tolist() == message["v"][ROWS["a"]].mean(0).tolist()
        message["nth"] = message.groupby("g").cumcount()
        assert message["nth"].tolist() == [0, 0, 1, 0, 1, 2]
        assert message.groupby("g").ngroup().index.name is None

    def test_stacking(self, message):
        ragged = message.groupby("g").stack()
        assert ragged.columns == ["g", "x", "v", "w", "n", "t"]
        assert [tuple(rows.shape) for rows in ragged["v"]] == [(3, 2), (2, 2), (1, 2)]
        assert ragged["v"][0].tolist() == message["v"][ROWS["a"]].tolist()
        assert ragged["n"].tolist() == [[4, 3, 5], [2, 6], [1]]
        even = message.groupby(lambda row: row % 2)[["v", "w"]].stack()
        assert (even["v"].shape, even["w"].shape) == ((2, 3, 2), (2, 3, 2, 2))
        assert even["w"].tolist() == torch.stack([message["w"][::2], message["w"][1::2]]).tolist()

    def test_one_column_or_some_are_selected(self, message):
        assert message.groupby("g")[["v", "n"]].sum().columns == ["g", "v", "n"]
        series = message.groupby("g")["v"].sum()
        assert series.index.tolist() == ["a", "b", "c"]
        assert series.array.tensor.tolist() == [message["v"][rows].sum(0).tolist() for rows in ROWS.values()]
        for missing in ("vv", ["n", "vv"]):
            with pytest.raises(ColumnNotFoundError, match=r"^Message\.groupby: no column 'vv'.* Did you mean 'v'\?$"):
                message.groupby("g")[missing]

    def test_attributes(self, message):
        groups = message.groupby("g")
        assert {"mean", "agg", "apply", "rolling", "stack"} <= set(dir(groups))
        assert groups.mean.__doc__ == pd.api.typing.DataFrameGroupBy.mean.__doc__
        assert next(iter(inspect.signature(groups.sum).parameters)) == "numeric_only"
        assert repr(groups) == "Message.groupby: DataFrameGroupBy over 6 rows"
        with pytest.raises(
            AttributeError, match=r"^Message\.groupby: the result has no attribute 'meen'\. Did you mean 'mean'\?$"
        ):
            groups.meen  # noqa: B018
        with pytest.raises(AttributeError, match=r"'v'\. Columns are not attributes; write \[…\]\['v'\]\.$"):
            groups.v  # noqa: B018
        with pytest.raises(AttributeError, match=r"^'Grouped' object has no attribute '_x'\.$"):
            groups._x  # noqa: B018
        assert copy.copy(groups).ngroups == 3

    def test_groups_are_those_of_the_message_as_it_was(self, message):
        groups = message.groupby("g")
        message["new"] = torch.zeros(6)
        del message["v"]
        assert groups.quantile(0.5, numeric_only=True).columns == ["g", "x", "v", "w", "n"]


class TestAggregation:
    def test_by_column_and_by_several_names(self, message):
        found = message.groupby("g").agg({"v": "mean", "n": ["min", "max"]})
        assert found.columns == ["g", "v_mean", "n_min", "n_max"]
        assert found["v_mean"].shape == (3, 2)
        assert found["n_max"].tolist() == [5, 6, 1]

    def test_named(self, message):
        found = message.groupby("g").agg(
            total=("v", "sum"), span=pd.NamedAgg("n", lambda n: n.max() - n.min()), high=pd.NamedAgg("x", "max")
        )
        assert found.columns == ["g", "total", "span", "high"]
        assert found["total"].tolist() == [message["v"][rows].sum(0).tolist() for rows in ROWS.values()]
        assert found["span"].tolist() == [2, 4, 0]

    def test_functions_get_tensors_and_series_and_may_return_tensors(self, message):
        kinds = set()

        def last_half(column):
            kinds.add((type(column), getattr(getattr(column, "index", None), "name", None)))
            return column[-1] / 2 if isinstance(column, torch.Tensor) else column.iloc[-1]

        found = message.groupby("g").agg(last_half)
        assert kinds == {(torch.Tensor, None), (pd.Series, None)}
        assert found["v"].tolist() == (message["v"][[5, 4, 3]] / 2).tolist()
        assert found["n"].tolist() == [5, 6, 1]

    def test_tensors_of_different_shapes_become_objects(self, message):
        found = message.groupby("g")[["v"]].agg(lambda v: v[:, 0])
        assert [rows.tolist() for rows in found["v"]] == [message["v"][rows, 0].tolist() for rows in ROWS.values()]

    def test_further_arguments_go_to_the_function(self, message):
        found = message.groupby("g")[["n"]].agg(lambda n, power, plus: n.max() ** power + plus, 2, plus=1)
        assert found["n"].tolist() == [26, 37, 2]
        given = torch.tensor([1.0])
        assert message.groupby("g")["v"].agg(lambda v, extra: extra is given, given).all()

    def test_several_functions_of_one_column(self, message):
        def span(v):
            return v.amax(0) - v.amin(0)

        found = message.groupby("g")["v"].agg([span, "sum"])
        assert found.columns == ["g", "span", "sum"]
        assert found["span"].tolist() == [[10.0, 10.0], [6.0, 6.0], [0.0, 0.0]]

    def test_functions_of_numpy_and_names(self, message):
        assert message.groupby("g")[["n", "x"]].agg(np.max)["n"].tolist() == [5, 6, 1]
        assert message.groupby("g")[["v"]].aggregate("max")["v"].tolist() == message["v"][[5, 4, 3]].tolist()

    def test_describe_has_one_column_per_statistic(self, message):
        found = message[["g", "v"]].groupby("g").describe()
        assert found.columns == [
            "g",
            *(f"v_{name}" for name in ("count", "mean", "std", "min", "25%", "50%", "75%", "max")),
        ]
        assert found["v_mean"].tolist() == [message["v"][rows].mean(0).tolist() for rows in ROWS.values()]
        assert message.groupby("g")["v"].describe().columns[:3] == ["g", "count", "mean"]


class TestApply:
    def test_a_message_per_group_gives_messages(self, message):
        seen = []

        def best(rows):
            seen.append((type(rows), rows.columns))
            return rows.sort_values("n", ascending=False).head(1)

        found = message.groupby("g").apply(best)
        assert found.columns == ["g", "x", "v", "w", "n", "t"]
        assert found["n"].tolist() == [5, 6, 1]
        assert found["v"].tolist() == message["v"][[5, 4, 3]].tolist()
        assert seen == [(fw.Message, ["x", "v", "w", "n", "t"])] * 3

    def test_as_many_rows_as_there_were_come_group_by_group(self, message):
        found = message.groupby("g").apply(lambda rows: rows.assign(share=rows["n"] / rows["n"].sum()))
        assert found["g"].tolist() == ["a", "a", "a", "b", "b", "c"]
        assert found["n"].tolist() == [4, 3, 5, 2, 6, 1]
        without = message.groupby("g", group_keys=False).apply(lambda rows: rows[["n"]])
        assert without.to_dict() == {"n": [4, 3, 5, 2, 6, 1]}

    def test_frames(self, message):
        found = message.groupby("g").apply(lambda rows: rows.to_pandas().nlargest(1, "n")[["n", "v"]])
        assert found.columns == ["g", "n", "v"]
        assert found["n"].tolist() == [5, 6, 1]

    def test_numbers_make_a_series(self, message):
        for number in (lambda rows: rows["n"].sum(), lambda rows: rows["w"].sum(), lambda rows: float(rows["w"].sum())):
            found = message.groupby("g").apply(number)
            assert isinstance(found, pd.Series)
            assert found.index.tolist() == ["a", "b", "c"]
        assert found.tolist() == [float(message["w"][rows].sum()) for rows in ROWS.values()]

    def test_tensors_make_a_series_of_rows(self, message):
        found = message.groupby("g").apply(lambda rows: rows["v"].mean(0))
        assert found.array.tensor.tolist() == [message["v"][rows].mean(0).tolist() for rows in ROWS.values()]
        ragged = message.groupby("g").apply(lambda rows: rows["v"])
        assert [tuple(tensor.shape) for tensor in ragged] == [(3, 2), (2, 2), (1, 2)]

    def test_series(self, message):
        found = message.groupby("g").apply(lambda rows: pd.Series({"rows": len(rows), "first": rows["n"].iloc[0]}))
        assert found.to_dict() == {"g": ["a", "b", "c"], "rows": [3, 2, 1], "first": [4, 2, 1]}
        rows = message.groupby("g").apply(lambda rows: rows["n"])
        assert rows.to_dict() == {("a", 0): 4, ("a", 2): 3, ("a", 5): 5, ("b", 1): 2, ("b", 4): 6, ("c", 3): 1}
        assert list(rows.index.names) == ["g", None]

    def test_one_column_arrives_as_the_message_gives_it(self, message):
        assert message.groupby("g")["v"].apply(lambda v: v.sum().item()).tolist() == [31.0, 22.0, 13.0]
        assert message.groupby("g")["n"].apply(lambda n: n.max()).tolist() == [5, 6, 1]

    def test_further_arguments_arrive_as_they_are(self, message):
        extra = fw.Message({"y": [1]})
        assert message.groupby("g").apply(lambda rows, other, key: other is extra and key == 1, extra, key=1).all()

    def test_names_work_too(self, message):
        assert message.groupby("g")[["n"]].apply("sum")["n"].tolist() == [12, 8, 1]


class TestFilterAndTransform:
    def test_filter_keeps_the_rows_in_order(self, message):
        for test in (lambda rows: len(rows) > 1, lambda rows: rows["w"].sum() > 60):
            kept = message.groupby("g").filter(test)
            assert kept["n"].tolist() == [4, 2, 3, 6, 5]
        assert kept == message[[0, 1, 2, 4, 5]]

    def test_transform_goes_column_by_column(self, message):
        kinds = set()

        def centered(column):
            kinds.add(type(column))
            return column - column.mean(0) if isinstance(column, torch.Tensor) else column - column.mean()

        found = message.groupby("g")[["v", "n"]].transform(centered)
        assert kinds == {torch.Tensor, pd.Series}
        for rows in ROWS.values():
            assert found["v"][rows].tolist() == (message["v"][rows] - message["v"][rows].mean(0)).tolist()
        assert found["n"].tolist() == pytest.approx([0, -2, -1, 0, 2, 1])

    def test_transform_of_one_column_and_by_name(self, message):
        series = message.groupby("g")["n"].transform(lambda n: n - n.min())
        assert series.tolist() == [1, 0, 0, 0, 4, 2]
        assert series.index.name is None
        sums = message.groupby("g")[["v"]].transform("sum")
        assert sums["v"][0].tolist() == message["v"][ROWS["a"]].sum(0).tolist()

    def test_pipe_gives_the_groups_themselves(self, message):
        spans = message.groupby("g").pipe(lambda groups: groups["n"].max() - groups["n"].min())
        assert spans.tolist() == [2, 4, 0]


class TestRolling:
    @pytest.mark.parametrize("how", ["sum", "mean", "std", "min", "max", "median", "count", "var"])
    @pytest.mark.parametrize("columns", [["v", "n"], ["w", "x"]])
    def test_windows_of_rows_go_element_by_element(self, message, how, columns):
        found = getattr(message[columns].rolling(3, min_periods=2), how)()
        assert found.columns == columns
        flat = pd.DataFrame(message[columns[0]].flatten(1).numpy())
        expected = getattr(flat.rolling(3, min_periods=2), how)().to_numpy()
        np.testing.assert_allclose(found[columns[0]].flatten(1).numpy(), expected)
        assert found[columns[0]].dtype == torch.float64

    def test_windows_of_time_keep_the_times(self, message):
        found = message[["v", "t", "n"]].rolling("1D", on="t").sum()
        assert found.columns == ["v", "t", "n"]
        assert found["n"].tolist() == [4.0, 6.0, 5.0, 4.0, 7.0, 11.0]
        assert found["v"][1].tolist() == [2.0, 4.0]

    def test_one_column_gives_a_series(self, message):
        series = message.rolling(2)["v"].sum()
        assert series.array.tensor[1:].tolist() == (message["v"][1:] + message["v"][:-1]).tolist()
        assert message.rolling(2)["n"].sum().index.name is None
        assert message.rolling(2)[["v"]].sum().columns == ["v"]

    def test_iteration_gives_messages(self, message):
        windows = list(message.rolling(2))
        assert [len(rows) for rows in windows] == [1, 2, 2, 2, 2, 2]
        assert windows[3] == message[2:4]
        assert [v.tolist() for v in message.rolling(2)["v"]][1] == message["v"][:2].tolist()

    def test_agg_of_columns_and_functions(self, message):
        found = message[["v", "n"]].rolling(2).agg({"v": "sum", "n": ["min", "max"]})
        assert found.columns == ["v_sum", "n_min", "n_max"]
        assert found["v_sum"].shape == (6, 2)
        both = message[["v"]].rolling(2).agg(["mean", "sum"])
        assert both.columns == ["v_mean", "v_sum"]
        spans = message[["v"]].rolling(2).apply(lambda window: window.iloc[-1] - window.iloc[0])
        assert spans["v"][1:].tolist() == [[2.0, 2.0]] * 5

    def test_other_windows(self, message):
        numbers = message[["v", "n"]]
        flat = pd.DataFrame(message["v"].numpy())
        np.testing.assert_allclose(numbers.expanding().mean()["v"], flat.expanding().mean())
        np.testing.assert_allclose(numbers.ewm(alpha=0.5).mean()["v"], flat.ewm(alpha=0.5).mean())
        np.testing.assert_allclose(
            numbers.rolling(3, win_type="triang").mean()["v"], flat.rolling(3, win_type="triang").mean()
        )
        np.testing.assert_allclose(numbers.rolling(2).quantile(0.3)["v"], flat.rolling(2).quantile(0.3))

    def test_windows_within_groups(self, message):
        found = message[["g", "v", "n"]].groupby("g").rolling(2, min_periods=1).sum()
        assert found.columns == ["g", "v", "n"]
        assert found["g"].tolist() == ["a", "a", "a", "b", "b", "c"]
        assert found["n"].tolist() == [4.0, 7.0, 8.0, 2.0, 8.0, 1.0]
        series = message.groupby("g")["v"].rolling(2, min_periods=1).sum()
        assert series.array.tensor.tolist() == found["v"].tolist()
        assert list(series.index.names) == ["g", None]
        assert message.groupby("g")[["v"]].expanding().sum()["v"].shape == (6, 2)
        assert repr(message.groupby("g").rolling(2)) == "Message.groupby.rolling: RollingGroupBy over 6 rows"

    def test_pairs_of_columns(self, message):
        table = message[["v", "n"]].rolling(3).corr()
        assert table.columns == ["index", "v", "n"]
        assert table["index"].tolist()[:3] == ["v[0]", "v[1]", "n"]

    def test_gradients_and_half_floats(self):
        message = fw.Message({"v": torch.ones(3, 2, dtype=torch.bfloat16, requires_grad=True)})
        assert message.rolling(2).sum()["v"].tolist()[1:] == [[2.0, 2.0]] * 2


class TestResample:
    def test_spans_of_time_become_a_column(self, message):
        found = message.resample("1D", on="t").sum(numeric_only=True)
        assert found.columns == ["t", "x", "v", "w", "n"]
        assert found["t"].tolist() == [pd.Timestamp(f"2020-01-0{day}") for day in (1, 2, 3)]
        assert found["v"].tolist() == [[2.0, 4.0], [10.0, 12.0], [18.0, 20.0]]
        assert found["w"].tolist() == [(message["w"][2 * day] + message["w"][2 * day + 1]).tolist() for day in range(3)]

    def test_results_are_messages(self, message):
        spans = message.resample("1D", on="t")
        assert spans.agg({"n": ["min", "max"], "v": "mean"}).columns == ["t", "n_min", "n_max", "v_mean"]
        assert spans[["v"]].mean().columns == ["t", "v"]
        assert spans["v"].ohlc().columns == ["t", "open", "high", "low", "close"]
        assert {key.day: len(rows) for key, rows in spans} == {1: 2, 2: 2, 3: 2}
        assert spans.get_group(pd.Timestamp("2020-01-01")) == message[:2]
        assert spans[["n"]].apply(lambda rows: rows["n"].max() - rows["n"].min()).tolist() == [2, 2, 1]
        assert spans["n"].transform(lambda n: n - n.min()).tolist() == [2, 0, 2, 0, 1, 0]
        assert spans.size().tolist() == [2, 2, 2]

    @pytest.mark.parametrize("how", ["ffill", "bfill", "asfreq", "interpolate", "nearest"])
    def test_rows_in_between(self, message, how):
        columns = ["v", "n"] if how == "interpolate" else ["g", "v", "n"]
        found = getattr(message[["t", *columns]].resample("6h", on="t"), how)()
        flat = pd.DataFrame(message["v"].numpy(), index=TIMES)
        expected = getattr(flat.resample("6h"), how)()
        assert found.columns == ["t", *columns]
        assert found["t"].tolist() == expected.index.tolist()
        np.testing.assert_allclose(found["v"].numpy(), expected.to_numpy())
        one = getattr(message.resample("6h", on="t")["v"], how)()
        np.testing.assert_allclose(one.array.tensor.numpy(), expected.to_numpy())

    def test_without_a_column_of_times_it_says_what_to_write(self, message):
        with pytest.raises(
            TypeError,
            match=r"^Message\.resample: a message has no index of times; name the column that has them with on=\.$",
        ):
            message.resample("1D")

    def test_within_groups(self, message):
        found = message.groupby("g").resample("1D", on="t")[["n", "v"]].sum()
        assert found.columns == ["g", "t", "n", "v"]
        assert found["g"].tolist() == ["a", "a", "a", "b", "b", "b", "c"]


class TestTheMessageStaysAsItWas:
    def test_whatever_is_computed(self, message):
        before = copy.deepcopy(message)
        message.groupby("g").apply(lambda rows: rows["v"].clone().zero_().sum())
        message.groupby("g").transform(lambda column: column)
        message.rolling(2)[["v", "n"]].mean()
        message.resample("6h", on="t").ffill()
        assert message == before
