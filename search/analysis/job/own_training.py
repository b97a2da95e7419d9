"""Doubts about training by programs of others: whether seed and temperature were obeyed, and who kept the test part."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState

LEAST_PAIRS = 2
"""So many comparisons must come out equal before that is no accident."""


def own_training(spec: JobSpec, trials: Sequence[Trial]) -> Iterator[str]:
    """The doubts; none for what the service's own workers have trained."""
    if spec.trainer is None:
        return
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETED and trial.value is not None]
    if _same_over_seeds(completed):
        yield (
            "Each configuration reached the same value on all of its seeds: the training seems to ignore the seed that "
            "its trial was given. Every interval over seeds is worth nothing until it is obeyed."
        )
    if _same_over_temperatures(completed):
        yield (
            "The same settings on the same seed reached the same value at T = 1 and at T = 4: the training seems to "
            "ignore the temperature. Nothing that is said of T here holds until it is obeyed."
        )
    if any(trial.test_metrics for trial in trials):
        yield (
            "A program of its own has trained, and it kept the test part to itself until the service asked for it; "
            "that it was read for nothing else the service cannot know."
        )


def _same_over_seeds(completed: Sequence[Trial]) -> bool:
    """Whether no configuration's values differ between its seeds, of those that were trained on several."""
    groups: dict[Hashable, dict[int, float | None]] = {}
    for trial in completed:
        if trial.stage in (Stage.SELECT, Stage.ESTIMATE):
            key = (trial.stage, trial.round, trial.arm, trial.variant, trial.origin)
            groups.setdefault(key, {})[trial.seed] = trial.value
    several = [values for values in groups.values() if len(values) > 1]
    return len(several) >= LEAST_PAIRS and all(len(set(values.values())) == 1 for values in several)


def _same_over_temperatures(completed: Sequence[Trial]) -> bool:
    """Whether T = 1 and T = 4 came to the same at the winner's settings, on every seed that had both."""
    values: dict[tuple[int, int], dict[Arm, float | None]] = {}
    for trial in completed:
        if trial.variant == "same_settings" and trial.arm in (Arm.T1, Arm.T4):
            values.setdefault((trial.round, trial.seed), {})[trial.arm] = trial.value
    pairs = [by_arm for by_arm in values.values() if len(by_arm) == 2]
    return len(pairs) >= LEAST_PAIRS and all(by_arm[Arm.T1] == by_arm[Arm.T4] for by_arm in pairs)
