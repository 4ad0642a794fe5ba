import io
import operator
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw
from fireworks.message import TensorArray, TensorDtype

NAN = float("nan")


@pytest.fixture
def tensors():
    return {
        "s": torch.tensor([3.0, 1.0, 2.0, 5.0]),
        "i": torch.tensor([2, 1, 1, 2]),
        "b": torch.tensor([True, False, True, False]),
        "v": torch.arange(8.0).reshape(4, 2),
        "c": torch.arange(16).reshape(4, 2, 2),
    }


@pytest.fixture
def frame(tensors):
    return fw.Message({**tensors, "key": ["a", "b", "a", "b"]}).to_pandas()


@pytest.fixture
def plain(tensors):
    """The columns that pandas itself can hold, to compare with."""
    return pd.DataFrame({name: tensors[name].numpy() for name in "sib"} | {"key": ["a", "b", "a", "b"]})


def rows(column):
    """The values of a tensor column, after a check that it is one."""
    assert isinstance(column.array, TensorArray)
    return column.array.tensor.tolist()


class TestConstruction:
    @pytest.mark.parametrize("value", [np.zeros(2), [1.0], torch.eye(2).to_sparse(), None])
    def test_what_is_no_dense_tensor_is_refused(self, value):
        with pytest.raises(
            TypeError, match=r"^TensorArray: expected a dense torch\.Tensor; got .* of type \w+\. Use torch\.as_tensor"
        ):
            TensorArray(value)

    def test_a_tensor_without_rows_is_refused(self):
        with pytest.raises(
            ValueError, match=r"^TensorArray: the first dimension counts the rows; got a tensor of none\."
        ):
            TensorArray(torch.tensor(1.0))

    def test_the_tensor_is_shared(self):
        tensor = torch.zeros(2)
        assert TensorArray(tensor).tensor is tensor


class TestElements:
    """Types that NumPy or torch know only in part."""

    @pytest.mark.parametrize(
        "element",
        [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.uint16, torch.uint64, torch.complex64, torch.bool],
    )
    @pytest.mark.parametrize("shape", [(), (2,)])
    def test_every_element_can_be_shown_selected_compared_sorted_grouped_and_pickled(self, element, shape):
        rows = torch.tensor([0, 1, 1, 0]).reshape(4, *[1] * len(shape)).expand(4, *shape).to(element).contiguous()
        frame = fw.Message({"x": rows, "k": [1, 2, 3, 4]}).to_pandas()
        wide = [complex(row) if not shape else complex(row[0]) for row in frame["x"]]
        assert wide == [0, 1, 1, 0]
        assert "x" in repr(frame)
        assert not frame.isna().to_numpy().any()
        assert frame[frame["k"] > 2].index.tolist() == [2, 3]
        assert fw.Message(frame.sort_values("k", ascending=False))["x"].dtype == element
        assert (frame["x"] == frame["x"].array.copy()).all()
        assert (frame["x"] == 1).tolist() == [False, True, True, False]
        assert frame.sort_values("x", kind="stable")["k"].tolist() == [1, 4, 2, 3]
        assert frame.drop_duplicates("x")["k"].tolist() == [1, 2]
        assert frame.groupby("x")["k"].sum().tolist() == [5, 5]
        assert frame.groupby("k")["x"].first().dtype == frame["x"].dtype
        assert fw.Message(pd.concat([frame, frame], ignore_index=True))["x"].dtype == element
        copy = frame.copy()
        copy.loc[0, "x"] = TensorArray(rows[1:2])
        assert (copy["x"] == 1).tolist() == [True, True, True, False]
        assert pickle.loads(pickle.dumps(frame)).equals(frame)

    def test_a_tensor_without_values_can_be_shown_selected_and_compared(self):
        frame = pd.DataFrame(
            {"n": TensorArray(torch.empty(3, device="meta")), "v": TensorArray(torch.empty(3, 2, device="meta"))}
        )
        assert "?" in repr(frame["n"])
        assert "[2 values]" in repr(frame["v"])
        assert not frame.isna().to_numpy().any()
        assert pd.concat([frame.iloc[[2, 0]], frame[1:]])["v"].array.tensor.shape == (4, 2)
        assert (frame["v"] == frame["v"]).isna().all()


