"""A job that its machines could not close: what the API, its stream, the pages and a terminal say, and what goes on."""

from __future__ import annotations

import signal

import httpx
import pytest

from search.claims import finalization, leases, reporting
from search.claims.worker_loss import MAX_LOSSES
from search.records import Job, Reason
from search.requests.jobs import get_job
from search.storage.db import Database
from service.settings import Settings
from service.terminal.console import Exit
from tests.processes import Processes
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import serving
from tests.service.test_pages import HTML, Window, words
from tests.service.test_stream import read
from thermowell.sync.client import Client


@pytest.fixture
def analysed(db: Database) -> Job:
    """A job that waits to be closed."""
    job = server_fixtures.submit(db, name="paid-for")
    server_fixtures.train(db, job)
    return job


def lose(db: Database, times: int = MAX_LOSSES) -> None:
    for _ in range(times):
        assert finalization.claim_closing(db, "lost", -1.0) is not None
        leases.reap(db)


def failed_before(db: Database, job: Job, slug: str = "closing-lost") -> None:
    """As such jobs ended before they were paused."""
    claim = finalization.claim_closing(db, "w", server_fixtures.LEASE)
    assert claim is not None
    reporting.fail_job(db, claim.token, Reason(slug, "5 workers were lost while they closed it"))


def test_the_api_says_why_it_waits_and_its_stream_follows_it_to_its_answer(
    client: httpx.Client, db: Database, settings: Settings, analysed: Job
) -> None:
    with client.stream("GET", f"/v1/jobs/{analysed.id}/events") as response:
        arriving = read(response)
        lose(db)
        while (event := next(arriving))["data"]["payload"].get("to") != "paused":
            assert event["event"] != "end"
        assert event["data"]["payload"]["from"] == "analysing"
        assert event["data"]["payload"]["reason"]["type"] == "closing-lost"
        paused = client.get(f"/v1/jobs/{analysed.id}").json()
        assert (paused["state"], paused["resumable"], paused["ended_at"]) == ("paused", True, None)
        assert f"thermowell resume {analysed.id}" in paused["problem"]["detail"]
        resumed = client.post(f"/v1/jobs/{analysed.id}/resume").json()
        assert (resumed["state"], resumed["problem"], resumed["resumable"]) == ("analysing", None, False)
        assert next(arriving)["data"]["payload"]["to"] == "analysing"
        server_fixtures.close(db, settings.artifact_root, analysed)
        told = list(arriving)
        assert told[-1]["data"] == {"reason": "job-ended"}
    assert client.get(f"/v1/jobs/{analysed.id}/result").status_code == 200


def test_a_job_that_failed_so_before_is_resumed_over_http_and_by_the_client(
    client: httpx.Client, db: Database, analysed: Job
) -> None:
    failed_before(db, analysed)
    with Client(str(client.base_url)) as thermowell:
        job = thermowell.job(analysed.id)
        assert (job.state, job.ended, job.resumable) == ("failed", True, True)
        job = thermowell.resume(job)
        assert (job.state, job.ended, job.resumable) == ("analysing", False, False)
    refused(client.post(f"/v1/jobs/{analysed.id}/resume"), 409, "illegal-move")


def test_no_other_failed_job_is_resumed(client: httpx.Client, db: Database, analysed: Job) -> None:
    failed_before(db, analysed, "analysis-failed")
    assert client.get(f"/v1/jobs/{analysed.id}").json()["resumable"] is False
    problem = refused(client.post(f"/v1/jobs/{analysed.id}/resume"), 409, "illegal-move")
    assert "closing-lost" in problem["detail"]


@pytest.mark.parametrize("before", [False, True], ids=["paused", "failed"])
def test_its_page_says_why_and_offers_to_go_on(client: httpx.Client, db: Database, analysed: Job, before: bool) -> None:
    failed_before(db, analysed) if before else lose(db)
    window = Window(str(client.base_url))
    page = window.get(f"/jobs/{analysed.id}", headers=HTML)
    assert "5 workers were lost while they closed it" in words(page)
    assert f'action="/jobs/{analysed.id}/resume"' in page.text
    window.send(f"/jobs/{analysed.id}/resume")
    assert get_job(db, analysed.id, server_fixtures.LOCAL).state == "analysing"
    window.http.close()


@pytest.mark.usefixtures("interruptible")
def test_who_watches_in_a_pipe_reads_the_reason_and_the_way_out(
    settings: Settings, db: Database, analysed: Job, processes: Processes
) -> None:
    with serving(settings) as url:
        watching = processes.thermowell("watch", analysed.id, "--url", url, env={"COLUMNS": "40"})
        while "analysing" not in watching.output():
            assert watching.process.poll() is None, watching.output()
        lose(db)
        while f"thermowell resume {analysed.id}" not in watching.output():
            assert watching.process.poll() is None, watching.output()
        watching.signal(signal.SIGINT)
        assert watching.wait() == Exit.INTERRUPTED
    [line] = [line for line in watching.output().splitlines() if " paused" in line]
    assert "workers were lost while they closed it" in line
