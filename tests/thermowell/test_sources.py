"""Rows read from where other tools keep them, each by the tool itself where it is installed, and the command."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
import yaml
from typer.testing import CliRunner

from search.requests import jobs, trials
from search.storage.db import Database
from service import cli
from tests.claimed import Program, program
from tests.search.factories import ME
from thermowell import sources
from thermowell.sources import SourceUnreadable

SPACE: dict[str, Any] = {"temperature": {"low": 1, "high": 20}, "kd_weight": {"low": 0, "high": 1}, "optimizer": None}


@pytest.fixture
def own(db: Database, tmp_path: Path) -> Iterator[Program]:
    with program(db, tmp_path / "var") as one:
        yield one


def test_csv_in_the_dialects_that_people_have(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    for text in ("T,lr,ok,name\n4,1e-3,TRUE,a b\n,2,false,\n", "\ufeffT;lr;ok;name\n4;1e-3;TRUE;a b\n;2;false;\n"):
        file.write_text(text, encoding="utf-8")
        assert sources.read("csv", str(file), finished=True).rows == [
            (2, {"T": 4, "lr": 1e-3, "ok": True, "name": "a b"}),
            (3, {"lr": 2, "ok": False}),
        ]
    renamed = sources.read("csv", str(file), finished=False).renamed({"T": "temperature"})
    assert renamed.rows[0][1]["temperature"] == 4
    with pytest.raises(SourceUnreadable, match="has no column t; it has T, lr, name, ok"):
        sources.read("csv", str(file), finished=False).renamed({"t": "temperature"})


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1,2,3\n"])
def test_csv_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(text)
    with pytest.raises(SourceUnreadable):
        sources.read("csv", str(file), finished=True)
    with pytest.raises(SourceUnreadable, match="cannot read"):
        sources.read("csv", str(tmp_path / "none.csv"), finished=True)


def test_optunas_studies(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/optuna.db"
    old = optuna.create_study(study_name="kd", storage=place, direction="maximize")
    old.optimize(lambda trial: trial.suggest_float("T", 1, 20) / 20, n_trials=2)
    pending = old.ask()
    temperature = pending.suggest_float("T", 1, 20)
    done = sources.read("optuna", place, "kd", finished=True)
    assert [values["value"] for _, values in done.rows] == [values["T"] / 20 for _, values in done.rows]
    assert (len(done.rows), done.unfinished) == (2, 1)
    every = sources.read("optuna", place, "kd", finished=False)
    assert every.rows[2] == (2, {"T": temperature})
    with pytest.raises(SourceUnreadable, match=r"there is no study ab in .*; it has kd"):
        sources.read("optuna", place, "ab", finished=True)
    with pytest.raises(SourceUnreadable, match="--name STUDY"):
        sources.read("optuna", place, finished=True)


# mlflow is not at the newest SQLAlchemy yet, and leaves connections to the garbage collector
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mlflows_runs(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=place)
    experiment = client.create_experiment("kd", artifact_location=str(tmp_path / "artifacts"))
    for temperature, status in ((4.0, "FINISHED"), (8.0, "FAILED")):
        run = client.create_run(experiment).info.run_id
        client.log_param(run, "temperature", temperature)
        client.log_metric(run, "accuracy", temperature / 10)
        client.set_terminated(run, status)
    done = sources.read("mlflow", place, "kd", finished=True)
    assert (done.rows, done.unfinished) == ([(0, {"temperature": 4.0, "accuracy": 0.4})], 1)
    assert len(sources.read("mlflow", place, finished=False).rows) == 2
    with pytest.raises(SourceUnreadable, match=r"there is no experiment ab in .*; it has .*kd"):
        sources.read("mlflow", place, "ab", finished=True)


def test_wandbs_exports_and_folders(tmp_path: Path) -> None:
    export = tmp_path / "runs.jsonl"
    run = {"state": "finished", "config": {"kd": {"T": 4}, "_wandb": 1}, "summary": {"accuracy": 0.5, "_step": 3}}
    export.write_text(json.dumps(run) + "\n" + json.dumps(run | {"state": "crashed"}) + "\n")
    read = sources.read("wandb", str(export), finished=True)
    assert (read.rows, read.unfinished) == ([(0, {"accuracy": 0.5, "kd.T": 4})], 1)
    table = tmp_path / "export.csv"
    table.write_text("Name,State,T,accuracy\na,finished,4,0.5\nb,crashed,5,\n")
    assert sources.read("wandb", str(table), finished=True).rows[0][1]["T"] == 4
    files = tmp_path / "wandb" / "run-20260101_000000-ab" / "files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text(yaml.safe_dump({"_wandb": {"value": {}}, "T": {"desc": None, "value": 4.5}}))
    (files / "wandb-summary.json").write_text(json.dumps({"accuracy": 0.25, "_runtime": 9}))
    assert sources.read("wandb", str(tmp_path / "wandb"), finished=True).rows == [(0, {"accuracy": 0.25, "T": 4.5})]
    export.write_text('{"loss": 1}\n')
    with pytest.raises(SourceUnreadable, match="with its config and its summary"):
        sources.read("wandb", str(export), finished=True)


def test_wandbs_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in with the shape that its documentation has: nothing here speaks to their network."""

    class Summary(dict[str, Any]):
        @property
        def _json_dict(self) -> dict[str, Any]:
            return {"accuracy": 0.5, "_step": 9}

    class Run:
        state, config, summary = "finished", {"T": 4, "nested": {"lr": 1e-3}}, Summary()

    class Api:
        def runs(self, path: str, order: str) -> list[Run]:
            if path != "me/kd":
                raise ValueError(f"Could not find project {path}")
            assert order == "+created_at"
            return [Run()]

    package = types.ModuleType("wandb")
    package.Api = Api  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", package)
    assert sources.read("wandb", "me/kd", finished=True).rows == [(0, {"accuracy": 0.5, "T": 4, "nested.lr": 1e-3})]
    with pytest.raises(SourceUnreadable, match="Could not find project me/none"):
        sources.read("wandb", "me/none", finished=True)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SourceUnreadable, match="pip install wandb"):
        sources.read("wandb", "me/kd", finished=True)


