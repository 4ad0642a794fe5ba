"""Pipes into Parquet, and back."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import ColumnTypeError, SchemaMismatchError
from pipelines import double, table


def mixed(n=50):
    return fw.Message(
        {
            "x": torch.arange(n * 6, dtype=torch.float32).reshape(n, 2, 3),
            "short": torch.rand(n, generator=torch.Generator().manual_seed(0)).bfloat16(),
            "flag": torch.arange(n) % 3 == 0,
            "z": torch.complex(torch.arange(n) * 1.0, torch.ones(n)),
            "n": np.arange(n),
            "k": pd.array([None if i == 45 else i for i in range(n)], dtype="Int64"),
            "word": [f"w{i}" if i != 47 else None for i in range(n)],
            "kind": pd.Categorical(
                [("a", "b", "c")[i // 20] for i in range(n)], categories=["c", "b", "a", "never"], ordered=True
            ),
            "size": pd.Categorical([i // 20 for i in range(n)]),
            "day": pd.date_range("2024-01-01", periods=n, tz="Europe/Berlin"),
            "took": np.arange(n).astype("m8[ms]"),
        }
    )


class TestRoundTrip:
    @pytest.mark.parametrize(
        "options", [{}, {"shard_rows": 7}, {"shard_rows": 20, "row_group_rows": 3}, {"row_group_rows": 8}]
    )
    def test_rows_and_types_come_back(self, tmp_path, options):
        rows = mixed()
        files = fw.source(rows).to_parquet(tmp_path / "rows", **options)
        back = fw.read_parquet(tmp_path / "rows" if "shard_rows" in options else files[0])
        assert back.schema == rows.schema
        assert back.to_message() == rows
        sizes = [pq.ParquetFile(file).metadata.row_group(0).num_rows for file in files]
        assert max(sizes) <= options.get("row_group_rows", options.get("shard_rows", 50))

    def test_batches_are_written_as_rows(self, tmp_path):
        pipe = table(50).map(double).shuffle(seed=1).batch(7)
        pipe.to_parquet(tmp_path / "rows.parquet", row_group_rows=20)
        assert fw.read_parquet(tmp_path / "rows.parquet").to_message() == pipe.to_message()
        footer = pq.ParquetFile(tmp_path / "rows.parquet").metadata
        assert [footer.row_group(n).num_rows for n in range(3)] == [20, 20, 10]

    def test_gradients_stay_behind(self, tmp_path):
        weight = torch.ones(3, requires_grad=True)
        fw.source({"x": torch.arange(3.0)}).map(lambda rows: rows.assign(y=rows["x"] * weight)).to_parquet(
            tmp_path / "a.parquet"
        )
        assert not fw.read_parquet(tmp_path / "a.parquet").to_message()["y"].requires_grad

    def test_no_rows_have_columns(self, tmp_path):
        fw.source(mixed()).filter("n > 99").to_parquet(tmp_path / "rows", shard_rows=5)
        back = fw.read_parquet(tmp_path / "rows")
        assert len(back) == 0
        assert back.schema.names == mixed().columns

    def test_others_read_it(self, tmp_path):
        fw.source(mixed()).select("n", "word", "k").to_parquet(tmp_path / "rows", shard_rows=20)
        frame = pd.read_parquet(tmp_path / "rows")
        assert frame["n"].tolist() == list(range(50))
        assert frame["word"].tolist()[46:] == ["w46", None, "w48", "w49"] or pd.isna(frame["word"][47])

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(n=st.integers(0, 40), batch=st.integers(1, 9), shard=st.integers(1, 50), group=st.integers(1, 50))
    def test_for_all_sizes(self, tmp_path_factory, n, batch, shard, group):
        folder = tmp_path_factory.mktemp("sizes")
        rows = mixed().select("x", "n", "word")[:n]
        files = fw.source(rows).batch(batch).to_parquet(folder / "rows", shard_rows=shard, row_group_rows=group)
        assert [pq.ParquetFile(file).metadata.num_rows for file in files] == [
            min(shard, n - start) for start in range(0, max(n, 1), shard)
        ]
        assert fw.read_parquet(folder / "rows").to_message() == rows


class TestRowGroups:
    def test_their_length_follows_the_width_of_the_first_rows_only(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fireworks.formats.parquet_sink._GROUP_BYTES", 800)
        rows = fw.source({"x": torch.arange(1000)})
        for batch in (3, 64, 1000):
            rows.batch(batch).to_parquet(tmp_path / f"{batch}.parquet")
            footer = pq.ParquetFile(tmp_path / f"{batch}.parquet").metadata
            assert {footer.row_group(n).num_rows for n in range(footer.num_row_groups)} == {100}
        monkeypatch.setattr("fireworks.formats.parquet_sink._GROUP_ROWS", 70)
        rows.to_parquet(tmp_path / "few.parquet")
        assert pq.ParquetFile(tmp_path / "few.parquet").metadata.row_group(0).num_rows == 70

    def test_shards_end_with_the_row_group_that_makes_them_long_enough(self, tmp_path):
        files = fw.source({"x": torch.rand(8000)}).to_parquet(tmp_path / "x", shard_bytes=10_000, row_group_rows=1000)
        rows = [pq.ParquetFile(file).metadata.num_rows for file in files]
        assert sum(rows) == 8000
        assert all(count % 1000 == 0 and count < 4000 for count in rows)
        assert all(10_000 <= file.stat().st_size < 20_000 for file in files[:-1])

    def test_pages_have_checksums_and_may_be_compressed(self, tmp_path):
        rows = fw.source({"x": torch.zeros(10_000)})
        for compression in ("zstd", "lz4", "gzip", "brotli", "snappy", None):
            rows.to_parquet(tmp_path / "x.parquet", compression=compression)
            found = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0).column(0).compression
            assert found == (compression or "uncompressed").upper()


class TestWhatIsRefused:
    def test_arguments(self, tmp_path):
        with pytest.raises(ValueError, match=r"to_parquet: row_group_rows must be an int of at least 1; got 0"):
            table().to_parquet(tmp_path / "x", row_group_rows=0)
        with pytest.raises(ValueError, match=r"to_parquet: compression is one of 'snappy', .* or None; got 'zip'"):
            table().to_parquet(tmp_path / "x", compression="zip")
        with pytest.raises(ValueError, match=r"to_parquet: shard_rows must be an int of at least 1; got -1"):
            table().to_parquet(tmp_path / "x", shard_rows=-1)

    def test_what_parquet_can_not_hold(self, tmp_path):
        with pytest.raises(ColumnTypeError, match=r"to_parquet: column 'o' holds"):
            fw.source({"o": pd.arrays.NumpyExtensionArray(np.array([object()], dtype=object))}).to_parquet(
                tmp_path / "x"
            )
        assert list(tmp_path.iterdir()) == []

    def test_a_type_that_changes(self, tmp_path):
        def objects(values):
            return pd.arrays.NumpyExtensionArray(np.array([*values, None], dtype=object)[:-1])

        rows = fw.source({"o": objects([dt.date(2024, 1, 1), b"bytes"])}).batch(1)
        with pytest.raises(
            SchemaMismatchError,
            match=r"to_parquet: column 'o' is date32\[day\], and binary from row 1 of the file on; give it",
        ):
            rows.to_parquet(tmp_path / "x", row_group_rows=1)
        assert list(tmp_path.iterdir()) == []

    def test_nulls_alone_have_the_type_of_the_first_rows(self, tmp_path):
        values = pd.arrays.NumpyExtensionArray(np.array([dt.date(2024, 1, 1), None], dtype=object))
        fw.source({"o": values}).batch(1).to_parquet(tmp_path / "x", row_group_rows=1)
        assert pq.read_table(tmp_path / "x")["o"].to_pylist() == [dt.date(2024, 1, 1), None]


def test_a_terminal_is_needed_for_a_bar(tmp_path, capsys):
    table().batch(4).to_parquet(tmp_path / "x", progress=True)
    assert capsys.readouterr().err == ""
    assert fw.read_parquet(tmp_path / "x").to_message() == table().to_message()
