"""Connections that wait, dribble or read nothing keep nobody out. Raw sockets against a real server."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from service.settings import Settings
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, serving

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = (
    b"POST /v1/spec/validate HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/yaml\r\nContent-Length: 50\r\n\r\n"
)
Dial = Callable[..., socket.socket]


@pytest.fixture
def limited(settings: Settings) -> Settings:
    """A server that loses its patience within moments, and has few connections."""
    quick = {"header_seconds": 0.3, "body_seconds": 0.3, "write_seconds": 0.3}
    return settings.model_copy(update=quick | {"connections": 16, "connections_per_address": 8})


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Opens connections, and closes them in the end."""
    with ExitStack() as open_now:

        def dialled(url: str, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
            host, _, port = url.removeprefix("http://").partition(":")
            wire = socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0))
            open_now.callback(wire.close)
            if sent:
                wire.sendall(sent)
            return wire

        yield dialled


def everything(wire: socket.socket) -> bytes:
    """What comes until the other end closes."""
    parts = []
    try:
        while part := wire.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def until(wire: socket.socket, end: bytes) -> bytes:
    """What comes until these bytes have come."""
    seen = b""
    while end not in seen:
        part = wire.recv(65_536)
        assert part, seen
        seen += part
    return seen


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n",
        POST,
        POST + b"name",
        HEALTH + b"GET /v1/jobs HT",
        POST.replace(b"/v1/spec/validate", b"/nowhere") + b"name",
    ],
)
def test_a_request_that_does_not_come_ends_its_connection(limited: Settings, dial: Dial, sent: bytes) -> None:
    with serving(limited) as url:
        begun = time.monotonic()
        answer = everything(dial(url, sent))
        assert 0.25 < time.monotonic() - begun < 8
        assert b"HTTP/1.1 408" in answer or b"HTTP/1.1 404" in answer
        assert httpx.get(f"{url}/healthz").status_code == 200


@pytest.mark.parametrize("before", [b"GET /v1/jobs HTTP/1.1\r\n", POST])
def test_who_dribbles_gains_no_time(limited: Settings, dial: Dial, before: bytes) -> None:
    with serving(limited) as url:
        wire = dial(url, before)
        wire.settimeout(0.05)
        begun = time.monotonic()
        while True:
            try:
                if not wire.recv(65_536) or time.monotonic() > begun + 8:
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            try:
                wire.sendall(b"x")
            except ConnectionError:
                break
        assert time.monotonic() - begun < 8


def test_a_whole_request_is_given_the_time_that_its_answer_takes(limited: Settings, dial: Dial, jobs: Jobs) -> None:
    """An event stream goes on, and a connection is kept alive between two requests."""
    with serving(limited) as url:
        wire = dial(url, HEALTH)
        until(wire, b'"ok"}')
        stream = dial(url, stream_of(jobs))
        time.sleep(0.6)  # twice what a request may take to come
        wire.sendall(HEALTH)
        until(wire, b'"ok"}')
        assert httpx.post(f"{url}/v1/jobs/{jobs.queued.id}/pause").status_code == 200
        until(stream, b'"paused"')


def test_idle_connections_of_one_address_shut_nobody_out(limited: Settings, dial: Dial) -> None:
    """Not even at the same address: the idlest makes room."""
    patient = limited.model_copy(update={"header_seconds": 60.0})
    with serving(patient) as url:
        idle = [dial(url) for _ in range(30)]
        assert b" 200 " in dial(url, HEALTH, "127.0.0.2").recv(65_536)
        assert b" 200 " in dial(url, HEALTH).recv(65_536)
        assert everything(idle[0]) == b""
        idle[-1].sendall(HEALTH)
        assert b" 200 " in idle[-1].recv(65_536)


def test_idle_connections_of_many_addresses_shut_nobody_out(limited: Settings, dial: Dial) -> None:
    patient = limited.model_copy(update={"header_seconds": 60.0})
    with serving(patient) as url:
        for address in range(2, 12):
            for _ in range(4):
                dial(url, source=f"127.0.0.{address}")
        assert b" 200 " in dial(url, HEALTH, "127.0.0.99").recv(65_536)
        assert httpx.get(f"{url}/v1/jobs").status_code == 200


def stream_of(jobs: Jobs, *headers: str) -> bytes:
    """A request that is answered for as long as the job goes on."""
    lines = [f"GET /v1/jobs/{jobs.queued.id}/events HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_where_all_are_busy_health_is_answered_and_others_are_told_when_to_come(
    limited: Settings, dial: Dial, jobs: Jobs
) -> None:
    with serving(limited) as url:
        for _ in range(8):
            assert b" 200 " in dial(url, stream_of(jobs)).recv(65_536)
        answer = httpx.get(f"{url}/v1/jobs")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["connection"] == "close"
        refused(answer, 503, "too-busy")
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert b" 200 " in dial(url, HEALTH.replace(b"/healthz", b"/v1/me"), "127.0.0.2").recv(65_536)


def test_a_trusted_proxy_has_more_than_an_address(limited: Settings, dial: Dial, jobs: Jobs) -> None:
    """Everybody comes from there: its requests count by whom they are forwarded for."""
    proxy = (ipaddress.ip_network("127.0.0.1"),)
    behind = limited.model_copy(update={"trusted_proxies": proxy, "streams_per_key": 2, "connections": 40})
    with serving(behind) as url:
        for i in range(2, 10):
            for code in (200, 200, 429):
                wire = dial(url, stream_of(jobs, f"X-Forwarded-For: 127.0.0.{i}"))
                assert b" %d " % code in wire.recv(65_536).partition(b"\r\n")[0]


def test_who_reads_nothing_is_cut_off(limited: Settings, dial: Dial) -> None:
    def pile_up(wire: socket.socket) -> None:
        """Asks without reading, until the service ceases to write, and so to read, and then hangs up."""
        asked = HEALTH.replace(b"/healthz", b"/openapi.json") * 20
        while True:
            wire.sendall(asked)

    with serving(limited) as url:
        wire = dial(url)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(8)
        with pytest.raises(ConnectionError):
            pile_up(wire)
        assert httpx.get(f"{url}/healthz").status_code == 200
