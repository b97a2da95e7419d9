"""Events as they happen: from the start, after the last one seen, and until there can be no more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from search import public
from search.public import Database
from service.settings import Settings
from tests.service import house
from tests.service.house import Jobs, serving
from tests.service.problems import refused


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
        public.pause_job(db, jobs.queued.id, house.LOCAL)
        assert next(arriving)["data"]["payload"]["to"] == "paused"
        public.cancel_job(db, jobs.queued.id, house.LOCAL)
        assert next(arriving)["data"]["payload"]["to"] == "cancelled"
        assert next(arriving)["data"] == {"reason": "job-ended"}


def test_a_deleted_job_ends_its_stream(client: httpx.Client, db: Database, settings: Settings, jobs: Jobs) -> None:
    after = {"after": 2**31 - 1}
    with client.stream("GET", f"/v1/jobs/{jobs.running.id}/events", params=after) as response:
        public.cancel_job(db, jobs.running.id, house.LOCAL)
        public.delete_job(db, jobs.running.id, house.LOCAL, public.open_store(settings))
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
