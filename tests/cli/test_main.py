"""How commands are found, and how they fail."""

import os
import signal
import subprocess
import sys

import pytest

from fireworks import __version__
from fireworks.cli import demo
from fireworks.cli.main import main
from fireworks.errors import StateError


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        def run(options):
            raise error

        monkeypatch.setattr(demo, "run", run)

    return fail_with


def test_an_error_is_one_sentence_without_a_traceback(failing, capsys):
    failing(StateError("The state is damaged."))
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "fireworks: The state is damaged.\n"


def test_debug_shows_the_whole_error(failing):
    failing(StateError("The state is damaged."))
    with pytest.raises(StateError):
        main(["--debug", "demo"])


def test_a_defect_is_not_hidden(failing):
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_an_interrupt_has_its_own_status(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--seed", "x"]])
def test_wrong_usage_has_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: fireworks" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fireworks {__version__}\n"


def test_help_does_not_load_torch():
    code = "import sys; sys.argv = ['fireworks', '--help']; from fireworks.cli.main import main\ntry: main()\nexcept SystemExit: print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.endswith("False\n")


@pytest.mark.slow
def test_ctrl_c_leaves_an_interrupted_trial(tmp_path):
    import fireworks as fw

    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "fireworks.cli.main", "demo"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "epoch  0" in line:
            os.kill(process.pid, signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "fireworks: interrupted.\n"
    assert fw.Experiment("digits", folder=tmp_path / "runs").get_history()["Status"].tolist() == ["INTERRUPTED"]
