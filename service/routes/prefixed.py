"""Where a request's prefix comes from: from a proxy that is trusted, or else from the settings."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem_response
from service.prefix import HEADER, enter, parse_prefix
from service.proxies import has_trusted_peer


class Prefixed:
    """Finds out below which prefix a request was made, before anything else looks at its path."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        prefix, header_values = self.prefix, Headers(scope=scope).getlist(HEADER)
        if header_values and has_trusted_peer(scope):
            try:
                prefix = parse_prefix(",".join(header_values).rpartition(",")[2])  # the nearest proxy's own word
            except ValueError as error:
                enter(scope, prefix)
                refusal = problem_response("request-invalid", f"{HEADER}: {error}", scope["path"])
                await refusal(scope, receive, send)
                return
        enter(scope, prefix)
        await self.app(scope, receive, send)
