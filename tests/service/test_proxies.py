"""Whose word counts for where a request comes from: a trusted proxy's alone, and of its chain what it wrote itself."""

from __future__ import annotations

import ipaddress
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from search.requests.keys import create_key
from search.storage.db import Database
from service import proxies
from service.app import create_app
from service.server import Server
from service.settings import Settings
from tests.service.problems import refused
from tests.service.server_fixtures import serving

TRUSTED = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "fd00::/8", "127.0.0.1"))


@pytest.mark.parametrize(
    ("peer", "headers", "client", "scheme"),
    [
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}, "203.0.113.7", "https"),
        ("::ffff:10.1.2.3", {"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7", "http"),
        ("fd00::1", {"X-Forwarded-For": "2001:db8::7"}, "2001:db8::7", "http"),
        ("fd00::1", {"X-Forwarded-For": "[2001:db8::7]:4711"}, "2001:db8::7", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "203.0.113.7:4711"}, "203.0.113.7", "http"),
        # a client wrote the left end of the chain: what the nearest proxy saw counts
        ("10.1.2.3", {"X-Forwarded-For": "1.1.1.1, 203.0.113.7"}, "203.0.113.7", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "127.0.0.1, 203.0.113.7, 10.9.9.9"}, "203.0.113.7", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "10.5.5.5, 10.9.9.9"}, "10.5.5.5", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "1.1.1.1, unknown, 10.9.9.9"}, "10.9.9.9", "http"),
        ("10.1.2.3", {"X-Forwarded-For": "localhost"}, "10.1.2.3", "http"),
        ("10.1.2.3", {"X-Forwarded-For": ""}, "10.1.2.3", "http"),
        ("10.1.2.3", {"X-Forwarded-Proto": "javascript"}, "10.1.2.3", "http"),
        ("10.1.2.3", {"X-Forwarded-Proto": "http, HTTPS"}, "10.1.2.3", "https"),
        # nobody else is believed
        ("203.0.113.1", {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}, "203.0.113.1", "http"),
        ("127.0.0.2", {"X-Forwarded-For": "203.0.113.7"}, "127.0.0.2", "http"),
        ("11.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, "11.0.0.1", "http"),
    ],
)
@pytest.mark.anyio
async def test_only_trusted_proxies_say_whom_they_serve(
    peer: str, headers: dict[str, str], client: str, scheme: str
) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    transport = httpx.ASGITransport(proxies.Forwarded(app, TRUSTED), client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        await asking.get("/", headers=headers)
    assert (seen["client"][0], seen["scheme"]) == (client, scheme)
    assert proxies.has_trusted_peer(seen) == proxies.is_trusted(peer, TRUSTED)


def test_trusted_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERMOWELL_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,fd00::/8,")
    assert [str(each) for each in Settings().trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]
    monkeypatch.setenv("THERMOWELL_TRUSTED_PROXIES", "")
    assert Settings().trusted_proxies == ()
    for wrong in ("proxy.example", "*", "10.0.0.1/8", "10.0.0.0/8;127.0.0.1"):
        monkeypatch.setenv("THERMOWELL_TRUSTED_PROXIES", wrong)
        with pytest.raises(ValidationError, match="write addresses or networks"):
            Settings()


FORWARDED = {"X-Forwarded-For": "127.0.0.1"}


def test_an_open_service_answers_nobody_behind_a_proxy_it_does_not_know(settings: Settings) -> None:
    with serving(settings) as url:
        for name in proxies.FORWARDING_HEADERS:
            problem = refused(httpx.get(f"{url}/v1/jobs", headers={name: "127.0.0.1"}), 401, "unauthenticated")
            assert "THERMOWELL_TRUSTED_PROXIES" in problem["detail"]
        assert httpx.get(f"{url}/v1/jobs").status_code == 200
    with serving(settings.model_copy(update={"trusted_proxies": TRUSTED})) as url:
        assert httpx.get(f"{url}/v1/jobs", headers=FORWARDED).status_code == 200
        refused(httpx.get(f"{url}/v1/jobs", headers={"X-Forwarded-For": "203.0.113.7"}), 401, "unauthenticated")


def test_a_cookie_is_secure_where_a_trusted_proxy_speaks_tls(settings: Settings, db: Database) -> None:
    _, secret = create_key(db, "browser", frozenset({"read"}))
    for trusted, secure in (((), False), (TRUSTED, True)):
        with serving(settings.model_copy(update={"trusted_proxies": trusted})) as url:
            answer = httpx.post(f"{url}/signin", data={"key": secret}, headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 303
        assert ("; secure" in answer.headers["set-cookie"].lower()) is secure


def test_the_server_itself_believes_no_header(settings: Settings) -> None:
    """uvicorn would take X-Forwarded-For from any program of this machine."""
    app = create_app(settings)
    config = Server(app, settings).config
    app.state.dashboard.close()
    app.state.db.close()
    config.load()
    assert config.loaded_app is app
