"""A failover among the faults of a chaos run: a primary and its standby in the place of one server. Where the database
would be restarted, the standby takes over instead and the old primary comes back as the standby of the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.postgres import Postgres
from tests.standby import Pair


@dataclass(slots=True)
class Restarted:
    """One server, which stops at once and starts again."""

    server: Postgres
    kind: str = "restart"

    @property
    def directory(self) -> str:
        """Where it is reached."""
        return str(self.server.directory)

    def create(self, name: str) -> str:
        """Creates a database and answers its URL."""
        return self.server.create(name)

    def strike(self) -> None:
        """What befalls it."""
        self.server.stop()
        self.server.start()


@dataclass(slots=True)
class FailedOver:
    """Two servers: the one that takes writes stops, at once and in good order by turns, and the other replaces it."""

    pair: Pair
    kind: str = "failover"
    _fast: bool = False

    @property
    def directory(self) -> str:
        """Where the one that takes writes is reached."""
        return str(self.pair.directory)

    def create(self, name: str) -> str:
        """Creates a database on both and answers the URL that leads to whichever takes writes."""
        return self.pair.create(name)

    def strike(self) -> None:
        """What befalls it."""
        self.pair.fail_over(fast=self._fast)
        self._fast = not self._fast
