"""A bar: only on a terminal, only for a long pass, at the right place."""

import io
import subprocess
import sys

import pytest

import fireworks as fw
from fireworks.parallel import progress
from pipelines import add_noise, counting, double, numbers, table
from worker_functions import fail_at_13


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal in which a pass is long from its first item on."""
    screen = Terminal()
    monkeypatch.setattr(progress, "_screen", lambda: screen)
    monkeypatch.setattr(progress, "_QUIET_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return screen


class TestBatches(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table().shuffle(seed=1).batch(4).progress("epoch").map(double)


class TestRows(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: table(9).map(add_noise, seed=0).progress()


class TestAStream(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self):
        return lambda: counting(9).progress("rows")


class TestTheBar:
    def test_it_counts_items_and_says_how_fast(self, terminal):
        assert numbers(table(40).batch(4).progress("epoch 3")) == list(range(40))
        shown = terminal.getvalue()
        assert "epoch 3" in shown
        assert "10/10" in shown
        assert "rows/s" in shown
        assert progress._display._shown is None

    def test_rows_of_a_row_pipe(self, terminal):
        assert len(list(table(1500).progress("rows"))) == 1500
        assert "1500/1500" in terminal.getvalue()

    def test_a_stream_has_no_known_end(self, terminal):
        list(counting(40).batch(4).progress("stream"))
        assert "10/?" in terminal.getvalue()

    def test_a_resumed_pass_begins_where_it_was(self, terminal):
        pipe = table(40).batch(4)
        running = iter(pipe.progress("first"))
        for _ in range(7):
            next(running)
        state = running.state_dict()
        del running
        terminal.truncate(0)
        resumed = iter(pipe.progress("second"))
        resumed.load_state_dict(state)
        next(resumed)
        next(resumed)
        del resumed
        assert "9/10" in terminal.getvalue()
        assert "second" in terminal.getvalue()

    def test_two_passes_share_the_screen(self, terminal):
        one, other = iter(table(40).batch(4).progress("one")), iter(table(40).batch(4).progress("other"))
        assert len(list(zip(one, other, strict=True))) == 10
        del one, other
        assert progress._display._shown is None
        assert "one" in terminal.getvalue()
        assert "other" in terminal.getvalue()

    def test_an_error_takes_it_away(self, terminal):
        with pytest.raises(ValueError, match="13") as kept:
            list(table(40).batch(4).progress("epoch").map(fail_at_13))
        assert progress._display._shown is None
        assert kept.value

    def test_a_short_pass_has_none(self, terminal, monkeypatch):
        monkeypatch.setattr(progress, "_QUIET_S", 60.0)
        list(table(40).batch(4).progress("epoch"))
        assert terminal.getvalue() == ""

    def test_nor_has_a_single_item(self, terminal):
        assert len(table(40).batch(4).progress("epoch")[3]) == 4
        assert terminal.getvalue() == ""

    def test_where_there_is_no_terminal_there_is_none(self, monkeypatch):
        screen = io.StringIO()
        monkeypatch.setattr(progress, "_screen", lambda: screen)
        monkeypatch.setattr(progress, "_QUIET_S", 0.0)
        list(table(40).batch(4).progress("epoch"))
        assert screen.getvalue() == ""


def test_a_title_is_a_text():
    with pytest.raises(TypeError, match=r"progress: title must be a text; got 3 of type int\."):
        table().progress(3)


@pytest.mark.slow
def test_rich_is_loaded_only_for_a_bar():
    code = "import sys, fireworks as fw; list(fw.source({'n': [1, 2, 3]}).progress('x')); sys.exit('rich.progress' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
