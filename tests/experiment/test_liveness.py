from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from fireworks.experiment import liveness
from fireworks.experiment.liveness import ProcessIdentity

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_this_process_is_there():
    assert not ProcessIdentity.current().is_gone()
    assert ProcessIdentity.current() == ProcessIdentity.current()


def test_a_process_that_ended_is_gone(start_python):
    process = start_python("")
    process.communicate()
    assert replace(ProcessIdentity.current(), pid=process.pid).is_gone()


@needs_proc
def test_a_killed_process_is_gone_before_its_parent_has_asked(start_python):
    process = start_python("input()")
    identity = replace(ProcessIdentity.current(), pid=process.pid, started=liveness._state_and_start(process.pid)[1])
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    try:
        assert identity.is_gone()
    finally:
        process.communicate()


@needs_proc
def test_another_process_under_the_same_id_is_not_taken_for_it():
    assert replace(ProcessIdentity.current(), started="1").is_gone()


@needs_proc
def test_a_new_start_of_the_machine_ended_all_processes():
    assert replace(ProcessIdentity.current(), boot="of last week").is_gone()


def test_what_cannot_be_seen_is_not_called_gone():
    gone = replace(ProcessIdentity.current(), pid=2**22 + 1, started="1")
    assert gone.is_gone()
    assert not replace(gone, host="elsewhere").is_gone()
    assert not replace(gone, namespace="pid:[1]").is_gone()


def test_the_process_of_another_user_is_there(monkeypatch):
    def refuse(pid, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not replace(ProcessIdentity.current(), started="hidden").is_gone()


def test_without_proc_a_process_is_there_while_its_id_is(monkeypatch, start_python):
    def refuse(self, *args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(liveness.Path, "read_text", refuse)
    monkeypatch.setattr(liveness.Path, "readlink", refuse)
    here = ProcessIdentity.current()
    assert (here.boot, here.namespace, here.started) == ("", "", "")
    assert not here.is_gone()
    process = start_python("")
    process.communicate()
    assert replace(here, pid=process.pid).is_gone()
