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


class TestDtype:
    def test_its_name_says_element_and_row_shape(self, frame):
        assert [str(frame.dtypes[name]) for name in "sibvc"] == [
            "tensor[float32]",
            "tensor[int64]",
            "tensor[bool]",
            "tensor[float32, 2]",
            "tensor[int64, 2, 2]",
        ]

    def test_dtypes_compare_by_element_and_shape(self):
        assert TensorDtype(torch.int64, (2,)) == TensorDtype(torch.int64, (2,))
        assert hash(TensorDtype(torch.int64, (2,))) == hash(TensorDtype(torch.int64, (2,)))
        assert TensorDtype(torch.int64, (2,)) != TensorDtype(torch.int64, (3,))
        assert TensorDtype(torch.int64) != TensorDtype(torch.int32)

    def test_it_is_not_made_from_text(self):
        with pytest.raises(TypeError, match="Cannot construct a 'TensorDtype' from 'tensor'"):
            TensorDtype.construct_from_string("tensor")
        assert TensorDtype() != "float32"

    @pytest.mark.parametrize(
        "element", [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.uint16, torch.complex64]
    )
    def test_elements_that_numpy_lacks_can_be_shown_and_selected(self, element):
        frame = fw.Message({"x": torch.arange(4).to(element), "k": [1, 2, 3, 4]}).to_pandas()
        assert "x" in repr(frame)
        assert frame[frame["k"] > 2]["x"].tolist() == [2, 3]
        assert frame.sort_values("k", ascending=False)["x"].tolist() == [3, 2, 1, 0]
        assert fw.Message(pd.concat([frame, frame], ignore_index=True))["x"].dtype == element


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
        with pytest.raises(IndexError):
            frame["s"].array.take([4])
        with pytest.raises(IndexError, match="out of bounds for 4 rows"):
            frame["s"].array.take([0, 4, -1], allow_fill=True)


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

    def test_rows_with_nan_are_skipped_or_spread(self):
        frame = fw.Message(
            {"s": torch.tensor([1.0, NAN, 3.0]), "v": torch.tensor([[1.0, 2.0], [NAN, 9.0], [3.0, 4.0]])}
        )
        frame = frame.to_pandas()
        assert frame["s"].mean() == 2.0
        assert frame["v"].mean().tolist() == [2.0, 3.0]
        assert frame["v"].median().tolist() == [2.0, 3.0]
        assert np.isnan(frame["s"].mean(skipna=False))
        assert frame["v"].sum(skipna=False).isnan().tolist() == [True, False]
        assert frame["v"].median(skipna=False).isnan().tolist() == [True, False]

    def test_what_rows_have_not_is_refused_by_name(self, frame):
        with pytest.raises(
            TypeError, match=r"^tensor\[float32, 2\] has no 'any' over its rows; there are sum, prod, min"
        ):
            frame["v"].any()


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
        with pytest.raises(TypeError, match=r"^tensor\[int64\] has no missing value, so row 2 can't be filled\.$"):
            frame[["key", "i"]].merge(other, on="key", how="right")

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
        assert rows(frame["v"].fillna(0.0)) == [[0.0, 0.0], [2.0, 3.0]]
        assert frame["s"].sort_values().index.tolist() == [0, 1]

    def test_shifting_leaves_nan_or_an_error_where_there_is_no_nan(self, frame):
        assert frame["s"].shift(1).isna().tolist() == frame["v"].shift(1).isna().tolist() == [True, False, False, False]
        assert frame["s"].where(frame["key"] == "a").isna().tolist() == [False, True, False, True]
        with pytest.raises(TypeError, match=r"^tensor\[int64\] has no missing value; convert the column to floating"):
            frame["i"].shift(1)

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
        array[1:] = [torch.tensor([3.0, 4.0]), None]
        assert array.tensor[:2].tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert array.isna().tolist() == [False, False, True]
        array[np.array([True, False, True])] = 5
        assert array.tensor[[0, 2]].tolist() == [[5.0, 5.0], [5.0, 5.0]]
        array[[0]] = np.array([[6.0, 7.0]])
        assert array.tensor[0].tolist() == [6.0, 7.0]

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

    def test_astype_goes_to_other_elements_and_to_numpy(self, frame):
        assert frame["i"].astype(TensorDtype(torch.float32)).array.tensor.dtype == torch.float32
        assert frame["i"].astype("float64").tolist() == [2.0, 1.0, 1.0, 2.0]
        assert [type(row) for row in frame["v"].astype(object)] == [torch.Tensor] * 4
        with pytest.raises(TypeError, match=r"does not fit tensor\[int64\]"):
            (frame["s"] / 2).astype(TensorDtype(torch.int64))

    def test_floats_are_read_as_numpy_reads_them(self):
        assert TensorArray._from_sequence([0.1, 0.2]).tensor.tolist() == [0.1, 0.2]

    def test_a_copy_is_independent_and_pickles(self, frame, tensors):
        copy = frame.copy()
        copy["v"].array.tensor.zero_()
        assert rows(frame["v"]) == tensors["v"].tolist()
        assert pickle.loads(pickle.dumps(frame)).equals(frame)

    def test_nbytes_counts_the_elements(self, frame):
        assert frame["c"].array.nbytes == 16 * 8

    def test_the_text_of_a_frame_shows_short_rows(self, frame):
        assert "[0, 1]" in repr(frame["v"])
        assert "[2x2 values]" in repr(frame["c"])
        assert "3.0" in repr(frame["s"])
