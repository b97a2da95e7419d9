"""Records of studies: documents of the API, as functions that read rows make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search.records import Progress
from search.states import TERMINAL_JOBS, JobState
from thermowell.api import studies
from thermowell.api.studies import StudyState

CellState = JobState | Literal["deleted"]


@dataclass(frozen=True, slots=True)
class StudyCell(studies.StudyCell):
    """A cell with its job and, once that is completed, what it answers.

    `best` is the set in which the best temperature lies; `gain` what another T gains over T = 4, each at its
    best; `quality` the winner's, on the test part where that was read, else on validation; `verdict` says what to do.
    """

    state: CellState  # type: ignore[assignment]
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study(studies.Study):
    """Jobs that differ in the levels of factors, counted by the state that each is in."""

    jobs: Mapping[CellState, int]  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
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
