"""The asynchronous client behind the methods of the synchronous one, so that one suite of tests asks both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from thermowell import AsyncClient


class Loop:
    """An event loop in a thread of its own; any thread may wait for what runs there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine answers."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        """The items of an asynchronous iterator, which is closed with this one."""
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            self.run(items.aclose())  # type: ignore[attr-defined]

    def close(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items)


class Blocking:
    """An AsyncClient, or its transport, whose methods block."""

    def __init__(self, asked: Any, loop: Loop) -> None:
        self._asked, self._loop = asked, loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._asked, name)
        if name == "http":
            return Blocking(value, self._loop)
        return self._blocking(value) if callable(value) else value

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = method(*arguments, **options)
            return self._loop.run(answer) if inspect.iscoroutine(answer) else self._loop.iterate(answer)

        return call

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run(self._asked.aclose())
        self._loop.close()


def asynchronous(url: str | None = None, key: str | None = None, timeout: float = 30.0) -> Any:
    """An AsyncClient that is used as a Client is."""
    return Blocking(AsyncClient(url, key, timeout), Loop())
