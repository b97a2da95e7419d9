"""Warnings of a spec, over HTTP, by the client, on the command line, on the pages; and what a worker publishes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from search.claims.workers import worker_seen
from search.storage.db import Database
from service import cli
from service.terminal.console import Exit
from tests.service import server_fixtures
from thermowell.errors import Invalid
from thermowell.sync.client import Client
from trainers.inventory import MOST_PATHS, inventory

LARGE = {"training": {"epochs": 2, "batch_size": 60_000}}


def alive(db: Database) -> None:
    capabilities = {"device": "cpu", "memory_gb": 8.0, "data": {"sets": ["digits"], "paths": [], "complete": True}}
    worker_seen(db, "w", host="here", pid=1, lanes=1, capabilities=capabilities, labels=("cpu",))


def types(answer: httpx.Response) -> list[str]:
    return [one["type"] for one in answer.json()["preflight"]["warnings"]]


def test_no_warning_keeps_a_job_from_being_submitted(client: httpx.Client, db: Database) -> None:
    alive(db)
    document = server_fixtures.document("far", dataset={"name": "CIFAR10"}, **LARGE)
    submitted = client.post("/v1/jobs", json=document, headers={"Idempotency-Key": "once"})
    assert submitted.status_code == 201
    assert types(submitted) == ["data-missing", "batch-too-large"]
    again = client.post("/v1/jobs", json=document, headers={"Idempotency-Key": "once"})
    assert (again.status_code, types(again)) == (200, types(submitted))
    assert types(client.get(f"/v1/jobs/{submitted.json()['id']}")) == types(submitted)
    assert types(client.post("/v1/spec/validate", json=document)) == types(submitted)
    page = client.get(f"/jobs/{submitted.json()['id']}").text
    assert "thermowell data fetch CIFAR10" in page
    assert "trainings in all" in page


def test_the_form_that_only_checks_shows_the_warnings(client: httpx.Client, db: Database) -> None:
    alive(db)
    text = yaml.safe_dump(server_fixtures.document("large", **LARGE))
    token = client.get("/jobs/new").text.split('name="form_token" value="')[1].split('"')[0]
    page = client.post("/jobs", data={"spec": text, "then": "check", "form_token": token})
    assert "This spec can be submitted as it is." in page.text
    assert "an epoch is then a single step" in page.text


def test_the_client_asks_before_it_submits(client: httpx.Client, db: Database) -> None:
    alive(db)
    with Client(str(client.base_url)) as thermowell:
        before = len(list(thermowell.jobs()))
        found = thermowell.check(server_fixtures.document("large", **LARGE))
        assert found is not None
        assert [one.path for one in found.warnings] == ["training.batch_size"]
        with pytest.raises(Invalid) as refused:
            thermowell.check({"name": "nothing"})
        assert "dataset" in {error["path"] for error in refused.value.errors}
        assert len(list(thermowell.jobs())) == before


def test_the_command_line_warns_and_goes_on(client: httpx.Client, db: Database, tmp_path: Path) -> None:
    alive(db)
    file, url = tmp_path / "job.yaml", ["--url", str(client.base_url)]
    file.write_text(yaml.safe_dump(server_fixtures.document("large", **LARGE)))
    checked = CliRunner().invoke(cli.build(), ["spec", "check", str(file), *url])
    assert checked.exit_code == Exit.OK
    assert "Warning: training.batch_size: 60,000 is more than" in checked.stderr
    asked = json.loads(CliRunner().invoke(cli.build(), ["spec", "check", str(file), *url, "--json"]).stdout)
    assert [one["type"] for one in asked["preflight"]["warnings"]] == ["batch-too-large"]
    assert "Warning" not in CliRunner().invoke(cli.build(), ["spec", "check", str(file)]).stderr
    submitted = CliRunner().invoke(cli.build(), ["submit", str(file), *url])
    assert submitted.exit_code == Exit.OK
    assert "Warning: training.batch_size" in submitted.stderr
    assert "trainings in all" in submitted.stderr


def test_a_worker_publishes_what_lies_below_its_data_root(tmp_path: Path) -> None:
    assert inventory(tmp_path / "nowhere") == {"sets": ["digits"], "paths": [], "complete": True}
    for path in ("own.npz", "photos/cats/1.png", ".hidden/x", "cifar-10-batches-py/data_batch_1"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = inventory(tmp_path)
    assert found["sets"] == ["CIFAR10", "digits"]
    assert {"own.npz", "photos", "photos/cats"} <= set(found["paths"])
    assert not [path for path in found["paths"] if "hidden" in path or path.count("/") > 1]
    for number in range(MOST_PATHS):
        (tmp_path / f"{number}.npz").touch()
    assert (inventory(tmp_path)["complete"], len(inventory(tmp_path)["paths"])) == (False, MOST_PATHS)
