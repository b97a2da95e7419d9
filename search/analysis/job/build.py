"""The answer to a job, from its trials alone: the front door of this room, at the end and while a job goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from search.analysis.job import wording
from search.analysis.job.best_of_slice import gains_over_best
from search.analysis.job.cautions import Evidence, cautions
from search.analysis.job.field import edged_surface
from search.analysis.job.fits import Fit, fit_each
from search.analysis.job.gains import Finals
from search.analysis.job.images import Right
from search.analysis.job.importance import importances
from search.analysis.job.interactions import interactions
from search.analysis.job.joint_surface import answer_surface
from search.analysis.job.observations import softness_seen
from search.analysis.job.options import contest_of
from search.analysis.job.response import temperature_response
from search.analysis.job.sanity import Checked, sanity
from search.analysis.job.selection import selections
from search.analysis.job.sensible import beyond_bounds, clamped
from search.analysis.job.shortfall import shortfall
from search.analysis.job.verdict import decide
from search.analysis.job.verdict_words import verdict_of
from search.records import Report, Trial
from search.spec.job import JobSpec
from search.states import TERMINAL_TRIALS, Arm, Stage
from search.surrogate.surface import Surface
from thermowell.api.answers import Finalists, Gain, Interim, Interval, Result, Sanity, TemperatureResponse, Verdict
from thermowell.api.document import Document

CLAMPED = "The answer is computed as near to it as makes sense."


@dataclass(frozen=True, slots=True)
class _Job:
    """A job as its answer is computed from it: what is stored of it, and the surface over its trials.

    `spec` is brought within today's bounds, `original` is as it was stored.
    """

    job_id: str
    spec: JobSpec
    original: JobSpec
    trials: Sequence[Trial]
    teacher: Mapping[str, Any] | None
    search_stopped: bool
    test_seen_before: bool
    wall_seconds: float
    now: datetime
    surface: Surface | None
    whole: Surface | None
    fits: Mapping[str, Fit]
    finalists: Finalists | None = None
    right: Right | None = None
    curves: Mapping[int, Sequence[Report]] = field(default_factory=dict)
    test_sealed: bool = False

    def response(self, softness: Sequence[tuple[float, float]], verdict: Verdict | None) -> TemperatureResponse:
        """The temperature response, whose set of the best holds what is recommended and what the search chose."""
        return temperature_response(
            self.job_id, self.spec, self.trials, self.fits, softness, self.now, holds=self._chosen(verdict)
        )

    def verdict(self) -> tuple[Verdict | None, list[Sanity]]:
        """What to do, None where no fresh seed has ended well; and what is wrong with what it was searched with."""
        contest = contest_of(self.spec, self.trials, self.surface, self.fits)
        decision = None if contest is None else decide(contest.field)
        entry = None if contest is None or decision is None else contest.entries[decision.place]
        findings = sanity(Checked(self.spec, self.trials, self.teacher, contest, entry, self.curves))
        if contest is None or decision is None:
            return None, findings
        return verdict_of(self.spec, contest, decision), findings

    def _chosen(self, verdict: Verdict | None) -> list[float]:
        newest = max((trial.round for trial in self.trials if trial.stage is Stage.ESTIMATE), default=0)
        winners = [trial for trial in self.trials if (trial.variant, trial.round) == ("winner", newest)]
        temperatures = {float((trial.configuration or {})["temperature"]) for trial in winners}
        if verdict is not None and verdict.temperature is not None:
            temperatures.add(verdict.temperature)
        return sorted(temperatures)


@dataclass(frozen=True, slots=True)
class Answer:
    """A job's answer but for the test part, of which neither the verdict nor a surface knows anything."""

    _job: _Job
    _verdict: Verdict | None
    _findings: Sequence[Sanity]

    @property
    def undecided(self) -> bool:
        """Whether the verdict is that nothing is decided: then the test part stays sealed until it is asked for."""
        return self._verdict is not None and self._verdict.kind == "undecided"

    def documents(
        self,
        softness: Sequence[tuple[float, float]],
        trials: Sequence[Trial] | None = None,
        right: Right | None = None,
        test_sealed: bool = False,
    ) -> dict[str, Document]:
        """The documents `result`, `response`, `importances` and `interactions`.

        `softness` pairs T with the mean entropy (nats) of the teacher's softmax at T; `trials` are the same ones with
        what their students reached on the test part, and `right`, by number of estimate trials, says which test images
        they got right. The same trials give the same documents, but for `computed_at`.
        Raises ValueError where no estimate trial of the winner exists.
        """
        job = replace(self._job, trials=trials or self._job.trials, right=right, test_sealed=test_sealed)
        response = job.response(softness, self._verdict)
        return {
            "result": _result(job, response, self._verdict, self._findings),
            "response": response,
            "importances": importances(job.job_id, job.spec, job.trials, job.now),
            "interactions": interactions(job.job_id, job.spec, job.fits, job.now),
        }


