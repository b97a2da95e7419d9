"""The input of `python -m search.analysis.job`: a job and its trials, as JSON. Light: no numerics are loaded here."""

from __future__ import annotations

from datetime import datetime
from importlib.util import find_spec
from typing import Any

from search.records import Trial
from thermowell.api.document import Document

PROGRAM = ("-m", "search.analysis.job")
"""To be run by this Python."""


class Question(Document):
    """See build.build_interim; `spec` as it stands in the job's record."""

    job_id: str
    event: int
    spec: dict[str, Any]
    trials: list[Trial]
    teacher: dict[str, Any] | None
    search_stopped: bool
    test_seen_before: bool
    wall_seconds: float
    now: datetime


def interim_possible() -> bool:
    """Whether this installation has what the program computes with (the extra `analysis`, part of `worker`)."""
    return all(find_spec(name) is not None for name in ("scipy", "threadpoolctl"))
