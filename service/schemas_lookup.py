"""Documents of the routes that look things up: workers, verdicts on specs, kinds of problems, health."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.errors import FieldError
from thermowell.api.workers import Worker


class WorkerList(BaseModel):
    """All workers that were ever seen here, alive ones first."""

    items: list[Worker]


class SpecVerdict(BaseModel):
    """What a spec would become, or why it is refused."""

    valid: bool
    spec: dict[str, Any] | None = Field(description="with every default filled in")
    errors: list[FieldError]


class ProblemKind(BaseModel):
    """What a kind of problem means."""

    type: str
    title: str
    status: int
    meaning: str


class Status(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready"]
