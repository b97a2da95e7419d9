"""Connections of a training script to the service: kept for the next request, and closed with whoever had them."""

from __future__ import annotations

import http.client
import os
import time
import urllib.request
import weakref
from collections.abc import Mapping
from email.message import Message
from typing import IO, NamedTuple
from urllib.parse import urlsplit

IDLE_SECONDS = 20.0
"""After so long a connection is opened anew: the service closes those that say nothing for half a minute."""


class Answer(NamedTuple):
    """A response that has come in whole."""

    status: int
    reason: str
    headers: Message
    content: bytes


class Connections:
    """The connections to one address; threads may share them, and a forked process opens its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._secure, self._host, self._path = parts.scheme == "https", parts.netloc, parts.path
        proxy = urllib.request.getproxies().get(parts.scheme)
        self.proxied = bool(proxy) and not urllib.request.proxy_bypass(parts.hostname or "")
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._pid = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self, method: str, path: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """The answer to a request. OSError and HTTPException as `http.client` raises them."""
        connection = self._kept()
        if connection is not None:
            try:
                return self._exchange(connection, method, path, body, headers, timeout)
            except ConnectionError:  # it was closed at the other end meanwhile
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return self._exchange(kind(self._host, timeout=timeout), method, path, body, headers, timeout)

    def _kept(self) -> http.client.HTTPConnection | None:
        if self._pid != os.getpid():
            _close_all(self._idle)
            self._pid = os.getpid()
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Answer:
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(method, self._path + path, body, dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, response.reason, response.headers, response.read())
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))
        return answer


def _close_all(idle: list[tuple[http.client.HTTPConnection, float]]) -> None:
    while idle:
        idle.pop()[0].close()
