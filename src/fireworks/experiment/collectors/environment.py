"""The interpreter, the machine and the installed packages that a trial runs with."""

from __future__ import annotations

import functools
import os
import platform
import socket
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class TorchFacts:
    """What decides whether PyTorch computes the same bits again."""

    version: str
    num_threads: int
    deterministic: bool
    cuda_devices: tuple[str, ...]  # the machine's devices, also where CUDA_VISIBLE_DEVICES hides some

    @classmethod
    def collect(cls) -> TorchFacts | None:
        """Return the facts if the program has imported torch, otherwise None: it is never imported for this."""
        torch: Any = sys.modules.get("torch")
        if torch is None:
            return None
        return cls(
            version=str(torch.__version__),
            num_threads=torch.get_num_threads(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            cuda_devices=cuda_devices() if torch.version.cuda else (),
        )


@dataclass(frozen=True)
class EnvironmentFacts:
    """Everything but the user's own code that a result may depend on."""

    python: str
    implementation: str
    platform: str
    cpu_count: int | None
    hostname: str
    packages: dict[str, str]  # installed distributions and their versions, sorted by name
    torch: TorchFacts | None

    @classmethod
    def collect(cls) -> EnvironmentFacts:
        """Gather the facts; the slow ones once per process, what a program may change (torch) every time."""
        return cls(
            python=platform.python_version(),
            implementation=platform.python_implementation(),
            platform=platform.platform(),
            cpu_count=os.cpu_count(),
            hostname=socket.gethostname(),
            packages=installed_packages(),
            torch=TorchFacts.collect(),
        )


@functools.cache
def installed_packages() -> dict[str, str]:
    """Return the version of every distribution on the path; of two with one name, the one that is imported."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # the rest of an interrupted installation has none
            versions.setdefault(name, distribution.version)
    return dict(sorted(versions.items()))


@functools.cache
def cuda_devices() -> tuple[str, ...]:
    """Return the names of the NVIDIA devices as the driver lists them.

    ``torch.cuda.get_device_name`` would start CUDA in this process: memory on the device, and no fork
    afterwards. Recording a fact must not do that.
    """
    return tuple(
        line.partition(":")[2].strip()
        for information in sorted(NVIDIA_GPUS.glob("*/information"))
        for line in information.read_text().splitlines()
        if line.startswith("Model:")
    )
