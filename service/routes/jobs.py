"""Jobs over HTTP: submit, list, read, and every move that a user may ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from search import public
from search.public import Database, Job, JobState, Principal
from service.auth import Reader, Submitter
from service.errors import MediaTypeUnsupported, problems
from service.schemas import Cursor, ExtendRequest, JobDetailOut, JobId, JobOut, JobPage, ShareRequest

MEDIA_TYPES: dict[str, Literal["json", "yaml"]] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
}
LABEL = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}=[^\x00-\x1f]{0,200}$"
JOB_SPEC = {"$ref": "#/components/schemas/JobSpec"}
SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A job spec. `GET /v1/spec/default` is one to start from, with comments.",
        "content": {media: {"schema": JOB_SPEC} for media in ("application/json", "application/yaml")},
    }
}
# Where to go from a job in an answer's body, as OpenAPI says it: what tools follow that try the API out.
FROM_JOB: dict[str, Any] = {
    name: {"operationId": operation, "parameters": {"job_id": "$response.body#/id"}}
    for name, operation in (
        ("job", "getJob"), ("trials", "listTrials"), ("events", "streamEvents"), ("result", "getResult"),
        ("cancel", "cancelJob"), ("delete", "deleteJob"),
    )
}  # fmt: skip
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def media_of(request: Request) -> Literal["json", "yaml"]:
    """How a spec in the body is written. Raises MediaTypeUnsupported."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named not in MEDIA_TYPES:
        raise MediaTypeUnsupported(f"a spec comes as one of {', '.join(MEDIA_TYPES)}; got {named or 'no content type'}")
    return MEDIA_TYPES[named]


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
        **problems("media-type-unsupported", "too-large", "spec-invalid", "idempotency-mismatch", "request-invalid"),
        **problems("quota-exceeded"),
        201: {
            "description": "Submitted",
            "headers": {"Location": {"description": "the job", "schema": {"type": "string"}}},
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
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="makes sending twice safe: the second request answers with the first one's job",
        ),
    ] = None,
) -> JobDetailOut:
    """Validates a spec (JSON or YAML) and queues it; workers take it from there."""
    media = media_of(request)
    body = await request.body()
    replay = (idempotency_key, hashlib.sha256(body).hexdigest()) if idempotency_key else None

    def work() -> tuple[Job, bool]:
        known: public.Priors = request.app.state.priors
        spec = public.parse_spec(body, media)
        return public.submit(database(request), spec, principal, replay, known, request.state.request_id)

    job, created = await run_in_threadpool(work)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if not created:
        response.status_code = 200
        response.headers["Idempotency-Replayed"] = "true"
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
    page = public.list_jobs(
        database(request),
        principal,
        state=state,
        label=(key, value) if label else None,
        name=name,
        cursor=cursor,
        limit=limit,
    )
    return JobPage(items=[JobOut.of(job) for job in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{job_id}",
    operation_id="getJob",
    response_model=JobDetailOut,
    summary="Read a job",
    responses=problems("not-found", "request-invalid"),
)
def get_job(request: Request, job_id: JobId, principal: Reader) -> JobDetailOut:
    """A job, its spec, its progress and why it failed where it did."""
    return JobDetailOut.of(public.get_job(database(request), job_id, principal))


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    status_code=204,
    summary="Delete a job",
    responses=problems("not-found", "illegal-move", "request-invalid"),
)
def delete_job(request: Request, job_id: JobId, principal: Submitter) -> None:
    """Forgets a job that has ended: its trials, its studies, its answer and its files."""
    root = request.app.state.settings.artifact_root
    public.delete_job(database(request), job_id, principal, artifact_root=root)


def _move(path: str, summary: str, description: str, act: Callable[[Database, str, Principal], Job]) -> None:
    """Adds a route for one of the moves that need no more than the job's name."""

    def endpoint(request: Request, job_id: JobId, principal: Submitter) -> JobDetailOut:
        return JobDetailOut.of(act(database(request), job_id, principal))

    router.post(
        f"/{{job_id}}/{path}",
        operation_id=f"{path}Job",
        response_model=JobDetailOut,
        summary=summary,
        description=description,
        responses={
            **problems("not-found", "illegal-move", "request-invalid"),
            200: {"description": "The job as it is now", "links": FROM_JOB},
        },
    )(endpoint)


_move("cancel", "Cancel a job", "Ends it now: running trials are dropped and nothing is answered.", public.cancel_job)
_move(
    "stop",
    "Stop the search",
    "No new trials are searched; running ones end. What there is goes on to confirmation and is answered.",
    public.stop_job,
)
_move(
    "pause",
    "Pause a job",
    "No new trials are handed out; running ones end. Paused time does not count against the budget.",
    public.pause_job,
)
_move("resume", "Resume a job", "A paused job goes on where it was.", public.resume_job)


@router.post(
    "/{job_id}/extend",
    operation_id="extendJob",
    response_model=JobDetailOut,
    summary="Extend the budget",
    responses=problems("not-found", "illegal-move", "request-invalid", "spec-invalid", "too-large", "quota-exceeded"),
)
def extend_job(request: Request, job_id: JobId, principal: Submitter, budget: ExtendRequest) -> JobDetailOut:
    """Gives a job new, higher totals. A completed one searches on, and its later test figures are marked as seen."""
    job = public.extend_job(
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
    return JobDetailOut.of(public.share_job(database(request), job_id, principal, share.changes()))
