"""Studies on the command line: what is printed, for people and for machines, and with which code it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from search.requests.jobs import get_job
from search.requests.results import get_result
from search.requests.studies import cancel_study, submit_study
from search.storage.db import Database
from search.studies.spec import StudySpec
from service import cli
from service.settings import Settings
from service.terminal import cli_studies, studies
from service.terminal.console import Exit
from tests.processes import Processes
from tests.service import server_fixtures
from thermowell.sync.client import Client

Run = Callable[..., click.testing.Result]


@pytest.fixture
def url(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running service, which the commands find by themselves."""
    monkeypatch.setenv("COLUMNS", "80")
    with server_fixtures.serving(settings) as address:
        monkeypatch.setenv("THERMOWELL_URL", address)
        yield address


@pytest.fixture
def run(url: str) -> Run:
    return lambda *arguments, **options: CliRunner().invoke(cli.build(), [str(part) for part in arguments], **options)


def document(**changes: Any) -> dict[str, Any]:
    """Two cells that differ in the training's length."""
    base = server_fixtures.document(budget={"trials": server_fixtures.ENOUGH})
    del base["name"]
    factors = {"training.epochs": [2, 3]}
    return {"name": "lengths", "base": base, "factors": factors, "replicates": 1} | changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    return path


def test_from_submitting_to_cancelling(run: Run, file: Path, tmp_path: Path) -> None:
    assert "no studies yet" in run("study", "list").stderr
    done = run("study", "submit", file, "--idempotency-key", "once")
    assert done.exit_code == Exit.OK
    study = done.stdout.strip()
    assert f"2 jobs. Look at it with: thermowell study show {study}" in done.stderr
    assert run("study", "submit", file, "--idempotency-key", "once").stdout.strip() == study
    assert [line.split()[:4] for line in run("study", "list").stdout.splitlines()[1:]] == [
        [study, "lengths", "2", "queued"]
    ]
    assert [one["id"] for one in json.loads(run("study", "list", "--json").stdout)["items"]] == [study]
    shown = run("study", "show", study[:8]).stdout
    assert "lengths: 2 queued" in shown
    assert [line.split() for line in shown.splitlines()[-2:]] == [["2", "queued"], ["3", "queued"]]
    assert len(json.loads(run("study", "show", study, "--json").stdout)["cells"]) == 2
    more = tmp_path / "more.yaml"
    more.write_text("replicates: 2\n")
    assert "lengths has 4 jobs, 2 of them new" in run("study", "extend", study, more).stderr
    assert len(json.loads(run("study", "extend", study, more, "--json").stdout)["cells"]) == 4
    assert run("study", "guidance", study).exit_code == Exit.NOT_READY
    assert "is cancelled" in run("study", "cancel", study).stderr
    assert json.loads(run("study", "cancel", study, "--json").stdout)["state"] == "cancelled"
    watched = run("study", "show", study, "--watch")
    assert "4 cancelled" in watched.stdout
    assert "4 cancelled, trials" in watched.stderr


def test_what_is_wrong_is_said(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump(document(factors={"training.epochs": [0]})))
    done = run("study", "submit", bad)
    assert (done.exit_code, done.stdout) == (Exit.REFUSED, "")
    assert "must be greater than or equal to 1" in done.stderr
    assert "no study has the name zz or an id that begins so" in run("study", "show", "zz").stderr
    assert run("study", "submit", tmp_path / "none.yaml").exit_code == Exit.USAGE
    assert run("study", "run", tmp_path / "none.yaml").exit_code == Exit.USAGE
    assert run("study", "show", "0" * 16).exit_code == Exit.REFUSED


def test_running_needs_torch(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_studies.importlib.util, "find_spec", lambda name: None)
    done = run("study", "run", file)
    assert done.exit_code == Exit.USAGE
    assert "pip install 'thermowell[worker]'" in done.stderr


def test_an_answered_study_is_shown_in_80_columns(run: Run, url: str, db: Database, settings: Settings) -> None:
    study, _ = submit_study(db, StudySpec.model_validate(document()), server_fixtures.LOCAL)
    cell = study.cells[0]
    job = get_job(db, cell.job_id, server_fixtures.LOCAL)
    server_fixtures.train(db, job)
    server_fixtures.close(db, settings.artifact_root, job)
    shown = run("study", "show", study.id)
    [begin] = [n for n, line in enumerate(shown.stdout.splitlines()) if line.startswith("epochs ")]
    first, second, *verdicts = shown.stdout.splitlines()[begin + 1 :]
    assert first.split()[:2] == ["2", "completed"]
    assert " to " in first
    assert second.split() == ["3", "queued"]
    verdict = get_result(db, cell.job_id, server_fixtures.LOCAL).verdict
    assert verdict is not None
    assert " ".join(verdicts).split() == ["2", *verdict.headline.split()], "what to do in each cell that was answered"
    assert max(map(len, shown.stdout.splitlines())) <= 80
    guided = run("study", "guidance", study.id)
    assert guided.exit_code == Exit.OK
    assert "What this does not cover" in guided.stdout
    assert json.loads(run("study", "guidance", study.id, "--json").stdout)["study"] == "lengths"
    cancel_study(db, study.id, server_fixtures.LOCAL)
    with Client(url) as client:
        told = client.study(study.id)
    console = Console(width=80, height=7, record=True, force_terminal=True)
    console.print(studies.page(told, 80, 7))
    drawn = console.export_text()
    assert "1 cancelled, 1 completed" in drawn
    assert "and 1 more cells" in drawn
    assert max(map(len, drawn.splitlines())) <= 80


