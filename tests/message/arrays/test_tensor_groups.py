import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.message.arrays.tensor_groups import _BLOCK, KERNELS, aggregate

NAN = math.nan
IDS = np.array([1, 0, 1, -1, 0, 1, 3])  # group 2 has no rows
ELEMENTS = [torch.float32, torch.float64, torch.int64, torch.int16, torch.uint8, torch.uint16, torch.uint64, torch.bool]
EVERY = [*KERNELS, "median", "skew", "kurt"]
RUNNING = ["cumsum", "cumprod", "cummin", "cummax"]


def by_pandas(rows, ids, num_groups, how, *, min_count=None, **options):
    """Each element as a plain column of pandas, grouped by pandas' compiled code."""
    plain = pd.DataFrame(rows.flatten(1).numpy() if rows.dim() > 1 else rows.numpy())
    key = pd.Categorical.from_codes(ids, range(num_groups))
    grouped = plain.groupby(key, observed=False)
    if min_count is not None:
        options["min_count"] = min_count
    result = getattr(grouped, how)(**options).to_numpy(dtype=float)
    return result.reshape(num_groups, *rows.shape[1:])


def compare(rows, how, ids=IDS, num_groups=4, **options):
    result = aggregate(rows, ids, num_groups, how, **options)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(result.double().numpy(), by_pandas(rows, ids, num_groups, how, **options), rtol=1e-5)
    return result


def rows_of(element, shape, *, with_nan=False, seed=0):
    values = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, size=(len(IDS), *shape)).astype(float))
    if with_nan and element.is_floating_point:
        values[torch.rand(values.shape, generator=torch.Generator().manual_seed(seed)) < 0.4] = NAN
    return values.to(element)


@pytest.mark.parametrize("how", EVERY)
class TestAgainstPandas:
    @pytest.mark.parametrize("element", ELEMENTS)
    @pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
    def test_every_element_is_grouped_as_a_plain_column(self, how, element, shape):
        if element == torch.bool and how in {"skew", "kurt", "median"}:
            pytest.skip("pandas itself has none of booleans")
        result = compare(rows_of(element, shape), how)
        assert result.shape == (4, *shape)

    @pytest.mark.parametrize("element", [torch.float32, torch.float64])
    @pytest.mark.parametrize("skipna", [True, False])
    def test_nan_is_skipped_element_by_element_or_spreads(self, how, element, skipna):
        for seed in range(3):
            compare(rows_of(element, (3,), with_nan=True, seed=seed), how, skipna=skipna)

    def test_without_rows_every_group_is_empty(self, how):
        result = aggregate(torch.zeros(0, 2), np.array([], dtype=np.int64), 2, how)
        assert result.shape == (2, 2)
        expected = {"sum": 0.0, "prod": 1.0, "any": 0.0, "all": 1.0}.get(how, NAN)
        np.testing.assert_array_equal(result.double(), np.full((2, 2), expected))

    def test_rows_without_elements_stay_so(self, how):
        assert aggregate(torch.zeros(7, 2, 0), IDS, 4, how).shape == (4, 2, 0)

    def test_infinity_is_a_value(self, how):
        compare(torch.tensor([math.inf, 1, 2, 3, -math.inf, NAN, 5]), how)
        compare(torch.tensor([math.inf, 1, -math.inf, 3, 4, 5, 6]), how)

    @given(st.data())
    @settings(deadline=None, max_examples=10)
    def test_any_groups(self, how, data):
        size, num_groups = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 4))
        ids = np.array(
            data.draw(st.lists(st.integers(-1, num_groups - 1), min_size=size, max_size=size)), dtype=np.int64
        )
        number = st.sampled_from([0.0, 1.0, -2.5, 1e3, NAN])
        rows = data.draw(st.lists(st.tuples(number, number), min_size=size, max_size=size))
        compare(torch.tensor(rows, dtype=torch.float64).reshape(size, 2), how, ids, num_groups)


class TestOptions:
    @pytest.mark.parametrize("how", ["sum", "prod", "min", "max", "first", "last"])
    @pytest.mark.parametrize("min_count", [0, 1, 2, 3])
    def test_too_few_elements_give_nan(self, how, min_count):
        compare(rows_of(torch.float32, (2,), with_nan=True), how, min_count=min_count)
        compare(rows_of(torch.int64, ()), how, min_count=min_count)

    @pytest.mark.parametrize("how", ["var", "std", "sem"])
    @pytest.mark.parametrize("ddof", [0, 1, 2, 5])
    def test_the_degrees_of_freedom_are_honoured(self, how, ddof):
        compare(rows_of(torch.float64, (2,), with_nan=True), how, ddof=ddof)


