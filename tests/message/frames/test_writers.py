import contextlib
import io
import sqlite3

import numpy as np
import pandas as pd
import pytest
import torch

import fireworks as fw


@pytest.fixture
def message():
    return fw.Message(
        {
            "name": ["ann", "bob"],
            "x": torch.tensor([0.1, 5.0]),
            "v": torch.arange(10.0).reshape(2, 5),
            "w": torch.arange(8).reshape(2, 2, 2),
            "n": np.array([1, 2]),
        }
    )


class TestForTheEye:
    @pytest.mark.parametrize("name", ["to_string", "to_html", "to_markdown", "to_latex"])
    def test_there_are_no_row_numbers_and_tensors_are_short(self, message, name):
        text = getattr(message, name)()
        for shown in ("name", "bob", "0.1", "[0, 1, 2, 3, …]", "[2x2 values]"):
            assert shown in text
        assert "tensor" not in text
        plain = pd.DataFrame({"name": ["ann", "bob"], "x": np.array([0.1, 5.0], np.float32), "n": [1, 2]})
        assert getattr(message[["name", "x", "n"]], name)() == getattr(plain, name)(index=False)

    def test_row_numbers_are_there_when_asked_for(self, message):
        assert message[["n"]].to_string(index=True) == pd.DataFrame({"n": [1, 2]}).to_string()

    def test_a_style_hides_them_too(self, message):
        assert "row_heading" not in message.style.to_html()
        assert "bob" in message.style.to_html()

    def test_options_are_those_of_pandas(self, message):
        assert message.to_string(columns=["n"], header=False) == "1\n2"
        buffer = io.StringIO()
        message.to_html(buffer, border=0)
        assert buffer.getvalue().startswith("<table")

    def test_info_describes_the_columns(self, message):
        buffer = io.StringIO()
        message.info(buf=buffer)
        assert "tensor[float32, 5]" in buffer.getvalue()

    def test_memory_is_that_of_the_columns(self, message):
        used = message.memory_usage()
        assert used.drop("name").to_dict() == {"x": 8, "v": 40, "w": 64, "n": 16}
        assert list(message.memory_usage(True).index)[0] == "Index"  # noqa: RUF015


class TestForOtherPrograms:
    def test_sql(self, message):
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            assert message.to_sql("rows", connection) == 2
            assert connection.execute("select name, n, w from rows where x < 1").fetchall() == [
                ("ann", 1, "[[0, 1], [2, 3]]")
            ]
            message.to_sql("numbered", connection, index=True, index_label="row")
            assert [row[1] for row in connection.execute("pragma table_info(numbered)")][:2] == ["row", "name"]

    def test_xml_stata_and_orc(self, message, tmp_path):
        message[["n", "v"]].to_xml(tmp_path / "rows.xml", parser="etree")
        assert "<v>[5.0, 6.0, 7.0, 8.0, 9.0]</v>" in (tmp_path / "rows.xml").read_text()
        assert "<index>" not in (tmp_path / "rows.xml").read_text()
        message.to_stata(tmp_path / "rows.dta")
        assert list(pd.read_stata(tmp_path / "rows.dta")) == message.columns
        message[["n", "v"]].to_orc(tmp_path / "rows.orc")
        assert [list(row) for row in pd.read_orc(tmp_path / "rows.orc")["v"]] == message["v"].tolist()

    def test_the_clipboard(self, message, monkeypatch):
        copied = []
        monkeypatch.setattr("pandas.io.clipboard.clipboard_set", copied.append)
        message[["name", "n"]].to_clipboard()
        assert copied == ["name\tn\nann\t1\nbob\t2\n"]

    def test_complex_rows_are_text_too(self):
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            fw.Message({"c": torch.tensor([[1 + 2j, 0j]])}).to_sql("rows", connection)
            assert connection.execute("select c from rows").fetchall() == [("[(1+2j), 0j]",)]

    def test_the_message_stays_as_it_was(self, message):
        message.to_string()
        assert isinstance(message["v"], torch.Tensor)
        assert message.schema["v"].dtype == torch.float32


class TestRows:
    def test_iterrows_and_itertuples_number_the_rows(self, message):
        for number, (label, row) in enumerate(message.iterrows()):
            assert (label, row.name, row["n"]) == (number, number, number + 1)
            assert row["v"].tolist() == message["v"][number].tolist()
        tuples = list(message.itertuples())
        assert [(row.Index, row.name, row.n) for row in tuples] == [(0, "ann", 1), (1, "bob", 2)]
        assert tuples[1].w.tolist() == message["w"][1].tolist()


class TestPlots:
    def test_tensors_of_numbers_are_drawn_and_the_axis_has_no_name(self, message):
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")
        pyplot = pytest.importorskip("matplotlib.pyplot")
        try:
            axes = message[["x", "n"]].plot()
            assert [line.get_ydata().tolist() for line in axes.lines] == [pytest.approx([0.1, 5.0]), [1, 2]]
            assert axes.get_xlabel() == ""
            assert message[["x"]].hist().shape == (1, 1)
            groups = message[["name", "x"]].groupby("name").plot()
            assert all(axes.get_xlabel() == "" for axes in groups)
        finally:
            pyplot.close("all")
