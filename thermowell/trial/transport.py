"""Requests of a training script to the service, patient with a service that is away."""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import IO, Any

from thermowell.errors import Unreachable, refusal, slug_of
from thermowell.trial.connections import Answer, Connections

PAUSES = (0.5, 30.0)
"""Seconds between two attempts at one request: the first pause, and the longest."""
LONGEST_WAIT = 300.0
"""Seconds that a service which is asked too often may name."""
SOCKET_SECONDS = 60.0
HOPELESS = frozenset({"proposer-missing", "too-large"})
"""Problems that asking again does not end, whatever their status."""
log = logging.getLogger("thermowell.trial")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what was posted would arrive as a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Transport:
    """One service, asked with one key. Every request is repeated until it is answered, for `patience` seconds.

    Its connection is kept from one request to the next; through a proxy each request has one of its own. Raises
    Refused, and Unreachable once the patience is at its end.
    """

    def __init__(self, url: str, key: str | None = None, patience: float = 600.0) -> None:
        address = url.rstrip("/")
        self.url = address if "://" in address else f"http://{address}"
        self.patience = patience
        self._key = key
        self._headers = {"User-Agent": "thermowell-trial", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        if os.environ.get("TRACEPARENT"):
            self._headers["traceparent"] = os.environ["TRACEPARENT"]
        self._connections = Connections(self.url)
        self._opener = urllib.request.build_opener(_Stay())

    def with_patience(self, seconds: float) -> Transport:
        """The same service with another patience."""
        return Transport(self.url, self._key, seconds)

    def post(
        self, path: str, document: Any = None, *, wait: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> Any:
        """What a POST answers; the service may take `wait` seconds longer than usual to do so."""
        body = json.dumps({} if document is None else document, allow_nan=False).encode()
        return self.send("POST", path, body, {"Content-Type": "application/json", **(headers or {})}, wait)

    def send(
        self, method: str, path: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str], wait: float = 0.0
    ) -> Any:
        """The answer to a request, after as many attempts as it takes."""
        until, attempt = time.monotonic() + self.patience, 0
        while True:
            answer, pause = self._attempt(method, path, body, headers, wait)
            if not isinstance(answer, Unreachable):
                return answer
            pause = _backoff(attempt) if pause is None else min(pause, LONGEST_WAIT)
            attempt += 1
            if time.monotonic() + pause > until:
                raise answer
            log.warning("%s; the next attempt is in %.1f s", answer, pause)
            time.sleep(pause)

    def _attempt(
        self, method: str, path: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str], wait: float
    ) -> tuple[Any, float | None]:
        """The answer; or Unreachable, with the seconds after which to ask again where the service said so."""
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        try:
            answer = self._answer(method, path, body, {**self._headers, **headers}, SOCKET_SECONDS + wait)
            if answer.status < 300:
                return json.loads(answer.content), None
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError, timeouts, half an answer
            reason = getattr(error, "reason", None) or error
            words = "it does not answer" if isinstance(reason, socket.timeout) else str(reason) or repr(reason)
            return Unreachable(f"cannot reach {self.url}: {words}"), None
        return self._refused(answer), _retry_after(answer.headers.get("Retry-After"))

    def _answer(
        self, method: str, path: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        if not self._connections.proxied:
            return self._connections.ask(method, path, body, headers, timeout)
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=dict(headers))
        try:
            with self._opener.open(request, timeout=timeout) as response:
                return Answer(response.status, response.reason, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.reason, error.headers, error.read())

    def _refused(self, answer: Answer) -> Unreachable:
        """What to say of a status that is an error. Raises Refused where asking again changes nothing."""
        status = answer.status
        if 300 <= status < 400:
            place = answer.headers.get("Location", "elsewhere")
            raise refusal({"status": status, "detail": f"{self.url} sends on to {place}: give that address as url"})
        try:
            problem = json.loads(answer.content)
        except ValueError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        again = status >= 500 or status in (408, 425, 429)
        if not again or slug_of(problem) in HOPELESS:
            raise refusal({"status": status, "detail": _detail(problem, answer), **_without_detail(problem)})
        return Unreachable(f"{self.url} answered {status}: {_detail(problem, answer)}", problem, status)


def _detail(problem: Mapping[str, Any], answer: Answer) -> str:
    """What is wrong in one line: each field by name where the request itself was refused."""
    fields = [f"{field.get('path') or 'document'}: {field.get('message')}" for field in problem.get("errors") or ()]
    return "; ".join(fields) or str(problem.get("detail") or problem.get("title") or f"{answer.status} {answer.reason}")


def _without_detail(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "detail"}


def _backoff(attempt: int) -> float:
    first, longest = PAUSES
    return min(longest, first * 2.0 ** min(attempt, 20)) * random.uniform(0.5, 1.0)


def _retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header means: a number of them, or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
