"""Streams that tell a page when to load again, for all jobs or for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from search.errors import DatabaseUnavailable, NotFound
from search.records import Principal
from search.requests import dashboard_queries
from search.requests.dashboard_queries import pulse
from search.requests.jobs import get_job
from search.storage.db import Database
from service.auth import Reader
from service.routes.access import Access, AccessEnded
from service.routes.jobs import database
from service.routes.places import stream_place
from service.routes.stream import RETRY_MILLISECONDS
from service.schemas import JobId, StudyId

PLACE = [Depends(stream_place)]
router = APIRouter(include_in_schema=False)


def _visible(request: Request, job_id: JobId, principal: Reader) -> str:
    """Refuses before a job's stream begins."""
    return get_job(database(request), job_id, principal).id


@router.get("/jobs/changes", response_class=EventSourceResponse, dependencies=PLACE)
async def follow_jobs(request: Request, principal: Reader) -> AsyncIterator[ServerSentEvent]:
    """Says that the list has changed; what has, the page itself says when it is asked for again."""
    async for event in _changes(request, principal):
        yield event


@router.get("/jobs/{job_id}/changes", response_class=EventSourceResponse, dependencies=PLACE)
async def follow_job(
    request: Request, principal: Reader, job_id: Annotated[str, Depends(_visible)]
) -> AsyncIterator[ServerSentEvent]:
    """Says that a job has changed."""
    async for event in _changes(request, principal, job_id):
        yield event


def _visible_study(request: Request, study_id: StudyId, principal: Reader) -> str:
    """Refuses before a study's stream begins."""
    pulse(database(request), principal, study_id=study_id)
    return study_id


@router.get("/studies/{study_id}/changes", response_class=EventSourceResponse, dependencies=PLACE)
async def follow_study(
    request: Request, principal: Reader, study_id: Annotated[str, Depends(_visible_study)]
) -> AsyncIterator[ServerSentEvent]:
    """Says that one of a study's jobs has changed."""
    async for event in _changes(request, principal, study_id=study_id):
        yield event


def _standing(db: Database, principal: Principal, job_id: str | None, study_id: str | None) -> str:
    """A word that differs whenever what the page says has changed."""
    changed = dashboard_queries.pulse(db, principal, job_id, study_id)
    return changed if study_id is not None else f"{changed} {dashboard_queries.preparations(db, job_id)}"


async def _changes(
    request: Request, principal: Principal, job_id: str | None = None, study_id: str | None = None
) -> AsyncIterator[ServerSentEvent]:
    """One event at once, since a page may be older than its stream, then one whenever the pulse has changed.

    Also one where its reader may read no more: the page is asked for again, and leads to signing in.
    """
    state = request.app.state
    access = Access(request, state.db, state.settings, principal)
    ends_at = time.monotonic() + state.settings.stream_seconds
    yield ServerSentEvent(retry=RETRY_MILLISECONDS, comment="thermowell")
    before = ""
    while not state.stopping.is_set() and time.monotonic() < ends_at:
        with suppress(DatabaseUnavailable):  # it may come back while the page waits
            try:
                current = await run_in_threadpool(_standing, state.db, access.principal, job_id, study_id)
                if current != before or access.due:
                    await access.check()
            except (NotFound, AccessEnded):
                yield ServerSentEvent(event="changed", data={})
                return
            if current != before:
                before = current
                yield ServerSentEvent(event="changed", data={})
        with suppress(TimeoutError):
            await asyncio.wait_for(state.stopping.wait(), state.settings.stream_poll_seconds)
