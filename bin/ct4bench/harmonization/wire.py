"""Messages between the project and a method's process: JSON and arrays of numbers, no pickle.

A message is 8 bytes with the length of its JSON, the JSON, and the bytes of its arrays in turn; the JSON's `arrays` has
their types and shapes.
"""

import json
import socket
import struct

import numpy as np

HEAD = struct.Struct(">Q")
LARGEST_HEAD = 64 * 1024**2
"""Bytes of JSON that are read of a message: ids and names of a million rows."""
TYPES = ("<f8", "<f4", "<i8", "|u1")


class Lost(Exception):
    """The other end is gone, or what it says is no message."""


def send(end: socket.socket, message: dict, arrays: tuple[np.ndarray, ...] | list[np.ndarray] = ()) -> None:
    """Send a message (plain values) with its arrays; `Lost` where nobody reads it."""
    arrays = [np.ascontiguousarray(array) for array in arrays]
    shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
    head = json.dumps({**message, "arrays": shapes}).encode()
    try:
        end.sendall(HEAD.pack(len(head)) + head)
        for array in arrays:
            if array.size:
                end.sendall(memoryview(array).cast("B"))
    except OSError as error:
        raise Lost(str(error)) from error


def receive(end: socket.socket, most_bytes: int | None = None) -> tuple[dict, list[np.ndarray]]:
    """Wait for a message and its arrays, of at most `most_bytes` where given; `Lost` where none comes."""
    (length,) = HEAD.unpack(_exactly(end, bytearray(HEAD.size)))
    if length > LARGEST_HEAD:
        raise Lost("a message is too long")
    try:
        message = json.loads(_exactly(end, bytearray(length)))
        shapes = [(str(kind), tuple(int(n) for n in shape)) for kind, shape in message.pop("arrays")]
        sizes = [np.dtype(kind).itemsize * int(np.prod(shape, dtype=object)) for kind, shape in shapes]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Lost("what came is no message") from error
    known = all(kind in TYPES and min(shape, default=0) >= 0 for kind, shape in shapes)
    if not known or (most_bytes is not None and sum(sizes) > most_bytes):
        raise Lost("a message has arrays that were not asked for")
    arrays = []
    for (kind, shape), size in zip(shapes, sizes, strict=True):
        arrays.append(np.frombuffer(_exactly(end, bytearray(size)), kind).reshape(shape))
    return message, arrays


def _exactly(end: socket.socket, room: bytearray) -> bytearray:
    """Fill the room with what comes."""
    view, filled = memoryview(room), 0
    while filled < len(room):
        try:
            got = end.recv_into(view[filled:])
        except OSError as error:
            raise Lost(str(error)) from error
        if not got:
            raise Lost("the other end is closed")
        filled += got
    return room
