"""Turns of keys at computing: what takes much of it has few threads of its own.

Python runs one thread at a time: forty that compute leave the one which answers everybody a fortieth.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from service.errors import RateLimited

MOST_WAITING = 64
"""Of one key; its further requests are told to come again."""
P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Turns:
    """Threads for heavy work: who waits gets the next by turns with all others who wait."""

    def __init__(self, threads: int) -> None:
        self._limiter = anyio.CapacityLimiter(threads)
        self._free = threads
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, key: str, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What the work answers, done in one of the threads when it is this one's turn. RateLimited."""
        async with self._turn(key):
            return await anyio.to_thread.run_sync(work, *arguments, limiter=self._limiter)

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, key: str) -> None:
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= MOST_WAITING:
            raise RateLimited(f"{MOST_WAITING} requests of this key wait for their turn: wait until some are answered")
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # it came in the same moment
            raise

    def _next(self) -> None:
        """Gives a thread that is free to who has waited longest since their last turn."""
        while self._waiting:
            key, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[key] = queue
            if not turn.done():  # else whoever waited has gone
                turn.set_result(None)
                return
        self._free += 1


def in_turn(endpoint: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """An endpoint that computes much, done in a thread of those that draw; it takes `request` and `principal`."""

    @wraps(endpoint)
    async def waiting(*arguments: P.args, **keywords: P.kwargs) -> T:
        request: Any = keywords["request"]
        principal: Any = keywords["principal"]
        turns: Turns = request.app.state.drawing
        return await turns.run(principal.id, partial(endpoint, *arguments, **keywords))

    return waiting
