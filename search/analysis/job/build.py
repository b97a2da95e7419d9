"""The answer to a job, from its trials alone: the front door of this room, at the end and while a job goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from search.analysis.job import wording
from search.analysis.job.cautions import Evidence, cautions
from search.analysis.job.fits import fit_each
from search.analysis.job.gains import Finals
from search.analysis.job.images import Right
from search.analysis.job.importance import importances
from search.analysis.job.interactions import interactions
from search.analysis.job.joint_surface import answer_surface
from search.analysis.job.observations import softness_seen
from search.analysis.job.response import temperature_response
from search.analysis.job.selection import selections
from search.analysis.job.sensible import beyond_bounds, clamped
from search.analysis.job.shortfall import shortfall
from search.records import Trial
from search.spec.job import JobSpec
from search.states import TERMINAL_TRIALS, Arm, Stage
from search.surrogate.surface import Surface
from thermowell.api.answers import Finalists, Interim, Result, TemperatureResponse
from thermowell.api.document import Document

CLAMPED = "The answer is computed as near to it as makes sense."


def build_documents(
    *,
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    softness: Sequence[tuple[float, float]],
    teacher: Mapping[str, Any] | None,
    search_stopped: bool,
    test_seen_before: bool,
    wall_seconds: float,
    now: datetime,
    finalists: Finalists | None = None,
    right: Right | None = None,
) -> dict[str, Document]:
    """The documents `result`, `response`, `importances` and `interactions` of a job whose confirmation has ended.

    `trials` are all of the job's, of every stage, state and round; of select and estimate trials the newest round
    decides. `softness` pairs T with the mean entropy (nats) of the teacher's softmax at T; `teacher` is what the job
    knows of it (trainers.spec.TeacherFacts), `finalists` what was stored when they were chosen, and `right`, by number
    of estimate trials, which test images their students got right. The same trials give the same documents, but for
    `computed_at`.
    Raises ValueError where no estimate trial of the winner exists.
    """
    original, spec = spec, clamped(spec)
    surface = answer_surface(spec, trials)
    fits = fit_each(spec, trials, surface)
    response = temperature_response(job_id, spec, trials, fits, softness, now)
    result = _result(
        job_id,
        spec,
        trials,
        surface,
        response,
        teacher,
        search_stopped,
        test_seen_before,
        wall_seconds=wall_seconds,
        now=now,
        finalists=finalists,
        right=right,
        original=original,
    )
    return {
        "result": result,
        "response": response,
        "importances": importances(job_id, spec, trials, now),
        "interactions": interactions(job_id, spec, fits, now),
    }


def build_interim(
    *,
    job_id: str,
    event: int,
    spec: JobSpec,
    trials: Sequence[Trial],
    teacher: Mapping[str, Any] | None,
    search_stopped: bool,
    test_seen_before: bool,
    wall_seconds: float,
    now: datetime,
) -> Interim:
    """What the trials of an unfinished job say so far. `event` is the last one of the job that is in them.

    As `build_documents`, but the teacher's softness is known at the trials' temperatures alone, and there is no result
    before an estimate trial of the winner has ended.
    """
    original, spec = spec, clamped(spec)
    surface = answer_surface(spec, trials)
    fits = fit_each(spec, trials, surface)
    response = temperature_response(job_id, spec, trials, fits, softness_seen(trials), now)
    result = None
    newest = max((trial.round for trial in trials), default=0)  # what an extended job answered before is past
    current = [trial for trial in trials if trial.round == newest or trial.stage in (Stage.SEARCH, Stage.BASELINE)]
    if any(trial.variant == "winner" and trial.state in TERMINAL_TRIALS for trial in current):
        result = _result(
            job_id,
            spec,
            current,
            surface,
            response,
            teacher,
            search_stopped,
            test_seen_before,
            wall_seconds=wall_seconds,
            now=now,
            original=original,
        )
    return Interim(
        event=event,
        result=result,
        response=response,
        importances=importances(job_id, spec, trials, now),
        interactions=interactions(job_id, spec, fits, now),
    )


def _result(
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    surface: Surface | None,
    response: TemperatureResponse,
    teacher: Mapping[str, Any] | None,
    search_stopped: bool,
    test_seen_before: bool,
    *,
    wall_seconds: float,
    now: datetime,
    finalists: Finalists | None = None,
    right: Right | None = None,
    original: JobSpec,
) -> Result:
    metric, confidence = spec.objective.metric, spec.confirmation.confidence
    finals = Finals(trials, right)
    winner = finals.contestant(Arm.JOINT, "winner", metric, confidence)
    assert winner is not None  # Finals has made sure of it
    baselines = finals.baselines(metric, confidence)
    sign = 1 if spec.objective.direction == "maximize" else -1
    gains = finals.gains(metric, sign, confidence)
    behind = None if winner.validation.mean is None else shortfall(spec, trials, winner.configuration, surface)
    evidence = Evidence(spec, trials, winner, baselines, gains, response, teacher, search_stopped, test_seen_before)
    return Result(
        job_id=job_id,
        metric=metric,
        direction=spec.objective.direction,
        winner=winner,
        baselines=baselines,
        gains=gains,
        selection=selections(spec, trials, finalists),
        shortfall=behind,
        summary=wording.summary(spec, winner, gains, behind, response),
        estimand=wording.estimand(spec, spec.confirmation.estimate_seeds),
        conventions=wording.conventions(spec),
        cautions=[*cautions(evidence), *(f"{sentence} {CLAMPED}" for sentence in beyond_bounds(original))],
        test_seen_before=test_seen_before,
        search_trials=sum(trial.stage is Stage.SEARCH for trial in trials),
        trials=len(trials),
        epochs=sum(trial.epoch for trial in trials),
        wall_seconds=wall_seconds,
        computed_at=now.isoformat(),
    )
