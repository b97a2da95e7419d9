"""Events as they happen: from the start, after the last one seen, and until there can be no more."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import Update, update
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse
from starlette.types import Message

from search.requests.jobs import cancel_job, delete_job, pause_job
from search.requests.keys import create_key, revoke_key
from search.requests.sessions import begin_session, end_session
from search.storage.db import Database
from search.storage.store import open_store
from search.storage.tables import keys, sessions
from service.app import create_app
from service.auth import SESSION_COOKIE
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, serving
from thermowell.errors import Refused
from thermowell.sync.client import Client


def read(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Each event of a stream: its id, its name and its data."""
    fields: dict[str, Any] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.strip()
        elif not line and "data" in fields:
            yield fields | {"data": json.loads(fields["data"])}
            fields = {}


def events_of(client: httpx.Client, job_id: str, **options: Any) -> list[dict[str, Any]]:
    with client.stream("GET", f"/v1/jobs/{job_id}/events", **options) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        return list(read(response))


def test_an_ended_job_is_told_from_its_first_event_to_its_last(reader: httpx.Client, jobs: Jobs) -> None:
    *told, end = events_of(reader, jobs.completed.id)
    assert [event["id"] for event in told] == [str(number) for number in range(1, len(told) + 1)]
    assert all(event["data"]["number"] == int(event["id"]) for event in told)
    assert all(event["data"]["kind"] == event["event"] for event in told)
    kinds = {event["event"] for event in told}
    assert {"submitted", "state", "trial_started", "trial_finished", "best", "teacher_ready"} <= kinds
    assert told[-1]["data"]["payload"]["to"] == "completed"
    assert (end["event"], end["data"], "id" in end) == ("end", {"reason": "job-ended"}, False)


@pytest.mark.parametrize("options", [{"headers": {"Last-Event-ID": "5"}}, {"params": {"after": 5}}])
def test_a_stream_begins_after_the_last_event_seen(reader: httpx.Client, jobs: Jobs, options: Any) -> None:
    assert events_of(reader, jobs.completed.id, **options)[0]["id"] == "6"


def test_the_header_of_a_client_that_reconnects_is_stronger_than_its_address(reader: httpx.Client, jobs: Jobs) -> None:
    told = events_of(reader, jobs.completed.id, headers={"Last-Event-ID": "7"}, params={"after": 2})
    assert told[0]["id"] == "8"


def test_what_happens_later_arrives(client: httpx.Client, db: Database, jobs: Jobs) -> None:
    with client.stream("GET", f"/v1/jobs/{jobs.queued.id}/events") as response:
        arriving = read(response)
        assert next(arriving)["event"] == "submitted"
        pause_job(db, jobs.queued.id, server_fixtures.LOCAL)
        assert next(arriving)["data"]["payload"]["to"] == "paused"
        cancel_job(db, jobs.queued.id, server_fixtures.LOCAL)
        assert next(arriving)["data"]["payload"]["to"] == "cancelled"
        assert next(arriving)["data"] == {"reason": "job-ended"}


def test_a_deleted_job_ends_its_stream(client: httpx.Client, db: Database, settings: Settings, jobs: Jobs) -> None:
    after = {"after": 2**31 - 1}
    with client.stream("GET", f"/v1/jobs/{jobs.running.id}/events", params=after) as response:
        cancel_job(db, jobs.running.id, server_fixtures.LOCAL)
        delete_job(db, jobs.running.id, server_fixtures.LOCAL, open_store(settings))
        [end] = read(response)
        assert end["data"]["reason"] in ("job-ended", "job-deleted")


def test_a_stream_has_a_longest_life(settings: Settings, jobs: Jobs) -> None:
    short = settings.model_copy(update={"stream_seconds": 0.05})
    with serving(short) as url, httpx.Client(base_url=url) as client:
        assert events_of(client, jobs.queued.id)[-1]["data"] == {"reason": "too-long"}


