"""Traces of jobs by OpenTelemetry, from the request that submitted one to the last worker.

Decided by the standard OTEL_* variables alone. Where they ask for nothing, nothing of OpenTelemetry is imported and
every call here returns at once. Nothing waits for a collector: spans go into a bounded queue that a thread empties.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as Recorded
    from opentelemetry.trace import Tracer

Attributes = Mapping[str, str | bool | int | float | None]
Kind = Literal["internal", "producer", "consumer"]
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
_log = structlog.get_logger(__name__)


class Span:
    """What is told of one thing that takes a while, for as long as it takes. Of tracing that is off: nothing."""

    traceparent: str | None = None
    ids: Mapping[str, str] = {}

    def note(self, attributes: Attributes) -> None:
        """Adds attributes; those that are None are left out."""

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Tells of something that happened within it, now."""

    def fail(self, kind: str) -> None:
        """Marks it as failed, by an exception's type or a reason's slug. Never by a message: it may quote a secret."""

    def end(self) -> None:
        """It is over. A span that is not ended is never told."""

    def current(self) -> AbstractContextManager[None]:
        """What begins inside, on this thread or in this task, is below it; log lines carry its ids."""
        return nullcontext()


_OFF = Span()
_on: _On | None = None


def configure(service: str, instance: str | None = None) -> bool:
    """Begins to trace where OTEL_* say so; whether they do. `service` is what it is called unless they name another."""
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    exporter_fits = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() in ("", "otlp")
    if endpoint is None or not exporter_fits or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    protocol = next((os.environ[name] for name in PROTOCOLS if os.environ.get(name)), SPOKEN)
    if protocol != SPOKEN:
        _log.warning(f"no traces: {protocol} is not spoken here, set OTEL_EXPORTER_OTLP_PROTOCOL={SPOKEN}")
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        trace_to(OTLPSpanExporter(), service, instance)
    except ImportError:
        _log.warning(f"no traces: {endpoint} is set, but this needs pip install 'thermowell[tracing]'")
        return False
    except Exception as error:  # what the SDK makes nothing of must keep nobody from training
        _log.warning(f"no traces: OTEL_* are refused: {error}")
        return False
    return True


