"""Advice over HTTP, by the client, on the command line and on pages: what is known, and who may hear of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import httpx
import pytest
import yaml
from typer.testing import CliRunner

from search.errors import LiteratureInvalid
from search.requests.jobs import get_job
from search.storage.db import Database
from service import cli
from service.app import create_app
from service.settings import Settings
from service.terminal.console import Exit
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from thermowell.sync.client import Client
from trainers.registry import optimizers

Key = Callable[..., dict[str, str]]
WARM = {"budget": {"trials": 16}, "warm_start": {"mode": "literature", "share": 0.25}}


def ask(client: httpx.Client, **query: Any) -> httpx.Response:
    return client.get("/v1/advice", params=query)


class TestOverHttp:
    def test_a_setting_is_answered_with_sources_and_distances(self, reader: httpx.Client, jobs: Jobs) -> None:
        answered = ask(reader, classes=10, train_images=1000, optimizer=["sgd", "adamw"], epochs=2, data="digits")
        advice = answered.json()
        assert answered.status_code == 200
        assert advice["context"]["optimizers"] == ["sgd", "adamw"]
        assert sum(one["weight"] for one in advice["temperatures"]) == pytest.approx(1)
        temperatures = [one["temperature"] for one in advice["quantiles"]]
        assert temperatures == sorted(temperatures)
        heaviest = advice["sources"][0]
        assert (heaviest["origin"], heaviest["job_id"]) == ("history", jobs.completed.id)
        assert heaviest["distance"] == pytest.approx(sum(one["distance"] for one in heaviest["apart"]))
        weights = [one["weight"] for one in advice["sources"]]
        assert weights == sorted(weights, reverse=True)
        assert any("sharpness" in gap for gap in advice["gaps"])

    def test_nothing_need_be_known(self, reader: httpx.Client) -> None:
        advice = ask(reader, most_sources=0).json()
        assert advice["sources"] == []
        assert advice["sources_known"] > 20
        assert len(advice["temperatures"]) > 3

    def test_literature_alone(self, reader: httpx.Client) -> None:
        advice = ask(reader, mode="literature", most_sources=200).json()
        assert {source["origin"] for source in advice["sources"]} == {"literature"}

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("classes=1", "query.classes"),
            ("classes=ten", "query.classes"),
            ("classs=10", "query.classs"),
            ("epochs=0", "query.epochs"),
            ("epochs=1e999", "query.epochs"),
            ("train_images=99999999999999999999", "query.train_images"),
            ("data=%00", "query.data"),
            ("data=" + "x" * 300, "query.data"),
            ("optimizer=rprop", "query.optimizer.0"),
            ("&".join(["optimizer=sgd"] * (len(optimizers.OPTIMIZERS) + 1)), "query.optimizer"),
            ("teacher_entropy=nan", "query.teacher_entropy"),
            ("teacher_entropy=-1", "query.teacher_entropy"),
            ("teacher_entropy=3&classes=10", "query"),
            ("label_smoothing=1", "query.label_smoothing"),
            ("mode=none", "query.mode"),
            ("most_sources=201", "query.most_sources"),
        ],
    )
    def test_a_setting_that_cannot_be_says_what_is_wrong(self, reader: httpx.Client, query: str, names: str) -> None:
        refused = reader.get(f"/v1/advice?{query}")
        assert refused.status_code == 422
        problem = refused.json()
        assert problem["type"] == "/problems/request-invalid"
        assert [error["path"] for error in problem["errors"]] == [names]

    def test_others_jobs_are_nobodys_business(self, client: httpx.Client, key: Key, jobs: Jobs) -> None:
        stranger, admin = key("read"), key("admin")
        seen = client.get("/v1/advice", params={"mode": "history"}, headers=stranger)
        assert seen.json()["sources"] == []
        assert client.get("/v1/advice", headers={"Authorization": "Bearer no"}).status_code == 401
        by_admin = client.get("/v1/advice", params={"mode": "history"}, headers=admin).json()
        assert [one["job_id"] for one in by_admin["sources"]] == [jobs.completed.id]

    def test_a_job_and_its_trials_tell_who_advised_them(self, client: httpx.Client, db: Database) -> None:
        document = server_fixtures.document("warm", **WARM)
        job = client.post("/v1/jobs", json=document).json()
        assert job["advice"]["mode"] == "literature"
        assert [point["origin"] for point in job["advice"]["points"]][-1] == "space"
        server_fixtures.train(db, get_job(db, job["id"], server_fixtures.LOCAL), trials=5)
        trials = client.get(f"/v1/jobs/{job['id']}/trials").json()["items"]
        told = [trial["advice"] for trial in trials]
        points = job["advice"]["points"]
        assert [one["source"] for one in told if one] == [point["source"] for point in points]
        assert told[len(points) :] == [None] * (5 - len(points))
        assert [one["configuration"] for one in trials[: len(points)]] == [point["configuration"] for point in points]
        rows = list(csv.DictReader(client.get(f"/v1/jobs/{job['id']}/trials.csv").text.splitlines()))
        assert [bool(row["advised_by"]) for row in rows] == [one is not None for one in told]
        assert rows[0]["advised_by"].startswith("literature: ")

    def test_the_page_shows_who_advised_what_is_in_training(self, client: httpx.Client, db: Database) -> None:
        job = client.post("/v1/jobs", json=server_fixtures.document("warm", **WARM)).json()
        server_fixtures.claim_one(db, get_job(db, job["id"], server_fixtures.LOCAL))
        assert "search: literature" in client.get(f"/jobs/{job['id']}").text

    def test_a_guess_outside_of_the_space_is_refused(self, client: httpx.Client) -> None:
        points = [{"temperature": 90.0}]
        refused = client.post("/v1/jobs", json=server_fixtures.document(warm_start={"points": points}))
        assert refused.status_code == 422
        assert "warm_start.points.0.temperature must be in the space: from 1 to 40, got 90" in refused.text


class TestTheOperatorsTable:
    def test_its_rows_are_known(self, settings: Settings, tmp_path: Path) -> None:
        file = tmp_path / "ours.yaml"
        row = {"id": "ours", "source": "Our sweep", "how": "read", "kind": "sweep", "context": {}, "temperature": 7}
        file.write_text(yaml.safe_dump({"version": 1, "only": True, "rows": [row]}))
        with serving(settings.model_copy(update={"literature": file})) as url, Client(url) as client:
            advice = client.advice("literature")
        assert [source.source for source in advice.sources] == ["Our sweep"]
        assert advice.temperatures[0].temperature == 7

    def test_one_that_is_wrong_stops_the_start(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "ours.yaml"
        file.write_text("version: 2")
        with pytest.raises(LiteratureInvalid, match=r"ours\.yaml is no table"):
            create_app(settings.model_copy(update={"literature": file}))
        monkeypatch.setenv("THERMOWELL_VAR", str(settings.var))
        monkeypatch.setenv("THERMOWELL_LITERATURE", str(file))
        refused = CliRunner().invoke(cli.build(), ["serve", "--port", "0"])
        assert refused.exit_code == Exit.USAGE
        assert "is no table of the literature: version" in refused.stderr


class TestOnTheCommandLine:
    @pytest.fixture
    def run(self, reader: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Callable[..., click.testing.Result]:
        monkeypatch.setenv("THERMOWELL_URL", str(reader.base_url))
        monkeypatch.setenv("COLUMNS", "80")
        return lambda *arguments: CliRunner().invoke(cli.build(), [str(part) for part in arguments])

    @pytest.fixture
    def spec(self, tmp_path: Path) -> Path:
        file = tmp_path / "spec.yaml"
        file.write_text(yaml.safe_dump(server_fixtures.document("asked")))
        return file

    def test_a_specs_setting(self, run: Callable[..., click.testing.Result], spec: Path, jobs: Jobs) -> None:
        done = run("advice", spec, "--sources", "3")
        assert done.exit_code == Exit.OK
        assert "Advice for digits, 10 classes" in done.stdout
        assert jobs.completed.id in done.stdout
        assert "The middle is T = " in done.stdout
        assert "What this does not cover" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_options_win_and_json_is_whole(self, run: Callable[..., click.testing.Result], spec: Path) -> None:
        done = run("advice", spec, "--epochs", "500", "--from", "literature", "--json")
        advice = json.loads(done.stdout)
        assert (advice["context"]["epochs"], advice["context"]["data"]) == (500, "digits")
        assert advice["mode"] == "literature"

    def test_of_a_training_of_ones_own_there_is_own_history_only(
        self, run: Callable[..., click.testing.Result], tmp_path: Path
    ) -> None:
        file = tmp_path / "own.yaml"
        file.write_text("name: own\ntrainer: {external: {queue: words}}\nspace: {optimizer: null}\n")
        shown = run("advice", file)
        assert shown.exit_code == Exit.OK, shown.output
        words = " ".join(shown.stdout.split())
        assert "Advice for trainings of words" in words
        assert "Own history only: your own finished jobs of this queue or command." in words
        advice = json.loads(run("advice", "--queue", "words", "--json").stdout)
        assert (advice["sources"], advice["context"]) == ([], {"program": "words"})

    def test_what_is_refused_says_why(self, run: Callable[..., click.testing.Result], tmp_path: Path) -> None:
        assert run("advice", "--classes", "1").exit_code == Exit.REFUSED
        file = tmp_path / "wrong.yaml"
        file.write_text("name: [")
        assert run("advice", file).exit_code == Exit.REFUSED
        assert run("advice", tmp_path / "none.yaml").exit_code == Exit.USAGE


def test_a_checked_spec_hears_where_to_begin(reader: httpx.Client) -> None:
    form = reader.get("/jobs/new").text
    token = form.split('name="form_token" value="')[1].split('"')[0]
    data = {"spec": yaml.safe_dump(server_fixtures.document("asked")), "then": "check", "form_token": token}
    page = reader.post("/jobs", data=data)
    assert page.status_code == 200
    assert "half of what is known lies from T = " in page.text
