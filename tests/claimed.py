"""Programs that train: our own worker's ledger and the door over HTTP behind the same few verbs.

What is promised of claims, leases, reports and ends is tested of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from sqlalchemy import update
from starlette.concurrency import run_in_threadpool

from search.claims import leases, reporting
from search.errors import LeaseLost
from search.proposer import process
from search.records import Job, Reason
from search.requests import jobs
from search.spec.job import JobSpec
from search.states import TrialState
from search.storage import tables
from search.storage.db import Database
from service.proposer import Proposer
from service.settings import Settings
from tests.search import factories
from tests.service.server_fixtures import serving


class Gone(Exception):
    """The trial is the holder's no more."""


@dataclass(frozen=True)
class Held:
    """A trial that somebody trains."""

    job_id: str
    number: int
    attempt: int
    token: str
    stage: str
    arm: str
    seed: int
    configuration: dict[str, Any] | None
    trial_id: int = -1


class LedgerClient(Protocol):
    """Somebody who trains."""

    def submit(self, **changes: Any) -> Job: ...
    def take(self, name: str = "w") -> Held | None: ...
    def report(self, held: Held, epoch: int, value: float) -> None: ...
    def complete(self, held: Held, value: float) -> None: ...
    def diverge(self, held: Held) -> None: ...
    def give_back(self, held: Held) -> None: ...
    def renew(self, held: Held, name: str = "w") -> bool: ...
    def reap(self) -> None: ...


class Worker:
    """What our own workers do, without training."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def submit(self, **changes: Any) -> Job:
        return factories.submitted(self.db, **changes)

    def take(self, name: str = "w") -> Held | None:
        claim = factories.take(self.db, name)
        if claim is None:
            return None
        factories.attach(self.db, claim)
        return Held(
            claim.job_id, claim.number, claim.attempt, claim.token, claim.stage, claim.arm, claim.seed, None,
            claim.trial_id,
        )  # fmt: skip

    def report(self, held: Held, epoch: int, value: float) -> None:
        with _gone():
            reporting.report(self.db, held.token, held.trial_id, factories.epoch(epoch, value))

    def complete(self, held: Held, value: float) -> None:
        with _gone():
            reporting.finish(self.db, held.token, held.trial_id, TrialState.COMPLETED, value=value)

    def diverge(self, held: Held) -> None:
        with _gone():
            reporting.finish(self.db, held.token, held.trial_id, TrialState.FAILED, reason=factories.DIVERGED)

    def give_back(self, held: Held) -> None:
        with _gone():
            leases.give_back(self.db, held.token)

    def renew(self, held: Held, name: str = "w") -> bool:
        return held.token in leases.renew(self.db, name, [held.token], 60.0)

    def reap(self) -> None:
        expire(self.db)
        leases.reap(self.db)


class Program:
    """A program of its own, over HTTP."""

    def __init__(self, db: Database, client: httpx.Client, proposer: process.Proposer) -> None:
        self.db, self.client, self.proposer = db, client, proposer
        self.claims: list[dict[str, Any]] = []

    def submit(self, **changes: Any) -> Job:
        return jobs.submit(self.db, own_spec(**changes), factories.ME)[0]

    def take(self, name: str = "w") -> Held | None:
        """As a claim of the queue; where finalists are to be chosen first, they are."""
        for _ in range(2):
            answer = self.claim(client=name)
            if answer["claims"] or "being chosen" not in answer["why"]:
                break
            self.proposer.answer({"conclude": {}})
        return held_of(answer["claims"][0]) if answer["claims"] else None

    def claim(self, **order: Any) -> dict[str, Any]:
        """The answer to a claim."""
        answer = self.client.post("/v1/claims", json={"queue": "q", "client": "w", "lease_seconds": 60} | order)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        self.claims += document["claims"]
        return document

    def say(self, held: Held, verb: str, document: Any = None, status: int = 200) -> dict[str, Any]:
        """The answer to something that is said of a trial. Gone."""
        answer = self.client.post(
            f"/v1/jobs/{held.job_id}/trials/{held.number}/{verb}",
            json=document,
            headers={"Lease-Token": held.token},
        )
        if answer.status_code == 409 and answer.json()["type"].endswith("/lease-lost") and status == 200:
            raise Gone(answer.json()["detail"])
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def report(self, held: Held, epoch: int, value: float) -> None:
        self.say(held, "reports", {"reports": [{"epoch": epoch, "metrics": {"accuracy": value}, "seconds": 0.001}]})

    def complete(self, held: Held, value: float) -> None:
        self.say(held, "complete", {"epoch": factories.EPOCHS, "metrics": {"accuracy": value}})

    def diverge(self, held: Held) -> None:
        self.say(held, "fail", {"type": "diverged", "detail": "the loss was nan"})

    def give_back(self, held: Held) -> None:
        self.say(held, "return")

    def renew(self, held: Held, name: str = "w") -> bool:
        answer = self.client.post("/v1/leases/renew", json={"tokens": [held.token]})
        return bool(answer.json()["leases"][held.token] == "current")

    def reap(self) -> None:
        expire(self.db)
        leases.reap(self.db, leases.silent_others(1e9))


def own_spec(**changes: Any) -> JobSpec:
    """The small job of the factories, trained by programs of others."""
    document = factories.spec().model_dump(mode="json", exclude_none=True)
    for part in ("dataset", "teacher", "student"):
        del document[part]
    document |= {"trainer": {"external": {"queue": "q"}}, "sampler": {"name": "random"}}
    return JobSpec.model_validate(document | changes)


def held_of(claim: dict[str, Any]) -> Held:
    """A claim's document as what is held."""
    names = ("attempt", "token", "stage", "arm", "seed", "configuration")
    return Held(claim["job"], claim["trial"], **{name: claim[name] for name in names})


def expire(db: Database) -> None:
    """Every lease has expired a moment ago."""
    with db.write() as connection:
        connection.execute(update(tables.leases).values(expires_at=1.0))


@contextmanager
def program(db: Database, var: Path, **settings: Any) -> Iterator[Program]:
    """A program over the service, whose proposer is in this process: it takes seconds to load otherwise."""
    inner = process.Proposer(db.url, 30.0)

    async def exchange(_: Proposer, document: dict[str, Any]) -> dict[str, Any]:
        order = json.loads(json.dumps(document))
        answer = await run_in_threadpool(process.respond, inner, order)
        return dict(json.loads(json.dumps(answer, allow_nan=False)))

    before = Proposer._exchange
    Proposer._exchange = exchange  # type: ignore[method-assign]
    quiet = {"show_seconds": 3600.0, "reap_seconds": 3600.0}
    chosen = Settings(var=var, database_url=db.url, **(quiet | settings))
    try:
        with serving(chosen) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield Program(db, client, inner)
    finally:
        Proposer._exchange = before  # type: ignore[method-assign]
        inner.close()


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except LeaseLost as error:
        raise Gone(str(error)) from error


DIVERGED = Reason("diverged", "the loss was nan")
