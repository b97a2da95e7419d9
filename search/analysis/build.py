"""The answer to a job, from its trials alone: the front door of this room, called when confirmation has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from search.analysis import wording
from search.analysis.cautions import Evidence, cautions
from search.analysis.gains import Finals
from search.analysis.importance import importances
from search.analysis.response import temperature_response
from search.answer import Document, Result
from search.records import Trial
from search.spec import JobSpec
from search.states import Arm, Stage


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
) -> dict[str, Document]:
    """The documents `result`, `response` and `importances` of a job whose confirmation has ended.

    `trials` are all of the job's, of every stage, state and round; of select and estimate trials the newest round
    decides. `softness` pairs T with the mean entropy (nats) of the teacher's softmax at T; `teacher` is what the job
    knows of it (trainers.spec.TeacherFacts). The same trials give the same documents, but for `computed_at`.
    Raises ValueError where no estimate trial of the winner exists.
    """
    response = temperature_response(job_id, spec, trials, softness, now)
    confidence = spec.confirmation.confidence
    finals = Finals(trials)
    winner = finals.contestant(Arm.JOINT, "winner", confidence)
    assert winner is not None  # Finals has made sure of it
    baselines = finals.baselines(confidence)
    sign = 1 if spec.objective.direction == "maximize" else -1
    gains = finals.gains(spec.objective.metric, sign, confidence)
    evidence = Evidence(spec, trials, winner, baselines, gains, response, teacher, search_stopped, test_seen_before)
    result = Result(
        job_id=job_id,
        metric=spec.objective.metric,
        direction=spec.objective.direction,
        winner=winner,
        baselines=baselines,
        gains=gains,
        summary=wording.summary(spec, winner, gains, response),
        estimand=wording.estimand(spec, spec.confirmation.estimate_seeds),
        conventions=wording.CONVENTIONS,
        cautions=cautions(evidence),
        test_seen_before=test_seen_before,
        search_trials=sum(trial.stage is Stage.SEARCH for trial in trials),
        trials=len(trials),
        epochs=sum(trial.epoch for trial in trials),
        wall_seconds=wall_seconds,
        computed_at=now.isoformat(),
    )
    return {"result": result, "response": response, "importances": importances(job_id, spec, trials, now)}
