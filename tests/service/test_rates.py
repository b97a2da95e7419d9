"""Is who asks too often told to wait, and nobody else?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.service.problems import refused

Key = Callable[..., dict[str, str]]


@asynccontextmanager
async def asking(settings: Settings, address: str = "127.0.0.1", **limits: int) -> AsyncIterator[httpx.AsyncClient]:
    """The application itself, asked from an address."""
    app = create_app(settings.model_copy(update=limits))
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    app.state.dashboard.close()
    app.state.db.close()


@pytest.mark.anyio
async def test_a_key_that_asks_too_often_waits_and_others_do_not(settings: Settings, key: Key) -> None:
    first, second = key("read"), key("submit")
    async with asking(settings, requests_per_minute=5) as client:
        for _ in range(5):
            assert (await client.get("/v1/me", headers=first)).status_code == 200
        answer = await client.get("/v1/me", headers=first)
        problem = refused(answer, 429, "too-often")
        assert "at most 5 requests a minute" in problem["detail"]
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert (await client.get("/v1/me", headers=second)).status_code == 200


@pytest.mark.anyio
async def test_without_keys_an_address_counts(settings: Settings) -> None:
    async with asking(settings, requests_per_minute=3) as client:
        answers = [(await client.get("/v1/jobs")).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]


@pytest.mark.anyio
async def test_guessing_keys_ends_for_the_address_that_guesses(settings: Settings, key: Key) -> None:
    good = key("read")
    async with asking(settings, "192.0.2.1", failures_per_minute=4) as client:
        for i in range(4):
            answer = await client.get("/v1/jobs", headers={"Authorization": f"Bearer tw_{i:012x}_{'0' * 43}"})
            refused(answer, 401, "unauthenticated")
        problem = refused(await client.get("/v1/jobs", headers=good), 429, "too-often")
        assert "wrong keys" in problem["detail"]


@pytest.mark.anyio
async def test_asking_without_a_key_is_no_guess(settings: Settings, key: Key) -> None:
    good = key("read")
    async with asking(settings, "192.0.2.1", failures_per_minute=2) as client:
        for _ in range(5):
            refused(await client.get("/v1/jobs"), 401, "unauthenticated")
        assert (await client.get("/v1/jobs", headers=good)).status_code == 200
