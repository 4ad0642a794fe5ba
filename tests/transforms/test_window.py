"""Windows of consecutive rows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core import flow
from fireworks.errors import NoRandomAccessError
from fireworks.transforms import window
from pipelines import counting, double, table


class TestWindow(fw.testing.PipeContract):
    @pytest.fixture(
        params=[
            lambda: table().window(4),
            lambda: table().map(double).window(3, stride=2),
            lambda: table().window(3, stride=5),
            lambda: table().window(4).shuffle(seed=0).batch(3),
            lambda: table().select("x", "n").window(5, stride=3).map(double).batch(2).tensors(),
            lambda: table().shuffle(seed=0).window(4).take(9),
            lambda: table().filter("n", ">", 5).window(17),
        ],
        ids=["rows", "behind map", "with gaps", "shuffled", "then map", "behind shuffle", "one window"],
    )
    def make_pipe(self, request):
        return request.param


def starts(num_rows, size, stride):
    return list(range(0, num_rows - size + 1, stride))


class TestWhatIsInAWindow:
    @given(num_rows=st.integers(0, 30), size=st.integers(1, 8), stride=st.integers(1, 9), read=st.integers(1, 16))
    def test_consecutive_rows_one_window_per_stride(self, num_rows, size, stride, read):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(window, "read_rows", lambda row_bytes: read)
            for data in (table(num_rows), table(num_rows).map(double)):
                pipe = data.select("n", "x").window(size, stride)
                expected = starts(num_rows, size, stride)
                assert len(pipe) == len(expected)
                numbers = data.to_message()["n"] if num_rows else []
                found = [item["n"].tolist() for item in pipe]
                assert found == [[[int(n) for n in numbers[start : start + size]]] for start in expected]
                if expected:
                    whole = pipe.to_message()
                    assert whole["n"].tolist() == [item[0] for item in found]
                    backwards = list(range(len(expected)))[::-2]
                    assert pipe[backwards]["n"].tolist() == [found[place][0] for place in backwards]

    def test_tensors_gain_a_dimension_behind_the_first(self):
        item = table().window(4)[2]
        assert (item["x"].shape, item["n"].shape) == ((1, 4, 3), (1, 4))
        assert item["x"].dtype == torch.float32
        expected = np.lib.stride_tricks.sliding_window_view(table()[:]["x"].numpy(), 4, axis=0).transpose(0, 2, 1)
        assert (table().window(4)[:]["x"].numpy() == expected).all()

    def test_other_columns_become_arrow_lists_which_tensors_turns_into_tensors(self):
        item = table().select("word", "w").window(2)[3]
        assert list(item["word"][0]) == ["word 3", "word 4"]
        assert str(item.schema["w"].dtype) == "fixed_size_list<item: double>[2][pyarrow]"
        tensors = table().select("w").window(2).tensors()[:]["w"]
        assert tensors.shape == (22, 2)
        assert tensors[5].tolist() == pytest.approx([5 / 7, 6 / 7])

    def test_windows_in_order_are_views_of_the_sources_rows(self):
        data = fw.Message({"x": torch.arange(12.0)})
        pipe = fw.source(data).window(4, stride=2)
        first, second = list(pipe)[:2]
        assert first["x"].data_ptr() == data["x"].data_ptr()
        assert second["x"].data_ptr() == data["x"][2:].data_ptr()

    def test_functions_behind_it_get_many_windows(self):
        calls = []

        def look(rows):
            calls.append(rows["n"].shape)
            return rows

        list(table().window(4).map(look))
        assert calls == [(20, 4)]


class TestRowsLeftOut:
    @pytest.mark.parametrize(
        ("size", "stride", "left_out"), [(4, 1, 0), (4, 4, 3), (5, 3, 0), (3, 5, 23 - 15), (23, 1, 0), (24, 1, 23)]
    )
    def test_they_are_stated(self, size, stride, left_out):
        seen = {n for start in starts(23, size, stride) for n in range(start, start + size)}
        assert table().window(size, stride).rows_left_out == left_out == 23 - len(seen)

    def test_no_window_has_the_columns_too(self):
        nothing = table(3).window(4).to_message()
        assert (len(nothing), nothing.columns, nothing["x"].shape) == (0, ["x", "n", "w", "word"], (0, 4, 3))


def test_each_block_upstream_is_computed_once_in_a_pass(monkeypatch):
    monkeypatch.setattr(flow, "MAX_BLOCK_ROWS", 8)
    monkeypatch.setattr(window, "read_rows", lambda row_bytes: 8)
    calls = []

    def look(rows):
        calls.append(len(rows))
        return rows

    list(table().map(look).window(5))
    assert calls == [8, 8, 7]


class TestWhatIsRefused:
    def test_sizes(self):
        with pytest.raises(ValueError, match=r"window: num_rows must be an int of at least 1; got 0\."):
            table().window(0)
        with pytest.raises(ValueError, match=r"window: stride must be an int of at least 1; got 0\."):
            table().window(2, 0)

    def test_batches(self):
        with pytest.raises(
            TypeError, match=r"window: the input has batches .*, and a window is cut from rows; \.unbatch"
        ):
            table().batch(4).window(2)

    def test_a_stream(self):
        with pytest.raises(NoRandomAccessError, match=r"window needs random access, .* Read the rows first"):
            counting().window(2)
