"""Requests and event streams of both clients: nothing is lost or repeated where the service comes and goes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
import pytest

from search.requests.jobs import cancel_job, pause_job
from search.storage.db import Database
from search.storage.events import read_events
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from tests.thermowell.conftest import Connect
from thermowell import TooOften, Unauthenticated, Unreachable, protocol
from thermowell.aio import transport as aio_transport
from thermowell.sync import transport as sync_transport


def test_events_go_on_where_a_dropped_connection_left_them(
    settings: Settings, db: Database, jobs: Jobs, free_port: int, connect: Connect
) -> None:
    numbers: list[int] = []
    with connect(f"http://127.0.0.1:{free_port}") as client:
        with serving(settings, free_port):
            events = client.http.events(jobs.running.id)
            numbers += [next(events)["number"] for _ in range(3)]
        server_fixtures.train(db, jobs.running, trials=2)  # while nobody listens
        with serving(settings, free_port):
            cancel_job(db, jobs.running.id, server_fixtures.LOCAL)
            numbers += [event["number"] for event in events]
    last = read_events(db, jobs.running.id, server_fixtures.LOCAL, after=0, limit=10_000)[-1].number
    assert numbers == list(range(1, last + 1))


def test_events_go_on_after_a_stream_that_was_long_enough(
    settings: Settings, db: Database, jobs: Jobs, connect: Connect
) -> None:
    short = settings.model_copy(update={"stream_seconds": 0.05})
    with serving(short) as url, connect(url) as client:
        events = client.http.events(jobs.queued.id)
        assert next(events)["kind"] == "submitted"
        pause_job(db, jobs.queued.id, server_fixtures.LOCAL)
        assert next(events)["payload"]["to"] == "paused"
        cancel_job(db, jobs.queued.id, server_fixtures.LOCAL)
        assert [event["payload"]["to"] for event in events] == ["cancelled"]


def test_a_service_that_stays_away_is_given_up(
    settings: Settings, jobs: Jobs, free_port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PATIENCE_SECONDS", 0.0)
    with (
        connect(f"http://127.0.0.1:{free_port}") as client,
        pytest.raises(Unreachable, match="has been away"),
    ):
        list(client.http.events(jobs.running.id))


def test_refusals_carry_their_problem(reader: httpx.Client, connect: Connect) -> None:
    with connect(str(reader.base_url), key="unknown") as client:
        with pytest.raises(Unauthenticated) as refused:
            client.http.get("/me")
        assert (refused.value.slug, refused.value.status) == ("unauthenticated", 401)
        with pytest.raises(Unauthenticated):
            list(client.http.events("unknown"))


class Busy(BaseHTTPRequestHandler):
    """Answers too often, then as it should, then too often again and again."""

    statuses: list[int]

    def do_GET(self) -> None:
        status = self.statuses.pop(0)
        body = json.dumps({"items": []} if status == 200 else {"type": "/problems/too-often"}).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_who_asks_too_often_waits_once_for_as_long_as_is_said(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(sync_transport, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(aio_transport, "asyncio", SimpleNamespace(sleep=sleep))
    Busy.statuses = [429, 200, 429, 429]
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        answering = threading.Thread(target=lambda: [server.handle_request() for _ in range(4)])
        answering.start()
        with connect(f"http://127.0.0.1:{server.server_port}") as client:
            assert client.http.get("/jobs") == {"items": []}
            assert waited == [7.0]
            with pytest.raises(TooOften) as refused:
                client.http.get("/jobs")
        answering.join()
    assert refused.value.slug == "too-often"
    assert waited == [7.0, 7.0]


def test_what_is_no_answer_of_ours_is_no_refusal(connect: Connect) -> None:
    """A proxy's page, for instance."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as proxy:  # answers 501 with a page to everything
        threading.Thread(target=proxy.handle_request).start()
        with (
            connect(f"http://127.0.0.1:{proxy.server_port}") as client,
            pytest.raises(Unreachable, match="501") as unreachable,
        ):
            client.http.get("/jobs")
    assert (unreachable.value.status, unreachable.value.problem) == (501, {})
