"""The running API keeps to its own description, whatever it is sent: no 5xx, and nothing that is not declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import hypothesis
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from search.records import SCOPES
from search.requests.keys import create_key
from search.storage.db import open_database
from service.app import ROOMS
from service.routes import lookup
from service.settings import Settings
from tests.service import server_fixtures

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROUTERS = [*(room.router for room in ROOMS), lookup.open_router]
# Reading comes before changing, and deleting last: there should be something to read.
ORDER = ("GET", "PUT", "POST", "DELETE")
OPERATIONS = [
    route.operation_id
    for method in ORDER
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema and method in route.methods
]
SETTINGS = hypothesis.settings(
    max_examples=20, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
CONVERSION_SECONDS = 60.0
"""Within which a file of weights is converted, in a process that loads torch first, beside other tests."""


@dataclass(frozen=True)
class Served:
    """A running service by its own description, those who may ask it (by their headers), and jobs that exist."""

    schema: schemathesis.openapi.OpenApiSchema
    callers: list[dict[str, str]]
    job_ids: list[str]


@pytest.fixture(scope="module", params=[pytest.param("open", marks=pytest.mark.slow), "with keys"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real server; with keys, nobody and one caller of each scope ask."""
    var = tmp_path_factory.mktemp("api")
    jobs_there = server_fixtures.furnish(var)
    settings = Settings(var=var, stream_seconds=0.05, stream_poll_seconds=0.01, failures_per_minute=10**6)
    callers: list[dict[str, str]] = [{}]
    if request.param == "with keys":
        db = open_database(settings.database_url)
        for scope in SCOPES:
            _, secret = create_key(db, scope, frozenset({scope}))
            callers.append({"Authorization": f"Bearer {secret}"})
        db.close()
    with server_fixtures.serving(settings) as url:
        claim = {"client": "first", "queue": "none"}  # the first starts the process that proposes, which takes seconds
        httpx.post(f"{url}/v1/claims", json=claim, headers=callers[-1], timeout=60).raise_for_status()
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        yield Served(schema, callers, [jobs_there.completed.id, jobs_there.running.id, jobs_there.queued.id])


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_api(served: Served, operation_id: str) -> None:
    operation = served.schema.find_operation_by_id(operation_id)
    # an export may have tags that its own project alone can read
    checks = [check for check in CHECKS if (operation_id, check) != ("exportWinner", response_schema_conformance)]
    cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @SETTINGS
    @hypothesis.given(cases, st.sampled_from([None, *served.job_ids]), st.sampled_from(served.callers))
    def check(case: schemathesis.Case, job_id: str | None, caller: dict[str, str]) -> None:
        if job_id is not None and "job_id" in (case.path_parameters or {}):
            case.path_parameters["job_id"] = job_id
        if operation_id == "claimTrials" and isinstance(case.body, dict):
            case.body.pop("wait_seconds", None)  # without it, nothing to train is said at once
        case.call_and_validate(headers=caller, checks=checks, timeout=CONVERSION_SECONDS)

    check()
