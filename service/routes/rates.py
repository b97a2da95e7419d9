"""Rate limits: how often, and how much at once, one key may ask, and how many wrong keys one address may present.

A request counts for its key, however that is spelled and whichever session it opened, as soon as the key is known to be
good; for its address until then, and where none is needed. Counted in this process alone: with several API processes
behind one address each allows as much.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict, deque

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.records import LOCAL_OWNER, Principal
from service.auth import SESSION_COOKIE, presented_key
from service.errors import RateLimited, Unauthenticated, respond
from service.prefix import inner_path
from service.proxies import counted_address

HEALTH = ("/healthz", "/readyz")  # whoever looks after the service must not be told to wait
MOST_REMEMBERED = 10_000  # credentials; of those that are forgotten the next request counts for its address once more

MINUTE = 60.0


class Window:
    """Counts of the last minute, each by its name: at most `amount`."""

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self._times: dict[str, deque[float]] = {}
        self._swept_at = time.monotonic()

    def hit(self, name: str) -> bool:
        """Counts one more, where that is allowed."""
        now = time.monotonic()
        if now - self._swept_at > MINUTE:
            self._sweep(now)
        times = self._times.setdefault(name, deque())
        if self._is_full(times, now):
            return False
        times.append(now)
        return True

    def full(self, name: str) -> bool:
        """Whether no more is allowed now."""
        return self._is_full(self._times.get(name, deque()), time.monotonic())

    def seconds(self, name: str) -> int:
        """In how many seconds one more will be allowed, where none is now; at least one."""
        times = self._times.get(name)
        return max(1, round(times[0] + MINUTE - time.monotonic())) if times else 1

    def _is_full(self, times: deque[float], now: float) -> bool:
        while times and now - times[0] > MINUTE:
            times.popleft()
        return len(times) >= self.amount

    def _sweep(self, now: float) -> None:
        """Forgets whoever has not been seen for a minute."""
        self._swept_at = now
        self._times = {name: times for name, times in self._times.items() if times and now - times[-1] <= MINUTE}


class RateLimit:
    """Refuses requests beyond `requests` a minute or `at_once` under way of one key (of one address without any), and
    of an address that has presented `failures` wrong credentials within a minute all that is not known to be good:
    guessing costs hashing.
    """

    def __init__(self, app: ASGIApp, requests: int, failures: int, at_once: int) -> None:
        self.app = app
        self._requests, self._failures = Window(requests), Window(failures)
        self._at_once = at_once
        self._keys: OrderedDict[str, str] = OrderedDict()  # by a credential's digest: the key that it was good for
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or inner_path(scope) in HEALTH:
            await self.app(scope, receive, send)
            return
        address = address_of(scope)
        credential = _credential(HTTPConnection(scope))
        key = self._keys.get(credential)
        asker = f"key {key}" if key else f"address {address}"
        refused = self._refusal(asker, None if key else address)
        if refused is not None:
            await respond(refused, scope["path"])(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._learn(scope, message["status"], credential, address)
            await send(message)

        self._under_way[asker] += 1
        try:
            await self.app(scope, receive, watched)
        finally:
            self._under_way[asker] -= 1
            if not self._under_way[asker]:
                del self._under_way[asker]

    def _refusal(self, asker: str, guesser: str | None) -> RateLimited | None:
        """Why somebody must wait, if they must; the request is counted."""
        if guesser is not None and self._failures.full(guesser):
            seconds = self._failures.seconds(guesser)
            return RateLimited(f"at most {self._failures.amount} wrong keys a minute: wait {seconds} s", seconds)
        if not self._requests.hit(asker):
            seconds = self._requests.seconds(asker)
            return RateLimited(f"at most {self._requests.amount} requests a minute: wait {seconds} s", seconds)
        if self._under_way[asker] >= self._at_once:
            return RateLimited(f"at most {self._at_once} requests at once: wait until one has ended")
        return None

    def _learn(self, scope: Scope, status: int, credential: str, address: str) -> None:
        """Remembers whose a credential is, and counts one that is nobody's."""
        if status == 401:
            self._keys.pop(credential, None)
            # 401 to a request without credentials is how a browser learns to ask for them; its form presents a key
            if credential or (scope["method"], inner_path(scope)) == ("POST", "/signin"):
                self._failures.hit(address)
            return
        principal: Principal | None = scope.get("state", {}).get("principal")
        if credential and principal is not None and principal.id != LOCAL_OWNER:
            if credential not in self._keys:
                self._requests.hit(f"key {principal.id}")
            self._keys[credential] = principal.id
            self._keys.move_to_end(credential)
            if len(self._keys) > MOST_REMEMBERED:
                self._keys.popitem(last=False)


def address_of(scope: Scope) -> str:
    """By what address a request counts."""
    return counted_address(scope["client"][0]) if scope.get("client") else "unknown"


def _credential(connection: HTTPConnection) -> str:
    """The digest of the key or the session's token that a request carries; empty without any."""
    try:
        secret = presented_key(connection.headers)
    except Unauthenticated:
        return "unreadable"
    kind, secret = ("session", connection.cookies.get(SESSION_COOKIE)) if secret is None else ("key", secret)
    return hashlib.sha256(f"{kind} {secret}".encode("utf-8", "surrogatepass")).hexdigest() if secret else ""
