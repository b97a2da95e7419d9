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
        known: set[str] = set()
        first, reading = None, None  # of the routes that match at all, and by GET
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.NONE:
                continue
            first = first or child
            own = route.methods or set()
            known |= own
            if "GET" in own and reading is None:
                reading = route, child
        if first is None:
            return Match.NONE, {}
        if reading is not None and reading[0].response_class is not EventSourceResponse:
            known.add("HEAD")
            if scope["method"] == "HEAD":
                return Match.FULL, {**reading[1], _FOUND: (reading[0], known)}
        return Match.FULL, {**first, _FOUND: (None, known)}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to GET, of which the server sends the head alone; or the refusal."""
        route, known = scope[_FOUND]
        if route is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(known))})
        await route.app(scope, receive, send)
