from __future__ import annotations

import sys
from types import ModuleType

import pytest

from fireworks.experiment.collectors.code import CodeFacts


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A current folder, a main script elsewhere, and no other modules of the user."""
    here, scripts = tmp_path / "project", tmp_path / "scripts"
    here.mkdir()
    scripts.mkdir()
    monkeypatch.chdir(here)
    main = ModuleType("__main__")
    main.__file__ = str(scripts / "train.py")
    (scripts / "train.py").write_text("import helper\n")
    monkeypatch.setitem(sys.modules, "__main__", main)
    return tmp_path


@pytest.fixture
def imported(project, monkeypatch):
    """Make a module that counts as imported from a path below the project."""

    def add(path, source="x = 1\n"):
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        module = ModuleType(f"imported_{len(sys.modules)}")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    return add


def collected():
    return CodeFacts.collect().files


def test_the_main_script_and_its_neighbours_are_read(project, imported):
    imported("scripts/helper.py", "y = 2\n")
    assert collected() == {
        f"{project}/scripts/train.py": "import helper\n",
        f"{project}/scripts/helper.py": "y = 2\n",
    }


def test_modules_below_the_current_folder_are_read_by_relative_path(project, imported):
    imported("project/model.py")
    imported("project/parts/layers.py")
    imported("project-two/other.py")
    assert sorted(collected())[1:] == ["model.py", "parts/layers.py"]


@pytest.mark.parametrize(
    "folder", ["lib/python3.11/site-packages", "dist-packages", "env/lib/anything", "env", "fireworks"]
)
def test_what_is_installed_is_not_the_users_code(project, imported, folder):
    (project / "project/env").mkdir()
    (project / "project/env/pyvenv.cfg").touch()
    imported(f"project/{folder}/package.py")
    is_users = folder == "fireworks"  # a folder of this name need not be the library
    assert (f"{folder}/package.py" in collected()) is is_users


def test_neither_the_standard_library_nor_fireworks_is_the_users_code(project, monkeypatch):
    monkeypatch.chdir("/")
    names = list(collected())
    assert not [name for name in names if "json/__init__.py" in name or "fireworks/experiment/" in name]


def test_an_installed_main_script_is_not_read(project, monkeypatch):
    main = project / "project/env/bin/tool"
    main.parent.mkdir(parents=True)
    main.write_text("")
    (project / "project/env/pyvenv.cfg").touch()
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(main))
    assert collected() == {}


def test_a_session_without_a_script_has_only_modules(project, imported, monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    imported("project/model.py")
    assert list(collected()) == ["model.py"]


def test_source_is_decoded_as_python_does(project, imported):
    imported("project/old.py", "# -*- coding: latin-1 -*-\r\nname = 'größe'\r\n".encode("latin-1"))
    assert collected()["old.py"] == "# -*- coding: latin-1 -*-\nname = 'größe'\n"


def test_a_file_that_cannot_be_read_by_now_is_left_out(project, imported):
    for name in ("gone", "utf8", "header"):
        imported(f"project/{name}.py")
    (project / "project/gone.py").unlink()
    (project / "project/utf8.py").write_bytes(b"\xff")
    (project / "project/header.py").write_bytes(b"# -*- coding: nothing -*-")
    assert [name for name in collected() if not name.endswith("train.py")] == []


def test_compiled_and_lazy_modules_are_left_alone(project, imported, monkeypatch):
    class Lazy(ModuleType):
        def __getattr__(self, name):
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, "imported_lazy", Lazy("imported_lazy"))
    monkeypatch.setitem(sys.modules, "imported_slot", object())
    imported("project/fast.so")
    assert [name for name in collected() if not name.endswith("train.py")] == []
