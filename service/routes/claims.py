"""Trials for programs of others: claimed, renewed, reported, ended and given back over HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Path, Request
from starlette.concurrency import run_in_threadpool

from search.claims.measurements import OwnReport, Resume
from search.errors import ReportRefused
from search.records import Reason
from search.requests import external
from search.requests.external import Nothing, Order, Selection, TrialDoor
from search.states import TrialState
from search.storage import disk_faults
from service.auth import Submitter, Trainer
from service.errors import problems
from service.proposer import Proposer
from service.routes.jobs import database
from service.schemas import JobId, TrialNumber
from service.schemas_claims import (
    ClaimOut,
    ClaimRequest,
    ClaimsOut,
    CompleteRequest,
    EndOut,
    FailRequest,
    FileOut,
    LeaseToken,
    RenewOut,
    RenewRequest,
    ReportAnswer,
    ReportIn,
    ReportRequest,
)
from service.schemas_imports import ImportRequest
from thermowell.api.document import read_document
from thermowell.api.imports import ImportOutcome

OF_TRIAL = "/v1/jobs/{job_id}/trials/{number}"
REFUSALS = problems("not-found", "request-invalid", "report-refused", "lease-lost")
ENDS = problems("not-found", "request-invalid", "report-refused", "lease-lost", "trial-ended")
Answer = TypeVar("Answer")
router = APIRouter(tags=["training"])


@router.post(
    "/v1/claims",
    operation_id="claimTrials",
    response_model=ClaimsOut,
    summary="Claim trials to train",
    responses=problems("not-found", "illegal-move", "request-invalid", "proposer-missing"),
)
async def claim(request: Request, principal: Trainer, order_in: ClaimRequest) -> ClaimsOut:
    """The next trials of a job, a queue, a study or a command, with their configurations; or why there are none, and
    when to come again. Waits up to `wait_seconds` for one.
    """
    db, proposer = database(request), proposer_of(request)
    selection = Selection(
        order_in.job, order_in.queue, order_in.study, order_in.command, order_in.owners, order_in.code
    )
    order = Order(selection, order_in.client, order_in.lease_seconds, order_in.most, order_in.take_up)
    if order_in.job is not None or order_in.study is not None:
        await run_in_threadpool(external.check, db, principal, selection)
    until = time.monotonic() + order_in.wait_seconds
    stopping: asyncio.Event = request.app.state.stopping
    while True:
        rings = proposer.bell.count
        claims = await proposer.claim(order.document(principal))
        if claims:
            return ClaimsOut(
                claims=[ClaimOut(**document) for document in claims], done=False, retry_after=None, why=None
            )
        reason = await run_in_threadpool(external.nothing, db, principal, selection)
        remaining = until - time.monotonic()
        if reason.done or remaining <= 0 or stopping.is_set() or await request.is_disconnected():
            return _empty(reason)
        await proposer.bell.wait(min(remaining, external.SOON), rings)


@router.post(
    "/v1/leases/renew",
    operation_id="renewLeases",
    response_model=RenewOut,
    summary="Renew leases",
    responses=problems("request-invalid"),
)
async def renew(request: Request, principal: Trainer, order_in: RenewRequest) -> RenewOut:
    """Prolongs the leases of many trials at once, each by the period that its claim asked for."""
    door = await door_of(request)
    return RenewOut(leases=await run_in_threadpool(door.renew, principal, order_in.tokens))


@router.post(
    f"{OF_TRIAL}/reports",
    operation_id="reportEpochs",
    response_model=ReportAnswer,
    summary="Report epochs",
    responses=REFUSALS,
)
async def report(
    request: Request, job_id: JobId, number: TrialNumber, principal: Trainer, token: LeaseToken, body: ReportRequest
) -> ReportAnswer:
    """Writes epochs down, renews the lease and answers whether to stop."""
    resume = None if body.resume is None else Resume(body.resume.epoch, body.resume.at)
    state = await _say(
        request,
        lambda door: door.report(principal, job_id, number, token, [_own(entry) for entry in body.reports], resume),
    )
    return ReportAnswer(stop=None if state is TrialState.RUNNING else state)


@router.post(
    f"{OF_TRIAL}/complete",
    operation_id="completeTrial",
    response_model=EndOut,
    summary="Complete a trial",
    responses=ENDS,
)
async def complete(
    request: Request, job_id: JobId, number: TrialNumber, principal: Trainer, token: LeaseToken, body: CompleteRequest
) -> EndOut:
    """Ends a trial with its result; late, too, as long as nobody else has begun it."""
    result = OwnReport(body.epoch, body.metrics, body.seconds)
    state = await _say(
        request, lambda door: door.complete(principal, job_id, number, token, result, body.test, body.log_tail)
    )
    return EndOut(state=state)


@router.post(
    f"{OF_TRIAL}/fail", operation_id="failTrial", response_model=EndOut, summary="Fail a trial", responses=ENDS
)
async def fail(
    request: Request, job_id: JobId, number: TrialNumber, principal: Trainer, token: LeaseToken, body: FailRequest
) -> EndOut:
    """Ends a trial without a result."""
    reason = Reason(body.type, body.detail or body.type)
    state = await _say(request, lambda door: door.fail(principal, job_id, number, token, reason, body.log_tail))
    return EndOut(state=state)


@router.post(
    f"{OF_TRIAL}/return",
    operation_id="returnTrial",
    response_model=EndOut,
    summary="Give a trial back",
    responses=REFUSALS,
)
async def give_back(
    request: Request, job_id: JobId, number: TrialNumber, principal: Trainer, token: LeaseToken
) -> EndOut:
    """Another program goes on with it; it counts as nothing, however often."""
    return EndOut(state=await _say(request, lambda door: door.give_back(principal, job_id, number, token)))


@router.put(
    f"{OF_TRIAL}/artifacts/{{name}}",
    operation_id="putTrialArtifact",
    status_code=201,
    response_model=FileOut,
    summary="Keep a file of a trial",
    responses={**REFUSALS, **problems("too-large", "store-unavailable")},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_artifact(
    request: Request,
    job_id: JobId,
    number: TrialNumber,
    name: Annotated[str, Path(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$", description="the file's name")],
    principal: Trainer,
    token: LeaseToken,
    content_digest: Annotated[
        str | None, Header(description="RFC 9530: `sha-256=:<base64>:`; what arrived otherwise is refused")
    ] = None,
) -> FileOut:
    """Keeps a file under `trial-<number>-<name>` among the job's artifacts, in place of an earlier one."""
    db, files = database(request), request.app.state.files
    with disk_faults.scratch() as folder:
        path, digest = folder / "content", hashlib.sha256()
        with path.open("wb") as content:
            async for chunk in request.stream():
                digest.update(chunk)
                content.write(chunk)
        _check_digest(content_digest, digest.digest())
        media = request.headers.get("content-type", "application/octet-stream")[:100]
        place = (job_id, number, token)
        artifact = await run_in_threadpool(external.keep_file, db, files, principal, place, name, media, path)
    return FileOut(name=artifact.name, sha256=artifact.sha256, size=artifact.size)


