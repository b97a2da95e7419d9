"""Nobody is taken for dead who had no chance to report."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import pytest

from search.claims import leases
from search.claims.reaper import Reaper
from search.schema import migrate
from search.storage.db import Database, open_database
from tests.postgres import running_postgres
from tests.search.factories import EXPIRED, submitted, taken, train

LEASE = 120.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_is_silent_is_taken_for_dead(db: Database) -> None:
    submitted(db)
    silent = taken(db, "w", EXPIRED)
    clock = Clock()
    reaper = Reaper(db, 0.001, LEASE / 3, clock)
    clock.now += LEASE / 3
    assert reaper.run().trials == [(silent.job_id, silent.number)]


def test_after_an_outage_a_lease_period_passes_first(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reaper could not ask for longer than the living can be silent: their leases may have expired with it."""
    submitted(db)
    silent, alive = taken(db, "dead", EXPIRED), taken(db, "living", EXPIRED)
    clock = Clock()
    reaper = Reaper(db, 3.0, 1.0, clock)
    monkeypatch.setattr(Database, "up_seconds", lambda *_: math.inf)  # the tests' server may have just begun
    clock.now += 2.5
    assert reaper.run().trials == []
    leases.renew(db, "living", [alive.token], LEASE)
    for _ in range(2):
        clock.now += 1.0
        assert reaper.run().trials == []
    clock.now += 1.0
    assert reaper.run().trials == [(silent.job_id, silent.number)]
    train(db, alive)


def test_after_a_restart_a_lease_period_passes_first() -> None:
    with running_postgres(settings={"synchronous_commit": "on"}) as server:
        db = open_database(server.create("restarted"))
        migrate(db)
        submitted(db)
        silent = taken(db, "dead", EXPIRED)
        server.stop()
        server.start()
        reaper = Reaper(db, 1.0, 0.1)
        while not (reaped := reaper.run().trials):
            time.sleep(0.05)  # the server's own clock: no event tells of it
        assert _up(db) >= 1.0
        assert reaped == [(silent.job_id, silent.number)]
        db.close()


def _up(db: Database) -> float:
    with db.read() as connection:
        return db.up_seconds(connection)