@pytest.mark.slow
def test_a_study_from_start_to_its_table(processes: Processes, tmp_path: Path) -> None:
    small = server_fixtures.document(
        training={"epochs": 1},
        dataset={"name": "digits", "train_size": 100},
        student={"name": "mlp", "arguments": {"width": 4}},
        baselines={"share": 0},
    )
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"name": "tiny", "base": small, "factors": {"training.epochs": [1, 2]}}))
    environment = {"THERMOWELL_THREADS": "1", "COLUMNS": "80"}
    running = processes.thermowell("study", "run", file, "--dir", tmp_path / "study", "--json", env=environment)
    assert running.wait(200) == Exit.OK, running.output()
    said = running.output()
    assert "2 jobs" in said
    answer = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert [cell["state"] for cell in answer["study"]["cells"]] == ["completed"] * 2
    assert answer["guidance"]["study"] == "tiny"
    assert "<html" in (tmp_path / "study" / "guidance.html").read_text()
    teachers = list((tmp_path / "study").rglob("teachers/*"))
    assert len(teachers) == 1, "both jobs have the same teacher, which was trained once"


def test_a_study_on_a_grid_says_so_before_and_after_it_is_submitted(run: Run, url: str, tmp_path: Path) -> None:
    small = {"name": "grid", "temperatures": [1, 4], "settings": 1}
    path = tmp_path / "grid.yaml"
    base = document()["base"] | {"space": {"optimizer": {"sgd": {}}}, "budget": {"trials": 5}}
    path.write_text(yaml.safe_dump(document(base=base, trials=small)))
    checked = run("study", "check", path)
    assert "2 jobs, 8 search trials in all" in checked.stderr
    assert "Each: 4 on a grid (2 temperatures x 1 setting x 2 seeds)" in " ".join(checked.stderr.split())
    study = run("study", "submit", path).stdout.strip()
    assert "trials on a grid, the same in every cell" in run("study", "show", study).stdout
    path.write_text(yaml.safe_dump(document(base=base, trials=small | {"name": "adaptive"}, budget={"trials": 12})))
    checked = run("study", "check", path)
    assert "2 jobs, 24 search trials in all" in checked.stderr
    said = " ".join(checked.stderr.split())
    assert "Each: 8 on a grid (2 temperatures x 1 setting x 4 seeds)" in said
    assert "Then up to 8 more search trials go where they tell most" in said
    handed = run("study", "submit", path).stdout.strip()
    assert "16 of 24 are handed out" in " ".join(run("study", "show", handed).stdout.split())
    with Client(url) as client:
        told = client.study(handed)
    assert studies.trials(told) == (0, sum(cell.progress.trials_planned for cell in told.cells if cell.progress) + 8)
    console = Console(width=80, height=12, record=True, force_terminal=True)
    console.print(studies.page(told, 80, 12))
    assert "Of its search trials 16 of 24 are handed out." in console.export_text()
    run("study", "cancel", study)
    run("study", "cancel", handed)
    ended = " ".join(run("study", "show", handed).stdout.split())
    assert "16 of 24 are handed out, and the others would tell no more or have no cell to go to" in ended


def test_what_a_study_could_tell_is_said_before_it_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.analysis.study.power.SIMULATED", 1)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 16)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)

    def run(*arguments: str | Path) -> click.testing.Result:
        return CliRunner().invoke(cli.build(), [str(argument) for argument in arguments])

    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document(replicates=2)))
    told = run("study", "power", path)
    assert told.exit_code == Exit.OK
    words = " ".join(told.stdout.split())
    assert re.search(r"lengths: 4 jobs, about [\d,]+ trainings", words)
    assert re.search(r"Epochs 3 against 2 cost of T = 1 [\d.]+;.* good range ×[\d.]+", words)
    assert re.search(r"Epochs 3 against 2: \d+ repeats.* would tell", words)
    figures = json.loads(run("study", "power", path, "--json").stdout)
    assert {power["question"] for power in figures["powers"]} >= {"cost", "width"}
    refused = run("study", "power", path, "--pilot", tmp_path / "absent.json")
    assert refused.exit_code == Exit.USAGE
    assert "is no guidance" in refused.stderr
