"""The plan of a job: the next trial, or the next state. Decisions alone: no SQL, no clock, no randomness.

Claiming and the ledger ask inside their transactions, with what they counted there, and carry the answer out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search import configurations
from search.claims import racing, trial_counts
from search.claims.contestants import FinalistChoice as FinalistChoice
from search.claims.contestants import Finished as Finished
from search.claims.contestants import candidates as candidates
from search.claims.contestants import confirmation_seeds as confirmation_seeds
from search.claims.contestants import race_of as race_of
from search.claims.contestants import race_state_of as race_state_of
from search.claims.contestants import taken_to as taken_to
from search.claims.contestants import trial_seed as trial_seed
from search.claims.contestants import values_of
from search.claims.search_failure import no_trials
from search.records import Reason
from search.spec.job import JobSpec
from search.states import BASELINE_ARMS, TERMINAL_TRIALS, Arm, JobState, Stage, TrialState


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job as one transaction sees it.

    `counts` holds all trials by state: those of search and baseline of all rounds, those of select and estimate of
    the current `round` alone. `round` is 0 until a job whose confirmation has begun is extended; each such extension
    adds one. `search_trials` and `search_epochs` are what claims took from the budget. `seconds_left` is None
    where wall-clock is not limited. `allotting` where its study may hand it more trials.
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
    allotting: bool = False


_Estimated = tuple[Arm, str, int, dict[str, Any]]
"""An arm, the variant, the number of the trial that it comes from, and the configuration."""


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
    """A trial that may be claimed now, the one at this `place` among its arm's.

    Optuna is asked for its configuration and its seed is `trial_seed`'s, but where a grid says both.
    """

    stage: Stage
    arm: Arm
    place: int = field(default=0, compare=False)


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
class Choose:
    """A worker must choose and store the finalists, outside of any transaction (search.analysis.job.finalists)."""


@dataclass(frozen=True, slots=True)
class AwaitAllotment:
    """The job has trained what its study has handed it, and waits for more, or for word that there is no more."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """Running trials must end first, or somebody must act."""


Next = NewTrial | PlanRows | MoveTo | Choose | AwaitAllotment | NothingToDo
Read = Callable[[], Sequence[Finished]]


def decide(job: JobSnapshot, finished: Read, read_choice: Callable[[], FinalistChoice | None]) -> Next:
    """What comes next where no trial is waiting; `finished` and `read_choice` are called only where a stage has ended.

    `read_choice` answers the finalists that were stored for the job's current round, None before. After PlanRows and
    MoveTo the caller asks again. A claim carries NewTrial out; who does not claim ignores it.
    """
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        return _while_searching(job, finished)
    if job.state is JobState.CONFIRMING:
        return _while_confirming(job, finished, read_choice)
    return NothingToDo()


def _while_searching(job: JobSnapshot, finished: Callable[[], Sequence[Finished]]) -> Next:
    spent = job.search_stopped or job.search_trials >= job.budget_trials
    spent = spent or (job.seconds_left is not None and job.seconds_left <= 0)
    if not spent:
        if job.budget_epochs is None or job.search_epochs + job.spec.training.epochs <= job.budget_epochs:
            return NewTrial(Stage.SEARCH, Arm.JOINT, job.search_trials)
        if _open(job, Stage.SEARCH):
            return NothingToDo()  # one of them may be pruned and give epochs back
    if not job.search_stopped:
        quotas = trial_counts.baseline_quotas(job.spec, job.search_trials)
        claimed = {arm: sum(job.counts.get((Stage.BASELINE, arm), {}).values()) for arm in quotas}
        behind = [arm for arm, quota in quotas.items() if claimed[arm] < quota]
        if behind:
            arm = min(behind, key=claimed.__getitem__)
            return NewTrial(Stage.BASELINE, arm, claimed[arm])
    if _open(job, Stage.SEARCH) or _open(job, Stage.BASELINE):
        return NothingToDo()
    if job.allotting:
        return AwaitAllotment()
    return _search_ended(job, finished())


def _search_ended(job: JobSnapshot, finished: Sequence[Finished]) -> Next:
    tried = [candidates(job.spec, finished, arm) for arm in Arm]
    if not tried[0]:
        joint = [trial for trial in finished if (trial.stage, trial.arm) == (Stage.SEARCH, Arm.JOINT)]
        return MoveTo(JobState.FAILED, no_trials((trial.number, trial.state, trial.reason) for trial in joint))
    if job.spec.baselines.by == "surface" or any(len(of_arm) > 1 for of_arm in tried):
        return MoveTo(JobState.CONFIRMING)  # there is something to choose from
    return _estimate(job, finished, _before_choices(job, finished))


def _while_confirming(job: JobSnapshot, finished: Read, read_choice: Callable[[], FinalistChoice | None]) -> Next:
    if _open(job, Stage.SELECT) or _open(job, Stage.ESTIMATE):
        return NothingToDo()
    if _has_trials(job, Stage.ESTIMATE):
        return MoveTo(JobState.ANALYSING)
    choice = read_choice()
    if choice is None and not _has_trials(job, Stage.SELECT):
        return Choose()
    finished_trials = finished()
    choice = choice or _before_choices(job, finished_trials)
    rows = _within(job, _next_block(job, finished_trials, choice), keep=1 + len(BASELINE_ARMS))
    return PlanRows(rows) if rows else _estimate(job, finished_trials, choice)


def _before_choices(job: JobSnapshot, finished: Sequence[Finished]) -> FinalistChoice:
    """The finalists where none were stored: those that began to be selected, or the only one that there is."""
    finalists: dict[Arm, tuple[int, ...]] = {}
    for arm in Arm:
        tried = [trial.number for trial in candidates(job.spec, finished, arm)]
        origins = {trial.origin for trial in _selected(job, finished, arm)}
        finalists[arm] = tuple(number for number in tried if number in origins) or tuple(tried[:1])
    return FinalistChoice(finalists)


def _next_block(job: JobSnapshot, finished: Sequence[Finished], choice: FinalistChoice) -> tuple[PlannedTrial, ...]:
    """The finalists that are left, of every arm, on the next fresh seed; none once every arm's race has ended."""
    if job.spec.confirmation.level == "none":
        return ()
    by_number = {trial.number: trial for trial in finished}
    seeds = confirmation_seeds(job.spec, Stage.SELECT, job.round)
    tried_seeds = {trial.seed for trial in finished if trial.stage is Stage.SELECT and trial.round == job.round}
    if choice.beliefs is not None:
        left = race_state_of(job.spec, choice.beliefs, finished, job.round).left
        contestants = [(arm, number, taken_to(job.spec, by_number[number], arm)) for arm, number in left]
        distinct = {
            repr(configuration): (arm, number, configuration) for arm, number, configuration in reversed(contestants)
        }
        return tuple(
            PlannedTrial(Stage.SELECT, arm, None, job.round, number, configuration, seed)
            for seed in seeds[len(tried_seeds) :][:1]
            for arm, number, configuration in reversed(distinct.values())
        )
    fresh = seeds[len(tried_seeds) :][: 1 if tried_seeds else racing.BEGIN]
    remaining = {}
    for arm, finalists in choice.finalists.items():
        run = race_of(job.spec, _selected(job, finished, arm), finalists, job.round)
        remaining[arm] = () if run.over else run.left
    return tuple(
        PlannedTrial(Stage.SELECT, arm, None, job.round, number, by_number[number].configuration or {}, seed)
        for seed in fresh
        for arm, numbers in remaining.items()
        for number in numbers
    )


