"""The answer over HTTP, and what is said while there is none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args

import httpx
import pytest

from search.requests.results import get_result
from search.storage.db import Database
from service.plots import names
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs

PICTURES = get_args(names.Name)
PARTS = ("result", "response", "importances", "interactions", "report", "report/response.svg", "report/gains.png")
PERSON = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


def test_result(client: httpx.Client, db: Database, jobs: Jobs) -> None:
    result = client.get(f"/v1/jobs/{jobs.completed.id}/result").json()
    assert result == get_result(db, jobs.completed.id, server_fixtures.LOCAL).model_dump(mode="json")
    assert result["winner"]["arm"] == "joint"
    assert {(gain["over"], gain["variant"]) for gain in result["gains"]} == {
        (over, variant) for over in ("label_only", "t1", "t4") for variant in ("tuned", "same_settings")
    }


def test_response_and_importances(reader: httpx.Client, jobs: Jobs) -> None:
    response = reader.get(f"/v1/jobs/{jobs.completed.id}/response").json()
    assert (response["job_id"], response["metric"]) == (jobs.completed.id, "accuracy")
    assert len(response["observations"]) > 4
    assert "importances" in reader.get(f"/v1/jobs/{jobs.completed.id}/importances").json()
    together = reader.get(f"/v1/jobs/{jobs.completed.id}/interactions").json()
    assert [one["setting"] for one in together["shares"]] == [one["setting"] for one in together["maps"]]


def test_report_is_a_page_that_runs_nothing(reader: httpx.Client, jobs: Jobs) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/report")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "done" in answer.text


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures(reader: httpx.Client, jobs: Jobs, picture: str) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/report/{picture}.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "<svg" in answer.text
    in_pixels = reader.get(f"/v1/jobs/{jobs.completed.id}/report/{picture}.png")
    assert in_pixels.headers["content-type"] == "image/png"
    assert in_pixels.content.startswith(b"\x89PNG")


def test_who_asks_for_a_page_gets_one_of_what_there_is(reader: httpx.Client, jobs: Jobs) -> None:
    for job, said in (
        (jobs.running, "The job is running: 2 of 4 search trials have ended"),
        (jobs.queued, "The job is queued"),
        (jobs.cancelled, "The job is cancelled"),
    ):
        answer = reader.get(f"/v1/jobs/{job.id}/report", headers=PERSON)
        assert answer.status_code == 200
        assert said in answer.text.replace("\N{NO-BREAK SPACE}", " ")
        assert ("There is no answer yet" in answer.text) == (job is not jobs.cancelled)
        assert "There is no answer" in answer.text
        picture = reader.get(f"/v1/jobs/{job.id}/report/response.png", headers={"Accept": "image/avif,image/png,*/*"})
        assert picture.content.startswith(b"\x89PNG")
    assert "best candidate" in reader.get(f"/v1/jobs/{jobs.completed.id}/report", headers=PERSON).text
    assert reader.get("/v1/jobs/unknown/report", headers=PERSON).status_code == 404


@pytest.mark.parametrize("part", PARTS)
def test_answers_that_are_not_there_yet(reader: httpx.Client, jobs: Jobs, part: str) -> None:
    for job in (jobs.running, jobs.queued, jobs.cancelled):
        refused(reader.get(f"/v1/jobs/{job.id}/{part}"), 409, "not-ready")
    refused(reader.get(f"/v1/jobs/unknown/{part}"), 404, "not-found")


def test_unknown_pictures(reader: httpx.Client, jobs: Jobs) -> None:
    refused(reader.get(f"/v1/jobs/{jobs.completed.id}/report/else.svg"), 422, "request-invalid")


def test_artifacts_are_listed_and_come_whole(reader: httpx.Client, jobs: Jobs) -> None:
    [listed] = reader.get(f"/v1/jobs/{jobs.completed.id}/artifacts").json()["items"]
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/artifacts/{listed['name']}")
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == listed["sha256"]
    assert (len(answer.content), answer.headers["etag"]) == (listed["size"], f'"{listed["sha256"]}"')
    assert answer.headers["content-disposition"].startswith("attachment")


def test_artifacts_refuse(reader: httpx.Client, jobs: Jobs) -> None:
    refused(reader.get(f"/v1/jobs/{jobs.completed.id}/artifacts/other"), 404, "not-found")
    refused(reader.get(f"/v1/jobs/{jobs.running.id}/artifacts/student.safetensors"), 404, "not-found")
    refused(reader.get(f"/v1/jobs/{jobs.completed.id}/artifacts/..%2Fthermowell.db"), 404, "not-found")
    assert reader.get(f"/v1/jobs/{jobs.running.id}/artifacts").json() == {"items": []}


def test_a_damaged_artifact_is_not_served(client: httpx.Client, settings: Settings, jobs: Jobs) -> None:
    [file] = [path for path in Path(settings.artifact_root).rglob("*") if path.is_file()]
    file.chmod(0o644)
    file.write_bytes(b"something else")
    refused(client.get(f"/v1/jobs/{jobs.completed.id}/artifacts/student.safetensors"), 500, "artifact-corrupt")
