"""Requests and answers of the service, as both clients read and write them: problems, event streams, trace headers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from thermowell.errors import Refused, Unreachable, refusal

PATIENCE_SECONDS = 60.0
LONGEST_WAIT = 60.0  # seconds that a service which is asked too often may name
STREAM_TIMEOUT = httpx.Timeout(30.0, read=60.0)  # the service sends a sign of life every 15 seconds
COMPUTED_TIMEOUT = httpx.Timeout(30.0, read=900.0)  # of what is worked out when it is asked for: a study's guidance
# Why a stream ends whose reader may read no more, and as which problem the next request would be refused.
ACCESS_ENDS = {
    "key-revoked": ("unauthenticated", 401),
    "session-ended": ("unauthenticated", 401),
    "key-needed": ("unauthenticated", 401),
    "forbidden": ("forbidden", 403),
}
Json = dict[str, Any]


def checked(response: httpx.Response, url: str) -> httpx.Response:
    """The response itself, where it is no error. Raises Refused, Unreachable."""
    if response.status_code < 400:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.status_code >= 500 or not isinstance(problem, dict) or "type" not in problem:
        problem = problem if isinstance(problem, dict) else {}
        detail = problem.get("detail") or response.reason_phrase
        raise Unreachable(f"{url} answered {response.status_code}: {detail}", problem, response.status_code)
    raise refusal({"status": response.status_code} | problem)


def spec_refusal(errors: Sequence[Json]) -> Refused:
    """The refusal that submitting a spec with these errors would meet."""
    detail = "; ".join(f"{error['path']}: {error['message']}" for error in errors)
    fields = {"type": "/problems/spec-invalid", "title": "The spec was refused", "status": 422, "detail": detail}
    return refusal(fields | {"errors": list(errors)})


def access_refusal(end: Json) -> Refused:
    """The refusal that a stream's last event tells of."""
    slug, status = ACCESS_ENDS[end["reason"]]
    detail = end.get("detail") or end["reason"]
    return refusal({"type": f"/problems/{slug}", "title": "Reading has ended", "status": status, "detail": detail})


def trace_headers() -> dict[str, str]:
    """The headers of the trace that this is part of: the program's own, or else that of whoever started it."""
    carried = {"traceparent": os.environ["TRACEPARENT"]} if os.environ.get("TRACEPARENT") else {}
    if "opentelemetry.trace" in sys.modules:  # where nobody has imported it, nothing is traced
        from opentelemetry.propagate import inject

        inject(carried)
    return carried


def retry_seconds(response: httpx.Response) -> float | None:
    """For how many seconds the service wants to be left alone, where that is why it refused."""
    header = response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_WAIT) if response.status_code == 429 and header.isdecimal() else None


class EventLines:
    """The events of a stream, put together from its lines."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Json | None:
        """Takes the next line in; answers the event that it completes, if any. The stream's last has the kind `end`."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        data: Json = json.loads(fields["data"])
        return {"kind": "end", **data} if fields.get("event") == "end" else data
