"""Figures for Prometheus: requests as they are answered, jobs, trials and workers as the database has them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.requests import fleet_counts
from search.storage.db import Database
from search.storage.stored import count_unreadable
from service.auth import Reader

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
router = APIRouter(tags=["operation"])


class FleetMetrics(Collector):
    """Counts the database anew at every scrape."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Raises DatabaseUnavailable."""
        counts = fleet_counts.count(self.db)
        jobs = GaugeMetricFamily("thermowell_jobs", "Jobs by state", labels=["state"])
        for state, number in counts.jobs.items():
            jobs.add_metric([state], number)
        yield jobs
        trials = GaugeMetricFamily("thermowell_trials", "Trials by state", labels=["state"])
        for trial_state, number in counts.trials.items():
            trials.add_metric([trial_state], number)
        yield trials
        for name, words, value in (
            ("queue", "Trials that wait for a worker, and jobs for their first", counts.queue),
            ("workers_alive", "Workers heard of within their lease period", counts.workers),
            ("lanes", "Lanes of the workers that are alive", counts.lanes),
            ("lanes_busy", "Trials under way", counts.lanes_busy),
            ("trial_retries", "Attempts of trials beyond their first", counts.retries),
            ("trial_losses", "Attempts of trials whose worker was lost", counts.losses),
            ("stale_leases", "Leases that have expired and were not looked for yet", counts.stale_leases),
            ("epochs", "Epochs of trials that have ended", counts.epochs),
            ("train_seconds", "Seconds that these epochs took; by epochs: seconds per epoch", counts.train_seconds),
            ("worker_database_errors", "Times that the database did not answer a worker", counts.database_errors),
            ("unreadable_records", "Stored things that this process could not read", count_unreadable()),
            ("api_database_errors", "Times that the database did not answer this process", self.db.failures),
        ):
            yield GaugeMetricFamily(f"thermowell_{name}", words, value=value)


class Metrics:
    """The figures of one application; no state is shared between two of them."""

    def __init__(self, db: Database) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(FleetMetrics(db))
        self.requests = Counter(
            "thermowell_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "thermowell_http_request_seconds",
            "Time to the first byte of the answer",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )


class Measured:
    """Counts and times what goes through."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # templates and known methods alone: a label per path or per invention would never end
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self.metrics.requests.labels(method, route, message["status"]).inc()
                self.metrics.seconds.labels(method, route).observe(time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, counted)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    summary="Figures for Prometheus",
    responses={200: {"description": "Text format", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(request: Request, principal: Reader) -> Response:
    """Jobs and trials by state, workers alive, requests and their latency."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
