"""HTTP requests and event streams of the client: retries, timeouts, problems as exceptions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from thermowell import protocol
from thermowell.errors import Unreachable
from thermowell.protocol import Json


class AsyncTransport:
    """One service, one key; JSON in and out, as it is."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout)

    async def aclose(self) -> None:
        """Gives the connections back; streams of events end."""
        await self._http.aclose()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Sends a request, once more where the service says after how long. Raises Refused, Unreachable."""
        options["headers"] = protocol.trace_headers() | options.get("headers", {})
        response = await self._response(method, path, options)
        if (seconds := protocol.retry_seconds(response)) is not None:
            await asyncio.sleep(seconds)
            response = await self._response(method, path, options)
        return protocol.checked(response, self.url)

    async def _response(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"cannot reach {self.url}: {error}") from error

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path below /v1; parameters that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return (await self.request("GET", f"/v1{path}", params=params)).json()

    async def get_computed(self, path: str) -> Any:
        """The JSON at a path below /v1 that is worked out when it is asked for, which may take minutes."""
        return (await self.request("GET", f"/v1{path}", timeout=protocol.COMPUTED_TIMEOUT)).json()

    async def post(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """What a POST below /v1 answers."""
        return (await self.request("POST", f"/v1{path}", json=document)).json()

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[Json]:
        """A job's events after number `after` until the job ends, or this is closed; connects again where that breaks.

        Raises Refused; Unreachable once the service has been away for a minute.
        """
        lost_at: float | None = None
        while True:
            try:
                async for event in self._stream(job_id, after):
                    lost_at = None
                    if event["kind"] == "end":
                        if event["reason"] in ("job-ended", "job-deleted"):
                            return
                        if event["reason"] in protocol.ACCESS_ENDS:
                            raise protocol.access_refusal(event)
                        break
                    after = event["number"]
                    yield event
                else:
                    await asyncio.sleep(1.0)  # cut off by something in between, which may do so again
            except (httpx.TransportError, Unreachable, RuntimeError) as error:
                if self._http.is_closed:  # by another thread or task, which wants no more of this one
                    return
                if isinstance(error, RuntimeError):
                    raise
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > protocol.PATIENCE_SECONDS:
                    raise Unreachable(f"{self.url} has been away for a minute: {error}") from error
                await asyncio.sleep(1.0)

    async def _stream(self, job_id: str, after: int) -> AsyncIterator[Json]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path = f"/v1/jobs/{quote(job_id, safe='')}/events"
        timeout = protocol.STREAM_TIMEOUT
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if (seconds := protocol.retry_seconds(response)) is not None:
                await asyncio.sleep(seconds)
                return  # and connect again
            if response.status_code >= 400:
                await response.aread()
            protocol.checked(response, self.url)
            lines = protocol.EventLines()
            async for line in response.aiter_lines():
                if (event := lines.take(line)) is not None:
                    yield event
