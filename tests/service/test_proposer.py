"""The process beside the API: started when it is wanted, again where it ended; a service without it says so."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from search.analysis.job import question
from search.requests import jobs
from search.schema import migrate
from search.storage.db import Database, open_database
from service import proposer
from service.settings import Settings
from tests.claimed import own_spec
from tests.search.factories import ME
from tests.service.server_fixtures import serving


@pytest.fixture
def own_settings(tmp_path: Path) -> Settings:
    settings = Settings.model_validate({"var": tmp_path, "show_seconds": 3600.0, "reap_seconds": 3600.0})
    db = open_database(settings.database_url)
    migrate(db)
    db.close()
    return settings


@pytest.mark.slow
def test_it_proposes_and_is_begun_again_where_it_ended(own_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    start = proposer.Proposer._start

    async def noted(self: proposer.Proposer) -> object:
        process = await start(self)
        started.append(process.pid)
        return process

    monkeypatch.setattr(proposer.Proposer, "_start", noted)
    db = open_database(own_settings.database_url)
    jobs.submit(db, own_spec(), ME)
    with serving(own_settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        order = {"queue": "q", "client": "w"}
        first = client.post("/v1/claims", json=order).json()["claims"]
        assert first[0]["configuration"]["temperature"] >= 1
        os.kill(started[0], signal.SIGKILL)
        answers = [client.post("/v1/claims", json=order | {"client": f"w{one}"}) for one in range(3)]
        claimed = [answer.json()["claims"][0]["trial"] for answer in answers if answer.status_code == 200]
        assert claimed
        assert 0 not in claimed
        assert len(started) == 2
    db.close()
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_without_numerics_the_service_says_how_to_add_them(
    own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "interim_possible", lambda: False)
    db = open_database(own_settings.database_url)
    jobs.submit(db, own_spec(), ME)
    with serving(own_settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        answer = client.post("/v1/claims", json={"queue": "q", "client": "w"})
    db.close()
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/proposer-missing"
    assert 'pip install "thermowell[analysis]"' in answer.json()["detail"]


def test_a_job_waits_for_a_program_in_words(own_settings: Settings) -> None:
    db: Database = open_database(own_settings.database_url)
    job, _ = jobs.submit(db, own_spec(), ME)
    assert jobs.get_job(db, job.id, ME).progress.waits_for == "a program that claims its trials by the queue q"
    db.close()


def test_one_that_is_being_started_ends_with_the_service(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    """As where a job is to be concluded at the moment in which the service is told to stop."""
    monkeypatch.setattr(proposer, "PROGRAM", ("-c", ECHO))

    async def stop_while_it_starts() -> None:
        beside = proposer.Proposer(open_database(sqlite_url), 60.0, asyncio.Event())
        asking = asyncio.create_task(beside.claim({"claim": {}}))
        while not beside._starting.locked():
            await asyncio.sleep(0)
        await beside.close()
        with pytest.raises(proposer.ProposerProblem):
            await asking
        with pytest.raises(proposer.ProposerProblem, match="the service is stopping"):
            await beside.claim({"claim": {}})
        assert beside._process is None

    asyncio.run(stop_while_it_starts())


ECHO = "import sys; sys.stdin.readline(); print('ready', flush=True); sys.stdin.read()"
"""A process that answers nothing until its input ends."""
