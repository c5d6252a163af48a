"""A TCP proxy in front of a server that counts bytes and cuts connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes bytes on; `endpoint` leads through it.

    `cut_down` and `cut_up` are the bytes that one connection may carry to the client and to the
    server before it is reset; `allow_down` and `allow_up` are what all connections together may
    carry: what comes later is reset at once. None means no bound.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_down: int | None = None
        self.cut_up: int | None = None
        self.allow_down: int | None = None
        self.allow_up: int | None = None
        self.down = self.up = self.cuts = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for item in list(self._open):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def reset_counts(self) -> None:
        self.down = self.up = self.cuts = 0

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            self._start(self._pass, client, server, "up")
            self._start(self._pass, server, client, "down")

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        carried = 0
        try:
            while data := source.recv(PIECE):
                carried += len(data)
                with self._lock:
                    setattr(self, way, getattr(self, way) + len(data))
                    allowed = getattr(self, f"allow_{way}")
                    ended = allowed is not None and getattr(self, way) > allowed
                most = getattr(self, f"cut_{way}")
                if ended or (most is not None and carried > most):
                    self._reset(source, target)
                    return
                target.sendall(data)
        except OSError:
            pass
        finally:
            for item in (source, target):
                with contextlib.suppress(OSError):
                    item.shutdown(socket.SHUT_RDWR)
            self._open.discard(source)
            source.close()

    def _reset(self, *sockets: socket.socket) -> None:
        self.cuts += 1
        for item in sockets:
            with contextlib.suppress(OSError):
                item.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