def trace_to(exporter: SpanExporter, service: str, instance: str | None = None) -> None:
    """Begins to trace, whatever OTEL_* say of where to; sampler, limits and resource are theirs."""
    global _on
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {"service.name": service, "service.version": version("thermowell"), "service.instance.id": instance}
    by_operator = OTELResourceDetector().detect().attributes
    resource = Resource.create({name: value for name, value in _present(attributes).items() if name not in by_operator})
    provider = TracerProvider(resource=resource, id_generator=_ids(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    complaints = _Complaints(logging.ERROR)
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(complaints)
    logger.propagate = False  # without a handler each failed delivery would be a line on stderr
    _on = _On(provider, complaints)


def close(seconds: float) -> None:
    """Delivers what is left, for so long at most, and traces no more. What is open by now is told as abandoned."""
    global _on
    if _on is None:
        return
    on, _on = _on, None
    for span in list(on.of_trials.values()):
        span.fail("abandoned")
        span.end()
    # the SDK's own shutdown waits for half a minute, and for an export that hangs
    delivering = threading.Thread(target=on.provider.shutdown, name="traces", daemon=True)
    delivering.start()
    delivering.join(seconds)
    on.complaints.said = True  # a thread that is left must not write while the process ends
    logging.getLogger("opentelemetry").removeHandler(on.complaints)


def enabled() -> bool:
    """Whether anything is told."""
    return _on is not None


def provider() -> TracerProvider | None:
    """What other libraries may tell their own spans to."""
    return None if _on is None else _on.provider


def begin(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: Kind = "internal",
    below: str | None = None,
    traceparent: str | None = None,
    after: str | None = None,
    trial: tuple[str, int] | None = None,
) -> Span:
    """A span that somebody else will end, on whichever thread.

    All places are W3C traceparents: it is `below` one, or below what is current; it is its `traceparent`,
    as `span_parent` makes them; and it is linked to the one that it comes `after`. Log lines of that
    `trial` (job, number) carry its ids.
    """
    return _OFF if _on is None else _on.begin(name, attributes or {}, kind, below, traceparent, after, trial)


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", below: str | None = None
) -> Iterator[Span]:
    """A span around what is done inside. An Exception marks it as failed; being told to stop does not."""
    if _on is None:
        yield _OFF
        return
    started = begin(name, attributes, kind=kind, below=below)
    try:
        with started.current():
            yield started
    except Exception as error:
        started.fail(type(error).__name__)
        raise
    finally:
        started.end()


def within(traceparent: str | None) -> AbstractContextManager[None]:
    """What begins inside is below the span of another process."""
    return nullcontext() if _on is None or traceparent is None else _attached(_remote(traceparent))


def span_parent(traceparent: str | None, *words: object) -> str | None:
    """The traceparent of the span in the same trace whose id these words are: who knows them can point to it, whichever
    process it is of, though nobody has stored it.
    """
    if traceparent is None:
        return None
    _, trace, _, flags = traceparent.split("-")
    span_id = hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()[:16]
    return f"00-{trace}-{span_id}-{flags}"


def log_ids(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: a line carries the ids of its trial's span, or of what is current where it is of none."""
    if _on is not None:
        of_trial = _on.of_trials.get((line.get("job"), line.get("trial")))
        line.update(_current_ids() if of_trial is None else of_trial.ids)
    return line


class _On:
    """Tracing that is on: `of_trials` are the open spans of trials."""

    def __init__(self, provider: TracerProvider, complaints: _Complaints) -> None:
        self.provider, self.complaints = provider, complaints
        self.tracer: Tracer = provider.get_tracer("thermowell", version("thermowell"))
        self.of_trials: dict[tuple[Any, Any], Span] = {}

    def begin(
        self,
        name: str,
        attributes: Attributes,
        kind: Kind,
        below: str | None,
        traceparent: str | None,
        after: str | None,
        trial: tuple[str, int] | None,
    ) -> Span:
        from opentelemetry.trace import Link, SpanKind, get_current_span

        links = [] if after is None else [Link(get_current_span(_remote(after)).get_span_context())]
        id_token = _own.set(None if traceparent is None else int(traceparent.split("-")[2], 16))
        try:
            recorded = self.tracer.start_span(
                name,
                context=None if below is None else _remote(below),
                kind=SpanKind[kind.upper()],
                attributes=_present(attributes),
                links=links,
            )
        finally:
            _own.reset(id_token)
        started = _RecordedSpan(recorded, self, trial)
        if trial is not None:
            self.of_trials[trial] = started
        return started


class _RecordedSpan(Span):
    def __init__(self, recorded: Recorded, on: _On, trial: tuple[str, int] | None) -> None:
        self._recorded, self._on, self._trial = recorded, on, trial
        context = recorded.get_span_context()
        trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        self.traceparent = f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"
        self.ids = {"trace_id": trace_id, "span_id": span_id}

    def note(self, attributes: Attributes) -> None:
        self._recorded.set_attributes(_present(attributes))

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self._recorded.add_event(name, _present(attributes or {}))

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self._recorded.set_status(StatusCode.ERROR)
        self._recorded.set_attribute("error.type", kind)

    def end(self) -> None:
        if self._trial is not None and self._on.of_trials.get(self._trial) is self:
            del self._on.of_trials[self._trial]
        self._recorded.end()

    def current(self) -> AbstractContextManager[None]:
        from opentelemetry.trace import set_span_in_context

        return _attached(set_span_in_context(self._recorded))


class _Complaints(logging.Handler):
    """Says once that traces are not delivered; a collector that is away would be told of for ever."""

    said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.said:
            self.said = True
            _log.warning("traces are not delivered; this is said once", detail=record.getMessage())


_own: ContextVar[int | None] = ContextVar("own", default=None)


def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class Ids(IdGenerator):
        """The ids that were asked for; else of the system's chance: Python's own may be seeded by what is trained."""

        def generate_span_id(self) -> int:
            return _own.get() or secrets.randbits(64) or 1

        def generate_trace_id(self) -> int:
            return secrets.randbits(128) or 1

        def is_trace_id_random(self) -> bool:
            return True

    return Ids()


def _remote(traceparent: str) -> Context:
    """A context that holds that span alone; nothing is in it where it is none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    from opentelemetry.context import attach, detach

    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def _current_ids() -> Mapping[str, str]:
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def _present(attributes: Attributes) -> dict[str, str | bool | int | float]:
    return {name: value for name, value in attributes.items() if value is not None}
