"""Jobs in MLflow, for those who keep all their experiments there: a run for each job, and one below it for each trial.

Off unless THERMOWELL_MLFLOW_URI says where, and then done by the program that draws (see service.drawing): a worker
waits for nobody's tracking server. Runs are found again by their tags, so that what was logged before is not logged
twice, whoever died in between. Needs `pip install 'thermowell[mlflow]'`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from search import units
from search.records import Principal, Report, Trial
from search.requests.job_view import JobView
from search.requests.trials import get_trial
from search.states import JobState, TrialState
from search.storage.db import Database
from thermowell.api.answers import Result

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "thermowell"
JOB_TAG, TRIAL_TAG, STATE_TAG = "thermowell.job", "thermowell.trial", "thermowell.state"
VERDICT_TAG = "thermowell.verdict"
MOST_METRICS, MOST_PARAMS, LONGEST = 1000, 100, 5000
"""MLflow takes no more in one request, and no longer text in a tag."""
CURVES = ("accuracy", "nll", "ece", "teacher_agreement", "teacher_entropy", "train_loss", "learning_rate")
ENDS = {TrialState.COMPLETED: "FINISHED", TrialState.PRUNED: "FINISHED", TrialState.CANCELLED: "KILLED"}
JOB_ENDS = {JobState.COMPLETED: "FINISHED", JobState.CANCELLED: "KILLED", JobState.FAILED: "FAILED"}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def track(db: Database, job_view: JobView, uri: str, note: str) -> None:
    """Logs what MLflow does not know yet of a job and of its trials that have ended; `note` is Markdown.

    ImportError without the extra; MlflowException and OSError where the tracking server fails.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment_record = client.get_experiment_by_name(EXPERIMENT)
    experiment: str = (
        client.create_experiment(EXPERIMENT) if experiment_record is None else experiment_record.experiment_id
    )
    run_ids = _runs(client, experiment, job_view.job.id)
    parent = run_ids.pop(None, None) or _begin(client, experiment, job_view)
    ours = Principal("", "tracking", frozenset({"admin"}))
    for trial in job_view.trials:
        if trial.ended_at is not None and run_ids.get(trial.number) is None:
            _, curve = get_trial(db, job_view.job.id, trial.number, ours)
            _log_trial(client, experiment, parent, job_view, trial, curve)
    _log_job(client, parent, job_view, note)


def _runs(client: MlflowClient, experiment: str, job_id: str) -> dict[int | None, str]:
    """The runs of a job that are whole, by trial number; the job's own is under None."""
    runs: dict[int | None, str] = {}
    token = None
    while True:
        page = client.search_runs([experiment], f"tags.`{JOB_TAG}` = '{job_id}'", max_results=1000, page_token=token)
        for run in page:
            number = run.data.tags.get(TRIAL_TAG)
            if number is None:
                runs[None] = run.info.run_id
            elif run.info.end_time is None:
                client.delete_run(run.info.run_id)  # whoever logged it died over it
            else:
                runs[int(number)] = run.info.run_id
        token = page.token
        if not token:
            return runs


def _begin(client: MlflowClient, experiment: str, job_view: JobView) -> str:
    job = job_view.job
    tags = {JOB_TAG: job.id} | {f"label.{name}": value for name, value in job.labels.items()}
    run = client.create_run(experiment, _ms(job.created_at), tags, run_name=job.name)
    _log(client, run.info.run_id, params=_flat(job.spec))
    run_id: str = run.info.run_id
    return run_id


def _log_job(client: MlflowClient, run_id: str, job_view: JobView, note: str) -> None:
    """The job's words and, where there is one, its answer; its run ends with it, or goes on where it is extended."""
    job, result = job_view.job, job_view.result
    client.set_tag(run_id, STATE_TAG, job.state.value)
    client.set_tag(run_id, "mlflow.note.content", note[:LONGEST])
    best, finished = job.progress.best_value, job.progress.search_done
    if best is not None:
        client.log_metric(run_id, "best_value_one_seed", best, _ms(job.updated_at), finished)
    if result is not None:
        headline, action = units.first_lines(result.verdict, result.summary)
        client.set_tag(run_id, VERDICT_TAG, "none" if result.verdict is None else result.verdict.kind)
        client.set_tag(run_id, f"{VERDICT_TAG}.sentence", f"{headline} {action}"[:LONGEST])
    if job_view.final and result is not None:
        for name, value in _answer(result).items():
            client.log_metric(run_id, name, value, _ms(job.updated_at))
    if job.state in JOB_ENDS and job.ended_at is not None:
        client.set_terminated(run_id, JOB_ENDS[job.state], _ms(job.ended_at))
    else:
        client.update_run(run_id, "RUNNING")


