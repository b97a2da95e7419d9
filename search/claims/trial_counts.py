"""How many trials a job has, of each stage: by its spec alone, before and while it is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search import units
from search.spec.grid import GridSpec
from search.spec.job import LEAST_SHARE, JobSpec
from search.states import BASELINE_ARMS, Arm, Stage

RACED = 0.1
"""Of the trainings that a field's race may take at most, what it takes in the mean (docs/decisions/040)."""
FROM_STARTUP = ("gp", "tpe", "cmaes")
"""Samplers that propose a job's first trials from their numbers alone. qmc is none of them: it learns from the first
trial that ends what all have in common.
"""
OF_BASELINE = 2
"""Finalists of a baseline that the surface proposes, at most: of its own trials and the joint finalists' settings."""


def baseline_trials(spec: JobSpec, search_trials: int) -> int:
    """How many trials each tuned baseline gets, on top of this many of the search: its share; where it is searched by
    itself at least one, while one that the surface proposes has the search's settings in any case.
    """
    share = round(spec.baselines.share * search_trials)
    allowed = trainings_allowed(spec, max(search_trials, spec.budget.trials))
    if allowed is not None:
        share = max(0, min(share, (allowed - search_trials - 1 - len(BASELINE_ARMS)) // len(BASELINE_ARMS)))
    return max(1, share) if spec.baselines.share and spec.baselines.by == "arm" and allowed is None else share


def baseline_quotas(spec: JobSpec, search_trials: int) -> dict[Arm, int]:
    """How many trials each baseline is searched with, on top of this many of the search.

    A grid has T = 1 and T = 4 among its own; labels alone get each of its settings on each of its seeds.
    """
    if spec.grid is None:
        return dict.fromkeys(BASELINE_ARMS, baseline_trials(spec, search_trials))
    if not spec.baselines.share:
        return {}
    return {Arm.LABEL_ONLY: -(-search_trials // len(spec.grid.along(spec.space)))}


def tuned_trials(spec: JobSpec, search_trials: int) -> int:
    """How many trials all baselines together are searched with."""
    return sum(baseline_quotas(spec, search_trials).values())


def trials_of(spec: JobSpec) -> int:
    """How many trials a job has by its spec, at most: search, tuned baselines, and the first confirmation."""
    searched = spec.budget.trials
    return searched + tuned_trials(spec, searched) + confirmation_trials(spec, searched, tuned_trials(spec, searched))


def confirmation_trials(spec: JobSpec, searched: int, tuned: int) -> int:
    """How many trials a confirmation takes at most, after so many of the search and of all tuned baselines."""
    most = select_trials(spec, [searched, *_sizes(spec, tuned)]) + estimate_trials(spec)
    allowed = trainings_allowed(spec, max(searched, spec.budget.trials))
    return most if allowed is None else max(1, min(most, allowed - searched - tuned))


def _sizes(spec: JobSpec, tuned: int) -> list[int]:
    """How many configurations each baseline has tried, where all have tried so many."""
    if spec.grid is not None:
        return [tuned, 0, 0]
    return [tuned // len(BASELINE_ARMS)] * len(BASELINE_ARMS)


def plan_in_words(spec: JobSpec, budget_trials: int, seconds: float | None = None) -> str:
    """What a job with this budget of its search will train: of the race what it took in the mean of whole jobs; where
    time is limited, that the search may end before.
    """
    tuned = tuned_trials(spec, budget_trials)
    parts = [f"{budget_trials} search" if spec.grid is None else _grid_words(spec, spec.grid, budget_trials)]
    if tuned:
        parts.append(f"{tuned} of {'baselines' if spec.grid is None else 'labels alone'}")
    count, exact = _probable_confirmation(spec, budget_trials, tuned)
    plan = f"{' + '.join(parts)} + {'' if exact else 'about '}{count} to confirm"
    if seconds is None:
        return plan
    return f"{plan}; the search ends {units.rough_duration(seconds)} after its first trial at the latest"


def _grid_words(spec: JobSpec, grid: GridSpec, trials: int) -> str:
    """96 on a grid (6 temperatures x 8 settings x 2 seeds)."""
    size, temperatures = grid.round_size(spec.space), len(grid.along(spec.space))
    if trials % size and not trials % temperatures:  # some settings on more seeds than others
        return f"{trials} on a grid ({temperatures} temperatures x {trials // temperatures} settings and seeds)"
    counts = [(temperatures, "temperature"), (size // temperatures, "setting"), (trials / size, "seed")]
    parts = [f"{units.number(count)} {noun}{'' if count == 1 else 's'}" for count, noun in counts]
    return f"{trials} on a grid ({' x '.join(parts)})"


def probable_trials(spec: JobSpec) -> tuple[int, bool]:
    """How many trials a job will have in all, as `plan_in_words` says it, and whether that is exact."""
    tuned = tuned_trials(spec, spec.budget.trials)
    count, exact = _probable_confirmation(spec, spec.budget.trials, tuned)
    return spec.budget.trials + tuned + count, exact


def _probable_confirmation(spec: JobSpec, searched: int, tuned: int) -> tuple[int, bool]:
    """How many trials a confirmation will take, and whether that is exact: a race ends once it is decided."""
    most = confirmation_trials(spec, searched, tuned)
    race = select_trials(spec, [searched, *_sizes(spec, tuned)])
    if spec.baselines.by == "surface" and spec.budget.trainings is None:
        most -= round((1 - RACED) * race)
    return most, race == 0 or spec.budget.trainings is not None


def select_trials(spec: JobSpec, sizes: Sequence[int]) -> int:
    """How many trials choosing among finalists takes at most, where arms have tried so many configurations."""
    if spec.confirmation.level == "none":
        return 0
    if spec.baselines.by == "surface":
        of_baselines = min(OF_BASELINE, spec.confirmation.finalists) * len(BASELINE_ARMS)
        return (min(spec.confirmation.finalists, sizes[0]) + of_baselines) * spec.confirmation.select_seeds
    finalists = [min(spec.confirmation.finalists, size) for size in sizes]
    return sum(finalist for finalist in finalists if finalist > 1) * spec.confirmation.select_seeds


def estimate_trials(spec: JobSpec) -> int:
    """How many trials estimating takes: the winner, the tuned baselines, and where each arm is searched by itself the
    baselines at the winner's settings.
    """
    if spec.confirmation.level == "none":
        return 1
    if spec.baselines.by == "surface":
        return (1 + len(BASELINE_ARMS)) * spec.confirmation.estimate_seeds
    contestants = 1 + len(BASELINE_ARMS) * (2 if spec.baselines.share else 1)
    return contestants * spec.confirmation.estimate_seeds


def trainings_allowed(spec: JobSpec, budget_trials: int) -> int | None:
    """Of everything together, where the search has been given `budget_trials`; None where nothing limits them."""
    if spec.budget.trainings is None:
        return None
    more = budget_trials - spec.budget.trials
    return spec.budget.trainings + math.ceil(more / LEAST_SHARE)  # an extension confirms anew, however short it is


def at_once(spec: JobSpec, stage: Stage) -> int | None:
    """How many trials of a stage may be under way at once, beyond `startup_trials`; None where it does not matter.

    A sampler that is asked for many trials before it hears of any proposes blindly: a quarter of its budget, at most,
    is spent that way, of the joint search and of each tuned baseline alike. A grid asks no sampler, and a random one
    learns nothing; but a pruner has nobody to compare with where all trials are under way at once.
    """
    if spec.grid is not None or (spec.sampler.name == "random" and spec.pruner.name == "none"):
        return None
    if stage is Stage.SEARCH:
        return max(1, spec.budget.trials // 4)
    if stage is Stage.BASELINE:
        return len(BASELINE_ARMS) * max(1, baseline_trials(spec, spec.budget.trials) // 4)
    return None


def startup_trials(spec: JobSpec) -> int:
    """How many of a job's first trials its sampler proposes alike, whatever others come to: those with a lower number
    may all be trained together.
    """
    return spec.sampler.startup_trials if spec.sampler.name in FROM_STARTUP else 0


def side_by_side(spec: JobSpec, stage: Stage, number: int) -> int:
    """How many students an engine should hold for a stage, of which the trial of that number is one: as many as a
    search bears at once, all of one that bears any number, and for a confirmation as many as it trains together where
    these are twice as many or more.
    """
    searched = at_once(spec, Stage.SEARCH) or spec.budget.trials + tuned_trials(spec, spec.budget.trials)
    if stage in (Stage.SEARCH, Stage.BASELINE) and number < startup_trials(spec):
        return max(searched, min(startup_trials(spec), spec.budget.trials))
    together = {Stage.SELECT: _contestants(spec), Stage.ESTIMATE: estimate_trials(spec)}.get(stage, 0)
    return together if together >= 2 * searched else searched


def _contestants(spec: JobSpec) -> int:
    """How many finalists a race trains on each seed, at most."""
    tuned = tuned_trials(spec, spec.budget.trials)
    return select_trials(spec, [spec.budget.trials, *_sizes(spec, tuned)]) // spec.confirmation.select_seeds
