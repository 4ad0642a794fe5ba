"""What users see: sorted names, all documented, quick to import, and no extra loaded unasked."""

import subprocess
import sys
from pathlib import Path

import pytest

import fireworks as fw

ROOT = Path(__file__).parents[2]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_all_is_sorted_and_complete():
    assert fw.__all__ == sorted(fw.__all__)
    assert set(fw.__all__) - {"__version__"} == set(fw._PUBLIC)
    for name in fw.__all__:
        assert getattr(fw, name) is not None
    assert dir(fw) == fw.__all__


def test_every_public_name_is_documented():
    command = [sys.executable, ROOT / "tools" / "check_docs.py"]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(AttributeError, match=r"module 'fireworks' has no attribute 'Mesage'. Did you mean 'Message'\?"):
        fw.Mesage  # noqa: B018


def test_importing_fireworks_loads_nothing_heavy():
    heavy = ["torch", "pandas", "numpy", "sqlalchemy", "ignite", "matplotlib", "sklearn"]
    code = f"import sys, fireworks; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_tracking_an_experiment_does_not_load_torch():
    code = "import sys, fireworks; fireworks.Experiment; print('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_no_extra_is_loaded_by_the_public_names():
    extras = ["matplotlib", "sklearn"]
    code = (
        f"import warnings; warnings.simplefilter('ignore'); import sys, fireworks as fw; "
        f"[getattr(fw, name) for name in fw.__all__]; print([name for name in {extras} if name in sys.modules])"
    )
    assert run_python(code).strip() == "[]"
