"""Reports that decide nothing, written together: those that come while earlier ones are being written.

Nearly all that a service hears of programs that train is of this kind, and most of what it costs is neither the
database's nor the report's own: it is answered here, before the framework has looked for a route. Whatever is not as
usual (an unknown key, a lost lease, a document that is wrong, a rung) goes on to the route, which says what is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError
from starlette.datastructures import Headers, State
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search import tracing
from search.claims.measurements import OwnReport
from search.claims.report_batch import BatchedReport, Writer
from search.errors import ThermowellError
from search.records import LOCAL_OWNER, Principal
from search.requests.external import TrialDoor
from service.auth import local_principal, presented_key
from service.errors import Unauthenticated
from service.prefix import inner_path
from service.schemas_claims import ReportRequest

ROUTE = "/v1/jobs/{job_id}/trials/{number}/reports"
MOST = 256
"""Reports of one statement, at most."""
TRUSTED_SECONDS = 30.0
"""For which a key that was good is looked up by its digest; that it was not revoked each statement sees for itself."""
MOST_KEYS = 10_000
_PATH = re.compile(r"/v1/jobs/([0-9a-f]{1,32})/trials/([0-9]{1,9})/reports")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_ANSWER = b'{"stop":null}'
_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"%d" % len(_ANSWER)), (b"content-type", b"application/json")],
}
_log = structlog.get_logger(__name__)


class Batches:
    """Gathers reports while others are being written, one batch after the other."""

    def __init__(self, write: Callable[[Sequence[BatchedReport]], Awaitable[list[bool]]]) -> None:
        self._write = write
        self._waiting: list[tuple[BatchedReport, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def say(self, report: BatchedReport) -> bool:
        """Whether a report was written; it is on the disk then. False where the database could not be asked, too."""
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, outcome))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await outcome

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                results = await self._written([report for report, _ in batch])
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():  # whoever asked may have gone
                        future.set_result(result)
        finally:
            self._writer = None

    async def _written(self, reports: Sequence[BatchedReport]) -> list[bool]:
        try:
            return await self._write(reports)
        except ThermowellError:
            return [False] * len(reports)
        except Exception:
            _log.exception("reports could not be written together; each is tried by itself")
            return [False] * len(reports)

    def _next(self) -> list[tuple[BatchedReport, asyncio.Future[bool]]]:
        """The oldest reports that wait, one of each token: a second one has to find the first."""
        tokens: set[str] = set()
        batch: list[tuple[BatchedReport, asyncio.Future[bool]]] = []
        later: list[tuple[BatchedReport, asyncio.Future[bool]]] = []
        for report, outcome in self._waiting:
            token = report.token
            (later if token in tokens or len(batch) == MOST else batch).append((report, outcome))
            tokens.add(token)
        self._waiting = later
        return batch


@dataclass(frozen=True, slots=True)
class _Route:
    path: str


class BatchedReports:
    """Answers reports that decide nothing; all else goes through."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app, self._state = app, state
        self._writer: Writer | None = None
        self._batches: Batches | None = None
        self._principals: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._traced = tracing.provider() is not None  # the framework makes the spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = None
        if scope["type"] == "http" and scope["method"] == "POST" and not self._traced:
            place = _PATH.fullmatch(inner_path(scope))
        if place is None:
            await self.app(scope, receive, send)
            return
        digest = _digest(scope)
        principal = self._principal(scope, digest)
        if principal is not None:
            messages = await _body(receive)
            report = self._report(principal, scope, place, messages)
            if report is not None and await self._said(report):
                scope["route"] = _Route(ROUTE)  # for the figures
                scope.setdefault("state", {})["principal"] = principal  # whom the request counts for
                await send(_START)
                await send({"type": "http.response.body", "body": _ANSWER})
                return
            receive = _again(messages, receive)
        await self.app(scope, receive, send)
        if digest:
            self._learn(scope, digest)

    def _principal(self, scope: Scope, digest: str | None) -> Principal | None:
        """Who asks, as far as that is known without the database; that this still holds the statement sees."""
        if digest is None:
            return None
        if digest:
            principal, until = self._principals.get(digest, (None, 0.0))
            return principal if time.monotonic() < until else None
        try:
            return local_principal(HTTPConnection(scope)) if self._state.settings.loopback else None
        except ThermowellError:
            return None

    def _learn(self, scope: Scope, digest: str) -> None:
        """Remembers whose a key is that was just found good for training."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if principal is None or principal.id == LOCAL_OWNER or not principal.may("train"):
            return
        self._principals[digest] = principal, time.monotonic() + TRUSTED_SECONDS
        self._principals.move_to_end(digest)
        if len(self._principals) > MOST_KEYS:
            self._principals.popitem(last=False)

    def _report(
        self, principal: Principal, scope: Scope, place: re.Match[str], messages: Sequence[Message]
    ) -> BatchedReport | None:
        """What is said, where it can be said with others."""
        headers = Headers(scope=scope)
        tokens = headers.getlist("lease-token")
        door: TrialDoor | None = self._state.trial_door
        if door is None or len(tokens) != 1 or not _TOKEN.fullmatch(tokens[0]):
            return None
        if messages[-1]["type"] != "http.request" or headers.getlist("content-type") != ["application/json"]:
            return None
        try:
            body = ReportRequest.model_validate_json(b"".join(message.get("body", b"") for message in messages))
        except ValidationError:
            return None
        if body.resume is not None:
            return None
        entries = [OwnReport(entry.epoch, entry.metrics, entry.seconds) for entry in body.reports]
        return door.batched(principal, place[1], int(place[2]), tokens[0], entries)

    async def _said(self, report: BatchedReport) -> bool:
        writer: Writer = self._state.report_writer
        if self._batches is None or writer is not self._writer:
            self._writer, self._batches = writer, Batches(writer.write)
        return await self._batches.say(report)


def _digest(scope: Scope) -> str | None:
    """The digest of the key that a request carries; empty where it carries nothing, None where that is something else.

    A browser's session is looked at by the route alone.
    """
    headers = Headers(scope=scope)
    try:
        secret = presented_key(headers)
    except Unauthenticated:
        return None
    if secret is not None:
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return None if "cookie" in headers else ""


async def _body(receive: Receive) -> list[Message]:
    """The messages of a request's body, up to its end or the client's."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def _again(messages: Sequence[Message], receive: Receive) -> Receive:
    """Says the messages of a body once more, then what comes after them."""
    left: list[Any] = list(reversed(messages))

    async def receiving() -> Message:
        return left.pop() if left else await receive()

    return receiving
