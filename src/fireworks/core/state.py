"""The components whose state is saved and restored together."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import safetensors
import safetensors.torch
import torch

from fireworks.core.encoding import put_together, take_apart
from fireworks.errors import StateError, did_you_mean

_FORMAT = "fireworks-state"
_VERSION = 1
_MANIFEST = "manifest.json"


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

    def __init__(self, **components: Stateful) -> None:
        if not components:
            raise ValueError("Scaffold: name at least one component, as in Scaffold(model=model).")
        for name, component in components.items():
            if not isinstance(component, Stateful):
                raise StateError(
                    f"Scaffold: component {name!r} of type {type(component).__name__} has no state_dict and "
                    "load_state_dict, so it can't be saved. Of a pipe, save its iterator."
                )
        self.components = dict(components)

    def save(self, folder: str | Path) -> None:
        """Save the state of every component into a folder, which is made if it isn't there.

        Raises:
            StateError: a state holds something that can't be saved; the error names the place. Nothing is written then.
            OSError: the disk is full or the folder can't be written; what was saved there before is still whole.
        """
        tensors: dict[str, torch.Tensor] = {}
        states = {
            name: take_apart(component.state_dict(), name, tensors) for name, component in self.components.items()
        }
        data = safetensors.torch.save(tensors)
        digest = hashlib.sha256(data).hexdigest()
        file = f"tensors-{digest[:16]}.safetensors"
        manifest = {
            "format": _FORMAT,
            "version": _VERSION,
            "tensors": {"file": file, "sha256": digest},
            "components": states,
        }
        text = json.dumps(manifest, indent=1, allow_nan=False)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / file, data)
        _write(folder / _MANIFEST, text.encode())  # from here on the new state counts
        for old in folder.glob("tensors-*.safetensors"):
            if old.name != file:
                old.unlink()

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
        for name, component in self.components.items():
            try:
                component.load_state_dict(states[name])
            except Exception as error:
                for earlier, state in before.items():
                    self.components[earlier].load_state_dict(state)
                    if earlier == name:
                        break
                raise StateError(f"Scaffold: component {name!r} refused its saved state: {error}") from error


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
        version, file, digest = manifest["version"], manifest["tensors"]["file"], manifest["tensors"]["sha256"]
        is_ours = manifest["format"] == _FORMAT and Path(file).name == file
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"Scaffold: {str(path)!r} is damaged, or no manifest of fireworks: {error!r}.") from error
    if not is_ours:
        raise StateError(f"Scaffold: {str(path)!r} is no manifest of fireworks.")
    if version > _VERSION:
        raise StateError(
            f"Scaffold: {str(path)!r} has version {version}; this fireworks reads up to {_VERSION}. Upgrade fireworks-torch."
        )
    try:
        data = (folder / file).read_bytes()
    except FileNotFoundError as error:
        raise StateError(f"Scaffold: {str(folder / file)!r} is missing; the manifest names it.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise StateError(f"Scaffold: {str(folder / file)!r} is damaged: its checksum is not the manifest's.")
    tensors = safetensors.torch.load(data)
    return {name: put_together(state, tensors) for name, state in manifest["components"].items()}


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
