"""A stream of bytes cut into lines: watches and logs.

A watch's chunks end anywhere; the buffer copies every byte once, however the chunks fall.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from gradient_operator.kube.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from gradient_operator.kube.transport import Call, Transport


async def lines_of(
    transport: Transport, call: Call, *, whole: bool, patient: bool = False
) -> AsyncGenerator[bytes]:
    """Give the lines of a stream without their ends; a `patient` one may be silent for ever.

    Raises:
        Unreachable: the stream broke; with `whole` also if its last line has no end.
        KubeError: the server refused to open it.
    """
    buffer = bytearray()
    async with transport.stream(call, patient=patient) as chunks, aclosing(chunks):
        async for chunk in chunks:
            for line in _cut(buffer, chunk):
                yield line
    if buffer and whole:
        raise Unreachable(f"{call.method} {call.path}: cut within a line")
    if buffer:
        yield bytes(buffer)


def _cut(buffer: bytearray, chunk: bytes) -> Iterator[bytes]:
    """Add `chunk` to `buffer` and take the complete lines out of it."""
    scan = len(buffer)
    buffer += chunk
    begin = 0
    while (end := buffer.find(b"\n", scan)) >= 0:
        yield bytes(buffer[begin:end])
        begin = scan = end + 1
    del buffer[:begin]
