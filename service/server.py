"""The server: one uvicorn process that lets event streams end before it does."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
import uvicorn
from fastapi import FastAPI

from search import tracing
from search.errors import DatabaseUnavailable, SchemaMissing, ThermowellError
from search.logs import Lines
from search.schema import check_ready
from service.app import create_app
from service.auth import refuse_open
from service.connections import protocol_for
from service.settings import Settings

KEEP_ALIVE_SECONDS = 30


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
                proxy_headers=False,  # service.proxies reads them, and believes only whom the settings name
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.shutdown_seconds,
                http=protocol_for(settings),
                ws="none",
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.stopping.set()
        await super().shutdown(sockets)


def configure_logging() -> None:
    """Lines on stderr: aligned for a terminal, JSON for anything else; tracebacks without local variables.

    structlog's own default draws every local variable of every frame: seconds in which nothing is answered, and
    secrets in the log.
    """
    terminal = sys.stderr.isatty()
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            tracing.log_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            plain if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lines(sys.stderr))),
    )


class AddressTaken(ThermowellError):
    """The address to listen on cannot be had."""

    slug = "address-taken"


def check_address(settings: Settings) -> None:
    """Raises AddressTaken where nobody could listen at the settings' address, before anything else is begun."""
    try:
        [family, *_], *_ = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        raise AddressTaken(
            f"{settings.host}, port {settings.port}, cannot be listened on ({error.strerror}): stop what listens "
            "there, or choose another port by THERMOWELL_PORT"
        ) from error


def run(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises AddressTaken, OpenRefused where anybody could use it, StoreUnavailable without one, DatabaseUnavailable
    where there can be none.
    """
    check_address(settings)
    configure_logging()
    tracing.configure("thermowell-api")
    app = create_app(settings)
    if settings.artifact_store is not None:  # a folder may be full, and jobs be deleted by this very service
        app.state.files.check()
    say_readiness(app)
    with suppress(DatabaseUnavailable, SchemaMissing):  # nothing is answered without a key meanwhile
        refuse_open(app.state.db, settings)
    gc.collect()
    gc.freeze()  # what was imported stays: looking through it again would hold requests up
    Server(app, settings).run()


def say_readiness(app: FastAPI) -> None:
    """Warns of a database that requests will be refused for: the server starts and its probe says the same."""
    try:
        check_ready(app.state.db)
    except (DatabaseUnavailable, SchemaMissing) as error:
        structlog.get_logger(__name__).warning(
            "the service starts, and answers 503 until its database is ready", error=str(error)
        )
