"""Columns of one width: every type of torch, NumPy, pandas and Arrow comes back bit for bit."""

import gc
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import fireworks as fw
from fireworks.errors import ColumnTypeError, SchemaMismatchError
from fireworks.message import TensorArray
from fireworks.spill.piles import PileWriter
from spill.writing import there_and_back, written

TORCH = [
    getattr(torch, name)
    for name in (
        *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32"),
        *("float64", "complex32", "complex64", "float8_e4m3fn", "float8_e5m2"),
    )
]
NUMPY = [
    "?",
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "f2",
    "f4",
    "f8",
    "g",
    "c8",
    "c16",
    "M8[s]",
    "M8[ns]",
    "m8[ms]",
    "S3",
    "U2",
]
ROWS = 40


def raw_bytes(column):
    if isinstance(column, torch.Tensor):
        column = (
            torch.view_as_real(column)
            if column.itemsize == 16
            else column.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[column.itemsize])
        )
        column = column.numpy()
    return np.ascontiguousarray(column).tobytes()


def bits(rows, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, width), dtype=np.uint8)


class TestTensors:
    @pytest.mark.parametrize("rest", [(), (1,), (3,), (2, 0), (2, 3, 2), (200,)])
    @pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
    @pytest.mark.parametrize("dtype", TORCH, ids=str)
    def test_every_bit_comes_back(self, tmp_path, dtype, rest):
        count = int(np.prod(rest))
        tensor = torch.from_numpy(bits(ROWS, count * dtype.itemsize)).reshape(-1)
        tensor = tensor.view(dtype).reshape(ROWS, *rest)
        message = fw.Message._of({"x": tensor}, ROWS)
        piles = (np.arange(ROWS) % 3).astype(np.uint8)
        found, _ = written(message, piles, tmp_path, num_piles=3, chunks=2)
        with found:
            got = found.read(1, lambda extras: np.arange(len(extras["key"]))[::-1])[0]["x"]
            expected = tensor[torch.arange(1, ROWS, 3).flip(0)]
            assert (got.dtype, got.shape) == (dtype, expected.shape)
            assert raw_bytes(got) == raw_bytes(expected)

    def test_views_and_what_torch_puts_off(self, tmp_path):
        x = torch.arange(120.0).reshape(6, 20).T
        z = torch.randn(20, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
        message = fw.Message(
            {"x": x, "half": torch.arange(40)[::2], "z": z.conj(), "zz": z.to(torch.complex128), "b": x > 30}
        )
        there_and_back(message, tmp_path, chunks=2)
        late = fw.Message._of({"z": z.conj(), "n": torch._neg_view(x)}, 20)
        found, _ = written(late, np.zeros(20, np.uint8), tmp_path, num_piles=1)
        with found:
            assert found.read(0)[0] == fw.Message({"z": z.conj(), "n": -x})

    @pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            ("grad", r"requires a gradient, which is lost on disk; use detach\(\) in a map first\."),
            ("meta", r"is on meta; bring it to main memory first, and to the device after\."),
            ("class", r"is of the class Parameter, which is lost on disk; make it a plain tensor first\."),
            ("quantized", r"is quantized, which is lost on disk; make it a plain tensor first\."),
        ],
    )
    def test_what_can_not_go_to_disk(self, tmp_path, kind, why):
        tensor = {
            "grad": lambda: torch.zeros(2, requires_grad=True),
            "meta": lambda: torch.zeros(2, device="meta"),
            "class": lambda: torch.nn.Parameter(torch.zeros(2), requires_grad=False),
            "quantized": lambda: torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.quint8),
        }[kind]()
        message = fw.Message._of({"x": tensor}, 2)
        no_rows = message[:0] if kind == "quantized" else fw.Message({"x": torch.zeros(0)})
        with pytest.raises(ColumnTypeError, match=rf"^shuffle: column 'x' {why}$"):
            written(message, np.zeros(2, np.uint8), tmp_path, num_piles=2, no_rows=no_rows)
        gc.collect()
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("other", "here"),
        [
            (torch.zeros(2, dtype=torch.int64), "int64 tensor"),
            (torch.zeros(2, 3), r"float32\[3\] tensor"),
            (np.zeros(2), "float64"),
        ],
    )
    def test_another_type_than_before(self, tmp_path, other, here):
        with (
            PileWriter(fw.Message({"x": torch.zeros(0)}), 2, tmp_path, extras={}, write_bytes=1) as writer,
            pytest.raises(
                SchemaMismatchError,
                match=rf"^shuffle: column 'x' is {here} here and float32 tensor in the rows before, or in the schema; give it one type first, with cast\.$",
            ),
        ):
            writer.write(fw.Message({"x": other}), np.zeros(2, np.uint8))


