"""The process beside the API that proposes trials to programs of others, and concludes their jobs: one for each API.

It is started when it is first wanted, or when such a job is there, and again where it has ended. What it holds is in
the database alone, so that any number of APIs may have one each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from search.analysis.job import question
from search.errors import DatabaseUnavailable, ProposerMissing, SchemaMissing, ThermowellError
from search.requests import external
from search.storage.db import Database

PROGRAM = ("-m", "search.proposer")
ANSWER_SECONDS = 120.0
"""What an order may take, a sampler's first import included; then the process is ended and begun anew."""
LOOK_SECONDS = 5.0
"""How often jobs are looked for that wait for their finalists or their answer, where nobody rings."""
QUIET_SECONDS = 0.2
"""How long nobody looks after nothing was there to do: most ends of trials are not their job's last."""
LONGEST_LINE = 64 * 1024 * 1024
_log = structlog.get_logger(__name__)


class ProposerProblem(ThermowellError):
    """An order could not be carried out; `slug` is the problem's."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


class Bell:
    """Wakes those who wait for news of trials in this process; from its event loop alone."""

    def __init__(self) -> None:
        self._event, self.count = asyncio.Event(), 0

    def ring(self) -> None:
        """Wakes all who wait now."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float, since: int) -> None:
        """Until it has rung more often than `since`, or the time is over."""
        if self.count > since:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)


class Proposer:
    """The process, and those who wait for its answers."""

    def __init__(self, db: Database, lease_seconds: float, stopping: asyncio.Event) -> None:
        self.bell = Bell()
        self._db, self._lease_seconds, self._stopping = db, lease_seconds, stopping
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting, self._closed = asyncio.Lock(), False

    async def claim(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """The trials that an order is given. ProposerMissing; ProposerProblem."""
        claims: list[dict[str, Any]] = (await self._ask(document))["claims"]
        return claims

    async def import_rows(self, document: dict[str, Any]) -> dict[str, Any]:
        """What became of rows from elsewhere. ProposerMissing; ProposerProblem."""
        outcome: dict[str, Any] = (await self._ask(document))["imported"]
        return outcome

    async def conclude_all(self) -> None:
        """Chooses finalists and closes jobs whenever there are some, until the service stops."""
        while not self._stopping.is_set():
            rings = self.bell.count
            try:
                if await self._conclude():
                    self.bell.ring()
                    continue
            except (DatabaseUnavailable, SchemaMissing, ProposerProblem) as error:
                _log.warning("cannot conclude jobs", detail=str(error))
            except Exception:
                _log.exception("concluding jobs failed; it is tried again")
            await asyncio.sleep(QUIET_SECONDS)
            await self.bell.wait(LOOK_SECONDS, rings)

    async def _conclude(self) -> bool:
        """Whether anything was done for jobs as wholes, if there are any."""
        if not question.interim_possible() or not await run_in_threadpool(external.any_unfinished, self._db):
            return False
        return bool((await self._ask({"conclude": {}}))["concluded"])

    async def close(self) -> None:
        """Ends the process, one that is being started too; what it was asked for is given up."""
        async with self._starting:
            process, self._process, self._closed = self._process, None, True
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 2.0)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if self._reader is not None:
            await self._reader

    async def _ask(self, document: dict[str, Any]) -> dict[str, Any]:
        if not question.interim_possible():
            raise ProposerMissing(
                "this service cannot say what to train next: its `analysis` extra is missing. Whoever operates it runs "
                '`pip install "thermowell[analysis]"` where the API runs'
            )
        answered = await self._exchange(document)
        if "problem" in answered:
            problem = answered["problem"]
            raise ProposerProblem(problem["slug"], problem["detail"])
        return answered

    async def _exchange(self, document: dict[str, Any]) -> dict[str, Any]:
        """The process's answer to an order. ProposerProblem where it has none."""
        process = await self._running()
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"id": number, **document}).encode() + b"\n")
            await process.stdin.drain()
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise ProposerProblem(
                "database-unavailable",
                f"the process that proposes has not answered within {ANSWER_SECONDS:g} s: ask again, and look at the "
                "service's log if it stays so",
            ) from None
        except ConnectionError:
            raise ProposerProblem("database-unavailable", "the process that proposes has ended: ask again") from None
        finally:
            self._waiting.pop(number, None)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._closed:
                raise ProposerProblem("database-unavailable", "the service is stopping: ask again when it is back")
            if self._process is None or self._process.returncode is not None:
                self._process = await self._start()
            return self._process

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, *PROGRAM, stdin=pipe, stdout=pipe, start_new_session=True, limit=LONGEST_LINE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        begin = {"database_url": self._db.url, "lease_seconds": self._lease_seconds}
        process.stdin.write(json.dumps(begin).encode() + b"\n")
        ready = await process.stdout.readline()
        if not ready:
            await process.wait()
            raise ProposerProblem("database-unavailable", "the process that proposes could not be started: see the log")
        self._reader = asyncio.create_task(self._read(process))
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hands answers to those who wait; where the process ends, all of them are told."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answered = json.loads(line)
            waiting = self._waiting.pop(answered.pop("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answered)
        await process.wait()
        if process is self._process or self._process is None:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError())