class TestSelectingRows:
    def test_head_iloc_masks_and_sorting_by_another_column_keep_tensors(self, frame, tensors):
        for name, tensor in tensors.items():
            assert rows(frame.head(2)[name]) == tensor[:2].tolist()
            assert rows(frame.iloc[[2, 0]][name]) == tensor[[2, 0]].tolist()
            assert rows(frame.iloc[::-2][name]) == tensor[[3, 1]].tolist()
            assert rows(frame[frame["key"] == "a"][name]) == tensor[[0, 2]].tolist()
            assert rows(frame.sort_values("key")[name]) == tensor[[0, 2, 1, 3]].tolist()
            assert rows(frame.query("key == 'b'")[name]) == tensor[[1, 3]].tolist()

    def test_a_slice_shares_memory_and_a_mask_copies(self, frame, tensors):
        assert frame.iloc[1:]["v"].array.tensor.data_ptr() == tensors["v"][1:].data_ptr()
        assert frame[frame["key"] == "a"]["v"].array.tensor.data_ptr() != tensors["v"].data_ptr()

    def test_one_cell_is_a_number_or_the_tensor_of_a_row(self, frame):
        assert frame["i"].iloc[0] == 2
        assert type(frame["i"].iloc[0]) is int
        assert torch.equal(frame["v"].iloc[-1], torch.tensor([6.0, 7.0]))
        assert torch.equal(frame.at[1, "c"], torch.tensor([[4, 5], [6, 7]]))

    def test_a_column_of_truth_is_a_mask(self, frame):
        assert frame[frame["b"]].index.tolist() == [0, 2]
        assert frame[~frame["b"]].index.tolist() == [1, 3]
        assert frame[frame["b"] & (frame["s"] > 2)].index.tolist() == [0]
        assert frame[(frame["s"] > 4) | frame["b"]].index.tolist() == [0, 2, 3]

    def test_sorting_agrees_with_pandas(self, frame, plain):
        for name in ("s", "i", "b"):
            ours, theirs = (f.sort_values(name, kind="stable", ascending=False) for f in (frame, plain))
            assert ours.index.tolist() == theirs.index.tolist()

    def test_rows_of_more_than_one_element_sort_by_their_first_difference(self):
        frame = fw.Message({"v": torch.tensor([[2, 0], [1, 9], [1, 3]])}).to_pandas()
        assert rows(frame.sort_values("v")["v"]) == [[1, 3], [1, 9], [2, 0]]

    def test_a_row_past_the_end_is_an_index_error(self, frame):
        for indices in ([4], [-5]):
            with pytest.raises(IndexError, match=rf"^row {indices[0]} is out of bounds for 4 rows$"):
                frame["s"].array.take(indices)
        with pytest.raises(IndexError, match=r"^row 4 is out of bounds for 4 rows$"):
            frame["s"].array.take([0, 4, -1], allow_fill=True)

    @pytest.mark.parametrize("indices", [[0, -2], [-1, -2]])
    def test_where_rows_are_filled_only_one_negative_number_means_something(self, frame, indices):
        with pytest.raises(ValueError, match=r"^TensorArray\.take: with allow_fill, -1 is a row to fill; got -2\.$"):
            frame["s"].array.take(indices, allow_fill=True)

    def test_rows_are_found_in_a_sorted_column(self):
        numbers = TensorArray(torch.tensor([1.0, 3.0, 5.0]))
        assert numbers.searchsorted(3.0) == 1
        assert numbers.searchsorted([0.0, 5.5]).tolist() == [0, 3]
        vectors = TensorArray(torch.tensor([[0, 5], [1, 1], [1, 4]]))
        assert vectors.searchsorted(torch.tensor([1, 2])) == 2
        assert vectors.searchsorted(torch.tensor([[1, 1], [9, 9]]), side="right").tolist() == [2, 3]
        assert vectors[[2, 0, 1]].searchsorted(torch.tensor([1, 1]), sorter=np.array([1, 2, 0])) == 1

    def test_a_row_is_in_a_column_of_it(self, frame, tensors):
        assert torch.tensor([2.0, 3.0]) in frame["v"].array
        assert torch.tensor([2.0, 4.0]) not in frame["v"].array
        assert 5.0 in frame["s"].array
        assert TensorArray(torch.tensor([[NAN, NAN]])).__contains__(torch.tensor([NAN, NAN]))

    def test_rows_among_others_are_found(self, frame, tensors):
        assert frame["s"].isin([3, 7, "a", None]).tolist() == [True, False, False, False]
        assert frame["v"].isin([tensors["v"][1], torch.zeros(3), "a"]).tolist() == [False, True, False, False]
        assert frame["v"].isin(TensorArray(tensors["v"][2:])).tolist() == [False, False, True, True]
        assert frame["v"].isin([]).tolist() == [False] * 4


class TestReducing:
    @pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "std", "var", "median", "prod"])
    def test_numbers_agree_with_pandas(self, frame, plain, how):
        for name in ("s", "i"):
            assert getattr(frame[name], how)() == pytest.approx(getattr(plain[name], how)())
        ours, theirs = (getattr(f[["s", "i"]], how)() for f in (frame, plain))
        assert ours.tolist() == pytest.approx(theirs.tolist())

    @pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "std", "var", "median", "prod"])
    def test_rows_of_more_than_one_element_are_reduced_element_by_element(self, frame, tensors, how):
        for name in ("v", "c"):
            expected = pd.DataFrame(tensors[name].flatten(1).numpy())
            result = getattr(frame[name], how)()
            assert result.shape == tensors[name].shape[1:]
            assert result.flatten().tolist() == pytest.approx(getattr(expected, how)().tolist())

    def test_the_degrees_of_freedom_are_honoured(self, frame):
        assert frame["v"].std(ddof=0).tolist() == pytest.approx([5**0.5, 5**0.5])
        assert frame["v"].var().tolist() == pytest.approx([20 / 3, 20 / 3])

    def test_truth_is_reduced_by_any_and_all(self, frame):
        assert frame["b"].any()
        assert not frame["b"].all()
        assert frame["b"].sum() == 2

    def test_nan_is_skipped_element_by_element_or_spreads(self):
        frame = fw.Message(
            {"s": torch.tensor([1.0, NAN, 3.0]), "v": torch.tensor([[1.0, 2.0], [NAN, 9.0], [3.0, 4.0]])}
        )
        frame = frame.to_pandas()
        assert frame["s"].mean() == 2.0
        assert frame["v"].mean().tolist() == [2.0, 5.0]
        assert frame["v"].median().tolist() == [2.0, 4.0]
        assert frame["v"].count() == 2
        assert np.isnan(frame["s"].mean(skipna=False))
        assert frame["v"].sum(skipna=False).isnan().tolist() == [True, False]
        assert frame["v"].median(skipna=False).isnan().tolist() == [True, False]

    def test_the_place_of_an_extreme_is_found(self, frame):
        assert (frame["s"].idxmax(), frame["s"].argmin(), frame["v"].idxmax()) == (3, 1, 3)
        assert frame[["s", "i"]].idxmin().tolist() == [1, 1]

    def test_what_numbers_have_not_is_refused_by_name(self, frame):
        with pytest.raises(
            TypeError, match=r"'TensorArray' with dtype tensor\[float32, 2\] does not support operation 'mad'"
        ):
            frame["v"].array._reduce("mad")

    def test_quantiles_and_the_most_frequent_rows(self, frame, tensors, plain):
        assert frame["s"].quantile(0.25) == plain["s"].quantile(0.25)
        expected = pd.DataFrame(tensors["c"].flatten(1).numpy()).quantile([0.1, 0.5])
        np.testing.assert_allclose(frame["c"].quantile([0.1, 0.5]).array.tensor.flatten(1), expected)
        assert rows(frame["i"].mode()) == plain["i"].mode().tolist()
        assert rows(pd.Series(TensorArray(torch.tensor([[2, 1], [1, 1], [2, 1], [1, 1], [0, 0]]))).mode()) == [
            [1, 1],
            [2, 1],
        ]

    @pytest.mark.parametrize("how", ["cumsum", "cumprod", "cummin", "cummax"])
    def test_running_results_agree_with_pandas(self, frame, tensors, plain, how):
        for name in ("s", "i", "b"):
            assert rows(getattr(frame[name], how)()) == getattr(plain[name], how)().tolist()
        expected = getattr(pd.DataFrame(tensors["c"].flatten(1).numpy()), how)()
        np.testing.assert_array_equal(getattr(frame["c"], how)().array.tensor.flatten(1), expected)