def _estimate(job: JobSnapshot, finished: Sequence[Finished], choice: FinalistChoice) -> PlanRows:
    spec = job.spec
    winners = _winners(job, finished, choice)
    joint = winners.get(Arm.JOINT)
    if joint is None or joint.configuration is None:
        raise ValueError("a job without a completed search trial cannot be confirmed")
    contestants: list[_Estimated] = [(Arm.JOINT, "winner", joint.number, dict(joint.configuration))]
    for arm in BASELINE_ARMS if spec.confirmation.level != "none" else ():
        tuned = winners.get(arm)
        if tuned is not None:
            contestants.append((arm, "tuned", tuned.number, taken_to(spec, tuned, arm)))
        if spec.baselines.by == "arm":
            contestants.append((arm, "same_settings", joint.number, taken_to(spec, joint, arm)))
    if spec.baselines.by == "surface":
        contestants = _distinct(contestants)
    rows = tuple(
        PlannedTrial(Stage.ESTIMATE, arm, variant, job.round, origin, configuration, seed)
        for seed in confirmation_seeds(spec, Stage.ESTIMATE, job.round)
        for arm, variant, origin, configuration in contestants
    )
    if spec.confirmation.level == "none":
        return PlanRows(rows[:1])
    return PlanRows(_within(job, rows) or rows[:1])


