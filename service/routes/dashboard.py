"""Optuna Dashboard behind the service's own keys: it shows everybody's studies, so reading it is a scope of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from a2wsgi import WSGIMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from search.errors import DatabaseUnavailable, SchemaMissing, StoreUnavailable
from search.optuna_bridge.dashboard import Files, with_shown_names
from search.optuna_bridge.study import close_storage, optuna_storage
from search.schema import check_ready, check_schema
from search.storage.db import Database
from search.storage.store import Store
from service import prefix
from service.auth import Guarded
from service.errors import respond
from service.pages.templating import page
from service.prefix import inner_path
from service.routes.dashboard_faults import explain
from service.routes.signing import known_visitor
from service.settings import Settings

# It asks for these absolutely: below a prefix it would find nothing, so that a page says why.
PATHS = (
    "/",
    "/dashboard",
    "/dashboard/{rest:path}",
    "/api/{rest:path}",
    "/artifacts/{rest:path}",
    "/csv/{rest:path}",
    "/static/{rest:path}",
    "/favicon.ico",
)
THREADS = 4
# What jobs left is shown and kept, and never runs: an uploaded page is not one of ours.
FILE_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; sandbox"


class Dashboard:
    """The dashboard, made at the first request: Optuna's storage wants a database that answers."""

    def __init__(self, db: Database, files: Store) -> None:
        self._db, self._files = db, files
        self._lock = threading.Lock()
        self._made: tuple[Any, WSGIMiddleware] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = inner_path(scope)
        if prefix.current() and (path == "/dashboard" or path.startswith("/dashboard/")):
            visitor = await run_in_threadpool(known_visitor, Request(scope))
            await page("dashboard.html", visitor)(scope, receive, send)
            return
        instance = self._made
        if instance is None:
            instance = await run_in_threadpool(self._make)
        storage, app = instance
        if path.startswith("/artifacts/"):
            send = _harmless(send)
        send = _database_problems(self._db, scope, receive, send)
        buffer: list[Message] = []

        async def sending(message: Message) -> None:
            if buffer or (message["type"] == "http.response.start" and message["status"] == 500):
                buffer.append(message)
            else:
                await send(message)

        failure: Exception | None = None
        try:
            await app(_complete(scope), receive, sending)  # type: ignore[arg-type]  # the same protocol, by another hand
        except Exception as error:
            failure = error
        if buffer or failure is not None:
            instead = await run_in_threadpool(explain, storage, self._db, scope)
            if instead is not None:
                await instead(scope, receive, send)
                return
        if failure is not None:
            raise failure
        for message in buffer:
            await send(message)

    def close(self) -> None:
        """Gives its connections and threads back."""
        if self._made is not None:
            storage, app = self._made
            app.executor.shutdown(wait=False)
            close_storage(storage)

    def _make(self) -> tuple[Any, WSGIMiddleware]:
        with self._lock:
            if self._made is None:
                import optuna_dashboard  # takes seconds, which a service that nobody looks at need not spend

                check_schema(self._db)
                storage = with_shown_names(optuna_storage(self._db), self._db)
                app = optuna_dashboard.wsgi(storage, artifact_store=_Files(self._files))
                self._made = storage, WSGIMiddleware(app, workers=THREADS)
            return self._made


class _Files(Files):
    """The files; what the store does is told in the way of its framework, so that its views answer 503 and not 500."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        with _answered():
            return super().open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with _answered():
            super().write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        with _answered():
            super().remove(artifact_id)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        from bottle import HTTPError  # type: ignore[import-untyped]  # what the dashboard is written in

        problem = respond(error, "/artifacts")
        detail = json.loads(bytes(problem.body))["detail"]
        raise HTTPError(problem.status_code, detail, Retry_After=problem.headers["Retry-After"]) from None


def _complete(scope: Scope) -> Scope:
    """A request with the headers that Optuna Dashboard takes for granted, and fails without."""
    if "accept-encoding" in Headers(scope=scope):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"accept-encoding", b"identity")]}


def _harmless(send: Send) -> Send:
    """Sends a file so that a browser neither runs it nor hands it to pages of other origins."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(n, v) for n, v in message["headers"] if n.lower() != b"access-control-allow-origin"]
            headers += [(b"content-security-policy", FILE_POLICY), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": headers}
        await send(message)

    return sending


def routes(dashboard: Dashboard, db: Database, settings: Settings) -> list[BaseRoute]:
    """Its routes, which belong after the service's own: `dashboard` may look, only an admin may change anything."""
    guarded = Guarded(dashboard, "dashboard", db, settings)
    return [Route(path, guarded, include_in_schema=False) for path in PATHS]


def _database_problems(db: Database, scope: Scope, receive: Receive, send: Send) -> Send:
    """A sender that puts the problem of an unready database in place of the dashboard's 500 for every error."""
    replaced = False

    async def send_or_replace(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] == 500:
            try:
                await run_in_threadpool(check_ready, db)
            except (DatabaseUnavailable, SchemaMissing) as error:
                replaced = True
                await respond(error, scope["path"])(scope, receive, send)
        if not replaced:
            await send(message)

    return send_or_replace
