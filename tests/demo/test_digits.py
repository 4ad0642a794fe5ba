"""The main job, run as a newcomer runs it."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import fireworks as fw
from fireworks.demo import digits

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The demo twice with one seed, then with another, in one folder."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, [run_demo(folder, *seed) for seed in ([], [], ["--seed", "2"])]


def run_demo(folder, *options):
    command = [sys.executable, "-m", "fireworks.cli.main", "demo", *options]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_it_is_right_on_the_digits_held_out(runs):
    for printed in runs[1]:
        assert float(re.search(r"5\. ([\d.]+)% of the held-out digits", printed)[1]) >= 97


def test_run_twice_it_gives_the_same_weights_and_says_so(runs):
    first, second, other = runs[1]
    assert "bit for bit (" not in first
    assert "Trial 1 had seed 1 too: the same weights, bit for bit" in second
    assert "bit for bit (" not in other
    results = fw.Experiment("digits", folder=runs[0] / "runs").get_history()["Result"]
    assert results[1]["weights"] == results[2]["weights"] != results[3]["weights"]
    states = [runs[0] / "runs" / "digits" / f"trial-000{n}" / "state" / "manifest.json" for n in (1, 2, 3)]
    one, two, three = (json.loads(state.read_text()) for state in states)
    assert one == two != three


def test_the_history_holds_every_trial(runs):
    history = fw.Experiment("digits", folder=runs[0] / "runs").get_history()
    assert history["Seed"].tolist() == [1, 1, 2]
    assert history["Status"].tolist() == ["COMPLETED"] * 3
    assert set(history["validation_accuracy"] >= 0.97) == {True}


def test_everything_it_writes_is_under_runs(runs):
    assert [path.name for path in runs[0].iterdir()] == ["runs"]


def test_the_images_lie_in_the_database(runs):
    with sqlite3.connect(runs[0] / "runs" / "digits.db") as database:
        (count, largest) = database.execute("SELECT count(*), max(label) FROM digits").fetchone()
    database.close()
    assert (count, largest) == (1797, 9)


def test_the_confusion_matrix_is_a_picture(runs):
    picture = runs[0] / "runs" / "digits" / "trial-0001" / "confusion.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 5000


def test_it_ends_with_three_commands(runs):
    assert len(re.findall(r"^  \S.* demo( |$)", runs[1][0].rpartition("Next, try:")[2], re.MULTILINE)) == 3


def test_its_code_can_be_copied_and_run(tmp_path):
    run_demo(tmp_path, "--copy", "mine.py")
    code = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(code.replace("epochs: int = 12", "epochs: int = 1"))
    printed = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert "epoch  0" in printed
    assert "epoch  1" not in printed


def test_its_code_is_under_a_hundred_lines():
    assert len(Path(digits.__file__).read_text().splitlines()) < 100
