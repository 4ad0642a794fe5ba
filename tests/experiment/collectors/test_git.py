from __future__ import annotations

import subprocess
import time

import pytest

from fireworks.experiment.collectors.git import GitFacts

NOWHERE = GitFacts(commit=None, branch=None, dirty=None)


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Run git in the test's folder, whatever the configuration of who runs the test."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def run(*arguments):
        name = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        answer = subprocess.run(["git", *name, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return answer.stdout.strip()

    return run


def test_commit_branch_and_changes_are_told(git, tmp_path):
    git("init", "--initial-branch", "feature/x")
    (tmp_path / "a.py").write_text("a = 1\n")
    assert GitFacts.collect(tmp_path) == GitFacts(commit=None, branch="feature/x", dirty=False)
    git("add", "a.py")
    git("commit", "--message", "Add a")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "untracked.py").write_text("")
    assert GitFacts.collect(tmp_path) == GitFacts(commit=commit, branch="feature/x", dirty=False)
    (tmp_path / "a.py").write_text("a = 2\n")
    assert GitFacts.collect(tmp_path) == GitFacts(commit=commit, branch="feature/x", dirty=True)
    git("checkout", "--detach", "--force")
    assert GitFacts.collect(tmp_path) == GitFacts(commit=commit, branch=None, dirty=False)


def test_outside_a_checkout_nothing_is_known(git, tmp_path):
    assert GitFacts.collect(tmp_path) == NOWHERE


def test_without_git_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GitFacts.collect(tmp_path) == NOWHERE


def test_a_git_that_can_not_be_run_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "git").write_text("no program")
    assert GitFacts.collect(tmp_path) == NOWHERE  # no permission to run it
    (tmp_path / "git").chmod(0o755)
    assert GitFacts.collect(tmp_path) == NOWHERE  # no format that can be run


def test_a_git_that_hangs_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr("fireworks.experiment.collectors.git._PATIENCE_S", 0.05)
    began = time.monotonic()
    assert GitFacts.collect(tmp_path) == NOWHERE
    assert time.monotonic() - began < 10
