"""Jobs over HTTP: submit, list, read, and every move that a user may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from search.records import Job, Principal
from search.requests import jobs as job_requests
from search.requests.advice import Priors
from search.requests.jobs import cancel_job, open_test, pause_job, resume_job, stop_job
from search.spec.parsing import parse_spec
from search.states import JobState
from search.storage.db import Database
from service.auth import Reader, Submitter
from service.errors import problems
from service.routes.submitting import (
    REFUSALS,
    IdempotencyKey,
    beside_plugins,
    body_of,
    location_of,
    media_of,
    replay_of,
    say_where,
)
from service.routes.turns import Turns
from service.schemas import Cursor, ExtendRequest, JobDetailOut, JobId, JobOut, JobPage, ShareRequest

LABEL = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}=[^\x00-\x1f]{0,200}$"
SPEC_BODY = body_of("JobSpec", "A job spec. `GET /v1/spec/default` is one to start from, with comments.")
# Where to go from a job in an answer's body, as OpenAPI says it: what tools follow that try the API out.
FROM_JOB: dict[str, Any] = {
    name: {"operationId": operation, "parameters": {"job_id": "$response.body#/id"}}
    for name, operation in (
        ("job", "getJob"), ("trials", "listTrials"), ("events", "streamEvents"), ("result", "getResult"),
        ("cancel", "cancelJob"), ("delete", "deleteJob"),
    )
}  # fmt: skip
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def database(request: Request) -> Database:
    """The database of the application that answers."""
    db: Database = request.app.state.db
    return db


@router.post(
    "",
    operation_id="submitJob",
    status_code=201,
    response_model=JobDetailOut,
    summary="Submit a job",
    responses={
        **REFUSALS,
        201: {
            "description": "Submitted",
            "headers": location_of("the job"),
            "links": FROM_JOB,
        },
        200: {
            "description": "This Idempotency-Key was used with the same body: the job it made",
            "model": JobDetailOut,
            "links": FROM_JOB,
        },
    },
    openapi_extra=SPEC_BODY,
)
async def submit(
    request: Request,
    response: Response,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> JobDetailOut:
    """Validates a spec (JSON or YAML) and queues it; workers take it from there."""
    media = media_of(request)
    body = await request.body()
    replay = replay_of(idempotency_key, body)

    turns: Turns = request.app.state.parsing
    spec = await turns.run(principal.id, beside_plugins, database(request), parse_spec, body, media)

    def work() -> tuple[Job, bool]:
        priors: Priors = request.app.state.priors
        return job_requests.submit(database(request), spec, principal, replay, priors, request.state.request_id)

    job, created = await run_in_threadpool(work)
    if spec.trainer is not None:  # who proposes is started, where it does not run yet, before somebody claims
        request.app.state.proposer.bell.ring()
    say_where(response, f"/v1/jobs/{job.id}", created)
    return JobDetailOut.of(job)


@router.get(
    "",
    operation_id="listJobs",
    response_model=JobPage,
    summary="List jobs",
    responses=problems("request-invalid", "cursor-invalid"),
)
def list_jobs(
    request: Request,
    principal: Reader,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
    name: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="only this name")] = None,
    label: Annotated[str | None, Query(pattern=LABEL, description="only jobs with this label: `key=value`")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Your own jobs, newest first; an admin sees everybody's."""
    key, _, value = (label or "").partition("=")
    page = job_requests.list_jobs(
        database(request),
        principal,
        state=state,
        label=(key, value) if label else None,
        name=name,
        cursor=cursor,
        limit=limit,
    )
    return JobPage.model_construct(items=[JobOut.of(job) for job in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{job_id}",
    operation_id="getJob",
    response_model=JobDetailOut,
    summary="Read a job",
    responses=problems("not-found", "request-invalid"),
)
def get_job(request: Request, job_id: JobId, principal: Reader) -> JobDetailOut:
    """A job, its spec, its progress and why it failed where it did."""
    return JobDetailOut.of(job_requests.get_job(database(request), job_id, principal))


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    status_code=204,
    summary="Delete a job",
    responses=problems("not-found", "illegal-move", "request-invalid", "store-unavailable"),
)
def delete_job(request: Request, job_id: JobId, principal: Submitter) -> None:
    """Forgets a job that has ended: its trials, its studies, its answer, its files, and its Idempotency-Key.

    The request that made it makes a new job where it is sent again.
    """
    job_requests.delete_job(database(request), job_id, principal, request.app.state.files)


def _move(
    path: str,
    summary: str,
    description: str,
    act: Callable[[Database, str, Principal], Job],
    *also: str,
    operation: str | None = None,
) -> None:
    """Adds a route for one of the moves that need no more than the job's name; `also` may it be refused by."""

    def endpoint(request: Request, job_id: JobId, principal: Submitter) -> JobDetailOut:
        return JobDetailOut.of(act(database(request), job_id, principal))

    router.post(
        f"/{{job_id}}/{path}",
        operation_id=operation or f"{path}Job",
        response_model=JobDetailOut,
        summary=summary,
        description=description,
        responses={
            **problems("not-found", "illegal-move", "request-invalid", *also),
            200: {"description": "The job as it is now", "links": FROM_JOB},
        },
    )(endpoint)


_move("cancel", "Cancel a job", "Ends it now: running trials are dropped and nothing is answered.", cancel_job)
_move(
    "stop",
    "Stop the search",
    "No new trials are searched; running ones end. What there is goes on to confirmation and is answered.",
    stop_job,
)
_move(
    "pause",
    "Pause a job",
    "No new trials are handed out; running ones end. Paused time does not count against the budget. An answer that is "
    "being worked out is begun again when the job is resumed.",
    pause_job,
)
_move(
    "resume",
    "Resume a job",
    "A paused job goes on where it was, and so does one that failed for what its machines did: see `resumable`.",
    resume_job,
    "quota-exceeded",
)
_move(
    "open-test",
    "Open the sealed test part",
    "A job that decided nothing leaves its test part sealed, so that an extension is judged on fresh images. This "
    "opens it: the answer is worked out again with test figures, and an extension after that is marked as having seen "
    "them. Where it is open already, nothing changes.",
    open_test,
    operation="openTest",
)


@router.post(
    "/{job_id}/extend",
    operation_id="extendJob",
    response_model=JobDetailOut,
    summary="Extend the budget",
    responses=problems("not-found", "illegal-move", "request-invalid", "spec-invalid", "too-large", "quota-exceeded"),
)
def extend_job(request: Request, job_id: JobId, principal: Submitter, budget: ExtendRequest) -> JobDetailOut:
    """Gives a job new, higher totals. A completed one searches on, and its later test figures are marked as seen."""
    job = job_requests.extend_job(
        database(request), job_id, principal, trials=budget.trials, epochs=budget.epochs, seconds=budget.seconds
    )
    return JobDetailOut.of(job)


@router.post(
    "/{job_id}/share",
    operation_id="shareJob",
    response_model=JobDetailOut,
    summary="Change a job's share of the workers",
    responses=problems("not-found", "illegal-move", "request-invalid", "too-large"),
)
def share_job(request: Request, job_id: JobId, principal: Submitter, share: ShareRequest) -> JobDetailOut:
    """Another priority, another cap of trials under way, or both; what is under way already goes on to its end."""
    return JobDetailOut.of(job_requests.share_job(database(request), job_id, principal, share.changes()))
