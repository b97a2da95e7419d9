"""Limits on open event streams: so many of each key, and of all so many that other requests get in."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi import Request

from search.records import LOCAL_OWNER
from service.auth import Reader
from service.errors import RateLimited
from service.routes.rates import address_of

FULL_SECONDS = 10
"""What somebody without a place is told to wait."""


class Places:
    """The places of one application's event streams."""

    def __init__(self, per_key: int, all_together: int) -> None:
        self._each, self._all = per_key, all_together
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """One place as long as the context lasts. RateLimited."""
        if self._taken[client] >= self._each:
            raise RateLimited(f"at most {self._each} event streams at once: close one first", FULL_SECONDS)
        if self._taken.total() >= self._all:
            raise RateLimited(
                "all event streams are taken: ask again shortly, or read the job now and then", FULL_SECONDS
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            self._taken += Counter()  # forgets who has none


async def stream_place(request: Request, principal: Reader) -> AsyncIterator[None]:
    """A dependency: the place of a request's event stream, until that has ended."""
    places: Places = request.app.state.places
    client = principal.id if principal.id != LOCAL_OWNER else address_of(request.scope)
    with places.taken(client):
        yield
