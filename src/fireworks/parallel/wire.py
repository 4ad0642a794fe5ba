"""Objects between two processes: a pickle, and beside it the memory of arrays and tensors, copied once on either side."""

from __future__ import annotations

import io
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

import torch

# A frame: how many parts, and the bytes of all that follows; the bytes of each part; the parts themselves, which are the
# pickle and each piece of memory that it refers to.
_ALIGN = 64  # what torch gives to its own memory
_HEAD = struct.Struct("<QQ48x")
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
        memory: Any = obj.contiguous().reshape(-1).view(torch.uint8).numpy()
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


def _nobody_asks() -> None:
    """Wait on; whoever has set a time limit on the connection says what is to happen when it is over."""


def send(connection: socket.socket, parts: list[Any], check: Callable[[], None] = _nobody_asks) -> None:
    """Write a frame of `packed` parts.

    Args:
        connection: One end of a pair of sockets.
        parts: See `packed`.
        check: Called each time that the connection's time limit is over; raises if there is nothing to wait for.
    """
    sizes = struct.pack(f"<{len(parts)}Q", *(len(part) for part in parts))
    pieces: list[Any] = []
    for part in [sizes, *parts]:
        pieces += [part, bytes(-len(part) % _ALIGN)]
    pieces.insert(0, _HEAD.pack(len(parts), sum(map(len, pieces))))
    pieces = [memoryview(piece) for piece in pieces if len(piece)]
    while pieces:
        try:
            sent = connection.sendmsg(pieces[:_PARTS_AT_ONCE])
        except TimeoutError:
            check()
            continue
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if sent:
            pieces[0] = pieces[0][sent:]


def receive(connection: socket.socket, check: Callable[[], None] = _nobody_asks) -> Any:
    """Read a frame and return its object; the arguments are those of `send`.

    Raises:
        EOFError: the other side is gone.
    """
    count, num_bytes = _HEAD.unpack(_exactly(connection, _HEAD.size, check))
    memory = memoryview(_exactly(connection, num_bytes, check))
    sizes = struct.unpack_from(f"<{count}Q", memory)
    start, parts = 8 * count + -8 * count % _ALIGN, []
    for size in sizes:
        parts.append(memory[start : start + size])
        start += size + -size % _ALIGN
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 (a worker of ours wrote it)


def _exactly(connection: socket.socket, num_bytes: int, check: Callable[[], None]) -> bytearray:
    memory = bytearray(num_bytes)
    view, have = memoryview(memory), 0
    while have < num_bytes:
        try:
            got = connection.recv_into(view[have:])
        except TimeoutError:
            check()
            continue
        if not got:
            raise EOFError("the other side is gone")
        have += got
    return memory
