"""What should this job train next, and is it time to go on? Decisions alone: no SQL, no clock, no chance.

The ledger asks inside its own transactions, with what it counted there, and carries the answer out.
"""

from __future__ import annotations

import hashlib
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search import configurations
from search.records import Reason
from search.spec import JobSpec
from search.states import BASELINE_ARMS, TERMINAL_TRIALS, Arm, JobState, Stage, TrialState

_KINDS = (Stage.SEARCH, Stage.SELECT, Stage.ESTIMATE)  # seeds of different kinds differ modulo their number


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job as one transaction sees it.

    `counts` holds all trials by state: those of search and baseline of all rounds, those of select and estimate of
    the current `round` alone. `round` is 0 until a job whose confirmation has begun is extended; each such extension
    adds one. `search_trials` and `search_epochs` are what claims took from the budget. `seconds_left` is None
    where wall-clock is not limited.
    """

    spec: JobSpec
    state: JobState
    round: int
    search_stopped: bool
    budget_trials: int
    budget_epochs: int | None
    seconds_left: float | None
    search_trials: int
    search_epochs: int
    counts: Mapping[tuple[Stage, Arm], Mapping[TrialState, int]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that has ended, of any stage and round."""

    number: int
    stage: Stage
    arm: Arm
    round: int
    origin: int | None
    state: TrialState
    value: float | None
    configuration: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial whose configuration is known beforehand: a row to insert as waiting."""

    stage: Stage
    arm: Arm
    variant: str | None
    round: int
    origin: int
    configuration: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class NewTrial:
    """A trial that may be claimed now; Optuna is asked for its configuration. Its seed is `trial_seed`'s."""

    stage: Stage
    arm: Arm


@dataclass(frozen=True, slots=True)
class PlanRows:
    """Insert these rows as waiting; the job is confirming from now on."""

    rows: tuple[PlannedTrial, ...]