class TestGrouping:
    @pytest.mark.parametrize(
        "how", ["sum", "mean", "min", "max", "std", "var", "median", "prod", "first", "last", "count", "size"]
    )
    def test_groups_of_numbers_agree_with_pandas(self, frame, plain, how):
        for name in ("s", "i"):
            ours, theirs = (getattr(f.groupby("key")[name], how)() for f in (frame, plain))
            assert ours.tolist() == pytest.approx(theirs.tolist())
            assert ours.index.equals(theirs.index)

    def test_running_results_and_ranks_agree_with_pandas(self, frame, plain):
        for how in ("cumsum", "cummax", "rank"):
            for name in ("s", "i"):
                ours, theirs = (getattr(f.groupby("key")[name], how)() for f in (frame, plain))
                assert ours.tolist() == theirs.tolist()

    def test_a_group_of_nothing_but_nan_is_as_in_pandas(self):
        numbers, keys = [1.0, NAN, NAN], ["a", "a", "b"]
        frame = fw.Message({"x": torch.tensor(numbers), "k": keys}).to_pandas()
        expected = pd.DataFrame({"x": np.array(numbers, np.float32), "k": keys}).groupby("k")["x"]
        for how in ("mean", "sum", "min"):
            np.testing.assert_array_equal(getattr(frame.groupby("k")["x"], how)(), getattr(expected, how)())

    def test_the_mean_of_integers_is_not_cut_off(self, frame):
        assert frame.groupby("key")["i"].mean().tolist() == [1.5, 1.5]

    def test_sums_and_means_of_a_tensor_column_are_tensor_columns_of_the_type_of_the_result(self, frame):
        result = fw.Message(frame.groupby("key")[["s", "i"]].mean())
        assert (result["s"].dtype, result["i"].dtype) == (torch.float32, torch.float64)
        assert fw.Message(frame.groupby("key")[["i"]].sum())["i"].dtype == torch.int64

    @pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "std", "median", "first", "last"])
    def test_groups_of_longer_rows_are_reduced_element_by_element(self, frame, tensors, how):
        for name in ("v", "c"):
            expected = getattr(pd.DataFrame(tensors[name].flatten(1).numpy()).groupby(["a", "b", "a", "b"]), how)()
            result = fw.Message(getattr(frame.groupby("key")[[name]], how)())[name]
            assert result.shape == (2, *tensors[name].shape[1:])
            np.testing.assert_allclose(result.flatten(1).numpy(), expected.to_numpy(), rtol=1e-6)

    def test_rows_without_a_key_are_in_no_group(self, tensors):
        frame = fw.Message({"v": tensors["v"], "key": ["a", None, "a", "b"]}).to_pandas()
        assert rows(frame.groupby("key")["v"].sum()) == [[4.0, 6.0], [6.0, 7.0]]

    def test_a_tensor_column_can_be_the_key(self, frame, plain):
        for name in ("s", "i", "b"):
            ours, theirs = (f.groupby(name)["key"].count() for f in (frame, plain))
            assert ours.tolist() == theirs.tolist()
            assert ours.index.tolist() == theirs.index.tolist()
        repeated = fw.Message({"c": torch.tensor([[[1, 2]], [[3, 4]], [[1, 2]]])}).to_pandas()
        assert repeated.groupby("c").size().tolist() == [2, 1]
        assert rows(repeated.drop_duplicates()["c"]) == [[[1, 2]], [[3, 4]]]
        assert repeated.duplicated().tolist() == [False, False, True]
        assert repeated["c"].nunique() == 2
        assert rows(repeated["c"].value_counts().index) == [[[1, 2]], [[3, 4]]]
        assert repeated["c"].value_counts().tolist() == [2, 1]

    def test_describe_agrees_with_pandas(self, frame, plain):
        pd.testing.assert_frame_equal(
            frame[["s", "i"]].describe().astype(float), plain[["s", "i"]].describe().astype(float), rtol=1e-6
        )

    def test_a_function_of_rows_gives_the_type_that_it_returns(self, frame):
        assert rows(frame["v"].map(torch.sum)) == [1.0, 5.0, 9.0, 13.0]
        assert frame["i"].map(lambda i: i / 4).tolist() == [0.5, 0.25, 0.25, 0.5]
        assert frame["s"].map(lambda s: 0.1).array.tensor.dtype == torch.float64
        assert frame["i"].map(str).tolist() == ["2", "1", "1", "2"]


