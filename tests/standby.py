"""A real PostgreSQL server and its real standby: to fail over from one to the other, and back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import SETTINGS, START_SECONDS, Postgres, running_postgres, server_directory


@dataclass(slots=True)
class Pair:
    """Two servers with the same databases: one takes writes, the other follows it and only reads.

    Whatever the primary says to be committed is on the standby too, so that nothing may be lost with the primary.
    """

    primary: Postgres
    standby: Postgres

    @property
    def directory(self) -> Path:
        """Where the primary of this moment is reached."""
        return self.primary.directory

    def create(self, name: str | None = None) -> str:
        """Creates a database on both, and answers the URL that leads to whichever takes writes."""
        name = self.primary.create(name).split("?")[0].rsplit("/", 1)[1]
        return self.url(name)

    def url(self, database: str) -> str:
        """The address of whichever of the two takes writes."""
        hosts = "&".join(f"host={each.directory}" for each in (self.primary, self.standby))
        return f"postgresql+psycopg://postgres@/{database}?{hosts}&target_session_attrs=read-write"

    def fail_over(self, *, fast: bool = False) -> None:
        """The primary stops, at once or in good order, the standby takes its place and the old one follows the new."""
        self.promote(fast=fast)
        self.follow()

    def promote(self, *, fast: bool = False) -> None:
        """The first half of it: the standby is the primary, alone."""
        self.primary.stop(fast=fast)
        self.primary, self.standby = self.standby, self.primary
        self.primary.query(f"SELECT pg_promote(true, {START_SECONDS:.0f})")

    def follow(self) -> None:
        """Makes the standby anew, from what the primary has, and returns once it follows."""
        shutil.rmtree(self.standby.data, ignore_errors=True)
        source = f"host={self.primary.directory} user=postgres"
        self.standby.run("pg_basebackup", "-d", source, "-D", self.standby.data, "-R", "-c", "fast", "--no-sync")
        self.standby.start()
        until = time.monotonic() + START_SECONDS
        while not self.primary.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.02)  # nothing to wait on: the primary's own view says so
        self.primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.query("SELECT pg_reload_conf()")


@contextmanager
def running_pair(settings: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """Starts both, and stops them afterwards. RuntimeError, with the server's own words, where one does not start."""
    wanted = {"synchronous_commit": "on", "hot_standby": "on", **(settings or {})}
    with running_postgres(settings=wanted) as first, server_directory(first.binaries) as (directory, found, account):
        second = Postgres(directory, found, account, SETTINGS | wanted)
        pair = Pair(first, second)
        try:
            pair.follow()
            yield pair
        finally:
            second.stop()