class TestTypes:
    @pytest.mark.parametrize(
        ("how", "element", "expected"),
        [
            ("sum", torch.int8, torch.int64),
            ("sum", torch.bool, torch.int64),
            ("sum", torch.uint8, torch.int64),
            ("prod", torch.uint16, torch.int64),
            ("sum", torch.float32, torch.float32),
            ("sum", torch.bfloat16, torch.bfloat16),
            ("mean", torch.float16, torch.float16),
            ("mean", torch.int32, torch.float64),
            ("median", torch.float32, torch.float32),
            ("std", torch.bool, torch.float64),
            ("max", torch.uint8, torch.uint8),
            ("max", torch.bool, torch.bool),
            ("first", torch.uint16, torch.uint16),
            ("min", torch.float8_e5m2, torch.float8_e5m2),
            ("any", torch.float32, torch.bool),
            ("all", torch.int64, torch.bool),
            ("sum", torch.complex64, torch.complex64),
            ("cumsum", torch.uint8, torch.int64),
            ("cummax", torch.int16, torch.int16),
            ("cumsum", torch.uint64, torch.uint64),
            ("rank", torch.float32, torch.float64),
        ],
    )
    def test_sums_are_int64_and_floats_keep_their_type(self, how, element, expected):
        for shape in ((), (2,)):
            options = {"rank": {"ties_method": "average", "ascending": True, "pct": False, "na_option": "keep"}}.get(
                how, {}
            )
            if how.startswith("cum"):
                options = {"skipna": True}
            rows = torch.ones(4, *shape).to(element)
            assert aggregate(rows, np.array([0, 0, 1, 1]), 2, how, **options).dtype == expected

    @pytest.mark.parametrize("how", ["min", "max", "first", "last"])
    @pytest.mark.parametrize("element", [torch.int64, torch.bool, torch.uint16])
    def test_a_group_without_rows_makes_integers_floats(self, how, element):
        result = aggregate(torch.tensor([1, 1]).to(element), np.array([0, 0]), 2, how)
        np.testing.assert_array_equal(result, [1.0, NAN])
        assert result.dtype == torch.float64

    def test_large_integers_are_summed_exactly(self):
        rows = torch.tensor([2**62, 2**62 - 1, 1])
        assert aggregate(rows, np.array([0, 0, 1]), 2, "sum").tolist() == [2**63 - 1, 1]

    def test_an_integer_that_float64_can_not_hold_is_an_error_where_nan_is_needed(self):
        with pytest.raises(TypeError, match=r"^9007199254740993 does not fit tensor\[float64\]"):
            aggregate(torch.tensor([2**53 + 1]), np.array([0]), 2, "max")

    @pytest.mark.parametrize("how", ["sum", "prod", "mean", "any", "all", "first", "last"])
    def test_complex_numbers_are_grouped_with_nan_skipped(self, how):
        rows = torch.tensor([1 + 1j, complex(NAN, 2), 2, 3j])
        result = aggregate(rows, np.array([0, 0, 0, 1]), 2, how)
        one = [1 + 1j, 2]
        expected = {"sum": sum(one), "prod": np.prod(one), "mean": np.mean(one), "first": one[0], "last": one[1]}.get(
            how, True
        )
        np.testing.assert_allclose(result, [expected, 3j if how not in {"any", "all"} else True])

    @pytest.mark.parametrize("how", ["min", "var", "median", "cummax"])
    def test_complex_numbers_have_no_order_and_no_spread(self, how):
        with pytest.raises(
            TypeError,
            match=rf"^tensor\[complex64\] has no '{how}'; complex numbers have sum, prod, mean, any, all, first, last\.$",
        ):
            aggregate(torch.ones(2, dtype=torch.complex64), np.array([0, 0]), 1, how)

    def test_the_ways_of_a_price_are_for_numbers(self):
        with pytest.raises(TypeError, match=r"^tensor\[float32, 2\] has no 'ohlc'; it is for one number per row\.$"):
            aggregate(torch.ones(2, 2), np.array([0, 0]), 1, "ohlc")
        result = aggregate(torch.tensor([2.0, 5.0, 1.0]), np.array([0, 0, 0]), 1, "ohlc")
        assert result.tolist() == [[2.0, 5.0, 1.0, 1.0]]


