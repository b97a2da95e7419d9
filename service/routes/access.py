"""Rechecks of the key or session behind an answer that takes long, while it goes on."""

from __future__ import annotations

import time
from typing import Literal

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.errors import DatabaseUnavailable, SchemaMissing
from search.records import LOCAL_OWNER, Principal
from search.storage.db import Database
from service.auth import authenticate, check_scope
from service.errors import Forbidden, HostRefused, Unauthenticated
from service.settings import Settings

Reason = Literal["key-revoked", "session-ended", "key-needed", "forbidden"]
REFUSALS = (Unauthenticated, Forbidden, HostRefused)
DETAILS: dict[Reason, str] = {
    "key-revoked": "the key was revoked",
    "session-ended": "the session has ended: signed out, over, or its key was revoked",
    "key-needed": "the service needs an API key by now",
    "forbidden": "the key may not read this any more",
}
_log = structlog.get_logger(__name__)


class AccessEnded(Exception):
    """Whoever began to read may not read on; `reason` is for programs, the message for people."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(DETAILS[reason])
        self.reason: Reason = reason


class Access:
    """What a request's credentials allow, looked at again when it is due."""

    def __init__(self, connection: HTTPConnection, db: Database, settings: Settings, principal: Principal) -> None:
        self.principal = principal
        self._connection, self._db, self._settings = connection, db, settings
        self._due_at = time.monotonic() + settings.recheck_seconds

    @property
    def due(self) -> bool:
        """Whether so much time has passed that nothing more should be sent unseen."""
        return time.monotonic() >= self._due_at

    async def check(self) -> None:
        """Looks at the credentials again. Raises AccessEnded, and DatabaseUnavailable where nothing can be known."""
        try:
            now = await run_in_threadpool(authenticate, self._connection, self._db, self._settings)
            check_scope(now, "read")
        except Forbidden:
            raise AccessEnded("forbidden") from None
        except REFUSALS:
            raise AccessEnded(self._reason()) from None
        if now.id != self.principal.id:
            raise AccessEnded(self._reason())
        self.principal = now
        self._due_at = time.monotonic() + self._settings.recheck_seconds

    def _reason(self) -> Reason:
        if "authorization" in self._connection.headers:
            return "key-revoked"
        return "key-needed" if self.principal.id == LOCAL_OWNER else "session-ended"


class Rechecked:
    """Cuts off an answer in many parts whose key or session has ended meanwhile: downloads, tables, the dashboard's.

    Event streams look for themselves, and say so.
    """

    def __init__(self, app: ASGIApp, db: Database, settings: Settings) -> None:
        self.app, self.db, self.settings = app, db, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        access: Access | None = None

        async def guarded(message: Message) -> None:
            nonlocal access
            if message["type"] == "http.response.start":
                principal = scope.get("state", {}).get("principal")
                kind = dict(message.get("headers", ())).get(b"content-type", b"")
                if principal is not None and not kind.startswith(b"text/event-stream"):
                    access = Access(HTTPConnection(scope), self.db, self.settings, principal)
            elif access is not None and access.due:
                await access.check()
            await send(message)

        try:
            await self.app(scope, receive, guarded)
        except (AccessEnded, DatabaseUnavailable, SchemaMissing) as error:
            if access is None:
                raise
            # the status has been sent: what is left is to end without the last part, which clients take as cut off
            _log.warning("an answer was cut off", path=scope["path"], detail=str(error))
