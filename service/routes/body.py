"""How much may a request carry? What is larger is refused as a problem, whether or not its length was announced."""

from __future__ import annotations

from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import respond

# Nobody reads the rest of the body, so the connection ends with the answer: it could go on for ever.
_HANG_UP = {"Connection": "close"}


class BodyLimit:
    """Refuses bodies above a number of bytes. (Starlette's own answers in plain text.)"""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.limit:
            await respond(HTTPException(413, headers=_HANG_UP), scope["path"])(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise HTTPException(413, headers=_HANG_UP)
            return message

        with suppress(ClientDisconnect):  # whoever hangs up in the middle of it is no fault of the service
            await self.app(scope, counted, send)