def test_a_service_that_stops_ends_its_streams(settings: Settings, jobs: Jobs) -> None:
    ends: list[Any] = []
    open_now = threading.Event()

    def follow(url: str) -> None:
        with httpx.stream("GET", f"{url}/v1/jobs/{jobs.queued.id}/events", timeout=20) as response:
            for event in read(response):
                open_now.set()
                ends.append(event)

    with serving(settings) as url:
        following = threading.Thread(target=follow, args=(url,))
        following.start()
        assert open_now.wait(10)
    following.join(10)
    assert ends[-1]["data"] == {"reason": "shutdown"}


def test_refusals_come_before_the_stream(reader: httpx.Client, jobs: Jobs) -> None:
    refused(reader.get("/v1/jobs/unknown/events"), 404, "not-found")
    answer = reader.get(f"/v1/jobs/{jobs.queued.id}/events", headers={"Last-Event-ID": "x"})
    refused(answer, 422, "request-invalid")


Ending = tuple[dict[str, str], Callable[[], object]]


def revoked(db: Database) -> Ending:
    key, secret = create_key(db, "follower", frozenset({"admin"}))
    return {"Authorization": f"Bearer {secret}"}, lambda: revoke_key(db, key.id)


def signed_out(db: Database) -> Ending:
    token = begin_session(db, revoked(db)[0]["Authorization"].partition(" ")[2], 60.0)
    return {"Cookie": f"{SESSION_COOKIE}={token}"}, lambda: end_session(db, token or "")


def expired(db: Database) -> Ending:
    headers, _ = signed_out(db)
    over = update(sessions).values(expires_at=1.0)
    return headers, lambda: executed(db, over)


def robbed_of_its_key(db: Database) -> Ending:
    headers, revoke = revoked(db)
    token = begin_session(db, headers["Authorization"].partition(" ")[2], 60.0)
    return {"Cookie": f"{SESSION_COOKIE}={token}"}, revoke


def narrowed(db: Database) -> Ending:
    headers, _ = revoked(db)
    return headers, lambda: executed(db, update(keys).values(scopes=[]))


def closed_to_all(db: Database) -> Ending:
    return {}, lambda: create_key(db, "first", frozenset({"read"}))


def executed(db: Database, statement: Update) -> None:
    with db.write() as connection:
        connection.execute(statement)


ENDINGS: list[tuple[Callable[[Database], Ending], str]] = [
    (revoked, "key-revoked"),
    (signed_out, "session-ended"),
    (expired, "session-ended"),
    (robbed_of_its_key, "session-ended"),
    (narrowed, "forbidden"),
    (closed_to_all, "key-needed"),
]


@pytest.mark.parametrize(("begun", "reason"), ENDINGS)
def test_a_stream_says_nothing_after_its_key_or_session_has_ended(
    settings: Settings, db: Database, jobs: Jobs, begun: Callable[[Database], Ending], reason: str
) -> None:
    headers, end = begun(db)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        with client.stream("GET", f"/v1/jobs/{jobs.queued.id}/events", headers=headers) as response:
            arriving = read(response)
            assert next(arriving)["event"] == "submitted"
            end()
            pause_job(db, jobs.queued.id, server_fixtures.LOCAL)
            [last] = list(arriving)
            assert (last["event"], last["data"]["reason"]) == ("end", reason)
            assert last["data"]["detail"]
        refused(client.get(f"/v1/jobs/{jobs.queued.id}/events", headers=headers), *REFUSED[reason])


REFUSED = {
    "key-revoked": (401, "unauthenticated"),
    "session-ended": (401, "unauthenticated"),
    "key-needed": (401, "unauthenticated"),
    "forbidden": (403, "forbidden"),
}


@pytest.mark.parametrize(("begun", "reason"), ENDINGS)
def test_a_stream_where_nothing_happens_ends_with_its_key_too(
    settings: Settings, db: Database, jobs: Jobs, begun: Callable[[Database], Ending], reason: str
) -> None:
    headers, end = begun(db)
    quick = settings.model_copy(update={"recheck_seconds": 0.05})
    with serving(quick) as url, httpx.Client(base_url=url, timeout=20) as client:
        with client.stream("GET", f"/v1/jobs/{jobs.queued.id}/events", headers=headers) as response:
            arriving = read(response)
            next(arriving)
            end()
            assert [each["data"]["reason"] for each in arriving] == [reason]
        with client.stream("GET", "/jobs/changes", headers=headers) as response:
            assert response.status_code >= 400


