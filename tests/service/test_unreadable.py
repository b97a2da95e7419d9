"""One row that cannot be read fails no page and no answer over many rows, whatever is stored in whichever column.

For the row alone it is a problem that says so; it is logged once and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from search.requests.studies import submit_study
from search.storage.db import Database
from search.storage.stored import count_unreadable
from search.studies.parsing import parse_study
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving

JUNK = ["{broken", "[]", "{}", '"x"', "7", '{"temperature": null}', '[{"a": NaN}]']
NULLED = '{"validation": {"interval": {"low": null, "high": null, "confidence": 0.9}}}'
COLUMNS = {
    "tw_jobs": ("labels", "spec", "problem", "advice", "fixed", "teacher"),
    "tw_trials": ("configuration", "advice", "metrics", "test_metrics", "reason"),
    "tw_events": ("payload",),
    "tw_workers": ("capabilities", "engines", "labels"),
    "tw_studies": ("spec", "cells"),
    "tw_analyses": ("document",),
}
MANY = (
    "/v1/jobs", "/v1/jobs?label=team=vision", "/v1/studies",
    "/v1/workers", "/metrics", "/jobs", "/jobs?state=completed",
    "/v1/advice?data=digits", "/v1/jobs/{job}", "/v1/jobs/{job}/trials", "/v1/jobs/{job}/trials.csv",
    "/v1/jobs/{job}/artifacts", "/v1/jobs/{job}/events", "/jobs/{job}", "/jobs/new?like={job}", "/v1/me",
)  # fmt: skip
ONE = (
    "/v1/jobs/{job}/result", "/v1/jobs/{job}/response", "/v1/jobs/{job}/importances", "/v1/jobs/{job}/interactions",
    "/v1/jobs/{job}/report", "/v1/jobs/{job}/report/response.svg", "/v1/jobs/{job}/export?format=torchdistill",
    "/v1/jobs/{job}/export?format=mdistiller", "/v1/jobs/{job}/trials/0", "/v1/studies/{study}",
    "/v1/studies/{study}/guidance",
)  # fmt: skip


@pytest.fixture
def asking(settings: Settings, db: Database) -> Iterator[tuple[httpx.Client, str]]:
    """A service with a study besides, and the study's id."""
    base = server_fixtures.document()
    del base["name"]
    spec = parse_study(json.dumps({"name": "s", "base": base, "factors": {"training.epochs": [2, 3]}}), "json")
    study = submit_study(db, spec, server_fixtures.LOCAL)[0]
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client, study.id


EACH = [(table, column) for table, columns in COLUMNS.items() for column in columns]


@pytest.mark.parametrize(("table", "column"), EACH)
def test_no_stored_junk_fails_an_answer_over_many_rows(
    asking: tuple[httpx.Client, str], db: Database, jobs: Jobs, table: str, column: str
) -> None:
    check(asking, db, jobs, table, column, EACH.index((table, column)) % len(JUNK))


@pytest.mark.slow
@pytest.mark.parametrize(("table", "column"), EACH)
def test_none_of_all_stored_junk_does(
    asking: tuple[httpx.Client, str], db: Database, jobs: Jobs, table: str, column: str
) -> None:
    for shift in range(len(JUNK)):
        check(asking, db, jobs, table, column, shift)


def check(asking: tuple[httpx.Client, str], db: Database, jobs: Jobs, table: str, column: str, shift: int) -> None:
    """With other junk in each row of a column, the answered job's the one at `shift`."""
    client, study = asking
    with db.write() as connection:
        before = connection.execute(text(f"SELECT rowid, {column} FROM {table}")).all()
        for place, (rowid, _) in enumerate(before):
            junk = {"junk": JUNK[(place + shift) % len(JUNK)], "rowid": rowid}
            connection.execute(text(f"UPDATE {table} SET {column} = :junk WHERE rowid = :rowid"), junk)
    for path in MANY + ONE:
        answer = client.get(path.format(job=jobs.completed.id, study=study))
        assert answer.status_code < 500, (shift, path, answer.text[:500])
        assert path in ONE or answer.status_code == 200, (shift, path, answer.text[:500])
    with db.write() as connection:
        for rowid, value in before:
            restored = text(f"UPDATE {table} SET {column} = :value WHERE rowid = :rowid")
            connection.execute(restored, {"value": value, "rowid": rowid})


def nulled(db: Database, job_id: str, kind: str) -> None:
    """Stores what an interval with infinite ends was once stored as."""
    with db.write() as connection:
        found = {"job": job_id, "kind": kind}
        of_kind = "FROM tw_analyses WHERE job_id = :job AND kind = :kind"
        kept = connection.execute(text(f"SELECT document {of_kind}"), found).scalar_one()
        document: dict[str, Any] = json.loads(kept)
        document["winner"]["validation"]["interval"] = {"low": None, "high": None, "confidence": 1.0}
        change = text("UPDATE tw_analyses SET document = :document WHERE job_id = :job AND kind = :kind")
        connection.execute(change, found | {"document": json.dumps(document)})


def test_an_answer_with_an_interval_of_nulls_is_a_problem_of_its_own_and_counted_once(
    asking: tuple[httpx.Client, str], db: Database, jobs: Jobs
) -> None:
    client, job = asking[0], jobs.completed.id
    nulled(db, job, "result")
    for _ in range(2):
        refused = client.get(f"/v1/jobs/{job}/result")
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unreadable")
        assert f"the result of job {job}" in refused.json()["detail"]
        assert "winner.validation.interval.low" in refused.json()["detail"]
    before = count_unreadable()
    assert client.get(f"/v1/jobs/{job}/report").status_code == 409
    listed = client.get("/v1/jobs")
    assert (listed.status_code, len(listed.json()["items"])) == (200, 6)
    assert client.get("/jobs").status_code == 200
    assert client.get("/v1/advice?data=digits").status_code == 200
    assert count_unreadable() == before, "said once"
    assert f"thermowell_unreadable_records {float(before)}" in client.get("/metrics").text


def test_a_job_whose_spec_cannot_be_read_is_listed_as_such(
    asking: tuple[httpx.Client, str], db: Database, jobs: Jobs
) -> None:
    client, job = asking[0], jobs.completed.id
    with db.write() as connection:
        connection.execute(text('UPDATE tw_jobs SET spec = \'{"name": "x"}\' WHERE id = :job'), {"job": job})
    by_id = {item["id"]: item for item in client.get("/v1/jobs").json()["items"]}
    assert f"the spec of job {job}" in by_id[job]["unreadable"]
    assert {item["unreadable"] for item in by_id.values() if item["id"] != job} == {None}
    assert by_id[job]["state"] == "completed"
    assert client.get(f"/v1/jobs/{job}/result").status_code == 200, "its answer can be read all the same"