def _log_trial(
    client: MlflowClient, experiment: str, parent: str, job_view: JobView, trial: Trial, curve: Sequence[Report]
) -> None:
    from mlflow.entities import Metric

    start_time, end_time = trial.started_at or trial.created_at, trial.ended_at or trial.created_at
    tags = {
        JOB_TAG: job_view.job.id,
        TRIAL_TAG: str(trial.number),
        STATE_TAG: trial.state.value,
        "mlflow.parentRunId": parent,
    }
    if trial.reason is not None:
        tags["thermowell.reason"] = trial.reason.detail[:LONGEST]
    run_id: str = client.create_run(experiment, _ms(start_time), tags, run_name=f"trial {trial.number}").info.run_id
    seconds = _seconds(start_time, curve)
    metrics = [
        Metric(name, value, _ms(start_time) + round(1000 * offset), report.epoch)
        for report, offset in zip(curve, seconds, strict=True)
        for name, value in _measures(report).items()
    ]
    tested = {f"test_{_name(name)}": value for name, value in (trial.test_metrics or {}).items()}
    measured = {"value": trial.value} | tested
    metrics += [
        Metric(name, value, _ms(end_time), trial.epoch) for name, value in measured.items() if value is not None
    ]
    about = {"stage": trial.stage.value, "arm": trial.arm.value, "variant": trial.variant, "seed": trial.seed}
    _log(client, run_id, _flat(about) | _flat(trial.configuration or {}), metrics)
    client.set_terminated(run_id, ENDS.get(trial.state, "FAILED"), _ms(end_time))


def _measures(report: Report) -> dict[str, float]:
    """What an epoch has measured, whatever its name."""
    further = {_name(name): value for name, value in (report.metrics or {}).items()}
    values: dict[str, float | None] = further | {name: getattr(report, name) for name in CURVES}
    return {name: value for name, value in values.items() if value is not None}


def _name(metric: str) -> str:
    """A metric's name as MLflow takes it."""
    return re.sub(r"[^\w. -]", "_", metric)


def _log(client: MlflowClient, run_id: str, params: Mapping[str, str], metrics: Sequence[Any] = ()) -> None:
    from mlflow.entities import Param

    parameters = [Param(name, value) for name, value in params.items()]
    for first in range(0, len(parameters), MOST_PARAMS):
        client.log_batch(run_id, params=parameters[first : first + MOST_PARAMS])
    for first in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + MOST_METRICS])


def _answer(result: Result) -> dict[str, float]:
    """The winner's estimate, its gains with their intervals' ends, and how far it may be behind the space's best."""
    figures: dict[str, float | None] = {"answer": result.winner.validation.mean}
    if (interval := result.winner.validation.interval) is not None:
        figures |= {"answer_low": interval.low, "answer_high": interval.high}
    for name, estimate in (result.winner.test or {}).items():
        figures[f"answer_test_{_name(name)}"] = estimate.mean
    if (behind := result.shortfall) is not None:
        figures |= {"chance_within_delta": behind.chance_within_delta}
        figures |= {"shortfall": behind.expected, "shortfall_high": behind.upper}
    if (verdict := result.verdict) is not None:
        figures |= {"recommended_temperature": verdict.temperature}
        figures |= {"recommended": verdict.validation.mean if verdict.validation is not None else None}
        if verdict.gain is not None:
            figures |= {"recommended_gain": verdict.gain.mean, "recommended_gain_chance": verdict.gain.chance}
    figures |= {"teacher_accuracy": units.taught(result.teacher).get("accuracy")}
    for gain in result.gains:
        name = f"gain_over_{gain.over}_{gain.variant}"
        figures[name] = gain.mean
        if gain.interval is not None:
            figures |= {f"{name}_low": gain.interval.low, f"{name}_high": gain.interval.high}
    return {name: value for name, value in figures.items() if value is not None}


def _seconds(start_time: datetime, curve: Sequence[Report]) -> list[float]:
    """When each epoch ended, from the trial's start: epochs carry only how long they took."""
    ends, offset = [], 0.0
    for report in curve:
        offset += report.seconds
        ends.append(offset)
    return ends


def _flat(document: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """A document's leaves by their dotted paths, as text; absent ones are left out."""
    flat: dict[str, str] = {}
    for name, value in document.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}.")
        elif value is not None:
            flat[path] = str(value)[:LONGEST]
    return flat


def _ms(time: datetime) -> int:
    return round(1000 * time.timestamp())
