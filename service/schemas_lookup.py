"""Documents of the routes that look things up: workers, verdicts on specs, kinds of problems, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.errors import FieldError
from service.schemas import Readable


class WorkerOut(Readable):
    """A process that trains."""

    id: str
    host: str
    pid: int
    lanes: int = Field(description="students that its engines train at once; 0 before the first trial")
    capabilities: dict[str, Any]
    engines: list[dict[str, Any]] = Field(
        description="what it trains with now: for each problem the engine, its lanes, and the figures that chose it"
    )
    labels: list[str] = Field(description="what jobs may ask of a worker: gpu or cpu, and the operator's words")
    running: int = Field(description="trials that it holds leases of")
    alive: bool
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None


class WorkerList(BaseModel):
    """All workers that were ever seen here, alive ones first."""

    items: list[WorkerOut]


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
