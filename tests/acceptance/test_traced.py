"""A job as one trace, from its client's request to the last worker, with real processes and a real collector."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
from sqlalchemy.engine import make_url

from search import tracing
from search.records import Job, Trial
from search.requests import jobs, keys, trials
from search.schema import migrate
from search.states import JobState, Stage, TrialState
from search.storage.db import Database, open_database
from tests.collector import Collector, Received, collecting
from tests.processes import Processes, Started
from tests.search import factories

DOCUMENT = Path(__file__).parents[2] / "docs" / "tracing.md"
CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = CLIENT.split("-")[1:3]
PASSWORD = "hunter2-of-the-database"
SPEC: dict[str, Any] = {
    "schema_version": 1,
    "name": "traced",
    "dataset": {"name": "digits", "train_size": 200},
    "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
    "student": {"name": "mlp", "arguments": {"width": 8}},
    "training": {"epochs": 30},
    "budget": {"trials": 10},
    "baselines": {"share": 0.0},
    "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
}


@pytest.fixture
def url(fresh_postgres_url: str) -> str:
    """With a password, which the server does not ask for."""
    return make_url(fresh_postgres_url).set(password=PASSWORD).render_as_string(hide_password=False)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = open_database(url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def environment(url: str, tmp_path: Path) -> dict[str, str]:
    """Of both programs; what they tell comes soon."""
    return {
        "THERMOWELL_DATABASE_URL": url,
        "THERMOWELL_VAR": str(tmp_path / "var"),
        "THERMOWELL_ENGINE": "loop",
        "THERMOWELL_LANES": "2",
        "THERMOWELL_THREADS": "1",
        "THERMOWELL_LEASE_SECONDS": "4",
        "THERMOWELL_POLL_SECONDS": "0.1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


def worker(processes: Processes, environment: dict[str, str], *arguments: str) -> Started:
    strict = (
        "-W",
        "error",
        "-W",
        "ignore::ResourceWarning",
    )  # the sampler's connection is left to the end of the process
    return processes.start(sys.executable, *strict, "-m", "search.worker", *arguments, env=environment)


def submitted(processes: Processes, environment: dict[str, str], port: int, secret: str) -> str:
    """The id of a job that was submitted over HTTP by somebody who traces."""
    api = processes.start(sys.executable, "-m", "service.cli", "serve", "--port", str(port), env=environment)
    headers = {"Authorization": f"Bearer {secret}", "traceparent": CLIENT, "X-Request-ID": "ci-4711"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                answered = client.post("/v1/jobs", json=SPEC)
                break
            except httpx.TransportError:
                assert api.process.poll() is None, api.output()
                assert time.monotonic() < deadline, api.output()
                time.sleep(0.05)  # it says nowhere that it listens, but by answering
    assert answered.status_code == 201, answered.text
    api.signal(signal.SIGTERM)
    assert api.wait() in (0, -signal.SIGTERM), api.output()
    return str(answered.json()["id"])


def killed_in_the_middle(victim: Started, db: Database, job: str) -> list[Trial]:
    """Ends a worker by `kill -9`, at a moment at which it trains; the trials that are lost with it."""
    while True:
        victim.signal(signal.SIGSTOP)  # what it trains now it trains until it is killed
        held = [trial for trial in of(db, job) if trial.state is TrialState.RUNNING]
        if held:
            victim.signal(signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL
            return held
        victim.signal(signal.SIGCONT)
        assert victim.process.poll() is None, victim.output()
        time.sleep(0.01)  # a commit of another process sends no event that could be awaited


def of(db: Database, job: str) -> list[Trial]:
    return list(trials.iter_trials(db, job, factories.ADMIN))


@pytest.mark.slow
def test_one_trace_from_the_request_through_every_trial(
    db: Database, environment: dict[str, str], processes: Processes, free_port: int
) -> None:
    _, secret = keys.create_key(db, "ci", frozenset({"read", "submit"}))
    with collecting() as collector:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        job_id = submitted(processes, environment, free_port, secret)
        victim = worker(processes, environment)
        collector.until(lambda spans: any(span.name == "train trial" for span in spans))
        held = killed_in_the_middle(victim, db, job_id)
        successor = worker(processes, environment, "--exit-when-idle")
        assert successor.wait(200) == 0, successor.output()
        spans = collector.spans  # the worker has delivered all before it ended
        raw = b"".join(collector.raw)
    job = jobs.get_job(db, job_id, factories.ADMIN)
    assert job.state is JobState.COMPLETED
    assert {span.trace for span in spans} == {TRACE}
    check_tree(job, spans)
    check_trials(job, of(db, job_id), held, collector)
    check_lines(successor, collector)
    for told in (secret, PASSWORD):
        assert told.encode() not in raw
    check_document(spans)


def check_tree(job: Job, spans: list[Received]) -> None:
    """Who is below whom, and in which process."""
    by_name: dict[str, list[Received]] = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    [request], [submission], [closing] = (by_name[name] for name in ("POST /v1/jobs", "submit job", "close job"))
    assert (request.kind, request.below) == ("server", PARENT)
    assert (submission.kind, submission.below) == ("producer", request.id)
    assert job.traceparent is not None
    assert job.traceparent.split("-")[1:3] == [TRACE, submission.id]
    for name in ("prepare teacher", "choose engine", "choose finalists", "close job"):
        assert {span.below for span in by_name[name]} == {submission.id}, name
    sealed = job.test_opened_at is None  # nothing is decided
    for name in ("analyse job", "store artifact", *(() if sealed else ("evaluate test",))):
        assert {span.below for span in by_name[name]} == {closing.id}, name
    assert ("evaluate test" in by_name) is not sealed
    kept = [span.attributes["thermowell.artifact.name"] for span in by_name["store artifact"]]
    assert sorted(kept) == ["README.md", "student.json", "student.py", "student.safetensors"] + ["test-right.npz"] * (
        not sealed
    )
    assert {span.resource["service.name"] for span in (request, submission)} == {"thermowell-api"}
    workers = {span.resource["service.instance.id"] for span in spans if span not in (request, submission)}
    assert len(workers) == 2
    assert not any(span.failed for span in spans)


def check_trials(job: Job, rows: list[Trial], held: list[Trial], collector: Collector) -> None:
    """Every trial has ended once, below what caused it; who was killed has told nothing of what it held."""
    [submission], [choice] = collector.named("submit job"), collector.named("choose finalists")
    told = {
        (span.attributes["thermowell.trial.number"], span.attributes["thermowell.trial.attempt"]): span
        for span in collector.named("train trial")
    }
    for row in rows:
        assert row.configuration is not None
        if (row.number, row.attempt) not in told:  # it ended just before its worker did
            assert row.worker_id == held[0].worker_id
            continue
        span = told[row.number, row.attempt]
        assert (
            span.attributes.items()
            >= {
                "thermowell.job.id": job.id,
                "thermowell.request.id": "ci-4711",
                "thermowell.worker.id": row.worker_id,
                "thermowell.trial.stage": row.stage,
                "thermowell.trial.arm": row.arm,
                "thermowell.trial.state": row.state,
                "thermowell.trial.epoch": row.epoch,
                "thermowell.temperature": row.configuration["temperature"],
                "thermowell.optimizer.name": row.configuration["optimizer"]["name"],
            }.items()
        )
        assert span.below == (choice if row.stage in (Stage.SELECT, Stage.ESTIMATE) else submission).id
        assert span.kind == "consumer"
        assert span.resource["service.instance.id"] == row.worker_id
    for trial in held:
        assert (trial.number, trial.attempt) not in told, "what was open is lost with its process"
        lost = tracing.span_parent(job.traceparent, job.id, "trial", trial.number, trial.attempt)
        assert told[trial.number, trial.attempt + 1].links == ((lost or "").split("-")[2],)
    numbers = {trial.number for trial in held}
    assert all(not span.links for (number, attempt), span in told.items() if number not in numbers and attempt == 1)


def check_lines(process: Started, collector: Collector) -> None:
    """Log lines of a trial lead to its span."""
    spans = {span.id: span for span in collector.named("train trial")}
    lines = [json.loads(line) for line in process.output().splitlines()]
    ended = [line for line in lines if line["event"] == "trial ended"]
    assert ended
    for line in ended:
        assert line["trace_id"] == TRACE
        assert spans[line["span_id"]].attributes["thermowell.trial.number"] == line["trial"]


def check_document(spans: list[Received]) -> None:
    """All that was told is described."""
    described = set(re.findall(r"`([^`\n]+)`", DOCUMENT.read_text().replace("```", "")))
    assert {span.name for span in spans} - {"POST /v1/jobs"} <= described
    told = {name for span in spans for name in span.attributes}
    assert {name for name in told if name.startswith("thermowell.")} <= described


@pytest.mark.slow
def test_a_collector_that_hangs_delays_neither_request_nor_drain(
    db: Database, environment: dict[str, str], processes: Processes, free_port: int
) -> None:
    _, secret = keys.create_key(db, "ci", frozenset({"read", "submit"}))
    with collecting(hangs=True) as collector:
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "THERMOWELL_GRACE_SECONDS": "4"}
        job_id = submitted(processes, environment, free_port, secret)
        collector.asked.clear()
        started = worker(processes, environment)
        assert collector.asked.wait(120), started.output()
        begun = time.monotonic()
        started.signal(signal.SIGTERM)
        assert started.wait() == 0, started.output()
        assert time.monotonic() - begun < 4 + 2 + 4  # grace, what is left for traces, and a busy machine
    lines = [json.loads(line)["event"] for line in started.output().splitlines()]
    assert lines[-1] == "worker stopped"
    assert sum("not delivered" in line for line in lines) <= 1
    with db.read() as connection:
        leases = sqlalchemy.text("SELECT count(*) FROM tw_leases WHERE job_id = :job")
        assert connection.execute(leases, {"job": job_id}).scalar_one() == 0  # all were given back in time
