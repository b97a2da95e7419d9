"""Catalogue, spec, workers, keys, health: what there is and who is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.errors import KINDS
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import serving

Headers = dict[str, str]


def test_catalogue_names_what_a_spec_can(reader: httpx.Client) -> None:
    found = reader.get("/v1/catalogue").json()
    assert {"digits", "CIFAR10", "npz"} <= {entry["name"] for entry in found["datasets"]}
    assert {"mlp", "wrn", "resnet18"} <= {entry["name"] for entry in found["models"]}


def test_the_default_spec_can_be_submitted(client: httpx.Client) -> None:
    answer = client.get("/v1/spec/default")
    assert answer.headers["content-type"].startswith("application/yaml")
    submitted = client.post("/v1/jobs", content=answer.content, headers={"Content-Type": "application/yaml"})
    assert submitted.status_code == 201


def test_the_schema_describes_a_spec(reader: httpx.Client) -> None:
    schema = reader.get("/v1/spec/schema").json()
    assert set(schema["required"]) == {"name"}, "which parts a trainer needs besides, validation says"
    verdict = reader.post("/v1/spec/validate", json={"name": "x"}).json()
    assert [error["path"] for error in verdict["errors"]] == ["dataset", "teacher", "student"]
    assert schema["properties"]["schema_version"]["const"] == 1


def test_validate_says_what_submit_would(reader: httpx.Client) -> None:
    verdict = reader.post("/v1/spec/validate", json=server_fixtures.document()).json()
    assert (verdict["valid"], verdict["errors"]) == (True, [])
    assert verdict["spec"]["objective"] == {"metric": "accuracy"}
    verdict = reader.post("/v1/spec/validate", json=server_fixtures.document(seed=-1)).json()
    assert (verdict["valid"], verdict["spec"], [error["path"] for error in verdict["errors"]]) == (
        False,
        None,
        ["seed"],
    )
    assert reader.get("/v1/jobs?name=digits-small").json()["items"] == [], "nothing was submitted"
    refused(reader.post("/v1/spec/validate", content=b"{}"), 415, "media-type-unsupported")


def test_workers(reader: httpx.Client) -> None:
    [worker] = reader.get("/v1/workers").json()["items"]
    assert (worker["id"], worker["host"], worker["running"], worker["alive"]) == ("w1", "here", 1, True)


def test_me_is_local_where_no_key_is_needed(reader: httpx.Client) -> None:
    assert reader.get("/v1/me").json() == {
        "id": "local",
        "name": "local",
        "scopes": ["admin", "dashboard", "read", "submit", "train"],
        "quota": {"jobs": None, "trials": None, "parallel": None},
        "used": {"jobs": 2, "trials": 8, "parallel": 1},
    }


def test_keys_are_made_listed_and_revoked(client: httpx.Client) -> None:
    made = client.post("/v1/keys", json={"name": "mine", "scopes": ["admin"]})
    assert made.status_code == 201
    key = made.json()
    as_key = {"Authorization": f"Bearer {key['secret']}"}
    assert client.get("/v1/me", headers=as_key).json()["id"] == key["id"]
    [listed] = client.get("/v1/keys", headers=as_key).json()["items"]
    assert "secret" not in listed
    assert listed["last_used_at"] is not None
    assert client.delete(f"/v1/keys/{key['id']}", headers=as_key).status_code == 204
    refused(client.get("/v1/me", headers=as_key), 401, "unauthenticated")
    refused(client.get("/v1/me"), 401, "unauthenticated")


def test_keys_refuse(reader: httpx.Client) -> None:
    for body in ({"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]}, {"name": "", "scopes": ["read"]}):
        refused(reader.post("/v1/keys", json=body), 422, "request-invalid")
    refused(reader.delete("/v1/keys/unknown"), 404, "not-found")


def test_health_and_readiness_need_no_key(client: httpx.Client, key: Callable[..., Headers]) -> None:
    key("admin")
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    refused(client.get("/metrics"), 401, "unauthenticated")


def test_a_service_without_its_tables_says_so(tmp_path: Path) -> None:
    with serving(Settings(var=tmp_path)) as url, httpx.Client(base_url=url) as client:
        assert client.get("/healthz").status_code == 200
        assert "thermowell migrate" in refused(client.get("/readyz"), 503, "schema-missing")["detail"]
        refused(client.get("/v1/jobs"), 503, "schema-missing")
        refused(client.get("/dashboard"), 503, "schema-missing")


def test_a_database_that_is_away_is_a_problem_and_may_come_back(settings: Settings) -> None:
    file = settings.var / "thermowell.db"
    aside = file.rename(settings.var / "aside.db")
    file.mkdir()  # a database that cannot be opened
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        for address in ("/readyz", "/v1/jobs", "/metrics", "/dashboard"):
            answer = client.get(address)
            refused(answer, 503, "database-unavailable")
            assert answer.headers["retry-after"] == "5"
        file.rmdir()
        aside.rename(file)
        for address in ("/readyz", "/v1/jobs", "/metrics", "/dashboard"):
            assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("slug", sorted(KINDS))
def test_types_of_problems_lead_somewhere(reader: httpx.Client, slug: str) -> None:
    kind = reader.get(f"/problems/{slug}").json()
    assert (kind["status"], kind["title"]) == (KINDS[slug].status, KINDS[slug].title)


def test_unknown_addresses_and_methods(reader: httpx.Client) -> None:
    refused(reader.get("/v1/nothing"), 404, "not-found")
    refused(reader.get("/v1/jobs/"), 404, "not-found")
    refused(reader.get("/nothing"), 404, "not-found")
    refused(reader.get("/problems/unheard-of"), 404, "not-found")
    answer = reader.put("/v1/jobs", json={})
    refused(answer, 405, "method-not-allowed")
    assert "allow" in answer.headers


def test_metrics_count_jobs_trials_workers_and_requests(client: httpx.Client) -> None:
    client.get("/v1/jobs/unknown")
    text = client.get("/metrics").text
    for line in (
        'thermowell_jobs{state="completed"} 1.0',
        'thermowell_jobs{state="failed"} 0.0',
        'thermowell_trials{state="running"} 1.0',
        "thermowell_workers_alive 1.0",
        "thermowell_queue 1.0",
        "thermowell_lanes 1.0",
        "thermowell_lanes_busy 1.0",
        "thermowell_trial_retries 0.0",
        "thermowell_stale_leases 0.0",
        "thermowell_api_database_errors 0.0",
        'thermowell_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0',
        'thermowell_http_request_seconds_count{method="GET",route="/v1/jobs/{job_id}"} 1.0',
    ):
        assert line in text.splitlines(), line


def test_the_documentation_needs_nothing_from_elsewhere(reader: httpx.Client) -> None:
    page = reader.get("/docs").text
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page
        assert reader.get(f"/docs/assets/{asset}").status_code == 200