class TestJoining:
    def test_merge_agrees_with_pandas(self, frame, plain):
        other = pd.DataFrame({"key": ["b", "a", "a"], "number": [1, 2, 3]})
        for how in ("inner", "left", "right"):
            ours, theirs = (f.merge(other, on="key", how=how) for f in (frame, plain))
            for name in ("s", "i", "b", "number"):
                assert ours[name].tolist() == theirs[name].tolist()
            assert rows(ours["v"]) == [[2 * n, 2 * n + 1] for n in frame.index[[0, 0, 1, 2, 2, 3]]] or how != "inner"

    def test_a_tensor_of_numbers_can_be_what_is_merged_on(self, frame, plain):
        ours, theirs = (f.merge(f, on="i")[["key_x", "key_y"]] for f in (frame, plain))
        pd.testing.assert_frame_equal(ours, theirs)

    def test_rows_without_a_partner_are_nan_or_an_error_where_there_is_no_nan(self, frame):
        other = pd.DataFrame({"key": ["a", "z"]})
        joined = frame[["key", "s", "v"]].merge(other, on="key", how="right")
        assert joined["s"].isna().tolist() == joined["v"].isna().tolist() == [False, False, True]
        assert joined.dtypes["s"] == frame.dtypes["s"]

    def test_rows_without_a_partner_make_integers_and_booleans_floats(self, frame):
        joined = frame[["key", "i", "b", "c"]].merge(pd.DataFrame({"key": ["a", "z"]}), on="key", how="right")
        assert joined.dtypes[["i", "b", "c"]].astype(str).tolist() == [
            "tensor[float64]",
            "tensor[float64]",
            "tensor[float64, 2, 2]",
        ]
        assert joined["i"].tolist()[:2] == [2.0, 1.0]
        assert joined["c"].array.tensor[2].isnan().all()
        large = fw.Message({"n": torch.tensor([2**53 + 1])}).to_pandas()
        with pytest.raises(
            TypeError, match=r"^9007199254740993 does not fit tensor\[float64\]; convert the column first\.$"
        ):
            large.reindex([0, 1])

    def test_rows_of_more_than_one_element_can_be_what_is_merged_on(self):
        left = fw.Message({"v": torch.tensor([[1, 2], [3, 4], [1, 2], [5, 6]]), "n": [1, 2, 3, 4]}).to_pandas()
        right = fw.Message({"v": torch.tensor([[5, 6], [1, 2], [7, 8]]), "m": [10, 20, 30]}).to_pandas()
        plain_left, plain_right = (
            frame.drop(columns="v").assign(
                a=frame["v"].array.tensor[:, 0].numpy(), b=frame["v"].array.tensor[:, 1].numpy()
            )
            for frame in (left, right)
        )
        for how in ("inner", "left", "right", "outer"):
            ours, theirs = left.merge(right, on="v", how=how), plain_left.merge(plain_right, on=["a", "b"], how=how)
            assert rows(ours["v"]) == theirs[["a", "b"]].to_numpy().tolist()
            for name in ("n", "m"):
                np.testing.assert_array_equal(ours[name], theirs[name])

    def test_a_tensor_meets_a_plain_column_of_another_type(self, frame):
        other = pd.DataFrame({"i": np.array([2, 1], dtype="int32"), "number": [1, 2]})
        assert frame.merge(other, on="i")["number"].tolist() == [1, 2, 2, 1]
        floats = pd.DataFrame({"s": np.array([2.0, 5.0]), "number": [1, 2]})
        assert frame.merge(floats, on="s")["number"].tolist() == [1, 2]
        assert pd.concat([frame[["i"]], other[["i"]]])["i"].dtype == "int64"

    def test_frames_without_a_column_get_nan_in_it(self, frame):
        both = pd.concat([frame[["s", "i", "v"]], frame[["s"]]], ignore_index=True)
        assert both.dtypes.astype(str).tolist() == ["tensor[float32]", "tensor[float64]", "tensor[float32, 2]"]
        assert both.isna().sum().tolist() == [0, 4, 4]

    def test_rows_on_two_devices_are_refused_by_name(self):
        with pytest.raises(
            ValueError, match=r"^TensorArray: rows on 'cpu' and on 'meta' can't be joined; move one of them first\.$"
        ):
            pd.concat([pd.Series(TensorArray(torch.zeros(1, device=device))) for device in ("cpu", "meta")])

    def test_concat_keeps_tensors(self, frame, tensors):
        both = pd.concat([frame, frame.iloc[:1]], ignore_index=True)
        for name, tensor in tensors.items():
            assert rows(both[name]) == [*tensor.tolist(), tensor[0].tolist()]

    def test_reindexing_fills_with_nan_or_with_what_is_given(self, frame):
        assert frame["s"].reindex([0, 9]).isna().tolist() == [False, True]
        filled = frame["v"].array.take([0, -1], allow_fill=True, fill_value=torch.tensor([8.0, 9.0]))
        assert filled.tensor.tolist() == [[0.0, 1.0], [8.0, 9.0]]


class TestOperating:
    @pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
    def test_arithmetic_is_that_of_torch(self, frame, tensors, op):
        for name in ("s", "v"):
            assert rows(op(frame[name], 2)) == op(tensors[name], 2).tolist()
            assert rows(op(2, frame[name])) == op(2, tensors[name]).tolist()
            assert rows(op(frame[name], frame[name] + 1)) == op(tensors[name], tensors[name] + 1).tolist()

    @pytest.mark.parametrize("op", [operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne])
    def test_comparisons_agree_with_pandas(self, frame, plain, op):
        for name in ("s", "i"):
            assert op(frame[name], 2).tolist() == op(plain[name], 2).tolist()
            assert op(frame[name], frame["s"]).tolist() == op(plain[name], plain["s"]).tolist()
            assert op(frame[name], frame[name]).dtype == bool

    def test_a_row_is_equal_where_all_of_it_is_and_unequal_where_any_of_it_is(self, frame):
        other = (
            frame["v"]
            + fw.Message({"v": torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])}).to_pandas()["v"]
        )
        assert (frame["v"] == other).tolist() == [True, False, False, True]
        assert (frame["v"] != other).tolist() == [False, True, True, False]

    def test_texts_and_nothing_are_equal_to_no_number(self, frame):
        assert not (frame["s"] == "a").any()
        assert (frame["s"] != "a").all()

    def test_a_number_for_each_row_meets_the_row_and_not_the_last_dimension(self):
        frame = fw.Message({"v": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "s": torch.tensor([10.0, 100.0]), "n": [1, 2]})
        frame = frame.to_pandas()
        assert rows(frame["v"] * frame["s"]) == rows(frame["s"] * frame["v"]) == [[10.0, 20.0], [300.0, 400.0]]
        assert rows(frame["v"] * frame["n"]) == rows(frame["v"] * [1, 2]) == [[1.0, 2.0], [6.0, 8.0]]

    def test_other_columns_of_numbers_take_part(self, frame):
        assert rows(frame["i"] + pd.Series([1, 2, 3, 4])) == [3, 3, 4, 6]
        assert rows(frame["i"] + pd.Series([1, 2, 3, 4], dtype="Int64")) == [3, 3, 4, 6]
        assert rows(pd.Series([1, 2, 3, 4]) - frame["i"]) == [-1, 1, 2, 2]

    def test_signs_and_logic(self, frame):
        assert rows(-frame["i"]) == [-2, -1, -1, -2]
        assert rows(abs(-frame["v"])) == rows(frame["v"])
        assert rows(frame["b"] ^ True) == rows(~frame["b"]) == [False, True, False, True]

    def test_another_number_of_rows_is_refused(self, frame):
        with pytest.raises(ValueError, match=r"^Lengths must match: 4 rows and 2\.$"):
            frame["s"].array + np.array([1.0, 2.0])

    def test_gradients_flow_through_arithmetic(self):
        weight = torch.ones(2, 2, requires_grad=True)
        frame = fw.Message({"w": weight}).to_pandas()
        (frame["w"] * 3).array.tensor.sum().backward()
        assert weight.grad.tolist() == [[3.0, 3.0], [3.0, 3.0]]


