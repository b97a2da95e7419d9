"""A collector of traces on the loopback address: OTLP over HTTP, parsed with its own protobuf. One that hangs, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Received:
    """One span as it came; ids are hexadecimal, `below` is empty for a root, `links` are spans' ids."""

    name: str
    kind: str
    trace: str
    id: str
    below: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: Mapping[str, Mapping[str, Any]]
    links: tuple[str, ...]
    failed: bool


class Collector:
    """What has come so far; `raw` are the bytes of the requests, `asked` is set once one has come."""

    def __init__(self, hangs: bool) -> None:
        self.spans: list[Received] = []
        self.raw: list[bytes] = []
        self.asked = threading.Event()
        self.over = threading.Event()
        self._news = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if hangs:
                    collector.over.wait()
                    return
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                collector.receive(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def receive(self, body: bytes) -> None:
        """Takes a request in."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._news:
            self.raw.append(body)
            for of_resource in request.resource_spans:
                resource = _plain(of_resource.resource.attributes)
                self.spans += [_read(span, resource) for scope in of_resource.scope_spans for span in scope.spans]
            self._news.notify_all()

    def until(self, enough: Callable[[list[Received]], bool]) -> list[Received]:
        """All spans, once there are those that are waited for; AssertionError where they never come."""
        with self._news:
            assert self._news.wait_for(lambda: enough(self.spans), PATIENCE), sorted(each.name for each in self.spans)
            return list(self.spans)

    def named(self, name: str) -> list[Received]:
        """All spans of that name so far."""
        with self._news:
            return [each for each in self.spans if each.name == name]


@contextmanager
def collecting(hangs: bool = False) -> Iterator[Collector]:
    """A collector, for the length of a test; one that `hangs` takes requests and never answers them."""
    collector = Collector(hangs)
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def _read(span: Span, resource: Mapping[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        below=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        resource=resource,
        events={event.name: _plain(event.attributes) for event in span.events},
        links=tuple(link.span_id.hex() for link in span.links),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    def value(one: KeyValue) -> Any:
        return getattr(one.value, one.value.WhichOneof("value") or "string_value")

    return {one.key: value(one) for one in attributes}