@dataclass(frozen=True, slots=True)
class MoveTo:
    """The job changes its state; `reason` where it fails."""

    state: JobState
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Running trials must end first, or somebody must act."""


Next = NewTrial | PlanRows | MoveTo | Nothing


def decide(job: JobSnapshot, finished: Callable[[], Sequence[Finished]]) -> Next:
    """What comes next where no trial is waiting; `finished` is called only where a stage has ended.

    After PlanRows and MoveTo the caller asks again. A claim carries NewTrial out; who does not claim ignores it.
    """
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        return _while_searching(job, finished)
    if job.state is JobState.CONFIRMING:
        return _while_confirming(job, finished)
    return Nothing()


def trial_seed(job_seed: int, number: int) -> int:
    """The training seed of the search or baseline trial with this number."""
    return _seed(job_seed, Stage.SEARCH, number)


def confirmation_seeds(spec: JobSpec, stage: Stage, round_: int) -> list[int]:
    """The training seeds that all contestants of a confirmation stage share, pair by pair; each round has its own."""
    size = spec.confirmation.select_seeds if stage is Stage.SELECT else spec.confirmation.estimate_seeds
    return list(itertools.islice(_distinct_seeds(spec.seed, stage), round_ * size, (round_ + 1) * size))


def baseline_trials(spec: JobSpec, search_trials: int) -> int:
    """How many trials each tuned baseline gets, on top of this many of the search: its share, at least one."""
    return max(1, round(spec.baselines.share * search_trials)) if spec.baselines.share else 0


def _while_searching(job: JobSnapshot, finished: Callable[[], Sequence[Finished]]) -> Next:
    spent = job.search_stopped or job.search_trials >= job.budget_trials
    spent = spent or (job.seconds_left is not None and job.seconds_left <= 0)
    if not spent:
        if job.budget_epochs is None or job.search_epochs + job.spec.training.epochs <= job.budget_epochs:
            return NewTrial(Stage.SEARCH, Arm.JOINT)
        if _open(job, Stage.SEARCH):
            return Nothing()  # one of them may be pruned and give epochs back
    if not job.search_stopped:
        wanted = baseline_trials(job.spec, job.search_trials)
        claimed = {arm: sum(job.counts.get((Stage.BASELINE, arm), {}).values()) for arm in BASELINE_ARMS}
        arm = min(BASELINE_ARMS, key=claimed.__getitem__)
        if claimed[arm] < wanted:
            return NewTrial(Stage.BASELINE, arm)
    if _open(job, Stage.SEARCH) or _open(job, Stage.BASELINE):
        return Nothing()
    return _confirm(job, finished())


def _confirm(job: JobSnapshot, finished: Sequence[Finished]) -> Next:
    finalists = {arm: _finalists(job.spec, finished, arm) for arm in Arm}
    if not finalists[Arm.JOINT]:
        return MoveTo(JobState.FAILED, Reason("no-trials", "no trial of the search was trained to its end"))
    rows = [
        PlannedTrial(Stage.SELECT, arm, None, job.round, trial.number, trial.configuration or {}, seed)
        for seed in confirmation_seeds(job.spec, Stage.SELECT, job.round)
        for arm, trials in finalists.items()
        if len(trials) > 1  # who stands alone has won already
        for trial in trials
    ]
    return PlanRows(tuple(rows)) if rows else _estimate(job, finished)


def _while_confirming(job: JobSnapshot, finished: Callable[[], Sequence[Finished]]) -> Next:
    if _open(job, Stage.SELECT) or _open(job, Stage.ESTIMATE):
        return Nothing()
    if any(stage is Stage.ESTIMATE and any(states.values()) for (stage, _), states in job.counts.items()):
        return MoveTo(JobState.ANALYSING)
    return _estimate(job, finished())


def _estimate(job: JobSnapshot, finished: Sequence[Finished]) -> PlanRows:
    winners = {arm: _winner(job, finished, arm) for arm in Arm}
    joint = winners[Arm.JOINT]
    if joint is None or joint.configuration is None:
        raise ValueError("a job without a completed search trial cannot be confirmed")
    contestants = [(Arm.JOINT, "winner", joint.number, dict(joint.configuration))]
    for arm in BASELINE_ARMS:
        tuned = winners[arm]
        if tuned is not None:
            contestants.append((arm, "tuned", tuned.number, dict(tuned.configuration or {})))
        same = configurations.in_arm(configurations.from_json(joint.configuration), arm)
        contestants.append((arm, "same_settings", joint.number, configurations.to_json(same)))
    return PlanRows(
        tuple(
            PlannedTrial(Stage.ESTIMATE, arm, variant, job.round, origin, configuration, seed)
            for seed in confirmation_seeds(job.spec, Stage.ESTIMATE, job.round)
            for arm, variant, origin, configuration in contestants
        )
    )


def _finalists(spec: JobSpec, finished: Sequence[Finished], arm: Arm) -> list[Finished]:
    """An arm's best distinct configurations, the best first; one that was trained twice counts by its mean."""
    stage = Stage.SEARCH if arm is Arm.JOINT else Stage.BASELINE
    values: dict[str, list[float]] = {}
    first: dict[str, Finished] = {}
    for trial in sorted(finished, key=lambda trial: trial.number):
        if (trial.stage, trial.arm, trial.state) != (stage, arm, TrialState.COMPLETED) or trial.value is None:
            continue
        point = repr(configurations.from_json(trial.configuration or {}))
        values.setdefault(point, []).append(trial.value)
        first.setdefault(point, trial)
    sign = -1.0 if spec.objective.direction == "maximize" else 1.0
    ranked = sorted(first, key=lambda point: (sign * statistics.fmean(values[point]), first[point].number))
    return [first[point] for point in ranked[: spec.confirmation.finalists]]


def _winner(job: JobSnapshot, finished: Sequence[Finished], arm: Arm) -> Finished | None:
    """The finalist with the best mean over the select seeds; any that failed on a seed stands behind all others."""
    sign = -1.0 if job.spec.objective.direction == "maximize" else 1.0
    selected = [trial for trial in finished if trial.stage is Stage.SELECT and trial.round == job.round]

    def rank(place_and_finalist: tuple[int, Finished]) -> tuple[int, float, int]:
        place, finalist = place_and_finalist
        runs = [trial for trial in selected if (trial.arm, trial.origin) == (arm, finalist.number)]
        values = [run.value for run in runs if run.state is TrialState.COMPLETED and run.value is not None]
        return len(runs) - len(values), sign * statistics.fmean(values) if values else 0.0, place

    finalists = _finalists(job.spec, finished, arm)
    return min(enumerate(finalists), key=rank)[1] if finalists else None


def _open(job: JobSnapshot, stage: Stage) -> bool:
    """Whether a trial of this stage has not ended."""
    return any(
        count and state not in TERMINAL_TRIALS
        for (of, _), states in job.counts.items()
        if of is stage
        for state, count in states.items()
    )


def _distinct_seeds(job_seed: int, stage: Stage) -> Iterator[int]:
    seen: set[int] = set()
    for index in itertools.count():
        seed = _seed(job_seed, stage, index)
        if seed not in seen:
            seen.add(seed)
            yield seed


def _seed(job_seed: int, kind: Stage, index: int) -> int:
    """Below 2**31; no seed of one kind is one of another, so that no estimate rests on a seed that chose."""
    hashed = hashlib.sha256(f"{job_seed}/{kind}/{index}".encode()).digest()
    return int.from_bytes(hashed[:4]) // 8 * len(_KINDS) + _KINDS.index(kind)
