"""Disks that are full and processes that die, for the tests of everything that writes files."""

import contextlib
import resource
import subprocess
import sys
import time

import pytest


@contextlib.contextmanager
def largest_file(num_bytes):
    """Let no file of this process grow beyond so many bytes, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder, num_bytes):
    """Mount a disk of so many bytes on a folder, or skip the test where this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        for _ in range(100):  # a thread may finish what it had in hand
            if not subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"somebody holds a file in {folder}")


# A process that is imported once and forked for each kill, so that many kills cost little.
_HARNESS = """
import os, random, signal, sys, time
from pathlib import Path

def child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    return pid

def killed_before_call(number, function):
    '''Run a function in a child that kills itself before the n-th call that touches the disk; tell whether it did.'''
    def run():
        calls = 0
        def counted(real):
            def call(*arguments, **keywords):
                nonlocal calls
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls += 1
                return real(*arguments, **keywords)
            return call
        os.fsync, os.link, os.open, Path.replace, Path.open = map(
            counted, (os.fsync, os.link, os.open, Path.replace, Path.open)
        )
        function()
    return os.WIFSIGNALED(os.waitpid(child(run), 0)[1])

def killed_after(seconds, function):
    '''Run a function in a child that is killed after some time.'''
    pid = child(function)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def lines_of_killed(script, *arguments):
    """Run a script that kills its children; return the lines that it prints."""
    command = [sys.executable, "-c", _HARNESS + script, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
