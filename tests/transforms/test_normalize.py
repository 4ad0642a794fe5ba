"""Columns to mean 0 and deviation 1, by statistics that are found once, exactly, and never in passing."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import fireworks as fw
from fireworks.errors import ColumnNotFoundError, ColumnTypeError, ColumnValueError, NotFittedError, StateError
from fireworks.testing import PipeContract
from pipelines import table


def noise(num_rows=3000, shape=(3,), *, mean=0.0, scale=1.0, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(num_rows, *shape, generator=generator, dtype=torch.float64) * scale + mean).to(dtype)


def statistics(norm, number=0):
    return getattr(norm, f"mean_{number}").numpy(), getattr(norm, f"deviation_{number}").numpy()


def assert_same_bits(one, other):
    for left, right in zip(statistics(one), statistics(other), strict=True):
        assert left.tobytes() == right.tobytes()


def fitted(x, **arguments):
    return fw.Normalize("x", **arguments).fit(fw.Message({"x": x}))


values = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 3)),
    elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 6)),
)


class TestStatistics:
    """Against NumPy in float64."""

    @given(values, st.booleans())
    @settings(deadline=None)
    def test_they_are_those_of_numpy(self, x, per_element):
        mean, deviation = statistics(fitted(torch.from_numpy(x), per_element=per_element))
        axis = 0 if per_element else None
        assert mean.shape == deviation.shape == x.mean(axis=axis).shape
        np.testing.assert_allclose(mean, x.mean(axis=axis), rtol=1e-12, atol=1e-9)
        spread = x.max(axis=axis) - x.min(axis=axis)
        expected = np.where(spread > 0, x.std(axis=axis), 1.0)
        np.testing.assert_allclose(deviation, expected, rtol=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    def test_a_large_offset_costs_no_digits(self, dtype):
        x = noise(20_000, (), mean=1e6, dtype=dtype)
        mean, deviation = statistics(fitted(x))
        exact = x.numpy().astype(np.longdouble)
        assert mean == pytest.approx(float(exact.mean()), rel=1e-15)
        assert deviation == pytest.approx(float(exact.std()), rel=1e-12)

    def test_what_comes_out_has_mean_0_and_deviation_1(self):
        x = torch.stack([noise(5000, (), mean=10, scale=3), noise(5000, (), mean=1e6, seed=1)], dim=1)
        y = fitted(x)(fw.Message({"x": x}))["x"]
        assert torch.allclose(y.mean(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-9)
        assert torch.allclose(y.std(dim=0, correction=0), torch.ones(2, dtype=torch.float64), atol=1e-9)

    def test_a_second_normalisation_on_top_sees_0_and_1(self):
        data = fw.source({"x": noise(1000, (2,), mean=20, scale=4)})
        first = fw.Normalize("x").fit(data)
        mean, deviation = statistics(fw.Normalize("x").fit(data.map(first)))
        assert np.abs(mean).max() < 1e-12
        np.testing.assert_allclose(deviation, 1, rtol=1e-12)

    def test_images_have_one_mean_per_pixel_or_one_for_all(self):
        x = torch.from_numpy(np.random.default_rng(0).integers(0, 17, size=(100, 1, 8, 8)).astype(np.float32))
        mean, deviation = statistics(fitted(x))
        np.testing.assert_allclose(mean, x.numpy().astype(np.float64).mean(axis=0), rtol=1e-12)
        assert mean.shape == deviation.shape == (1, 8, 8)
        mean, deviation = statistics(fitted(x, per_element=False))
        np.testing.assert_allclose(
            [mean, deviation], [x.numpy().mean(dtype="f8"), x.numpy().std(dtype="f8")], rtol=1e-12
        )
        assert fitted(x, per_element=False).num_fitted == 100
        assert fitted(x)(fw.Message({"x": x}))["x"].shape == (100, 1, 8, 8)

    @pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e6 + 0.1, 1e-30])
    @pytest.mark.parametrize("num_rows", [1, 3, 2500])
    def test_an_element_that_is_always_the_same_is_only_shifted(self, constant, num_rows):
        x = torch.stack([torch.full((num_rows,), constant, dtype=torch.float64), noise(num_rows, ())], dim=1)
        norm = fitted(x)
        mean, deviation = statistics(norm)
        assert (mean[0], deviation[0]) == (constant, 1.0)
        assert not norm(fw.Message({"x": x}))["x"][:, 0].any()
        assert norm(fw.Message({"x": x + 2}))["x"][0, 0].item() == pytest.approx(2)

    def test_several_columns_each_have_their_own(self):
        rows = fw.Message({"a": noise(10, (2,)), "b": noise(10, (), seed=1), "c": noise(10, (), seed=2)})
        norm = fw.Normalize("b", "a").fit(rows)
        assert statistics(norm, 0)[0] == pytest.approx(rows["b"].numpy().mean())
        np.testing.assert_allclose(statistics(norm, 1)[0], rows["a"].numpy().mean(axis=0))
        result = norm(rows)
        assert result.columns == ["a", "b", "c"]
        assert result["c"] is rows["c"]

    def test_columns_whose_names_hold_dots(self):
        rows = fw.Message({"layer.0": noise(9, (2,)), "self": noise(9, (2,))})
        norm = fw.Normalize("layer.0", "self").fit(rows)
        other = fw.Normalize("layer.0", "self")
        other.load_state_dict(norm.state_dict())
        assert other(rows) == norm(rows)

    def test_the_rows_that_it_was_fitted_on_are_counted(self):
        assert fitted(noise(2500)).num_fitted == 2500


class TestTypes:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
    def test_floating_tensors_keep_their_type_and_are_rounded_once(self, dtype):
        x = noise(500, (2,), mean=3, dtype=dtype)
        y = fitted(x)(fw.Message({"x": x}))["x"]
        exact = x.double().numpy()
        assert y.dtype == dtype
        expected = torch.from_numpy((exact - exact.mean(axis=0)) / exact.std(axis=0))
        if dtype == torch.float64:
            np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
        else:
            assert torch.equal(y, expected.to(dtype))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.bool], ids=str)
    def test_whole_numbers_become_the_default_type(self, dtype):
        x = torch.tensor([0, 1, 1, 0, 1]).to(dtype)
        y = fitted(x)(fw.Message({"x": x}))["x"]
        assert y.dtype == torch.float32
        expected = (x.double().numpy() - 0.6) / x.double().numpy().std()
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)

    @pytest.mark.parametrize(
        ("column", "kind"),
        [
            (np.arange(5.0), "float64"),
            (np.arange(5, dtype=np.float32), "float32"),
            (np.arange(5), "float32"),
            (np.arange(5, dtype=">i4"), "float32"),
            (np.arange(5.0)[::-1], "float64"),
            (np.arange(10.0)[::2], "float64"),
            ([0, 1, 2, 3, 4], "float32"),
            (pd.array([0, 1, 2, 3, 4], dtype="Int64"), "float32"),
            (pd.array([0, 1, 2, 3, 4], dtype="Float64"), "float64"),
            (pd.array([0, 1, 2, 3, 4], dtype="int32[pyarrow]"), "float32"),
        ],
        ids=lambda value: f"{getattr(value, 'dtype', value)}"[:20],
    )
    def test_columns_of_numbers_that_are_no_tensors_stay_none(self, column, kind):
        rows = fw.Message({"x": column})
        result = fw.Normalize("x").fit(rows)(rows)
        assert result.raw("x").dtype == np.dtype(kind)
        plain = np.asarray(column).astype(float)
        np.testing.assert_allclose(result["x"], (plain - plain.mean()) / plain.std(), rtol=1e-6)

    def test_a_column_that_is_only_lent_is_not_written_to(self):
        column = np.arange(5.0)
        column.flags.writeable = False
        rows = fw.Message({"x": column})
        fw.Normalize("x").fit(rows)(rows)
        assert rows["x"].tolist() == [0, 1, 2, 3, 4]

    def test_the_message_stays_as_it_was(self):
        rows = fw.Message({"x": noise(10), "n": np.arange(10)})
        before = copy.deepcopy(rows)
        fw.Normalize("x", "n").fit(rows)(rows)
        assert rows == before

    def test_gradients_flow_through_it(self):
        x = noise(10, (2,)).requires_grad_()
        norm = fitted(x)
        norm(fw.Message({"x": x}))["x"].sum().backward()
        np.testing.assert_allclose(x.grad, np.tile(1 / norm.deviation_0.numpy(), (10, 1)))


class TestHowDataIsRead:
    def data(self, x=None):
        return fw.source({"x": noise(3000, mean=1e3) if x is None else x})

    def test_one_pipe_gives_the_same_bits_however_it_is_read(self):
        data = self.data()
        whole = fw.Normalize("x").fit(data)
        for pipe in (self.data(), data.batch(7), data.batch(1024), data.batch(5000), data.at_epoch(3), data.take(3000)):
            assert_same_bits(fw.Normalize("x").fit(pipe), whole)
        assert_same_bits(fw.Normalize("x").fit(data.to_message()), whole)

    @pytest.mark.parametrize("per_element", [True, False])
    def test_how_rows_lie_in_memory_changes_no_bit(self, per_element):
        x = noise(3, (3000,), mean=1e3).T  # columns lie apart
        lying = {"turned": x, "plain": x.contiguous(), "strided": torch.cat([x, x], dim=1)[:, :3]}
        found = {
            (name, size): fw.Normalize("x", per_element=per_element).fit(self.data(rows).batch(size))
            for name, rows in lying.items()
            for size in (7, 1024, 3000)
        }
        for norm in found.values():
            assert_same_bits(norm, found["plain", 1024])

    @pytest.mark.parametrize("num_threads", [1, 2])
    def test_the_number_of_threads_changes_no_bit(self, num_threads):
        data, before = self.data(noise(2000, (50,))), torch.get_num_threads()
        whole = fw.Normalize("x").fit(data)
        try:
            torch.set_num_threads(num_threads)
            assert_same_bits(fw.Normalize("x").fit(data), whole)
        finally:
            torch.set_num_threads(before)

    def test_a_stream_gives_the_same_bits_as_the_rows_in_memory(self):
        x = noise(3000)
        stream = fw.source(lambda: (fw.Message({"x": part}) for part in x.split([1, 1500, 900, 599])))
        assert_same_bits(fw.Normalize("x").fit(stream), fw.Normalize("x").fit(self.data(x)))

    def test_another_order_gives_the_same_up_to_rounding(self):
        data = self.data()
        whole = fw.Normalize("x").fit(data)
        for pipe in (data.shuffle(seed=0), data.shuffle(seed=0).at_epoch(2), data.batch(7).shuffle(seed=1)):
            other = fw.Normalize("x").fit(pipe)
            for left, right in zip(statistics(other), statistics(whole), strict=True):
                np.testing.assert_allclose(left, right, rtol=1e-12)

    def test_a_pipe_is_read_in_epoch_0_and_begins_no_epoch(self):
        data = self.data().shuffle(seed=0)
        fw.Normalize("x").fit(data)
        assert next(iter(data)) == next(iter(self.data().shuffle(seed=0)))

    def test_only_the_rows_that_are_given_count(self):
        data = fw.source({"x": torch.arange(10.0)})
        assert fw.Normalize("x").fit(data.filter("x", "<", 4)).mean_0.item() == 1.5
        train, _ = data.split(0.7, 0.3, seed=0)
        norm = fw.Normalize("x").fit(train)
        assert norm.num_fitted == 7
        assert norm.mean_0.item() == pytest.approx(train.to_message()["x"].mean().item())

    def test_batches_that_a_filter_left_empty_are_no_error(self):
        data = fw.source({"x": torch.arange(10.0)}).batch(2).filter("x", ">", 5)
        assert fw.Normalize("x").fit(data).mean_0.item() == 7.5


class TestNeverInPassing:
    def test_using_it_changes_nothing(self):
        norm = fitted(noise(50))
        before = copy.deepcopy(norm.state_dict())
        norm.train()
        for _ in range(3):
            norm(fw.Message({"x": noise(50, mean=100)}))
        list(fw.source({"x": noise(50, mean=100)}).map(norm).batch(7))
        assert norm.num_fitted == 50
        assert torch.equal(norm.mean_0, before["mean_0"])
        assert torch.equal(norm.deviation_0, before["deviation_0"])

    def test_before_fit_it_is_an_error_not_a_fit(self):
        norm = fw.Normalize("x")
        with pytest.raises(NotFittedError, match=r"Normalize\(x\) is not fitted yet; call \.fit\(train\) first"):
            norm(fw.Message({"x": noise(5)}))
        assert norm.mean_0 is None

    def test_fitting_again_begins_anew(self):
        norm = fitted(noise(50, mean=100))
        norm.fit(fw.Message({"x": noise(20)}))
        assert_same_bits(norm, fitted(noise(20)))
        assert norm.num_fitted == 20

    def test_a_fit_that_fails_changes_nothing(self):
        norm = fw.Normalize("x", "y")
        norm.fit(fw.Message({"x": noise(5), "y": noise(5)}))
        before = copy.deepcopy(norm.state_dict())
        with pytest.raises(ColumnValueError):
            norm.fit(fw.Message({"x": noise(9), "y": noise(9) / 0}))
        assert all(torch.equal(norm.state_dict()[name], before[name]) for name in ("mean_0", "mean_1"))
        assert norm.num_fitted == 5

    def test_it_has_no_parameters_to_train(self):
        assert list(fitted(noise(5)).all_parameters()) == []


class TestState:
    def test_a_scaffold_takes_it_into_one_that_is_not_fitted(self, tmp_path):
        rows = fw.Message({"x": noise(50, (1, 4)), "n": np.arange(50)})
        norm, other = fw.Normalize("x", "n").fit(rows), fw.Normalize("x", "n")
        fw.Scaffold(norm=norm).save(tmp_path)
        fw.Scaffold(norm=other).load(tmp_path)
        assert_same_bits(other, norm)
        assert other.num_fitted == 50
        assert other(rows) == norm(rows)

    def test_inside_another_model_it_travels_along(self):
        norm = fitted(noise(50))
        one, other = (torch.nn.ModuleDict({"a": each}) for each in (norm, fw.Normalize("x")))
        other.load_state_dict(one.state_dict())
        assert_same_bits(other["a"], norm)

    def test_a_fitted_one_takes_a_state_of_another_shape(self):
        norm = fitted(noise(50))
        norm.load_state_dict(fitted(noise(20, (7,))).state_dict())
        assert_same_bits(norm, fitted(noise(20, (7,))))

    def test_a_fitted_one_can_be_put_back_to_unfitted(self, tmp_path):
        norm = fitted(noise(50))
        norm.load_state_dict(fw.Normalize("x").state_dict())
        assert (norm.mean_0, norm.num_fitted) == (None, 0)

    @pytest.mark.parametrize(
        "other", [fw.Normalize("y"), fw.Normalize("x", "y"), fw.Normalize("x", per_element=False)], ids=repr
    )
    def test_a_state_of_other_columns_is_refused_and_changes_nothing(self, other):
        rows = fw.Message({"x": noise(50), "y": noise(50, seed=1)})
        norm, before = fitted(noise(9)), fitted(noise(9))
        with pytest.raises(StateError, match=r"Normalize\(x\), per_element=True: the state is of columns \["):
            norm.load_state_dict(other.fit(rows).state_dict())
        assert_same_bits(norm, before)
        assert norm.num_fitted == 9

    def test_a_state_is_not_tied_to_the_one_that_gave_it(self):
        norm = fw.Normalize("x")
        norm.state_dict()["_extra_state"]["columns"].append("y")
        assert norm.columns == ["x"]

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda norm: pickle.loads(pickle.dumps(norm))])
    def test_it_can_be_copied(self, copied):
        norm = fitted(noise(50))
        assert_same_bits(copied(norm), norm)
        assert copied(fw.Normalize("x")).mean_0 is None

    @pytest.mark.parametrize(
        "convert", [lambda norm: norm.half(), lambda norm: norm.to(torch.bfloat16), lambda norm: norm.float()]
    )
    def test_converting_the_net_around_it_leaves_the_statistics_in_float64(self, convert):
        norm = fitted(noise(50, mean=1e6))
        outer = torch.nn.ModuleDict({"norm": norm, "net": torch.nn.Linear(1, 1)})
        convert(outer)
        assert_same_bits(norm, fitted(noise(50, mean=1e6)))
        assert outer["net"].weight.dtype != torch.float64

    def test_moving_it_works(self):
        assert fitted(noise(5)).to("meta").mean_0.device.type == "meta"
        assert fw.Normalize("x").half().mean_0 is None

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_on_a_gpu_it_gives_what_the_cpu_gives(self):
        x = noise(50, mean=1e6, dtype=torch.float32)
        norm = fitted(x)
        expected = norm(fw.Message({"x": x}))["x"]
        for each in (norm, copy.deepcopy(norm).cuda(), fitted(x.cuda())):
            assert torch.equal(each(fw.Message({"x": x.cuda()}))["x"].cpu(), expected)


def make_norm():
    return fw.Normalize("x", "n", "w").fit(table())


PIPES = {
    "rows": lambda: table().map(make_norm()),
    "shuffled batches": lambda: table().map(make_norm()).shuffle(seed=0).batch(4),
    "behind batch": lambda: table().batch(4).map(make_norm()),
}


@pytest.mark.parametrize("name", PIPES)
class TestInAPipeline(PipeContract):
    @pytest.fixture
    def make_pipe(self, name):
        return PIPES[name]


class TestBadInput:
    def test_no_column_is_refused(self):
        with pytest.raises(ValueError, match="Normalize: name at least one column"):
            fw.Normalize()

    @pytest.mark.parametrize(
        "data", [{"x": [1.0]}, pd.DataFrame({"x": [1.0]}), noise(5), None], ids=lambda d: type(d).__name__
    )
    def test_what_is_no_pipe_is_refused(self, data):
        with pytest.raises(
            TypeError,
            match=rf"Normalize\.fit: expected a pipe or a message; got {type(data).__name__}\. Wrap it: fw\.source",
        ):
            fw.Normalize("x").fit(data)

    def test_a_missing_column_is_named(self):
        rows = fw.Message({"pixels": noise(5)})
        with pytest.raises(
            ColumnNotFoundError, match=r"Normalize\(pixel\): no column 'pixel'; .*Did you mean 'pixels'\?"
        ):
            fw.Normalize("pixel").fit(rows)
        with pytest.raises(ColumnNotFoundError, match=r"Normalize\(x\): no column 'x'; columns are \['pixels'\]"):
            fitted(noise(5))(rows)

    @pytest.mark.parametrize(
        ("column", "kind"),
        [
            (["a", "b"], "str"),
            ([None, object()], "object"),
            (pd.Categorical([1, 2]), "category"),
            (pd.to_datetime(["2024-01-01", "2024-01-02"]), r"datetime64\[.s\]"),
            (torch.tensor([1j, 2]), r"torch\.complex64"),
            (np.array([1j, 2]), "complex128"),
        ],
        ids=["text", "objects", "categories", "dates", "complex tensor", "complex"],
    )
    def test_a_column_of_no_real_numbers_is_refused(self, column, kind):
        rows = fw.Message({"x": column})
        for act in (fw.Normalize("x").fit, fitted(noise(2, ()))):
            with pytest.raises(
                ColumnTypeError, match=rf"Normalize\(x\): column 'x' holds {kind}; only real numbers have a mean"
            ):
                act(rows)

    @pytest.mark.parametrize(
        "empty", [fw.Message(), fw.Message({"x": torch.zeros(0, 3)}), fw.source({"x": torch.zeros(0)})]
    )
    def test_no_rows_are_refused(self, empty):
        with pytest.raises(ColumnValueError, match=r"Normalize\(x\): there are no rows to fit on"):
            fw.Normalize("x").fit(empty)

    def test_rows_of_another_shape_than_fitted_are_refused(self):
        norm = fitted(noise(5, (1, 8, 8)))
        with pytest.raises(
            ColumnValueError, match=r"column 'x' was fitted with rows of shape \(1, 8, 8\); now they are \(8, 8\)"
        ):
            norm(fw.Message({"x": noise(5, (8, 8))}))

    def test_one_mean_for_all_fits_rows_of_any_shape(self):
        assert fitted(noise(5, (2, 2)), per_element=False)(fw.Message({"x": noise(5, (7,))}))["x"].shape == (5, 7)

    def test_no_rows_after_fitting_are_no_error(self):
        assert fitted(noise(5))(fw.Message({"x": noise(0)}))["x"].shape == (0, 3)


class TestMissingValues:
    """A value that is missing or not finite is an error that names the rows of the source."""

    def holed(self, num_rows=3000, *, bad, value=float("nan")):
        x = noise(num_rows)
        x[list(bad), 1] = value
        return x

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_rows_of_the_source_are_named(self, value):
        x = self.holed(bad=[5, 2047, 2900], value=value)
        text = (
            r"Normalize\(x\): column 'x' has NaN or infinite values, first in rows \[5\] of the source; filter or fill"
        )
        for data in (fw.Message({"x": x}), fw.source({"x": x}), fw.source({"x": x}).batch(7)):
            with pytest.raises(ColumnValueError, match=text):
                fw.Normalize("x").fit(data)

    def test_rows_keep_their_numbers_behind_filters_and_splits(self):
        x = self.holed(100, bad=[70, 71])
        data = fw.source({"x": x, "n": torch.arange(100)})
        with pytest.raises(ColumnValueError, match=r"first in rows \[70, 71\] of the source"):
            fw.Normalize("x").fit(data.filter("n", ">=", 50))
        parts = data.split(0.5, 0.5, seed=0)
        holes = [[n for n in part.to_message()["n"].tolist() if n in (70, 71)] for part in parts]
        for part, rows in zip(parts, holes, strict=True):
            if rows:
                with pytest.raises(ColumnValueError) as caught:
                    fw.Normalize("x").fit(part)
                assert f"first in rows {rows} of the source" in str(caught.value)
        assert sorted(row for rows in holes for row in rows) == [70, 71]
        fw.Normalize("x").fit(data.filter("n", "<", 70))

    def test_ten_are_named_and_no_more(self):
        with pytest.raises(ColumnValueError, match=r"first in rows \[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\] of the source"):
            fitted(torch.full((20,), float("nan")))

    @pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "int64[pyarrow]"])
    def test_nulls_are_named_too(self, dtype):
        column = pd.array([1, None, 0, None], dtype=dtype)
        data = fw.source({"n": np.arange(4), "x": column}).filter("n", ">", 1)
        with pytest.raises(
            ColumnValueError, match=r"column 'x' has nulls, first in rows \[3\] of the source; filter or fill"
        ):
            fw.Normalize("x").fit(data)
        with pytest.raises(ColumnValueError, match=r"column 'x' has nulls, first in rows \[1, 3\]"):
            fitted(noise(4, ()))(fw.Message({"x": column}))

    def test_nan_passes_through_one_that_is_fitted(self):
        norm = fitted(torch.tensor([0.0, 2.0]))
        assert norm(fw.Message({"x": torch.tensor([1.0, float("nan")])}))["x"].isnan().tolist() == [False, True]