@router.post(
    "/v1/jobs/{job_id}/imports",
    operation_id="importRows",
    response_model=ImportOutcome,
    summary="Import what is there already",
    responses=problems("not-found", "illegal-move", "request-invalid", "import-refused", "proposer-missing"),
)
async def import_rows(request: Request, job_id: JobId, principal: Submitter, order_in: ImportRequest) -> ImportOutcome:
    """Rows outside of the job's space are refused one by one and never clipped; the others are stored, each once,
    however often they are sent.
    """
    asker = {**asdict(principal), "scopes": sorted(principal.scopes)}
    order = {"job": job_id, **order_in.model_dump(by_alias=True)}
    answer = await proposer_of(request).import_rows({"principal": asker, "import": order})
    return read_document(ImportOutcome, {"dry_run": order_in.dry_run, **answer})


def proposer_of(request: Request) -> Proposer:
    """The process beside the application that answers."""
    proposer: Proposer = request.app.state.proposer
    return proposer


async def door_of(request: Request) -> TrialDoor:
    """The application's way to the trials' records, which is opened when it is first order_in."""
    state = request.app.state
    if state.trial_door is None:
        state.trial_door = await run_in_threadpool(external.open_door, database(request))
    door: TrialDoor = state.trial_door
    return door


async def _say(request: Request, say: Callable[[TrialDoor], TrialState]) -> TrialState:
    """What the door answers; others, who may wait for what follows, are woken by a trial's end."""
    door = await door_of(request)
    state = await run_in_threadpool(say, door)
    if state is not TrialState.RUNNING:
        proposer_of(request).bell.ring()
    return state


def _own(entry: ReportIn) -> OwnReport:
    return OwnReport(entry.epoch, entry.metrics, entry.seconds)


def _empty(reason: Nothing) -> ClaimsOut:
    return ClaimsOut(claims=[], done=reason.done, retry_after=reason.retry_after, why=reason.why)


def _check_digest(header: str | None, digest: bytes) -> None:
    """ReportRefused where a file is not what its sender sent."""
    if header is None:
        return
    digests = [part.strip() for part in header.split(",") if part.strip().lower().startswith("sha-256=")]
    if digests != [f"sha-256=:{base64.b64encode(digest).decode()}:"]:
        raise ReportRefused(
            "Content-Digest does not fit: send the file again. What arrived has "
            f"sha-256=:{base64.b64encode(digest).decode()}:"
        )
