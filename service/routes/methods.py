"""HEAD wherever GET can be read without a stream, and 405 with every method that a path knows for any other method."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

_FOUND = "thermowell.methods"


class OtherMethods(BaseRoute):
    """What is left of the paths of some routers once none of their own routes has taken a request."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Full for every path that these routers know, whatever the method."""
        if scope["type"] != "http":
            return Match.NONE, {}
        allowed: set[str] = set()
        first, reading = None, None  # of the routes that match at all, and by GET
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.NONE:
                continue
            first = first or child
            methods = route.methods or set()
            allowed |= methods
            if "GET" in methods and reading is None:
                reading = route, child
        if first is None:
            return Match.NONE, {}
        if reading is not None and reading[0].response_class is not EventSourceResponse:
            allowed.add("HEAD")
            if scope["method"] == "HEAD":
                return Match.FULL, {**reading[1], _FOUND: (reading[0], allowed)}
        return Match.FULL, {**first, _FOUND: (None, allowed)}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to GET, of which the server sends the head alone; or the refusal."""
        route, allowed = scope[_FOUND]
        if route is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        await route.app(scope, receive, send)
