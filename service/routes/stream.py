"""A job's events as they happen: server-sent events that resume after the last one a client has seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from search.errors import DatabaseUnavailable, NotFound
from search.storage.db import Database
from search.storage.events import read_news
from service.auth import Reader
from service.errors import problems
from service.routes.access import Access, AccessEnded, Reason
from service.routes.jobs import database
from service.routes.places import stream_place
from service.schemas import JobId, sent
from service.settings import Settings
from thermowell.api.jobs import Event

BATCH = 500
RETRY_MILLISECONDS = 2000
End = Literal["job-ended", "job-deleted", "too-long", "shutdown"] | Reason
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])


def _readable(request: Request, job_id: JobId, principal: Reader) -> str:
    """The job's id; refuses before the stream begins."""
    read_news(database(request), job_id, principal, after=0, limit=1)
    return job_id


@router.get(
    "/events",
    operation_id="streamEvents",
    response_class=EventSourceResponse,
    summary="Follow a job's events",
    responses=problems("not-found", "request-invalid", "too-often"),
    dependencies=[Depends(stream_place)],
)
async def stream_events(
    request: Request,
    job: Annotated[str, Depends(_readable)],
    principal: Reader,
    after: Annotated[int, Query(ge=0, lt=2**31, description="begin after this event")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, lt=2**31, description="begin after this event; sent by clients that reconnect")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Everything that has happened to a job and then what happens, each with its number as `id`.

    The stream ends with the job, at the service's shutdown or after its longest life: its last event is `end`, whose
    data names the `reason`. After `job-ended` and `job-deleted` there is nothing more; `key-revoked`, `session-ended`,
    `key-needed` and `forbidden` say, with a `detail`, why this key or session may not read on: both are looked at again
    before anything is sent, and at least every ten seconds. Any other reason means: connect again, with
    `Last-Event-ID`.
    """
    state = request.app.state
    begin = after if last_event_id is None else last_event_id
    access = Access(request, state.db, state.settings, principal)
    async for event in follow(state.db, job, access, begin, state.settings, state.stopping):
        yield event


async def follow(
    db: Database, job_id: str, access: Access, after: int, settings: Settings, stopping: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    """The events after number `after`, then those to come, then why there are no more."""
    ends_at = time.monotonic() + settings.stream_seconds
    yield ServerSentEvent(retry=RETRY_MILLISECONDS, comment="thermowell")
    while True:
        more = False
        try:
            events, job_ended = await run_in_threadpool(read_news, db, job_id, access.principal, after, BATCH)
            if events or job_ended or access.due:
                before = access.principal
                await access.check()
                if access.principal != before:
                    continue  # read again, as somebody who may read less
            more = len(events) == BATCH
        except NotFound:
            yield _end("job-deleted")
            return
        except AccessEnded as error:
            yield _end(error.reason, str(error))
            return
        except DatabaseUnavailable:
            events, job_ended = [], False  # it may come back while the client waits
        for event in events:
            after = event.number
            data = sent(Event, event)
            yield ServerSentEvent(id=str(event.number), event=event.kind, data=data)
            if access.due:  # who reads slowly: the rest is read again, and looked at before
                job_ended, more = False, True
                break
        reason = _reason(job_ended, stopping.is_set(), time.monotonic() > ends_at)
        if reason:
            yield _end(reason)
            return
        if not more:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), settings.stream_poll_seconds)


def _reason(job_ended: bool, stopping: bool, too_long: bool) -> End | None:
    """Why there is no more, if there is not."""
    if job_ended:
        return "job-ended"
    if stopping:
        return "shutdown"
    return "too-long" if too_long else None


def _end(reason: End, detail: str | None = None) -> ServerSentEvent:
    payload = {"reason": reason} if detail is None else {"reason": reason, "detail": detail}
    return ServerSentEvent(event="end", data=payload)
