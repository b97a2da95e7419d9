"""What the API sends and takes of keys: who they are, what they may have at once, and what they have."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field

from search.records import Quota, Scope
from service.schemas import In
from thermowell.api.keys import Key


class KeyList(BaseModel):
    """All keys, revoked ones too."""

    items: list[Key]


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
