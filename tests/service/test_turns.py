"""Heavy work takes turns, and everybody else is answered meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from service.errors import RateLimited
from service.routes import turns
from service.settings import Settings
from tests.service.server_fixtures import serving

YAML = {"Content-Type": "application/yaml"}


@pytest.mark.anyio
async def test_who_waits_gets_a_turn_by_turns_with_the_others() -> None:
    """Forty requests of one key do not come before the one of another that came later."""
    gate, order = threading.Event(), list[str]()
    work = turns.Turns(1)

    def done(name: str) -> str:
        assert gate.wait(10)
        order.append(name)
        return name

    async with asyncio.TaskGroup() as group:
        for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
            group.create_task(work.run(name[0], done, name))
            await asyncio.sleep(0)
        gate.set()
    assert order == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


@pytest.mark.anyio
async def test_a_key_has_so_many_that_wait_and_what_is_given_up_takes_no_thread() -> None:
    gate = threading.Event()
    work = turns.Turns(1)
    running = asyncio.create_task(work.run("a", gate.wait, 10))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(work.run("a", gate.wait, 10)) for _ in range(turns.MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match="wait for their turn"):
        await work.run("a", gate.wait, 10)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    gate.set()
    assert await running
    assert await asyncio.wait_for(work.run("b", lambda: True), 5)


@pytest.mark.anyio
async def test_what_fails_gives_its_thread_back() -> None:
    work = turns.Turns(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await work.run("a", divmod, 1, 0)


def test_health_is_answered_while_a_key_sends_the_dearest_documents(
    settings: Settings, key: Callable[..., dict[str, str]]
) -> None:
    """Forty-one documents of 64 KiB kept /healthz waiting for 46 seconds."""
    weak = {**key("read"), **YAML}
    body = ("a:\n" + "- [1, {b: 'x'}]\n" * 3_900).encode()
    assert 60_000 < len(body) <= 65_536
    with serving(settings) as url, ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(httpx.post, f"{url}/v1/spec/validate", headers=weak, content=body, timeout=60)
            for _ in range(16)
        ]
        waited = []
        with httpx.Client(base_url=url, timeout=30) as client:
            while not all(each.done() for each in asked):
                begun = time.monotonic()
                assert client.get("/healthz").status_code == 200
                waited.append(time.monotonic() - begun)
        assert all(each.result().status_code == 200 for each in asked)
    assert len(waited) > 5
    assert sorted(waited)[len(waited) // 2] < 1.0, sorted(waited)


def test_health_needs_no_thread(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads of the service may wait for a database or compute."""
    gate = threading.Event()
    monkeypatch.setattr("search.claims.workers.list_workers", lambda db: gate.wait(30) and [])
    with serving(settings) as url, ThreadPoolExecutor(45) as pool:
        for _ in range(45):
            pool.submit(httpx.get, f"{url}/v1/workers", timeout=40)
        try:
            with httpx.Client(base_url=url, timeout=5) as client:
                for _ in range(20):
                    assert client.get("/healthz").status_code == 200
        finally:
            gate.set()
