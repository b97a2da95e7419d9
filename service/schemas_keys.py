"""What the API sends and takes of keys: who they are, what they may have at once, and what they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel, Field, field_validator

from search.records import Quota, Scope
from service.schemas import In, Out


class QuotaOut(Out):
    """How much one key has, or may have, at once; null where there is no limit."""

    jobs: int | None = Field(description="jobs that have not ended")
    trials: int | None = Field(description="search trials in the budgets of these jobs")
    parallel: int | None = Field(description="trials under way")


class KeyOut(Out):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    quota: QuotaOut
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @field_validator("scopes", mode="before")
    @classmethod
    def _in_order(cls, scopes: Iterable[Scope]) -> list[Scope]:
        return sorted(scopes)


class KeyList(BaseModel):
    """All keys, revoked ones too."""

    items: list[KeyOut]


class KeyCreated(KeyOut):
    """A new key with its secret, which is shown here and never again."""

    secret: str


class QuotaRequest(In):
    """How much a key may have at once; what is left out, or null, has no limit."""

    jobs: int | None = Field(None, ge=1, lt=2**31, description="jobs that have not ended")
    trials: int | None = Field(None, ge=1, lt=2**31, description="search trials in the budgets of these jobs")
    parallel: int | None = Field(None, ge=1, lt=2**31, description="trials under way")

    def quota(self) -> Quota:
        """The quota as the search knows it."""
        return Quota(jobs=self.jobs, trials=self.trials, parallel=self.parallel)


class KeyRequest(In):
    """A key to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")
    scopes: list[Scope] = Field(min_length=1, max_length=4, description="submit and dashboard include read")
    quota: QuotaRequest = Field(
        QuotaRequest(), description="what is left out here is as the operator has decided for new keys; null: no limit"
    )

    def quota_over(self, usual: Quota) -> Quota:
        """The key's quota: what was named, and what is usual for the rest."""
        return replace(usual, **{name: getattr(self.quota, name) for name in sorted(self.quota.model_fields_set)})


class Me(BaseModel):
    """Whom the service takes the caller for."""

    id: str
    name: str
    scopes: list[Scope]
    quota: QuotaOut = Field(description="what the key may have at once")
    used: QuotaOut = Field(description="what it has of that now")
