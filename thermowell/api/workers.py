"""Workers as they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from thermowell.api.document import Readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker(Readable):
    """A process that trains."""

    id: str
    host: str
    pid: int
    lanes: Annotated[int, Field(description="students that its engines train at once; 0 before the first trial")]
    capabilities: dict[str, Any]
    engines: Annotated[
        list[dict[str, Any]],
        Field(
            description="what it trains with now: for each problem the engine, its lanes, and the figures that chose it"
        ),
    ]
    labels: Annotated[
        list[str], Field(description="what jobs may ask of a worker: gpu or cpu, and the operator's words")
    ]
    running: Annotated[int, Field(description="trials that it holds leases of")]
    alive: bool
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Readable):
    """A command that a living agent offers."""

    agent: str
    host: str
    slots: Annotated[int, Field(description="trials that the agent trains at once")]
    command: str
    arguments: Annotated[dict[str, Any], Field(description="what a job may say for each, under trainer.arguments")]
    seen_at: datetime
