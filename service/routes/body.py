"""The limit on request bodies: so many bytes, whether or not they were announced, and as they are, not compressed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import MediaTypeUnsupported, respond
from service.prefix import inner_path

# Nobody reads the rest of the body, so the connection ends with the answer: it could go on for ever.
_HANG_UP = {"Connection": "close"}


class BodyLimit:
    """Refuses bodies above a number of bytes, and encoded ones. (Starlette's own answer is plain text.)

    Files may be larger, as `limits` have it for a method and a pattern of paths. A compressed body would have to be
    inflated to be counted, by a service whose specs are a few kilobytes.
    """

    def __init__(self, app: ASGIApp, limit: int, limits: Mapping[tuple[str, str], int]) -> None:
        self.app, self._limit = app, limit
        self._of_files = [(method, re.compile(path), most) for (method, path), most in limits.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        encodings = _encodings(headers)
        if encodings and (announced.strip("0") or "transfer-encoding" in headers):
            refusal = MediaTypeUnsupported(
                f"a body comes as it is: Content-Encoding {', '.join(encodings)} is not read. Send it "
                "uncompressed, without that header"
            )
            answer = respond(refusal, scope["path"])
            answer.headers.update({"Accept-Encoding": "identity", **_HANG_UP})
            await answer(scope, receive, send)
            return
        if announced.isdecimal() and int(announced) > limit:
            await respond(HTTPException(413, headers=_HANG_UP), scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, headers=_HANG_UP)
            return message

        with suppress(ClientDisconnect):  # whoever hangs up in the middle of it is no fault of the service
            await self.app(scope, counted, send)

    def _limit_of(self, scope: Scope) -> int:
        path = inner_path(scope)
        matches = (
            most for method, paths, most in self._of_files if method == scope["method"] and paths.fullmatch(path)
        )
        return next(matches, self._limit)


def _encodings(headers: Headers) -> list[str]:
    """What a body was encoded by, but for what is no encoding at all."""
    encodings = [encoding.strip()[:40] for encoding in ",".join(headers.getlist("content-encoding")).split(",")]
    return [encoding for encoding in encodings if encoding.lower() not in ("", "identity")]
