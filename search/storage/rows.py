"""Conversion of rows to records, the only place where columns and records meet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from search.records import Event, Job, Progress, Reason, Report, Trial, Trouble
from search.states import Arm, JobState, Stage, TrialState

LARGEST = 2**31 - 1  # of the numbers that users give and the database holds as integers


def study_name(job_id: str, arm: Arm = Arm.JOINT) -> str:
    """The joint search's study carries the job's id; each tuned baseline has a study of its own."""
    return f"thermowell-{job_id}" if arm is Arm.JOINT else f"thermowell-{job_id}-{arm}"


def moment(seconds: float) -> datetime:
    """Epoch seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """As `moment`; None stays None."""
    return None if seconds is None else moment(seconds)


def reason_of(document: dict[str, str] | None) -> Reason | None:
    """What `reason_json` wrote."""
    return None if document is None else Reason(**document)


def reason_json(reason: Reason | None) -> dict[str, str] | None:
    """A reason as it stands in the tables."""
    return None if reason is None else {"type": reason.type, "detail": reason.detail}


def job_of(row: Row[Any], progress: Progress, troubles: Mapping[str, Trouble] | None = None) -> Job:
    """A row of `jobs`, whole, what was counted for it, and its troubles by name, where they were asked for."""
    return Job(
        id=row.id,
        name=row.name,
        labels=row.labels,
        owner=row.owner,
        state=JobState(row.state),
        spec=row.spec,
        problem=reason_of(row.problem),
        budget_trials=row.budget_trials,
        budget_epochs=row.budget_epochs,
        budget_seconds=row.budget_seconds,
        search_stopped=row.search_stopped,
        priority=row.priority,
        parallel=row.most_parallel,
        request_id=row.request_id,
        fixed=row.fixed,
        teacher=row.teacher,
        progress=progress,
        study_name=study_name(row.id),
        test_opened_at=moment_or_none(row.test_opened_at),
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        ended_at=moment_or_none(row.ended_at),
        updated_at=moment(row.updated_at),
        advice=row.advice,
        study=row.study,
        traceparent=row.traceparent,
        **(troubles or {}),
    )


def trial_of(row: Row[Any]) -> Trial:
    """A row of `trials`, whole."""
    return Trial(
        number=row.number,
        stage=Stage(row.stage),
        arm=Arm(row.arm),
        variant=row.variant,
        round=row.round,
        origin=row.origin,
        state=TrialState(row.state),
        configuration=row.configuration,
        seed=row.seed,
        attempt=row.attempt,
        worker_id=row.worker_id,
        optuna_number=row.optuna_number,
        value=row.value,
        epoch=row.epoch,
        metrics=row.metrics,
        test_metrics=row.test_metrics,
        reason=reason_of(row.reason),
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        ended_at=moment_or_none(row.ended_at),
        train_seconds=row.train_seconds,
        advice=row.advice,
    )


def report_of(row: Row[Any]) -> Report:
    """A row of `reports`."""
    return Report(
        epoch=row.epoch,
        train_loss=row.train_loss,
        learning_rate=row.learning_rate,
        accuracy=row.accuracy,
        nll=row.nll,
        ece=row.ece,
        teacher_agreement=row.teacher_agreement,
        teacher_entropy=row.teacher_entropy,
        seconds=row.seconds,
    )


def event_of(row: Row[Any]) -> Event:
    """A row of `events`."""
    return Event(number=row.number, kind=row.kind, at=moment(row.at), payload=row.payload)
