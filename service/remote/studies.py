"""What the service sends of studies, as frozen dataclasses, and how they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from service.remote.answers import Estimate, Gain, TemperatureSet
from service.remote.documents import Progress, Reason, read_document
from service.remote.sending import document
from service.remote.transport import Transport

if TYPE_CHECKING:
    from thermowell.api.guidance import Guidance

CellState = Literal[
    "queued", "running", "paused", "confirming", "analysing", "completed", "cancelled", "failed", "deleted"
]


@dataclass(frozen=True, slots=True)
class StudyCell:
    """One crossing of levels: its job and, once that is completed, what it answers."""

    number: int
    levels: dict[str, str]
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
    """Jobs that differ in the levels of factors; `jobs` counts them by state."""

    id: str
    name: str
    labels: dict[str, str]
    owner: str
    state: Literal["running", "completed", "failed", "cancelled"]
    factors: dict[str, list[str]]
    design: dict[str, Any]
    replicates: int
    jobs: dict[str, int]
    created_at: datetime
    updated_at: datetime
    unreadable: str | None = field(default=None, kw_only=True)

    @property
    def ended(self) -> bool:
        """Whether all of its jobs have."""
        return self.state != "running"


@dataclass(frozen=True, slots=True)
class StudyDetail(Study):
    """A study with its cells, and with what it was asked for."""

    spec: dict[str, Any]
    cells: list[StudyCell]


class Studies:
    """The part of a client that speaks of studies, which are named by their id or by what a method answered."""

    http: Transport

    def submit_study(
        self,
        study: Mapping[str, Any] | Path | str | bytes,
        *,
        media_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> StudyDetail:
        """The study that a document became, with all of its jobs; documents are given as to `submit`."""
        content, media = document(study)
        headers = {"Content-Type": media_type or media}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        return read_document(
            StudyDetail, self.http.request("POST", "/v1/studies", content=content, headers=headers).json()
        )

    def study(self, study: str | Study) -> StudyDetail:
        """A study as it is now."""
        return read_document(StudyDetail, self.http.get(_path(study)))

    def studies(self) -> Iterator[Study]:
        """Your studies, newest first; an admin sees everybody's."""
        cursor: str | None = None
        while True:
            page = self.http.get("/studies", cursor=cursor, limit=200)
            for item in page["items"]:
                yield read_document(Study, item)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def extend_study(
        self, study: str | Study, more: Mapping[str, Any] | Path | str | bytes, *, media_type: str | None = None
    ) -> StudyDetail:
        """Adds factors, levels or repeats: what is there stays as it is."""
        content, media = document(more)
        headers = {"Content-Type": media_type or media}
        answer = self.http.request("POST", f"/v1{_path(study)}/extend", content=content, headers=headers)
        return read_document(StudyDetail, answer.json())

    def cancel_study(self, study: str | Study) -> StudyDetail:
        """Ends all of its jobs that have not ended."""
        return read_document(StudyDetail, self.http.post(f"{_path(study)}/cancel"))

    def guidance(self, study: str | Study) -> Guidance:
        """Which factors move the best T. Refused with the slug `not-ready` before the first cell is answered."""
        from thermowell.api.guidance import Guidance  # here: other methods do without what reads it

        return Guidance.model_validate(self.http.get(f"{_path(study)}/guidance"))


def _path(study: str | Study) -> str:
    return f"/studies/{quote(study if isinstance(study, str) else study.id, safe='')}"
