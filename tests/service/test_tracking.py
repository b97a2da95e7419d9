"""All of a job is in MLflow, once, whoever died over it; nobody suffers where MLflow is away."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from structlog.testing import capture_logs

from search.claims.artifacts import list_artifacts
from search.requests.job_view import get_job_view
from search.requests.results import get_result
from search.requests.trials import get_trial, iter_trials
from search.storage.db import Database
from search.storage.store import open_store
from service import tracking
from service.plot_refresh import PlotRefresher
from service.settings import Settings
from tests import claimed
from tests.search import factories
from tests.service.server_fixtures import LOCAL, Jobs

# mlflow's own: it is not at the newest SQLAlchemy yet, and leaves connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tracking store of MLflow's own."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def track(db: Database, job_id: str, uri: str, note: str = "# Words") -> None:
    tracking.track(db, get_job_view(db, job_id, LOCAL), uri, note)


def runs(uri: str, job_id: str) -> tuple[Run, dict[int, Run]]:
    """The job's run, and those of its trials by their numbers."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    found = client.search_runs([experiment.experiment_id], f"tags.`{tracking.JOB_TAG}` = '{job_id}'", max_results=1000)
    (parent,) = (run for run in found if tracking.TRIAL_TAG not in run.data.tags)
    below = [run for run in found if run.info.run_id != parent.info.run_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in below} <= {parent.info.run_id}
    numbered = {int(run.data.tags[tracking.TRIAL_TAG]): run for run in below}
    assert len(numbered) == len(below)
    return parent, numbered


def test_a_job_is_there_with_its_answer_and_curves(db: Database, jobs: Jobs, uri: str) -> None:
    track(db, jobs.completed.id, uri)
    parent, below = runs(uri, jobs.completed.id)
    trained = list(iter_trials(db, jobs.completed.id, LOCAL))
    assert sorted(below) == [trial.number for trial in trained]
    result = get_result(db, jobs.completed.id, LOCAL)
    assert parent.info.run_name == "done"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["label.team"] == "vision"
    assert parent.data.tags["mlflow.note.content"] == "# Words"
    assert parent.data.params["dataset.name"] == "digits"
    assert parent.data.metrics["answer"] == result.winner.validation.mean
    assert parent.data.metrics["gain_over_t4_tuned"] == next(
        gain.mean for gain in result.gains if (gain.over, gain.variant) == ("t4", "tuned")
    )
    assert ("shortfall" in parent.data.metrics) == (result.shortfall is not None)
    one = trained[3]
    assert one.configuration is not None
    run = below[3]
    assert run.info.status == "FINISHED"
    assert float(run.data.params["temperature"]) == one.configuration["temperature"]
    assert float(run.data.params["optimizer.learning_rate"]) == one.configuration["optimizer"]["learning_rate"]
    assert run.data.metrics["value"] == one.value
    _, curve = get_trial(db, jobs.completed.id, 3, LOCAL)
    kept = MlflowClient(uri).get_metric_history(run.info.run_id, "accuracy")
    assert [(point.step, point.value) for point in kept] == [(report.epoch, report.accuracy) for report in curve]


def test_what_is_there_is_not_logged_twice_and_what_is_half_there_anew(db: Database, jobs: Jobs, uri: str) -> None:
    track(db, jobs.running.id, uri)
    parent, below = runs(uri, jobs.running.id)
    assert parent.info.status == "RUNNING"
    assert sorted(below) == [0, 1], "the third is being trained"
    client = MlflowClient(uri)
    client.delete_run(below[1].info.run_id)
    tags = {tracking.JOB_TAG: jobs.running.id, tracking.TRIAL_TAG: "1", "mlflow.parentRunId": parent.info.run_id}
    half = client.create_run(parent.info.experiment_id, tags=tags).info.run_id
    track(db, jobs.running.id, uri)
    again, then = runs(uri, jobs.running.id)
    assert again.info.run_id == parent.info.run_id
    assert then[0].info.run_id == below[0].info.run_id
    assert then[1].info.run_id not in (below[1].info.run_id, half)
    assert then[1].data.metrics == below[1].data.metrics


@pytest.mark.slow
def test_the_service_logs_by_its_setting(db: Database, settings: Settings, jobs: Jobs, uri: str) -> None:
    over = settings.model_copy(update={"mlflow_uri": uri})

    async def show_all() -> None:
        shower = PlotRefresher(db, over, open_store(over), asyncio.Event())
        while await shower.show_one():
            pass

    asyncio.run(show_all())
    assert len(runs(uri, jobs.completed.id)[1]) == len(list(iter_trials(db, jobs.completed.id, LOCAL)))
    assert len(runs(uri, jobs.running.id)[1]) == 2


def test_where_mlflow_is_away_the_plots_are_shown_and_it_is_told(
    db: Database, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        away = settings.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{taken.getsockname()[1]}"})
        with capture_logs() as said:
            assert asyncio.run(PlotRefresher(db, away, open_store(away), asyncio.Event()).show_one())
    (warning,) = (entry for entry in said if entry["log_level"] == "warning")
    assert "MLflow" in warning["event"]
    assert "refused" in warning["detail"]
    everything = (jobs.completed.id, jobs.running.id)
    assert any(list_artifacts(db, job_id, LOCAL) for job_id in everything)
    assert warning["job_id"] in everything


def test_its_address_is_in_no_representation(settings: Settings) -> None:
    assert "hunter2" not in repr(settings.model_copy(update={"mlflow_uri": "https://me:hunter2@tracking.example"}))


def test_what_programs_of_others_measure_is_logged_by_its_name(db: Database, uri: str, tmp_path: Path) -> None:
    with claimed.program(db, tmp_path / "own") as own:
        job, held = own.submit(), own.take()
        assert held is not None
        metrics = {"accuracy": 0.5, "map@5": 0.25}
        own.say(held, "reports", {"reports": [{"epoch": 1, "metrics": metrics, "seconds": 0.1}]})
        own.say(held, "complete", {"epoch": factories.EPOCHS, "metrics": metrics})
    track(db, job.id, uri)
    (run,) = runs(uri, job.id)[1].values()
    assert {name: run.data.metrics[name] for name in ("accuracy", "map_5")} == {"accuracy": 0.5, "map_5": 0.25}
    assert "ece" not in run.data.metrics
