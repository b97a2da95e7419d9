"""What the API sends of studies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field

from service.schemas import Out, ProgressOut, Readable, ReasonOut
from thermowell.api.answers import Estimate, Gain, TemperatureSet

StudyId = Annotated[str, Path(description="a study's id", examples=["4e1d0c9b8a7f6e5d"])]
CellState = Literal[
    "queued", "running", "paused", "confirming", "analysing", "completed", "cancelled", "failed", "deleted"
]


class StudyCellOut(Out):
    """One crossing of levels: its job and, once that is completed, what it answers."""

    number: int
    levels: dict[str, str] = Field(description="by factor the name of its level")
    replicate: int = Field(description="0 is the base's own split, teacher and seeds")
    job_id: str
    state: CellState = Field(description="the job's; `deleted` where there is none any more")
    problem: ReasonOut | None = Field(description="why the job failed")
    progress: ProgressOut | None
    best_temperature: float | None
    best: TemperatureSet | None = Field(description="where the best T lies; censored at an end of the searched range")
    gain: Gain | None = Field(description="over T = 4 at its own best settings")
    quality: Estimate | None = Field(description="the winner's, on the test part where that was read")
    verdict: str | None = Field(None, description="what to do in this cell, in a sentence")


class StudyOut(Readable):
    """Jobs that differ in the levels of factors."""

    id: str
    name: str
    labels: dict[str, str]
    owner: str = Field(description="id of the key that submitted it; `local` where the service is open")
    state: Literal["running", "completed", "failed", "cancelled"] = Field(
        description="running until every job has ended; then what became of the best of them"
    )
    factors: dict[str, list[str]] = Field(description="by factor the names of its levels")
    design: dict[str, Any]
    replicates: int
    jobs: dict[str, int] = Field(description="how many of its jobs are in each state")
    created_at: datetime
    updated_at: datetime = Field(description="when it was submitted or last extended")


class StudyDetailOut(StudyOut):
    """A study with its cells, and with what it was asked for."""

    spec: dict[str, Any] = Field(description="the study as it is now, with each cell's budget in its base")
    cells: list[StudyCellOut]


class StudyPage(Out):
    """Studies, newest first."""

    items: list[StudyOut]
    next_cursor: str | None
