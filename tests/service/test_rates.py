"""Who asks too often is told to wait, and nobody else is."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from search.records import Principal
from search.requests.keys import create_key
from search.requests.sessions import begin_session
from search.storage.db import Database
from service.app import create_app
from service.auth import SESSION_COOKIE
from service.routes import rates
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


def spellings(bearer: str) -> list[dict[str, str]]:
    """The same key, written in every way that is understood."""
    secret = bearer.partition(" ")[2]
    basic = [base64.b64encode(f"{user}:{secret}".encode()).decode() for user in ("", "a", "b")]
    written = [f"Bearer {secret}", f"bearer {secret}", f"BEARER   {secret}", *(f"Basic {each}" for each in basic)]
    written += [f"basic  {basic[0]}", f"bEARER {secret} "]
    return [{"Authorization": each} for each in written] + [
        {"Authorization": written[0], "Cookie": f"thermowell_session={i}"} for i in range(3)
    ]


@pytest.mark.anyio
async def test_a_key_counts_once_however_it_is_spelled(settings: Settings, key: Key) -> None:
    first, second = key("read"), key("submit")
    async with asking(settings, requests_per_minute=8) as client:
        answers = [(await client.get("/v1/me", headers=each)).status_code for each in spellings(first["Authorization"])]
        assert answers == [200] * 8 + [429] * 3
        refused(await client.get("/v1/me", headers=first), 429, "too-often")
        assert (await client.get("/v1/me", headers=second)).status_code == 200


@pytest.mark.anyio
async def test_sessions_count_for_the_key_that_opened_them(settings: Settings, db: Database) -> None:
    _, secret = create_key(db, "browser", frozenset({"read"}))
    tokens = [begin_session(db, secret, 60.0) for _ in range(3)]
    async with asking(settings, requests_per_minute=6) as client:
        cookies = [{"Cookie": f"{SESSION_COOKIE}={token}"} for token in tokens] * 3
        answers = [(await client.get("/v1/me", headers=each)).status_code for each in cookies]
        assert answers == [200] * 6 + [429] * 3


@pytest.mark.parametrize("path", ["/problems/not-found", "/signin", "/assets/pages.css", "/nowhere"])
@pytest.mark.anyio
async def test_new_cookies_and_made_up_keys_are_no_new_askers(settings: Settings, key: Key, path: str) -> None:
    key("read")
    async with asking(settings, "192.0.2.1", requests_per_minute=4) as client:
        made_up = [{"Cookie": f"a={i}"} for i in range(3)] + [{"Cookie": f"{SESSION_COOKIE}={i}"} for i in range(3)]
        answers = [(await client.get(path, headers=each)).status_code for each in made_up]
        assert answers[4:] == [429, 429]
        assert 429 not in answers[:4]


@pytest.mark.parametrize(
    ("trusted", "headers", "counts_apart"),
    [
        ("", {"X-Forwarded-For": "203.0.113.{i}"}, False),  # a program of this machine says what it likes
        ("10.0.0.0/8", {"X-Forwarded-For": "203.0.113.{i}"}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.{i}"}, True),
        (
            "127.0.0.1",
            {"X-Forwarded-For": "203.0.113.{i}, 203.0.113.1"},
            False,
        ),  # sent so by the client
        ("127.0.0.1", {"X-Forwarded-For": "2001:db8::{i}"}, False),  # one machine has all of a /64
        ("127.0.0.1", {"X-Forwarded-For": "2001:db8:0:{i}::1"}, True),
    ],
)
@pytest.mark.anyio
async def test_addresses_count_as_trusted_proxies_see_them(
    settings: Settings, key: Key, trusted: str, headers: dict[str, str], counts_apart: bool
) -> None:
    key("read")
    networks = tuple(ipaddress.ip_network(each) for each in trusted.split(",") if each)
    behind = settings.model_copy(update={"trusted_proxies": networks})
    async with asking(behind, requests_per_minute=2) as client:
        answers = [
            (await client.get("/signin", headers={n: v.format(i=i) for n, v in headers.items()})).status_code
            for i in range(4)
        ]
    assert (429 not in answers) is counts_apart, answers


@pytest.mark.anyio
async def test_guesses_shut_out_no_key_that_is_known_to_be_good(settings: Settings, key: Key) -> None:
    """Behind one address there may be many: a proxy that is not named, or a whole institute."""
    good, late = key("read"), key("submit")
    async with asking(settings, "192.0.2.1", failures_per_minute=2) as client:
        assert (await client.get("/v1/jobs", headers=good)).status_code == 200
        for i in range(2):
            answer = await client.get("/v1/jobs", headers={"Authorization": f"Bearer tw_{i:012x}_{'0' * 43}"})
            refused(answer, 401, "unauthenticated")
        assert (await client.get("/v1/jobs", headers=good)).status_code == 200
        refused(await client.get("/v1/jobs", headers=late), 429, "too-often")


@pytest.mark.anyio
async def test_one_key_has_so_many_requests_under_way(settings: Settings, key: Key) -> None:
    first, second = key("read"), key("submit")
    entered, leave = asyncio.Semaphore(0), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["principal"] = Principal(scope["path"].strip("/"), "x", frozenset({"read"}))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        entered.release()
        await leave.wait()
        await send({"type": "http.response.body"})

    limited = rates.RateLimit(slow, requests=100, failures=100, at_once=2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://localhost") as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):  # the first makes the key known, the second counts for it
                group.create_task(client.get("/one", headers=first))
                await entered.acquire()
            group.create_task(client.get("/one", headers=first))
            await entered.acquire()
            answer = await client.get("/one", headers=first)
            problem = refused(answer, 429, "too-often")
            assert ("at most 2 requests at once" in problem["detail"], answer.headers["Retry-After"]) == (True, "1")
            group.create_task(client.get("/two", headers=second))
            await asyncio.wait_for(entered.acquire(), 5)
            leave.set()
        assert (await client.get("/one", headers=first)).status_code == 200
    assert not limited._under_way


@pytest.mark.anyio
async def test_two_keys_at_once_are_none(settings: Settings, key: Key) -> None:
    """What a proxy has looked at may be the other one."""
    first, second = key("read"), key("admin")
    async with asking(settings) as client:
        both = [("Authorization", first["Authorization"]), ("Authorization", second["Authorization"])]
        refused(await client.get("/v1/me", headers=both), 401, "unauthenticated")
