"""Objects between two processes: a pickle, and beside it the memory of arrays and tensors, copied once on either side."""

from __future__ import annotations

import io
import pickle
import socket
import struct
from typing import Any

import torch

# A frame: how many parts, the bytes of each, then the parts: the pickle, and each piece of memory that it refers to.
_COUNT = struct.Struct("<I")
_ALIGN = 64  # what torch gives to its own memory
_PARTS_AT_ONCE = 512  # Linux takes 1,024


def _rebuild(memory: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)


class _Pickler(pickle.Pickler):
    """Writes plain tensors as memory; torch's own way writes a small archive for each, some 100 microseconds."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not torch.Tensor or not _is_plain(obj):
            return NotImplemented
        memory = obj.contiguous().reshape(-1).view(torch.uint8).numpy()
        return _rebuild, (pickle.PickleBuffer(memory), obj.dtype, tuple(obj.shape))


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not (tensor.requires_grad or tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
        and not tensor.__dict__
    )


def packed(value: Any) -> list[Any]:
    """Return the parts of a frame: the pickle, and the memory that it refers to."""
    memory: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=memory.append).dump(value)
    return [stream.getbuffer(), *(part.raw() for part in memory)]


def send(connection: socket.socket, parts: list[Any]) -> None:
    """Write a frame of `packed` parts."""
    sizes = [len(part) for part in parts]
    head = _COUNT.pack(len(parts)) + struct.pack(f"<{len(parts)}Q", *sizes)
    pieces: list[Any] = [head, b"\0" * (-len(head) % _ALIGN)]
    for part in parts:
        pieces += [part, b"\0" * (-len(part) % _ALIGN)]
    pieces = [memoryview(piece) for piece in pieces if len(piece)]
    while pieces:
        sent = connection.sendmsg(pieces[:_PARTS_AT_ONCE])
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if sent:
            pieces[0] = pieces[0][sent:]


def receive(connection: socket.socket) -> Any:
    """Read a frame and return its object.

    Raises:
        EOFError: the other side is gone.
    """
    (count,) = _COUNT.unpack(_exactly(connection, _COUNT.size))
    sizes = struct.unpack(f"<{count}Q", _exactly(connection, 8 * count))
    _exactly(connection, -(_COUNT.size + 8 * count) % _ALIGN)
    total = sum(size + -size % _ALIGN for size in sizes)
    memory = memoryview(_exactly(connection, total))
    parts, start = [], 0
    for size in sizes:
        parts.append(memory[start : start + size])
        start += size + -size % _ALIGN
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 (a worker of ours wrote it)


def _exactly(connection: socket.socket, num_bytes: int) -> bytearray:
    memory = bytearray(num_bytes)
    view, have = memoryview(memory), 0
    while have < num_bytes:
        got = connection.recv_into(view[have:])
        if not got:
            raise EOFError("the other side is gone")
        have += got
    return memory
