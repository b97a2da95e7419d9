"""The plan of a job: the next trial, or the next state. Decisions alone: no SQL, no clock, no randomness.

Claiming and the ledger ask inside their transactions, with what they counted there, and carry the answer out.
"""

from __future__ import annotations

import hashlib
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from search import configurations
from search.claims import racing
from search.claims.racing import Race
from search.claims.search_failure import no_trials
from search.records import Reason, Trial
from search.spec.job import JobSpec
from search.spec.parameters import temperatures
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
    seed: int
    reason: Reason | None = None


Candidate = TypeVar("Candidate", Finished, Trial)


@dataclass(frozen=True, slots=True)
class FinalistChoice:
    """The finalists of each arm by the numbers of their trials, as a worker has chosen them."""

    finalists: Mapping[Arm, tuple[int, ...]]


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
class Choose:
    """A worker must choose and store the finalists, outside of any transaction (search.analysis.job.finalists)."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """Running trials must end first, or somebody must act."""


Next = NewTrial | PlanRows | MoveTo | Choose | NothingToDo
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


def trials_of(spec: JobSpec) -> int:
    """How many trials a job has by its spec, at most: search, tuned baselines, and the first confirmation."""
    per_arm = baseline_trials(spec, spec.budget.trials)
    sizes = [spec.budget.trials, *(per_arm for _ in BASELINE_ARMS)]
    return sum(sizes) + select_trials(spec, sizes) + estimate_trials(spec)


def select_trials(spec: JobSpec, sizes: Sequence[int]) -> int:
    """How many trials choosing among finalists takes at most, where arms have tried so many configurations."""
    finalists = [min(spec.confirmation.finalists, size) for size in sizes]
    return sum(finalist for finalist in finalists if finalist > 1) * spec.confirmation.select_seeds


def estimate_trials(spec: JobSpec) -> int:
    """How many trials estimating takes: the winner, the tuned baselines, and the baselines at its settings."""
    contestants = 1 + len(BASELINE_ARMS) * (2 if spec.baselines.share else 1)
    return contestants * spec.confirmation.estimate_seeds


def candidates(spec: JobSpec, trials: Sequence[Candidate], arm: Arm) -> list[Candidate]:
    """The first trial of each distinct configuration that an arm has completed, the best mean value first."""
    stage = Stage.SEARCH if arm is Arm.JOINT else Stage.BASELINE
    values: dict[str, list[float]] = {}
    first: dict[str, Candidate] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if (trial.stage, trial.arm, trial.state) != (stage, arm, TrialState.COMPLETED) or trial.value is None:
            continue
        point = repr(configurations.from_json(trial.configuration or {}))
        values.setdefault(point, []).append(trial.value)
        first.setdefault(point, trial)
    sign = _sign(spec)
    ranked = sorted(first, key=lambda point: (-sign * statistics.fmean(values[point]), first[point].number))
    return [first[point] for point in ranked]


def race_of(spec: JobSpec, selected: Sequence[Finished], finalists: Sequence[int], round_: int) -> Race:
    """How an arm's race stands, from the ended trials of its own that were `selected` in this round."""
    tried_seeds = {trial.seed for trial in selected}
    seeds = [seed for seed in confirmation_seeds(spec, Stage.SELECT, round_) if seed in tried_seeds]
    confirmation = spec.confirmation
    return racing.race(finalists, _values(spec, selected), seeds, 1 - confirmation.confidence, confirmation.delta)


