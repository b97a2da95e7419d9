"""Contestants of a confirmation: their configurations, seeds, values, and how their race stands."""

from __future__ import annotations

import hashlib
import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from search import configurations
from search.claims import field, racing
from search.claims.field import Beliefs
from search.claims.racing import Race
from search.records import Reason, Trial
from search.spec.job import JobSpec
from search.spec.parameters import temperatures
from search.states import TERMINAL_TRIALS, Arm, Stage, TrialState

_KINDS = (Stage.SEARCH, Stage.SELECT, Stage.ESTIMATE)  # seeds of different kinds differ modulo their number


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
    """The finalists of each arm by the numbers of their trials, as a worker has chosen them.

    With `beliefs` all arms race as one field: a baseline's finalist may then be another arm's trial, whose settings are
    taken to the baseline.
    """

    finalists: Mapping[Arm, tuple[int, ...]]
    beliefs: Beliefs | None = None


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
    sign = sign_of(spec)
    ranked = sorted(first, key=lambda point: (-sign * statistics.fmean(values[point]), first[point].number))
    return [first[point] for point in ranked]


def race_of(spec: JobSpec, selected: Sequence[Finished], finalists: Sequence[int], round_: int) -> Race:
    """How an arm's race stands, from the ended trials of its own that were `selected` in this round."""
    tried_seeds = {trial.seed for trial in selected}
    seeds = [seed for seed in confirmation_seeds(spec, Stage.SELECT, round_) if seed in tried_seeds]
    confirmation = spec.confirmation
    return racing.race(finalists, values_of(spec, selected), seeds, 1 - confirmation.confidence, confirmation.delta)


def race_state_of(spec: JobSpec, beliefs: Beliefs, trials: Sequence[Candidate], round_: int) -> field.RaceState:
    """How the field stands after this round's trials of its race; contestants that are the same configuration have the
    same values.
    """
    raced = [trial for trial in trials if (trial.stage, trial.round) == (Stage.SELECT, round_)]
    by_number = {trial.number: trial for trial in trials}
    well = {trial.seed for trial in raced if _ended_well(trial)}
    values: dict[str, list[float]] = {}
    failed: set[str] = set()
    for trial in sorted(raced, key=lambda trial: trial.number):
        key = repr(configurations.from_json(trial.configuration or {}))
        if _ended_well(trial):
            values.setdefault(key, []).append(sign_of(spec) * (trial.value or 0.0))
        elif trial.seed in well and trial.state in TERMINAL_TRIALS:
            failed.add(key)
    keys = {
        (arm, number): repr(configurations.from_json(taken_to(spec, by_number[number], arm)))
        for arm, number in beliefs.contestants
    }
    of_contestants = {contestant: values.get(key, []) for contestant, key in keys.items()}
    out = [contestant for contestant, key in keys.items() if key in failed]
    left = spec.confirmation.select_seeds - len({trial.seed for trial in raced})
    return field.race_state(beliefs, of_contestants, out, left, spec.confirmation.delta)


def _ended_well(trial: Candidate) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None


def taken_to(spec: JobSpec, trial: Candidate, arm: Arm) -> dict[str, Any]:
    """A trial's configuration as it is in this arm."""
    if trial.arm is arm:
        return dict(trial.configuration or {})
    configuration = configurations.from_json(trial.configuration or {})
    further = temperatures(spec.space.parameters)
    return configurations.to_json(configurations.in_arm(configuration, arm, spec.distillation.method, further))


def trial_seed(job_seed: int, number: int) -> int:
    """The training seed of the search or baseline trial with this number."""
    return _seed(job_seed, Stage.SEARCH, number)


def confirmation_seeds(spec: JobSpec, stage: Stage, round_: int) -> list[int]:
    """The training seeds that all contestants of a confirmation stage share, pair by pair; each round has its own."""
    size = spec.confirmation.select_seeds if stage is Stage.SELECT else spec.confirmation.estimate_seeds
    return list(itertools.islice(_distinct_seeds(spec.seed, stage), round_ * size, (round_ + 1) * size))


def values_of(spec: JobSpec, selected: Sequence[Finished]) -> dict[int, dict[int, float]]:
    """By finalist its values by seed, more being better, of the trials that ended well."""
    values: dict[int, dict[int, float]] = {}
    for trial in selected:
        if trial.state is TrialState.COMPLETED and trial.value is not None and trial.origin is not None:
            values.setdefault(trial.origin, {})[trial.seed] = sign_of(spec) * trial.value
    return values


def sign_of(spec: JobSpec) -> float:
    """1 where more is better, else -1."""
    return 1.0 if spec.objective.direction == "maximize" else -1.0


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