def _winners(job: JobSnapshot, finished: Sequence[Finished], choice: FinalistChoice) -> dict[Arm, Finished]:
    """The trial that leads each arm when the race has ended; an arm that completed nothing has none."""
    if choice.beliefs is not None:
        by_number = {trial.number: trial for trial in finished}
        leaders = race_state_of(job.spec, choice.beliefs, finished, job.round).leaders
        return {arm: by_number[number] for arm, (_, number) in leaders.items()}
    winners = {arm: _winner(job, finished, choice, arm) for arm in Arm}
    return {arm: trial for arm, trial in winners.items() if trial is not None}


def _distinct(contestants: Sequence[_Estimated]) -> list[_Estimated]:
    """The first of each configuration: the same one on the same seeds is trained once."""
    first: dict[str, _Estimated] = {}
    for contestant in contestants:
        first.setdefault(repr(configurations.from_json(contestant[3])), contestant)
    return list(first.values())


def _within(job: JobSnapshot, rows: tuple[PlannedTrial, ...], keep: int = 0) -> tuple[PlannedTrial, ...]:
    """The rows that the trainings of the whole job leave room for, and so many after them; all where they are not
    limited. A block is trained whole or not at all; estimates as far as they go.
    """
    total = trial_counts.trainings_allowed(job.spec, job.budget_trials)
    if total is None or not rows:
        return rows
    spent = sum(count for states in job.counts.values() for count in states.values())
    room = total - spent - keep
    if keep:
        return rows if len(rows) <= room else ()
    return rows[: max(0, room)]


def _winner(job: JobSnapshot, finished: Sequence[Finished], choice: FinalistChoice, arm: Arm) -> Finished | None:
    """The finalist that leads when its arm's race has ended; None where the arm completed nothing."""
    finalists = choice.finalists.get(arm, ())
    if not finalists:
        return None
    selected = _selected(job, finished, arm)
    run = race_of(job.spec, selected, finalists, job.round)
    leading = racing.leader(run, values_of(job.spec, selected))
    return next(trial for trial in finished if trial.number == leading)


def _selected(job: JobSnapshot, finished: Sequence[Finished], arm: Arm) -> list[Finished]:
    """An arm's trials of the current round that chose among its finalists."""
    kind = (Stage.SELECT, arm, job.round)
    return [trial for trial in finished if (trial.stage, trial.arm, trial.round) == kind]


def _has_trials(job: JobSnapshot, stage: Stage) -> bool:
    """Whether the current round has trials of this stage."""
    return any(kind is stage and any(states.values()) for (kind, _), states in job.counts.items())


def _open(job: JobSnapshot, stage: Stage) -> bool:
    """Whether a trial of this stage has not ended."""
    return any(
        count and state not in TERMINAL_TRIALS
        for (kind, _), states in job.counts.items()
        if kind is stage
        for state, count in states.items()
    )
