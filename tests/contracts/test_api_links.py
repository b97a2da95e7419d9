"""The API from one request to the next. The links of its description are followed: what was
submitted can be read, followed, cancelled and deleted, and is gone then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    ensure_resource_availability,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)

from search.schema import migrate
from search.storage.db import open_database
from service.settings import Settings
from tests.service import server_fixtures

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    response_schema_conformance,
    ensure_resource_availability,
    use_after_free,
]
FOLLOWED = ("submitJob", "getJob", "listTrials", "streamEvents", "getResult", "cancelJob", "deleteJob")
PATIENCE = 90.0  # seconds
SETTINGS = hypothesis.settings(
    max_examples=6, stateful_step_count=8, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
)  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = Settings(var=tmp_path, stream_seconds=0.05, stream_poll_seconds=0.01)
    db = open_database(settings.database_url)
    migrate(db)
    db.close()
    with server_fixtures.serving(settings) as address:
        yield address


def described(url: str) -> dict[str, Any]:
    """The service's own description of these operations; one spec that is taken stands for all that could be sent."""
    document: dict[str, Any] = httpx.get(f"{url}/openapi.json", timeout=PATIENCE).raise_for_status().json()
    paths = {
        path: {method: one for method, one in item.items() if one["operationId"] in FOLLOWED}
        for path, item in document["paths"].items()
    }
    submit = paths["/v1/jobs"]["post"]
    submit["requestBody"]["content"] = {"application/json": {"schema": {"enum": [server_fixtures.document()]}}}
    return document | {"paths": {path: item for path, item in paths.items() if item}}


def test_links_lead_where_they_say(url: str) -> None:
    schema = schemathesis.openapi.from_dict(described(url))
    schema.config.update(base_url=url, request_timeout=PATIENCE)
    seen: set[tuple[str, int]] = set()

    class Workflow(schema.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: schemathesis.Response, case: schemathesis.Case, **_: Any) -> None:
            seen.add((case.operation.definition.raw["operationId"], response.status_code))
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Workflow, settings=SETTINGS)
    assert {operation for operation, _ in seen} <= set(FOLLOWED)
    assert ("submitJob", 201) in seen
    assert len(seen) > 4, "hardly a link was followed"


def test_each_link_leads_from_a_new_job_to_an_answer_about_it(url: str) -> None:
    document: dict[str, Any] = httpx.get(f"{url}/openapi.json", timeout=PATIENCE).json()
    made = {
        one["operationId"]: (method, path)
        for path, item in document["paths"].items()
        for method, one in item.items()
        if one.get("operationId") in FOLLOWED
    }
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        job = client.post("/v1/jobs", json=server_fixtures.document()).raise_for_status().json()["id"]
        linked = document["paths"]["/v1/jobs"]["post"]["responses"]["201"]["links"]
        assert {link["operationId"] for link in linked.values()} == set(FOLLOWED) - {"submitJob"}
        answers = {}
        for operation in ("getJob", "listTrials", "getResult", "cancelJob", "streamEvents", "deleteJob", "getJob"):
            method, path = made[operation]
            answers[operation] = client.request(method, path.format(job_id=job)).status_code
    assert answers == {
        "listTrials": 200, "getResult": 409, "cancelJob": 200, "streamEvents": 200, "deleteJob": 204, "getJob": 404,
    }  # fmt: skip
