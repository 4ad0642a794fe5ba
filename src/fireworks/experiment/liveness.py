"""Which process runs a trial, and whether it is still there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """One process among all that ever ran: a process id alone is soon used again.

    Where there is no ``/proc`` (macOS), ``boot``, ``namespace`` and ``started`` are empty, and a process
    counts as running while its id is in use.
    """

    host: str
    boot: str  # the kernel's id of this start of the machine
    namespace: str  # containers count their process ids separately
    pid: int
    started: str  # clock ticks from the start of the machine

    @classmethod
    def current(cls) -> ProcessIdentity:
        """Return the identity of the process that asks."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            boot=_read(Path("/proc/sys/kernel/random/boot_id")),
            namespace=_namespace(),
            pid=pid,
            started=_state_and_start(pid)[1],
        )

    def is_gone(self) -> bool:
        """Tell whether the process has certainly ended; False where this can't be seen from here.

        A host that has been started anew since then runs none of its earlier processes.
        """
        here = ProcessIdentity.current()
        if self.host != here.host:
            return False
        if self.boot != here.boot:
            return True
        return self.namespace == here.namespace and not _is_running(self.pid, self.started)


def _is_running(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 asks and does nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's process; its /proc entry may be hidden
    state, start_now = _state_and_start(pid)
    return state not in {"Z", "X"} and start_now == started


def _state_and_start(pid: int) -> tuple[str, str]:
    """Fields 3 and 22 of ``/proc/<pid>/stat`` (proc(5)); the second may hold spaces and parentheses."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], fields[19]) if fields else ("", "")


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
