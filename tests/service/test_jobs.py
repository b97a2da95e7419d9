"""Jobs over HTTP: every route with a success and a refusal."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import yaml

from search.requests.jobs import get_job
from search.storage.db import Database
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs


def test_submit_answers_with_the_job_and_its_place(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json=server_fixtures.document("one", labels={"team": "vision"}))
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (job["state"], job["name"], job["labels"]) == ("queued", "one", {"team": "vision"})
    assert job["spec"]["confirmation"]["confidence"] == 0.9, "defaults are filled in"
    assert job["created_at"].endswith("Z")
    assert client.get(answer.headers["location"]).json() == job


@pytest.mark.parametrize("media", ["application/yaml", "application/x-yaml", "text/yaml; charset=utf-8"])
def test_submit_takes_yaml(client: httpx.Client, media: str) -> None:
    body = yaml.safe_dump(server_fixtures.document("from-yaml")).encode()
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["name"]) == (201, "from-yaml")


def test_submit_names_every_field_that_is_wrong(reader: httpx.Client) -> None:
    body = b"name: x\ndataset: {name: digitz}\nteacher:\n  source: train\nstudent: {name: mlp}\nbudgett: 3\n"
    answer = reader.post("/v1/jobs", content=body, headers={"Content-Type": "application/yaml"})
    problem = refused(answer, 422, "spec-invalid")
    found = {error["path"]: error for error in problem["errors"]}
    assert found["budgett"]["line"] == 6
    assert "did you mean digits" in found["dataset.name"]["message"]


@pytest.mark.parametrize(
    ("body", "media", "status", "slug"),
    [
        (b"{}", "text/plain", 415, "media-type-unsupported"),
        (b"{}", None, 415, "media-type-unsupported"),
        (b"{", "application/json", 422, "spec-invalid"),
        (b"", "application/json", 422, "spec-invalid"),
        (b"\xff\xfe", "application/yaml", 422, "spec-invalid"),
        (b"a: &a [*a]", "application/yaml", 422, "spec-invalid"),
        (b"x" * 2_000_000, "application/json", 413, "too-large"),
    ],
)
def test_submit_refuses(reader: httpx.Client, body: bytes, media: str | None, status: int, slug: str) -> None:
    headers = {"Content-Type": media} if media else {}
    refused(reader.post("/v1/jobs", content=body, headers=headers), status, slug)


def test_a_body_of_unknown_length_is_bounded_too(reader: httpx.Client) -> None:
    parts = (b" " * 65536 for _ in range(64))
    answer = reader.post("/v1/jobs", content=parts, headers={"Content-Type": "application/json"})
    refused(answer, 413, "too-large")


def test_the_same_request_twice_is_one_job(client: httpx.Client) -> None:
    body = json.dumps(server_fixtures.document("twice"))
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}
    first = client.post("/v1/jobs", content=body, headers=headers)
    second = client.post("/v1/jobs", content=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["location"] == first.headers["location"]
    other = client.post("/v1/jobs", json=server_fixtures.document("another"), headers={"Idempotency-Key": "k-1"})
    refused(other, 422, "idempotency-mismatch")
    refused(client.post("/v1/jobs", content=body, headers=headers | {"Idempotency-Key": "a b"}), 422, "request-invalid")
    names = [job["name"] for job in client.get("/v1/jobs").json()["items"]]
    assert (names.count("twice"), names.count("another")) == (1, 0)


def test_list_is_newest_first_and_filtered(reader: httpx.Client, jobs: Jobs) -> None:
    items = reader.get("/v1/jobs").json()["items"]
    assert [job["name"] for job in items] == ["waiting", "dropped", "going", "done"]
    by = {
        "state=completed": ["done"],
        "state=cancelled": ["dropped"],
        "name=going": ["going"],
        "label=team=vision": ["done"],
        "label=team=nobody": [],
    }
    for query, names in by.items():
        assert [job["name"] for job in reader.get(f"/v1/jobs?{query}").json()["items"]] == names, query


def test_list_goes_page_by_page(reader: httpx.Client) -> None:
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = reader.get("/v1/jobs", params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        seen += [job["name"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (["waiting", "dropped", "going", "done"], None)


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=1000", "label=novalue"])
def test_list_refuses_what_it_does_not_know(reader: httpx.Client, query: str) -> None:
    problem = refused(reader.get(f"/v1/jobs?{query}"), 422, "request-invalid")
    assert problem["errors"][0]["path"] == f"query.{query.partition('=')[0]}"


def test_list_refuses_a_cursor_of_another_list(reader: httpx.Client, jobs: Jobs) -> None:
    cursor = reader.get(f"/v1/jobs/{jobs.completed.id}/trials?limit=1").json()["next_cursor"]
    refused(reader.get("/v1/jobs", params={"cursor": cursor}), 422, "cursor-invalid")


def test_read_a_job(reader: httpx.Client, jobs: Jobs) -> None:
    job = reader.get(f"/v1/jobs/{jobs.completed.id}").json()
    assert job["progress"]["search_done"] == job["progress"]["search_budget"] == server_fixtures.ENOUGH
    assert job["teacher"]["validation"]["accuracy"] == 0.97
    assert job["fixed"]["precision"] == "fp32"
    for part, address in job["links"].items():
        if part != "events":
            assert reader.get(address).status_code == 200, part


@pytest.mark.parametrize("job_id", ["0" * 16, "nonsense", "%00", "a" * 500])
def test_read_refuses_unknown_jobs(reader: httpx.Client, job_id: str) -> None:
    refused(reader.get(f"/v1/jobs/{job_id}"), 404, "not-found")


@pytest.mark.parametrize(
    ("before", "verb", "after"),
    [
        ("running", "cancel", "cancelled"),
        ("queued", "cancel", "cancelled"),
        ("running", "pause", "paused"),
        ("running", "stop", "running"),
    ],
)
def test_moves(client: httpx.Client, jobs: Jobs, before: str, verb: str, after: str) -> None:
    job_id = getattr(jobs, before).id
    answer = client.post(f"/v1/jobs/{job_id}/{verb}")
    assert (answer.status_code, answer.json()["state"]) == (200, after)
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == after


def test_a_paused_job_resumes_where_it_was(client: httpx.Client, jobs: Jobs) -> None:
    client.post(f"/v1/jobs/{jobs.running.id}/pause")
    assert client.post(f"/v1/jobs/{jobs.running.id}/resume").json()["state"] == "running"


@pytest.mark.parametrize("verb", ["cancel", "stop", "pause", "resume"])
def test_moves_that_the_state_does_not_allow(reader: httpx.Client, jobs: Jobs, verb: str) -> None:
    refused(reader.post(f"/v1/jobs/{jobs.completed.id}/{verb}"), 409, "illegal-move")
    refused(reader.post(f"/v1/jobs/unknown/{verb}"), 404, "not-found")


def test_extend(client: httpx.Client, jobs: Jobs) -> None:
    answer = client.post(f"/v1/jobs/{jobs.completed.id}/extend", json={"trials": 40})
    assert (answer.status_code, answer.json()["budget_trials"], answer.json()["state"]) == (200, 40, "running")


def test_a_key_lives_as_long_as_its_job_and_the_description_says_so(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = client.post("/v1/jobs", json=server_fixtures.document("twice"), headers=headers).json()["id"]
    client.post(f"/v1/jobs/{first}/cancel")
    assert client.delete(f"/v1/jobs/{first}").status_code == 204
    again = client.post("/v1/jobs", json=server_fixtures.document("twice"), headers=headers)
    assert (again.status_code, again.json()["id"] == first) == (201, False)
    paths = client.get("/openapi.json").json()["paths"]
    [told] = [one for one in paths["/v1/jobs"]["post"]["parameters"] if one["name"] == "idempotency-key"]
    assert "once a job is deleted" in told["description"]
    assert "makes a new job" in paths["/v1/jobs/{job_id}"]["delete"]["description"]


TITLES = {"spec-invalid": "The new budget was refused"}


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({}, 422, "request-invalid"),
        ({"trials": "many"}, 422, "request-invalid"),
        ({"trials": 6, "hours": 3}, 422, "request-invalid"),
        ({"trials": 2}, 422, "spec-invalid"),
    ],
)
def test_extend_refuses(reader: httpx.Client, jobs: Jobs, body: object, status: int, slug: str) -> None:
    refused(reader.post(f"/v1/jobs/{jobs.running.id}/extend", json=body), status, slug, TITLES.get(slug))
    refused(reader.post(f"/v1/jobs/{jobs.cancelled.id}/extend", json={"trials": 9}), 409, "illegal-move")


def test_delete_forgets_a_job_and_its_files(client: httpx.Client, settings: Settings, jobs: Jobs) -> None:
    def files() -> list[Path]:
        return [path for path in settings.artifact_root.rglob("*") if path.is_file()]

    assert len(files()) == 1
    answer = client.delete(f"/v1/jobs/{jobs.completed.id}")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(client.get(f"/v1/jobs/{jobs.completed.id}"), 404, "not-found")
    assert files() == []


def test_delete_refuses_a_job_that_goes_on(client: httpx.Client, db: Database, jobs: Jobs) -> None:
    refused(client.delete(f"/v1/jobs/{jobs.running.id}"), 409, "illegal-move")
    assert get_job(db, jobs.running.id, server_fixtures.LOCAL).state == "running"