class TestMissing:
    def test_a_row_with_nan_is_missing(self):
        frame = fw.Message(
            {
                "s": torch.tensor([1.0, NAN]),
                "v": torch.tensor([[NAN, 1.0], [2.0, 3.0]]),
                "z": torch.tensor([complex(0, NAN), 1]),
                "i": torch.tensor([0, 1]),
                "g": torch.tensor([NAN, 1.0], dtype=torch.bfloat16, requires_grad=True),
            }
        ).to_pandas()
        assert frame.isna().to_dict("list") == {
            "s": [False, True],
            "v": [True, False],
            "z": [True, False],
            "i": [False, False],
            "g": [True, False],
        }
        assert frame[["s", "i"]].dropna().index.tolist() == [0]
        assert frame["s"].fillna(7.0).tolist() == [1.0, 7.0]
        assert frame["s"].sort_values().index.tolist() == [0, 1]
        assert frame.dropna().index.tolist() == []
        assert frame[["i", "v"]].dropna().index.tolist() == [1]

    def test_nan_is_filled_element_by_element(self):
        array = TensorArray(torch.tensor([[NAN, 1.0], [2.0, NAN], [NAN, NAN]]))
        for value, expected in [
            (0.0, [[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]),
            (torch.tensor([8.0, 9.0]), [[8.0, 1.0], [2.0, 9.0], [8.0, 9.0]]),
            ([8, 9], [[8.0, 1.0], [2.0, 9.0], [8.0, 9.0]]),
            (TensorArray(torch.arange(6.0).reshape(3, 2)), [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
        ]:
            assert array.fillna(value).tensor.tolist() == expected
            assert array.isna().all()
        column = pd.Series(array)
        assert rows(column.fillna(0.0)) == [[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]
        assert rows(column.fillna(0.0, limit=1))[0] == [0.0, 1.0]
        assert column.fillna(0.0, limit=1).isna().tolist() == [False, True, True]
        assert rows(column.fillna(pd.Series(TensorArray(torch.ones(3, 2))))) == [[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
        assert array.fillna(7.0, copy=False).tensor.data_ptr() == array.tensor.data_ptr()
        assert not array.isna().any()

    @pytest.mark.parametrize("how", ["ffill", "bfill"])
    @pytest.mark.parametrize("limits", [{}, {"limit": 1}, {"limit_area": "inside"}, {"limit_area": "outside"}])
    def test_neighbours_fill_element_by_element(self, how, limits):
        values = torch.tensor([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [NAN, 4.0], [5.0, NAN]])
        expected = getattr(pd.DataFrame(values.numpy()), how)(**limits)
        np.testing.assert_array_equal(getattr(pd.Series(TensorArray(values)), how)(**limits).array.tensor, expected)
        one = getattr(pd.Series(TensorArray(values[:, 0])), how)(**limits)
        np.testing.assert_array_equal(one.array.tensor, expected[0])

    @pytest.mark.parametrize(
        "options", [{}, {"method": "nearest"}, {"limit": 1, "limit_direction": "both"}, {"method": "index"}]
    )
    def test_neighbours_are_interpolated_element_by_element(self, options):
        values = torch.tensor([[1.0, NAN], [NAN, 2.0], [NAN, NAN], [4.0, 9.0]])
        index = pd.Index([0.0, 1.0, 5.0, 6.0])
        expected = pd.DataFrame(values.numpy(), index=index).interpolate(**options)
        result = pd.Series(TensorArray(values), index=index).interpolate(**options)
        np.testing.assert_allclose(result.array.tensor, expected)

    def test_a_filling_that_does_not_fit_is_refused(self):
        array = TensorArray(torch.tensor([NAN, 1.0]))
        with pytest.raises(ValueError, match=r"^Length of 'value' does not match\. Got \(1\) expected 2$"):
            array.fillna([1.0])
        with pytest.raises(TypeError, match=r"^ExtensionArray\.fillna does not support filling with a dict$"):
            array.fillna({0: 1.0})
        with pytest.raises(TypeError, match=r"^'x' does not fit tensor\[float32\]"):
            array.fillna("x")

    def test_shifting_and_choosing_leave_nan(self, frame):
        assert frame["s"].shift(1).isna().tolist() == frame["v"].shift(1).isna().tolist() == [True, False, False, False]
        assert rows(frame["i"].shift(-3))[0] == 2.0
        assert frame["i"].shift(9).isna().all()
        assert rows(frame["i"].shift(1, fill_value=0)) == [0, 2, 1, 1]
        assert frame["s"].where(frame["key"] == "a").isna().tolist() == [False, True, False, True]
        assert rows(frame["i"].diff().iloc[1:]) == [-1.0, 0.0, 1.0]

    def test_choosing_between_rows(self, frame, tensors):
        a = frame["key"] == "a"
        assert rows(frame["i"].where(a, 0)) == [2, 0, 1, 0]
        assert rows(frame["v"].mask(a, 0.5)) == [[0.5, 0.5], [2.0, 3.0], [0.5, 0.5], [6.0, 7.0]]
        assert rows(frame["v"].where(a, frame["v"] * 10)) == [[0.0, 1.0], [20.0, 30.0], [4.0, 5.0], [60.0, 70.0]]
        array = frame["v"].array
        assert array._where(a.to_numpy(), torch.tensor([8.0, 9.0])).tensor[[1, 3]].tolist() == [[8.0, 9.0]] * 2
        with pytest.raises(ValueError, match=r"^Length of values \(2\) does not match length of index \(4\)$"):
            array._where(a.to_numpy(), [tensors["v"][0]] * 2)
        assert rows(frame["s"].clip(2, 3)) == [3.0, 2.0, 2.0, 3.0]
        with pytest.raises(TypeError, match=r"has no 'ge' between rows; compare the elements of \.array\.tensor\.$"):
            frame["v"].clip(0, 1)

    def test_without_rows_nothing_fails(self):
        frame = fw.Message(
            {"s": torch.zeros(0), "v": torch.zeros(0, 2, 3), "i": torch.zeros(0, dtype=torch.int64)}
        ).to_pandas()
        assert frame.isna().shape == (0, 3)
        assert (frame["v"] == frame["v"]).tolist() == []
        assert frame["v"].sum().tolist() == [[0.0] * 3] * 2
        assert frame.sort_values("v").drop_duplicates().groupby("i").sum().shape == (0, 2)
        assert "Empty DataFrame" in repr(frame)


class TestSetting:
    def test_numbers_rows_and_columns_of_rows_can_be_set(self, frame, tensors):
        copy = frame.copy()
        copy.loc[1, "s"] = 9.5
        copy.loc[copy["key"] == "a", "i"] = 7
        copy.loc[[0, 3], "v"] = TensorArray(torch.tensor([[9.0, 9.0], [8.0, 8.0]]))
        copy["b"] = ~copy["b"]
        assert rows(copy["s"]) == [3.0, 9.5, 2.0, 5.0]
        assert rows(copy["i"]) == [7, 1, 7, 2]
        assert rows(copy["v"]) == [[9.0, 9.0], [2.0, 3.0], [4.0, 5.0], [8.0, 8.0]]
        assert rows(copy["b"]) == [False, True, False, True]
        for name, tensor in tensors.items():
            assert rows(frame[name]) == tensor.tolist()

    def test_an_array_takes_what_fits_a_row(self):
        array = TensorArray(torch.zeros(3, 2))
        array[0] = [1, 2]
        array[0] = TensorArray(torch.tensor([[1.0, 2.0]]))
        array[1:] = [torch.tensor([3.0, 4.0]), None]
        assert array.tensor[:2].tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert array.isna().tolist() == [False, False, True]
        array[np.array([True, False, True])] = 5
        assert array.tensor[[0, 2]].tolist() == [[5.0, 5.0], [5.0, 5.0]]
        array[[0]] = np.array([[6.0, 7.0]])
        assert array.tensor[0].tolist() == [6.0, 7.0]
        array[0] = [NAN, 1.0]
        assert array.tensor[0, 1] == 1.0

    def test_a_frame_takes_rows(self, frame):
        copy, row = frame.copy(), torch.tensor([8.0, 9.0])
        copy.at[0, "v"] = row
        copy.iat[1, 3] = row
        copy.loc[2, "v"] = TensorArray(row[None])
        copy.loc[[False, False, False, True], "v"] = pd.Series(TensorArray(row[None]), index=[3])
        assert rows(copy["v"]) == [[8.0, 9.0]] * 4
        column = frame["v"].copy()
        column[1] = row
        column.iloc[2:] = row
        assert rows(column) == [[0.0, 1.0], *[[8.0, 9.0]] * 3]
        small = frame[["i", "v"]].copy()
        small.loc[4] = [7, row]
        assert rows(small["v"])[4] == [8.0, 9.0]

    def test_a_locked_array_is_never_written(self):
        array = TensorArray(torch.tensor([0.0, 0.0, NAN]))
        array._readonly = True
        for locked in (array, array[1:], array.view()):
            with pytest.raises(ValueError, match=r"^Cannot modify read-only array$"):
                locked[0] = 1.0
        with pytest.raises(ValueError, match=r"^Cannot modify read-only array$"):
            array.fillna(1.0, copy=False)
        assert array.tensor[:2].tolist() == [0.0, 0.0]
        assert not array.copy()._readonly
        assert not array.to_numpy().flags.writeable
        assert np.array(array).flags.writeable

    @pytest.mark.parametrize(("start", "value"), [([1, 2], 2.5), ([True, False], 2), ([1, 2], 2**40)])
    def test_a_value_that_does_not_fit_is_an_error_and_never_cut(self, start, value):
        array = TensorArray(torch.tensor(start, dtype=torch.int32) if value != 2 else torch.tensor(start))
        with pytest.raises(
            TypeError, match=rf"^{value} does not fit tensor\[(int32|bool)\]; convert the column first\.$"
        ):
            array[0] = value
        assert array.tensor.tolist() == start

    def test_a_missing_value_does_not_fit_integers(self):
        array = TensorArray(torch.tensor([1, 2]))
        for missing in (None, pd.NA, NAN):
            with pytest.raises(TypeError, match=r"^tensor\[int64\] has no missing value; convert the column"):
                array[0] = missing


class TestMaking:
    def test_a_series_can_be_made_of_rows_and_a_dtype(self):
        series = pd.Series([[1, 2], None], dtype=TensorDtype(torch.float64, (2,)))
        assert series.array.tensor.dtype == torch.float64
        assert series.isna().tolist() == [False, True]
        assert len(pd.Series([], dtype=TensorDtype(torch.int8, (3,))).array.tensor) == 0

    def test_floats_are_read_as_numpy_reads_them(self):
        assert TensorArray._from_sequence([0.1, 0.2]).tensor.tolist() == [0.1, 0.2]

    def test_a_file_of_texts_is_read_in_the_type_asked_for(self):
        file = io.StringIO('x,v\n1,"[1, 2.5]"\n2,\n')
        frame = pd.read_csv(file, dtype={"x": "tensor[int8]", "v": "tensor[float32, 2]"})
        assert rows(frame["x"]) == [1, 2]
        assert rows(frame["v"])[0] == [1.0, 2.5]
        assert frame["v"].isna().tolist() == [False, True]

    def test_astype_goes_to_other_elements_and_to_other_columns(self, frame):
        assert frame["i"].astype(TensorDtype(torch.float32)).array.tensor.dtype == torch.float32
        assert frame["v"].astype("tensor[float64, 2]").array.tensor.dtype == torch.float64
        assert frame["i"].astype("float64").tolist() == [2.0, 1.0, 1.0, 2.0]
        assert frame["i"].astype("Int8").tolist() == [2, 1, 1, 2]
        assert frame["i"].astype(str).tolist() == ["2", "1", "1", "2"]
        assert frame["i"].astype("category").cat.categories.tolist() == [1, 2]
        assert frame["b"].astype("boolean").tolist() == [True, False, True, False]
        assert [type(row) for row in frame["v"].astype(object)] == [torch.Tensor] * 4
        assert pd.Series([1, 2]).astype("tensor[float32]").array.tensor.tolist() == [1.0, 2.0]

    def test_astype_refuses_what_would_be_lost(self, frame):
        with pytest.raises(TypeError, match=r"^1\.5 does not fit tensor\[int64\]; convert the column first\.$"):
            (frame["s"] / 2).astype(TensorDtype(torch.int64))
        with pytest.raises(ValueError, match=r"^Row 1 of tensor\[float32\] is NaN or infinite, unlike any int64\.$"):
            pd.Series(TensorArray(torch.tensor([1.0, NAN]))).astype("int64")
        with pytest.raises(
            TypeError, match=r"^tensor\[float32, 2\] has rows of more than one number, which a NumPy column of float64"
        ):
            frame["v"].astype(float)
        with pytest.raises(
            ValueError, match=r"^A row of tensor\[float32, 3\] has shape \(3,\); got one of shape \(2,\)\.$"
        ):
            frame["v"].astype("tensor[float32, 3]")

    def test_arrays_of_numpy_share_memory_where_they_can(self, tensors):
        array = TensorArray(tensors["s"])
        assert array.to_numpy().ctypes.data == tensors["s"].data_ptr() != array.to_numpy(copy=True).ctypes.data
        assert array.to_numpy("float64").dtype == "float64"
        missing = TensorArray(torch.tensor([1.0, NAN]))
        assert missing.to_numpy(na_value=0).tolist() == [1.0, 0.0]
        assert missing.to_numpy("int64", na_value=0).tolist() == [1, 0]
        assert missing.to_numpy(na_value=None).tolist() == [1.0, None]
        assert missing.tensor.isnan().tolist() == [False, True]
        vectors = TensorArray(torch.tensor([[1.0], [NAN]])).to_numpy(na_value=torch.tensor([7.0]))
        assert [row.tolist() for row in vectors] == [[1.0], [7.0]]
        with pytest.raises(
            ValueError, match=r"^tensor\[float32, 1\] can't become an array of objects without a copy\.$"
        ):
            np.array(TensorArray(torch.zeros(1, 1)), copy=False)

    def test_functions_of_numpy_give_tensors(self, frame, tensors):
        for name in ("s", "v"):
            assert rows(np.sqrt(frame[name])) == tensors[name].sqrt().tolist()
            assert rows(np.isnan(frame[name])) == tensors[name].isnan().tolist()
            assert rows(np.maximum(frame[name], 2)) == tensors[name].clamp(min=2).tolist()
            assert rows(np.hypot(frame[name], frame[name] * 0)) == tensors[name].tolist()
        whole, part = np.divmod(frame["i"], 2)
        assert (rows(whole), rows(part)) == ([1, 0, 0, 1], [0, 1, 1, 0])
        parts = np.modf(frame["v"].array)
        assert [part.tensor.tolist() for part in parts] == [[[0.0, 0.0]] * 4, tensors["v"].tolist()]
        assert np.add(frame["i"], 1).tolist() == [3, 2, 2, 3]

    def test_rounding(self, frame):
        assert rows((frame["s"] / 3).round(1)) == [1.0, np.float32(0.3), np.float32(0.7), np.float32(1.7)]
        assert TensorArray(torch.tensor([[0.26, 0.74]])).round(1).tensor.tolist() == torch.tensor([[0.3, 0.7]]).tolist()
        assert TensorArray(torch.tensor([14, 16])).round(-1).tensor.tolist() == [10, 20]
        assert rows(frame["i"].round()) == [2, 1, 1, 2]

    def test_a_function_of_rows_keeps_the_type_if_no_value_changes(self):
        floats, ints = (
            pd.Series(TensorArray(torch.tensor([1, 2]).to(element))) for element in (torch.float32, torch.int16)
        )
        assert floats.map(lambda x: x / 2).dtype == "tensor[float32]"
        assert floats.map(lambda x: 0.1).dtype == "tensor[float64]"
        assert ints.map(lambda x: x + 1).dtype == "tensor[int16]"
        assert ints.map(lambda x: x + 2**40).dtype == "tensor[int64]"
        assert ints.map(lambda x: x / 2).dtype == "tensor[float64]"
        assert ints.map(lambda x: x > 1).dtype == bool
        assert ints.map(lambda x: 2**70).dtype == object
        assert ints.map(lambda x: None if x == 1 else x).dtype == "tensor[float64]"
        assert ints.map(lambda x: x == 1 or None).tolist() == [True, None]
        assert ints.map(lambda x: x == 1 or x).tolist() == [True, 2]
        assert floats.map(lambda x: None).dtype == "tensor[float32]"
        assert ints.map(lambda x: torch.full((2,), x)).dtype == "tensor[int64, 2]"
        assert ints.map(torch.zeros).dtype == object

    def test_the_text_of_a_frame_shows_short_rows(self, frame):
        assert "[0, 1]" in repr(frame["v"])
        assert "[2x2 values]" in repr(frame["c"])
        assert "3.0" in repr(frame["s"])
        assert "0.1\n" in repr(pd.Series(TensorArray(torch.tensor([0.1]))))


class TestSharing:
    def test_slices_are_views_and_everything_else_is_a_copy(self, tensors):
        for name, tensor in tensors.items():
            array = TensorArray(tensor)
            for view in (array[1:], array[::2], array[...], array.view(), array.ravel(), array.T):
                assert view.tensor.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
            for copy in (
                array.copy(),
                array.take([0, 1]),
                array[[0]],
                array[::-1],
                array[array == array],
                array.repeat(1),
                array.shift(0),
                array.unique(),
                array.astype(array.dtype),
                pd.concat([pd.Series(array)] * 2).array,
            ):
                assert copy.tensor.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr(), name
            assert array.astype(array.dtype, copy=False) is array

    def test_a_write_to_a_frame_leaves_the_tensor_alone(self, frame, tensors):
        before = {name: tensor.clone() for name, tensor in tensors.items()}
        frame.loc[0, "s"] = 9.0
        frame.loc[:, "i"] = 5
        part = frame.iloc[1:]
        part.loc[2, "s"] = 8.0
        frame["v"] = frame["v"] * 0
        assert rows(frame["s"])[:1] == [9.0]
        assert rows(part["s"]) == [1.0, 8.0, 5.0]
        for name, tensor in tensors.items():
            assert torch.equal(tensor, before[name])

    def test_a_copy_is_independent_and_pickles(self, frame, tensors):
        copy = frame.copy()
        copy["v"].array.tensor.zero_()
        assert rows(frame["v"]) == tensors["v"].tolist()
        assert pickle.loads(pickle.dumps(frame)).equals(frame)

    def test_a_pickled_slice_leaves_the_rest_behind(self):
        array = TensorArray(torch.zeros(100_000))
        assert len(pickle.dumps(array[:10])) < 2_000

    def test_nbytes_counts_the_elements(self, frame):
        assert frame["c"].array.nbytes == 16 * 8


class TestGradients:
    @pytest.fixture
    def weight(self):
        return torch.arange(6.0).reshape(3, 2).requires_grad_()

    @pytest.mark.parametrize(
        ("select", "expected"),
        [
            (lambda column: column.iloc[1:], [[0, 0], [1, 1], [1, 1]]),
            (lambda column: column.iloc[[2, 2]], [[0, 0], [0, 0], [2, 2]]),
            (lambda column: column[[True, False, False]], [[1, 1], [0, 0], [0, 0]]),
            (lambda column: column.copy(), [[1, 1]] * 3),
            (lambda column: pd.concat([column, column]), [[2, 2]] * 3),
            (lambda column: column.reindex([0, 9]).fillna(0.0), [[1, 1], [0, 0], [0, 0]]),
            (lambda column: column * 3 - column, [[2, 2]] * 3),
            (lambda column: column.where([True, True, False], 7.0), [[1, 1], [1, 1], [0, 0]]),
            (lambda column: column.astype("tensor[float64, 2]"), [[1, 1]] * 3),
        ],
    )
    def test_they_flow_back_through_what_rows_go_through(self, weight, select, expected):
        select(pd.Series(TensorArray(weight))).array.tensor.sum().backward()
        assert weight.grad.tolist() == expected

    def test_what_is_computed_in_numbers_is_detached(self, weight):
        frame = pd.DataFrame({"w": TensorArray(weight), "x": TensorArray(weight[:, 0]), "k": [1, 1, 2]})
        assert frame["w"].mean().tolist() == [2.0, 3.0]
        assert frame["x"].sum() == 6.0
        assert not frame.groupby("k")["w"].sum().array.tensor.requires_grad
        assert frame.sort_values("x", ascending=False)["k"].tolist() == [2, 1, 1]
        assert not frame.duplicated(["w"]).any()
        assert "0.0" in repr(frame)
        assert frame["x"].to_numpy().tolist() == [0.0, 2.0, 4.0]

    def test_a_parameter_can_be_written_to(self, weight):
        array = TensorArray(weight)
        array[0] = torch.tensor([8.0, 9.0])
        assert weight.tolist()[0] == [8.0, 9.0]
        assert weight.is_leaf


class TestOfNumbersOnly:
    """What pandas computes of numbers, it computes of a tensor of them."""

    @pytest.fixture
    def both(self):
        values = np.random.default_rng(0).normal(size=30).astype("float32")
        index = pd.date_range("2024-01-01", periods=30, freq="6h")
        return [
            pd.DataFrame({"x": column, "n": other}, index=index)
            for column, other in [
                (TensorArray(torch.from_numpy(values)), TensorArray(torch.arange(30))),
                (values, np.arange(30)),
            ]
        ]

    @pytest.mark.parametrize(
        "compute",
        [
            lambda f: f.rolling(3).mean(),
            lambda f: f["x"].rolling("1D").std(),
            lambda f: f.expanding().sum(),
            lambda f: f["x"].ewm(span=3).mean(),
            lambda f: f.resample("1D").mean(),
            lambda f: f["x"].resample("1D").ohlc(),
            lambda f: f.resample("3h").ffill(),
            lambda f: f.rank(),
            lambda f: f.corr(),
            lambda f: f.describe(),
            lambda f: f.pct_change().iloc[2:],
            lambda f: f.round(1),
            lambda f: f.clip(0, 1),
            lambda f: f.agg(["sum", "mean"]),
            lambda f: f.mean(axis=1),
            lambda f: f.groupby(f["n"] % 3).agg({"x": ["mean", "max"], "n": "sum"}),
            lambda f: f.groupby(f["n"] % 3)["x"].transform(lambda x: x - x.mean()),
            lambda f: f.groupby(f["n"] % 3)["x"].rolling(2).sum(),
            lambda f: f.groupby(f["n"] % 3).quantile([0.2, 0.8]),
            lambda f: f.groupby(f["n"] % 3)["x"].idxmin().astype("int64"),
            lambda f: f.groupby(f["n"] % 3)["x"].describe(),
            lambda f: f.pivot_table(index=f["n"] % 3, columns=f["n"] % 2, values="x"),
            lambda f: f.nlargest(3, "x"),
            lambda f: pd.cut(f["x"], 3, labels=False),
        ],
    )
    def test_as_it_does_of_a_plain_column(self, both, compute):
        ours, theirs = map(compute, both)
        assert ours.index.tolist() == theirs.index.tolist()
        np.testing.assert_allclose(np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=2e-5, atol=1e-5)

    def test_rows_of_more_than_one_number_are_left_out_or_refused(self, frame):
        assert frame.describe().columns.tolist() == ["s", "i"]
        assert frame[["s", "v"]].groupby(frame["key"]).mean(numeric_only=True).columns.tolist() == ["s"]
        with pytest.raises(pd.errors.DataError, match="No numeric types to aggregate"):
            frame["v"].rolling(2).sum()
