"""Request identifiers: taken from the request or made here, kept in the answer, in logs and with the job."""

from __future__ import annotations

import re
import secrets

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RequestIds:
    """Names each request: whoever reads a worker's log finds the request that asked for the job, and its client."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        header = Headers(scope=scope).get(HEADER, "")
        # what a client calls it goes into logs and tables: nothing but a plain word
        name = header if _NAME.fullmatch(header) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        with structlog.contextvars.bound_contextvars(request=name):
            await self.app(scope, receive, told)
