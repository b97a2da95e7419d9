"""HTTP requests and event streams of the client: retries, timeouts, problems as exceptions. Needs httpx alone."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

PATIENCE_SECONDS = 60.0
LONGEST_WAIT = 60.0  # seconds that a service which is asked too often may name
# Why a stream ends whose reader may read no more, and as which problem the next request would be refused.
ACCESS_ENDS = {
    "key-revoked": ("unauthenticated", 401),
    "session-ended": ("unauthenticated", 401),
    "key-needed": ("unauthenticated", 401),
    "forbidden": ("forbidden", 403),
}
Json = dict[str, Any]


class Refused(Exception):
    """The service refused; `problem` is the RFC 9457 document."""

    def __init__(self, problem: Json) -> None:
        self.problem = problem
        super().__init__(str(problem.get("detail") or problem.get("title") or "refused"))

    @property
    def slug(self) -> str:
        """The stable last part of the problem's type."""
        return str(self.problem.get("type", "")).rpartition("/")[2]


class Unreachable(Exception):
    """The service does not answer, or fails: asking again may help."""


class Transport:
    """One service, one key; JSON in and out, as it is."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def close(self) -> None:
        """Gives the connections back; streams of events end."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, sent again once where the service says after how long. Raises Refused, Unreachable."""
        options["headers"] = _trace() | options.get("headers", {})
        response = self._sent(method, path, options)
        if (seconds := _too_often(response)) is not None:
            time.sleep(seconds)
            response = self._sent(method, path, options)
        return self._checked(response)

    def _sent(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"cannot reach {self.url}: {error}") from error

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path below /v1; parameters that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.request("GET", f"/v1{path}", params=params).json()

    def post(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """What a POST below /v1 answers."""
        return self.request("POST", f"/v1{path}", json=document).json()

    def events(self, job_id: str, after: int = 0) -> Iterator[Json]:
        """A job's events after number `after` until the job ends, or this is closed; connects again where that breaks.

        Raises Refused; Unreachable once the service has been away for a minute.
        """
        lost_at: float | None = None
        while True:
            try:
                for event in self._stream(job_id, after):
                    lost_at = None
                    if event["kind"] == "end":
                        if event["reason"] in ("job-ended", "job-deleted"):
                            return
                        if event["reason"] in ACCESS_ENDS:
                            raise Refused(_access_problem(event))
                        break
                    after = event["number"]
                    yield event
                else:
                    time.sleep(1.0)  # cut off by something in between, which may do so again
            except (httpx.TransportError, Unreachable, RuntimeError) as error:
                if self._http.is_closed:  # by another thread, which wants no more of this one
                    return
                if isinstance(error, RuntimeError):
                    raise
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > PATIENCE_SECONDS:
                    raise Unreachable(f"{self.url} has been away for a minute: {error}") from error
                time.sleep(1.0)

    def _stream(self, job_id: str, after: int) -> Iterator[Json]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(30.0, read=60.0)  # the service sends a sign of life every 15 seconds
        path = f"/v1/jobs/{quote(job_id, safe='')}/events"
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if (seconds := _too_often(response)) is not None:
                time.sleep(seconds)
                return  # and connect again
            if response.status_code >= 400:
                response.read()
            self._checked(response)
            fields: dict[str, str] = {}
            for line in response.iter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif "data" in fields:
                    data = json.loads(fields["data"])
                    yield {"kind": "end", **data} if fields.get("event") == "end" else data
                    fields = {}
                else:
                    fields = {}

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.status_code < 400:
            return response
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        if response.status_code >= 500 or not isinstance(problem, dict) or "type" not in problem:
            detail = problem.get("detail") if isinstance(problem, dict) else None
            raise Unreachable(f"{self.url} answered {response.status_code}: {detail or response.reason_phrase}")
        raise Refused(problem)


def _access_problem(end: Json) -> Json:
    """The problem that a stream's last event tells of."""
    slug, status = ACCESS_ENDS[end["reason"]]
    detail = end.get("detail") or end["reason"]
    return {"type": f"/problems/{slug}", "title": "Reading has ended", "status": status, "detail": detail}


def _trace() -> dict[str, str]:
    """The headers of the trace that this is part of: the program's own, or else that of whoever started it."""
    carried = {"traceparent": os.environ["TRACEPARENT"]} if os.environ.get("TRACEPARENT") else {}
    if "opentelemetry.trace" in sys.modules:  # where nobody has imported it, nothing is traced
        from opentelemetry.propagate import inject

        inject(carried)
    return carried


def _too_often(response: httpx.Response) -> float | None:
    """For how many seconds the service wants to be left alone, where that is why it refused."""
    header = response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_WAIT) if response.status_code == 429 and header.isdecimal() else None
