"""Agents and the commands that they offer, with a heartbeat: beside the workers, and none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from search.claims.workers import AGENTS, is_heard
from search.errors import Unreadable
from search.records import Principal
from search.storage.db import Database, now_sql
from search.storage.rows import moment
from search.storage.stored import finite, readable
from search.storage.tables import keys, workers
from thermowell.agent.commands import Argument, settled
from thermowell.api.workers import Offer
from thermowell.errors import AgentError

SILENT_SECONDS = 60.0
"""An agent that is not heard of for so long offers nothing any more."""


@dataclass(frozen=True, slots=True)
class LivingOffer:
    """A command that a living agent runs, and for whose jobs: everybody's, unless `owners` has some."""

    shown: Offer
    owners: frozenset[str] | None

    def serves(self, owner: str) -> bool:
        """Whether jobs of this owner may be trained."""
        return self.owners is None or owner in self.owners

    def refusal(self, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with a job's arguments, if anything."""
        with readable(f"the arguments of {self.shown.command}"):
            rules = {name: Argument.model_validate(rule) for name, rule in self.shown.arguments.items()}
        try:
            settled(rules, arguments)
        except AgentError as error:
            return str(error)
        return None


def agent_seen(
    db: Database, principal: Principal, name: str, host: str, slots: int, commands: Mapping[str, Mapping[str, Any]]
) -> None:
    """Notes that an agent is alive, and what it offers: at its start and with each heartbeat."""
    values: dict[str, Any] = {"host": host[:255], "pid": 0, "lanes": slots, "engines": [], "labels": []}
    owner = None if principal.may("admin") else principal.trains_of
    values["capabilities"] = finite({"commands": dict(commands), "owner": owner, "name": name})
    values |= {"seen_at": now_sql(), "silent_at": now_sql() + SILENT_SECONDS, "stopped_at": None}
    with db.write() as connection:
        row_id = _row_id(principal, name)
        if not connection.execute(update(workers).where(workers.c.id == row_id).values(**values)).rowcount:
            connection.execute(insert(workers).values(id=row_id, started_at=now_sql(), **values))


def agent_stopped(db: Database, principal: Principal, name: str) -> None:
    """Notes that an agent has ended, or offers nothing any more."""
    with db.write() as connection:
        mine = workers.c.id == _row_id(principal, name)
        connection.execute(update(workers).where(mine).values(stopped_at=now_sql()))


def offers(connection: Connection) -> list[LivingOffer]:
    """What living agents offer, by command."""
    names: dict[str, set[str]] = {}
    for key in connection.execute(select(keys.c.id, keys.c.name).where(keys.c.revoked_at.is_(None))):
        names.setdefault(key.name, set()).add(key.id)
    living: list[LivingOffer] = []
    for row in connection.execute(select(workers).where(AGENTS, is_heard()).order_by(workers.c.id)):
        with suppress(Unreadable), readable(f"what an agent says of itself: {str(row.capabilities)[:80]}"):
            own_words, owner = row.capabilities, row.capabilities["owner"]
            for command, terms in own_words["commands"].items():
                owners = _owners(owner, terms.get("owners"), names)
                shown = Offer(
                    agent=own_words["name"], host=row.host, slots=row.lanes, command=command,
                    arguments=terms.get("arguments") or {}, seen_at=moment(row.seen_at),
                )  # fmt: skip
                living.append(LivingOffer(shown, owners))
    return sorted(living, key=lambda offer: offer.shown.command)


def list_offers(db: Database, principal: Principal) -> list[Offer]:
    """What living agents offer to a principal's jobs."""
    with db.read() as connection:
        every = offers(connection)
    return [offer.shown for offer in every if principal.may("admin") or offer.serves(principal.id)]


def missing(command: str, owner: str, living: Sequence[LivingOffer]) -> str | None:
    """What is missing for a job of an owner that names a command, where no living agent offers it."""
    if any(offer.shown.command == command and offer.serves(owner) for offer in living):
        return None
    return f"an agent that offers the command {command}: start one with `thermowell agent --commands FILE`"


def _owners(owner: str | None, allowed: Sequence[str] | None, names: Mapping[str, set[str]]) -> frozenset[str] | None:
    """The ids of those whose jobs are trained: by the agent's key, and by the operator's list of ids and names."""
    if allowed is None:
        return None if owner is None else frozenset({owner})
    ids = {key for name in allowed for key in names.get(name, set()) | {name}}
    return frozenset(ids if owner is None else ids & {owner})


def _row_id(principal: Principal, name: str) -> str:
    return f"agent:{principal.id}:{name}"
