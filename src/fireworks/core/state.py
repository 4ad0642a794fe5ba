"""The components whose state is saved and restored together."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import safetensors
import safetensors.torch
import torch

from fireworks._internal.files import replacing
from fireworks.core.encoding import put_together, take_apart
from fireworks.core.pipe import Pipe
from fireworks.errors import StateError, did_you_mean

_FORMAT = "fireworks-state"
_VERSION = 1
_MANIFEST = "manifest.json"
_TENSORS = "tensors-*.safetensors"


@runtime_checkable
class Stateful(Protocol):
    """What can be saved: torch's modules, optimizers and schedulers, our trainers and iterators, and anything alike."""

    def state_dict(self) -> Any:
        """Return the state: nested dicts, lists and tuples of tensors, numbers and text."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Restore it."""


class Scaffold:
    """A named set of components whose state is saved and restored together, or not at all.

    A folder holds ``manifest.json`` and one safetensors file; reading them runs no code. Saving is atomic: a crash
    leaves the old state or the new one. Loading checks everything that can be checked before it changes anything, and
    puts all components back if one of them refuses.

    Args:
        components: Anything with ``state_dict`` and ``load_state_dict``, by name.

    Raises:
        StateError: a component has no state that can be saved; the error names it.

    Example:
        >>> import tempfile
        >>> net, copy = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fw.Scaffold(net=net).save(folder)
        ...     fw.Scaffold(net=copy).load(folder)
        >>> bool((net.weight == copy.weight).all())
        True
    """

    def __init__(self, /, **components: Stateful) -> None:
        if not components:
            raise ValueError("Scaffold: name at least one component, as in Scaffold(model=model).")
        for name, component in components.items():
            if not _has_state(component):
                raise StateError(
                    f"Scaffold: component {name!r} of type {type(component).__name__} has no state_dict and "
                    "load_state_dict, so it can't be saved. Of a pipe, save its iterator."
                )
        self.components = dict(components)

    def save(self, folder: str | Path) -> None:
        """Save the state of every component into a folder, which is made if it isn't there.

        One process at a time may save into a folder.

        Raises:
            StateError: a state holds something that can't be saved; the error names the place. Nothing is written then.
            OSError: the disk is full or the folder can't be written; what was saved there before is still whole.
        """
        tensors: dict[str, torch.Tensor] = {}
        states = {
            name: take_apart(component.state_dict(), name, tensors) for name, component in self.components.items()
        }
        data = safetensors.torch.save(tensors)
        sha256 = hashlib.sha256(data).hexdigest()
        file = f"tensors-{sha256[:16]}.safetensors"
        content = {"tensors": {"file": file, "sha256": sha256}, "components": states}
        manifest = {"format": _FORMAT, "version": _VERSION, "sha256": _digest(content), **content}
        text = json.dumps(manifest, indent=1, allow_nan=False)
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_both(folder, file, data, text.encode())
        except OSError as error:
            raise OSError(
                error.errno,
                f"Scaffold: the state can't be saved into {str(folder)!r}: {error.strerror or error}. "
                "What was saved there before is still whole",
            ) from error

    def load(self, folder: str | Path) -> None:
        """Restore the state of every component from a folder.

        Raises:
            FileNotFoundError: there is no saved state.
            StateError: the files are damaged or of a newer version, the components' names differ, or a component
                refuses its state. All components are then as they were.
        """
        states = read_states(folder)
        for name in states:
            if name not in self.components:
                raise StateError(
                    f"Scaffold: {str(folder)!r} holds a component {name!r}, which this scaffold lacks; "
                    f"it has {list(self.components)}.{did_you_mean(name, self.components)}"
                )
        for name in self.components:
            if name not in states:
                raise StateError(f"Scaffold: {str(folder)!r} holds no component {name!r}; it holds {list(states)}.")
        before = {name: copy.deepcopy(component.state_dict()) for name, component in self.components.items()}
        touched: list[str] = []
        try:
            for name, component in self.components.items():
                touched.append(name)
                component.load_state_dict(states[name])
        except BaseException as error:
            refused = StateError(f"Scaffold: component {touched[-1]!r} refused its saved state: {error}")
            for name in touched:
                self._put_back(name, before[name], refused)
            if not isinstance(error, Exception):
                raise
            raise refused from error

    def _put_back(self, name: str, state: Any, refused: StateError) -> None:
        try:
            self.components[name].load_state_dict(state)
        except Exception as error:  # noqa: BLE001 (one that refuses all must not keep the others from their states)
            refused.add_note(f"Component {name!r} refused its own earlier state too: {error}")


def _has_state(component: object) -> bool:
    # A pipe would answer with the state of a model upstream, which is not the pipe's own.
    owner = type(component) if isinstance(component, Pipe) else component
    return hasattr(owner, "state_dict") and hasattr(owner, "load_state_dict")


def read_states(folder: str | Path) -> dict[str, Any]:
    """Return the saved state of each component, by name, without any component.

    Raises:
        FileNotFoundError: there is no saved state.
        StateError: the files are damaged or of a newer version.
    """
    folder = Path(folder)
    path = folder / _MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"Scaffold: no saved state in {str(folder)!r}; {_MANIFEST} is not there.")
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise StateError(f"Scaffold: {str(path)!r} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise StateError(f"Scaffold: {str(path)!r} is no manifest of fireworks.")
    version = manifest.get("version")
    if isinstance(version, int) and version > _VERSION:
        raise StateError(
            f"Scaffold: {str(path)!r} has version {version}; this fireworks reads up to {_VERSION}. Upgrade fireworks-torch."
        )
    content = {name: manifest.get(name) for name in ("tensors", "components")}
    if version != _VERSION or manifest.get("sha256") != _digest(content):
        raise StateError(f"Scaffold: {str(path)!r} is damaged: its checksum is not that of its content.")
    file, sha256 = manifest["tensors"]["file"], manifest["tensors"]["sha256"]
    try:
        data = (folder / file).read_bytes()
    except FileNotFoundError as error:
        raise StateError(f"Scaffold: {str(folder / file)!r} is missing; the manifest names it.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StateError(f"Scaffold: {str(folder / file)!r} is damaged: its checksum is not the manifest's.")
    tensors = safetensors.torch.load(data)
    return {name: put_together(state, tensors) for name, state in manifest["components"].items()}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _write_both(folder: Path, file: str, data: bytes, manifest: bytes) -> None:
    """Write the tensors, then the manifest that names them; the moment it is in place the new state counts."""
    try:
        for name, content in ((file, data), (_MANIFEST, manifest)):
            with replacing(folder / name) as opened:
                opened.write(content)
    finally:
        _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove what the manifest doesn't name: earlier tensors, and what a failure or a killed process left."""
    path = folder / _MANIFEST
    manifest = path.read_bytes() if path.exists() else b""
    for pattern in (_TENSORS, f".{_TENSORS}-*", f".{_MANIFEST}-*"):
        for file in folder.glob(pattern):
            if file.name.encode() not in manifest:
                file.unlink(missing_ok=True)
