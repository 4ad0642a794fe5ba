"""The options of `fireworks demo`."""

import sys

from fireworks.cli.main import main


def test_copy_writes_the_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--copy", "mine.py"]) == 0
    assert (tmp_path / "mine.py").read_text().endswith('if __name__ == "__main__":\n    main()\n')
    assert "Wrote mine.py." in capsys.readouterr().out


def test_copy_never_overwrites(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("my work")
    assert main(["demo", "--copy", "mine.py"]) == 1
    assert "'mine.py' is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.py").read_text() == "my work"


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(["demo"]) == 1
    assert "pip install 'fireworks-torch[demo]'" in capsys.readouterr().err


def test_a_seed_that_is_none_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--seed", "-1"]) == 1
    assert "seed must be an int from 0 to 2**64 - 1; got -1" in capsys.readouterr().err
