"""The example of a plugin, built into a wheel and installed as anybody would, is found, checked and trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from search.claims.workers import list_workers
from search.requests import jobs
from search.settings import Settings
from search.spec.parsing import parse_spec
from search.states import JobState
from search.storage.db import open_database
from tests import distributions
from tests.search import factories
from trainers.registry import plugins

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distributions.install_example(tmp_path_factory.mktemp("example"))


@pytest.fixture
def installed(site: Path) -> Iterator[plugins.Plugins]:
    with distributions.importable(site) as load:
        yield load("thermowell-text")


@pytest.mark.slow
def test_it_is_found(installed: plugins.Plugins) -> None:
    assert not installed.errors
    kinds = {(kind, name) for kind, name in installed.records}
    assert kinds == {("dataset", "text/languages"), ("model", "text/gru"), ("model", "text/transformer")}


def test_its_job_is_a_spec() -> None:
    spec = parse_spec(distributions.EXAMPLE.joinpath("job.yaml").read_bytes(), "yaml")
    names = {name for _, name in spec.plugins()}
    assert names == {"text/languages", "text/gru", "text/transformer"}


@pytest.mark.slow
def test_its_check_finds_nothing_wrong(site: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{site}:{ROOT}"}
    command = [sys.executable, "-m", "service.cli", "plugin", "check", "thermowell-text", "--json"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr + process.stdout
    findings = json.loads(process.stdout)["findings"]
    assert len(findings) == 12
    assert all(finding["holds"] for finding in findings)


@pytest.mark.slow
def test_its_job_is_trained_in_a_loop(installed: plugins.Plugins, tmp_path: Path, sqlite_url: str) -> None:
    from search.schema import migrate
    from search.worker import process as worker

    document = yaml.safe_load(distributions.EXAMPLE.joinpath("job.yaml").read_text())
    document["teacher"]["training"]["epochs"], document["training"]["epochs"] = 4, 2
    document["dataset"]["train_size"], document["budget"] = 1000, {"trials": 4}
    document["baselines"], document["confirmation"] = {"share": 0.0}, {"level": "quick", "delta": 0.01}
    db = open_database(sqlite_url)
    migrate(db)
    try:
        job = factories.submitted(db, **document)
        settings = Settings(
            var=tmp_path, database_url=db.url, threads=1, poll_seconds=0.05, plugins="thermowell-text",
            engine="loop", lanes=4, student_programs=False,
        )  # fmt: skip
        worker.run_worker(settings, exit_when_idle=True)
        done = jobs.get_job(db, job.id, factories.ME)
        assert done.state is JobState.COMPLETED, done.problem
        assert done.teacher is not None
        assert done.teacher["validation"]["accuracy"] > 0.35, "of six languages"
        assert list_workers(db)[0].capabilities["plugin_errors"] == {}
    finally:
        db.close()
