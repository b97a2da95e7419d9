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

from search import public
from search.public import Database, DatabaseUnavailable, NotFound, Principal
from service.auth import Reader
from service.errors import problems
from service.routes.jobs import database
from service.schemas import EventOut, JobId
from service.settings import Settings

BATCH = 500
RETRY_MILLISECONDS = 2000
End = Literal["job-ended", "job-deleted", "too-long", "shutdown"]
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])


def _readable(request: Request, job_id: JobId, principal: Reader) -> str:
    """The job's id; refuses before the stream begins."""
    public.read_news(database(request), job_id, principal, after=0, limit=1)
    return job_id


@router.get(
    "/events",
    operation_id="streamEvents",
    response_class=EventSourceResponse,
    summary="Follow a job's events",
    responses=problems("not-found", "request-invalid"),
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
    data names the `reason`. Anything but `job-ended` and `job-deleted` means: connect again, with `Last-Event-ID`.
    """
    state = request.app.state
    begin = after if last_event_id is None else last_event_id
    async for sent in follow(state.db, job, principal, begin, state.settings, state.stopping):
        yield sent


async def follow(
    db: Database, job_id: str, principal: Principal, after: int, settings: Settings, stopping: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    """The events after number `after`, then those to come, then why there are no more."""
    ends_at = time.monotonic() + settings.stream_seconds
    yield ServerSentEvent(retry=RETRY_MILLISECONDS, comment="thermowell")
    while True:
        try:
            events, ended = await run_in_threadpool(public.read_news, db, job_id, principal, after, BATCH)
        except NotFound:
            yield _end("job-deleted")
            return
        except DatabaseUnavailable:
            events, ended = [], False  # it may come back while the client waits
        for event in events:
            after = event.number
            data = EventOut.of(event)
            yield ServerSentEvent(id=str(event.number), event=event.kind, data=data)
        reason = _reason(ended, stopping.is_set(), time.monotonic() > ends_at)
        if reason:
            yield _end(reason)
            return
        if len(events) < BATCH:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), settings.stream_poll_seconds)


def _reason(ended: bool, stopping: bool, too_long: bool) -> End | None:
    """Why there is no more, if there is not."""
    if ended:
        return "job-ended"
    if stopping:
        return "shutdown"
    return "too-long" if too_long else None


def _end(reason: End) -> ServerSentEvent:
    return ServerSentEvent(event="end", data={"reason": reason})
