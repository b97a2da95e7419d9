"""Lines between programs and a service that can be cut, and be down for a while."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress


class Line:
    """A line to the replicas of a service, which it connects to by turns: the next one where one does not answer."""

    def __init__(self, host: str, ports: Sequence[int]) -> None:
        self._host, self._ports, self._turns = host, list(ports), itertools.count()
        self._ends: list[socket.socket] = []
        self._down = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection; new ones are taken as before."""
        ends, self._ends = self._ends, []
        for end in ends:
            _end(end)

    def take_down(self) -> None:
        """Breaks every connection and takes no new one: a partition."""
        self._down = True
        self.cut()

    def bring_up(self) -> None:
        """Takes connections again."""
        self._down = False

    def close(self) -> None:
        """Ends the line."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = None if self._down else self._connected()
                if far is None:
                    _end(near)
                    continue
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()

    def _connected(self) -> socket.socket | None:
        turn = next(self._turns)
        for number in range(len(self._ports)):
            with suppress(OSError):
                return socket.create_connection((self._host, self._ports[(turn + number) % len(self._ports)]), 5.0)
        return None


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        sink.settimeout(None)
        source.settimeout(None)
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        _end(end)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
