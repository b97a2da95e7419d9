"""A trace begins with the request, or before it, and stays with the job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from search import tracing
from search.errors import DatabaseUnavailable
from search.requests.jobs import get_job
from search.storage.db import Database
from service.routes import jobs as routes
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import serving
from thermowell.sync.transport import Transport

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = CLIENT.split("-")[1:3]
Finish = Callable[[], list[ReadableSpan]]


@pytest.fixture
def finish() -> Iterator[Finish]:
    """Traces into memory; called, it ends that and answers the spans in the order of their ends."""
    exporter = InMemorySpanExporter()
    tracing.trace_to(exporter, "test")

    def done() -> list[ReadableSpan]:
        tracing.close(10.0)
        return list(exporter.get_finished_spans())

    yield done
    tracing.close(10.0)


def test_a_job_keeps_the_trace_of_its_client(settings: Settings, db: Database, finish: Finish) -> None:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        headers = {"traceparent": CLIENT, "X-Request-ID": "ci-4711"}
        answered = client.post("/v1/jobs", json=server_fixtures.document("traced"), headers=headers)
        assert answered.status_code == 201
        job = answered.json()
        assert client.get(f"/v1/jobs/{job['id']}").json()["traceparent"] == job["traceparent"]
        client.get("/healthz")
        client.get("/readyz")
        assert client.get("/v1/jobs/none").status_code == 404
    submission, request, read, missing = finish()
    assert (submission.name, request.name) == ("submit job", "POST /v1/jobs")
    assert f"{request.parent.span_id:016x}" == PARENT
    assert submission.parent.span_id == request.context.span_id
    assert job["traceparent"] == f"00-{TRACE}-{submission.context.span_id:016x}-{job['traceparent'][-2:]}"
    assert get_job(db, job["id"], server_fixtures.LOCAL).traceparent == job["traceparent"]
    assert (
        request.attributes.items()
        >= {
            "http.request.method": "POST",
            "http.route": "/v1/jobs",
            "http.response.status_code": 201,
        }.items()
    )
    assert dict(submission.attributes) == {"thermowell.job.id": job["id"], "thermowell.request.id": "ci-4711"}
    assert read.name == missing.name == "GET /v1/jobs/{job_id}"
    assert missing.attributes["http.response.status_code"] == 404
    assert missing.status.is_unset  # it is the client's fault
    assert read.parent is None


def test_jobs_of_a_study_are_in_the_trace_that_asked_for_it(settings: Settings, finish: Finish) -> None:
    base = server_fixtures.document()
    del base["name"]
    study = {"name": "lengths", "base": base, "factors": {"training.epochs": [2, 3]}}
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        answered = client.post("/v1/studies", json=study, headers={"traceparent": CLIENT})
        assert answered.status_code == 201, answered.text
    *submissions, request = finish()
    assert [span.name for span in submissions] == ["submit job", "submit job"]
    assert {span.parent.span_id for span in submissions} == {request.context.span_id}
    assert {span.attributes["thermowell.study.id"] for span in submissions} == {answered.json()["id"]}


def test_a_fault_of_the_service_is_an_error(
    settings: Settings, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("postgresql://me:hunter2@host does not answer")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("hunter2")

    with serving(settings) as url:
        for fault in (away, broken):
            monkeypatch.setattr(routes.job_requests, "list_jobs", fault)
            assert httpx.get(f"{url}/v1/jobs", timeout=20).status_code >= 500
        assert httpx.request("BREW", f"{url}/v1/jobs", timeout=20).status_code == 405
    first, second, third = finish()
    assert [span.status.status_code.name for span in (first, second)] == ["ERROR", "ERROR"]
    assert [span.attributes["error.type"] for span in (first, second)] == [
        "503",
        "RuntimeError",
    ]
    assert third.attributes["http.request.method"] == "_OTHER"
    assert "hunter2" not in first.to_json() + second.to_json()


def test_without_tracing_there_is_no_trace(client: httpx.Client) -> None:
    answered = client.post("/v1/jobs", json=server_fixtures.document("plain"), headers={"traceparent": CLIENT})
    assert answered.json()["traceparent"] is None


def test_a_client_passes_on_the_trace_that_it_is_part_of(
    settings: Settings, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its program's own; else what TRACEPARENT says, as continuous integration does; else none."""
    context = trace.SpanContext(int("1" * 32, 16), int("2" * 16, 16), True, trace.TraceFlags(1))
    with serving(settings) as url, closing(Transport(url)) as client:
        client.get("/jobs")
        monkeypatch.setenv("TRACEPARENT", CLIENT)
        client.get("/jobs")
        with trace.use_span(trace.NonRecordingSpan(context)):
            client.get("/jobs")
    plain, of_environment, own = finish()
    assert plain.parent is None
    assert f"{of_environment.parent.span_id:016x}" == PARENT
    assert own.parent.span_id == context.span_id
