"""Studies as they are sent: jobs that differ in the levels of factors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from thermowell.api.answers import Estimate, Gain, TemperatureSet
from thermowell.api.document import Readable, Record
from thermowell.api.jobs import Progress, Reason

StudyState = Literal["running", "completed", "failed", "cancelled"]
CellState = Literal[
    "queued", "running", "paused", "confirming", "analysing", "completed", "cancelled", "failed", "deleted"
]


@dataclass(frozen=True, slots=True)
class StudyCell(Record):
    """One crossing of levels: its job and, once that is completed, what it answers."""

    number: int
    levels: Annotated[dict[str, str], Field(description="by factor the name of its level")]
    replicate: Annotated[int, Field(description="0 is the base's own split, teacher and seeds")]
    job_id: str
    state: Annotated[CellState, Field(description="the job's; `deleted` where there is none any more")]
    problem: Annotated[Reason | None, Field(description="why the job failed")]
    progress: Progress | None
    best_temperature: float | None
    best: Annotated[
        TemperatureSet | None, Field(description="where the best T lies; censored at an end of the searched range")
    ]
    gain: Annotated[Gain | None, Field(description="over T = 4 at its own best settings")]
    quality: Annotated[Estimate | None, Field(description="the winner's, on the test part where that was read")]
    verdict: Annotated[str | None, Field(description="what to do in this cell, in a sentence")] = None


@dataclass(frozen=True, slots=True)
class Allotted(Record):
    """How many of its trials an adaptive study has handed out to its cells."""

    trials: Annotated[int, Field(description="search trials that its cells have, those that each began with included")]
    total: Annotated[int, Field(description="search trials that its cells bring: its budget")]
    more: Annotated[bool, Field(description="whether more may be handed out")]

    @property
    def left(self) -> int:
        """Trials that may still be handed out."""
        return max(0, self.total - self.trials) if self.more else 0

    @property
    def words(self) -> str:
        """How far it is; and where it ended early, why."""
        if self.trials >= self.total:
            return f"all {self.trials:,} are handed out"
        words = f"{self.trials:,} of {self.total:,} are handed out"
        return words if self.more else f"{words}, and the others would tell no more or have no cell to go to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study(Readable):
    """Jobs that differ in the levels of factors."""

    id: str
    name: str
    labels: dict[str, str]
    owner: Annotated[str, Field(description="id of the key that submitted it; `local` where the service is open")]
    state: Annotated[
        StudyState, Field(description="running until every job has ended; then what became of the best of them")
    ]
    factors: Annotated[dict[str, list[str]], Field(description="by factor the names of its levels")]
    design: dict[str, Any]
    replicates: int
    jobs: Annotated[dict[str, int], Field(description="how many of its jobs are in each state")]
    created_at: datetime
    updated_at: Annotated[datetime, Field(description="when it was submitted or last extended")]
    trials: Annotated[
        Literal["search", "grid", "adaptive"],
        Field(
            description="how the trials of every cell are chosen: by its own search, on a grid that all share, or on "
            "one whose trials go where they tell most"
        ),
    ] = "search"
    allotted: Annotated[
        Allotted | None, Field(description="of an adaptive study, in its own document; null in a list of studies")
    ] = None

    @property
    def ended(self) -> bool:
        """Whether all of its jobs have."""
        return self.state != "running"

    @property
    def trials_in_words(self) -> str:
        """What the trials of all cells have in common; nothing where each searches by itself."""
        return {
            "search": "",
            "grid": "trials on a grid, the same in every cell",
            "adaptive": "trials on a grid, most of them where they tell most",
        }[self.trials]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDetail(Study):
    """A study with its cells, and with what it was asked for."""

    spec: Annotated[dict[str, Any], Field(description="the study as it is now, with each cell's budget in its base")]
    cells: list[StudyCell]
