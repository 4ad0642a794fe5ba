"""The git checkout that a trial starts from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 10.0  # a checkout on a slow network drive must not hold up a trial


@dataclass(frozen=True)
class GitFacts:
    """The checkout around a folder; every field is None outside a checkout, or where git can't be run or hangs."""

    commit: str | None  # None also before the first commit
    branch: str | None  # None also on a detached HEAD
    dirty: bool | None  # tracked files differ from `commit`

    @classmethod
    def collect(cls, directory: Path) -> GitFacts:
        """Ask git once about the checkout around ``directory``, without taking its lock."""
        command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
        try:
            # `git` is looked up on the user's own PATH, as in the shell that started the trial.
            answer = subprocess.run(command, cwd=directory, capture_output=True, check=True, timeout=_PATIENCE_S)  # noqa: S603
        except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return cls(commit=None, branch=None, dirty=None)
        lines = answer.stdout.decode(errors="surrogateescape").splitlines()
        headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        return cls(
            commit=_known(headers["branch.oid"]),
            branch=_known(headers["branch.head"]),
            dirty=any(not line.startswith("# ") for line in lines),
        )


def _known(value: str) -> str | None:
    """Git's words for "no commit yet" and "no branch"."""
    return None if value in {"(initial)", "(detached)"} else value
