# Made from thermowell/aio by tests/thermowell/test_sync.py: change that file, and write this one anew.
"""The part of the client that speaks of studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thermowell.api.document import read_document
from thermowell.api.guidance import Guidance
from thermowell.api.studies import Study, StudyDetail
from thermowell.parts import Part
from thermowell.sending import document
from thermowell.sync.transport import Transport


class Studies:
    """The part of a client that speaks of studies, which are named by their id or by what a method answered."""

    http: Transport

    def submit_study(
        self,
        study: Mapping[str, Any] | Part | Path | str | bytes,
        *,
        media_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> StudyDetail:
        """The study that a thermowell.StudySpec or a document became, with all of its jobs, given as to `submit`."""
        content, media = document(study)
        headers = {"Content-Type": media_type or media}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        return read_document(
            StudyDetail, (self.http.request("POST", "/v1/studies", content=content, headers=headers)).json()
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
        self, study: str | Study, more: Mapping[str, Any] | Part | Path | str | bytes, *, media_type: str | None = None
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
        return read_document(Guidance, self.http.get_computed(f"{_path(study)}/guidance"))


def _path(study: str | Study) -> str:
    return f"/studies/{quote(study if isinstance(study, str) else study.id, safe='')}"
