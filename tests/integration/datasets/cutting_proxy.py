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

    `cut_down` is what one connection carries to the client: then it ends, and all of that arrives.
    After `most_cuts` of these ends no further connection is ended. `cut_up` is what one connection
    may carry to the server before it is reset; `allow_down` and `allow_up` are what all connections
    together may carry: what comes later is reset at once. A reset destroys what is still on its
    way, so what has arrived by then differs. All in bytes; None means no bound.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_down: int | None = None
        self.most_cuts: int | None = None
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
        closed = [source, target]
        try:
            while data := source.recv(PIECE):
                room = self._room(carried) if way == "down" else None
                is_last = room is not None and len(data) >= room
                data = data[:room]
                carried += len(data)
                if self._is_too_much(way, carried, len(data)):
                    self._reset(source, target)
                    return
                target.sendall(data)
                if is_last:
                    self._count_cut()
                    target.shutdown(socket.SHUT_WR)
                    closed.remove(target)  # by the thread that hears the client close its side
                    return
        except OSError:
            pass  # the other end, or a cut, has closed it
        finally:
            for item in closed:
                with contextlib.suppress(OSError):
                    item.shutdown(socket.SHUT_RDWR)
            self._open.discard(source)
            source.close()

    def _room(self, carried: int) -> int | None:
        """How much more a connection carries down before it ends; None: it does not end."""
        with self._lock:
            is_spared = self.most_cuts is not None and self.cuts >= self.most_cuts
            return None if self.cut_down is None or is_spared else max(1, self.cut_down - carried)

    def _is_too_much(self, way: str, carried: int, new: int) -> bool:
        """Count bytes, and say whether a bound is passed."""
        with self._lock:
            setattr(self, way, getattr(self, way) + new)
            allowed = getattr(self, f"allow_{way}")
            if allowed is not None and getattr(self, way) > allowed:
                return True
        return way == "up" and self.cut_up is not None and carried > self.cut_up

    def _reset(self, *sockets: socket.socket) -> None:
        self._count_cut()
        for item in sockets:
            with contextlib.suppress(OSError):
                item.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _count_cut(self) -> None:
        with self._lock:
            self.cuts += 1
