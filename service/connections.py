"""Limits on connections: uvicorn's own protocol with an end to every waiting, and caps per address.

uvicorn waits for ever for a request's first byte, for the rest of its headers, for its body, and for who reads nothing;
and turns everybody away, health checks too, once there are so many connections. Here idle ones make room for new ones.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import h11
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import problem_response
from service.proxies import counted_address, is_trusted
from service.routes.rates import HEALTH
from service.settings import Settings

RETRY_SECONDS = 5
_LATE = b"The request did not come within its time.\n"
_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_LATE), _LATE)
)


class Book:
    """The connections of one server, by the address that each counts for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def enter(self, connection: Connection) -> bool:
        """Enters a connection, closing an idle one where there are too many; answers whether there is room for it."""
        address, trusted = connection.counted
        neighbours = self._by_address.setdefault(address, {})
        room = True
        if not trusted and len(neighbours) >= self.settings.connections_per_address:
            room = _close_one(neighbours)
        elif self._count >= self.settings.connections:
            crowds = sorted(self._by_address.values(), key=len, reverse=True)
            room = any(_close_one(crowd) for crowd in crowds)
        self._by_address.setdefault(address, neighbours)[connection] = None
        self._count += 1
        return room

    def leave(self, connection: Connection) -> None:
        """Forgets a connection; one that was closed for another may have been forgotten before."""
        address, _ = connection.counted
        neighbours = self._by_address.get(address, {})
        if connection in neighbours:
            del neighbours[connection]
            self._count -= 1
            if not neighbours:
                del self._by_address[address]


def _close_one(crowd: dict[Connection, None]) -> bool:
    """Closes the idle connection that has been idle for longest, if one is."""
    idle = [connection for connection in crowd if connection.idle]
    if not idle:
        return False
    min(idle, key=lambda connection: connection.quiet_since).close_for_another()
    return True


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(self, *arguments: Any, book: Book, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.book = book
        self.counted = ("unknown", False)
        self.quiet_since = 0.0
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._awaiting: str | None = None

    @property
    def idle(self) -> bool:
        """Whether no request has come in whole that is still being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings = self.book.settings
        if self.client is not None:
            address = counted_address(self.client[0])
            self.counted = (address, is_trusted(self.client[0], settings.trusted_proxies))
        self.quiet_since = time.monotonic()
        if not self.book.enter(self):
            self.app = _health_alone(self.app)
        self._await("headers", settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.book.leave(self)
        self._await(None)
        self._stop_writing_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.quiet_since = time.monotonic()
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        self.quiet_since = time.monotonic()
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_writing_timer()
        self._write_timer = self.loop.call_later(self.book.settings.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_writing_timer()

    def close_for_another(self) -> None:
        """Ends an idle connection at once, and forgets it, so that another has its place."""
        self.book.leave(self)
        self.transport.abort()

    def _look(self) -> None:
        """Begins to wait for what has to come next, or ceases to."""
        if self.transport.is_closing():
            self._await(None)
        elif self.conn.their_state is h11.SEND_BODY:  # also of a request that is answered without it
            self._await("body", self.book.settings.body_seconds)
        elif self.idle:
            partial_request = bool(
                self.conn.trailing_data[0]
            )  # a part of the next request's headers; else it is kept alive
            self._await("headers" if partial_request or self.cycle is None else None, self.book.settings.header_seconds)
        else:
            self._await(None)

    def _await(self, phase: str | None, seconds: float = 0.0) -> None:
        """The time for what is waited for runs from the first moment on, however little of it comes at a time."""
        if phase == self._awaiting:
            return
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._awaiting = phase
        self._request_timer = None if phase is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # nothing of an answer was sent
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _stop_writing_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _health_alone(app: Any) -> Any:
    """What a connection is answered for which there is no room: whether the service is well, and else to come again."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        if scope["type"] == "http" and scope["path"] in HEALTH:
            await app(scope, receive, closing)
            return
        detail = "all connections are in use, of yours or of all: close some, or ask again shortly"
        headers = {"Retry-After": str(RETRY_SECONDS)}
        await problem_response("too-busy", detail, scope["path"], headers=headers)(scope, receive, closing)

    return answering


def protocol_for(settings: Settings) -> type[Connection]:
    """The protocol of one server's connections."""
    book = Book(settings)

    class Bound(Connection):
        """A connection in this server's book."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, book=book, **keywords)

    return Bound
