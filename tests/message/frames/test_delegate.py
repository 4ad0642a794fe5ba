"""Every family of DataFrame methods on a message with tensor columns of rank 1, 2 and 3."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError
from message.strategies import message_of_all_ranks

NAN = float("nan")


@pytest.fixture
def message():
    return message_of_all_ranks()


@pytest.fixture
def numbers(message):
    return message.drop("g")


class TestInPlace:
    @pytest.mark.parametrize(
        "name",
        [
            name
            for name in dir(pd.DataFrame)
            if not name.startswith("_")
            and inspect.isfunction(getattr(pd.DataFrame, name))
            and "inplace" in inspect.signature(getattr(pd.DataFrame, name)).parameters
            and hasattr(fw.Message({"x": [1]}), name)
            and not hasattr(fw.Message, name)
        ],
    )
    def test_it_is_refused_everywhere(self, message, name):
        parameters = inspect.signature(getattr(pd.DataFrame, name)).parameters
        assert parameters["inplace"].kind is inspect.Parameter.KEYWORD_ONLY  # else it could come unseen
        before = copy.deepcopy(message)
        with pytest.raises(
            TypeError,
            match=rf"^Message\.{name}: inplace=True would change a frame that the message is only seen through, and be "
            rf"lost; write message = message\.{name}\(…\) without it\.$",
        ):
            getattr(message, name)(inplace=True)
        assert message == before

    def test_inplace_false_is_what_pandas_does_anyway(self, message):
        assert message.fillna({"x": 0.0}, inplace=False)["x"].tolist() == [3.0, 1.0, 2.0, 0.0]


class TestSorting:
    def test_by_a_tensor_column(self, message):
        ordered = message.sort_values("x")
        assert ordered["n"].tolist() == [2, 3, 4, 1]
        assert ordered["w"].tolist() == message["w"][[1, 2, 0, 3]].tolist()
        assert message.sort_values("x", ascending=False, na_position="first")["n"].tolist() == [1, 4, 3, 2]
        assert ordered.columns == message.columns

    def test_by_several_columns_and_by_rows_of_many_numbers(self, message):
        assert message.sort_values(["g", "n"])["n"].tolist() == [3, 4, 2, 1]
        assert message[[3, 1, 0, 2]].sort_values("v")["n"].tolist() == [4, 2, 3, 1]

    def test_a_key_gets_what_the_message_gives(self, message):
        kinds = []

        def negative(column):
            kinds.append(type(column))
            return -column

        assert message.sort_values("x", key=negative)["n"].tolist() == [4, 3, 2, 1]
        assert message.sort_values("n", key=negative)["n"].tolist() == [4, 3, 2, 1]
        assert kinds == [torch.Tensor, pd.Series]

    def test_the_largest_and_smallest(self, message):
        assert message.nlargest(2, "n")["v"].tolist() == [[0.0, 1.0], [4.0, 5.0]]
        assert message.nsmallest(2, "x")["n"].tolist() == [2, 3]

    def test_a_missing_column_suggests_the_nearest(self, message):
        with pytest.raises(
            ColumnNotFoundError,
            match=r"^Message\.sort_values: no column 'nn'; columns are \['g', 'x', 'v', 'w', 'n'\]\. Did you mean 'n'\?$",
        ):
            message.sort_values("nn")
        with pytest.raises(ColumnNotFoundError, match=r"^Message\.groupby: no column 'gg'"):
            message.groupby(["n", "gg"])

    def test_a_key_error_of_a_function_is_left_alone(self, message):
        def fail(column):
            raise KeyError("mine")

        with pytest.raises(KeyError, match=r"^'mine'$") as caught:
            message.apply(fail)
        assert not isinstance(caught.value, ColumnNotFoundError)


class TestChoosingRows:
    def test_query_knows_columns_and_the_callers_variables(self, message):
        least, names = 2, ["a"]  # noqa: F841 (named in the query)
        assert message.query("n >= @least and g in @names")["n"].tolist() == [4, 3]
        assert message.query("x > 1 and index < 2")["v"].tolist() == [[0.0, 1.0]]
        assert [message.query("n > @k").shape[0] for k in (0, 3)] == [4, 1]

    def test_duplicates_go_by_whole_rows_of_tensors(self):
        message = fw.Message({"v": torch.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]]), "n": [0, 1, 2]})
        assert message.duplicated("v").tolist() == [False, False, True]
        assert message.drop_duplicates("v")["n"].tolist() == [0, 1]
        assert message.drop_duplicates("v", keep="last")["n"].tolist() == [1, 2]
        assert message.drop_duplicates("v", keep=False)["n"].tolist() == [1]

    def test_missing_values(self, message):
        assert message.dropna()["n"].tolist() == [4, 2, 3]
        assert message.isna()["x"].tolist() == [False, False, False, True]
        assert message.fillna({"x": 7.0})["x"].tolist() == [3.0, 1.0, 2.0, 7.0]
        assert message.fillna({"x": torch.tensor(7.0)})["x"].tolist() == [3.0, 1.0, 2.0, 7.0]
        assert message.ffill()["x"].tolist() == [3.0, 1.0, 2.0, 2.0]
        assert len(fw.Message({"v": torch.tensor([[1.0, NAN], [1.0, 2.0]])}).dropna()) == 1

    def test_truncate_and_isin(self, message):
        assert message.truncate(1, 2)["n"].tolist() == [2, 3]
        assert message[["n", "x"]].isin([1, 2])["x"].tolist() == [False, True, True, False]
        assert message[["n"]].isin(torch.tensor([1, 4]))["n"].tolist() == [True, False, False, True]


class TestWhere:
    def test_a_mask_of_rows_stands_for_all_columns(self, numbers):
        for mask in (numbers["n"] > 2, torch.tensor([True, False, True, False]), np.array([True, False, True, False])):
            kept = numbers.where(mask, 0)
            assert kept["n"].tolist() == [4, 0, 3, 0]
            assert kept["v"].tolist() == [[0.0, 1.0], [0.0, 0.0], [4.0, 5.0], [0.0, 0.0]]
            assert numbers.mask(mask, 0)["x"].tolist()[1:3] == [1.0, 0.0]

    def test_without_another_value_the_rest_is_missing(self, numbers):
        kept = numbers[["x", "v"]].where(torch.tensor([True, False, True, True]))
        assert kept["x"].isnan().tolist() == [False, True, False, True]
        assert kept["v"].isnan().tolist() == [[False, False], [True, True], [False, False], [False, False]]

    def test_a_function_gets_the_message(self, numbers):
        kept = numbers[["n", "x"]].where(lambda rows: rows["x"] > 1, -1)
        assert kept["n"].tolist() == [4, -1, 3, -1]

    def test_one_value_per_row_stands_for_all_columns(self, numbers):
        kept = numbers[["n"]].where(numbers["n"] > 2, torch.tensor([10, 20, 30, 40]))
        assert kept["n"].tolist() == [4, 20, 3, 40]

    def test_a_message_decides_cell_by_cell(self, numbers):
        kept = numbers[["n", "x"]].where(numbers[["n", "x"]].gt(2), 0)
        assert (kept["n"].tolist(), kept["x"].tolist()) == ([4, 0, 3, 0], [3.0, 0.0, 0.0, 0.0])


class TestComputing:
    def test_reductions_are_a_series_with_one_row_per_tensor_column(self, numbers):
        means = numbers.mean()
        assert means["x"] == 2.0
        assert means["v"].tolist() == [3.0, 4.0]
        assert means["w"].tolist() == [[6.0, 7.0], [8.0, 9.0]]
        assert numbers.sum()["w"].tolist() == numbers["w"].sum(0).tolist()
        assert numbers.max()["v"].tolist() == [6.0, 7.0]
        assert numbers.count()["x"] == 3

    @pytest.mark.parametrize("name", ["skew", "kurt", "sem", "quantile", "idxmax", "idxmin", "any", "all", "count"])
    def test_what_pandas_has_for_numbers_only_goes_element_by_element(self, numbers, name):
        found = getattr(numbers, name)()
        for column in ("v", "w"):
            flat = pd.DataFrame(numbers[column].flatten(1).numpy())
            assert found[column].flatten().tolist() == pytest.approx(getattr(flat, name)().tolist())
        assert found["n"] == getattr(pd.Series([4, 2, 3, 1]), name)()

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("clip", (1, 4)),
            ("round", (1,)),
            ("rank", ()),
            ("pct_change", ()),
            ("cumsum", ()),
            ("diff", ()),
            ("add", (1,)),
        ],
    )
    def test_so_do_computations_that_keep_the_rows(self, numbers, name, args):
        found = getattr(numbers, name)(*args)
        for column in ("x", "v", "w"):
            flat = pd.DataFrame(numbers[column].flatten(1).numpy() if column != "x" else numbers["x"].numpy())
            expected = getattr(flat, name)(*args).to_numpy()
            np.testing.assert_allclose(found[column].reshape(4, -1).numpy(), expected, rtol=1e-6)
            assert found[column].shape == numbers[column].shape

    def test_types_that_numpy_lacks_come_back(self):
        message = fw.Message({"v": torch.tensor([[0.5, 9.0]], dtype=torch.bfloat16)})
        assert message.clip(0, 1)["v"].dtype == torch.bfloat16
        assert message.clip(0, 1)["v"].tolist() == [[0.5, 1.0]]

    def test_bounds_and_digits_by_column(self, numbers):
        assert numbers.round({"v": 0, "x": 1})["v"].tolist() == numbers["v"].tolist()
        bounds = pd.Series({"x": 1.5, "v": 3.0, "w": 4, "n": 2})
        assert numbers.clip(upper=bounds, axis=1)["v"].tolist() == [[0.0, 1.0], [2.0, 3.0], [3.0, 3.0], [3.0, 3.0]]

    def test_numeric_only_keeps_tensors_of_any_rank(self, message):
        assert list(message.mean(numeric_only=True).index) == ["x", "v", "w", "n"]
        assert message.quantile([0.5], numeric_only=True).columns == ["index", "x", "v", "w", "n"]
        assert list(message.skew(numeric_only=True).index) == ["x", "v", "w", "n"]

    def test_quantiles_and_correlations_have_an_index_column(self, message):
        numbers = message[["x", "n"]].dropna()
        quantiles = numbers.quantile([0.25, 0.5])
        assert quantiles.to_dict() == {"index": [0.25, 0.5], "x": [1.5, 2.0], "n": [2.5, 3.0]}
        table = numbers.corr()
        assert table["index"].tolist() == ["x", "n"]
        np.testing.assert_allclose(table["n"], np.corrcoef([3, 1, 2], [4, 2, 3])[1])

    def test_elements_that_label_rows_are_text(self, message):
        table = message[["v", "n"]].corr()
        assert table["index"].tolist() == ["v[0]", "v[1]", "n"]
        assert table["v"].shape == (3, 2)
        expected = np.corrcoef(np.column_stack([message["v"].numpy(), [4, 2, 3, 1]]), rowvar=False)
        np.testing.assert_allclose(np.column_stack([table["v"].numpy(), table["n"]]), expected)

    def test_other_messages_are_taken_apart_as_well(self, message):
        numbers = message[["v", "n"]]
        found = numbers.corrwith(numbers.mul(-2))
        assert found["v"].tolist() == pytest.approx([-1.0, -1.0])
        assert found["n"] == pytest.approx(-1.0)

    def test_arithmetic_with_messages_series_and_tensors(self, message):
        numbers = message[["x", "v"]]
        assert numbers.add(numbers)["v"].tolist() == (message["v"] * 2).tolist()
        assert message[["n"]].add(message["n"], axis=0)["n"].tolist() == [8, 4, 6, 2]
        assert message[["n", "x"]].mul(torch.tensor([10.0, 1.0]))["n"].tolist() == [40.0, 20.0, 30.0, 10.0]

    def test_eval_gives_a_series_or_a_message(self, message):
        pd.testing.assert_series_equal(message.eval("n * 2"), pd.Series([8, 4, 6, 2], name="n"), check_names=False)
        assert message.eval("m = n + x")["m"].tolist()[:3] == [7.0, 3.0, 5.0]
        assert message.columns == ["g", "x", "v", "w", "n"]

    def test_types_are_converted_by_torch_dtypes_too(self, message):
        half = message.astype({"n": torch.float16, "v": torch.float64, "x": "float64"})
        assert (half["n"].dtype, half["v"].dtype, half.schema["x"].dtype) == (torch.float16, torch.float64, np.float64)
        assert half["n"].tolist() == [4.0, 2.0, 3.0, 1.0]
        assert half["v"].shape == (4, 2)
        double = message[["n", "w"]].astype(torch.float64)
        assert [double[name].dtype for name in ("n", "w")] == [torch.float64] * 2

    def test_astype_to_one_type_of_pandas(self, message):
        assert message[["x", "n"]].astype("float64").schema["n"].dtype == np.float64
        assert message[["g"]].astype("category").schema["g"].dtype == "category"
        with pytest.raises(KeyError, match="nope"):
            message.astype({"nope": torch.float64})


class TestCopies:
    def test_a_deep_copy_has_memory_of_its_own(self, message):
        deep, shallow = message.copy(), message.copy(deep=False)
        assert deep == shallow == message
        assert shallow["v"].data_ptr() == message["v"].data_ptr()
        deep["v"].zero_()
        deep.raw("n")[:] = 0
        assert message["v"].sum() == 28
        assert message["n"].sum() == 10

    def test_types_that_pandas_finds_leave_tensors_alone(self, message):
        found = message.convert_dtypes()
        assert found.schema["n"].dtype == "Int64"
        assert found["v"].tolist() == message["v"].tolist()
        assert message.infer_objects() == message

    def test_what_changes_nothing_shares_memory(self, message):
        for same in (
            message.drop_duplicates("n"),
            message.filter(items=["v"]),
            message.add_prefix("p_").rename(lambda n: n[2:]),
        ):
            assert same["v"].data_ptr() == message["v"].data_ptr()


class TestFunctions:
    def test_columns_arrive_as_the_message_gives_them(self, message):
        kinds = message.apply(lambda column: type(column).__name__)
        assert kinds.to_dict() == {"g": "Series", "x": "Tensor", "v": "Tensor", "w": "Tensor", "n": "Series"}

    def test_tensors_of_as_many_rows_come_back_as_columns(self, message):
        doubled = message[["v", "n"]].apply(lambda column: column * 2)
        assert doubled["v"].tolist() == (message["v"] * 2).tolist()
        assert doubled["n"].tolist() == [8, 4, 6, 2]

    def test_rows_arrive_as_series_with_the_names_of_the_columns(self, message):
        assert message.apply(lambda row: row["g"] + str(row["n"]), axis=1).tolist() == ["a4", "b2", "a3", "c1"]
        sums = message.apply(lambda row: row["v"].sum(), axis=1)
        assert sums.tolist() == [1.0, 5.0, 9.0, 13.0]
        only_tensors = message[["v"]].apply(lambda row: row["v"] * 2, axis="columns")
        assert only_tensors.array.tensor.tolist() == (message["v"] * 2).tolist()

    def test_agg_takes_a_tensor_for_one_value(self, message):
        found = message[["v", "n"]].agg(
            lambda column: column.max(0).values if isinstance(column, torch.Tensor) else column.max()
        )
        assert (found["v"].tolist(), found["n"]) == ([6.0, 7.0], 4)

    def test_agg_by_name_by_list_and_by_column(self, message):
        assert message[["x", "n"]].agg("mean").to_dict() == {"x": 2.0, "n": 2.5}
        table = message[["n"]].agg(["min", "max"])
        assert table.to_dict() == {"index": ["min", "max"], "n": [1, 4]}
        assert message.agg({"n": "sum", "x": lambda x: x.nansum()}).to_dict() == {"n": 10.0, "x": 6.0}

    def test_functions_of_numpy_and_pandas_get_series(self, message):
        assert message[["x", "n"]].apply(np.mean).to_dict() == {"x": 2.0, "n": 2.5}
        assert message[["n"]].apply(np.sqrt)["n"].tolist() == pytest.approx([2.0, 2**0.5, 3**0.5, 1.0])
        assert message[["n"]].agg(len)["n"] == 4

    def test_functions_of_torch_get_tensors(self, message):
        assert message[["v"]].agg(torch.mean)["v"] == 3.5
        assert message[["v"]].apply(torch.neg)["v"].tolist() == (-message["v"]).tolist()

    def test_map_goes_cell_by_cell(self, message):
        found = message[["v", "n"]].map(lambda cell: cell.flip(0) if isinstance(cell, torch.Tensor) else cell + 1)
        assert found["v"].tolist() == message["v"].flip(1).tolist()
        assert found["n"].tolist() == [5, 3, 4, 2]

    def test_transform_and_combine(self, message):
        assert message[["n"]].transform(lambda n: n - n.min())["n"].tolist() == [3, 1, 2, 0]
        assert message[["n"]].transform(["abs", "sqrt"]).columns == ["n_abs", "n_sqrt"]
        more = message[["v"]].combine(message[["v"]].mul(10), torch.maximum)
        assert more["v"].tolist() == (message["v"] * 10).tolist()

    def test_what_comes_under_another_index_keeps_it_as_a_column(self, message):
        counts = message[["g"]].apply(lambda column: column.value_counts())
        assert counts["g_index"].tolist() == ["a", "b", "c"]
        assert counts["g"].tolist() == [2, 1, 1]

    def test_functions_see_no_private_name(self, message):
        names = []

        def look(column, *_):
            if isinstance(column, pd.Series):
                names.append((column.index.name, column.name))
            return column

        message[["g", "n"]].apply(look)
        message[["g", "n"]].apply(look, axis=1)
        message[["n"]].transform(look)
        message[["n"]].combine(message[["n"]], look)
        assert {name for name, _ in names} == {None}
        assert {name for _, name in names} == {"g", "n", 0, 1, 2, 3}


class TestReshaping:
    def test_melt_and_explode(self, message):
        long = message[["g", "v"]].melt(id_vars="g")
        assert long.columns == ["g", "variable", "value"]
        assert long["value"].tolist() == message["v"].tolist()
        lists = fw.Message({"l": [[1, 2], [3]], "v": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
        assert lists.explode("l")["v"].tolist() == [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]]

    def test_pivot_table_has_its_keys_first(self, message):
        table = message.pivot_table(index="g", values=["x", "v"], aggfunc="mean")
        assert table["g"].tolist() == ["a", "b", "c"]
        assert table["v"].tolist() == [[2.0, 3.0], [2.0, 3.0], [6.0, 7.0]]
        wide = message.pivot_table(index="g", columns="n", values="w", aggfunc="sum")
        assert wide.columns == ["g", "1", "2", "3", "4"]
        assert wide["3"][0].tolist() == message["w"][2].tolist()

    def test_pivot_table_by_arrays_functions_and_tensors(self, message):
        for index in ([0, 1, 0, 1], lambda row: row % 2, torch.tensor([0, 1, 0, 1])):
            keys = np.array(index) if isinstance(index, list) else index
            table = message.pivot_table(index=keys, values="n", aggfunc=lambda n: n.max() - n.min())
            assert table.columns == ["index", "n"]
            assert (table["index"].tolist(), table["n"].tolist()) == ([0, 1], [1, 1])

    def test_pivot_without_an_index_goes_by_row_number(self, message):
        wide = message.pivot(columns="g", values="n")
        assert wide.columns == ["a", "b", "c"]
        assert wide["a"].tolist()[::2] == [4.0, 3.0]

    def test_two_names_of_columns_that_become_one_are_an_error(self):
        message = fw.Message({"k": pd.array([1, "1"], dtype=object), "n": [1, 2]})
        with pytest.raises(ColumnTypeError, match=r"^Message\.pivot: two columns .* called '1': 1 and '1'\."):
            message.pivot(columns="k", values="n")

    def test_transpose(self, message):
        across = message[["n", "g"]].T
        assert across.columns == ["index", "0", "1", "2", "3"]
        assert across["index"].tolist() == ["n", "g"]

    def test_stack_unstack_and_squeeze_are_plain_series(self, message):
        for series in (message[["n"]].stack(), message[["n"]].unstack(), message[["n"]].squeeze()):
            assert isinstance(series, pd.Series)
            assert set(series.index.names) == {None}

    def test_columns_are_chosen_and_named(self, message):
        assert message.filter(regex="[vw]").columns == ["v", "w"]
        assert message.add_prefix("p_").columns == ["p_g", "p_x", "p_v", "p_w", "p_n"]
        assert message[["n"]].shift(1)["n"].tolist()[1:] == [4.0, 2.0, 3.0]
        assert message[["n"]].shift([1, 2]).columns == ["n_1", "n_2"]

    def test_value_counts_is_a_series(self, message):
        assert message[["g"]].value_counts().to_dict() == {("a",): 2, ("b",): 1, ("c",): 1}


class TestMessagesAsArguments:
    def test_they_may_be_in_lists_and_mappings(self, message):
        assert message[["g"]].join([message[["n"]]]).columns == ["g", "n"]
        assert message[["n"]].isin(message[["n"]])["n"].all()
        assert message[["n", "x"]].equals(message[["n", "x"]])

    def test_frames_of_users_meet_rows_by_their_number(self, message):
        frame = pd.DataFrame({"x": [10.0, 20.0]}, index=[1, 3])
        assert message[["x"]].combine_first(frame)["x"].tolist() == [3.0, 1.0, 2.0, 20.0]
        assert message[["n"]].add(pd.Series([10, 20], index=[3, 0]), axis=0)["n"].tolist()[::3] == [24.0, 11.0]
