"""The progress bar: drawn on a terminal, and nothing where there is none."""

import io
import sys

import pytest
import rich.console

from fireworks.training import progress
from fireworks.training.progress import Bar


@pytest.fixture(autouse=True)
def _nobody_forces_a_terminal(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def use_console(monkeypatch):
    """Put a console of ours in the place of standard error; returns what is written to it."""
    written = io.StringIO()

    def use(*, terminal):
        def make(*, stderr):
            assert stderr
            return rich.console.Console(file=written, force_terminal=terminal, width=100)

        monkeypatch.setattr(progress, "Console", make)
        return written

    return use


def draw(shown, *, total=4, last=3):
    with Bar(shown=shown) as bar:
        bar.begin(1, last, total, 0)
        for _ in range(2):
            bar.advance()
        bar._progress.refresh()


class TestWhere:
    def test_a_terminal_gets_a_bar_by_default(self, use_console):
        written = use_console(terminal=True)
        draw(None)
        assert "epoch 2/3" in written.getvalue()
        assert "2/4" in written.getvalue()

    def test_anything_else_gets_nothing_by_default(self, use_console):
        written = use_console(terminal=False)
        draw(None)
        assert written.getvalue() == ""

    def test_it_can_be_turned_off_on_a_terminal(self, use_console):
        written = use_console(terminal=True)
        draw(shown=False)
        assert written.getvalue() == ""

    def test_it_can_be_asked_for_where_there_is_no_terminal(self, use_console):
        written = use_console(terminal=False)
        draw(shown=True)
        assert "epoch 2/3" in written.getvalue()
        assert "2/4" in written.getvalue()

    def test_standard_output_stays_clean(self, capsys):
        draw(shown=True)
        assert capsys.readouterr().out == ""

    def test_a_real_stream_that_is_no_terminal_gets_nothing(self, capsys):
        assert not sys.stderr.isatty()
        draw(None)
        assert capsys.readouterr() == ("", "")


def interrupted(bar):
    bar.begin(0, 1, 2, 0)
    raise KeyError


class TestWhat:
    def test_each_epoch_takes_the_place_of_the_one_before(self, use_console):
        use_console(terminal=True)
        with Bar(shown=True) as bar:
            for epoch in range(3):
                bar.begin(epoch, 3, 4, 0)
                bar.advance()
            (task,) = bar._progress.tasks
            assert (task.description, task.completed, task.total) == ("epoch 3/3", 1, 4)

    def test_batches_of_an_earlier_run_count(self, use_console):
        use_console(terminal=True)
        with Bar(shown=True) as bar:
            bar.begin(0, 1, 10, 7)
            bar.advance()
            assert bar._progress.tasks[0].completed == 8

    def test_an_unknown_number_of_batches_is_no_error(self, use_console):
        written = use_console(terminal=True)
        draw(None, total=None)
        assert "2/?" in written.getvalue()

    def test_counting_before_an_epoch_began_does_nothing(self):
        with Bar(shown=False) as bar:
            bar.advance()

    def test_it_is_gone_at_the_end_and_after_an_error(self, use_console):
        written = use_console(terminal=True)
        bar = Bar(shown=None)
        with pytest.raises(KeyError), bar:
            interrupted(bar)
        assert not bar._progress.live.is_started
        assert written.getvalue().endswith("\x1b[2K")  # the line is wiped