class TestRunning:
    @pytest.mark.parametrize("how", RUNNING)
    @pytest.mark.parametrize("element", [torch.float32, torch.int64, torch.uint8])
    @pytest.mark.parametrize("shape", [(), (2,)])
    @pytest.mark.parametrize("skipna", [True, False])
    def test_running_results_are_those_of_plain_columns(self, how, element, shape, skipna):
        rows = rows_of(element, shape, with_nan=True)
        inside = IDS >= 0  # of the row in no group pandas says different things for different types
        result = aggregate(rows, IDS, 4, how, skipna=skipna)
        expected = getattr(pd.DataFrame(rows.reshape(7, -1).numpy()).groupby(IDS), how)(skipna=skipna)
        np.testing.assert_allclose(result.reshape(7, -1)[inside], expected[inside], rtol=1e-6)

    def test_rows_are_ranked_by_their_first_difference(self):
        rows = torch.tensor([[2, 1], [1, 9], [2, 0], [1, 9]])
        options = {"ties_method": "average", "ascending": True, "pct": False, "na_option": "keep"}
        ids = np.array([0, 0, 0, 1])
        assert aggregate(rows, ids, 2, "rank", **options).tolist() == [3.0, 1.0, 2.0, 1.0]
        assert aggregate(rows, ids, 2, "idxmin", skipna=True).tolist() == [1, 3]
        assert aggregate(rows.double(), ids, 2, "idxmax", skipna=True).tolist() == [0, 3]


class TestSameBytes:
    """The number of threads decides how torch divides work, never what comes out."""

    @pytest.fixture(autouse=True)
    def _threads(self):
        threads = torch.get_num_threads()
        yield
        torch.set_num_threads(threads)

    @pytest.mark.parametrize("how", list(KERNELS))
    @pytest.mark.parametrize(
        ("num_rows", "width", "num_groups"), [(40_000, 17, 7), (30_000, 8, 20_000), (200_000, 1, 1), (3, 90_000, 2)]
    )
    def test_any_number_of_threads_gives_them(self, how, num_rows, width, num_groups):
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(num_rows, width, generator=generator) * torch.logspace(-6, 6, width)
        ids = torch.randint(0, num_groups, (num_rows,), generator=generator).numpy()
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(aggregate(rows, ids, num_groups, how).numpy().tobytes())
        assert len(set(results)) == 1

    def test_sums_of_float32_are_rounded_once(self):
        """Added up as float32, 100,000 numbers lose several digits."""
        rows = torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0))
        exact = [math.fsum(column) for column in rows.T.double().tolist()]
        result = aggregate(rows, np.zeros(len(rows), dtype=np.int64), 1, "sum")
        assert result[0].tolist() == np.float32(exact).tolist()

    @pytest.mark.parametrize("extra", [-1, 0, 1])
    def test_blocks_meet_without_a_seam(self, extra):
        rows = torch.ones(_BLOCK // 2 + extra, 2, dtype=torch.float64)
        rows[-1] = 5
        ids = np.zeros(len(rows), dtype=np.int64)
        assert aggregate(rows, ids, 1, "sum").tolist() == [[len(rows) + 4.0] * 2]
        assert aggregate(rows, ids, 1, "max").tolist() == [[5.0] * 2]
        assert aggregate(rows, ids, 1, "last").tolist() == [[5.0] * 2]


class TestInput:
    def test_nothing_that_goes_in_is_changed(self):
        rows, ids = rows_of(torch.float32, (2,), with_nan=True), IDS.copy()
        before = rows.clone()
        for how in KERNELS:
            aggregate(rows, ids, 4, how)
        torch.testing.assert_close(rows, before, equal_nan=True, rtol=0, atol=0)
        np.testing.assert_array_equal(ids, IDS)

    def test_views_gradients_and_locked_numbers_are_read(self):
        rows = torch.arange(14.0).reshape(2, 7).T.requires_grad_()
        ids = IDS.copy()
        ids.flags.writeable = False
        result = aggregate(rows, ids, 4, "sum")
        assert not result.requires_grad
        np.testing.assert_array_equal(result, by_pandas(rows.detach().contiguous(), IDS, 4, "sum"))

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_an_accelerator_gives_the_same_bytes(self):
        rows = rows_of(torch.float32, (3,), with_nan=True)
        for how in KERNELS:
            result = aggregate(rows.cuda(), IDS, 4, how)
            assert result.is_cuda
            assert result.cpu().numpy().tobytes() == aggregate(rows, IDS, 4, how).numpy().tobytes()
