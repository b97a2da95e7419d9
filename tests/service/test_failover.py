"""What clients hear while the database fails over: that it takes no writes now, and never that something broke."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from search.schema import migrate
from search.storage.db import open_database
from service.settings import Settings
from tests.postgres import Postgres
from tests.service.problems import refused
from tests.service.server_fixtures import serving
from tests.standby import Pair

SECONDS = 30.0
SPEC = """
schema_version: 1
name: first
dataset: {name: digits}
teacher: {model: {name: mlp}, training: {epochs: 2}, optimizer: {name: sgd, learning_rate: 0.05}}
student: {name: mlp}
budget: {trials: 4}
"""


def submit(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/jobs", content=SPEC, headers={"Content-Type": "application/yaml"})


def migrated(url: str) -> str:
    db = open_database(url)
    migrate(db)
    db.close()
    return url


def waits(client: httpx.Client, words: str) -> None:
    """Every write is refused as what may be tried again, readiness says why, and what is read is answered."""
    for _ in range(2):
        job = client.get("/v1/jobs").json()["items"][0]["id"]
        for answer in (
            submit(client),
            client.post(f"/v1/jobs/{job}/pause"),
            client.post("/v1/keys", json={"name": "mine", "scopes": ["read"]}),
            client.get("/readyz"),
        ):
            assert words in refused(answer, 503, "database-unavailable")["detail"]
            assert answer.headers["retry-after"]
        note = client.put("/api/studies/1/note", json={"body": "a word", "version": 1})  # Optuna Dashboard's
        assert words in refused(note, 503, "database-unavailable")["detail"]
        assert client.get("/healthz").status_code == 200
        assert client.get(f"/v1/jobs/{job}").status_code == 200


def works(client: httpx.Client) -> None:
    until = time.monotonic() + SECONDS
    while (ready := client.get("/readyz")).status_code != 200:
        assert time.monotonic() < until, ready.text
        time.sleep(0.05)  # a database that takes writes again tells nobody
    assert submit(client).status_code == 201


@pytest.mark.slow
def test_a_service_that_knows_a_standby_alone_says_that_it_cannot_write(pair: Pair, tmp_path: Path) -> None:
    database = migrated(pair.create()).split("?")[0].rsplit("/", 1)[1]
    settings = Settings(var=tmp_path, database_url=pair.primary.url(database))
    with serving(settings) as url, httpx.Client(base_url=url, timeout=SECONDS) as client:
        works(client)
        made = client.post("/api/studies", json={"study_name": "a", "directions": ["maximize"]})
        assert made.status_code == 201, made.text
        pair.fail_over(fast=True)
        client.get("/v1/jobs")  # whose connection was cut
        waits(client, "the server is a standby")
        pair.fail_over(fast=True)
        works(client)


def test_a_service_that_knows_both_goes_on(pair: Pair, tmp_path: Path) -> None:
    with (
        serving(Settings(var=tmp_path, database_url=migrated(pair.create()))) as url,
        httpx.Client(base_url=url, timeout=SECONDS) as client,
    ):
        works(client)
        pair.promote()
        works(client)
        pair.follow()
        works(client)


@pytest.mark.parametrize("state", ["53100", "25006"])
def test_a_write_that_meets_a_fault_is_told_as_one(postgres: Postgres, tmp_path: Path, state: str) -> None:
    url = migrated(postgres.create())
    db = open_database(url)
    with db.write() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '{state}'; END $$"
        )
        for table in ("tw_jobs", "tw_alembic_version"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION fault()"
            )
    settings = Settings(var=tmp_path, database_url=url)
    with serving(settings) as address, httpx.Client(base_url=address, timeout=SECONDS) as client:
        assert "no space left" in refused(submit(client), 503, "database-unavailable")["detail"]
        assert "no space left" in refused(client.get("/readyz"), 503, "database-unavailable")["detail"]
        with db.write() as connection:
            connection.exec_driver_sql("DROP FUNCTION fault CASCADE")
        works(client)
    db.close()
    postgres.drop(url)
