"""API keys as they are sent: who they are, what they may have at once, and what they have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from thermowell.api.document import Record

Scope = Literal["read", "submit", "train", "dashboard", "admin"]
Scopes = Annotated[list[Scope], BeforeValidator(sorted)]


@dataclass(frozen=True, slots=True)
class Quota(Record):
    """How much one key has, or may have, at once; null where there is no limit."""

    jobs: Annotated[int | None, Field(description="jobs that have not ended")]
    trials: Annotated[int | None, Field(description="search trials in the budgets of these jobs")]
    parallel: Annotated[int | None, Field(description="trials under way")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Record):
    """An API key without its secret."""

    id: str
    name: str
    scopes: Scopes
    quota: Quota
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    trains_for: Annotated[
        str | None, Field(description="the owner whose trials it may train, where that is another key")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated(Key):
    """A new key with its secret, which is shown here and never again."""

    secret: str


@dataclass(frozen=True, slots=True)
class Me(Record):
    """Whom the service takes the caller for."""

    id: str
    name: str
    scopes: Scopes
    quota: Annotated[Quota, Field(description="what the key may have at once")]
    used: Annotated[Quota, Field(description="what it has of that now")]
