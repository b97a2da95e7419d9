"""How does the service run? One process of uvicorn that lets event streams end before it does."""

from __future__ import annotations

import socket
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from search import public
from service.app import create_app
from service.auth import refuse_open
from service.settings import Settings

KEEP_ALIVE_SECONDS = 30
MOST_CONNECTIONS = 500


class Server(uvicorn.Server):
    """Tells event streams to end when the service is asked to, since each of them could go on for an hour."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self.app = app
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_level="info",
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.shutdown_seconds,
                limit_concurrency=MOST_CONNECTIONS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.stopping.set()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM. Raises OpenRefused where anybody could use it."""
    app = create_app(settings)
    with suppress(public.DatabaseUnavailable, public.SchemaMissing):  # nothing is answered without a key meanwhile
        refuse_open(app.state.db, settings)
    Server(app, settings).run()
