"""Trials over HTTP: paged and sortable, one with its learning curve, all of them as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from search.records import Trial
from search.requests import trials as trial_requests
from search.requests.jobs import get_job
from search.requests.trials import iter_trials, metric_names
from search.states import Arm, Stage, TrialState
from service.auth import Reader
from service.errors import problems
from service.routes.jobs import database
from service.schemas import Cursor, JobId, TrialNumber, TrialPage, sent
from thermowell.api import trials as documents

METRICS = ("accuracy", "nll", "ece", "teacher_agreement", "teacher_entropy")
OPTIMIZER = ("learning_rate", "weight_decay", "momentum", "nesterov")
WEIGHTS = ("temperature", "student_temperature", "final_temperature", "kd_weight", "label_weight")
PLAIN = ("number", "stage", "arm", "variant", "round", "origin", "state", "seed", "attempt", "value", "epoch")
COLUMNS = (
    *PLAIN,
    *WEIGHTS,
    "optimizer",
    *OPTIMIZER,
    *(f"validation_{name}" for name in METRICS),
    *(f"test_{name}" for name in METRICS),
    "reason",
    "train_seconds",
    "advised_by",
)
Sort = Literal["number", "-number", "value", "-value"]
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["trials"])


@router.get(
    "/trials",
    operation_id="listTrials",
    response_model=TrialPage,
    summary="List trials",
    responses=problems("not-found", "request-invalid", "cursor-invalid"),
)
def list_trials(
    request: Request,
    job_id: JobId,
    principal: Reader,
    sort: Annotated[Sort, Query(description="`-` is descending; trials without a value come last")] = "number",
    stage: Annotated[Stage | None, Query()] = None,
    arm: Annotated[Arm | None, Query()] = None,
    state: Annotated[TrialState | None, Query()] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> TrialPage:
    """Trials of all stages. `sort=-value` puts the most accurate first; for NLL and ECE `sort=value` is the best."""
    page = trial_requests.list_trials(
        database(request),
        job_id,
        principal,
        sort=sort,
        stage=stage,
        arm=arm,
        state=state,
        cursor=cursor,
        limit=limit,
    )
    return TrialPage.model_construct(
        items=[sent(documents.Trial, trial) for trial in page.items], next_cursor=page.next_cursor
    )


@router.get(
    "/trials/{number}",
    operation_id="getTrial",
    response_model=documents.TrialDetail,
    summary="Read a trial and its learning curve",
    responses=problems("not-found", "request-invalid"),
)
def get_trial(request: Request, job_id: JobId, number: TrialNumber, principal: Reader) -> documents.TrialDetail:
    """One trial with what it reported after each epoch."""
    trial, reports = trial_requests.get_trial(database(request), job_id, number, principal)
    return sent(documents.TrialDetail, trial, curve=reports)


@router.get(
    "/trials.csv",
    operation_id="getTrialsCsv",
    response_class=StreamingResponse,
    summary="All trials as CSV",
    responses={
        **problems("not-found", "request-invalid"),
        200: {"description": "One line per trial", "content": {"text/csv": {"schema": {"type": "string"}}}},
    },
)
def get_trials_csv(request: Request, job_id: JobId, principal: Reader) -> StreamingResponse:
    """Every trial of the job, in the order of their numbers, with a header line."""
    db = database(request)
    job = get_job(db, job_id, principal)  # refuses before the first byte is sent
    accuracy = ((job.teacher or {}).get("validation") or {}).get("accuracy")
    space = job.spec.get("space") if isinstance(job.spec, dict) else None
    names = list((space or {}).get("parameters") or {})
    lines: Iterator[str] = iter(())
    if request.method == "GET":
        further = [name for name in metric_names(db, job_id, principal) if name not in METRICS]
        lines = csv_lines(iter_trials(db, job_id, principal), accuracy, names, further)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}-trials.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


def csv_lines(
    trials: Iterator[Trial],
    teacher_accuracy: float | None = None,
    parameters: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Iterator[str]:
    """A header line and one line per trial (RFC 4180), each with the teacher's accuracy on validation at its end,
    from where it was imported, if it was, and then, as `parameter_NAME`, the named parameters of the job's space, and
    the further `metrics`, as `validation_NAME` and `test_NAME`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    further = [f"{part}_{name}" for part in ("validation", "test") for name in metrics]
    writer.writerow([*COLUMNS, "teacher_accuracy", "imported", *(f"parameter_{name}" for name in parameters), *further])
    for trial in trials:
        values = (trial.configuration or {}).get("parameters") or {}
        measured = [(part or {}).get(name) for part in (trial.metrics, trial.test_metrics) for name in metrics]
        settings = [values.get(name) for name in parameters]
        writer.writerow([*_row(trial), teacher_accuracy, trial.imported, *settings, *measured])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()  # the header, where there are no trials yet


def _row(trial: Trial) -> list[object]:
    configuration = trial.configuration or {}
    optimizer = configuration.get("optimizer") or {}
    validation, test = trial.metrics or {}, trial.test_metrics or {}
    return [
        *(getattr(trial, name) for name in PLAIN),
        *(configuration.get(name) for name in WEIGHTS),
        optimizer.get("name"),
        *(optimizer.get(name) for name in OPTIMIZER),
        *(validation.get(name) for name in METRICS),
        *(test.get(name) for name in METRICS),
        trial.reason.type if trial.reason else None,
        trial.train_seconds,
        f"{trial.advice['origin']}: {trial.advice['source']}" if trial.advice else None,
    ]
