"""A job's share, a key's quota and a request's name: over HTTP, by the client and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner

from search.records import Quota
from search.requests.keys import create_key, get_key
from search.storage.db import Database
from service import cli
from service.settings import Settings
from service.terminal.console import Exit
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs
from thermowell.sync.client import Client

Key = Callable[..., dict[str, str]]


def test_a_quota_that_is_used_up_says_so_and_how_to_go_on(client: httpx.Client, db: Database) -> None:
    key, secret = create_key(db, "small", frozenset({"submit", "read"}), Quota(jobs=1, trials=10))
    header = {"Authorization": f"Bearer {secret}"}
    assert client.post("/v1/jobs", json=server_fixtures.document("one"), headers=header).status_code == 201
    refused = client.post("/v1/jobs", json=server_fixtures.document("two"), headers=header)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/quota-exceeded")
    assert f"thermowell keys quota {key.id} --jobs N" in refused.json()["detail"]
    me = client.get("/v1/me", headers=header).json()
    assert me["quota"] == {"jobs": 1, "trials": 10, "parallel": None}
    assert me["used"] == {"jobs": 1, "trials": 4, "parallel": 0}


def test_a_new_key_has_the_usual_quota_unless_it_is_given_one(settings: Settings, key: Key) -> None:
    usual = settings.model_copy(update={"key_jobs": 2, "key_trials": 500})
    with server_fixtures.serving(usual) as url, httpx.Client(base_url=url, headers=key("admin")) as client:
        for given, expected in (
            ({}, [2, 500, None]),
            ({"quota": {"trials": 90, "parallel": 4}}, [2, 90, 4]),
            ({"quota": {"jobs": None}}, [None, 500, None]),
        ):
            made = client.post("/v1/keys", json={"name": "ci", "scopes": ["submit"], **given}).json()
            assert list(made["quota"].values()) == expected


def test_an_admin_gives_quotas(client: httpx.Client, key: Key, db: Database) -> None:
    admin = key("admin")
    made = client.post(
        "/v1/keys", json={"name": "ci", "scopes": ["submit"], "quota": {"parallel": 4}}, headers=admin
    ).json()
    assert made["quota"] == {"jobs": None, "trials": None, "parallel": 4}
    changed = client.put(f"/v1/keys/{made['id']}/quota", json={"jobs": 2}, headers=admin)
    assert changed.json()["quota"] == {"jobs": 2, "trials": None, "parallel": None}
    assert client.put("/v1/keys/ffff/quota", json={}, headers=admin).status_code == 404
    wrong = client.put(f"/v1/keys/{made['id']}/quota", json={"jobs": 0}, headers=admin)
    assert wrong.status_code == 422
    header = {"Authorization": f"Bearer {made['secret']}"}
    assert client.put(f"/v1/keys/{made['id']}/quota", json={}, headers=header).status_code == 403


def test_a_share_is_changed(client: httpx.Client, jobs: Jobs) -> None:
    with Client(str(client.base_url)) as thermowell:
        changed = thermowell.share(jobs.queued, priority=30, parallel=2)  # type: ignore[arg-type]
        assert (changed.priority, changed.parallel) == (30, 2)
        assert thermowell.share(changed, parallel="no cap").parallel is None
    for wrong in ({}, {"priority": None}, {"priority": 101}, {"parallel": 0}, {"prio": 3}):
        assert client.post(f"/v1/jobs/{jobs.queued.id}/share", json=wrong).status_code == 422
    lower = client.post(f"/v1/jobs/{jobs.queued.id}/extend", json={"trials": 1}).json()
    assert (lower["type"], lower["title"]) == ("/problems/spec-invalid", "The new budget was refused")
    ended = client.post(f"/v1/jobs/{jobs.completed.id}/share", json={"priority": 3})
    assert (ended.status_code, ended.json()["type"]) == (409, "/problems/illegal-move")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ci-4711", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("two words", False),
        ("../../etc", False),
        ('{"level":"error"}', False),
        ("", False),
    ],
)
def test_a_request_keeps_its_name_or_gets_one(reader: httpx.Client, given: str, kept: bool) -> None:
    name = reader.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert (name == given) is kept
    assert name.isascii()
    assert name


def test_a_job_carries_the_name_of_its_request(client: httpx.Client) -> None:
    answered = client.post("/v1/jobs", json=server_fixtures.document("named"), headers={"X-Request-ID": "ci-4711"})
    assert answered.headers["X-Request-ID"] == answered.json()["request_id"] == "ci-4711"


def test_the_command_line_shares_and_limits(
    settings: Settings, client: httpx.Client, jobs: Jobs, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERMOWELL_URL", str(client.base_url))
    monkeypatch.setenv("THERMOWELL_VAR", str(settings.var))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.build(), list(arguments))
        return done.exit_code, done.stdout

    code, said = run("share", jobs.queued.id, "--priority", "20", "--json")
    assert (code, json.loads(said)["priority"]) == (Exit.OK, 20)
    assert run("share", jobs.queued.id)[0] == Exit.USAGE
    assert run("share", jobs.queued.id, "--parallel", "2", "--no-cap")[0] == Exit.USAGE
    key, _ = create_key(db, "ci", frozenset({"submit"}))
    assert run("keys", "quota", key.id, "--jobs", "3") == (
        Exit.OK,
        "jobs      0 of 3\ntrials    0 of any number\nparallel  0 of any number\n",
    )
    assert get_key(db, key.id).quota == Quota(jobs=3)
    assert json.loads(run("keys", "quota", key.id, "--unlimited", "--json")[1])["quota"]["jobs"] is None
    assert run("keys", "quota", key.id, "--jobs", "0")[0] == Exit.USAGE