def command(own: Program, *arguments: str) -> Any:
    url = str(own.client.base_url)
    return CliRunner().invoke(cli.build(), ["import", *arguments, "--url", url], env={"COLUMNS": "200"})


def test_the_command_from_a_dry_run_to_the_sampler(own: Program, tmp_path: Path) -> None:
    job = own.submit(space=SPACE)
    file = tmp_path / "runs.csv"
    file.write_text("T,kd_weight,accuracy,gpu\n4,0.5,0.8,0\n40,0.5,0.7,1\n")
    given = ("csv", str(file), "--job", job.id, "--as", "trials")
    first = command(own, *given)
    assert first.exit_code == 1
    assert "temperature" in first.stdout
    assert "--map T=temperature" in " ".join((first.stdout + first.stderr).split())
    dry = command(own, *given, "--map", "T=temperature", "--dry-run")
    assert dry.exit_code == 1
    assert "1 trials would be imported, 1 rows refused" in dry.stderr
    assert "Column gpu is none of the job's" in dry.stderr
    assert "from 1 to 20" in dry.stdout
    assert jobs.get_job(own.db, job.id, ME).progress.trials_done == 0
    assert "1 trials were imported" in command(own, *given, "--map", "T=temperature").stderr
    again = command(own, *given, "--map", "T=temperature", "--json")
    assert (json.loads(again.stdout)["taken"], json.loads(again.stdout)["known"]) == (0, 1)
    [trial] = trials.iter_trials(own.db, job.id, ME)
    assert (trial.imported, trial.value) == ("runs.csv, row 2", 0.8)
    assert command(own, *given, "--map", "T").exit_code == 2
    assert command(own, "csv", str(tmp_path / "none.csv"), *given[2:]).exit_code == 2


def test_points_of_an_optuna_study_by_command(own: Program, tmp_path: Path) -> None:
    job = own.submit(space=SPACE)
    place = f"sqlite:///{tmp_path}/optuna.db"
    old = optuna.create_study(study_name="kd", storage=place)
    for temperature in (3.5, 4.5):
        old.enqueue_trial({"temperature": temperature, "kd_weight": 0.25})
    done = command(own, "optuna", place, "--name", "kd", "--job", job.id, "--as", "points")
    assert done.exit_code == 1  # trials that were never asked for have no parameters yet
    old.optimize(lambda trial: trial.suggest_float("temperature", 1, 20) + trial.suggest_float("kd_weight", 0, 1), 2)
    done = command(own, "optuna", place, "--name", "kd", "--job", job.id, "--as", "points")
    assert done.exit_code == 0, done.stderr
    held = own.take()
    assert held is not None
    assert held.configuration is not None
    assert held.configuration["temperature"] == 3.5