class TestArrays:
    @pytest.mark.parametrize("dtype", NUMPY)
    def test_every_bit_comes_back(self, tmp_path, dtype):
        width = np.dtype(dtype).itemsize
        values = bits(ROWS, width)
        if dtype in {"?", "U2"}:
            values &= (
                np.tile(np.uint8([1, 0, 0, 0]), ROWS * width // 4 + 1)[: ROWS * width].reshape(ROWS, width)
                if dtype == "U2"
                else 1
            )
        values = values.reshape(-1).view(dtype)
        message = fw.Message._of({"x": values}, ROWS)
        found, _ = written(message, (np.arange(ROWS) % 3).astype(np.uint8), tmp_path, num_piles=3, chunks=2)
        with found:
            got = found.read(2)[0].raw("x")
            assert got.dtype == values.dtype
            assert raw_bytes(got) == raw_bytes(values[2::3])

    def test_views(self, tmp_path):
        there_and_back(
            fw.Message({"x": np.arange(60.0)[::-2], "y": np.broadcast_to(np.int64(7), 30)}), tmp_path, chunks=3
        )


MASKED = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean"]


class TestPandas:
    @pytest.mark.parametrize("dtype", MASKED)
    @pytest.mark.parametrize("chunks", [1, 4])
    def test_nullable_values(self, tmp_path, dtype, chunks):
        values = [None if n % 5 == 3 and n > 10 else n % 2 for n in range(ROWS)]
        there_and_back(fw.Message({"x": pd.array(values, dtype=dtype)}), tmp_path, chunks=chunks)
        there_and_back(fw.Message({"x": pd.array(values, dtype=dtype)}), tmp_path, chunks=chunks, write_bytes=1)
        there_and_back(fw.Message({"x": pd.array([1] * ROWS, dtype=dtype)}), tmp_path, chunks=chunks)

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "+02:30"])
    @pytest.mark.parametrize("unit", ["s", "us", "ns"])
    def test_dates_with_a_zone(self, tmp_path, zone, unit):
        dates = pd.date_range("2024-03-09", periods=ROWS, freq="h", tz=zone).as_unit(unit).insert(5, pd.NaT)
        there_and_back(fw.Message({"x": dates}), tmp_path, chunks=2)

    def test_periods(self, tmp_path):
        there_and_back(
            fw.Message({"x": pd.period_range("2024", periods=ROWS, freq="M").insert(3, pd.NaT)}), tmp_path, chunks=2
        )

    def test_wrapped_tensors(self, tmp_path):
        wrapped = TensorArray(torch.arange(12.0).reshape(6, 2))
        found, _ = written(
            fw.Message._of({"x": wrapped}, 6), np.array([0, 1] * 3, np.uint8), tmp_path, num_piles=2, chunks=2
        )
        with found:
            got = found.read(1)[0].raw("x")
            assert isinstance(got, TensorArray)
            assert got.tensor.tolist() == [[2, 3], [6, 7], [10, 11]]


ARROW = {
    "int32": pa.array([1, None, 3]),
    "bool": pa.array([True, None, False]),
    "half": pa.array(np.array([1, 2, 3], np.float16)),
    "date32": pa.array([1, None, 3], pa.date32()),
    "date64": pa.array([86_400_000, None, 0], pa.date64()),
    "time": pa.array([1, None, 3], pa.time64("us")),
    "zoned": pa.array([1, None, 3], pa.timestamp("us", "Europe/Paris")),
    "duration": pa.array([1, None, 3], pa.duration("s")),
    "decimal32": pa.array([Decimal("1.5"), None, Decimal(-2)], pa.decimal32(5, 2)),
    "decimal128": pa.array([Decimal("1.5"), None, Decimal(-2)], pa.decimal128(30, 4)),
    "decimal256": pa.array([Decimal("1.5"), None, Decimal(-2)], pa.decimal256(60, 4)),
    "bytes of one width": pa.array([b"abc", None, b"\0\xff\0"], pa.binary(3)),
    "months": pa.array([(1, 2, 3), None, (4, 5, 6)], pa.month_day_nano_interval()),
}


class TestArrow:
    @pytest.mark.parametrize("kind", ARROW)
    @pytest.mark.parametrize("chunks", [1, 4])
    def test_values_and_nulls(self, tmp_path, kind, chunks):
        array = pa.concat_arrays([ARROW[kind].take(pa.array(np.arange(30) % 3)), ARROW[kind].drop_null()])
        message = fw.Message({"x": pd.arrays.ArrowExtensionArray(pa.chunked_array([array[:7], array[7:]]))})
        there_and_back(message[2:], tmp_path, chunks=chunks)
        there_and_back(message[2:], tmp_path, chunks=chunks, write_bytes=1)
        there_and_back(message[30:], tmp_path, chunks=chunks)
