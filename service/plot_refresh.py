"""A background task of the API that keeps the plots in Optuna Dashboard fresh, the longest-waiting job first.

Not the worker: what it does between two epochs is lost to training, and what a thread of it does holds its
interpreter. The API sees the same tables, and knows by a job's event counter whether there is news. Of several
replicas one shows a job at a time (see search.requests.plot_queue). It computes and draws nothing itself: a child of
the lowest priority does (see service.drawing), and what it drew is written down in one short transaction. After each
time a job rests for `show_seconds`, and for four times as long as showing it took, so that this never takes more than a
fifth of one processor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

import structlog
from starlette.concurrency import run_in_threadpool

from search.claims import artifacts
from search.errors import DatabaseUnavailable, SchemaMissing, StoreUnavailable
from search.optuna_bridge.dashboard import write_dashboard_change
from search.records import Trouble
from search.requests import plot_queue
from search.requests.plot_queue import (
    News,
    claim_showing,
    fail_showing,
    fail_tracking,
    keep_interim,
    mark_shown,
    release_showing,
)
from search.storage.db import Database
from search.storage.store import Store
from service.drawing import REPORT, REPORT_TYPE, DrawingRequest, DrawnPlots, cause, in_short
from service.settings import Settings

CLAIM_SECONDS = 300.0
"""After so long whoever began to show a job is dead; the child is killed before."""
CHILD_SECONDS = 240.0
FAILED_SECONDS = 60.0
"""After so long what could not be shown is tried again; then after twice as long each time, a few times."""
MOST_IDLE_SECONDS = 2.0
DRAWING = ("-m", "service.drawing")
_log = structlog.get_logger(__name__)


class NotShown(RuntimeError):
    """A job could not be drawn; the log and the job's record say why."""


class PlotRefresher:
    """Shows jobs until it is asked to stop."""

    def __init__(self, db: Database, settings: Settings, files: Store, stopping: asyncio.Event) -> None:
        self._db, self._settings, self._files, self._stopping = db, settings, files, stopping

    async def run(self) -> None:
        """Outlives whatever database, child and Optuna Dashboard do meanwhile."""
        pause = self._settings.show_seconds  # a service that has just started has more urgent things to do
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(self._settings.show_seconds, MOST_IDLE_SECONDS)
            try:
                while not self._stopping.is_set() and await self.show_one():
                    continue
            except (DatabaseUnavailable, SchemaMissing) as error:
                _log.warning("cannot look for jobs to show", detail=str(error))
            except NotShown:
                continue
            except Exception:
                _log.exception("showing jobs failed; it is tried again later")

    async def show_one(self) -> bool:
        """Shows the job that waits longest; False where none waits."""
        start = time.monotonic()
        job_id = await run_in_threadpool(claim_showing, self._db, CLAIM_SECONDS)
        if job_id is None:
            return False
        news = None
        try:
            news = await run_in_threadpool(plot_queue.news, self._db, job_id)
            drawn = None if news is None else await self._show(job_id, news)
        except (DatabaseUnavailable, SchemaMissing, OSError) as error:  # no fault of this job's
            _log.warning("a job waits for being shown", job_id=job_id, detail=in_short(f"{error}"))
            await run_in_threadpool(release_showing, self._db, job_id, FAILED_SECONDS)
            raise
        except Exception as error:
            await run_in_threadpool(self._fail, job_id, 0 if news is None else news.event, error)
            raise NotShown(f"{job_id}: {error}") from error
        if drawn is None or news is None:
            await run_in_threadpool(release_showing, self._db, job_id, 0.0)
        else:
            rest = max(self._settings.show_seconds, 4 * (time.monotonic() - start))
            tracked = self._settings.mlflow_uri is None or (news.track and drawn.untracked is None)
            await run_in_threadpool(mark_shown, self._db, job_id, drawn.event, rest, tracked=tracked)
        return True

    def _fail(self, job_id: str, event: int, error: Exception) -> None:
        """Says why a job cannot be drawn, in the log and in its record."""
        detail = str(error) if isinstance(error, _Ended) else in_short(f"{type(error).__name__}: {error}")
        trouble = fail_showing(self._db, job_id, event, detail, FAILED_SECONDS)
        _told("a job could not be drawn", job_id, detail, trouble)

    async def _show(self, job_id: str, news: News) -> DrawnPlots | None:
        """What is shown now; None where the job has gone on to its end, or the service."""
        order = DrawingRequest(
            database_url=self._db.url,
            job_id=job_id,
            mlflow_uri=self._settings.mlflow_uri if news.track else None,
            root_path=self._settings.root_path,
        )
        output = await self._ask(order.model_dump_json().encode())
        return await run_in_threadpool(self._write, job_id, output) if output else None

    async def _ask(self, order: bytes) -> bytes:
        """What the child answers; nothing where the service stops. _Ended where the child failed."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            sys.executable, *DRAWING, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        answering = asyncio.create_task(child.communicate(order))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({answering, stopping}, timeout=CHILD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        late = not answering.done()
        if late:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # and with it the child's own child
        output, complained = await answering
        if child.returncode != 0 and not self._stopping.is_set():
            over = f"it was not done within {CHILD_SECONDS:g} s"
            raise _Ended(over if late else cause(complained, child.returncode or 0))
        return output if child.returncode == 0 else b""

    def _write(self, job_id: str, output: bytes) -> DrawnPlots | None:
        """Writes down what was drawn, in one short transaction for each part of it."""
        drawn = DrawnPlots.model_validate_json(output)
        unkept = False
        if drawn.interim is not None and not keep_interim(self._db, drawn.interim):
            return None
        if drawn.report is not None:
            try:
                artifacts.publish(self._db, self._files, job_id, REPORT, REPORT_TYPE, drawn.report.encode())
            except StoreUnavailable as error:  # the plots are shown all the same
                _log.warning("a report is not kept; it is tried again later", job_id=job_id, detail=str(error))
                unkept = True
        if drawn.beside is not None:
            write_dashboard_change(self._db, drawn.beside)
        if drawn.untracked is not None:
            trouble = fail_tracking(self._db, job_id, drawn.event, drawn.untracked, FAILED_SECONDS)
            _told("a job is not in MLflow", job_id, drawn.untracked, trouble)
        # so that there still is news to show
        return drawn.model_copy(update={"event": drawn.event - 1}) if unkept else drawn


class _Ended(RuntimeError):
    """The child has ended, by the error that is told."""


def _told(sentence: str, job_id: str, detail: str, trouble: Trouble | None) -> None:
    if trouble is None:
        return
    again = "when the job changes" if trouble.again_at is None else trouble.again_at.isoformat(timespec="seconds")
    _log.warning(sentence, job_id=job_id, detail=detail, attempts=trouble.attempts, again=again)
