import importlib
import json
import sys

import pytest

from fireworks._internal.extras import need
from fireworks.errors import MissingExtraError


def test_an_installed_module_is_returned():
    assert need("json", extra="demo", user="Demo") is json
    assert need("importlib.metadata", extra="demo", user="Demo") is importlib.metadata


def test_a_missing_module_is_an_import_error_that_says_what_to_install():
    with pytest.raises(ImportError) as caught:
        need("no_such_module", extra="tune", user="Factory")
    assert type(caught.value) is MissingExtraError
    assert str(caught.value) == (
        "Factory needs no_such_module, which is not installed. Run: pip install 'fireworks-torch[tune]'."
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_submodule_of_a_missing_package_names_the_package():
    with pytest.raises(MissingExtraError, match=r"^Factory needs no_such_package, which is not installed\."):
        need("no_such_package.part", extra="tune", user="Factory")


def test_a_module_that_lacks_one_of_its_own_imports_names_what_is_lacking(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"^Factory needs no_such_dependency, which is not installed\."):
        need("half_installed", extra="tune", user="Factory")


def test_any_other_error_of_the_module_comes_through(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        need("broken_module", extra="tune", user="Factory")
    sys.modules.pop("broken_module", None)
