"""The service over a disk that fails: a problem with the way out, and no error of its own; deleting makes room."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from search.optuna_bridge.dashboard import DashboardChange
from search.optuna_bridge.study import close_storage, optuna_storage
from search.records import LOCAL_OWNER, SCOPES, Principal
from search.requests.jobs import get_job
from search.storage.db import Database
from search.storage.store import open_store
from service.drawing import DrawnPlots
from service.pages import jobs_page
from service.plot_refresh import PlotRefresher
from service.settings import Settings
from service.terminal import screen
from tests.disks import KINDS, Faulty
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs


@pytest.fixture
def faulty(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    disk = Faulty(settings.artifact_root, monkeypatch)
    yield disk
    disk.fail(0)


def fail(faulty: Faulty, kind: str) -> None:
    number, calls = KINDS[kind]
    faulty.fail(number, *calls)


@pytest.mark.parametrize("kind", ["broken", "stale", "refused"])
def test_a_file_that_cannot_be_read_now_is_answered_with_503(
    client: httpx.Client, jobs: Jobs, faulty: Faulty, kind: str
) -> None:
    path = f"/v1/jobs/{jobs.completed.id}/artifacts/student.safetensors"
    assert client.get(path).status_code == 200
    fail(faulty, kind)
    answer = client.get(path)
    problem = refused(answer, 503, "store-unavailable")
    assert "ask again" in problem["detail"]
    assert str(faulty.root) not in answer.text
    assert answer.headers["Retry-After"] == "5"
    faulty.fail(0)
    assert client.get(path).status_code == 200


def test_a_job_is_deleted_from_a_full_disk_and_not_from_one_that_is_read_only(
    client: httpx.Client, jobs: Jobs, faulty: Faulty, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/jobs/{jobs.completed.id}"
    with monkeypatch.context() as patch:
        patch.setattr("search.storage.folder.os.access", lambda *_: False)
        refused(client.delete(path), 503, "store-unavailable")
    assert client.get(path).status_code == 200
    fail(faulty, "full")
    assert client.delete(path).status_code == 204
    assert not [each for each in settings.artifact_root.rglob("*") if each.is_file()]


def test_the_dashboard_s_uploads_meet_a_full_disk_with_503(
    client: httpx.Client, jobs: Jobs, faulty: Faulty, settings: Settings, db: Database
) -> None:
    storage = optuna_storage(db)
    [study] = [each for each in storage.get_all_studies() if each.study_name == jobs.completed.study_name] or [None]
    study_id = study._study_id if study is not None else storage.create_new_study([], "uploads")
    close_storage(storage)
    upload = {"file": f"data:text/plain;base64,{base64.b64encode(b'mine').decode()}", "filename": "mine.txt"}
    fail(faulty, "full")
    answer = client.post(f"/api/artifacts/{study_id}", json=upload)
    assert answer.status_code == 503, answer.text
    assert "no room on the artifact store" in answer.json()["reason"]
    faulty.fail(0)
    kept = client.post(f"/api/artifacts/{study_id}", json=upload)
    assert kept.status_code == 201, kept.text
    where = f"/artifacts/{study_id}/{kept.json()['artifact_id']}"
    assert client.get(where).content == b"mine"
    fail(faulty, "broken")
    assert client.get(where).status_code == 503


@pytest.mark.parametrize("below", ["store", "temporary folder"])
def test_a_report_that_cannot_be_kept_holds_up_nothing_else(
    settings: Settings, jobs: Jobs, db: Database, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    full = Faulty(settings.artifact_root if below == "store" else settings.var / "scratch", monkeypatch)
    full.root.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(full.root) if below != "store" else None)
    written: list[Any] = []
    monkeypatch.setattr("service.plot_refresh.write_dashboard_change", lambda _, change: written.append(change))
    shower = PlotRefresher(db, settings, open_store(settings), None)  # type: ignore[arg-type]
    beside = DashboardChange(study_id=1, changed={}, gone=[])
    drawn = DrawnPlots(event=7, interim=None, report="<p>", beside=beside, untracked=None).model_dump_json().encode()
    fail(full, "full")
    shown = shower._write(jobs.completed.id, drawn)
    assert shown is not None
    assert shown.event == 6, "so that it is tried again"
    full.fail(0)
    shown = shower._write(jobs.completed.id, drawn)
    assert shown is not None
    assert shown.event == 7
    assert written == [beside, beside]


def test_what_a_job_waits_for_is_said_everywhere(client: httpx.Client, jobs: Jobs, db: Database) -> None:
    from search.claims.workers import worker_seen
    from service.terminal.cli_jobs import note_of
    from service.terminal.following import View
    from thermowell.sync.client import Client

    told = {"device": "cpu", "waits_for": "room on the artifact store"}
    worker_seen(db, "w9", host="here", pid=1, lanes=0, capabilities=told)
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE tw_workers SET stopped_at = 1 WHERE id <> 'w9'")
    job = get_job(db, jobs.queued.id, Principal(LOCAL_OWNER, "local", frozenset(SCOPES)))
    assert job.progress.waits_for == "room on the artifact store"
    assert jobs_page.phase(job) == "waits for room on the artifact store"
    with Client(str(client.base_url)) as thermowell:
        seen = thermowell.job(jobs.queued.id)
        assert "waits for room on the artifact store" in screen.phase(View(seen))
        assert note_of(seen) == f"{seen.id} queued: waits for room on the artifact store"
        compiling = replace(seen, progress=replace(seen.progress, preparing="compiling, about 40 s left"))
        assert screen.phase(View(compiling)).startswith("compiling, about 40 s left")
        waiting = replace(job.progress, preparing="compiling, about 40 s left", waits_for=None)
        assert jobs_page.phase(replace(job, progress=waiting)) == "compiling, about 40 s left"
    worker_seen(db, "w9", host="here", pid=1, lanes=0, capabilities={"device": "cpu"})
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE tw_jobs SET updated_at = updated_at - 60")  # longer ago than a claim takes
    waits_for = client.get(f"/v1/jobs/{jobs.queued.id}").json()["progress"]["waits_for"]
    assert waits_for == "a free lane, behind going (priority 10); its own priority is 10"
