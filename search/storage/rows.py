"""Conversion of rows to records, the only place where columns and records meet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from search import configurations, units
from search.records import Event, Job, Progress, Reason, Report, Trial, Trouble
from search.states import Arm, JobState, Stage, TrialState
from search.storage.stored import BROKEN, note_unreadable

_NUMBERS = (int, float, type(None))
LONGEST = 10_000  # characters of a reason's detail
LARGEST = 2**31 - 1  # of the numbers that users give and the database holds as integers


def optuna_study_name(job_id: str, arm: Arm = Arm.JOINT) -> str:
    """The joint search's study carries the job's id; each tuned baseline has a study of its own."""
    return f"thermowell-{job_id}" if arm is Arm.JOINT else f"thermowell-{job_id}-{arm}"


def moment(seconds: float) -> datetime:
    """Epoch seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """As `moment`; None stays None."""
    return None if seconds is None else moment(seconds)


def reason_of(document: dict[str, str] | None) -> Reason | None:
    """What `reason_json` wrote; what it did not write is a reason that cannot be read."""
    if document is None:
        return None
    try:
        return Reason(str(document["type"]), str(document["detail"]))
    except (KeyError, TypeError) as error:
        note_unreadable(f"the reason {str(document)[:80]}", error)
        return Reason("unreadable", "a reason is stored, and cannot be read: see the service's log")


def reason_json(reason: Reason | None) -> dict[str, str] | None:
    """A reason as it stands in the tables: of some length, in characters that every database keeps."""
    return None if reason is None else {"type": reason.type, "detail": _kept(reason.detail)}


def _kept(text: str) -> str:
    whole = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}..."


def job_of(row: Row[Any], progress: Progress, troubles: Mapping[str, Trouble] | None = None) -> Job:
    """A row of `jobs`, whole, what was counted for it, and its troubles by name, where they were asked for."""
    return Job(
        id=row.id,
        name=row.name,
        labels=_mapping(row.labels, f"the labels of job {row.id}", str) or {},
        owner=row.owner,
        state=JobState(row.state),
        spec=_mapping(row.spec, f"the spec of job {row.id}") or {},
        problem=reason_of(row.problem),
        budget_trials=row.budget_trials,
        budget_epochs=row.budget_epochs,
        budget_seconds=row.budget_seconds,
        search_stopped=row.search_stopped,
        priority=row.priority,
        parallel=row.most_parallel,
        request_id=row.request_id,
        fixed=_mapping(row.fixed, f"what is fixed of job {row.id}"),
        teacher=_teacher(row),
        progress=progress,
        study_name=optuna_study_name(row.id),
        test_opened_at=moment_or_none(row.test_opened_at),
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        ended_at=moment_or_none(row.ended_at),
        updated_at=moment(row.updated_at),
        advice=_mapping(row.advice, f"the advice of job {row.id}"),
        study=row.study,
        traceparent=row.traceparent,
        unreadable=progress.unreadable,
        undrawn=(troubles or {}).get("undrawn"),
        untracked=(troubles or {}).get("untracked"),
    )


def trial_of(row: Row[Any]) -> Trial:
    """A row of `trials`, whole."""
    label = f"trial {row.number} of job {row.job_id}"
    return Trial(
        number=row.number,
        stage=Stage(row.stage),
        arm=Arm(row.arm),
        variant=row.variant,
        round=row.round,
        origin=row.origin,
        state=TrialState(row.state),
        configuration=_configuration(row),
        seed=row.seed,
        attempt=row.attempt,
        worker_id=row.worker_id,
        optuna_number=row.optuna_number,
        value=row.value,
        epoch=row.epoch,
        metrics=_mapping(row.metrics, f"the metrics of {label}", *_NUMBERS),
        test_metrics=_mapping(row.test_metrics, f"the test metrics of {label}", *_NUMBERS),
        reason=reason_of(row.reason),
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        ended_at=moment_or_none(row.ended_at),
        train_seconds=row.train_seconds,
        advice=_advice(row, label),
        log_tail=row.log_tail,
        imported=row.imported,
    )


def _mapping(value: Any, label: str, *kinds: type) -> dict[str, Any] | None:
    """A value of a column that holds names with values, each of one of these kinds where any is said; none, which is
    noted, where something else is there.
    """
    if value is None:
        return None
    if isinstance(value, dict) and (not kinds or all(isinstance(item, kinds) for item in value.values())):
        return value
    note_unreadable(label, TypeError(f"got {str(value)[:80]}"))
    return None


def _teacher(row: Row[Any]) -> dict[str, Any] | None:
    """What is known of a job's teacher."""
    facts = _mapping(row.teacher, f"the teacher of job {row.id}")
    if facts is None or _mapping(facts.get("validation", {}), f"the teacher of job {row.id}", *_NUMBERS) is None:
        return None
    return facts


def _advice(row: Row[Any], label: str) -> dict[str, Any] | None:
    """Who advised a trial."""
    advice = _mapping(row.advice, f"the advice of {label}")
    if advice is None or (advice.get("origin") in units.ADVISED and isinstance(advice.get("source"), str)):
        return advice
    note_unreadable(f"the advice of {label}", ValueError(str(advice)[:80]))
    return None


def _configuration(row: Row[Any]) -> Mapping[str, Any] | None:
    """As it is stored; none, which is noted, where it is no configuration."""
    if row.configuration is None:
        return None
    try:
        configurations.from_json(row.configuration)
        float(row.configuration["temperature"])
    except BROKEN as error:
        note_unreadable(f"the configuration of trial {row.number} of job {row.job_id}", error)
        return None
    return dict(row.configuration)


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
        metrics=_mapping(row.metrics, f"the metrics of epoch {row.epoch}", *_NUMBERS),
    )


def event_of(row: Row[Any]) -> Event:
    """A row of `events`."""
    return Event(
        number=row.number,
        kind=row.kind,
        at=moment(row.at),
        payload=_mapping(row.payload, f"event {row.number} of job {row.job_id}") or {},
    )