@pytest.mark.parametrize("path", ["/jobs/changes", "/jobs/{job}/changes"])
def test_a_page_is_told_to_ask_again_when_its_session_has_ended(
    settings: Settings, db: Database, jobs: Jobs, path: str
) -> None:
    headers, end = signed_out(db)
    quick = settings.model_copy(update={"recheck_seconds": 0.05})
    address = path.format(job=jobs.queued.id)
    with serving(quick) as url, httpx.stream("GET", f"{url}{address}", headers=headers, timeout=20) as response:
        arriving = read(response)
        assert next(arriving)["event"] == "changed"
        end()
        assert [each["event"] for each in arriving] == ["changed"]


def test_who_follows_is_told_that_the_key_was_revoked(settings: Settings, db: Database, jobs: Jobs) -> None:
    headers, end = revoked(db)
    with serving(settings) as url, Client(url, headers["Authorization"].partition(" ")[2]) as thermowell:
        events = thermowell.events(jobs.queued.id)
        assert next(events).kind == "submitted"
        end()
        pause_job(db, jobs.queued.id, server_fixtures.LOCAL)
        with pytest.raises(Refused, match="the key was revoked") as caught:
            next(events)
        assert caught.value.slug == "unauthenticated"


@pytest.mark.parametrize("path", ["/v1/jobs/{job}/trials.csv", "/v1/jobs/{job}/artifacts/student.safetensors"])
@pytest.mark.anyio
async def test_a_long_answer_is_cut_off_when_its_key_is_revoked(
    settings: Settings, db: Database, jobs: Jobs, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileResponse, "chunk_size", 4)
    headers, end = revoked(db)
    app = create_app(settings.model_copy(update={"recheck_seconds": 1e-9}))
    target = path.format(job=jobs.completed.id)
    scope = {"type": "http", "method": "GET", "path": target, "raw_path": target.encode(), "query_string": b""}
    scope |= {"headers": [(b"authorization", headers["Authorization"].encode())], "client": ("127.0.0.1", 1)}
    scope |= {"scheme": "http", "server": ("localhost", 80), "http_version": "1.1", "root_path": ""}
    sent: list[Message] = []
    body = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 2:
            await run_in_threadpool(end)

    async def receive() -> Message:
        for message in body:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    assert [message["more_body"] for message in sent[1:]] == [True], "cut off, and not as if it were whole"
    app.state.dashboard.close()
    app.state.db.close()


def test_streams_have_so_many_places_for_each_key(settings: Settings, db: Database, jobs: Jobs) -> None:
    (first, _), (second, _) = revoked(db), revoked(db)
    few = settings.model_copy(update={"streams_per_key": 2})
    path = f"/v1/jobs/{jobs.queued.id}/events"
    with serving(few) as url, httpx.Client(base_url=url, timeout=20) as client, ExitStack() as open_now:
        streams = [read(open_now.enter_context(client.stream("GET", path, headers=first))) for _ in range(2)]
        assert [next(stream)["event"] for stream in streams] == ["submitted"] * 2
        answer = client.get(path, headers=first)
        assert "at most 2 event streams" in refused(answer, 429, "too-often")["detail"]
        assert int(answer.headers["Retry-After"]) > 0
        assert open_now.enter_context(client.stream("GET", path, headers=second)).status_code == 200
        assert client.get("/v1/me", headers=first).status_code == 200
        cancel_job(db, jobs.queued.id, server_fixtures.LOCAL)
        list(streams[0])
        until = time.monotonic() + 10
        while client.get(path, headers=first).status_code == 429:  # the place is free once the server has seen it
            assert time.monotonic() < until
