"""A real job in Optuna Dashboard while it is under way, and at its end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from search.records import Job, Trial
from search.requests import jobs as job_requests
from search.requests.jobs import get_job, pause_job, resume_job
from search.requests.results import get_result
from search.requests.trials import iter_trials
from search.schema import migrate
from search.states import JobState, Stage, TrialState
from search.storage.db import Database, open_database
from service.settings import Settings
from tests.acceptance.test_whole_job import spec, worker
from tests.processes import Processes
from tests.service.server_fixtures import LOCAL, serving

PLOTS = {"response", "optimizers", "curves", "gains", "softness", "pareto", "seeds"}
FILES = {"README.md", "report.html", "student.json", "student.py", "student.safetensors", "test-right.npz"}
PATIENCE = 200.0


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    paths = {"data_root": tmp_path / "data", "artifact_root": tmp_path / "artifacts"}
    return Settings.model_validate({"database_url": database_url, "show_seconds": 0.5, "shutdown_seconds": 2, **paths})


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings.database_url)
    migrate(opened)
    yield opened
    opened.close()


def until(happened: Callable[[], Any]) -> Any:
    """What `happened` answers, once it is something."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.1)  # another process's commit sends no event that could be awaited here
    return answer


def study(client: httpx.Client, job: Job) -> dict[str, Any]:
    """The job's study as Optuna Dashboard's page gets it, its plots by name."""
    summaries = client.get("/api/studies").json()["study_summaries"]
    [found] = [each["study_id"] for each in summaries if each["study_name"] == f"{job.name} · {job.study_name}"]
    detail: dict[str, Any] = client.get(f"/api/studies/{found}").json()
    plots = {each["id"].removeprefix("thermowell-"): each["graph_object"] for each in detail["plotly_graph_objects"]}
    return detail | {"id": found, "plots": {name: json.loads(text) for name, text in plots.items()}}


def dots(shown: dict[str, Any]) -> int:
    """How many trials the response's plot shows."""
    traces = shown["plots"].get("response", {"data": []})["data"]
    return sum(len(trace["x"]) for trace in traces if trace.get("name", "").endswith(": trials"))


@pytest.mark.slow
def test_a_job_is_shown_while_it_runs_and_at_its_end(
    database: Database, settings: Settings, database_url: str, processes: Processes, tmp_path: Path
) -> None:
    job = job_requests.submit(database, spec(12, pruner={"name": "none"}), LOCAL)[0]

    def ended() -> list[Trial]:
        return [t for t in iter_trials(database, job.id, LOCAL) if t.state is TrialState.COMPLETED]

    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        started = worker(processes, database_url, tmp_path)
        until(lambda: len(ended()) >= 3)
        pause_job(database, job.id, LOCAL)  # so that there is time to look
        assert started.wait(PATIENCE) == 0, started.output()  # a worker like this one ends when nothing can go on
        so_far = len(ended())
        shown = until(lambda: (now := study(client, job)) and dots(now) == so_far and now)
        assert set(shown["plots"]) == PLOTS | {"interactions"}
        lines = [trace for trace in shown["plots"]["curves"]["data"] if trace["mode"] == "lines"]
        assert len(lines) == so_far
        assert "The job is paused" in shown["note"]["body"]
        assert shown["artifacts"] == []
        resume_job(database, job.id, LOCAL)
        again = worker(processes, database_url, tmp_path)
        assert again.wait(PATIENCE) == 0, again.output()
        end = get_job(database, job.id, LOCAL)
        assert end.state is JobState.COMPLETED, end.problem
        files = kept_files(database, job)
        final = until(lambda: (now := study(client, job)) and len(now["artifacts"]) == len(files) and now)
        check_end(client, database, job, final)


def kept_files(database: Database, job: Job) -> set[str]:
    """What an ended job keeps; of a test part that is sealed nothing is known."""
    return FILES - ({"test-right.npz"} if get_result(database, job.id, LOCAL).test_sealed else set())


def check_end(client: httpx.Client, database: Database, job: Job, final: dict[str, Any]) -> None:
    """Plots, note, files and the trials' attributes of the job's end, against our own tables."""
    trials = list(iter_trials(database, job.id, LOCAL))
    result = get_result(database, job.id, LOCAL)
    assert set(final["plots"]) >= PLOTS
    with_temperature = [t for t in trials if t.state is TrialState.COMPLETED and t.arm != "label_only"]
    assert dots(final) == len(with_temperature)
    gains = [x for each in final["plots"]["gains"]["data"] if each.get("name") == "validation" for x in each["x"]]
    told = [100 * (gain.mean or 0.0) for gain in result.gains if gain.mean is not None]
    assert gains == pytest.approx(told, rel=1e-4)
    note = re.sub(r"[\\*]", "", final["note"]["body"])  # escapes, and the verdict in bold
    assert " ".join(result.summary.split()) in " ".join(note.split())
    files = {each["filename"]: each["artifact_id"] for each in final["artifacts"]}
    assert set(files) == kept_files(database, job)
    for name, digest in files.items():
        given = client.get(f"/artifacts/{final['id']}/{digest}")
        assert given.content == client.get(f"/v1/jobs/{job.id}/artifacts/{name}").content
        assert "sandbox" in given.headers["content-security-policy"]
        assert "access-control-allow-origin" not in given.headers
    ours = {t.optuna_number: t for t in trials if t.stage is Stage.SEARCH}
    for each in final["trials"]:
        attributes = {attribute["key"]: attribute["value"] for attribute in each["user_attrs"]}
        trial = ours[each["number"]]
        expected = {"trial": trial.number, "seed": trial.seed, "epochs": trial.epoch}
        assert {name: int(attributes[name]) for name in expected} == expected
        assert attributes["stage"].strip('"') == "search"
        assert attributes["worker"].strip('"') == trial.worker_id
