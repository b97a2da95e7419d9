"""What is remembered of a study, as frozen records: what every function that reads one answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from search.records import Progress, Reason
from search.states import TERMINAL_JOBS, JobState
from thermowell.api.answers import Estimate, Gain, TemperatureSet

StudyState = Literal["running", "completed", "failed", "cancelled"]
CellState = JobState | Literal["deleted"]


@dataclass(frozen=True, slots=True)
class StudyCell:
    """A cell with its job and, once that is completed, what it answers.

    `best` is the set in which the best temperature lies; `gain` what another T gains over T = 4, each at its
    best; `quality` the winner's, on the test part where that was read, else on validation; `verdict` says what to do.
    """

    number: int
    levels: Mapping[str, str]
    replicate: int
    job_id: str
    state: CellState
    problem: Reason | None
    progress: Progress | None
    best_temperature: float | None
    best: TemperatureSet | None
    gain: Gain | None
    quality: Estimate | None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """Jobs that differ in the levels of factors. `jobs` counts its cells by the state of their jobs."""

    id: str
    name: str
    labels: Mapping[str, str]
    owner: str
    state: StudyState
    factors: Mapping[str, Sequence[str]]
    design: Mapping[str, Any]
    replicates: int
    jobs: Mapping[CellState, int]
    created_at: datetime
    updated_at: datetime
    unreadable: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class StudyDetail(Study):
    """A study with its cells, and with what it was asked for."""

    spec: Mapping[str, Any]
    cells: Sequence[StudyCell]


def state_of(counts: Mapping[CellState, int]) -> StudyState:
    """Running until every job has ended; then what became of the best of them."""
    if any(count for state, count in counts.items() if state != "deleted" and state not in TERMINAL_JOBS):
        return "running"
    if counts.get(JobState.COMPLETED) or counts.get("deleted"):
        return "completed"
    return "failed" if counts.get(JobState.FAILED) else "cancelled"
