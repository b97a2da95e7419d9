"""Answers of Optuna Dashboard while the database takes no writes: it calls every error its own, with 500."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from search.errors import DatabaseUnavailable, SchemaMissing
from search.schema import check_ready
from search.storage.db import Database
from service.errors import respond


def told_apart(db: Database, scope: Scope, receive: Receive, send: Send) -> Send:
    """Sends what comes; in place of an error's answer the problem of a database that is not ready, where it is that."""
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] == 500:
            try:
                await run_in_threadpool(check_ready, db)
            except (DatabaseUnavailable, SchemaMissing) as error:
                replaced = True
                await respond(error, scope["path"])(scope, receive, send)
        if not replaced:
            await send(message)

    return sending
