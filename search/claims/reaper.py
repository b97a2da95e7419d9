"""The reaper: a worker counts as dead after a lease period of silence in which it could have spoken."""

from __future__ import annotations

import time
from collections.abc import Callable

from search.claims import leases
from search.claims.leases import ReapedLease
from search.storage.db import Database


class Reaper:
    """Takes expired leases away, as `leases.reap` does, but not those that an outage let expire.

    After a restart of the database, and after a time in which nothing could be written from here (an outage, a server
    that only read, a full disk, or this process was frozen itself), nothing is taken until one full lease period has
    passed: the living renew theirs meanwhile. `every` is how often, in seconds, `run` is called.

    Leases of programs of others are taken by a reaper `of_others` alone, the API's: they speak through it, and it knows
    since when it could be spoken to. Each has a period of its own, and none is taken before that has passed.
    """

    def __init__(
        self,
        database: Database,
        lease_seconds: float,
        every: float,
        clock: Callable[[], float] = time.monotonic,
        of_others: bool = False,
    ) -> None:
        self._of_others = of_others
        self._database, self._lease_seconds, self._every, self._clock = database, lease_seconds, every, clock
        self._asked_at = self._not_before = self._heard_since = clock()

    def run(self) -> ReapedLease:
        """What was taken away now. DatabaseUnavailable."""
        self._database.check_writable(by_writing=True)  # who could not write could not renew
        with self._database.read() as connection:
            up = self._database.up_seconds(connection)
        now = self._clock()
        # A lease is renewed three times in its period: two thirds must pass in silence before a living one expires.
        if now - self._asked_at > self._every + self._lease_seconds / 3:
            self._not_before = now + self._lease_seconds
            self._heard_since = now
        self._asked_at = now
        early = up < self._lease_seconds or now < self._not_before
        reaped = ReapedLease() if early else leases.reap(self._database)
        if self._of_others:
            taken_back = leases.reap(self._database, leases.silent_others(min(up, now - self._heard_since)))
            reaped.trials.extend(taken_back.trials)
        return reaped
