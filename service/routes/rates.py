"""Rate limits: requests per key and wrong keys per address; a client beyond them is told when to come again.

Counted in this process alone: with several API processes behind one address each allows as much.
"""

from __future__ import annotations

import hashlib
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import TooOften, respond
from service.prefix import inner_path

HEALTH = ("/healthz", "/readyz")  # whoever looks after the service must not be told to wait


class RateLimit:
    """Refuses requests beyond `requests` a minute of one credential (of one address without any), and all requests of
    an address that has presented `failures` wrong credentials within a minute: guessing costs hashing.
    """

    def __init__(self, app: ASGIApp, requests: int, failures: int) -> None:
        self.app = app
        self._requests, self._failures = RateLimitItemPerMinute(requests), RateLimitItemPerMinute(failures)
        self._counted = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or inner_path(scope) in HEALTH:
            await self.app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        if not self._counted.test(self._failures, "failures", address):
            await self._refuse(self._failures, "failures", address, scope, receive, send)
            return
        asker = _asker(Headers(scope=scope), address)
        if not self._counted.hit(self._requests, "requests", asker):
            await self._refuse(self._requests, "requests", asker, scope, receive, send)
            return

        async def watched(message: Message) -> None:
            # 401 to a request without credentials is how a browser learns to ask for them; its form presents a key
            presented = asker != address or (scope["method"], inner_path(scope)) == ("POST", "/signin")
            if message["type"] == "http.response.start" and message["status"] == 401 and presented:
                self._counted.hit(self._failures, "failures", address)
            await send(message)

        await self.app(scope, receive, watched)

    async def _refuse(
        self, limit: RateLimitItemPerMinute, kind: str, who: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        seconds = max(1, round(self._counted.get_window_stats(limit, kind, who).reset_time - time.time()))
        said = f"at most {limit.amount} {kind if kind == 'requests' else 'wrong keys'} a minute: wait {seconds} s"
        answer = respond(TooOften(said), scope["path"])
        answer.headers["Retry-After"] = str(seconds)
        await answer(scope, receive, send)


def _asker(headers: Headers, address: str) -> str:
    """Whom a request counts for: its credential, whose digest is kept and not itself, or its address without one."""
    presented = headers.get("authorization") or headers.get("cookie")
    return hashlib.sha256(presented.encode("utf-8", "surrogatepass")).hexdigest() if presented else address
