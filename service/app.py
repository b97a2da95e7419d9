"""The application: its routes, its doors, and what runs beside them: the reaper, and who keeps the plots fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool

from search import tracing
from search.claims.reaper import Reaper
from search.claims.report_batch import Writer
from search.errors import DatabaseUnavailable, SchemaMissing
from search.requests import advice as advice_requests
from search.storage.db import Database, open_database
from search.storage.store import open_store
from service import auth, errors, proxies
from service.pages import templating
from service.plot_refresh import PlotRefresher
from service.prefix import inner_path
from service.proposer import Proposer
from service.routes import (
    access,
    advice,
    agents,
    body,
    claims,
    dashboard,
    exports,
    job_pictures,
    jobs,
    keys,
    lookup,
    methods,
    metrics,
    openapi,
    page_updates,
    pages,
    places,
    prefixed,
    rates,
    report_batches,
    request_ids,
    results,
    signing,
    stream,
    studies,
    study_pages,
    trials,
    turns,
    weights,
)
from service.settings import Settings

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
ROOMS = (
    jobs,
    trials,
    claims,
    agents,
    stream,
    results,
    exports,
    studies,
    lookup,
    advice,
    weights,
    keys,
    metrics,
    signing,
    page_updates,
    pages,
    job_pictures,
    study_pages,
)
"""Whose routes there are, in the order in which they are described."""
TRACES_SECONDS = 2.0
"""What delivering the last spans may take."""


def _limits(settings: Settings) -> dict[tuple[str, str], int]:
    """How many bytes a body may have on routes that take files."""
    return {
        ("PUT", r"/v1/jobs/[^/]+/trials/[^/]+/artifacts/[^/]+"): settings.artifact_limit,
        ("POST", r"/v1/weights"): settings.weights_limit,
    }


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service over one database, which is connected to at the first request. Torch is not needed."""
    settings = settings or Settings()
    db = open_database(settings.database_url)
    app = FastAPI(
        title="Thermowell",
        version=version("thermowell"),
        lifespan=_life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(),
    )
    app.state.settings, app.state.db, app.state.files = settings, db, open_store(settings)
    app.state.priors = advice_requests.priors(settings.literature, settings.advice_from)
    app.state.metrics = metrics.Metrics(db)
    app.state.stopping, app.state.converting = asyncio.Event(), asyncio.Lock()
    app.state.parsing, app.state.drawing = turns.Turns(settings.heavy_threads), turns.Turns(settings.heavy_threads)
    app.state.places = places.Places(settings.streams_per_key, settings.connections * 4 // 5)
    app.add_middleware(access.Rechecked, db=db, settings=settings)
    app.add_middleware(report_batches.BatchedReports, state=app.state)
    app.add_middleware(body.BodyLimit, limit=settings.body_limit, limits=_limits(settings))
    app.add_middleware(auth.SameOrigin)
    app.add_middleware(
        rates.RateLimit,
        requests=settings.requests_per_minute,
        failures=settings.failures_per_minute,
        at_once=settings.requests_at_once,
    )
    app.add_middleware(metrics.Measured, metrics=app.state.metrics)
    app.add_middleware(request_ids.RequestIds)
    app.add_middleware(prefixed.Prefixed, prefix=settings.root_path)
    app.add_middleware(proxies.Forwarded, trusted=settings.trusted_proxies)
    errors.install(app)
    signing.install(app)
    routers = [*(room.router for room in ROOMS), lookup.open_router, openapi.router]
    for router in routers:  # as they are: `include_router` would build each anew at an app's first request
        app.router.routes.extend(router.routes)
    app.mount(templating.ASSETS, templating.assets())
    openapi.install(app)
    app.router.routes.append(methods.OtherMethods(routers))
    app.state.dashboard = dashboard.Dashboard(db, app.state.files)
    app.router.routes.extend(dashboard.routes(app.state.dashboard, db, settings))
    return app


def _telemetry() -> TelemetryConfig | None:
    """A span for each request but those that look whether the service is well; the rest of FastAPI's is in /metrics."""
    provider = tracing.provider()
    if provider is None:
        return None
    return {
        "tracer_provider": provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: inner_path(scope) in PROBES,
    }


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """Refuses to open to others without a key, then looks for lost leases until the service stops."""
    db, settings = app.state.db, app.state.settings
    with suppress(DatabaseUnavailable, SchemaMissing):  # /readyz says so; without a key nothing is answered meanwhile
        await run_in_threadpool(auth.refuse_open, db, settings)
    app.state.trial_door, app.state.report_writer = None, Writer(db)
    proposer = app.state.proposer = Proposer(db, settings.lease_seconds, app.state.stopping)
    reaper = asyncio.create_task(_reap(db, settings, app.state.stopping))
    concluder = asyncio.create_task(proposer.conclude_all())
    shower = asyncio.create_task(PlotRefresher(db, settings, app.state.files, app.state.stopping).run())
    try:
        yield
    finally:
        app.state.stopping.set()
        proposer.bell.ring()
        await proposer.close()
        await asyncio.gather(reaper, shower, concluder)
        await app.state.report_writer.close()
        if app.state.trial_door is not None:
            await run_in_threadpool(app.state.trial_door.close)
        app.state.dashboard.close()
        app.state.files.close()
        db.close()
        await run_in_threadpool(tracing.close, TRACES_SECONDS)  # uvicorn ends the process by its signal


async def _reap(db: Database, settings: Settings, stopping: asyncio.Event) -> None:
    """Gives the trials of lost workers back, every so often; outlives whatever the database does meanwhile."""
    log = structlog.get_logger()
    reaper = Reaper(db, settings.lease_seconds, settings.reap_seconds, of_others=True)
    while not stopping.is_set():
        try:
            await run_in_threadpool(reaper.run)
        except (DatabaseUnavailable, SchemaMissing) as error:
            log.warning("cannot look for lost leases", detail=str(error))
        except Exception:
            log.exception("the reaper failed and tries again")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), settings.reap_seconds)
