"""So many clients at once, each with a connection of its own and no rest between its requests.

    python -m benchmarks.serving.load_clients < asked.json

Reads one JSON object (the fields of `Asked`) and answers with one: seconds of each request by kind, and all errors.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

READS = ("read", "page", "result")  # what waits for nobody and changes nothing
PER_PAGE = 50
STREAM_SECONDS = 5.0  # a client follows a job for so long, and then comes anew
SHARE_SECONDS = 1.0  # how often something happens to the job that is followed
PATIENCE = 120.0
_WEIGHTS = {"read": 50, "page": 30, "result": 15, "submit": 5}
_DASHBOARD = {"poll": 90, "open": 10}  # an open page asks for what is new, every few seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask, for how long, and by how many."""

    side: str  # thermowell or dashboard
    base: str
    seconds: float
    clients: int
    streams: int  # of these clients
    filled: dict[str, Any]  # benchmarks.serving.load_fill.Filled
    trials: int
    spec: dict[str, Any]
    seed: int


@dataclass(slots=True)
class Tally:
    """What came of it: seconds by kind, errors by what they say. `cut` are those that were still waiting at the end,
    whose seconds so far count as theirs."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def timed(self, kind: str) -> Any:
        begun = time.perf_counter()
        try:
            yield
        except asyncio.CancelledError:
            self.cut[kind] = self.cut.get(kind, 0) + 1
            self.add(kind, time.perf_counter() - begun)
            raise
        except (httpx.HTTPError, AssertionError, ValueError, KeyError) as error:
            said = f"{kind}: {type(error).__name__}: {error}"[:200]
            self.errors[said] = self.errors.get(said, 0) + 1
        else:
            self.add(kind, time.perf_counter() - begun)

    def add(self, kind: str, seconds: float) -> None:
        self.seconds.setdefault(kind, []).append(round(seconds, 5))


class Client:
    """One client of this service, or of Optuna's dashboard."""

    def __init__(self, asked: Asked, number: int, tally: Tally) -> None:
        self.asked, self.tally, self.number = asked, tally, number
        self.draw = random.Random(asked.seed * 1_000_003 + number)
        keys = asked.filled["keys"]
        self.http = httpx.AsyncClient(
            base_url=asked.base, timeout=PATIENCE, verify=False, trust_env=False,
            headers={"Authorization": f"Bearer {keys[number % len(keys)]}"},
        )  # fmt: skip
        self.job, self.answered = asked.filled["running"], asked.filled["completed"]
        self.cursor: str | None = None

    async def get(self, path: str, **query: Any) -> Any:
        """What is there as JSON; anything but 200 is an error."""
        answer = await self.http.get(path, params={name: said for name, said in query.items() if said is not None})
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text[:100]}"
        return answer.json()

    async def read(self) -> None:
        async with self.tally.timed("read"):
            assert (await self.get(f"/v1/jobs/{self.job}"))["progress"]["search_done"] == self.asked.trials

    async def page(self) -> None:
        """The next page of the best first, from the beginning once one is through or tired of it."""
        async with self.tally.timed("page"):
            where = f"/v1/jobs/{self.job}/trials"
            found = await self.get(where, sort="-value", limit=PER_PAGE, cursor=self.cursor)
            assert len(found["items"]) == PER_PAGE
            self.cursor = found["next_cursor"] if self.draw.random() < 0.9 else None

    async def result(self) -> None:
        async with self.tally.timed("result"):
            assert (await self.get(f"/v1/jobs/{self.answered}/result"))["job_id"] == self.answered

    async def submit(self) -> None:
        """A job comes and goes, so that the database stays as large as it was."""
        job = None
        async with self.tally.timed("submit"):
            answer = await self.http.post("/v1/jobs", json=self.asked.spec)
            assert answer.status_code == 201, answer.text[:200]
            job = answer.headers["Location"]
        if job is None:
            return
        for kind, method, path, expected in (("cancel", "POST", f"{job}/cancel", 200), ("delete", "DELETE", job, 204)):
            async with self.tally.timed(kind):
                answer = await self.http.request(method, path)
                assert answer.status_code == expected, answer.text[:200]

    async def stream(self) -> None:
        """Follows the job: seconds to the first event, and how late those come that happen meanwhile."""
        until, began = time.monotonic() + STREAM_SECONDS, time.time()
        lines = None
        async with self.tally.timed("stream"):
            request = self.http.build_request("GET", f"/v1/jobs/{self.job}/events")
            opened = await self.http.send(request, stream=True)
            try:
                assert opened.status_code == 200, f"{opened.status_code}: {(await opened.aread())[:100]!r}"
                lines = opened.aiter_lines()
                async for line in lines:
                    if line.startswith("data:"):
                        break
            except BaseException:
                await opened.aclose()
                raise
        if lines is None:
            return
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                async for line in lines:
                    if line.startswith("data:"):
                        happened = datetime.fromisoformat(json.loads(line[5:])["at"]).timestamp()
                        if happened > began:
                            self.tally.add("event", max(0.0, time.time() - happened))
        await opened.aclose()

    async def share(self) -> None:
        """Something happens to the job, so that there are events."""
        async with self.tally.timed("share"):
            answer = await self.http.post(f"/v1/jobs/{self.job}/share", json={"priority": self.draw.randint(1, 100)})
            assert answer.status_code == 200, answer.text[:200]
        await asyncio.sleep(SHARE_SECONDS)

    async def poll(self) -> None:
        """What an open page of the dashboard asks for: the study, and those of its trials that are new."""
        async with self.tally.timed("poll"):
            after = self.asked.trials - 10
            assert len((await self.get(f"/api/studies/{self.asked.filled['study']}", after=after))["trials"]) == 10

    async def open(self) -> None:
        """What a page asks for first: the study with all its trials."""
        async with self.tally.timed("open"):
            found = await self.get(f"/api/studies/{self.asked.filled['study']}")
            assert len(found["trials"]) == self.asked.trials

    async def mixed(self, weights: dict[str, int]) -> None:
        await getattr(self, self.draw.choices(list(weights), list(weights.values()))[0])()

    def habit(self) -> Callable[[], Awaitable[None]]:
        """What this client does over and over again."""
        if self.asked.side == "dashboard":
            return lambda: self.mixed(_DASHBOARD)
        if self.number == 0:
            return self.share
        return self.stream if self.number <= self.asked.streams else lambda: self.mixed(_WEIGHTS)


async def _again(client: Client, until: float) -> None:
    doing = client.habit()
    async with client.http:
        while time.monotonic() < until:
            await doing()


async def turn(asked: Asked) -> dict[str, Any]:
    """One turn of all clients. What is under way at its end is cut off once the same time has passed again."""
    tally, begun = Tally(), time.monotonic()
    clients = [Client(asked, number, tally) for number in range(asked.clients)]
    tasks = [asyncio.create_task(_again(client, begun + asked.seconds)) for client in clients]
    _, waiting = await asyncio.wait(tasks, timeout=2 * asked.seconds)
    for task in waiting:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    took = time.monotonic() - begun
    return {"seconds": tally.seconds, "errors": tally.errors, "cut": tally.cut, "took": took}


def main() -> int:
    print(json.dumps(asyncio.run(turn(Asked(**json.load(sys.stdin))))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