def at_once(spec: JobSpec, stage: Stage) -> int | None:
    """How many trials of a stage may be under way at once; None where it does not matter.

    A sampler that is asked for many trials before it hears of any proposes blindly: a quarter of its budget, at most,
    is spent that way, of the joint search and of each tuned baseline alike.
    """
    if stage is Stage.SEARCH:
        return max(1, spec.budget.trials // 4)
    if stage is Stage.BASELINE:
        return len(BASELINE_ARMS) * max(1, baseline_trials(spec, spec.budget.trials) // 4)
    return None


def _while_searching(job: JobSnapshot, finished: Callable[[], Sequence[Finished]]) -> Next:
    spent = job.search_stopped or job.search_trials >= job.budget_trials
    spent = spent or (job.seconds_left is not None and job.seconds_left <= 0)
    if not spent:
        if job.budget_epochs is None or job.search_epochs + job.spec.training.epochs <= job.budget_epochs:
            return NewTrial(Stage.SEARCH, Arm.JOINT)
        if _open(job, Stage.SEARCH):
            return NothingToDo()  # one of them may be pruned and give epochs back
    if not job.search_stopped:
        quota = baseline_trials(job.spec, job.search_trials)
        claimed = {arm: sum(job.counts.get((Stage.BASELINE, arm), {}).values()) for arm in BASELINE_ARMS}
        arm = min(BASELINE_ARMS, key=claimed.__getitem__)
        if claimed[arm] < quota:
            return NewTrial(Stage.BASELINE, arm)
    if _open(job, Stage.SEARCH) or _open(job, Stage.BASELINE):
        return NothingToDo()
    return _search_ended(job, finished())


def _search_ended(job: JobSnapshot, finished: Sequence[Finished]) -> Next:
    tried = [candidates(job.spec, finished, arm) for arm in Arm]
    if not tried[0]:
        joint = [trial for trial in finished if (trial.stage, trial.arm) == (Stage.SEARCH, Arm.JOINT)]
        return MoveTo(JobState.FAILED, no_trials((ended.number, ended.state, ended.reason) for ended in joint))
    if any(len(of_arm) > 1 for of_arm in tried):
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
    rows = _next_block(job, finished_trials, choice)
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
    by_number = {trial.number: trial for trial in finished}
    seeds = confirmation_seeds(job.spec, Stage.SELECT, job.round)
    tried_seeds = {trial.seed for trial in finished if trial.stage is Stage.SELECT and trial.round == job.round}
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
    winners = {arm: _winner(job, finished, choice, arm) for arm in Arm}
    joint = winners[Arm.JOINT]
    if joint is None or joint.configuration is None:
        raise ValueError("a job without a completed search trial cannot be confirmed")
    contestants = [(Arm.JOINT, "winner", joint.number, dict(joint.configuration))]
    for arm in BASELINE_ARMS:
        tuned = winners[arm]
        if tuned is not None:
            contestants.append((arm, "tuned", tuned.number, dict(tuned.configuration or {})))
        joined = configurations.from_json(joint.configuration)
        further = temperatures(job.spec.space.parameters)
        counterpart = configurations.in_arm(joined, arm, job.spec.distillation.method, further)
        contestants.append((arm, "same_settings", joint.number, configurations.to_json(counterpart)))
    return PlanRows(
        tuple(
            PlannedTrial(Stage.ESTIMATE, arm, variant, job.round, origin, configuration, seed)
            for seed in confirmation_seeds(job.spec, Stage.ESTIMATE, job.round)
            for arm, variant, origin, configuration in contestants
        )
    )


def _winner(job: JobSnapshot, finished: Sequence[Finished], choice: FinalistChoice, arm: Arm) -> Finished | None:
    """The finalist that leads when its arm's race has ended; None where the arm completed nothing."""
    finalists = choice.finalists.get(arm, ())
    if not finalists:
        return None
    selected = _selected(job, finished, arm)
    run = race_of(job.spec, selected, finalists, job.round)
    leading = racing.leader(run, _values(job.spec, selected))
    return next(trial for trial in finished if trial.number == leading)


def _selected(job: JobSnapshot, finished: Sequence[Finished], arm: Arm) -> list[Finished]:
    """An arm's trials of the current round that chose among its finalists."""
    kind = (Stage.SELECT, arm, job.round)
    return [trial for trial in finished if (trial.stage, trial.arm, trial.round) == kind]


def _values(spec: JobSpec, selected: Sequence[Finished]) -> dict[int, dict[int, float]]:
    """By finalist its values by seed, more being better, of the trials that ended well."""
    values: dict[int, dict[int, float]] = {}
    for trial in selected:
        if trial.state is TrialState.COMPLETED and trial.value is not None and trial.origin is not None:
            values.setdefault(trial.origin, {})[trial.seed] = _sign(spec) * trial.value
    return values


def _sign(spec: JobSpec) -> float:
    """1 where more is better, else -1."""
    return 1.0 if spec.objective.direction == "maximize" else -1.0


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


def _distinct_seeds(job_seed: int, stage: Stage) -> Iterator[int]:
    drawn: set[int] = set()
    for index in itertools.count():
        seed = _seed(job_seed, stage, index)
        if seed not in drawn:
            drawn.add(seed)
            yield seed


def _seed(job_seed: int, kind: Stage, index: int) -> int:
    """Below 2**31; no seed of one kind is one of another, so that no estimate rests on a seed that chose."""
    hashed = hashlib.sha256(f"{job_seed}/{kind}/{index}".encode()).digest()
    return int.from_bytes(hashed[:4]) // 8 * len(_KINDS) + _KINDS.index(kind)