def answer_of(
    *,
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    teacher: Mapping[str, Any] | None,
    search_stopped: bool,
    test_seen_before: bool,
    wall_seconds: float,
    now: datetime,
    finalists: Finalists | None = None,
    curves: Mapping[int, Sequence[Report]] | None = None,
) -> Answer:
    """The answer of a job whose confirmation has ended, as far as it goes without the test part.

    `trials` are all of the job's, of every stage, state and round; of select and estimate trials the newest round
    decides. `teacher` is what the job knows of it (trainers.spec.TeacherFacts), `finalists` what was stored when they
    were chosen, and `curves`, by number of estimate trials, their epochs.
    """
    bounded = clamped(spec)
    surface = answer_surface(bounded, trials)
    fits = fit_each(bounded, trials, surface)
    job = _Job(
        job_id, bounded, spec, trials, teacher, search_stopped, test_seen_before, wall_seconds, now, surface,
        edged_surface(bounded, trials), fits, finalists, curves=curves or {},
    )  # fmt: skip
    return Answer(job, *job.verdict())


def build_documents(
    *, softness: Sequence[tuple[float, float]], right: Right | None = None, **inputs: Any
) -> dict[str, Document]:
    """The documents of a job whose test part is open, if it has one: `answer_of` and `Answer.documents` in one."""
    return answer_of(**inputs).documents(softness, right=right)


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
    bounded = clamped(spec)
    surface = answer_surface(bounded, trials)
    fits = fit_each(bounded, trials, surface)
    newest = max((trial.round for trial in trials), default=0)  # what an extended job answered before is past
    current = [trial for trial in trials if trial.round == newest or trial.stage in (Stage.SEARCH, Stage.BASELINE)]
    ready = any(trial.variant == "winner" and trial.state in TERMINAL_TRIALS for trial in current)
    whole = edged_surface(bounded, trials) if ready else None
    job = _Job(
        job_id, bounded, spec, current, teacher, search_stopped, test_seen_before, wall_seconds, now, surface, whole,
        fits,
    )  # fmt: skip
    verdict, findings = job.verdict() if ready else (None, [])
    response = replace(job, trials=trials).response(softness_seen(trials), verdict)
    return Interim(
        event=event,
        result=_result(job, response, verdict, findings) if ready else None,
        response=response,
        importances=importances(job_id, bounded, trials, now),
        interactions=interactions(job_id, bounded, fits, now),
    )


def _result(job: _Job, response: TemperatureResponse, verdict: Verdict | None, findings: Sequence[Sanity]) -> Result:
    spec, trials = job.spec, job.trials
    metric, confidence = spec.objective.metric, spec.confirmation.confidence
    trained = [trial for trial in trials if trial.imported is None]
    finals = Finals(trials, job.right, spec.objective)
    winner = finals.contestant(Arm.JOINT, "winner", metric, confidence)
    assert winner is not None  # Finals has made sure of it
    baselines = finals.baselines(metric, confidence)
    over_best = gains_over_best(spec, trials, winner.configuration.stored(), job.whole)
    gains = [_beside(gain, over_best) for gain in finals.gains(spec)]
    behind = (
        None if winner.validation.mean is None else shortfall(spec, trials, winner.configuration.stored(), job.surface)
    )
    evidence = Evidence(
        spec, trials, winner, baselines, gains, response, job.teacher, job.search_stopped, job.test_seen_before,
        job.test_sealed,
    )  # fmt: skip
    return Result(
        job_id=job.job_id,
        metric=metric,
        unit=spec.objective.unit,
        direction=spec.objective.direction,
        winner=winner,
        baselines=baselines,
        gains=gains,
        selection=selections(spec, trials, job.finalists),
        shortfall=behind,
        verdict=verdict,
        sanity=list(findings),
        summary=wording.summary(spec, winner, gains, behind, response, verdict),
        estimand=wording.estimand(spec, spec.confirmation.estimate_seeds),
        conventions=wording.conventions(spec),
        cautions=[*cautions(evidence), *(f"{sentence} {CLAMPED}" for sentence in beyond_bounds(job.original))],
        test_seen_before=job.test_seen_before,
        test_sealed=job.test_sealed,
        teacher=None if job.teacher is None else dict(job.teacher),
        search_trials=sum(trial.stage is Stage.SEARCH for trial in trained),
        trials=len(trained),
        epochs=sum(trial.epoch for trial in trained),
        wall_seconds=job.wall_seconds,
        computed_at=job.now.isoformat(),
    )


def _beside(gain: Gain, over_best: Mapping[Arm, tuple[float, Interval]]) -> Gain:
    """The gain with what is expected over the best settings of its baseline's slice, where that is a tuned one."""
    expected = over_best.get(Arm(gain.over)) if gain.variant == "tuned" else None
    if expected is None:
        return gain
    return gain.model_copy(update={"over_best": expected[0], "over_best_interval": expected[1]})
